"""Draws the pages of docs/artists.md and docs/controls.md, which show what the controls do.

    python -m scripts.reproduction.gallery --data DATA -o docs/controls           # all pages
    python -m scripts.reproduction.gallery --data DATA -o docs/controls --pages mix color

Each picture is what `jaxstyle stylize` makes with the options that are written under it; all have
the same size, number of steps and network. WORK keeps the
pictures, and another run makes only those that are missing there.
"""

import itertools
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
from PIL import Image

import jaxstyle
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.cli import main as run_command
from jaxstyle.image import contact_sheet
from jaxstyle.pipeline.choices import PLAIN_COLORS
from scripts.command_line import add_data_option, make_parser
from scripts.reproduction import figures_2017
from scripts.reproduction.figure_pictures import NIGHT, PHOTOGRAPH
from scripts.reproduction.sheets import digest

_COLUMN = 224
# The files that options may name: masks of the photograph, and other paintings.
MASKS = ("sky.png", "houses.png")
PAINTINGS = ("great-wave.jpg", "kandinsky_composition_vii.jpg")
WAVE, KANDINSKY = PAINTINGS
PORTRAIT, ROCKET = "astronaut.png", "rocket.jpg"


class Shown(NamedTuple):
    """A picture of a page: the options of `jaxstyle stylize`, and what it is made of."""

    options: str
    photograph: str = PHOTOGRAPH
    painting: str = NIGHT


def _row(*options: str, photograph: str = PHOTOGRAPH, painting: str = NIGHT) -> list[Shown]:
    return [Shown(each, photograph, painting) for each in options]


def _strengths(painting: str) -> list[list[Shown]]:
    options = [f"--strength {strength}" for strength in range(0, 101, 10)]
    return [_row(*options[:6], painting=painting), _row(*options[6:], painting=painting)]


# The pictures of each page, by row.
ARTISTS: dict[str, list[list[Shown]]] = {
    "strength": [*_strengths(WAVE), *_strengths(NIGHT)],
    "strokes": [_row(*(f"--strokes {size}" for size in (0.5, 1, 2, 4)))],
    "colors": [_row(*(f"--colors {whose}" for whose in PLAIN_COLORS))],
    "smooth": [_row(*(f"--smooth {times}" for times in (0, 1, 4, 10)), painting=WAVE)],
    "faces": [
        _row("", "--protect faces", photograph=PORTRAIT)
        + _row("", "--protect faces", photograph=PORTRAIT, painting=KANDINSKY)
    ],
    "skies": [_row("", "--calm 0.5", "--calm 1", photograph=ROCKET, painting=WAVE)],
    "keep": [_row("", "--keep houses.png", "--only sky.png", painting=WAVE)],
}  # fmt: skip
CONTROLS: dict[str, list[list[Shown]]] = {
    "weights": [_row("--content-weight 0.1", "", "--content-weight 10")],
    "style-scale": [_row("--style-scale 0.5", "", "--style-scale 2")],
    "mix": [_row("", *(f"--mix {WAVE}={share}" for share in (0.25, 0.5, 0.75, 1)))],
    "fine-style": [_row("", f"--fine-style {WAVE}", f"--fine-style {KANDINSKY}")],
    "regions": [_row(
        f"--regions 'sky.png;rest,style={KANDINSKY}'",
        f"--regions 'sky.png,style={KANDINSKY};rest'",
    )],
    "color": [
        _row("", "--color luminance", "--color histogram"),
        _row(*(f"--color match-{method}" for method in ("cholesky", "pca", "symmetric"))),
    ],
    "statistic": [
        _row(*(f"--statistic {name}" for name in ("gram", "covariance", "wasserstein"))),
        _row(*(f"--statistic {name}" for name in ("moments", "histogram", "sliced"))),
    ],
    "start": [
        _row(*(f"{init}--content-weight 25" for init in ("", "--init style ", "--init noise "))),
        _row("--init noise", "--init white-noise", "--init noise --scales 128,256"),
    ],
    "smoothness": [_row("", "--tv-weight 20000", "--solver lbfgs --preconditioning 0")],
}  # fmt: skip
PAGES = ARTISTS | CONTROLS


