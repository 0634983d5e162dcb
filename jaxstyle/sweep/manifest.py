"""The record of a sweep: a line for each job that ended, whatever happens to the process."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

with contextlib.suppress(ImportError):  # not on Windows
    import fcntl

Entry = dict[str, Any]


@contextlib.contextmanager
def locked(file: IO[Any]) -> Iterator[None]:
    """Keeps other processes of this sweep from writing meanwhile."""
    if "fcntl" not in globals():
        yield
        return
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def append(path: Path, entries: list[Entry]) -> None:
    """Adds lines, one an entry, and waits until they are on the disk.

    A line that a killed process left unfinished is cut off first.
    """
    lines = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
    with path.open("a+b") as file, locked(file):
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(max(0, end - 1))
            if file.read(1) != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> dict[str, Entry]:
    """The last entry of each job, by its id; an unfinished last line is left out."""
    if not path.exists():
        return {}
    entries = {}
    for line in path.read_bytes().split(b"\n")[:-1]:
        entry = json.loads(line)
        entries[entry["id"]] = entry
    return entries


def lock(file: IO[Any], *, alone: bool) -> bool:
    """Marks this process as at work on a sweep, until the file is closed.

    Args:
      file: the sweep's lock file, open for writing.
      alone: whether to succeed only if no other process is at work.
    """
    if "fcntl" not in globals():
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
    except BlockingIOError:
        return False
    return True
