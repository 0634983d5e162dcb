r"""Scores pictures against their photograph and painting, beside two pictures of no transfer.

    python scripts/evaluate.py PICTURE [PICTURE ...] --content PHOTO --style PAINTING [--json]
    python scripts/evaluate.py --table --data DATA --presets default --statistics gram sliced \
        -o SHEETS

The judge is VGG-19 with its published weights. Content loss: at relu4_2. Style left: the mean over
layers of the style loss, as a fraction of the photograph's own. Sliced left: the same of the sliced
Wasserstein distance at layers that no recipe optimises. SSIM: structural similarity with the
photograph. The photograph itself and the photograph with the painting's colours come first.

The second form makes 3 photographs × 7 paintings with each preset and statistic and prints one
table; SHEETS gets the pictures, those of a pair side by side, and a rerun makes only what is
missing there.
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
from sheets import Sheets, digest, geometric_mean, pairs, recipe_digest

import jaxstyle
from jaxstyle import evaluate
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.image import pixels
from jaxstyle.image.io import load_picture
from jaxstyle.losses.statistics import StatisticName
from jaxstyle.networks import vgg
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.presets import PRESETS, Preset, get_preset

Case = dict[str, Any]
Maker = Callable[[jax.Array, jax.Array], jax.Array]
# How far the sides of a picture and its photograph may be in proportion, for rounding.
_PROPORTION = 0.02


def as_case(name: str, scores: evaluate.Scores) -> Case:
    """The scores as JSON holds them."""
    return {"picture": name, **jax.tree.map(float, scores._asdict())}


def judge_pictures(paths: Sequence[Path], content: Path, style: Path, judge: Any) -> list[Case]:
    """The scores of pictures of one size, and of the baselines at that size."""
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
    """A table with a line for each name, of geometric means over its cases; of SSIM the mean."""
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
    """One line of the table: a preset with a statistic."""

    def __init__(self, preset: Preset, statistic: Any, params: vgg.Params, steps: int):
        self.name = f"{preset.name}, {statistic}"
        self._preset, self._params, self._steps = preset, params, steps
        self._spec = dataclasses.replace(preset.spec, statistic=statistic)

    def _options(self, shape: tuple[int, int]) -> dict[str, Any]:
        weights = self._preset.weights(self._params, shape, self._spec)
        changes = {"spec": self._spec, "weights": weights, "num_steps": self._steps}
        return self._preset.options(self._params, shape) | changes

    def fingerprint(self) -> str:
        """What the pictures depend on besides the pair."""
        options = self._options((64, 64))
        options["weights"] = options["weights"].resolve(self._spec)
        return recipe_digest(self._preset.name, options, self._params)

    def __call__(self, content: jax.Array, style: jax.Array) -> jax.Array:
        """The picture as it would be saved."""
        options = self._options((content.shape[0], content.shape[1]))
        result = jaxstyle.stylize(self._params, content, style, **options)
        return pixels.quantize(result.image)


def make_entries(arguments: argparse.Namespace) -> list[Entry]:
    """Every preset with every statistic."""
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
    """The lines of the table, and each line's cases."""
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("pictures", nargs="*", type=Path, metavar="PICTURE")
    add("--content", type=Path, help="the photograph that the pictures were made from")
    add("--style", type=Path, help="the painting")
    add("--network", default="vgg19", help="the judge: VGG-19, or a file of it")
    add("--json", action="store_true", help="lines of JSON with every layer, in place of a table")
    add("--table", action="store_true", help="make pictures with presets and statistics")
    add("--data", type=Path, default=Path("../shared/data"))
    add("--presets", nargs="+", default=["default"], choices=list(PRESETS))
    add("--statistics", nargs="+", default=["gram"], choices=get_args(StatisticName))
    add("--size", type=int, default=256, help="longer side in pixels, of a table's pictures")
    add("--steps", type=int, default=200)
    add("--pairs", type=int, help="only the first so many of the benchmark's own pairs")
    add("-o", "--output", type=Path, help="folder for a table's pictures")
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
