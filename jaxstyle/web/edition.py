"""Which jaxstyle this is: what another one has published does not count."""

import functools
import hashlib
import importlib.metadata
import os
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_VARIABLE = "JAXSTYLE_PARAMS"  # where networks are found, and with them styles


@functools.cache
def edition() -> str:
    """Returns what changes with the package's version, its sources and the place of its networks.

    It takes some milliseconds, and imports nothing.
    """
    digest = hashlib.sha256(importlib.metadata.version("jaxstyle").encode())
    digest.update(os.environ.get(_VARIABLE, "").encode())
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(str(path.relative_to(_PACKAGE)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
