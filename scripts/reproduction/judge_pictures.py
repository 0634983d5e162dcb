r"""Scores pictures against their photograph and their painting.

    python -m scripts.reproduction.judge_pictures PICTURE [PICTURE ...] --content PHOTO \
        --style PAINTING [--json]
    python -m scripts.reproduction.judge_pictures --table --data DATA --presets default \
        --statistics gram sliced -o SHEETS

The judge is VGG-19 with its published weights. It prints four scores for each picture:

- The content loss is that at relu4_2.
- Style left is the style loss as a fraction of the photograph's own, the mean over the layers.
- Sliced left is the same for the sliced Wasserstein distance, at layers that no recipe optimises.
- SSIM is the structural similarity with the photograph.

Two pictures without any transfer come first, for comparison: the photograph itself, and the
photograph with the painting's colours.

The second form stylises 3 photographs × 7 paintings with each preset and statistic, and prints one
table. SHEETS gets the pictures, and those of each pair side by side. Another run makes only those
that are missing there.
"""

import argparse
import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import jax
import numpy as np

import jaxstyle
from jaxstyle import evaluate
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.image import pixels
from jaxstyle.image.io import load_picture
from jaxstyle.losses.statistics import StatisticName
from jaxstyle.networks import vgg
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.presets import PRESETS, Preset, get_preset
from scripts.command_line import add_data_option, make_parser
from scripts.pairs import Case
from scripts.reproduction.sheets import Sheets, digest, geometric_mean, pairs, recipe_digest

Maker = Callable[[jax.Array, jax.Array], jax.Array]
# How much the proportions of a picture and its photograph may differ, because sides are rounded.
_PROPORTION = 0.02


def as_case(name: str, scores: evaluate.Scores) -> Case:
    """Returns the scores as JSON holds them."""
    return {"picture": name, **jax.tree.map(float, scores._asdict())}


def judge_pictures(paths: Sequence[Path], content: Path, style: Path, judge: Any) -> list[Case]:
    """Scores pictures of one size, and the baselines at that size."""
    pictures = {str(path): jaxstyle.load_image(path) for path in paths}
    first = next(iter(pictures.values()))
    for name, picture in pictures.items():
        if picture.shape != first.shape:
            raise ValueError(
                f"{name}: of {_size(picture.shape)} pixels, but {paths[0]} of "
                f"{_size(first.shape)}; give those of one size together"
            )
    shape = (first.shape[0], first.shape[1])
    given = load_picture(content).image.shape
    if abs(given[0] / given[1] * shape[1] / shape[0] - 1) > _PROPORTION + 1 / min(shape):
        raise ValueError(
            f"{content}: of {_size(given)} pixels, which {paths[0]} with {_size(shape)} is no "
            "scaled copy of; give the photograph that it was made from"
        )
    scores = evaluate.evaluate(
        judge, pictures, jaxstyle.load_image(content, shape=shape),
        jaxstyle.load_image(style, max(shape)),
    )  # fmt: skip
    return [as_case(name, found) for name, found in scores.items()]


def _size(shape: Sequence[int]) -> str:
    return f"{shape[0]}×{shape[1]}"


def markdown(rows: Iterable[tuple[str, Sequence[Case]]]) -> str:
    """Returns a table with a line for each name.

    Its scores are geometric means over the cases of that name; that of SSIM is the plain mean.
    """
    lines = [
        "| picture | content loss | style left | sliced left | SSIM |",
        "|---|---|---|---|---|",
    ]
    for name, cases in rows:
        content, style, sliced = (
            geometric_mean([np.mean(list(case[part].values())) for case in cases])
            for part in ("content", "style_left", "sliced_left")
        )
        similarity = np.mean([case["similarity"] for case in cases])
        lines.append(f"| {name} | {content:.4g} | {style:.4f} | {sliced:.4f} | {similarity:.3f} |")
    return "\n".join(lines)


class Entry:
    """Makes the pictures of one line of the table: a preset with a statistic."""

    def __init__(self, preset: Preset, statistic: Any, params: vgg.Params, steps: int):
        self.name = f"{preset.name}, {statistic}"
        self._preset, self._params, self._steps = preset, params, steps
        self._spec = dataclasses.replace(preset.spec, statistic=statistic)

    def _options(self, shape: tuple[int, int]) -> dict[str, Any]:
        weights = self._preset.weights(self._params, shape, self._spec)
        changes = {"spec": self._spec, "weights": weights, "num_steps": self._steps}
        return self._preset.options(self._params, shape) | changes

    def fingerprint(self) -> str:
        """Returns a digest of what the pictures depend on besides the pair."""
        options = self._options((64, 64))
        options["weights"] = options["weights"].resolve(self._spec)
        return recipe_digest(self._preset.name, options, self._params)

    def __call__(self, content: jax.Array, style: jax.Array) -> jax.Array:
        """Makes the picture of a pair, as it would be saved."""
        options = self._options((content.shape[0], content.shape[1]))
        result = jaxstyle.stylize(self._params, content, style, **options)
        return pixels.quantize(result.image)


