"""Traces: the loss terms of every step as CSV, read back and drawn as curves."""

import csv
import importlib
import importlib.util
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxstyle._common import files
from jaxstyle._common.reading import open_regular
from jaxstyle.errors import FileFormatError, UsageError

Columns = dict[str, list[float]]

KINDS = (".png", ".svg", ".pdf")
"""The extensions of the files that curves are written to."""
_LONGEST = 2**28  # bytes of a trace; a million steps take less
_INCHES, _DOTS = (12, 8), 100  # 1200×800 pixels
# The terms that count, in the order of the legend.
_MAIN = ("loss", "style", "content")
_LINES: dict[str, dict[str, Any]] = {
    # The whole is often as good as one of its terms, and would hide it.
    "loss": {"color": "black", "linewidth": 2.0, "linestyle": "--", "zorder": 3},
    "style": {"color": "tab:red", "linewidth": 3.5},
    "content": {"color": "tab:blue", "linewidth": 3.5},
    "total_variation": {"color": "tab:green", "linewidth": 1.5},
    "out_of_range": {"color": "tab:gray", "linewidth": 1.5, "linestyle": ":"},
}
_SHADES = {"style": "Oranges", "content": "Blues"}


def check_trace_name(path: str | Path) -> None:
    """Raises `UsageError` unless a file's name ends in .csv, so that no slip costs a picture."""
    if Path(path).suffix.lower() != ".csv":
        raise UsageError(f"{path}: the file of a trace should end in .csv")


def read_trace(path: Path) -> Columns:
    """Returns the columns of a trace by name, "step" and "loss" among them.

    Raises:
      FileFormatError: if it is no trace, or was cut.
      OSError: if it cannot be read.
    """
    with open_regular(path, _LONGEST) as file:
        data = file.read()
    try:
        text = data.decode()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        if not text.endswith("\n"):  # cut, perhaps within a number
            raise ValueError
        columns = {name: [float(row[name]) for row in rows] for name in rows[0]}
        if not {"step", "loss"} <= columns.keys():
            raise ValueError
    except (IndexError, TypeError, ValueError, csv.Error):
        raise FileFormatError(
            f"{path}: no loss terms of every step; give a file that --trace wrote"
        ) from None
    return columns


def can_draw() -> bool:
    """Tells whether matplotlib is there, which draws the curves."""
    return importlib.util.find_spec("matplotlib") is not None


def check_curves_path(path: Path) -> None:
    """Raises what writing curves would raise.

    Raises:
      UsageError: if matplotlib is missing, or curves are not written to such files.
      OSError: if the file cannot be written.
    """
    if path.suffix.lower() not in KINDS:
        raise UsageError(f"{path}: curves are written as {', '.join(KINDS)}; name such a file")
    if not can_draw():
        raise UsageError("drawing curves needs matplotlib; pip install 'jaxstyle[plot]'")
    files.check_writable(path)


def draw_curves(columns: Columns, title: str, path: Path) -> None:
    """Draws the loss and its terms over the steps, on a logarithmic scale.

    Args:
      columns: of a trace.
      title: what stands above.
      path: the file to write, one of `KINDS`.
    """
    figure = Figure()
    figure.axes.set_title(f"Loss at every step: {title}", parse_math=False, fontsize=16)
    steps, parts = columns["step"], _parts(columns)
    totals = {part: list(map(sum, zip(*parts[part].values(), strict=True))) for part in parts}
    # What is far below the terms that count is cut off.
    last = [totals[part][-1] for part in _MAIN if part in totals and totals[part][-1] > 0]
    bottom = min(last, default=0) / 10
    for part, layers in parts.items():
        if max(totals[part]) <= bottom:
            continue
        figure.curve(steps, totals[part], part.replace("_", " "), **_LINES.get(part, {}))
        if len(layers) > 1:
            shades = figure.shades(_SHADES.get(part, "Purples"), len(layers))
            for (layer, values), shade in zip(layers.items(), shades, strict=True):
                figure.curve(steps, values, f"{part} at {layer}", color=shade, linewidth=1.5)
    if bottom > 0:
        figure.axes.set_ylim(bottom, 2 * max(map(max, totals.values())))
    figure.write(path)


def _parts(columns: Columns) -> dict[str, dict[str, list[float]]]:
    """Returns the curves of each part of the loss by layer, without parts that are always zero."""
    parts: dict[str, dict[str, list[float]]] = {}
    for name, values in columns.items():
        part, _, layer = name.partition("/")
        if part not in ("step", "evaluations") and any(values):
            parts.setdefault(part, {})[layer] = values
    first = [part for part in _MAIN if part in parts]
    return {part: parts[part] for part in (*first, *(p for p in parts if p not in first))}


class Figure:
    """A figure of curves over the steps, by matplotlib, which is imported here.

    Attributes:
      axes: matplotlib's.
    """

    def __init__(self) -> None:
        figures = importlib.import_module("matplotlib.figure")
        self._figure = figures.Figure(figsize=_INCHES, layout="constrained")
        self.axes: Any = self._figure.add_subplot(yscale="log")
        self.axes.set_xlabel("step", fontsize=14)
        self.axes.set_ylabel("loss", fontsize=14)
        self.axes.tick_params(labelsize=12)
        self.axes.grid(alpha=0.3)
        self._named = False

    def curve(
        self, steps: Sequence[float], values: Sequence[float], name: str, **line: Any
    ) -> None:
        """Adds a curve; without a name it is not in the legend."""
        self.axes.plot(steps, values, label=name or "_", **line)
        self._named = self._named or bool(name)

    def shades(self, name: str, count: int) -> Sequence[Any]:
        """Returns so many shades of a colour, from light to dark."""
        shade = importlib.import_module("matplotlib").colormaps[name]
        return [shade(0.4 + 0.5 * i / max(1, count - 1)) for i in range(count)]

    def write(self, path: Path) -> None:
        """Writes the figure, which appears under its name once it is complete."""
        if self._named:
            legend = self._figure.legend(loc="outside right upper", fontsize=12)
            for text in legend.get_texts():
                text.set_parse_math(False)  # a dollar in a name is no formula
        data = io.BytesIO()  # in memory, because a full disk would cut it in silence
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # a box stands for it
            self._figure.savefig(data, format=path.suffix[1:].lower(), dpi=_DOTS)
        files.write_bytes(path, data.getvalue())
