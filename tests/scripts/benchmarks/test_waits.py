"""The measurement of waits sees what a command shows and writes, and when."""

import json
import os
import subprocess
import sys

import pytest

from jaxstyle import samples
from scripts.benchmarks import waits

COMMAND = """
import pathlib, sys, time
time.sleep(0.1)
print("starting", file=sys.stderr, flush=True)
time.sleep(0.2)
pathlib.Path("first.png").touch()
time.sleep(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
"""


def watch(tmp_path, seconds, status, **options):
    command = [sys.executable, "-S", "-c", COMMAND, seconds, status]
    return waits.watch(command, os.environ, tmp_path, {"preview": "first.png"}, **options)


def test_times_follow_what_happens(tmp_path):
    times = watch(tmp_path, "0.1", "0")
    assert list(times) == ["sign_of_life", "preview", "finished"]
    assert times["preview"] - times["sign_of_life"] > 0.1
    assert sorted(times.values()) == list(times.values())


def test_a_command_is_ended_when_what_is_waited_for_is_there(tmp_path):
    assert list(watch(tmp_path, "60", "0", until="preview")) == ["sign_of_life", "preview"]


def test_a_command_that_fails_is_no_time(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        watch(tmp_path, "0", "1")


@pytest.mark.exhaustive
def test_a_cache_is_empty_and_then_filled(capsys):
    line = [samples.LAKE, samples.SWIRLS, "--size", "32", "--steps", "3"]
    waits.main(
        [*map(str, line), "--more=--content-layers=relu1_1", "--more=--style-layers=relu1_1"]
    )
    empty, filled = map(json.loads, capsys.readouterr().out.splitlines())
    assert (empty["cache"], filled["cache"]) == ("empty", "filled")
    for each in (empty, filled):
        assert 0 < each["sign_of_life"] < each["first_step"] <= each["finished"]
        assert each["sign_of_life"] < each["preview"]
    assert filled["first_step"] < empty["first_step"]
