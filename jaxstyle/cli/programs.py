"""Compiled programs kept between runs of the command, so that the second start is quick."""

import contextlib
import glob
import hashlib
import os
import platform
import re
import warnings
from pathlib import Path
from typing import TextIO

import jax

from jaxstyle._common import kept
from jaxstyle.cli.printing import complain
from jaxstyle.networks import catalogue

# Small programs too: compiling fifty of them takes longer than reading them.
_LEAST_SECONDS = 0.0
# The bytes of all programs that are kept.
_LIMIT = 2**28
# What JAX says of an entry, and the name of the program in it.
_TROUBLE = re.compile(r"Error (reading|writing) persistent compilation cache entry for '([^']*)': ")


def keep_programs() -> None:
    """Keeps compiled programs in the user's cache, unless it was told where, or not to.

    `JAX_COMPILATION_CACHE_DIR` names another folder, in which JAX keeps its own programs by its own
    rules, and the package those that need not be traced either, in a folder in there.
    `JAX_ENABLE_COMPILATION_CACHE=false` keeps nothing. Where there is no folder that belongs to
    this user and can be written, nothing is kept: whoever can write a program there can have it
    run.

    An entry that cannot be read is removed, and made again. What was not used for longest goes when
    the folder grows too large.
    """
    values = jax.config.values
    if not values["jax_enable_compilation_cache"]:
        return
    told = values["jax_compilation_cache_dir"]
    programs = _programs_in_cache() if told is None else _programs_within(told)
    if programs is None:
        return
    folder = programs / _processor()
    if not (_own(programs) and _own(folder)):
        return
    _remove_least_used(programs)
    if told is None:
        _let_jax_keep(folder)
    kept.keep_in(folder)


def _programs_in_cache() -> Path | None:
    cache = catalogue.cache()
    return None if cache is None else cache / "programs"


def _programs_within(told: str) -> Path | None:
    return None if "://" in told else Path(told) / "jaxstyle"


def _let_jax_keep(folder: Path) -> None:
    for name, value in (
        ("jax_compilation_cache_dir", str(folder)),
        ("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS),
    ):
        jax.config.update(name, value)  # type: ignore[no-untyped-call]
    _Mender(folder).listen()


class _Mender:
    """Removes the entries that JAX complains of, in place of its warnings.

    JAX tells of them in no other way, and keeps a damaged entry for ever. After the warning, it
    compiles the program, and writes it where no entry is in the way.
    """

    def __init__(self, folder: Path):
        self._folder, self._told = folder, False
        self._show = warnings.showwarning

    def listen(self) -> None:
        """Takes the place of what shows warnings."""
        # Also those that were shown before, or are not to be shown.
        warnings.filterwarnings("always", message=_TROUBLE.pattern)
        warnings.showwarning = self._take

    def _take(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        trouble = _TROUBLE.match(str(message))
        if trouble is None:
            self._show(message, category, filename, lineno, file, line)
            return
        for entry in self._folder.glob(f"{glob.escape(trouble[2])}-*"):
            with contextlib.suppress(OSError):  # another process may be removing it
                entry.unlink()
        if trouble[1] == "writing" and not self._told:
            self._told = True
            reason = str(message)[trouble.end() :]
            complain(f"warning: compiled programs cannot be kept in {self._folder}: {reason}")


def _own(folder: Path) -> bool:
    """Makes a folder for this user alone; returns whether it is, and can be written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            return False
        folder.chmod(0o700)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _remove_least_used(programs: Path) -> None:
    """Removes the entries that were not used for longest, until the others keep to the limit.

    JAX's own limit, `jax_compilation_cache_max_size`, needs another package for its locks.
    """
    used = []
    for entry in programs.glob("*/*-cache"):
        with contextlib.suppress(OSError):  # another process may have removed it
            status = entry.stat()
            used.append((max(status.st_atime, status.st_mtime), status.st_size, entry))
    total = 0
    for _, size, entry in sorted(used, reverse=True):
        total += size
        if total > _LIMIT:
            with contextlib.suppress(OSError):
                entry.unlink()


def _processor() -> str:
    """A name for this machine's instruction set: a program for another one could not run here."""
    text = platform.machine() + platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        text += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(text.encode()).hexdigest()[:12]
