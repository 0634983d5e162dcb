"""Measures how far the steps of L-BFGS raise the loss, and how many evaluations it needs.

    python -m scripts.benchmarks.solver_steps --data DATA -o steps.jsonl

It runs every photograph with every painting and with hard styles, which it draws: a photograph as
an engraving (against stripes) and dithered, noise of single pixels, and a check of single pixels.
Each pair is a line of JSON, and what a file has already is not run again. `--table` prints the
table of a file.

Each pair is run by the default solver as it is, and with `max_rise` infinite, which takes every
step. Where the latter never exceeds the limit, the two are the same steps, and one is run.
"""

import argparse
import functools
import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxstyle
from jaxstyle import solvers
from jaxstyle.losses.features import prepare_params, settle
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.presets import Preset, get_preset
from jaxstyle.optimization.step import Problem
from jaxstyle.solvers import Solver
from scripts.command_line import add_data_option, make_parser
from scripts.pairs import ALL_PHOTOGRAPHS, PAINTINGS, Case, read_cases

MARKS = (100, 300)
LIMIT = 1.5
# The compact recipe's own preconditioning.
POWERS = {"compact": 0.5}
# How much longer than the one that takes every step a guarded descent may need for its loss.
PATIENCE = 1.2
_KEY = ("network", "size", "steps", "content", "style")


def engraving(photograph: np.ndarray) -> np.ndarray:
    """Thresholds a grey photograph against stripes four pixels high."""
    rows = np.arange(len(photograph))[:, None]
    return photograph > 0.5 + 0.45 * np.sin(2 * np.pi * rows / 4)


def dither(photograph: np.ndarray) -> np.ndarray:
    """Thresholds a grey photograph against a matrix of four by four pixels."""
    bayer = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
    rows, columns = np.indices(photograph.shape)
    return photograph > (bayer[rows % 4, columns % 4] + 0.5) / 16


def noise(photograph: np.ndarray) -> np.ndarray:
    """Draws each pixel black or white."""
    return np.random.default_rng(0).random(photograph.shape) > 0.5


def check(photograph: np.ndarray) -> np.ndarray:
    """Alternates black and white pixels."""
    return np.indices(photograph.shape).sum(0) % 2 == 1


HARD: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    draw.__name__: draw for draw in (engraving, dither, noise, check)
}


def draw_style(name: str, photograph: Array) -> Array:
    """Returns a hard style, black and white, as large as a photograph."""
    grey = np.asarray(photograph) @ np.array([0.299, 0.587, 0.114])
    return jnp.asarray(np.repeat(HARD[name](grey)[..., None], 3, axis=2), jnp.float32)


