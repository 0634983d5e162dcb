"""Measures by which multiples of the style's weight pictures change by equal steps.

    python -m scripts.reproduction.calibrate_strength --data DATA -o strength.jsonl [--network FILE]

Every pair is painted with many multiples of the style's weight. For each there is a line of JSON:
what is left of the photograph's own style loss, the mean over layers, and the content term, both as
the network sees them. `--table` prints the multiples for which the picture has changed by a tenth
of the way, by two tenths, and so on: a scale of strengths from 10 to 100.

The change is counted in distances, which are the roots of losses: half of it is how much of the way
to the painting's style is gone, and half how far the content is away, relative to the greatest
multiple. It is the mean over all pairs.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

import jaxstyle
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.grid import stylize_grid
from jaxstyle.optimization.presets import get_preset
from scripts.benchmarks.fast_ways import PHOTOGRAPHS
from scripts.command_line import add_data_option, make_parser
from scripts.pairs import PAINTINGS, Case, read_cases

EXPONENTS = np.arange(-5, 4.01, 0.5)
"""The decimal logarithms of the multiples."""


def measure(options: argparse.Namespace, file: Path) -> None:
    """Appends the lines of the photographs that are not there yet."""
    network = load_network(options.network, normalized=True)
    preset = get_preset("compact" if network.metadata["network"] == "compact" else "default")
    known = {line["content_file"] for line in read_cases(file)}
    for photograph in options.photographs:
        if photograph in known:
            continue
        content = jaxstyle.load_image(options.data / "content" / photograph, size=options.size)
        styles = [
            jaxstyle.load_image(options.data / "style" / name, size=options.size)
            for name in options.paintings
        ]
        weights = preset.weights(network.params, content.shape[:2]).resolve(preset.spec)
        grid = stylize_grid(
            network.params, [content], styles,
            [scaled_weights(weights, 10.0**each) for each in EXPONENTS],
            spec=preset.spec, solver=preset.solver(), num_steps=options.steps,
        )  # fmt: skip
        terms = jax.device_get(grid.info.terms)
        with file.open("a", encoding="utf-8") as out:
            for s, painting in enumerate(options.paintings):
                for k, exponent in enumerate(EXPONENTS):
                    line = describe({name: rows[0, s, k] for name, rows in terms.items()})
                    names = {"content_file": photograph, "style_file": painting}
                    print(json.dumps({**names, "exponent": float(exponent), **line}), file=out)


def scaled_weights(weights: jaxstyle.LossWeights, factor: float) -> jaxstyle.LossWeights:
    """Returns weights in which all but the content counts so many times as much."""
    return dataclasses.replace(
        weights,
        style=weights.style * factor,
        total_variation=weights.total_variation * min(1.0, factor),
    )


def describe(terms: dict[str, np.ndarray]) -> Case:
    """Returns what is left of the style and what the content has come to, at the last step."""
    style = [rows[-1] / rows[0] for name, rows in terms.items() if name.startswith("style/")]
    content = sum(rows[-1] for name, rows in terms.items() if name.startswith("content/"))
    return {"style_left": float(np.mean(style)), "content": float(content)}


def changes(lines: Sequence[Case]) -> np.ndarray:
    """Returns how much pictures have changed for each of the exponents, from 0 to 1.

    Example:
      >>> lines = [
      ...     {"content_file": "a", "style_file": "b", "exponent": x, "style_left": y, "content": z}
      ...     for x, y, z in ((0.0, 1.0, 0.0), (1.0, 0.25, 1.0), (2.0, 0.0, 4.0))
      ... ]
      >>> changes(lines).tolist()
      [0.0, 0.5, 1.0]
    """
    pairs = dict.fromkeys((line["content_file"], line["style_file"]) for line in lines)
    found = []
    for pair in pairs:
        rows = [line for line in lines if (line["content_file"], line["style_file"]) == pair]
        rows.sort(key=lambda line: line["exponent"])
        style = 1 - np.sqrt([row["style_left"] for row in rows])
        content = np.sqrt([row["content"] for row in rows])
        found.append((style / style[-1] + content / content[-1]) / 2)
    return np.mean(found, axis=0)


def print_table(lines: Sequence[Case]) -> None:
    """Prints the exponents of strengths 10, 20, … 100, and the strength of the recipe itself."""
    exponents = np.array(sorted({line["exponent"] for line in lines}))
    change = np.maximum.accumulate(changes(lines))
    print("| strength | exponent |\n| --- | --- |")
    for tenth in range(1, 11):
        print(f"| {10 * tenth} | {np.interp(tenth / 10, change, exponents):.2f} |")
    print(f"| {100 * np.interp(0.0, exponents, change):.0f} | 0 |")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.reproduction.calibrate_strength", __doc__)
    add = parser.add_argument
    add_data_option(parser)
    add("-o", "--output", type=Path, required=True, help="file of JSON lines to add to")
    add("--table", action="store_true", help="print the table of the file and run nothing")
    add("--network", default="compact", help="by name or file")
    add("--photographs", nargs="+", default=PHOTOGRAPHS, help="files in content")
    add("--paintings", nargs="+", default=PAINTINGS, help="files in style")
    add("--size", type=int, default=128, help="longer side in pixels")
    add("--steps", type=int, default=150, help="steps of the solver")
    options = parser.parse_args(arguments)
    if options.table:
        print_table(read_cases(options.output))
    else:
        measure(options, options.output)


if __name__ == "__main__":
    main()
