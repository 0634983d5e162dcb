"""Measures which positions on the way from the photograph to a texture are equal steps apart.

    python -m scripts.reproduction.calibrate_strength --data DATA -o strength.jsonl [--network FILE]

Every pair is painted at many positions: from a style that hardly counts to the recipe's, and then
from more and more noise (`jaxstyle.optimization.strength` says why). For each there is a line of
JSON: what is left of the photograph's own style loss, the mean over layers, and the structural
similarity to the photograph. (The content term will not do: it hardly tells a picture whose forms
are blurred from one that has none.) `--table` prints the positions at which the picture has changed
by a tenth of the way, by two tenths, and so on: those of the strengths from 10 to 100.

Half of the change is how much of the way to the painting's style is gone, in distances, which are
roots of losses. The other half is how much of the similarity is gone. Each is relative to the end
of the way, and the change is the mean over all pairs.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from jax import Array

import jaxstyle
from jaxstyle.color import luminance
from jaxstyle.evaluate import structural_similarity
from jaxstyle.losses.objective import ObjectiveValue
from jaxstyle.networks.load import Network, load_network
from jaxstyle.optimization.presets import Preset, get_preset
from jaxstyle.optimization.strength import STRENGTHS, fade, strength_at, weaken
from scripts.command_line import add_data_option, make_parser
from scripts.pairs import ALL_PHOTOGRAPHS, PAINTINGS, Case, read_cases

POSITIONS = (-5.0, -4.0, -3.0, -2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0)
_objective = jax.jit(jaxstyle.objective, static_argnames="spec")


def measure(options: argparse.Namespace, file: Path) -> None:
    """Appends the lines of the pairs that are not there yet."""
    network = load_network(options.network, normalized=True)
    preset = get_preset("compact" if network.metadata["network"] == "compact" else "default")
    known = {(line["content_file"], line["style_file"]) for line in read_cases(file)}
    for photograph in options.photographs:
        for painting in options.paintings:
            if (photograph, painting) in known:
                continue
            content = jaxstyle.load_image(options.data / "content" / photograph, size=options.size)
            style = jaxstyle.load_image(options.data / "style" / painting, size=options.size)
            with file.open("a", encoding="utf-8") as out:
                for line in paint(network, preset, content, style, options.steps):
                    names = {"content_file": photograph, "style_file": painting}
                    print(json.dumps(names | line), file=out)


def paint(network: Network, preset: Preset, content: Array, style: Array, steps: int) -> list[Case]:
    """Returns what becomes of a pair at each position."""
    params, spec = network.params, preset.spec
    weights = preset.weights(params, content.shape[:2]).resolve(spec)
    targets = jaxstyle.compute_targets(params, content, style, spec)
    before = _objective(content, params, targets, weights, spec=spec)
    found = []
    for position in POSITIONS:
        strength = strength_at(position)
        made = jaxstyle.stylize(
            params, content, style, spec=spec, num_steps=steps, solver=preset.solver(),
            weights=weaken(weights, strength.multiple, preset.smoothing),
            init=fade(content, strength.fade, params, jax.random.key(0)),
        )  # fmt: skip
        value = _objective(made.image, params, targets, weights, spec=spec)
        similarity = float(structural_similarity(luminance(content), luminance(made.image)))
        left = style_left(before, value)
        found.append({"position": position, "style_left": left, "similarity": similarity})
    return found


def style_left(before: ObjectiveValue, value: ObjectiveValue) -> float:
    """Returns what is left of the style loss, the mean over layers."""
    left = [
        value.terms[name] / start
        for name, start in before.terms.items()
        if name.startswith("style/")
    ]
    return float(np.mean(left))


def changes(lines: Sequence[Case]) -> np.ndarray:
    """Returns how much pictures have changed at each of the positions, from 0 to 1.

    Example:
      >>> lines = [
      ...     {
      ...         "content_file": "a", "style_file": "b",
      ...         "position": x, "style_left": y, "similarity": z,
      ...     }
      ...     for x, y, z in ((-2.0, 1.0, 1.0), (-1.0, 0.25, 0.6), (0.0, 0.0, 0.2))
      ... ]
      >>> changes(lines).tolist()
      [0.0, 0.5, 1.0]
    """
    pairs = dict.fromkeys((line["content_file"], line["style_file"]) for line in lines)
    found = []
    for pair in pairs:
        rows = [line for line in lines if (line["content_file"], line["style_file"]) == pair]
        rows.sort(key=lambda line: line["position"])
        style = 1 - np.sqrt([row["style_left"] for row in rows])
        lost = 1 - np.array([row["similarity"] for row in rows])
        found.append((style / style[-1] + lost / lost[-1]) / 2)
    return np.mean(found, axis=0)


def print_table(lines: Sequence[Case]) -> None:
    """Prints the positions of the strengths, and the strength of the recipe itself."""
    positions = np.array(sorted({line["position"] for line in lines}))
    change = np.maximum.accumulate(changes(lines))
    print("| strength | position |\n| --- | --- |")
    for strength in STRENGTHS:
        print(f"| {strength} | {np.interp(strength / 100, change, positions):.2f} |")
    print(f"| {100 * np.interp(0.0, positions, change):.0f} | 0 |")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.reproduction.calibrate_strength", __doc__)
    add = parser.add_argument
    add_data_option(parser)
    add("-o", "--output", type=Path, required=True, help="file of JSON lines to add to")
    add("--table", action="store_true", help="print the table of the file and run nothing")
    add("--network", default="compact", help="by name or file")
    add("--photographs", nargs="+", default=ALL_PHOTOGRAPHS, help="files in content")
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
