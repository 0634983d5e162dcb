"""Runs a training and keeps what it reaches: checkpoint, loss curve and sheets of pictures."""

import argparse
import csv
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle.feedforward.trainer import Trainer, read_checkpoint

_SHEETS = 4  # checkpoints from one sheet to the next


def add_recorded_options(parser: argparse.ArgumentParser, steps: int) -> None:
    """Adds the options that decide a recorded training, and where it is kept.

    Args:
      parser: of the script.
      steps: how many it makes unless others are asked for.
    """
    add = parser.add_argument
    folder = "folder for the checkpoint, the curve and the sheet"
    add("--work", type=Path, required=True, help=folder)
    add("--output", type=Path, help="write what was trained here, a .safetensors file")
    add("--steps", type=int, default=steps, help="steps in all")
    add("--rate", type=float, default=1e-3, help="the highest learning rate")
    add("--seed", type=int, default=0, help="decides all that is random")
    add("--every", type=int, default=250, help="steps between checkpoints")


def run_command(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    train: Callable[[argparse.Namespace], None],
) -> None:
    """Parses arguments and trains; what is wrong with them is one line."""
    options = parser.parse_args(arguments)
    try:
        train(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))


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
    reports: list[Any] = []
    for step, report in trainer.run():
        reports.append(report)
        last = step == trainer.schedule.steps
        if step % every and not last:
            continue
        names, means = reports[-1]._fields, np.mean(np.asarray(reports), axis=0)
        reports.clear()
        new = not curve.exists()
        with curve.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["step", "cpu_seconds", *names])
            writer.writerow([step, round(time.process_time()), *means])
        trainer.save(checkpoint, settings)
        if step % (_SHEETS * every) == 0 or last:
            draw_sheet(work / "sheet.jpg")
