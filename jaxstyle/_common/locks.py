"""Locks of the system's, which end with the process that holds them.

One kind waits, so that processes write a file in turn. The other marks what is being written, so
that what a killed process left can be told from it. Where there are no locks, as on Windows, nobody
waits, nothing is marked and nothing counts as left.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

with contextlib.suppress(ImportError):  # not on Windows
    import fcntl

_HAS_LOCKS = "fcntl" in globals()
# What file systems without locks answer.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextlib.contextmanager
def locked(file: IO[Any]) -> Iterator[None]:
    """Waits for other processes to be done with a file, and lets them wait during the block.

    Args:
      file: open for reading and writing: network file systems want that.

    Raises:
      OSError: if it cannot be locked, although the file system has locks.
    """
    if not _HAS_LOCKS:
        yield
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield
    finally:
        file.flush()
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)


@contextlib.contextmanager
def marked(create: Callable[[], Path]) -> Iterator[Path]:
    """Creates a file or a folder, and marks it as in use while the block runs.

    Args:
      create: makes an empty one under a new name each time, and returns its path. It is called
        again if another process has taken the first for a left one, and removed it.

    Yields:
      The path.
    """
    with contextlib.ExitStack() as stack:
        while True:
            path = create()
            with contextlib.suppress(OSError):  # a file system without locks
                stack.enter_context(_marked(path, wait=True))
            if os.path.lexists(path):
                break
            stack.close()
        yield path


@contextlib.contextmanager
def held(path: Path) -> Iterator[bool]:
    """Marks a file or a folder as in use while the block runs, unless another process has.

    Args:
      path: it exists.

    Yields:
      False if another process has marked it.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_marked(path))
        except BlockingIOError:
            yield False
            return
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield True


def remove_left(paths: Iterable[Path]) -> None:
    """Removes the files and folders that no process has marked as in use."""
    if not _HAS_LOCKS:
        return
    for path in paths:
        with contextlib.suppress(OSError), _marked(path):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextlib.contextmanager
def _marked(path: Path, wait: bool = False) -> Iterator[None]:
    """Marks a file or a folder.

    Raises:
      OSError: if another process has marked it and this one does not wait, or there are no locks.
    """
    if not _HAS_LOCKS:
        yield
        return
    # Network file systems lock what is open for writing. A link or a pipe is nobody's left file.
    access = os.O_RDONLY if path.is_dir() else os.O_RDWR
    opened = os.open(path, access | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(opened)
