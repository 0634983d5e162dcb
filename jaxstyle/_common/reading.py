"""Opens files of other people's: only what lies on a disk, and no more of it than was agreed."""

import hashlib
import os
import stat
from io import BufferedReader
from typing import IO

from jaxstyle._common.files import StrPath
from jaxstyle.errors import FileFormatError

LARGEST = 2**31
"""Bytes of the largest files worth reading: whole models, with the state of their training."""


def open_regular(path: StrPath, most: int) -> BufferedReader:
    """Opens a file for reading, unless it is a pipe, a device or far too large.

    Opening a pipe waits for somebody to write into it, and a device may never end.

    Args:
      path: the file. Links are followed.
      most: the most bytes that it may have.

    Returns:
      The open file.

    Raises:
      FileFormatError: if it is no file on a disk, or larger than `most`.
      OSError: if it is missing, is a folder or may not be read.
      TypeError: if `path` is no path, such as the number of an open file.

    Example:
      >>> open_regular("/dev/null", 100)
      Traceback (most recent call last):
      jaxstyle.errors.FileFormatError: /dev/null: is a pipe or device; give a file saved to disk
    """
    # Looked at when it is open, so that nobody can put another in its place meanwhile.
    file = open(os.fspath(path), "rb", opener=_without_waiting)  # noqa: SIM115, the caller closes it
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        reason = "is a pipe or device; give a file saved to disk"
    elif status.st_size > most:
        reason = f"has more than {most / 1e6:,.0f} MB, which no such file needs"
    else:
        return file
    file.close()
    raise FileFormatError(f"{path}: {reason}")


def sha256(path: StrPath) -> str:
    """Returns the SHA-256 of a file, in 64 hexadecimal digits.

    Args:
      path: the file, of at most 2 GiB.

    Raises:
      FileFormatError, OSError: as for `open_regular`.
    """
    with open_regular(path, LARGEST) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Bounded:
    """A file of which at most so many bytes are read, from wherever in it.

    Parsers ask for as many bytes as the file tells them to. So a file of a few bytes could make
    them allocate gigabytes, or read a large one to its end.

    Args:
      file: the file; reading starts where it stands.
      most: the most bytes to read in all.
    """

    def __init__(self, file: IO[bytes], most: int):
        self._file, self._most, self._left = file, most, most

    def read(self, size: int | None = -1, /) -> bytes:
        """Returns `size` bytes, or fewer at the end of the file."""
        if size is None or size < 0:
            size = os.fstat(self._file.fileno()).st_size - self._file.tell()
        return self._taken(self._file.read(size) if size <= self._left else None)

    def readline(self) -> bytes:
        """Returns the bytes up to the end of the line."""
        return self._taken(self._file.readline(self._left + 1))

    def seek(self, place: int, whence: int = os.SEEK_SET, /) -> int:
        """Moves to another place, which costs nothing."""
        if whence == os.SEEK_SET and place < 0:
            raise ValueError(f"it leads to byte {place}")
        return self._file.seek(place, whence)

    def seekable(self) -> bool:
        """Returns True, which `zipfile` wants to know."""
        return True

    def tell(self) -> int:
        """Returns the place of the next byte."""
        return self._file.tell()

    def _taken(self, data: bytes | None) -> bytes:
        if data is None or len(data) > self._left:
            raise ValueError(f"it asks for more than {self._most / 1e6:,.1f} MB at once")
        self._left -= len(data)
        return data


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # Windows has no such pipes
