"""Pictures that stand for the styles of the page where a painting is needed.

The paintings that the network has learnt do not come with the package. What the network makes of
the sample has the statistics of its style, and these are all that an optimiser looks at.
"""

import contextlib
from pathlib import Path

from jax.typing import ArrayLike

from jaxstyle import samples
from jaxstyle.errors import UsageError
from jaxstyle.feedforward.files import load_network
from jaxstyle.image import io
from jaxstyle.networks.catalogue import PAINTBOX, find_fast_network
from jaxstyle.pipeline.job import group, make_batches, make_job
from jaxstyle.pipeline.options import check_options
from jaxstyle.pipeline.run import run_batch
from jaxstyle.pipeline.sinks import PictureFile
from jaxstyle.pipeline.studio import Studio
from jaxstyle.web import models
from jaxstyle.web.edition import edition

_SIZE = 512
_TILE = 240  # the longer side on the page, where screens are fine
_SWIRLS = "swirls"  # whose painting does come with the package


def example_of(style: str) -> Path:
    """Returns a picture in a style of the page, which is painted when it is first asked for.

    Raises:
      UsageError: if there is no such style.
    """
    names = [each.name for each in load_network(find_fast_network(PAINTBOX)).styles]
    if style not in names:
        raise UsageError(f"style: no style is called {style!r}; there are {', '.join(names)}")
    if style == _SWIRLS:
        return samples.SWIRLS
    path = _place(style)
    if not path.exists():
        _paint(style, path)
    return path


def write_tile(style: str, thumbnail: ArrayLike | None = None) -> None:
    """Writes the picture by which the page shows a style.

    Args:
      style: its name.
      thumbnail: `[H, W, 3]`, which does until there is a picture that stands for the style.
    """
    path, tile = _place(style), models.styles() / f"{style}.png"
    if path.exists():
        io.save_image(tile, io.load_image(path, size=_TILE))
    elif thumbnail is not None:
        io.save_image(tile, thumbnail)


def make_tile(style: str) -> None:
    """Paints a style's picture, whatever else stands for it, and shows that on the page."""
    if not _place(style).exists():
        _paint(style, _place(style))
    write_tile(style)


def remove_old() -> None:
    """Removes the pictures that another edition of the package has painted."""
    for path in models.styles().glob("example-*"):
        if not path.name.startswith(_mark()):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def _place(style: str) -> Path:
    return models.styles() / f"{_mark()}{style}.png"


def _mark() -> str:
    return f"example-{edition()[:12]}-"


def _paint(style: str, path: Path) -> None:
    options = check_options("apply", {"style": style, "size": _SIZE})
    job = make_job("apply", samples.LAKE, None, path, options)
    studio = Studio([job], download=False)
    [(program, jobs)] = group(studio.shape, [job]).items()
    [batch] = make_batches(program, jobs, 1)
    run_batch(studio, batch, lambda _: [PictureFile(studio)])
