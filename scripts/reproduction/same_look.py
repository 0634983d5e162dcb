"""Measures whether a large picture looks like the small one.

    python -m scripts.reproduction.same_look --network compact --data DATA -o same-look.jpg

A photograph is stylised at 512 px, and then twice at 1536 px. One of the large pictures is made at
once. The other is made coarse to fine, from about 512 px on in sizes that grow by √2; the first
size gets as many steps as the small picture, the others half as many. The painting keeps its size
relative to the photograph.

VGG-19 with its published weights judges all three at 512 px, to which the large ones are reduced.
One score is the style loss as a fraction of the photograph's own; that of the small picture shows
how low the method gets it. The other score is the structural similarity with the small picture.
One line of JSON is printed for each picture, and a page of them is drawn.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from PIL import Image

import jaxstyle
from jaxstyle import color, evaluate, presets
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.image import contact_sheet, pixels
from jaxstyle.networks import vgg
from jaxstyle.networks.load import load_network
from jaxstyle.optimization import multiscale
from jaxstyle.optimization.sizes import scaled_shape
from scripts.command_line import add_data_option, make_parser
from scripts.pairs import PAIRS

_COLUMN = 384


def make(
    arguments: argparse.Namespace, params: vgg.Params, content: jax.Array, style: jax.Array
) -> dict[str, jax.Array]:
    """Makes the small picture, and the large ones."""
    small, large, steps = arguments.small, arguments.large, arguments.steps
    options = presets.get_preset(arguments.preset).options(params, (small, small))
    del options["num_steps"]
    sizes = multiscale.automatic_sizes(large, small)
    counts = [steps, *[max(1, steps // 2)] * (len(sizes) - 1)]
    ways = {
        f"{small} px": ([small], [steps]),
        f"{large} px at once": ([large], [steps]),
        f"{', '.join(map(str, sizes))} px": (sizes, counts),
    }
    return {
        name: multiscale.stylize_coarse_to_fine(
            params, content, style, multiscale.make_scales(*way), **options
        ).image
        for name, way in ways.items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.reproduction.same_look", __doc__)
    add = parser.add_argument
    add_data_option(parser)
    add("--network", default="vgg19",
        help="the network that makes the pictures: its name, or a file")  # fmt: skip
    add("--preset", default="default", help="its recipe")
    add("--judge", default="vgg19", help="VGG-19, or a file of it")
    add("--small", type=int, default=512, help="longer side of the small picture in pixels")
    add("--large", type=int, default=1536, help="longer side of the large pictures in pixels")
    add("--steps", type=int, default=200, help="steps at the first size")
    add("-o", "--output", type=Path, help="file for a page of the pictures")
    options = parser.parse_args(arguments)
    if options.large <= options.small:
        parser.error(f"--large should be more than --small, got {options.large}")
    try:
        compare(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))


def compare(arguments: argparse.Namespace) -> None:
    """Makes the pictures, judges them, prints the scores and draws the page."""
    params = load_network(arguments.network, normalized=True).params
    judge = load_network(arguments.judge, normalized=False).params
    names = zip(("content", "style"), PAIRS[0], strict=True)
    content, style = (
        jaxstyle.load_image(arguments.data / kind / name, arguments.large) for kind, name in names
    )
    made = make(arguments, params, content, style)
    first = next(iter(made.values()))
    seen_content, seen_style = (
        pixels.resize(each, scaled_shape(each.shape[:2], arguments.small))
        for each in (content, style)
    )
    reference = evaluate.compute_reference(judge, seen_content, seen_style, withheld=())
    cells = []
    for name, picture in made.items():
        seen = pixels.quantize(pixels.resize(picture, first.shape[:2]))
        left = evaluate.score(judge, seen, reference).style_left
        likeness = evaluate.structural_similarity(color.luminance(seen), color.luminance(first))
        case = {
            "picture": name,
            "style_left": round(float(np.mean(list(left.values()))), 4),
            "by_layer": [round(float(each), 4) for each in left.values()],
            "similarity": round(float(likeness), 3),
        }
        print(json.dumps(case), flush=True)
        shown = Image.fromarray(np.asarray(seen * 255).round().astype(np.uint8))
        shown.thumbnail((_COLUMN, _COLUMN))
        cells.append(contact_sheet.Cell(shown, [name, f"style left {case['style_left']:.3f}"]))
    if arguments.output:
        page = contact_sheet.draw_page([""] * len(cells), [""], [cells], _COLUMN)
        contact_sheet.save_page(arguments.output, page, quality=88)


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
