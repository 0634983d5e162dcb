"""Contact sheets: many pictures on a page, ordered by the settings in which they differ.

Photographs stand down the left edge and paintings along the top, where a sheet varies them.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageOps

from jaxstyle._common.text import printable
from jaxstyle.errors import FileFormatError, OptionError
from jaxstyle.image import io
from jaxstyle.image.contact_sheet import Cell, draw_page, save_page
from jaxstyle.pipeline.metadata import names_alone
from jaxstyle.pipeline.options import parse_options

NAME = "contact_sheet.png"
_FURTHER = re.compile(r"contact_sheet-\d+\.png")
_CELL = 192
_MOST_ROWS, _MOST_COLUMNS = 12, 10
_FULL_ENOUGH = 0.5  # of a table's places; a list shows the pictures of an emptier one
_ABSENT = "-"  # stands for the value of a setting that a picture does not have
_LONGEST = 24


class Item(NamedTuple):
    """A picture of a sheet.

    Attributes:
      settings: what distinguishes it, by name: "content", "style" and options.
      picture: its file, or None where making it failed.
      sources: the files of its photograph and its painting, by "content" and "style".
    """

    settings: Mapping[str, str]
    picture: Path | None
    sources: Mapping[str, Path]


class _Table(NamedTuple):
    """Where each picture goes.

    Attributes:
      across: the setting that the columns differ in, or None for a list.
      columns: the values of that setting.
      down: the settings that the rows differ in.
      rows: the pictures of each row; None leaves a place white.
    """

    across: str | None
    columns: Sequence[str]
    down: Sequence[str]
    rows: Sequence[Sequence[Item | None]]


def sheet_files(folder: Path) -> list[Path]:
    """Returns the files that `write_sheets` writes or removes."""
    further = [path for path in folder.glob("contact_sheet-*.png") if _FURTHER.match(path.name)]
    return [folder / NAME, *further]


def write_sheets(folder: Path, items: Sequence[Item]) -> None:
    """Writes `contact_sheet.png`, and `contact_sheet-2.png` and so on where there are many.

    Args:
      folder: where they go.
      items: the pictures, in order.
    """
    for old in sheet_files(folder)[1:]:
        old.unlink()
    for i, page in enumerate(_pages(_arrange(items, list(varied(items)))), 1):
        save_page(folder / (NAME if i == 1 else f"contact_sheet-{i}.png"), _draw(page))


def varied(items: Iterable[Item]) -> dict[str, list[str]]:
    """Returns the settings that differ, and their values in the order of appearance."""
    every = [item.settings for item in items]
    names = dict.fromkeys(name for settings in every for name in settings)
    values = {
        name: list(dict.fromkeys(settings.get(name, _ABSENT) for settings in every))
        for name in names
    }
    return {name: list(found) for name, found in values.items() if len(found) > 1}


def label(settings: Mapping[str, str], names: Iterable[str]) -> str:
    """Returns what settings a picture has, on a line."""
    return "  ".join(f"{name} {_short(name, settings.get(name, _ABSENT))}" for name in names)


def _short(name: str, value: str) -> str:
    """Returns a value of a setting as a label has room for it; files are without their folders."""
    if os.sep in value:
        with contextlib.suppress(OptionError):  # the name of a picture
            value = names_alone("stylize", parse_options("stylize", {name: value}))[name]
    if re.fullmatch(r"-?\d+\.\d+(e[+-]?\d+)?", value):
        return f"{float(value):.4g}"
    value = printable(value)
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"


def read_folder(
    folder: Path, contents: Iterable[Path] = (), styles: Iterable[Path] = ()
) -> list[Item]:
    """Returns the pictures of a folder that `jaxstyle stylize` made of several pairs.

    Args:
      folder: the folder.
      contents: photographs whose files are known. They come first, and in this order.
      styles: paintings, in the same way. Further ones are looked for beside the pictures.
    """
    known = {"content": contents, "style": styles}
    files = {kind: {path.stem: path for path in paths} for kind, paths in known.items()}
    items = []
    for path in sorted(folder.glob("*--*.png")):
        try:
            settings = io.read_settings(path)
        except (OSError, FileFormatError):  # of somebody else
            continue
        named = {kind: Path(str(settings.get(kind))) for kind in files}
        stems = {kind: name.stem for kind, name in named.items()}
        # What is written on the way to a picture has a number behind its name.
        if settings.get("command") == "stylize" and path.stem == "--".join(stems.values()):
            sources = {
                kind: files[kind].get(stems[kind], folder / named[kind].name) for kind in files
            }
            items.append(Item(stems, path, sources))
    order = {kind: {stem: i for i, stem in enumerate(files[kind])} for kind in files}

    def place(item: Item) -> list[int]:
        return [order[kind].get(stem, len(order[kind])) for kind, stem in item.settings.items()]

    return sorted(items, key=place)


def _arrange(items: Sequence[Item], names: Sequence[str]) -> _Table:
    """Makes a table of the settings that vary, or a list where it would be rather empty."""
    across = _across(items, names)
    if across is not None:
        down = [name for name in names if name != across]
        columns = varied(items)[across]
        rows: dict[tuple[str, ...], list[Item | None]] = {}
        for item in items:
            key = tuple(item.settings.get(name, _ABSENT) for name in down)
            row = rows.setdefault(key, [None] * len(columns))
            row[columns.index(item.settings.get(across, _ABSENT))] = item
        table = _Table(across, columns, down, list(rows.values()))
        placed = sum(item is not None for row in table.rows for item in row)
        if placed == len(items) and placed >= _FULL_ENOUGH * len(columns) * len(rows):
            return table
    width = min(len(items), _MOST_COLUMNS // 2) or 1
    starts = range(0, len(items), width)
    return _Table(None, [""] * width, names, [[*items[i : i + width]] for i in starts])


def _across(items: Sequence[Item], names: Sequence[str]) -> str | None:
    """Returns the setting whose values stand side by side: the painting, or what fills a row."""
    if "style" in names:
        return "style"
    counts = {name: len(values) for name, values in varied(items).items()}
    others = [name for name in names if name != "content"] or list(names)
    return max(others, key=lambda n: (counts[n] <= _MOST_COLUMNS, counts[n]), default=None)


def _pages(table: _Table) -> list[_Table]:
    """Cuts a table into pages."""
    pages = []
    for top in range(0, len(table.rows), _MOST_ROWS):
        for left in range(0, len(table.columns), _MOST_COLUMNS):
            columns = slice(left, left + _MOST_COLUMNS)
            rows = [row[columns] for row in table.rows[top : top + _MOST_ROWS]]
            pages.append(table._replace(columns=table.columns[columns], rows=rows))
    return pages


def _draw(table: _Table) -> Image.Image:
    """Draws a page; in a list, every picture gets its settings under it."""
    alone = table.across is None
    rows: list[list[Cell | None]] = []
    for row in table.rows:
        cells = []
        for item in row:
            lines = [label(item.settings, [name]) for name in table.down] if item and alone else []
            cells.append(item and Cell(_thumbnail(item.picture), lines))
        rows.append(cells)
    headings, labels = [""] * len(table.columns), [""] * len(rows)
    if not alone and "content" in table.down:
        others = [name for name in table.down if name != "content"]
        rows = [
            [_source(row, "content", others), *cells]
            for row, cells in zip(table.rows, rows, strict=True)
        ]
        headings = ["", *headings]
    elif not alone:
        firsts = [next((item for item in row if item is not None), None) for row in table.rows]
        labels = [label(first.settings, table.down) if first else "" for first in firsts]
    if table.across in ("content", "style"):
        columns = list(zip(*table.rows, strict=True))
        edge = [_source(column, table.across, ()) for column in columns]
        rows = [[*[None] * (len(headings) - len(edge)), *edge], *rows]
        labels = ["", *labels]
    elif table.across is not None:
        values = [f"{table.across} {_short(table.across, value)}" for value in table.columns]
        headings[len(headings) - len(values) :] = values
    return draw_page(headings, labels, rows, _CELL)


def _source(items: Iterable[Item | None], kind: str, others: Sequence[str]) -> Cell | None:
    """Returns the photograph or the painting of a row or column, with its name under it."""
    first = next((item for item in items if item is not None), None)
    if first is None:  # of a page's part of a table
        return None
    lines = [
        _short(kind, first.settings[kind]),
        *(label(first.settings, [name]) for name in others),
    ]
    return Cell(_thumbnail(first.sources.get(kind)), lines, missing="")


def _thumbnail(path: Path | None) -> Image.Image | None:
    """Returns a small picture, or None where there is none."""
    if path is None:
        return None
    try:
        with Image.open(path) as picture:
            picture.draft("RGB", (2 * _CELL, 2 * _CELL))  # decodes large JPEGs in a moment
            small = ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    small.thumbnail((_CELL, _CELL), Image.Resampling.LANCZOS)
    return small
