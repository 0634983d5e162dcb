"""What is known of a picture while it is made: its loss terms, its steps, its last good image."""

import csv
from pathlib import Path

import numpy as np
from jax import Array

from jaxstyle._common import files
from jaxstyle.optimization.descent import Progress
from jaxstyle.pipeline.job import Job
from jaxstyle.solvers import Info


class Track:
    """Follows the making of one picture.

    Args:
      job: the picture to make.
      num_steps: the steps that its method makes.

    Attributes:
      image: the last good image `[H, W, 3]`, None before the first report.
      step: how many steps are done.
      good_steps: how many of them had a finite loss.
      finite: whether all of them had.
      rows: the loss terms of the start and of every step.
      progress: what the method needs to go on from the last report, where it can.
      kept: whether the picture was written at the end.
    """

    def __init__(self, job: Job, num_steps: int):
        self.job, self.num_steps = job, num_steps
        self.image: Array | None = None
        self.step = self.good_steps = 0
        self.finite = True
        self.rows: list[dict[str, float]] = []
        self.progress: Progress | None = None
        self.kept = False

    def start(self, image: Array) -> None:
        """Takes the image that the method starts from."""
        self.image = image

    def take(self, step: int, image: Array, info: Info, progress: Progress | None = None) -> None:
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
        # Without a call in between, an interrupt cannot part them. It may leave further rows.
        self.step, self.image, self.progress = step, image, progress
        self.good_steps, self.finite = good_steps, all_finite

    def go_on(
        self, progress: Progress, rows: list[dict[str, float]], image: Array | None = None
    ) -> None:
        """Takes over from an interrupted run, all of whose steps were good.

        Args:
          progress: where it is.
          rows: its loss terms.
          image: its picture, where that is not the image that it carries.
        """
        self.image = progress.state.image if image is None else image
        self.rows = list(rows)
        self.step = self.good_steps = progress.step

    @property
    def judged(self) -> bool:
        """Whether there is a loss: what a network paints in one pass has none."""
        return bool(self.terms())

    @property
    def better(self) -> bool:
        """Whether any step has lowered the loss."""
        return self.rows[self.good_steps]["loss"] < self.rows[0]["loss"]

    def terms(self) -> dict[str, float]:
        """Returns the loss terms of the last good image."""
        last = self.rows[self.good_steps]
        return {k: v for k, v in last.items() if k not in ("step", "evaluations", "loss")}

    def write_trace(self, path: Path) -> None:
        """Writes the rows up to the last good image as CSV."""
        with (
            files.atomic_write(path) as partial,
            partial.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, self.rows[0].keys())
            writer.writeheader()
            writer.writerows(self.rows[: self.good_steps + 1])
