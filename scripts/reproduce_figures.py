"""Makes the figures of the two papers anew, and checks what they say by numbers.

    python scripts/reproduce_figures.py --data DATA -o SHEETS               # all, VGG-19
    python scripts/reproduce_figures.py --data DATA -o SHEETS --figures 1 4 color
    python scripts/reproduce_figures.py --data DATA -o SHEETS --quick       # small, few steps

SHEETS gets one labelled page a figure, and README.md, which says what to look for and what was
measured. WORK keeps every picture; a rerun makes only those that are missing there (after a change
of the code, remove them). The exit status is 1 if something is not as the papers say. A quick run
takes VGG-19 if it is on this machine, else the compact network; checks that need more steps count
for nothing there, and say so.

Figures 1 to 7: Gatys, Ecker and Bethge, "Image style transfer using convolutional neural networks",
CVPR 2016. color, space, scale and coarse: Gatys, Ecker, Bethge, Hertzmann and Shechtman,
"Controlling perceptual factors in neural style transfer", CVPR 2017.

Settings are the paper's (the spec of the preset gatys2016: average pooling, normalised network;
L-BFGS from noise), with three departures. Its ratios α/β do not carry over: of the sums that it
prints, 1e-3 leaves nothing but content (the last picture of figure 3); of means, as in its authors'
code, which starts from the photograph, nothing but texture. The ratios here are of means, and
span from texture to photograph as the paper's do. Pixels are kept in range, so that what is
measured is the picture that is saved. And the noise has the spectrum of natural images: of white
noise a fine chequered pattern stays, which the first filters hardly see.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import figures_2016
import figures_2017
import jax
import numpy as np
from PIL import Image
from studio import Figure, Studio

from jaxstyle._common import files
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.image import contact_sheet, pixels
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.multiscale import scaled_shape

_COLUMN = 256
FIGURES: dict[str, Callable[[Studio], Figure]] = {
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
`python scripts/reproduce_figures.py --data DATA --work WORK -o docs/figures` makes these pages, and
checks what the papers say by numbers: Gatys, Ecker and Bethge, "Image style transfer using
convolutional neural networks", CVPR 2016, and Gatys, Ecker, Bethge, Hertzmann and Shechtman,
"Controlling perceptual factors in neural style transfer", CVPR 2017. The script's docstring has the
settings, and where they depart from the papers'.

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
    with files.atomic_write(path) as partial:
        page.save(partial, format="JPEG", quality=90)


def _shown(picture: jax.Array) -> Image.Image:
    """As wide as a column, or as high if that is less, small pictures not smoothed."""
    height, width = scaled_shape((picture.shape[0], picture.shape[1]), _COLUMN)
    image = Image.fromarray(np.asarray(pixels.quantize(picture) * 255).round().astype(np.uint8))
    smaller = max(picture.shape) <= _COLUMN
    how = Image.Resampling.NEAREST if smaller else Image.Resampling.LANCZOS
    return image.resize((width, height), how)


def report(figures: dict[str, Figure], quick: bool) -> tuple[str, list[str]]:
    """The text that goes with the pages, and the checks that failed.

    Args:
      figures: by name.
      quick: whether only the checks count for which a few steps are enough.
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, default=Path("../shared/data"))
    add("--figures", nargs="+", default=list(FIGURES), choices=list(FIGURES))
    add("--network", default="vgg19", help="a name or a file")
    add("--size", type=int, help="longer side in pixels; 256, in a quick run 128")
    add("--steps", type=int, help="steps for each picture; 300, in a quick run 12")
    add("--quick", action="store_true", help="small, few pictures of few steps")
    add("--work", type=Path, help="folder for the pictures; SHEETS/pictures by default")
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
        studio = Studio(
            params, arguments.data, arguments.work or arguments.output / "pictures",
            size=arguments.size or (128 if quick else 256),
            steps=arguments.steps or (12 if quick else 300), quick=quick,
        )  # fmt: skip
        figures = {}
        for name in arguments.figures:
            figures[name] = FIGURES[name](studio)
            draw(arguments.output / f"figure-{name}.jpg", figures[name])
    except (OSError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")
    text, failed = report(figures, quick)
    (arguments.output / "README.md").write_text(text)
    print(text)
    if failed:
        sys.exit("\n".join(["not as the papers say:", *failed]))


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
