"""Tells what kind of file holds a network, and lists the arrays in it.

A container (HDF5, MATLAB, Caffe, PyTorch, safetensors) says how bytes become named arrays. What the
names and axes mean is up to the layout (`jaxstyle.networks.layouts`). The arrays are listed first
and read later, so that the fully connected layers, four fifths of VGG-19, are never loaded.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jaxstyle.errors import FileFormatError
from jaxstyle.networks.formats.caffemodel import read_caffemodel
from jaxstyle.networks.formats.hdf5 import read_hdf5
from jaxstyle.networks.formats.matfile import read_matfile
from jaxstyle.networks.formats.statedict import read_state_dict
from jaxstyle.networks.formats.stored import Stored, in_memory, open_network, refusing

_HDF5 = b"\x89HDF\r\n\x1a\n"
_MAX_HEADER = 2**20  # of safetensors
# Files that often turn up in place of a network; each has its own message.
_IMPOSTORS = {
    b"version https://git-lfs": "a Git LFS pointer; fetch the file itself with git lfs pull",
    b"matlab 7.3": "a MATLAB 7.3 file; save it again with the option -v7",
    b"<!doctype": "a web page; download the file itself",
    b"<html": "a web page; download the file itself",
    b"<?xml": "XML; download the file itself",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
}


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
      kind: `"HDF5"`, `"MATLAB"`, `"Caffe"`, `"PyTorch"` or `"safetensors"`.
      arrays: the arrays by name.
      metadata: the file's own notes, which only safetensors has.
    """

    kind: str
    arrays: dict[str, Stored]
    metadata: dict[str, str]


def open_container(path: str | Path) -> Contents:
    """Lists the arrays of a file of any kind; its first bytes decide which kind it is.

    Args:
      path: the file.

    Returns:
      The file's kind, its arrays (not yet read) and its notes.

    Raises:
      FileNotFoundError: if there is no such file.
      FileFormatError: if the file is damaged, of no known kind or no file on a disk.
    """
    path = Path(path)
    with open_network(path) as file:
        head = file.read(520)
    if not head:
        raise FileFormatError(f"{path}: the file is empty")
    for start, words in _IMPOSTORS.items():
        if head.lstrip().lower().startswith(start):
            raise FileFormatError(f"{path}: this is {words}")
    if head.startswith(_HDF5) or head[512:520] == _HDF5:
        return Contents("HDF5", read_hdf5(path), {})
    if head.startswith(b"MATLAB 5.0"):
        return Contents("MATLAB", _read_matconvnet(path), {})
    if head.startswith((b"PK\x03\x04", b"\x80\x02")) or head[257:262] == b"ustar":
        return Contents("PyTorch", read_state_dict(path), {})
    if head[8:9] == b"{":
        return Contents("safetensors", *read_safetensors(path))
    # A protobuf message has no signature, but a model begins with its name or its first layer.
    if head[0] in (0x0A, 0x12, 0xA2) or path.suffix == ".caffemodel":
        return Contents("Caffe", read_caffemodel(path), {})
    raise FileFormatError(
        f"{path}: not a file that can hold a VGG network: it is neither HDF5 (.h5), MATLAB "
        "(.mat), PyTorch (.pth), safetensors nor Caffe (.caffemodel), or it was cut short"
    )


def read_safetensors(path: str | Path) -> tuple[dict[str, Stored], dict[str, str]]:
    """Lists the arrays of a safetensors file, and returns its metadata.

    Args:
      path: the file.

    Returns:
      The arrays by name, not yet read, and the file's own notes.

    Raises:
      FileNotFoundError: if there is no such file.
      FileFormatError: if the file is damaged, or of another kind.
    """
    from safetensors import safe_open

    def stored(name: str, shape: list[int]) -> Stored:
        def load() -> NDArray[Any]:
            with safe_open(path, "numpy") as file:
                return np.asarray(file.get_tensor(name))

        return Stored(tuple(shape), load)

    with open_network(path) as raw, refusing(path, "safetensors"):
        size = int.from_bytes(raw.read(8), "little")
        if size > _MAX_HEADER:
            raise ValueError(f"a header of {size:,} bytes; a network's takes a few thousand")
    with refusing(path, "safetensors"), safe_open(path, "numpy") as file:
        arrays = {name: stored(name, file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        metadata = dict(file.metadata() or {})
    return arrays, metadata


def _read_matconvnet(path: Path) -> dict[str, Stored]:
    """Lists the arrays of a MatConvNet network: `conv1_1.weight` and so on, and `mean` in 0 to 255.

    Before 2015 a layer had the fields `filters` and `biases`; since then it has `weights`, a cell
    of the two. The average image moved from `normalization` to `meta.normalization`, and shrank
    from an image to three numbers.
    """
    contents = read_matfile(path)
    arrays: dict[str, Stored] = {}
    with refusing(path, "a MatConvNet network"):
        if not isinstance(contents.get("layers"), list):
            raise ValueError("it has no variable layers")
        for layer in map(_fields, contents["layers"]):
            parts = [layer[key] for key in ("filters", "biases") if key in layer]
            parts = layer["weights"] if isinstance(layer.get("weights"), list) else parts
            if len(parts) >= 2:
                # MATLAB drops trailing axes of size one and has no vectors.
                kernel = parts[0].reshape(parts[0].shape + (1,) * (4 - parts[0].ndim))
                name = layer.get("name")
                if not isinstance(name, str):
                    raise ValueError("a layer without a name")
                arrays[f"{name}.weight"] = in_memory(kernel)
                arrays[f"{name}.bias"] = in_memory(parts[1].ravel())
        outer = _fields(contents["meta"]) if "meta" in contents else contents
        average = _fields(outer.get("normalization")).get("averageImage")
        if isinstance(average, np.ndarray) and average.size and average.size % 3 == 0:
            image = average.reshape(-1, 3) if average.ndim == 3 else average.reshape(1, 3)
            arrays["mean"] = in_memory(image.mean(axis=0, dtype=np.float64))
    return arrays


def _fields(struct: Any) -> dict[str, Any]:
    """Returns the fields of a structure, which in MATLAB is always an array of structures."""
    return struct[0] if isinstance(struct, list) and struct and isinstance(struct[0], dict) else {}
