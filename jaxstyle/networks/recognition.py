"""Recognises published networks under any name, by the headers of their files.

No value is read. So a network is recognised only where names and shapes of its arrays, or notes of
this project's own, prove which one it is. Torchvision's names do not: networks that were trained in
Caffe have them too. MATLAB's files have no header.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jaxstyle.errors import FileFormatError
from jaxstyle.networks.collect import published_network
from jaxstyle.networks.formats.containers import open_container
from jaxstyle.networks.formats.stored import open_network
from jaxstyle.networks.layouts import FORMAT, layout_by_names

_EXTENSIONS = (".safetensors", ".h5", ".hdf5", ".keras", ".pth", ".pt", ".caffemodel")
_MATLAB = b"MATLAB"


class Recognised(NamedTuple):
    """A published network.

    Attributes:
      network: "vgg19" or "vgg16".
      weights: "oxford" or "torchvision".
      normalized: whether mean activations are one.
    """

    network: str
    weights: str
    normalized: bool = False


def find_by_content(place: Path, wanted: Recognised) -> Iterator[Path]:
    """Yields the files of a folder that hold a network, sorted by name.

    Args:
      place: the folder; it need not exist.
      wanted: the network.
    """
    try:
        files = sorted(path for path in place.iterdir() if path.suffix.lower() in _EXTENSIONS)
    except OSError:  # no folder, or one that may not be looked into
        return
    yield from (path for path in files if recognise(path) == wanted)


def recognise(path: Path) -> Recognised | None:
    """Returns which published network a file holds, or None where its header does not prove it."""
    try:
        status = path.stat()
    except OSError:
        return None
    return _recognise(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=256)
def _recognise(path: Path, changed: int, size: int) -> Recognised | None:
    try:
        with open_network(path) as file:
            if file.read(len(_MATLAB)) == _MATLAB:
                return None
        contents = open_container(path)
    except (OSError, FileFormatError):  # whoever asks for this file is told what is wrong
        return None
    layout = layout_by_names(contents)
    network = None if layout is None else published_network(contents.arrays, layout)
    if layout is None or network is None:
        return None
    notes = contents.metadata if contents.metadata.get("format") == FORMAT else {}
    normalized = notes.get("normalized") == "true"
    return Recognised(network, notes.get("weights", layout.weights), normalized)
