"""Writes tables and curves of the cases that `compare_pytorch.py` measures."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Case = Mapping[str, Any]


def spread(values: ArrayLike) -> dict[str, float]:
    """Returns the median, the least and the most."""
    return {
        "median": float(np.median(values)),
        "least": float(np.min(values)),
        "most": float(np.max(values)),
    }


def tables(cases: Sequence[Case], ran_on: Case) -> str:
    """Returns a table in Markdown for each part, below what all of them ran on."""
    parts = [", ".join(f"{name} {value}" for name, value in ran_on.items())]
    for part in dict.fromkeys(case["part"] for case in cases):
        rows = [case for case in cases if case["part"] == part]
        columns = [name for name in dict.fromkeys(k for row in rows for k in row) if name != "part"]
        lines = [f"### {part}", "", _line([name.replace("_", " ") for name in columns])]
        lines.append(_line(["---"] * len(columns)))
        lines += [_line([_text(row.get(name)) for name in columns]) for row in rows]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(value: Any) -> str:
    """Returns as few digits as a reader needs: 1.23 (1.1–1.4)."""
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        median, least, most = (_text(value[name]) for name in ("median", "least", "most"))
        return median if least == most else f"{median} ({least}–{most})"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"


def plot(cases: Sequence[Case], path: Path) -> None:
    """Draws how the cost grows with pixels, with steps and with the width of a batch."""
    figures = importlib.import_module("matplotlib.figure")

    figure = figures.Figure(figsize=(13, 4), layout="constrained")
    pixels, steps, batch = figure.subplots(1, 3)
    for (name,), rows in _groups(cases, "evaluation", "program"):
        _curve(pixels, [row["size"] ** 2 for row in rows], rows, "seconds", name)
    pixels.set(xlabel="pixels", ylabel="seconds per evaluation", xscale="log", yscale="log")
    for (size, content, init), rows in _groups(cases, "convergence", "size", "content", "init"):
        reached = [row for row in rows if "jaxstyle_seconds" in row]
        start = f"{Path(content).stem} from {init}"
        for side in ("pytorch", "jaxstyle"):
            counts = [row["pytorch_evaluations"] for row in reached]
            _curve(steps, counts, reached, f"{side}_seconds", f"{side}, {size} px, {start}")
    steps.set(xlabel="evaluations of PyTorch's L-BFGS", ylabel="seconds to its loss", yscale="log")
    for (size,), rows in _groups(cases, "batch", "size"):
        _curve(batch, [row["width"] for row in rows], rows, "seconds_a_picture", f"{size} px")
    batch.set(
        xlabel="pictures in a batch", ylabel="seconds per picture and evaluation", ylim=(0, None)
    )
    for axes in (pixels, steps, batch):
        if axes.lines:
            axes.legend(fontsize="small")
    figure.savefig(path, dpi=150)


def _groups(cases: Sequence[Case], part: str, *by: str) -> list[tuple[tuple[Any, ...], list[Case]]]:
    """Groups the cases of a part by the values of some of their keys."""
    groups: dict[tuple[Any, ...], list[Case]] = {}
    for case in cases:
        if case["part"] == part:
            groups.setdefault(tuple(case[name] for name in by), []).append(case)
    return list(groups.items())


def _curve(axes: Any, x: Sequence[float], rows: Sequence[Case], key: str, label: str) -> None:
    median, least, most = ([row[key][name] for row in rows] for name in ("median", "least", "most"))
    [line] = axes.plot(x, median, marker="o", label=label)
    axes.fill_between(x, least, most, color=line.get_color(), alpha=0.2)
