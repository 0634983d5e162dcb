r"""Compares ways to match pieces of paintings with ways that compare statistics.

    python -m scripts.benchmarks.neighbours --data DATA --judge VGG19 -o SHEETS [--network NET] \
        [--ways gram strotss ...] [--pairs N] [--size N] [--steps N]

Stylises photographs with paintings in each of the ways, judges the pictures by VGG-19 with its
published weights, and prints one table. SHEETS gets the pictures, those of each pair side by side,
and a line of JSON for each, so another run makes only those that are missing there. Geometric means
are over the pairs, but for SSIM, distinct and cosine, whose means are plain:

- style left and sliced left, as in `scripts.reproduction.judge_pictures`;
- similarity error: how far places are from being to each other as they are in the photograph, at
  relu3_1 and relu4_1; CFSD is another such measure, at relu3_1;
- SSIM with the photograph;
- distinct: different pieces of the painting that are nearest to places of the picture, as a share
  of all places, and cosine, how near they are; both the means of relu3_1 and relu4_1;
- time: the seconds that a picture took, as a ratio to those of the first way, the median over the
  pairs. The first pair's have compiling in them.

A way works at one size, but for strotss, which begins at 64 pixels and has as many steps in all,
and the first stage of nnst, which has 50 steps at each size on top of them.
"""

import argparse
import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import jaxstyle
from jaxstyle import evaluate, solvers
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.image import pixels
from jaxstyle.losses.content import get_content_loss
from jaxstyle.losses.targets import draw_places
from jaxstyle.networks.load import load_network
from jaxstyle.optimization import transfer
from jaxstyle.optimization.compact import is_compact
from jaxstyle.optimization.multiscale import make_scales
from jaxstyle.optimization.presets import get_preset
from jaxstyle.solvers import Solver
from scripts.command_line import add_data_option, make_parser
from scripts.pairs import PAINTINGS, PHOTOGRAPHS, Case
from scripts.reproduction.judge_pictures import as_case
from scripts.reproduction.sheets import Sheets, digest, geometric_mean, pairs

COLUMNS = (
    "style left", "sliced left", "error at relu3_1", "at relu4_1", "CFSD", "SSIM", "distinct",
    "cosine",
)  # fmt: skip


class Way(NamedTuple):
    """A way to make a picture.

    Attributes:
      preset: the recipe.
      spec: what of its spec is replaced.
      init: where to start; empty for the recipe's own start.
      redraw: steps after which other places are compared; 0 for the same in all.
      solver: one of `SOLVERS`, in place of the recipe's own.
      stages: 1 for the start alone.
    """

    preset: str = "default"
    spec: dict[str, Any] = {}  # noqa: RUF012 (never changed)
    init: str = ""
    redraw: int = 0
    solver: str = ""
    stages: int = 2

    @property
    def text(self) -> str:
        """What the picture depends on; what is not as by default is said after the first two."""
        plain = Way()
        others = [
            f"{name}={value!r}"
            for name, value in self._asdict().items()
            if name not in ("preset", "spec") and value != getattr(plain, name)
        ]
        return " ".join([f"Way(preset={self.preset!r}, spec={self.spec!r})", *others])


SOLVERS: dict[str, Callable[[], Solver]] = {
    "rmsprop": functools.cache(
        lambda: solvers.precondition(solvers.from_optax(optax.rmsprop(2e-3, decay=0.99)), 0.5)
    ),
}
"""Ways to minimise that are compared with the recipes' own."""
_LAYOUT = {
    "content_loss": "self-similarity", "content_layers": get_content_loss("self-similarity").layers,
}  # fmt: skip
WAYS = {
    "gram": Way(),
    "covariance": Way(spec={"statistic": "covariance"}),
    "sliced": Way(spec={"statistic": "sliced"}),
    "gram, self-similarity": Way(spec=_LAYOUT),
    "gram, places": Way(spec={"places": True}),
    "layout": Way("layout"),
    "covariance, places": Way(spec={"statistic": "covariance", "places": True}),
    "strotss": Way("strotss"),
    "strotss, drawn anew": Way("strotss", redraw=20),
    "strotss, rmsprop": Way("strotss", solver="rmsprop"),
    "nnst": Way("nnst", init="rearranged"),
    "nnst, first stage": Way("nnst", init="rearranged", stages=1),
    "nnst, second stage": Way("nnst", init="matched"),
    "mrf": Way("mrf"),
    "contextual": Way("contextual"),
}