def write_masks(folder: Path, photograph: Path, size: int) -> None:
    """Writes the masks of the photograph: the sky, and the houses on the bank without the water."""
    height, width, _ = jaxstyle.load_image(photograph, size).shape
    sky = figures_2017.sky_mask((height, width))
    bank = jnp.where(jnp.arange(height)[:, None] < 0.72 * height, 1 - sky, 0)
    bank = jnp.where(jnp.arange(width) > 0.6 * width, bank, 0)
    for name, mask in zip(MASKS, (sky, bank), strict=True):
        jaxstyle.save_image(folder / name, jnp.broadcast_to(mask[..., None], (height, width, 3)))


def make(data: Path, work: Path, shared: Sequence[str], shown: Shown) -> Path:
    """Returns the file of a picture, which is made if it is not there."""
    path = work / f"{digest(' '.join([*shared, *shown]))}.png"
    if not path.exists():
        places = {name: work / name for name in MASKS}
        places |= {name: data / "style" / name for name in PAINTINGS}
        options = shown.options
        for name, place in places.items():
            options = options.replace(name, str(place))
        pictures = [data / "content" / shown.photograph, data / "style" / shown.painting]
        given = shlex.split(options)
        # With scales there is no --size: the last of the scales is the size.
        common = shared[2:] if "--scales" in given else shared
        line = ["stylize", *map(str, pictures), "-o", str(path), "--quiet", *common, *given]
        if run_command(line) != 0:
            sys.exit(f"this failed: jaxstyle {shlex.join(line)}")
        print(f"made {path}", flush=True)
    return path


def draw(path: Path, rows: list[list[tuple[Path, str]]]) -> None:
    """Draws a page of pictures with their options."""
    cells = []
    for row in rows:
        cells.append([])
        for picture, line in row:
            with Image.open(picture) as opened:
                small = opened.convert("RGB")
            small.thumbnail((_COLUMN, _COLUMN))
            cells[-1].append(contact_sheet.Cell(small, wrap(line)))
    columns = max(len(row) for row in cells)
    cells = [row + [None] * (columns - len(row)) for row in cells]
    page = contact_sheet.draw_page([""] * columns, [""] * len(cells), cells, _COLUMN)
    contact_sheet.save_page(path, page, quality=88)


def wrap(line: str, width: int = 34) -> list[str]:
    """Breaks options into lines no wider than a picture, at spaces, in lists and after "=".

    Where there are no options, the line says "no options".
    """
    lines = [""]
    for piece in re.split(r"(?<=[;,=])|(?= )", line or "no options"):
        if lines[-1] and len(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("scripts.reproduction.gallery", __doc__)
    add = parser.add_argument
    add_data_option(parser)
    add("--pages", nargs="+", default=list(PAGES), choices=list(PAGES), metavar="PAGE",
        help=f"which of {', '.join(PAGES)} (default: all)")  # fmt: skip
    add("--network", default="vgg19", help="the network: its name, or a file")
    add("--size", type=int, default=256, help="longer side in pixels")
    add("--steps", type=int, default=200, help="steps for each picture")
    add("--work", type=Path, default=Path("gallery"), help="folder for the pictures")
    add("-o", "--output", type=Path, required=True, help="folder for the pages")
    arguments = parser.parse_args(argv)
    for folder in (arguments.work, arguments.output):
        folder.mkdir(parents=True, exist_ok=True)
    write_masks(arguments.work, arguments.data / "content" / PHOTOGRAPH, arguments.size)
    shared = ["--size", str(arguments.size), "--network", arguments.network]
    shared += ["--steps", str(arguments.steps)]
    for name in arguments.pages:
        rows = [
            [(make(arguments.data, arguments.work, shared, shown), shown.options) for shown in row]
            for row in PAGES[name]
        ]
        draw(arguments.output / f"{name}.jpg", rows)
    count = len({shown for page in PAGES.values() for shown in itertools.chain(*page)})
    print(f"{len(arguments.pages)} pages in {arguments.output}; all have {count} pictures")


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
