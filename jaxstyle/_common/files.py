"""Writes files that appear under their name only when complete, and finds pictures by pattern."""

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jaxstyle._common.in_use import in_use, remove_left
from jaxstyle.errors import UsageError

StrPath = str | os.PathLike[str]
# The names of files that are not complete yet begin like this.
PARTIAL = ".jaxstyle-"
# The extensions that count as pictures in a folder.
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".avif", ".ppm"}


@contextmanager
def atomic_write(path: StrPath) -> Iterator[Path]:
    """Opens a temporary file that takes the name `path` when the block ends without an error.

    If the block raises, the temporary file is removed and an older file at `path` stays. A symbolic
    link is followed, not replaced.

    Args:
      path: the file to write.

    Yields:
      An empty hidden file in the same folder, with the same extension.

    Raises:
      OSError: if the folder is missing or not writable, or `path` is a folder.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     with atomic_write(folder + "/trace.csv") as temporary:
      ...         _ = temporary.write_text("step,loss")
      ...     os.listdir(folder)
      ['trace.csv']
    """
    target = _output_target(path)
    temporary = _create_beside(target, path)
    try:
        with in_use(temporary):
            yield temporary
            os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: StrPath) -> Iterator[Path]:
    """Opens a temporary folder that takes the name `path` when the block ends without an error.

    Args:
      path: the folder to make.

    Yields:
      An empty hidden folder beside it.

    Raises:
      OSError: if the parent folder is missing or not writable, or `path` is a file or a folder with
        files in it.
    """
    check_new_folder(path)
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f"{PARTIAL}{secrets.token_hex(8)}")
    temporary.mkdir()
    try:
        with in_use(temporary):
            yield temporary
            os.replace(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def check_new_folder(path: StrPath) -> None:
    """Raises the errors that `atomic_folder` would raise before its block runs.

    Args:
      path: the folder to make.

    Raises:
      OSError: if the parent folder is missing or not writable, or `path` is a file or a folder with
        files in it.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{path}: is a file; name a folder")
    if target.is_dir() and any(target.iterdir()):
        raise FileExistsError(f"{path}: is a folder with files in it; name a new or an empty one")
    _create_beside(target, path).unlink()


def check_writable(path: StrPath) -> None:
    """Raises the errors that `atomic_write` would raise, before hours of work depend on it.

    Args:
      path: the file to write.

    Raises:
      OSError: if the folder is missing or not writable, or `path` is a folder.
    """
    # A real attempt: permissions let the superuser write anywhere, a read-only disk does not.
    _create_beside(_output_target(path), path).unlink()


def remove_leftovers(folders: Iterable[Path]) -> None:
    """Removes the temporary files of processes that were killed.

    Args:
      folders: those that are about to be written into.
    """
    for folder in set(folders):
        remove_left(folder.glob(PARTIAL + 16 * "[0-9a-f]" + "*"))


def find_pictures(given: Sequence[StrPath], root: Path = Path()) -> list[Path]:
    """Returns the files that names stand for: a file, all pictures of a folder, or a pattern.

    Args:
      given: the names.
      root: the folder that they are relative to.

    Returns:
      The paths, in the order of the names; those of a folder or a pattern are sorted.

    Raises:
      UsageError: if a folder has no pictures, or a pattern matches none.
    """
    found: list[Path] = []
    for name in map(str, given):
        path = root / name
        if path.is_dir():
            some = sorted(p for p in path.iterdir() if p.suffix.lower() in _PICTURES)
        elif not path.exists() and any(mark in name for mark in "*?["):
            start = Path(Path(name).anchor) if Path(name).is_absolute() else root
            some = sorted(start.glob(str(Path(name).relative_to(Path(name).anchor))))
        else:
            some = [path]
        if not some:
            what = "is a folder without pictures" if path.is_dir() else "no pictures there"
            raise UsageError(f"{name}: {what}; give a file, a folder or a pattern")
        found += some
    return found


def _output_target(path: StrPath) -> Path:
    """Returns the file that `path` stands for once symbolic links are followed."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; name a file inside it")
    if target.exists() and not target.is_file():  # a superuser could replace even /dev/null
        raise UsageError(f"{path}: is a device or pipe, not a file; name a file")
    return target


def _create_beside(target: Path, path: StrPath) -> Path:
    """Creates an empty hidden file in the target's folder; errors mention it as `path`."""
    temporary = target.with_name(f"{PARTIAL}{secrets.token_hex(8)}{target.suffix}")
    folder = Path(path).parent
    try:
        # Not `tempfile`: other users cannot read its files, even after they are renamed.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:  # no such folder, not a folder, no permission, a read-only disk
        reason = f"cannot write in {folder} ({error.strerror})"
        raise type(error)(f"{path}: {reason}; create it, or choose another folder") from None
    return temporary
