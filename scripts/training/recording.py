"""Runs a training and keeps what it reaches: checkpoint, loss curve and sheets of pictures."""

import csv
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle.feedforward.trainer import Trainer, read_checkpoint
from jaxstyle.feedforward.training import Report

_SHEETS = 4  # checkpoints from one sheet to the next


def run_recorded(
    trainer: Trainer,
    work: Path,
    settings: Mapping[str, Any],
    every: int,
    draw_sheet: Callable[[Path], None],
) -> None:
    """Trains to the end, from where the work folder says that it was left.

    Args:
      trainer: at its beginning.
      work: folder of `checkpoint.msgpack`, `curve.csv` and `sheet.jpg`.
      settings: what has to be the same for the training to go on.
      every: steps between checkpoints.
      draw_sheet: writes pictures of what is reached to a file.

    Raises:
      UsageError: if the checkpoint was begun with other settings.
    """
    checkpoint, curve = work / "checkpoint.msgpack", work / "curve.csv"
    if checkpoint.exists():
        before = read_checkpoint(checkpoint)
        before.check(settings)
        trainer.go_on(before)
    reports: list[Report] = []
    for step, report in trainer.run():
        reports.append(report)
        last = step == trainer.schedule.steps
        if step % every and not last:
            continue
        means = np.mean(np.asarray(reports), axis=0)
        reports.clear()
        new = not curve.exists()
        with curve.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["step", "cpu_seconds", *Report._fields])
            writer.writerow([step, round(time.process_time()), *means])
        trainer.save(checkpoint, settings)
        if step % (_SHEETS * every) == 0 or last:
            draw_sheet(work / "sheet.jpg")
