"""Reads as much of MATLAB's level 5 files as a network needs.

SciPy has a reader for these files, but with it a damaged file can crash the whole process, and it
loads the fully connected layers too. Here the file is mapped into memory, and an array is read only
when it is asked for.

The file is a header of 128 bytes, followed by elements. Each element is a tag (type and size) and
its data. An array is an element whose data are again elements: class, dimensions and name, then the
values, or for cells and structures the arrays inside.
"""

import math
import mmap
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxstyle.networks.formats.stored import refusing

_Order = Literal["little", "big"]
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _NUMERIC = 1, 2, 4, range(6, 16)
_DTYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_CODECS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
# All of VGG-19, fully connected layers included, unpacks to 575 MB.
_MAX_UNPACKED = 2**30


def read_matfile(path: str | Path) -> dict[str, Any]:
    """Returns the variables of a `.mat` file of version 5 to 7.

    Args:
      path: the file.

    Returns:
      The variables by name. A numeric array is an `ndarray`, text is a `str`, a cell array is the
      flat list of its cells, and a structure array is the flat list of its elements, each a
      dictionary. Kinds that no network has (sparse arrays, objects) are None.

    Raises:
      FileNotFoundError: if there is no such file.
      FileFormatError: if the file is damaged.
    """
    variables: dict[str, Any] = {}
    with Path(path).open("rb") as file, refusing(path, "a MATLAB file"):
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        order: _Order = "big" if bytes(data[126:128]) == b"MI" else "little"
        for kind, body in _elements(data[128:], order):
            if kind == _COMPRESSED:
                unpacked = zlib.decompressobj().decompress(body, _MAX_UNPACKED)
                kind, body = next(_elements(memoryview(unpacked), order))
            if kind == _MATRIX:
                name, value = _matrix(body, order)
                variables[name] = value
    return variables


def _elements(data: memoryview, order: _Order) -> Iterator[tuple[int, memoryview]]:
    """Yields the type and data of each element."""
    at = 0
    while at < len(data):
        word = int.from_bytes(data[at : at + 4], order)
        if word >> 16:  # up to four bytes of data are inside the tag's eight
            kind, size, start, end = word & 0xFFFF, word >> 16, at + 4, at + 8
        else:
            kind, size, start = word, int.from_bytes(data[at + 4 : at + 8], order), at + 8
            end = start + size + (0 if kind == _COMPRESSED else -size % 8)
        if start + size > len(data) or start + size > end:
            raise ValueError(f"an element of {size} bytes where only {len(data) - start} are left")
        yield kind, data[start : start + size]
        at = end


def _matrix(data: memoryview, order: _Order) -> tuple[str, Any]:
    """Returns the name and value of an array."""
    if not data:
        return "", np.zeros(0)
    parts = _elements(data, order)
    _, flags = next(parts)
    kind = int.from_bytes(flags[:4], order) & 0xFF
    _, sizes = next(parts)
    shape = [int(size) for size in np.frombuffer(sizes, _dtype(5, order))]
    if any(size < 0 for size in shape):
        raise ValueError(f"an array of shape {shape}")
    name = bytes(next(parts)[1]).decode("latin-1")
    if kind == _CELL:
        return name, [_inner(part, order) for part in parts]
    if kind == _STRUCT:
        return name, _struct(parts, order)
    if kind != _CHAR and kind not in _NUMERIC:
        return name, None
    stored, values = next(parts)
    if kind == _CHAR:
        codec = _CODECS[stored]
        suffix = "" if codec in ("latin-1", "utf-8") else f"-{order[0]}e"
        return name, bytes(values).decode(codec + suffix, "replace")
    array = np.frombuffer(values, _dtype(stored, order))
    if math.prod(shape) != array.size:
        raise ValueError(f"an array of shape {shape} with {array.size} values")
    return name, array.reshape(shape, order="F")


def _inner(part: tuple[int, memoryview], order: _Order) -> Any:
    kind, body = part
    if kind != _MATRIX:
        raise ValueError(f"an element of type {kind} where an array should be")
    return _matrix(body, order)[1]


def _struct(parts: Iterator[tuple[int, memoryview]], order: _Order) -> list[dict[str, Any]]:
    width = int.from_bytes(next(parts)[1][:4], order)
    names = bytes(next(parts)[1])
    if not 0 < width <= 64:
        raise ValueError(f"field names of {width} bytes")
    keys = [names[at : at + width].split(b"\0")[0] for at in range(0, len(names), width)]
    values = [_inner(part, order) for part in parts] if keys else []
    return [
        {key.decode("latin-1"): value for key, value in zip(keys, values[at:], strict=False)}
        for at in range(0, len(values), len(keys) or 1)
    ]


def _dtype(kind: int, order: _Order) -> np.dtype[Any]:
    if kind not in _DTYPES:
        raise ValueError(f"values of the unknown type {kind}")
    return np.dtype(_DTYPES[kind]).newbyteorder(order)
