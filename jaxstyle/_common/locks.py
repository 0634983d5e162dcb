"""Marks what is being written, so that what a killed process left can be told from it.

The mark is a lock of the system's, which ends with the process. Where there are no locks, as on
Windows, nothing is marked and nothing counts as left.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

with contextlib.suppress(ImportError):  # not on Windows
    import fcntl


@contextlib.contextmanager
def in_use(path: Path) -> Iterator[None]:
    """Marks a file or a folder while the block runs."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a file system without locks
            stack.enter_context(_lock(path))
        yield


def remove_left(paths: Iterable[Path]) -> None:
    """Removes the files and folders that no process has marked as in use."""
    if "fcntl" not in globals():
        return
    for path in paths:
        with contextlib.suppress(OSError), _lock(path):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Locks a file or a folder. Raises `OSError` if another process has, or there are no locks."""
    if "fcntl" not in globals():
        yield
        return
    # Network file systems lock what is open for writing. A link or a pipe is nobody's left file.
    access = os.O_RDONLY if path.is_dir() else os.O_RDWR
    opened = os.open(path, access | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(opened)
