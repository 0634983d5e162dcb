"""What happens while a picture is made: progress bar, trace, snapshots, and the last good image."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from jax import Array
from tqdm import tqdm

from jaxstyle import files
from jaxstyle.solvers import Info

Save = Callable[[Path, Array, int], None]


class DivergedError(Exception):
    """The loss is not finite; every further step would be undone."""


class Monitor:
    """The callback of one optimisation; as a context it shows a progress bar.

    Attributes:
      image: the last good image, None before the first report.
      step: the number of steps done.
      good_steps: how many of them had a finite loss.
      finite: whether all had.
      rows: loss terms of the start and of every step.
    """

    def __init__(
        self,
        output: Path,
        num_steps: int,
        save: Save,
        *,
        quiet: bool = False,
        save_every: int | None = None,
    ):
        self.image: Array | None = None
        self.step = self.good_steps = 0
        self.finite = True
        self.rows: list[dict[str, float]] = []
        self._output, self._save, self._save_every = output, save, save_every
        # disable=None: silent where stderr is not a terminal.
        self._bar = tqdm(
            total=num_steps,
            desc=output.name,
            unit="step",
            file=sys.stderr,
            disable=True if quiet else None,
            dynamic_ncols=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._bar.close()

    def __call__(self, step: int, image: Array, info: Info) -> None:
        """Takes a report from `jaxstyle.optimize`.

        Raises:
          DivergedError: to end a run whose loss is not finite.
        """
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
        self._bar.set_postfix(
            {name: f"{value:.3g}" for name, value in self.summary().items()}, refresh=False
        )
        self._bar.update(new_steps)
        if not self.finite:
            raise DivergedError
        if self._save_every and step % self._save_every == 0 and step < self._bar.total:
            self._save(snapshot_path(self._output, step), image, step)

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
            writer.writerows(self.rows[: self.step + 1])


def snapshot_path(output: Path, step: int) -> Path:
    """Where the picture after some steps is kept: `out-000050.png` beside `out.png`."""
    return output.with_name(f"{output.stem}-{step:06d}{output.suffix}")


def describe(summary: dict[str, float]) -> str:
    """The loss and its parts in a few words."""
    loss, *parts = (f"{name.replace('_', ' ')} {value:.4g}" for name, value in summary.items())
    return f"{loss} ({', '.join(parts)})" if parts else loss
