"""The Python beside a picture runs as it is copied, and makes the same picture."""

from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import pixels

from jaxstyle.image import io
from jaxstyle.pipeline.again_python import python_lines
from jaxstyle.pipeline.job import group, make_batches, make_job
from jaxstyle.pipeline.options import check_options
from jaxstyle.pipeline.run import Interrupted, run_batch
from jaxstyle.pipeline.sinks import PictureFile
from jaxstyle.pipeline.studio import Studio

pytestmark = pytest.mark.usefixtures("compile_faster", "folder", "with_shipped")

OUTPUT = Path("picture.png")
SMALL = {"size": 48, "network": "compact"}


class Stop:
    """Interrupts a run after a step."""

    every, needed = None, False

    def __init__(self, step):
        self._step = step

    def report(self, track):
        if track.step == self._step:
            raise KeyboardInterrupt

    def close(self, track):
        pass


def made(command, options, stop=None):
    """Makes a picture; returns the Python that makes it again."""
    painting = None if command in ("apply", "reconstruct") else Path("style.png")
    content = None if command == "texture" else Path("content.png")
    job = make_job(command, content, painting, OUTPUT, check_options(command, options))
    studio = Studio([job])
    [(program, jobs)] = group(studio.shape, [job]).items()
    [batch] = make_batches(program, jobs, 1)
    sinks = [PictureFile(studio), *([Stop(stop)] if stop else [])]
    try:
        run_batch(studio, batch, lambda _: sinks)
    except Interrupted:
        assert stop
    return python_lines(studio, job, io.read_settings(OUTPUT))


def run(lines):
    """Runs the Python; returns how far its picture is from the one that is there, in levels."""
    expected = pixels(OUTPUT).astype(int)
    OUTPUT.unlink()
    exec(compile(lines, "copied", "exec"), {})
    return np.abs(pixels(OUTPUT).astype(int) - expected).max()


@pytest.mark.parametrize(
    ("options", "called"),
    [
        ({"style": "swirls", "size": 32}, "paint_into("),
        ({"painting": "style.png", "polish": 0, "size": 32, "strength": 50}, "in_colors_of("),
        ({"style": "swirls", "size": 32, "colors": "photo"}, "run_batch("),
        ({"painting": "style.png", "method": "adain", "levels": "1", "size": 32}, "run_batch("),
    ],
)
def test_what_is_painted_at_once(options, called):
    lines = made("apply", options)
    assert called in lines
    assert run(lines) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "options", "called"),
    [
        ("apply", {"blend": "swirls=0.5,great-wave=0.5", "size": 40, "polish": 2}, "polish("),
        ("apply", {"painting": "style.png", "mix": "other.png=0.3", "size": 32, "polish": 2},
         "measure_mixture("),
        ("stylize", {**SMALL, "steps": 2}, "jaxstyle.stylize("),
        ("stylize", {**SMALL, "steps": 2, "init": "other.png", "strokes": 1.5, "seed": 3},
         "jaxstyle.stylize("),
        ("stylize", {**SMALL, "steps": 2, "init": "noise", "seed": 3}, "jaxstyle.stylize("),
        ("stylize", {**SMALL, "steps": 2, "strength": 40, "mix": "other.png=0.5"}, "run_batch("),
        ("texture", {**SMALL, "steps": 2, "output-size": "48x40"}, "run_batch("),
    ],
)  # fmt: skip
def test_what_takes_steps(command, options, called):
    lines = made(command, options)
    assert called in lines
    assert run(lines) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("apply", {"style": "swirls", "size": 32, "polish": 5}),
        ("stylize", {**SMALL, "steps": 5}),
        ("stylize", {**SMALL, "steps": 5, "strength": 40}),
    ],
)
def test_a_picture_that_was_stopped_has_the_steps_that_it_has_had(command, options):
    assert run(made(command, options, stop=2)) == 0
