"""Which jaxstyle this is: what another one has published does not count."""

import functools
import hashlib
import importlib.metadata
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


@functools.cache
def edition() -> str:
    """Returns what changes with the package's version and sources, and is alike on all machines.

    It takes some milliseconds, and imports nothing.
    """
    digest = hashlib.sha256(importlib.metadata.version("jaxstyle").encode())
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(str(path.relative_to(_PACKAGE)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
