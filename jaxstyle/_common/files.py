"""Files: those that appear under their name only once complete, and pictures by pattern."""

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jaxstyle.errors import UsageError

StrPath = str | os.PathLike[str]
# How files begin that are not complete yet.
PARTIAL = ".jaxstyle-"
# What a folder given as pictures is searched for.
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".avif", ".ppm"}


@contextmanager
def atomic_write(path: StrPath) -> Iterator[Path]:
    """Gives a temporary file to write that takes the name `path` when the block ends well.

    If the block raises, the temporary file is removed and what was at `path` stays. A symbolic
    link is followed, not replaced.

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
        yield temporary
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: StrPath) -> Iterator[Path]:
    """Gives a temporary folder to fill that takes the name `path` when the block ends well.

    Raises:
      OSError: if there is no such parent, it is not writable, or `path` is not new or empty.
    """
    check_new_folder(path)
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f"{PARTIAL}{secrets.token_hex(8)}")
    temporary.mkdir()
    try:
        yield temporary
        os.replace(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def check_new_folder(path: StrPath) -> None:
    """Raises what `atomic_folder` would raise at once.

    Raises:
      OSError: if there is no such parent, it is not writable, or `path` is not new or empty.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{path}: is a file; name a folder")
    if target.is_dir() and any(target.iterdir()):
        raise FileExistsError(f"{path}: is a folder with files in it; name a new or an empty one")
    _create_beside(target, path).unlink()


def check_writable(path: StrPath) -> None:
    """Raises what `atomic_write` would raise at once, before hours of work depend on it.

    Raises:
      OSError: if the folder is missing or does not admit new files, or `path` is a folder.
    """
    # Tried rather than asked: the superuser may write anywhere, except on a read-only disk.
    _create_beside(_output_target(path), path).unlink()


def find_pictures(given: Sequence[str], root: Path = Path()) -> list[Path]:
    """The files that names stand for: a file, all pictures of a folder, or a pattern.

    Args:
      given: the names.
      root: the folder that they are relative to.

    Raises:
      UsageError: if a folder or a pattern has no pictures.
    """
    found: list[Path] = []
    for name in given:
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
    """The file that `path` stands for, behind symbolic links."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; name a file inside it")
    if target.exists() and not target.is_file():  # a superuser could replace even /dev/null
        raise UsageError(f"{path}: is a device or pipe, not a file; name a file")
    return target


def _create_beside(target: Path, path: StrPath) -> Path:
    """An empty hidden file in the target's folder; `path` is the name that errors mention."""
    temporary = target.with_name(f"{PARTIAL}{secrets.token_hex(8)}{target.suffix}")
    folder = Path(path).parent
    try:
        # Not `tempfile`: its files are closed to others, and stay so when they are renamed.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:  # no such folder, not a folder, no right, a read-only disk
        reason = f"cannot write in {folder} ({error.strerror})"
        raise type(error)(f"{path}: {reason}; create it, or choose another folder") from None
    return temporary
