"""Times `jaxstyle apply` on a folder of photographs beside the sum of its single passes.

    python -m scripts.benchmarks.folder PHOTOS [--count 200]

The photographs are scaled to mixed sizes first. Each round makes the folder, and then every single
pass by itself, with the pictures in memory; the programs were compiled before. Decoding, encoding
and everything else are hidden if the ratio is one. The peak of memory is that of a process that
makes a quarter of the folder, and of one that makes all of it.
"""

import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

import jaxstyle
from jaxstyle._common.files import find_pictures
from jaxstyle.cli import main as command
from jaxstyle.feedforward.files import load_network
from jaxstyle.image.io import read_shape
from jaxstyle.networks.catalogue import PAINTBOX, find_fast_network
from jaxstyle.pipeline.one_pass import paint_into, round_up
from scripts.benchmarks.alternating import seconds_of
from scripts.command_line import make_parser

_SIDES = (320, 400, 512, 640, 720)


def write_photographs(source: Path, folder: Path, count: int) -> list[Path]:
    """Writes photographs of mixed sizes, and returns their paths."""
    draws = np.random.default_rng(0)
    paths = []
    for i, path in enumerate(find_pictures([source])[:count]):
        image = jaxstyle.load_image(path, size=int(draws.choice(_SIDES)))
        paths.append(folder / f"{i:04}.jpg")
        jaxstyle.save_image(paths[-1], image)
    return paths


def passes(paths: Sequence[Path]) -> float:
    """Returns the seconds that the single passes take together."""
    network = load_network(find_fast_network(PAINTBOX))
    weights = network.weigh({network.styles[0].name: 1.0})
    total = 0.0
    for path in paths:
        image = np.asarray(jaxstyle.load_image(path))
        height, width, _ = image.shape
        shape = round_up((height, width))

        def run(image: np.ndarray = image, shape: tuple[int, int] = shape) -> None:
            jax.block_until_ready(
                paint_into(shape, network.params, image, weights, network.architecture)
            )

        total += seconds_of(run)
    return total


def apply(folder: Path, output: Path) -> None:
    """Runs the command on a folder."""
    with contextlib.redirect_stdout(io.StringIO()):
        status = command(["apply", str(folder), "-o", str(output), "--quiet"])
    assert status == 0, status


def peak(folder: Path, output: Path) -> float:
    """Returns the peak of a process that makes a folder, in MiB."""
    program = (
        "import resource, sys; from jaxstyle.cli import main; "
        "main(['apply', sys.argv[1], '-o', sys.argv[2], '--quiet']); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    run = [sys.executable, "-c", program, str(folder), str(output)]
    return int(subprocess.run(run, check=True, capture_output=True, text=True).stdout) / 2**10


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.benchmarks.folder", __doc__)
    parser.add_argument("photographs", type=Path, help="a folder of photographs")
    parser.add_argument("--count", type=int, default=200, help="how many of them")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        folder, some = Path(place, "photos"), Path(place, "some")
        folder.mkdir()
        some.mkdir()
        paths = write_photographs(options.photographs, folder, options.count)
        for path in paths[: len(paths) // 4]:
            os.link(path, some / path.name)
        shapes = {round_up(read_shape(path)) for path in paths}
        passes(paths)  # compiles
        ratios = []
        for i in range(options.rounds):
            whole = seconds_of(lambda i=i: apply(folder, Path(place, f"made{i}")))
            ratios.append(whole / passes(paths))
        print(f"{len(paths)} photographs, {len(shapes)} programs")
        print(f"folder / sum of passes: {statistics.median(ratios):.2f}")
        few, all_of_them = (peak(each, Path(place, each.name + "-peak")) for each in (some, folder))
        print(f"peak of a quarter: {few:.0f} MiB, of all: {all_of_them:.0f} MiB")


if __name__ == "__main__":
    main()
