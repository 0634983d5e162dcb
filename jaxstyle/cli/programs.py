"""Compiled programs kept between runs of the command, so that the second start is quick."""

import contextlib
import hashlib
import os
import platform
from pathlib import Path

import jax

from jaxstyle.networks import catalogue

# Quicker compilations are not worth a file.
_LEAST_SECONDS = 0.2


def keep_programs() -> None:
    """Lets JAX keep what it compiles in the user's cache, unless it was told where, or not to.

    `JAX_COMPILATION_CACHE_DIR` names another folder, `JAX_ENABLE_COMPILATION_CACHE=false` keeps
    nothing. Where the folder cannot be written, nothing is kept.
    """
    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return
    folder = catalogue.cache() / "programs" / _processor()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if os.access(folder, os.W_OK):
        for name, value in (
            ("jax_compilation_cache_dir", str(folder)),
            ("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS),
        ):
            jax.config.update(name, value)  # type: ignore[no-untyped-call]


def _processor() -> str:
    """A name for this machine's instruction set: a program for another one could not run here."""
    text = platform.machine() + platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        text += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(text.encode()).hexdigest()[:12]