def make(way: Way, params: Any, content: jax.Array, style: jax.Array, steps: int) -> jax.Array:
    """Makes a picture in a way, as it would be saved."""
    suited = "compact" if is_compact(params) else "default"
    preset = get_preset(suited if way.preset == "default" else way.preset)
    spec = dataclasses.replace(preset.spec, **way.spec)
    sizes = preset.sizes(max(content.shape))
    each = max(1, steps // len(sizes))
    solver = SOLVERS[way.solver]() if way.solver else preset.solver()
    image: Any = way.init or preset.init
    for scale in make_scales(sizes, [each] * len(sizes)):
        ratio = scale.size / max(content.shape)
        small = [pixels.resize(x, _scaled(x, ratio)) for x in (content, style)]
        shape = small[0].shape[:2]
        begun = image if isinstance(image, str) else pixels.resize(image, shape)
        image = transfer.start_image(begun, params, *small)
        if way.stages == 1:
            continue
        targets = jaxstyle.compute_targets(params, *small, spec)
        weights, chunk = preset.weights(params, shape, spec), way.redraw or scale.num_steps
        for done in range(0, scale.num_steps, chunk):
            if way.redraw:
                targets = draw_places(targets, jax.random.key(done))
            image = jaxstyle.optimize(
                image, params, targets, spec=spec, weights=weights, solver=solver,
                num_steps=min(chunk, scale.num_steps - done),
            ).image  # fmt: skip
    return pixels.quantize(image)


def _scaled(image: jax.Array, ratio: float) -> tuple[int, int]:
    return max(1, round(image.shape[0] * ratio)), max(1, round(image.shape[1] * ratio))


def numbers(case: Case) -> list[float]:
    """Returns what a line of the table says of one picture."""
    error = case["self_similarity"]
    return [
        _mean(case["style_left"]), _mean(case["sliced_left"]), error["relu3_1"], error["relu4_1"],
        _mean(case["structure"]), case["similarity"], _mean(case["distinct"]),
        _mean(case["cosine"]),
    ]  # fmt: skip


def _mean(values: dict[str, float]) -> float:
    return float(np.mean(list(values.values())))


def markdown(rows: Sequence[tuple[str, Sequence[Case]]]) -> str:
    """Returns the table, whose first row is that of the photograph.

    Example:
      >>> case = {
      ...     "style_left": {"relu1_1": 0.5}, "sliced_left": {"relu1_2": 0.5},
      ...     "self_similarity": {"relu3_1": 0.1, "relu4_1": 0.2}, "structure": {"relu3_1": 0.3},
      ...     "similarity": 0.4, "distinct": {"relu3_1": 0.6}, "cosine": {"relu3_1": 0.7},
      ...     "seconds": 1.5,
      ... }
      >>> rows = [("content image", [case, case]), ("gram", [case, case])]
      >>> print(markdown(rows).splitlines()[-1])
      | gram | .500 | .500 | .100 | .200 | .300 | .40 | .60 | .70 | 1.00 |
    """
    lines = [f"| way | {' | '.join(COLUMNS)} | time |", "|---" * (len(COLUMNS) + 2) + "|"]
    clock = np.array([case["seconds"] for case in rows[min(1, len(rows) - 1)][1]])
    for name, cases in rows:
        table = np.array([numbers(case) for case in cases])
        means = [geometric_mean(column) for column in table.T[:5]] + list(table.mean(0)[5:])
        shown = [f"{x:.{3 if i < 5 else 2}f}".replace("0.", ".", 1) for i, x in enumerate(means)]
        ratio = np.median(np.array([case["seconds"] for case in cases]) / clock)
        lines.append(f"| {name} | {' | '.join(shown)} | {ratio:.2f} |")
    return "\n".join(lines)


def compare(arguments: argparse.Namespace) -> list[tuple[str, Sequence[Case]]]:
    """Makes and judges what is missing; returns the lines of the table with their cases."""
    judge = load_network(arguments.judge, normalized=False).params
    params = load_network(arguments.network, normalized=True).params
    sheets, cases = Sheets(arguments.output), {}
    taken = pairs(
        arguments.data, arguments.size, arguments.pairs, arguments.photographs, arguments.paintings
    )
    seen = ""
    for content_name, style_name, pair in taken:
        if content_name != seen:
            # Programs fit one shape, and those of many photographs use up a process's memory maps.
            jax.clear_caches()
            seen = content_name
        reference = functools.cache(functools.partial(evaluate.compute_reference, judge, *pair))
        stem, row = f"{Path(content_name).stem}--{Path(style_name).stem}", list(pair)
        for name in ("content image", *arguments.ways):
            way = WAYS.get(name)
            made_by = digest(
                f"{way and way.text} {arguments.steps} {arguments.size}", params, judge
            )
            key = f"{stem}--{name.replace(', ', '-').replace(' ', '-')}--{made_by}"
            found = sheets.find(key)
            if found is None:
                begun = time.perf_counter()
                image = make(way, params, *pair, arguments.steps) if way else pair[0]
                jax.block_until_ready(image)
                seconds = time.perf_counter() - begun
                case = as_case(name, evaluate.score(judge, image, reference()))
                case |= {"key": key, "seconds": seconds}
                sheets.keep(case, image)
            else:
                image, case = found
            cases.setdefault(name, []).append(case)
            row += [image] if way else []
        sheets.row(stem, row)
    return list(cases.items())


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("scripts.benchmarks.neighbours", __doc__)
    add = parser.add_argument
    add_data_option(parser)
    add("--judge", default="vgg19", help="VGG-19, by name or file (default: vgg19)")
    add("--network", default="compact", help="what the ways compare by (default: compact)")
    add("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), metavar="WAY",
        help=f"which of {'; '.join(WAYS)} (default: all)")  # fmt: skip
    add("--size", type=int, default=256, help="longer side in pixels")
    add("--steps", type=int, default=200, help="steps for each picture")
    add("--pairs", type=int, metavar="N",
        help="only the first N of the benchmarks' pairs (default: all of these)")  # fmt: skip
    add("--photographs", nargs="+", default=PHOTOGRAPHS, metavar="FILE", help="files in content")
    add("--paintings", nargs="+", default=PAINTINGS, metavar="FILE", help="files in style")
    add("-o", "--output", type=Path, metavar="SHEETS", help="folder for the pictures")
    arguments = parser.parse_args(argv)
    try:
        print(markdown(compare(arguments)))
    except (OSError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
