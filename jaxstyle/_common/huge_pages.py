"""Huge memory pages for the large feature maps of a run on a CPU."""

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

_TUNABLE = "glibc.malloc.hugetlb"
_KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def restart_with_huge_pages() -> None:
    """Restarts this process with huge memory pages, or returns where they would gain nothing.

    Every evaluation allocates hundreds of megabytes for feature maps. With pages of 4 kB, setting
    up that memory takes a quarter of the time (`python -m scripts.benchmarks.benchmark pages`).
    Linux gives huge pages to programs that ask for them. glibc asks for them if an environment
    variable says so, but it reads the variable only when a process starts. Therefore the process
    has to restart, and this call belongs at the start of a program, before anything is computed.

    The function changes nothing and returns if one of these holds:

    - The kernel gives huge pages to all programs, or to none.
    - The C library is not glibc, or is older than version 2.35.
    - The environment variable `GLIBC_TUNABLES` mentions `glibc.malloc.hugetlb` already. Set
      `glibc.malloc.hugetlb=0` there to keep small pages.

    Example:
      >>> restart_with_huge_pages()  # doctest: +SKIP
    """
    environment = with_huge_pages(os.environ)
    if environment is not None:
        os.execve(sys.executable, sys.orig_argv, environment)


def with_huge_pages(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Returns the environment for a process with huge pages, or None where that changes nothing."""
    told = environment.get("GLIBC_TUNABLES", "")
    if _TUNABLE in told or not _worth_asking():
        return None
    return {**environment, "GLIBC_TUNABLES": ":".join(filter(None, [told, f"{_TUNABLE}=1"]))}


def _worth_asking() -> bool:
    library, version = platform.libc_ver()
    if library != "glibc" or tuple(map(int, version.split(".")[:2])) < (2, 35):
        return False
    try:
        return "[madvise]" in _KERNEL.read_text(encoding="utf-8")
    except OSError:
        return False