def make_entries(arguments: argparse.Namespace) -> list[Entry]:
    """Returns every preset with every statistic."""
    entries = []
    for name in arguments.presets:
        preset = get_preset(name)
        file = arguments.network if preset.network == "vgg19" else preset.network
        network = load_network(file, normalized=preset.normalized)
        params = preset.prepare(network.params, network.metadata["weights"])
        for statistic in arguments.statistics:
            if statistic != "gram" and preset.weights(params, (64, 64)).style is not None:
                raise ValueError(
                    f"--statistics {statistic}: preset {name} has weights for Gram matrices alone; "
                    "use default or compact"
                )
            entries.append(Entry(preset, statistic, params, arguments.steps))
    return entries


def judge_recipes(
    arguments: argparse.Namespace, judge: vgg.Params
) -> list[tuple[str, Sequence[Case]]]:
    """Returns the lines of the table, and the cases of each line."""
    entries = make_entries(arguments)
    judged_by = digest(str(arguments.size), judge)
    cases: dict[str, list[Case]] = {}
    sheets = Sheets(arguments.output)
    for content_name, style_name, pair in pairs(arguments.data, arguments.size, arguments.pairs):
        reference = functools.cache(functools.partial(evaluate.compute_reference, judge, *pair))
        stem, row = f"{Path(content_name).stem}--{Path(style_name).stem}", list(pair)
        makers: dict[str, tuple[str, Maker]] = {
            name: ("", lambda content, style, name=name: evaluate.baselines(content, style)[name])
            for name in evaluate.BASELINES
        } | {entry.name: (entry.fingerprint(), entry) for entry in entries}
        for name, (fingerprint, make) in makers.items():
            label = name.replace(", ", "-").replace(" ", "-")
            key = "--".join(filter(None, (stem, label, fingerprint, judged_by)))
            found = sheets.find(key)
            if found is None:
                image = make(*pair)
                case = as_case(name, evaluate.score(judge, image, reference()))
                sheets.keep(case | {"key": key}, image)
            else:
                image, case = found
            cases.setdefault(name, []).append(case)
            row.append(image)
        sheets.row(f"{stem}--{digest(' '.join(makers))}", row)
    return list(cases.items())


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("scripts.reproduction.judge_pictures", __doc__)
    add = parser.add_argument
    add("pictures", nargs="*", type=Path, metavar="PICTURE")
    add("--content", type=Path, help="the photograph that the pictures were made from")
    add("--style", type=Path, help="the painting that the pictures were made from")
    add("--network", default="vgg19", help="the judge: VGG-19, or a file of it")
    add("--json", action="store_true", help="print lines of JSON with every layer, not a table")
    add("--table", action="store_true", help="make the pictures first: the second form")
    add_data_option(parser)
    add("--presets", nargs="+", default=["default"], choices=list(PRESETS), metavar="PRESET",
        help=f"which of {', '.join(PRESETS)} (default: default)")  # fmt: skip
    add("--statistics", nargs="+", default=["gram"], choices=get_args(StatisticName),
        metavar="STATISTIC",
        help=f"which of {', '.join(get_args(StatisticName))} (default: gram)")  # fmt: skip
    add("--size", type=int, default=256, help="longer side in pixels")
    add("--steps", type=int, default=200, help="steps for each picture")
    add("--pairs", type=int, metavar="N",
        help="only the first N of the benchmarks' pairs (default: all 3 × 7 pairs)")  # fmt: skip
    add("-o", "--output", type=Path, metavar="SHEETS", help="folder for the pictures")
    arguments = parser.parse_args(argv)
    if arguments.table == bool(arguments.pictures):
        parser.error("give either pictures, with --content and --style, or --table")
    if arguments.pictures and not (arguments.content and arguments.style):
        parser.error("--content and --style are needed: what the pictures were made from")
    try:
        judge = load_network(arguments.network, normalized=False).params
        if arguments.table:
            print(markdown(judge_recipes(arguments, judge)))
            return
        cases = judge_pictures(arguments.pictures, arguments.content, arguments.style, judge)
    except (OSError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")
    if arguments.json:
        print("\n".join(json.dumps(case) for case in cases))
    else:
        print(markdown((case["picture"], [case]) for case in cases))


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
