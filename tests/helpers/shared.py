"""Files that are no part of the project: real weights, photographs, paintings."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("JAXSTYLE_SHARED", Path(__file__).parents[3] / "shared"))


def shared_file(name: str) -> Path:
    """The path of a file shared between developers; skips the test where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is absent (set JAXSTYLE_SHARED to the folder that holds it)")
    return path