class Runs:
    """Runs pairs of pictures of one size with one network.

    Args:
      data: folder of the pictures.
      network: its name.
      size: longer side in pixels. All pictures get the shape 3:4, so that few programs compile.
    """

    def __init__(self, data: Path, network: str, size: int):
        self._data, self._shape = data, (3 * size // 4, size)
        self._preset: Preset = get_preset("compact" if network == "compact" else "default")
        loaded = load_network(network, normalized=self._preset.normalized or None)
        self._params = loaded.params
        power = POWERS.get(network, solvers.PRECONDITIONING)
        self._taking, self._guarded = (
            solvers.lbfgs(preconditioning=power, max_rise=rise) for rise in (math.inf, LIMIT - 1)
        )
        assert self._guarded is self._preset.solver()

    def compare(self, content: str, style: str, steps: int) -> Case:
        """Returns the worst steps and the evaluations of both solvers for a pair."""
        arrays, start = self._prepare(content, style)
        taking = np.array(list(self._losses(self._taking, arrays, start, steps)))
        taking = np.where(np.isnan(taking), math.inf, taking)
        case = {"taking": {"worst": worst_step(taking), "loss": float(np.min(taking))}}
        marks = [mark for mark in MARKS if mark <= steps]
        if worst_step(taking) <= LIMIT:
            guarded = taking
        else:
            goal, losses = np.min(taking), []
            for loss in self._losses(self._guarded, arrays, start, int(PATIENCE * steps)):
                losses.append(loss)
                if loss <= goal and len(losses) > steps:
                    break
            guarded = np.array(losses)
        case["guarded"] = {
            "worst": worst_step(guarded),
            "taken_back": int(np.sum(guarded[1:] == guarded[:-1])),
            "loss": float(np.min(guarded)),
            "evaluations": {mark: reached(guarded, np.min(taking[: mark + 1])) for mark in marks},
        }
        return case

    def _prepare(self, content_name: str, style_name: str) -> tuple[Any, Array]:
        content = jaxstyle.load_image(self._data / "content" / content_name, shape=self._shape)
        if style_name in HARD:
            style = draw_style(style_name, content)
        else:
            style = jaxstyle.load_image(self._data / "style" / style_name, shape=self._shape)
        spec = settle(self._preset.spec, content)
        targets = jaxstyle.compute_targets(self._params, content, style, spec)
        weights = self._preset.weights(self._params, self._shape).resolve(spec)
        return (prepare_params(self._params, self._shape, spec), targets, weights), content

    def _losses(self, solver: Solver, arrays: Any, start: Array, steps: int) -> Iterator[float]:
        """Yields the loss of the start and of the image that each step ends at."""
        problem = Problem(settle(self._preset.spec, start), solver, False, None)
        step = step_of(problem)
        # The program of the steps evaluates the start too, as in a descent.
        assert solver.begin is not None
        value = jax.eval_shape(problem.objective(arrays), start)
        zero = jax.tree.map(lambda form: jnp.zeros(form.shape, form.dtype), value)
        at_rest, _ = solver.init(lambda _: zero, start)
        state, info = solver.begin(step(at_rest, arrays)[0])
        yield float(info.loss)
        for _ in range(steps):
            state, info = step(state, arrays)
            yield float(info.loss)


@functools.cache
def step_of(problem: Problem) -> Any:
    """Returns the compiled step of a solver, which reports where it is, not the best image."""
    return jax.jit(lambda state, arrays: problem.solver.step(problem.objective(arrays), state))


def worst_step(losses: np.ndarray) -> float:
    """Returns the greatest ratio of a step's loss to the least one before it."""
    return float(np.max(losses[1:] / np.minimum.accumulate(losses)[:-1]))


def reached(losses: np.ndarray, goal: float) -> int | None:
    """Returns after how many steps a loss is reached, or None if it is not."""
    there = losses <= goal
    return int(np.argmax(there)) if there.any() else None


def print_table(cases: list[Case]) -> None:
    """Prints a line of Markdown for each network, size and kind of style.

    Paintings whose steps leap have a line of their own. Of a pair that was run for several numbers
    of steps, the longest run counts.
    """
    by_steps = sorted(cases, key=lambda case: int(case["steps"]))
    longest = {tuple(case[name] for name in _KEY if name != "steps"): case for case in by_steps}
    marks = "".join(f" to {mark} |" for mark in MARKS)
    print("| network, px | style | pairs | every step | guarded | taken back |" + marks)
    print("| --- " * (6 + len(MARKS)) + "|")

    def group(case: Case) -> tuple[str, int, int, str]:
        style = case["style"]
        if style in HARD:
            return case["network"], case["size"], list(HARD).index(style), style
        leaps = case["taking"]["worst"] > LIMIT
        kind = f"paintings {'with' if leaps else 'without'} a leap"
        return case["network"], case["size"], int(leaps) - 2, kind

    for (network, size, _, kind), members in itertools.groupby(
        sorted(longest.values(), key=group), group
    ):
        each = list(members)
        guarded = [case["guarded"] for case in each]
        taking = max(case["taking"]["worst"] for case in each)
        row = [f"{network}, {size}", kind, str(len(each)), f"{taking:.3g}".replace("e+0", "e")]
        if taking <= LIMIT:
            row.append("the same steps")
        else:
            row.append(f"{max(side['worst'] for side in guarded):.3g}")
        row.append(str(sum(side["taken_back"] for side in guarded)))
        for mark in map(str, MARKS):
            counts = [
                (side["evaluations"][mark], int(PATIENCE * case["steps"]))
                for case, side in zip(each, guarded, strict=True)
                if mark in side["evaluations"]
            ]
            counts.sort(key=lambda each: math.inf if each[0] is None else each[0])
            texts = [
                f"over {limit}" if count is None else str(count)
                for count, limit in (*counts[:1], *counts[-1:])
            ]
            row.append(" to ".join(dict.fromkeys(texts)))
        print("| " + " | ".join(row) + " |")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.benchmarks.solver_steps", __doc__)
    add = parser.add_argument
    add_data_option(parser)
    add("-o", "--output", type=Path, required=True, help="file of JSON lines to add to")
    add("--table", action="store_true", help="print the table of the file and run nothing")
    add("--networks", nargs="+", default=["compact", "vgg19"], help="names of networks")
    add("--sizes", nargs="+", type=int, default=[96, 256], help="longer sides in pixels")
    add("--steps", type=int, default=300, help="steps of a descent")
    add("--photographs", nargs="+", default=ALL_PHOTOGRAPHS, help="files in content")
    add("--styles", nargs="+", default=[*PAINTINGS, *HARD], help="files in style, and hard styles")
    options = parser.parse_args(arguments)
    for name, least in (("sizes", 1), ("steps", 1)):
        if min(np.atleast_1d(getattr(options, name))) < least:
            parser.error(f"--{name} should be at least {least}")
    try:
        cases = read_cases(options.output)
        if options.table:
            print_table(cases)
        else:
            run(options, {tuple(case[name] for name in _KEY) for case in cases})
    except (OSError, ValueError) as error:
        parser.error(str(error))


def run(arguments: argparse.Namespace, done: set[tuple[Any, ...]]) -> None:
    """Runs what is not done, and adds a line for each pair."""
    with arguments.output.open("a", encoding="utf-8") as file:
        for network, size in itertools.product(arguments.networks, arguments.sizes):
            runs = Runs(arguments.data, network, size)
            for content, style in itertools.product(arguments.photographs, arguments.styles):
                key = (network, size, arguments.steps, content, style)
                if key not in done:
                    case = runs.compare(content, style, arguments.steps)
                    print(
                        json.dumps(dict(zip(_KEY, key, strict=True)) | case), file=file, flush=True
                    )


if __name__ == "__main__":
    main()
