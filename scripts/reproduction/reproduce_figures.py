"""Makes the figures of the two papers again and checks with numbers what the papers say.

    python -m scripts.reproduction.reproduce_figures --data DATA -o SHEETS
    python -m scripts.reproduction.reproduce_figures --data DATA -o SHEETS --figures 1 4 color
    python -m scripts.reproduction.reproduce_figures --data DATA -o SHEETS --quick

SHEETS gets a labelled page for each figure, and a README.md that says what to look for and what was
measured. WORK keeps every picture, and another run makes only those that are missing there; remove
them after a change of the code. The exit status is 1 if something is not as the papers say. With
--quick, the pictures are small and get few steps. Such a run takes VGG-19 if it is on this machine
and the compact network otherwise. Checks that need more steps do not count there, and say so.

Figures 1 to 7 are those of Gatys, Ecker and Bethge, "Image style transfer using convolutional
neural networks", CVPR 2016. The figures color, space, scale and coarse are after Gatys, Ecker,
Bethge, Hertzmann and Shechtman, "Controlling perceptual factors in neural style transfer", CVPR
2017.

The settings are those of the first paper: the spec of the preset gatys2016 (average pooling and the
normalised network), and L-BFGS from noise. There are three departures:

- The paper's ratios α/β do not carry over. With the sums that it prints, 1e-3 leaves nothing but
  content; the last picture of figure 3 shows it. With the means of its authors' code, which starts
  from the photograph, it leaves nothing but texture. The ratios here are those of means, and lead
  from the texture to the photograph as the paper's do.
- Pixels are kept in range, so that the picture that is measured is the one that is saved.
- The noise has the spectrum of natural images. White noise leaves a fine chequered pattern, which
  the first filters hardly see.
"""

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.image import contact_sheet, pixels
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.sizes import scaled_shape
from scripts.command_line import add_data_option, make_parser
from scripts.reproduction import figures_2016, figures_2017
from scripts.reproduction.figure_pictures import Figure, PictureMaker

_COLUMN = 256
FIGURES: dict[str, Callable[[PictureMaker], Figure]] = {
    "1": figures_2016.representations,
    "3": figures_2016.styles,
    "4": figures_2016.ratios,
    "5": figures_2016.content_layers,
    "6": figures_2016.starts,
    "7": figures_2016.photographs,
    "color": figures_2017.colors,
    "space": figures_2017.space,
    "scale": figures_2017.scales,
    "coarse": figures_2017.coarse_to_fine,
}
_INTRODUCTION = """\
`python -m scripts.reproduction.reproduce_figures --data DATA --work WORK -o docs/figures` makes
these pages and checks with numbers what the papers say. The papers are Gatys, Ecker and Bethge,
"Image style transfer using convolutional neural networks", CVPR 2016, and Gatys, Ecker, Bethge,
Hertzmann and Shechtman, "Controlling perceptual factors in neural style transfer", CVPR 2017. The
script's docstring lists the settings and where they depart from the papers'.

Photographs: Neckarfront, Tübingen, Andreas Praefcke, CC BY 3.0; a launch by SpaceX, public domain.
Paintings: van Gogh, Munch, Kandinsky, Hokusai, Monet."""


def draw(path: Path, figure: Figure) -> None:
    """Writes the page of a figure."""
    width = max(len(cells) for _, cells in figure.rows)
    rows = [
        [contact_sheet.Cell(_shown(cell.picture), cell.lines) for cell in cells]
        + [None] * (width - len(cells))
        for _, cells in figure.rows
    ]
    labels = [label for label, _ in figure.rows]
    page = contact_sheet.draw_page([""] * width, labels, rows, _COLUMN)
    contact_sheet.save_page(path, page)


def _shown(picture: jax.Array) -> Image.Image:
    """Scales a picture to the width of a column; a small one is not smoothed.

    A tall picture gets the column's width as its height.
    """
    height, width = scaled_shape((picture.shape[0], picture.shape[1]), _COLUMN)
    image = Image.fromarray(np.asarray(pixels.quantize(picture) * 255).round().astype(np.uint8))
    smaller = max(picture.shape) <= _COLUMN
    how = Image.Resampling.NEAREST if smaller else Image.Resampling.LANCZOS
    return image.resize((width, height), how)


def report(figures: dict[str, Figure], quick: bool) -> tuple[str, list[str]]:
    """Returns the text that goes with the pages, and the checks that failed.

    Args:
      figures: the figures by name.
      quick: whether only those checks count that need but a few steps.
    """
    parts, failed = [f"# Figures of the papers, reproduced\n\n{_INTRODUCTION}"], []
    for name, figure in figures.items():
        lines = [f"## {figure.title}", "", f"![{figure.title}](figure-{name}.jpg)", ""]
        lines += [figure.look_for, ""]
        for check in figure.checks:
            if check.holds:
                verdict = "holds"
            elif check.soon or not quick:
                verdict = "FAILS"
                failed.append(f"figure {name}: {check.text}")
            else:
                verdict = "does not hold yet, nor has to after so few steps"
            lines.append(f"- {verdict}: {check.text}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n", failed


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("scripts.reproduction.reproduce_figures", __doc__)
    add = parser.add_argument
    add_data_option(parser)
    add("--figures", nargs="+", default=list(FIGURES), choices=list(FIGURES), metavar="FIGURE",
        help=f"which of {', '.join(FIGURES)} (default: all)")  # fmt: skip
    add("--network", default="vgg19", help="the network: its name, or a file")
    add("--size", type=int, help="longer side in pixels (default: 256, with --quick 128)")
    add("--steps", type=int, help="steps for each picture (default: 300, with --quick 12)")
    add("--quick", action="store_true", help="make few and small pictures with few steps")
    add("--work", type=Path, help="folder for the pictures (default: SHEETS/pictures)")
    add("-o", "--output", type=Path, required=True, metavar="SHEETS", help="folder for the pages")
    arguments = parser.parse_args(argv)
    quick = arguments.quick
    arguments.output.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(format="%(message)s")
    try:
        params = load_network(
            arguments.network, normalized=True, download=not quick,
            fallback="compact" if quick else None,
        ).params  # fmt: skip
        maker = PictureMaker(
            params, arguments.data, arguments.work or arguments.output / "pictures",
            size=arguments.size or (128 if quick else 256),
            steps=arguments.steps or (12 if quick else 300), quick=quick,
        )  # fmt: skip
        figures = {}
        for name in arguments.figures:
            figures[name] = FIGURES[name](maker)
            draw(arguments.output / f"figure-{name}.jpg", figures[name])
    except (OSError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")
    text, failed = report(figures, quick)
    (arguments.output / "README.md").write_text(text, encoding="utf-8")
    print(text)
    if failed:
        sys.exit("\n".join(["not as the papers say:", *failed]))


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
