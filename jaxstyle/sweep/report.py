"""What people look at: a contact sheet, a table, and the curves of the losses."""

import csv
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from jaxstyle._common import files
from jaxstyle._common.text import printable
from jaxstyle.image.contact_sheet import Cell, draw_page, save_page
from jaxstyle.pipeline.traces import Figure, can_draw, read_trace
from jaxstyle.sweep import results
from jaxstyle.sweep.manifest import Entry

_CELL = 192
_MOST_ROWS, _MOST_COLUMNS = 12, 10
# Curves beyond this many get no names: the legend would hide them.
_NAMED_CURVES = 12


class _Table(NamedTuple):
    """Where each picture of a sheet goes.

    Attributes:
      columns: the heading of each column.
      rows: the heading of each row.
      cells: `cells[row][column]`, an entry or None.
    """

    columns: list[str]
    rows: list[str]
    cells: list[list[Entry | None]]


def files_of(output: Path) -> list[Path]:
    """Returns the files that `write` writes or removes."""
    fixed = [output / name for name in ("contact_sheet.png", "losses.png", "summary.csv")]
    return fixed + list(output.glob("contact_sheet-*.png"))


def write(output: Path, entries: Sequence[Entry]) -> None:
    """Writes `summary.csv`, `contact_sheet.png` (and -2, -3, … when large) and `losses.png`.

    Args:
      output: the sweep's folder.
      entries: of the manifest, in the sweep's order.
    """
    varied = varied_settings(entries)
    _write_summary(output / "summary.csv", entries, varied)
    for old in output.glob("contact_sheet-*.png"):
        old.unlink()
    for i, page in enumerate(_pages(_arrange(entries, varied)), 1):
        path = output / ("contact_sheet.png" if i == 1 else f"contact_sheet-{i}.png")
        save_page(path, _draw(page, output, list(varied)))
    done = [entry for entry in entries if entry["status"] == "done"]
    if done and can_draw():
        _plot(output, done, varied)


def settings_of(entry: Entry) -> dict[str, str]:
    """What identifies a picture: photograph, painting and options."""
    names = {kind: Path(entry[kind]).stem for kind in ("content", "style")}
    options: dict[str, str] = entry["options"]
    return names | options


def varied_settings(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """The settings that differ within a sweep, and their values in the order of appearance."""
    values: dict[str, dict[str, None]] = {}
    for entry in entries:
        for name, value in settings_of(entry).items():
            values.setdefault(name, {})[value] = None
    absent = {n for e in entries for n in values if n not in settings_of(e)}
    return {n: list(v) for n, v in values.items() if len(v) > 1 or n in absent}


def _label(entry: Entry, names: Sequence[str]) -> str:
    settings = settings_of(entry)
    return "  ".join(f"{name} {_short(settings.get(name, '-'))}" for name in names)


def _short(value: str) -> str:
    if re.fullmatch(r"-?\d+\.\d+(e[+-]?\d+)?", value):
        return f"{float(value):.4g}"
    value = printable(value)
    return value if len(value) <= 24 else f"{value[:23]}…"


def _arrange(entries: Sequence[Entry], varied: dict[str, list[str]]) -> _Table:
    """Columns for the setting with the fewest values that fill a row, rows for all others."""
    names = list(varied)
    grid = len(entries) == _product(len(values) for values in varied.values())
    if grid and names:
        across = max(
            names, key=lambda name: (len(varied[name]) <= _MOST_COLUMNS, len(varied[name]))
        )
        down = [name for name in names if name != across]
        columns = [f"{across} {_short(value)}" for value in varied[across]]
        places: dict[tuple[str | None, ...], list[Entry | None]] = {}
        labels = []
        for entry in entries:
            settings = settings_of(entry)
            place = tuple(settings.get(name) for name in down)
            if place not in places:
                places[place] = [None] * len(columns)
                labels.append(_label(entry, down))
            places[place][varied[across].index(settings[across])] = entry
        return _Table(columns, labels, list(places.values()))
    width = min(len(entries), _MOST_COLUMNS // 2) or 1
    cells: list[list[Entry | None]] = [
        [*entries[i : i + width]] for i in range(0, len(entries), width)
    ]
    return _Table([""] * width, [""] * len(cells), cells)


def _product(numbers: Any) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result


def _pages(table: _Table) -> list[_Table]:
    """The table cut into pages."""
    pages = []
    for top, left in itertools.product(
        range(0, len(table.rows), _MOST_ROWS), range(0, len(table.columns), _MOST_COLUMNS)
    ):
        rows, columns = slice(top, top + _MOST_ROWS), slice(left, left + _MOST_COLUMNS)
        cells = [row[columns] for row in table.cells[rows]]
        pages.append(_Table(table.columns[columns], table.rows[rows], cells))
    return pages


def _draw(table: _Table, output: Path, names: Sequence[str]) -> Image.Image:
    """One page; where columns have no headings, every picture gets its settings under it."""
    alone = not any(table.columns)

    def cell(entry: Entry | None) -> Cell | None:
        if entry is None:
            return None
        lines = [_label(entry, [name]) for name in names] if alone else []
        return Cell(_thumbnail(entry, output), lines)

    cells = [[cell(entry) for entry in row] for row in table.cells]
    return draw_page(table.columns, table.rows, cells, _CELL)


def _thumbnail(entry: Entry, output: Path) -> Image.Image | None:
    if entry["file"] is None:
        return None
    with Image.open(output / entry["file"]) as picture:
        small = picture.convert("RGB")
        small.thumbnail((_CELL, _CELL), Image.Resampling.LANCZOS)
        return small


def _write_summary(path: Path, entries: Sequence[Entry], varied: dict[str, list[str]]) -> None:
    terms = list(dict.fromkeys(term for entry in entries for term in entry.get("terms", {})))
    columns = [*varied, "loss", *terms, "steps", "evaluations", "file", "error"]
    columns = list(dict.fromkeys(["id", "status", *columns]))
    with (
        files.atomic_write(path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns, extrasaction="ignore", restval="")
        writer.writeheader()
        for entry in entries:
            settings = settings_of(entry)
            made = {name: entry[name] for name in entry if name not in ("content", "style")}
            row = settings | made | entry.get("terms", {})
            texts = {name: printable(value) for name, value in row.items() if type(value) is str}
            writer.writerow(row | texts)


def _plot(output: Path, entries: Sequence[Entry], varied: dict[str, list[str]]) -> None:
    figure = Figure()
    named = bool(varied) and len(entries) <= _NAMED_CURVES
    for entry in entries:
        trace = read_trace(results.trace_of(entry, output))
        name = _label(entry, list(varied)) if named else ""
        figure.curve(trace["step"], trace["loss"], name, linewidth=1.5)
    figure.write(output / "losses.png")
