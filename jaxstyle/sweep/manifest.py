"""The record of a sweep: a line for each job that ended, whatever happens to the process."""

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

with contextlib.suppress(ImportError):  # not on Windows
    import fcntl

Entry = dict[str, Any]
# What file systems without locks answer; a sweep there is for one process at a time.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextlib.contextmanager
def locked(file: IO[Any]) -> Iterator[None]:
    """Keeps other processes of this sweep from writing meanwhile."""
    if not lock(file):
        yield
        return
    try:
        yield
    finally:
        file.flush()
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


def lock(file: IO[Any], *, shared: bool = False, wait: bool = True) -> bool:
    """Locks a file against other processes, until it is closed.

    Args:
      file: open for reading and writing: network file systems want that.
      shared: whether others may hold it likewise.
      wait: whether to wait for others.

    Returns:
      Whether the lock was had; False too where there are no locks.
    """
    if "fcntl" not in globals():
        return False
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
    except OSError as error:
        if isinstance(error, BlockingIOError) or error.errno in _NO_LOCKS:
            return False
        raise
    return True
