"""What is known of a picture while it is made: loss terms, progress, and the last good image."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jax import Array

from jaxstyle._common import files
from jaxstyle.solvers import Info


class Monitor:
    """Takes the reports of one optimisation.

    Args:
      num_steps: of the optimisation.
      bar: a progress bar that counts the steps of this and other pictures, if any.
      save: called with the image and the step every `save_every` steps, but not after the last.
      save_every: see `save`.
      film: called with the step and the image every `film_every` steps.
      film_every: see `film`.

    Attributes:
      image: the last good image, None before the first report.
      step: the number of steps done.
      good_steps: how many of them had a finite loss.
      finite: whether all had.
      rows: loss terms of the start and of every step.
    """

    def __init__(
        self,
        num_steps: int,
        *,
        bar: Any = None,
        save: Callable[[Array, int], None] | None = None,
        save_every: int | None = None,
        film: Callable[[int, Array], None] | None = None,
        film_every: int = 1,
    ):
        self.image: Array | None = None
        self.num_steps = num_steps
        self.step = self.good_steps = 0
        self.finite = True
        self.rows: list[dict[str, float]] = []
        self._bar, self._save, self._save_every = bar, save, save_every
        self._film, self._film_every = film, film_every

    def __call__(self, step: int, image: Array, info: Info) -> None:
        """Takes a report: the steps done, the image, and `Info` of the steps since the last."""
        terms = {name: np.asarray(values) for name, values in info.terms.items()}
        losses, evaluations = np.asarray(info.loss), np.asarray(info.evaluations)
        for i in range(len(losses)):
            row: dict[str, float] = {"step": len(self.rows), "evaluations": int(evaluations[i])}
            row["loss"] = float(losses[i])
            self.rows.append(row | {name: float(values[i]) for name, values in terms.items()})
        finite = np.asarray(info.finite)
        new_steps = step - self.step
        good_steps = self.good_steps + int(finite[-new_steps:].sum())
        all_finite = bool(finite[-1])
        # Without a call in between, an interrupt cannot part them.
        self.step, self.image, self.good_steps, self.finite = step, image, good_steps, all_finite
        if self._bar is not None:
            summary = {name: f"{value:.3g}" for name, value in self.summary().items()}
            self._bar.set_postfix(summary, refresh=False)
            self._bar.update(new_steps)
        due = self._save_every and step % self._save_every == 0 and step < self.num_steps
        if self._save is not None and due and self.finite:
            self._save(image, step)
        if self._film is not None and step % self._film_every == 0 and self.finite:
            self._film(step, image)

    def go_on(self, step: int, image: Array, rows: list[dict[str, float]]) -> None:
        """Takes over from an interrupted run: the steps done, all of them good, and their rows."""
        self.step = self.good_steps = step
        self.image, self.rows = image, list(rows)
        if self._bar is not None:
            self._bar.update(step)

    def summary(self) -> dict[str, float]:
        """The latest loss and its parts, summed over layers; parts that are zero are left out."""
        parts: dict[str, float] = {"loss": 0.0}
        for name, value in self.rows[-1].items():
            if name not in ("step", "evaluations"):
                part = name.partition("/")[0]
                parts[part] = parts.get(part, 0.0) + value
        return {part: value for part, value in parts.items() if value or part == "loss"}

    def write_trace(self, path: Path) -> None:
        """Writes the rows up to the last good image as CSV."""
        with files.atomic_write(path) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.rows[0].keys())
            writer.writeheader()
            writer.writerows(self.rows[: self.good_steps + 1])


def snapshot_path(output: Path, step: int) -> Path:
    """Where the picture after some steps is kept: `out-000050.png` beside `out.png`."""
    return output.with_name(f"{output.stem}-{step:06d}{output.suffix}")


def describe(summary: dict[str, float]) -> str:
    """The loss and its parts in a few words."""
    loss, *parts = (f"{name.replace('_', ' ')} {value:.4g}" for name, value in summary.items())
    return f"{loss} ({', '.join(parts)})" if parts else loss
