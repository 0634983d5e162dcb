"""Measures what a start of the optimisation is worth.

    python -m scripts.benchmarks.starts --data DATA -o starts.jsonl [--network FILE]

For every pair it runs the recipe of the network from the photograph, and from each other start. For
each start there is a line of JSON: the evaluations that it needs to come as low as the photograph's
start does in some steps, its loss at the end, and its content term, all relative to those of the
photograph's start. `--table` prints medians of evaluations, geometric means of the rest, and
extremes. `--one-to-one` takes the first photograph with the first painting alone, and so on.
"""

import argparse
import functools
import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

import jaxstyle
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.presets import get_preset
from jaxstyle.pipeline.starts import FAST, begin_fast
from scripts.command_line import add_data_option, make_parser
from scripts.pairs import PAINTINGS, PHOTOGRAPHS, Case, read_cases
from scripts.reproduction.sheets import geometric_mean

STARTS = ("matched", FAST)
MARKS = (10, 100, 300)


class Course(NamedTuple):
    """How an optimisation went.

    Attributes:
      losses: after each step, that of the start first; the least so far.
      evaluations: until then.
      content: the content term at the end.
    """

    losses: np.ndarray
    evaluations: np.ndarray
    content: float


def run(network: Any, content: Array, style: Array, init: str, steps: int) -> Course:
    """Runs the recipe that suits a network from a start."""
    preset = get_preset("compact" if network.metadata["network"] == "compact" else "default")
    options: Any = preset.options(network.params, content.shape[:2])
    begun = begin_fast(content, [style]) if init == FAST else init
    options |= {"init": begun, "num_steps": steps}
    info = jax.device_get(jaxstyle.stylize(network.params, content, style, **options).info)
    terms = sum(values for name, values in info.terms.items() if name.startswith("content/"))
    best = int(np.argmin(info.loss))
    return Course(
        np.minimum.accumulate(info.loss), np.asarray(info.evaluations), float(terms[best])
    )


def compare(course: Course, photograph: Course, marks: Sequence[int]) -> Case:
    """Returns what is to be said of a course beside that of the photograph's start.

    Example:
      >>> first = Course(np.array([9.0, 4.0, 1.0]), np.array([1, 2, 3]), 2.0)
      >>> other = Course(np.array([4.0, 2.0, 0.5]), np.array([1, 2, 4]), 1.0)
      >>> compare(other, first, (1, 2))
      {'loss': 0.5, 'content': 0.5, 'evaluations_1': 0.5, 'evaluations_2': 1.3333333333333333}
    """
    case: Case = {
        "loss": float(course.losses[-1] / photograph.losses[-1]),
        "content": course.content / photograph.content,
    }
    for mark in marks:
        if mark < len(photograph.losses):
            reached = np.flatnonzero(course.losses <= photograph.losses[mark])
            needed = float(course.evaluations[reached[0]]) if len(reached) else math.inf
            case[f"evaluations_{mark}"] = needed / float(photograph.evaluations[mark])
    return case


def print_table(lines: Sequence[Case]) -> None:
    """Prints what is typical, and the extremes in brackets, of each network, size and start.

    A start that never comes so low needs infinitely many evaluations, so theirs are medians.
    """
    columns = [name for name in lines[0] if name.startswith(("evaluations", "loss", "content"))]
    columns = [name for name in columns if not name.endswith("_file")]
    print(f"| network | size | start | pairs | {' | '.join(columns)} |")
    print("| --- " * (4 + len(columns)) + "|")
    for key in dict.fromkeys((each["network"], each["size"], each["start"]) for each in lines):
        some = [each for each in lines if (each["network"], each["size"], each["start"]) == key]
        cells = []
        for column in columns:
            values = np.array([each[column] for each in some])
            typical = np.median if column.startswith("evaluations") else geometric_mean
            cells.append(f"{typical(values):.2f} ({values.min():.2f} to {values.max():.2f})")
        print(f"| {' | '.join(map(str, key))} | {len(some)} | {' | '.join(cells)} |")


def measure(
    options: argparse.Namespace, done: Callable[[Case], None], had: set[tuple[Any, ...]]
) -> None:
    """Measures what is not there yet, and hands each line out."""
    network = load_network(options.network, normalized=True)
    pairs = functools.partial(zip, strict=True) if options.one_to_one else itertools.product
    for photograph, painting in pairs(options.photographs, options.paintings):
        keys = {
            start: (network.metadata["network"], options.size, photograph, painting, start)
            for start in options.starts
        }
        if set(keys.values()) <= had:
            continue
        content, style = (
            jaxstyle.load_image(options.data / folder / name, size=options.size)
            for folder, name in (("content", photograph), ("style", painting))
        )
        first = run(network, content, style, "content", options.steps)
        for start, key in keys.items():
            course = run(network, content, style, start, options.steps)
            names = ("network", "size", "content_file", "style_file", "start")
            done({**dict(zip(names, key, strict=True)), **compare(course, first, MARKS)})


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.benchmarks.starts", __doc__)
    add = parser.add_argument
    add_data_option(parser)
    add("-o", "--output", type=Path, required=True, help="file of JSON lines to add to")
    add("--table", action="store_true", help="print the table of the file and run nothing")
    add("--network", default="compact", help="the network that judges, by name or file")
    add("--starts", nargs="+", default=STARTS, help="starts beside the photograph")
    add("--photographs", nargs="+", default=PHOTOGRAPHS, help="files in content")
    add("--paintings", nargs="+", default=PAINTINGS, help="files in style")
    add("--one-to-one", action="store_true", help="do not pair all photographs with all paintings")
    add("--size", type=int, default=256, help="longer side in pixels")
    add("--steps", type=int, default=300, help="steps of the solver")
    options = parser.parse_args(arguments)
    if options.one_to_one and len(options.photographs) != len(options.paintings):
        parser.error("--one-to-one takes as many --paintings as --photographs")
    lines = read_cases(options.output)
    if options.table:
        print_table(lines)
        return
    names = ("network", "size", "content_file", "style_file", "start")
    with options.output.open("a", encoding="utf-8") as file:
        measure(
            options,
            lambda line: print(json.dumps(line), file=file, flush=True),
            {tuple(line[name] for name in names) for line in lines},
        )


if __name__ == "__main__":
    main()
