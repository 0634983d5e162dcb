"""What people look at: a contact sheet, a table, and the curves of the losses."""

import csv
from collections.abc import Sequence
from pathlib import Path

from jaxstyle._common import files
from jaxstyle._common.text import printable
from jaxstyle.pipeline import sheets
from jaxstyle.pipeline.traces import Figure, can_draw, read_trace
from jaxstyle.sweep import results
from jaxstyle.sweep.manifest import Entry

# Curves beyond this many get no names: the legend would hide them.
_NAMED_CURVES = 12


def files_of(output: Path) -> list[Path]:
    """Returns the files that `write` writes or removes."""
    return [output / "losses.png", output / "summary.csv", *sheets.sheet_files(output)]


def write(output: Path, entries: Sequence[Entry]) -> None:
    """Writes `summary.csv`, `contact_sheet.png` (and -2, -3, … when large) and `losses.png`.

    Args:
      output: the sweep's folder.
      entries: of the manifest, in the sweep's order.
    """
    items = [_item(entry, output) for entry in entries]
    varied = list(sheets.varied(items))
    _write_summary(output / "summary.csv", entries, varied)
    sheets.write_sheets(output, items)
    done = [entry for entry in entries if entry["status"] == "done"]
    if done and can_draw():
        _plot(output, done, varied)


def settings_of(entry: Entry) -> dict[str, str]:
    """What identifies a picture: photograph, painting and options."""
    names = {kind: Path(entry[kind]).stem for kind in ("content", "style")}
    options: dict[str, str] = entry["options"]
    return names | options


def _item(entry: Entry, output: Path) -> sheets.Item:
    picture = None if entry["file"] is None else output / entry["file"]
    sources = {kind: Path(entry[kind]) for kind in ("content", "style")}
    return sheets.Item(settings_of(entry), picture, sources)


def _write_summary(path: Path, entries: Sequence[Entry], varied: Sequence[str]) -> None:
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


def _plot(output: Path, entries: Sequence[Entry], varied: Sequence[str]) -> None:
    figure = Figure()
    named = bool(varied) and len(entries) <= _NAMED_CURVES
    for entry in entries:
        trace = read_trace(results.trace_of(entry, output))
        name = sheets.label(settings_of(entry), varied) if named else ""
        figure.curve(trace["step"], trace["loss"], name, linewidth=1.5)
    figure.write(output / "losses.png")
