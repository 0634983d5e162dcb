"""Draws pictures with labels on one page, and writes pages."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from jaxstyle._common import files
from jaxstyle._common.files import StrPath
from jaxstyle.image.io.writing import encode, output_kind

_GAP, _TEXT = 8, 13


class Cell(NamedTuple):
    """A place on a page.

    Attributes:
      picture: the picture, no wider than a column; None where making it failed.
      lines: the text under it, cut where it is wider than a column.
      missing: what stands in place of a picture that there is not.
    """

    picture: Image.Image | None
    lines: Sequence[str] = ()
    missing: str = "failed"


def draw_page(
    columns: Sequence[str],
    rows: Sequence[str],
    cells: Sequence[Sequence[Cell | None]],
    width: int,
) -> Image.Image:
    """Draws one page: headings on top, a label above each row, lines of text under the pictures.

    Args:
      columns: the heading of each column. If all are empty, no headings are drawn.
      rows: the label of each row, which may be empty.
      cells: `cells[row][column]`; None leaves the place white.
      width: the width of a column, in pixels.

    Returns:
      An RGB image.

    Example:
      >>> picture = Image.new("RGB", (64, 48))
      >>> draw_page(["a", "b"], [""], [[Cell(picture), None]], width=64).size
      (152, 83)
    """
    font = ImageFont.load_default(_TEXT)
    line = _TEXT + 6
    headings = line if any(columns) else 0
    unders = [line * max((len(cell.lines) for cell in row if cell), default=0) for row in cells]
    heights = [
        max((cell.picture.height for cell in row if cell and cell.picture), default=width // 2)
        for row in cells
    ]
    labels = [line if label else 0 for label in rows]
    size = (
        _GAP + len(columns) * (width + _GAP),
        _GAP
        + headings
        + sum(map(sum, zip(labels, heights, unders, [_GAP] * len(labels), strict=True))),
    )
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    top = _GAP
    if headings:
        for i, heading in enumerate(columns):
            draw.text((_GAP + i * (width + _GAP), top), _cut(heading, width, font), "black", font)
        top += line
    for label, row, tall, under in zip(rows, cells, heights, unders, strict=True):
        if label:
            draw.text((_GAP, top), label, "black", font)
            top += line
        for i, cell in enumerate(row):
            if cell is None:
                continue
            left = _GAP + i * (width + _GAP)
            if cell.picture is not None:
                page.paste(cell.picture, (left, top))
            else:
                draw.text((left, top), cell.missing, "red", font)
            for j, text in enumerate(cell.lines):
                draw.text((left, top + tall + j * line), _cut(text, width, font), "black", font)
        top += tall + under + _GAP
    return page


def _cut(text: str, width: int, font: Any) -> str:
    """Returns as much of a text as fits into a width."""
    if font.getlength(text) <= width:
        return text
    end = next(n for n in range(len(text), 0, -1) if font.getlength(f"{text[:n]}…") <= width)
    return f"{text[:end]}…"


def save_page(path: StrPath, page: Image.Image, quality: int = 90) -> None:
    """Writes a page, which appears under its name only once it is complete.

    Args:
      path: the file to write, with an extension that `jaxstyle.save_image` takes.
      page: the page.
      quality: 1 to 100, for JPEG and WebP.

    Raises:
      ValueError: for an unknown extension.
      OSError: if the file cannot be written.
    """
    files.write_bytes(path, encode(page, output_kind(path), quality=quality))
