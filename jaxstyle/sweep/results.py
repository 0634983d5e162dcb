"""The files of a job that ended: where they are, and whether they are whole."""

import csv
import io
from pathlib import Path

from PIL import Image

from jaxstyle.sweep.manifest import Entry


def trace_of(entry: Entry, output: Path) -> Path:
    """Returns the file with the loss terms of a job, given its line and the sweep's folder."""
    return output / "traces" / f"{entry['id']}.csv"


def read_trace(path: Path) -> tuple[list[float], list[float]]:
    """Returns the steps and the losses of a file of loss terms.

    Raises:
      ValueError: if it is no such file.
      OSError: if it cannot be read.
    """
    try:
        text = path.read_bytes().decode()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        if not text.endswith("\n"):  # cut, perhaps within a number
            raise ValueError
        return [float(row["step"]) for row in rows], [float(row["loss"]) for row in rows]
    except (KeyError, TypeError, ValueError, csv.Error):
        raise ValueError(f"{path}: no loss terms of every step") from None


def bad_file(entry: Entry, output: Path) -> Path | None:
    """Returns a file of a job that is gone, cut or otherwise damaged, or None if all are whole.

    Args:
      entry: the job's line in the manifest.
      output: the sweep's folder.
    """
    if entry["file"] is None:
        return None
    picture, trace = output / str(entry["file"]), trace_of(entry, output)
    try:
        with Image.open(picture) as image:
            image.verify()  # reads on to the end, and decodes nothing
    except (OSError, ValueError, SyntaxError):  # the last is how Pillow calls a broken PNG
        return picture
    try:
        whole = len(read_trace(trace)[0]) == entry["steps"] + 1
    except (OSError, ValueError):
        whole = False
    return None if whole else trace
