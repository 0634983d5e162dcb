"""Measures whether a larger picture keeps the composition, and is more than an enlargement.

    python -m scripts.reproduction.larger_pictures --data DATA -o larger

For five pairs of a photograph and a painting, `jaxstyle stylize` makes a small picture and
`jaxstyle larger` a larger one of it; both stay in the folder. Each line of JSON has the structural
similarity of the larger picture, reduced, with the small one (by luminance, 1 at best), and the
style loss of the larger picture as a fraction of that of the small one merely enlarged. Both losses
are taken at the large size, against the painting at that size, by the network that makes the
pictures.
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp

import jaxstyle
from jaxstyle import color, evaluate
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.cli import main as run_command
from jaxstyle.image import pixels
from jaxstyle.losses.spec import LossSpec
from jaxstyle.networks import vgg
from jaxstyle.networks.load import load_network
from scripts.command_line import add_data_option, make_parser
from scripts.pairs import PAIRS

FIVE = [
    *PAIRS, ("astronaut.png", "the-scream.jpg"), ("sklearn_flower.jpg", "water-lilies.jpg"),
]  # fmt: skip


def compare(params: vgg.Params, small: jax.Array, large: jax.Array,
            content: jax.Array, style: jax.Array) -> dict[str, float]:  # fmt: skip
    """Returns what is measured of a larger picture.

    Args:
      params: the judging network's parameters.
      small: the small picture.
      large: the larger one.
      content: the photograph, of the size of the larger picture.
      style: the painting, as large as for the larger picture.
    """
    spec = LossSpec()
    targets = jaxstyle.compute_targets(params, content, style, spec)
    enlarged = jnp.clip(pixels.resize(small, large.shape[:2]), 0, 1)

    def style_loss(image: jax.Array) -> float:
        losses = evaluate.losses_by_layer(params, image, targets, spec=spec)
        return sum(float(losses[f"style/{layer}"]) for layer in spec.style_layers)

    reduced = pixels.quantize(pixels.resize(large, small.shape[:2]))
    likeness = evaluate.structural_similarity(color.luminance(reduced), color.luminance(small))
    return {
        "similarity": round(float(likeness), 3),
        "style_of_enlargement": round(style_loss(large) / style_loss(enlarged), 4),
    }


def main(arguments: list[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.reproduction.larger_pictures", __doc__)
    add = parser.add_argument
    add_data_option(parser)
    add("--network", default="compact", help="the network: its name, or a file")
    add("--small", type=int, default=256, help="longer side of the small pictures in pixels")
    add("--large", type=int, default=512, help="longer side of the large pictures in pixels")
    add("--steps", type=int, default=60, help="steps of the small pictures")
    add("-o", "--output", type=Path, required=True, help="folder for the pictures")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        measure(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))


def measure(options: argparse.Namespace) -> None:
    """Makes the pictures that are not there yet, and prints a line for each pair."""
    params = load_network(options.network, normalized=True).params
    for names in FIVE:
        content, style = (
            options.data / kind / name
            for kind, name in zip(("content", "style"), names, strict=True)
        )
        small, large = (
            options.output / f"{content.stem}--{style.stem}-{size}.png"
            for size in (options.small, options.large)
        )
        lines = {
            small: ["stylize", content, style, "--size", options.small, "--steps", options.steps],
            large: [
                "larger", small, "--size", options.large, "--content", content, "--style", style,
            ],
        }  # fmt: skip
        for made, line in lines.items():
            words = [*map(str, line), "--network", options.network, "-o", str(made), "--quiet"]
            if not made.exists() and run_command(words):
                raise ValueError(f"{made} was not made")
        seen = [jaxstyle.load_image(path, options.large) for path in (content, style)]
        found = compare(params, jaxstyle.load_image(small), jaxstyle.load_image(large), *seen)
        print(json.dumps({"content": content.stem, "style": style.stem, **found}), flush=True)


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
