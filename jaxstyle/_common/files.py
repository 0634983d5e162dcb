"""Writes files that appear under their name only when complete, and finds pictures by pattern."""

import contextlib
import errno
import fnmatch
import glob
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jaxstyle._common.locks import marked, remove_left
from jaxstyle.errors import UsageError

StrPath = str | os.PathLike[str]
# The names of files that are not complete yet begin like this.
_PARTIAL = ".jaxstyle-"
# The extensions that count as pictures in a folder.
_PICTURES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".tif", ".tiff", ".gif", ".bmp",
    ".avif", ".avifs", ".heic", ".heif", ".hif", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm",
}  # fmt: skip
_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def atomic_write(path: StrPath) -> Iterator[Path]:
    """Opens a temporary file that takes the name `path` when the block ends without an error.

    The contents are on the disk before the name is: after a loss of power there is the old file or
    the new one. If the block raises, the temporary file is removed and an older file at `path`
    stays. A symbolic link is followed, not replaced.

    Args:
      path: the file to write.

    Yields:
      An empty hidden file in the same folder.

    Raises:
      OSError: if the folder is missing or not writable, or `path` is a folder, or the disk is full.
        Errors of the disk in the block name `path` too.
      UsageError: if the name is too long, or that of a device.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     with atomic_write(folder + "/trace.csv") as temporary:
      ...         _ = temporary.write_text("step,loss", encoding="utf-8")
      ...     os.listdir(folder)
      ['trace.csv']
    """
    target = _output_target(path)
    with marked(lambda: _create_beside(target, path)) as temporary:
        try:
            with _naming(path):
                yield temporary
                _sync(temporary)
                os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    _sync_folder(target.parent)


