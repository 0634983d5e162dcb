"""Draws what each method without a network makes: textures, transfers and analogies.

    python -m scripts.reproduction.without_network --data DATA -o without-network.jpg

Textures are made of three paintings, and two photographs of pieces of paintings. Texture by numbers
takes a map of the painting's four main colours for A, and a map with the same colours in other
places for B.

One line of JSON is printed for each picture. With `--folder` the pictures are kept, and a run that
was stopped goes on.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

import jaxstyle
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.image import contact_sheet, pixels
from jaxstyle.pieces.analogies import analogy, analogy_transfer, grow_texture
from jaxstyle.pieces.guides import Guide
from jaxstyle.pieces.pyramids import smoothed
from jaxstyle.pieces.quilting import quilt_texture, quilt_transfer
from jaxstyle.pieces.voting import patch_analogy, patch_texture, patch_transfer
from scripts.command_line import add_data_option, make_parser

_TEXTURES = ("water-lilies.jpg", "kandinsky_composition_vii.jpg", "starry-night.jpg")
_TRANSFERS = (
    ("astronaut.png", "starry-night.jpg"),
    ("sklearn_china.jpg", "kandinsky_composition_vii.jpg"),
)
_BY_NUMBERS = "water-lilies.jpg"
_LABELS = 4
_COLUMN = 256


class Shown(NamedTuple):
    """A picture of the page: what it is called, and what makes it."""

    caption: str
    make: Callable[[], jax.Array]


def textures(data: Path, size: int, name: str) -> list[Shown]:
    """A painting, and textures like it."""
    painting = jaxstyle.load_image(data / "style" / name, size=size)
    square = size, size
    return [
        Shown("the painting", lambda: painting),
        Shown("quilting", lambda: quilt_texture(painting, square).image),
        Shown("neighbours", lambda: patch_texture(painting, square)),
        Shown("Ashikhmin", lambda: grow_texture(painting, square).image),
    ]


def transfers(data: Path, size: int, photograph: str, name: str) -> list[Shown]:
    """A photograph, and what it is made of a painting's pieces."""
    content = jaxstyle.load_image(data / "content" / photograph, size=size)
    painting = jaxstyle.load_image(data / "style" / name, size=size)
    return [
        Shown("the photograph", lambda: content),
        Shown("quilting", lambda: quilt_transfer(content, painting).image),
        Shown("neighbours", lambda: patch_transfer(content, painting)),
        Shown("analogies", lambda: analogy_transfer(content, painting).image),
    ]


def by_numbers(data: Path, size: int) -> list[Shown]:
    """A painting, a map of its colours, another map, and the landscape of that map."""
    painting = jaxstyle.load_image(data / "style" / _BY_NUMBERS, size=size)
    labels, colors = label_map(painting)
    wanted = waves(size, colors)
    return [
        Shown("A, of the painting", lambda: labels),
        Shown("B", lambda: wanted),
        Shown("analogies", lambda: analogy(labels, painting, wanted, coherence=5.0).image),
        Shown("neighbours", lambda: patch_analogy(painting, [Guide(labels, wanted, 0.5)])),
    ]


def label_map(image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the map of an image's main colours, by k-means, and those colours, dark to light."""
    smooth = np.asarray(smoothed(smoothed(image))).reshape(-1, 3)
    order = np.argsort(smooth.sum(1))
    centres = smooth[order[np.linspace(0, len(order) - 1, 2 * _LABELS + 1).astype(int)[1::2]]]
    for _ in range(20):
        nearest = ((smooth[:, None] - centres) ** 2).sum(-1).argmin(1)
        centres = np.stack([smooth[nearest == i].mean(0) for i in range(_LABELS)])
    nearest = ((smooth[:, None] - centres) ** 2).sum(-1).argmin(1)
    return jnp.asarray(centres[nearest].reshape(image.shape)), jnp.asarray(centres)


def waves(size: int, colors: jax.Array) -> jax.Array:
    """Returns a map of colours in waves."""
    y, x = np.mgrid[:size, :size] / size
    height = y + 0.08 * np.sin(9 * x) + 0.04 * np.sin(23 * x + 2)
    return colors[np.clip((height * len(colors)).astype(int), 0, len(colors) - 1)]


def rows_of(data: Path, size: int) -> Iterator[tuple[str, list[Shown]]]:
    """Yields the rows of the page, each with its name."""
    for name in _TEXTURES:
        yield f"texture of {Path(name).stem}", textures(data, size, name)
    for photograph, name in _TRANSFERS:
        row = transfers(data, size, photograph, name)
        yield f"{Path(photograph).stem} of {Path(name).stem}", row
    yield f"{Path(_BY_NUMBERS).stem} by numbers", by_numbers(data, size)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.reproduction.without_network", __doc__)
    add_data_option(parser)
    add = parser.add_argument
    add("--size", type=int, default=256, help="longer side of the pictures in pixels")
    add("--folder", type=Path, help="keep the pictures in this folder")
    add("-o", "--output", type=Path, required=True, help="file for the page")
    options = parser.parse_args(arguments)
    try:
        draw(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))


def draw(options: argparse.Namespace) -> None:
    """Makes the pictures and draws the page."""
    titles, cells = [], []
    for title, row in rows_of(options.data, options.size):
        titles.append(title)
        cells.append([made(options.folder, title, shown) for shown in row])
    page = contact_sheet.draw_page([""] * 4, titles, cells, _COLUMN)
    contact_sheet.save_page(options.output, page, quality=88)


def made(folder: Path | None, title: str, shown: Shown) -> contact_sheet.Cell:
    """Returns a picture of the page, which is made if it is not kept."""
    path = folder and folder / f"{title}, {shown.caption}.png".replace(" ", "-")
    begun = time.monotonic()
    if path and path.exists():
        image = jaxstyle.load_image(path)
    else:
        image = jax.block_until_ready(shown.make())
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            jaxstyle.save_image(path, image)
    case = {"row": title, "picture": shown.caption, "seconds": round(time.monotonic() - begun, 1)}
    print(json.dumps(case), flush=True)
    seen = Image.fromarray(np.asarray(pixels.quantize(image) * 255).round().astype(np.uint8))
    seen.thumbnail((_COLUMN, _COLUMN))
    return contact_sheet.Cell(seen, [shown.caption])


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
