"""Files made to do harm, and what becomes of them."""

import time
import zipfile
from pathlib import Path

import pytest

from jaxstyle.errors import FileFormatError
from jaxstyle.networks.layouts import convert

_SECONDS = 8  # on a machine that does other work too


def refused(path: Path, words: str) -> None:
    """Checks that a file is refused soon, and says so."""
    begin = time.monotonic()
    with pytest.raises(FileFormatError) as caught:
        convert(path)
    assert time.monotonic() - begin < _SECONDS
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < 2000
    assert words in message


def zipped(path: Path, body: bytes, *members: tuple[str, bytes]) -> Path:
    """Writes a pickle as PyTorch's archives have it, and other members of the archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", body)
        for name, data in members:
            archive.writestr(f"a/{name}", data)
    return path
