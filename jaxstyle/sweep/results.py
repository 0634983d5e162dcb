"""The files of a job that ended: where they are, and whether they are whole."""

from pathlib import Path

from PIL import Image

from jaxstyle.pipeline.traces import read_trace
from jaxstyle.sweep.manifest import Entry


def trace_of(entry: Entry, output: Path) -> Path:
    """Returns the file with the loss terms of a job, given its line and the sweep's folder."""
    return output / "traces" / f"{entry['id']}.csv"


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
        whole = len(read_trace(trace)["step"]) == entry["steps"] + 1
    except (OSError, ValueError):
        whole = False
    return None if whole else trace
