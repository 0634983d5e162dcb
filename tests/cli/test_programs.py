"""Compiled programs kept between runs of the command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxstyle import samples

# Counts the programs that are compiled, and not read from where they were kept.
COUNT = """
import sys, jax, jax.monitoring
hits = []
jax.monitoring.register_event_listener(
    lambda event, **_: hits.append(event) if event.endswith("cache_hits") else None)
from jaxstyle.cli import command
status = command()
print(len(hits))
sys.exit(status)
"""


def run(tmp_path: Path, **changes: str) -> int:
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    root = str(Path(__file__).parents[2])
    environment |= {"PYTHONPATH": root, "XDG_CACHE_HOME": str(tmp_path / "cache")} | changes
    line = (
        f"stylize {samples.LAKE} {samples.SWIRLS} -o out.png --network compact --size 32 --steps 2 "
        "--content-layers relu2_1 --style-layers relu2_1 --quiet"
    )
    command = [sys.executable, "-c", COUNT, *line.split()]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return int(done.stdout)


@pytest.mark.slow
def test_a_second_start_compiles_nothing_that_took_long(tmp_path):
    assert run(tmp_path) == 0
    first = (tmp_path / "out.png").read_bytes()
    kept = sorted((tmp_path / "cache/jaxstyle/programs").rglob("*-cache"))
    assert kept
    assert run(tmp_path) == len(kept)
    assert (tmp_path / "out.png").read_bytes() == first


@pytest.mark.slow
def test_nothing_is_kept_where_it_cannot_be_or_should_not(tmp_path):
    (tmp_path / "file").touch()
    assert run(tmp_path, XDG_CACHE_HOME=str(tmp_path / "file")) == 0
    elsewhere = tmp_path / "elsewhere"
    assert run(tmp_path, JAX_COMPILATION_CACHE_DIR=str(elsewhere)) == 0
    assert not (tmp_path / "cache").exists()