def write_bytes(path: StrPath, data: bytes) -> None:
    """Writes a file whole or not at all; see `atomic_write`.

    Args:
      path: the file to write.
      data: its contents.

    Raises:
      OSError, UsageError: as for `atomic_write`.
    """
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def atomic_folder(path: StrPath) -> Iterator[Path]:
    """Opens a temporary folder that takes the name `path` when the block ends without an error.

    Args:
      path: the folder to make.

    Yields:
      An empty hidden folder beside it.

    Raises:
      OSError: if the parent folder is missing or not writable, or `path` is a file or a folder with
        files in it, or the disk is full.
      UsageError: if the name is too long.
    """
    check_new_folder(path)
    target = Path(os.path.realpath(path))

    def create() -> Path:
        new = _hidden_beside(target)
        with _naming(path):
            new.mkdir()
        return new

    with marked(create) as temporary:
        try:
            with _naming(path):
                yield temporary
                for file in temporary.iterdir():
                    _sync(file)
                _sync_folder(temporary)
                os.replace(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    _sync_folder(target.parent)


def check_new_folder(path: StrPath) -> None:
    """Raises the errors that `atomic_folder` would raise before its block runs.

    Args:
      path: the folder to make.

    Raises:
      OSError: if the parent folder is missing or not writable, or `path` is a file or a folder with
        files in it.
      UsageError: if the name is too long.
    """
    target = Path(os.path.realpath(path))
    _check_length(target, path)
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{path}: is a file; name a folder")
    if target.is_dir() and any(target.iterdir()):
        raise FileExistsError(f"{path}: is a folder with files in it; name a new or an empty one")
    _create_beside(target, path).unlink(missing_ok=True)


def check_folder(path: StrPath, file: str) -> None:
    """Raises the errors that making a folder would raise, or those of writing in one that is there.

    Other processes may make the folder at any time.

    Args:
      path: the folder.
      file: the name of one of the files that it will have.

    Raises:
      OSError: if `path` is a file, or the folder or the one that it will be in is not writable.
      UsageError: if the name is too long.
    """
    target = Path(os.path.realpath(path))
    _check_length(target, path)
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{path}: is a file; name a folder")
    if target.is_dir():
        target, path = target / file, Path(path) / file
    _create_beside(target, path).unlink(missing_ok=True)


def check_writable(path: StrPath) -> None:
    """Raises the errors that `atomic_write` would raise, before hours of work depend on it.

    Args:
      path: the file to write.

    Raises:
      OSError: if the folder is missing or not writable, or `path` is a folder.
      UsageError: if the name is too long, or that of a device.
    """
    # A real attempt: permissions let the superuser write anywhere, a read-only disk does not.
    # Another process may be removing what was left, and take this for it.
    _create_beside(_output_target(path), path).unlink(missing_ok=True)


@contextmanager
def probe(folder: Path) -> Iterator[Path]:
    """Creates an empty hidden file in a folder, and removes it when the block ends.

    Args:
      folder: the folder.

    Yields:
      The path of the file.

    Raises:
      OSError: if the folder is missing or not writable, or the disk is full.
    """
    with marked(lambda: _create_beside(folder / "probe", folder)) as temporary:
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


def remove_leftovers(folders: Iterable[Path]) -> None:
    """Removes the temporary files of processes that were killed.

    Args:
      folders: those that are about to be written into.
    """
    for folder in set(folders):
        remove_left(folder.glob(_PARTIAL + 16 * "[0-9a-f]" + "*"))


def remove_folder(folder: Path) -> None:
    """Removes a folder at once: what a kill leaves of it is a leftover, under a hidden name.

    It may stay if the system does not let it go.
    """
    hidden = _hidden_beside(folder)
    with contextlib.suppress(OSError):
        folder.rename(hidden)
        shutil.rmtree(hidden)


def find_pictures(given: Sequence[StrPath], root: Path = Path()) -> list[Path]:
    """Returns the files that names stand for: a file, all pictures of a folder, or a pattern.

    As in a shell, hidden files are left out, and so are folders.

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
        # Not the methods of `Path`, which fail at a name that is too long.
        folder, pattern = os.path.isdir(path), any(mark in name for mark in "*?[")
        if folder:
            some = [p for p in _visible(path.iterdir()) if p.suffix.lower() in _PICTURES]
        elif pattern and not os.path.exists(path):
            some = _visible(_matches(name, root))
        else:
            some = [path]
        if not some:
            what = "is a folder without pictures" if folder else "no pictures there"
            raise UsageError(f"{name}: {what}; give a file, a folder or a pattern")
        found += some
    return found


def _visible(paths: Iterable[Path]) -> list[Path]:
    """Returns the files among paths that are not hidden, sorted."""
    return sorted(p for p in paths if not p.name.startswith(".") and not p.is_dir())


def would_find(pattern: str, root: Path, file: StrPath) -> bool:
    """Tells whether `find_pictures` would find a file by a pattern, if the file were there.

    Args:
      pattern: as `find_pictures` takes it.
      root: the folder that it is relative to.
      file: the file.
    """
    start, parts = _split(pattern, root)
    path, folder = Path(os.path.realpath(file)), os.path.realpath(start)
    return path.is_relative_to(folder) and _fits(parts, path.relative_to(folder).parts)


def _fits(parts: Sequence[str], names: Sequence[str]) -> bool:
    """Tells whether the parts of a pattern match the names of a path, one after another."""
    if not parts or not names:
        return not parts and not names
    if parts[0] == "**":  # any number of folders that are not hidden, and none too
        hidden = names[0].startswith(".")
        return _fits(parts[1:] or ["*"], names) or (not hidden and _fits(parts, names[1:]))
    visible = parts[0].startswith(".") or not names[0].startswith(".")
    return visible and fnmatch.fnmatch(names[0], parts[0]) and _fits(parts[1:], names[1:])


def _split(pattern: str, root: Path) -> tuple[Path, list[str]]:
    """Returns the folder that a pattern begins with, which is taken as it is, and its parts."""
    anchor = Path(pattern).anchor
    start, parts = root / anchor, list(Path(pattern).relative_to(anchor).parts)
    while len(parts) > 1 and os.path.isdir(start / parts[0]):
        start /= parts.pop(0)
    return start, parts


def _matches(pattern: str, root: Path) -> Iterator[Path]:
    """Yields what a pattern matches, below the folders whose names it begins with as they are."""
    start, parts = _split(pattern, root)
    # Not `Path.glob`, which fails at names that are too long.
    for name in glob.iglob(str(Path(*parts)), root_dir=start, recursive=True):
        yield start / name


def _output_target(path: StrPath) -> Path:
    """Returns the file that `path` stands for once symbolic links are followed."""
    target = Path(os.path.realpath(path))
    _check_length(target, path)
    if target.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; name a file inside it")
    if target.exists() and not target.is_file():  # a superuser could replace even /dev/null
        raise UsageError(f"{path}: is a device or pipe, not a file; name a file")
    return target


def _check_length(target: Path, path: StrPath) -> None:
    """Raises `UsageError` if the disk cannot hold so long a name."""
    try:
        os.stat(target)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UsageError(f"{path}: this name is too long; choose a shorter one") from None


def _hidden_beside(target: Path) -> Path:
    """Returns a new name for what is not complete; `remove_leftovers` knows it by its form."""
    return target.with_name(f"{_PARTIAL}{secrets.token_hex(8)}")


def _create_beside(target: Path, path: StrPath) -> Path:
    """Creates an empty hidden file in the target's folder; errors mention it as `path`."""
    temporary = _hidden_beside(target)
    try:
        # Not `tempfile`: other users cannot read its files, even after they are renamed.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:  # no such folder, not a folder, no permission, a read-only disk
        remedy = "make room" if error.errno in _FULL else "create it"
        reason = f"cannot write in {Path(path).parent} ({error.strerror})"
        raise _renamed(error, f"{path}: {reason}; {remedy}, or choose another folder") from None
    return temporary


@contextmanager
def _naming(path: StrPath) -> Iterator[None]:
    """Lets errors of the disk name the file as the user does, not the hidden one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # our own, which names its file
            raise
        remedy = (
            "make room, or choose another folder" if error.errno in _FULL else "write elsewhere"
        )
        reason = (error.strerror or str(error)).lower()
        raise _renamed(error, f"{path}: {reason}; {remedy}") from error


def _renamed(error: OSError, message: str) -> OSError:
    """Returns an error of the same kind and number with another message."""
    renamed = type(error)(message)
    renamed.errno = error.errno
    return renamed


def _sync(file: Path) -> None:
    """Waits until the contents of a file are on the disk."""
    with file.open("r+b") as opened:  # some systems only do it for what may be written
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk, where the system can do that."""
    with contextlib.suppress(OSError):  # the file is there, and may only be lost with the power
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
