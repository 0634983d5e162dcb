"""Digests of the files that a picture is made from, by which a file is known again anywhere."""

import contextlib
import functools
from collections.abc import Mapping
from pathlib import Path

from jaxstyle._common.reading import sha256


def digests(files: Mapping[str, Path | None]) -> dict[str, str]:
    """Returns the SHA-256 of files, by the same names.

    What is no file, or is gone since it was read, is left out: a finished picture must not be lost
    for it.
    """
    found = {}
    for name, path in files.items():
        if path is not None and path.is_file():
            with contextlib.suppress(OSError):
                found[name] = digest_of(path)
    return found


def digest_of(path: Path) -> str:
    """Returns the SHA-256 of a file, which is read again only if it has changed."""
    status = path.stat()
    return _digest(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=1024)
def _digest(path: Path, changed: int, size: int) -> str:
    return sha256(path)
