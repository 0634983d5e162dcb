"""Runs that fail on the way: what is told, and what is left."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import (
    COMMANDS,
    STYLIZE,
    done,
    pixels,
    rows,
    write_network,
)

from jaxstyle.cli import apply
from jaxstyle.image.io import read_settings
from jaxstyle.optimization import descent
from jaxstyle.optimization.presets import PRESETS

pytestmark = pytest.mark.usefixtures("compile_faster")


def test_loss_that_is_never_finite(refused):
    path = write_network(Path("wild.safetensors"), scale=1e12)
    needles = ("out.png", "not finite after step 0", "not written", "weights", "--solver")
    for line in COMMANDS.values():
        refused(line, *needles, status=1, network=path, json=True)


def test_loss_that_ceases_to_be_finite(cli):
    unstable = {"solver": "gradient-descent", "learning_rate": 1e3, "steps": 50}
    ran = cli(STYLIZE, **unstable, init="noise", trace="trace.csv", json=True)
    summary = json.loads(ran.out)
    assert ran.status == 1
    step = summary["steps"]
    assert 1 <= step < 50
    assert ran.err.count("\n") == 1
    assert f"out.png: the loss is not finite after step {step}" in ran.err
    assert (summary["finite"], read_settings("out.png")["step"]) == (False, step)
    assert np.isfinite([row["loss"] for row in rows()]).all()
    done(
        cli("stylize content.png style.png -o same.png", **unstable | {"steps": step}, init="noise")
    )
    assert (pixels("out.png") == pixels("same.png")).all()


def test_interrupt_before_the_first_step(cli, monkeypatch):
    asked = []

    def interrupted(*_, num_steps, **__):
        asked.append(num_steps)
        raise KeyboardInterrupt

    monkeypatch.setattr(descent, "descend_resolved", interrupted)
    Path("out.png").write_text("an older picture", encoding="utf-8")
    for preset in PRESETS:
        ran = cli(STYLIZE, preset=preset, steps=None, trace="trace.csv")
        message = "jaxstyle: interrupted before the first step; out.png was not written\n"
        assert ran == (130, "", message)
    # One of them begins with a descent of its own.
    assert asked == [50 if p.init == "rearranged" else p.num_steps for p in PRESETS.values()]
    line = "stylize content.png style.png out.png -o folder"
    Path("out.png").write_bytes(Path("content.png").read_bytes())
    assert cli(line).status == 130
    assert sorted(os.listdir()) == ["content.png", "out.png", "style.png"]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "out of memory; try a smaller --size, or a shorter --history"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory\nallocating"), "try a smaller --size"),
        (OSError(errno.ENOSPC, "No space left on device", ".hid"), "out.png: no space left on"),
        (PermissionError(errno.EACCES, "Permission denied", ".hid"), "out.png: permission denied"),
    ],
)
def test_failures_while_writing(refused, monkeypatch, error, says):
    def fail(*_):
        raise error

    monkeypatch.setattr(os, "replace", fail)
    refused(STYLIZE, says, status=2 if isinstance(error, PermissionError) else 1)


def test_a_command_without_a_history_is_not_told_to_shorten_it(refused, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(apply, "apply", fail)
    refused("apply content.png -o out.png", "out of memory; try a smaller --size\n", status=1)


@pytest.mark.parametrize("kind", [RuntimeError, ValueError, TypeError, KeyError, AssertionError])
def test_mistakes_of_our_own_are_no_wrong_usage(cli, monkeypatch, kind):
    def fail(*_, **__):
        raise kind("two\nlines")

    monkeypatch.setattr(descent, "descend_resolved", fail)
    text = " ".join(str(kind("two\nlines")).split())
    message = f"jaxstyle: error: unexpected {kind.__name__}: {text} (a bug; --debug shows where)\n"
    assert cli(STYLIZE) == (1, "", message)
    err = cli(STYLIZE, debug=True).err
    assert "Traceback" in err
    assert err.endswith(message)
