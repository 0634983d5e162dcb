"""Huge memory pages for the large feature maps of a run on a CPU."""

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

_TUNABLE = "glibc.malloc.hugetlb"
_KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def restart_with_huge_pages() -> None:
    """Starts this process anew, in its place, with huge pages; returns where that gains nothing.

    Every evaluation allocates hundreds of megabytes for feature maps. In pages of 4 kB their first
    touch costs a quarter of the time (`python -m scripts.benchmarks.benchmark pages`); Linux gives
    huge pages to programs that ask for them, and glibc asks where the environment tells it to,
    which it reads when a process starts. So this belongs at the start of a program, before anything
    is computed.

    Nothing happens, and the function returns, where the kernel gives huge pages to all or to none,
    where the C library is another or older than 2.35, and where the environment variable
    `GLIBC_TUNABLES` already says what is wanted (`glibc.malloc.hugetlb=0` to stay as you are).

    Example:
      >>> restart_with_huge_pages()  # doctest: +SKIP
    """
    environment = with_huge_pages(os.environ)
    if environment is not None:
        os.execve(sys.executable, sys.orig_argv, environment)


def with_huge_pages(environment: Mapping[str, str]) -> dict[str, str] | None:
    """The environment for a process with huge pages, or None where that changes nothing."""
    told = environment.get("GLIBC_TUNABLES", "")
    if _TUNABLE in told or not _worth_asking():
        return None
    return {**environment, "GLIBC_TUNABLES": ":".join(filter(None, [told, f"{_TUNABLE}=1"]))}


def _worth_asking() -> bool:
    library, version = platform.libc_ver()
    if library != "glibc" or tuple(map(int, version.split(".")[:2])) < (2, 35):
        return False
    try:
        return "[madvise]" in _KERNEL.read_text()
    except OSError:
        return False
