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

from jaxstyle.networks.formats.stored import open_network, refusing

_Order = Literal["little", "big"]
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _NUMERIC = 1, 2, 4, range(6, 16)
_DTYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_CODECS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
# All of VGG-19, fully connected layers included, unpacks to 575 MB, in some ten thousand elements.
_MAX_UNPACKED = 640 * 10**6
_MAX_ELEMENTS = 200_000
_MAX_TEXT = 2**20
_MAX_RANK, _MAX_FIELDS = 32, 1000


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
      FileFormatError: if the file is damaged, or holds far more than a network.
    """
    variables: dict[str, Any] = {}
    with open_network(path) as file, refusing(path, "a MATLAB file"):
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        reader = _Reader("big" if bytes(data[126:128]) == b"MI" else "little")
        for kind, body in reader.elements(data[128:]):
            if kind == _COMPRESSED:
                kind, body = reader.unpacked(body)
            if kind == _MATRIX:
                name, value = reader.matrix(body)
                variables[name] = value
    return variables


class _Reader:
    """Reads one file; counts what it takes, since a small file can unpack to any size."""

    def __init__(self, order: _Order):
        self._order = order
        self._elements_left, self._bytes_left = _MAX_ELEMENTS, _MAX_UNPACKED

    def elements(self, data: memoryview) -> Iterator[tuple[int, memoryview]]:
        """Yields the type and data of each element."""
        at = 0
        while at < len(data):
            self._elements_left -= 1
            if self._elements_left < 0:
                raise ValueError(f"it has more than {_MAX_ELEMENTS:,} elements")
            kind, size, start = self._tag(data[at : at + 8])
            left = (8 if start == 4 else len(data) - at) - start
            if size > left or at + start + size > len(data):
                raise ValueError(f"an element of {size} bytes where only {left} are left")
            yield kind, data[at + start : at + start + size]
            # Small elements take eight bytes, compressed ones are not padded, others are.
            at += 8 if start == 4 else 8 + size + (0 if kind == _COMPRESSED else -size % 8)

    def unpacked(self, packed: memoryview) -> tuple[int, memoryview]:
        """Returns the type and data of the element that is compressed in another."""
        stream = zlib.decompressobj()
        kind, size, start = self._tag(memoryview(stream.decompress(packed, 8)))
        if start == 4:
            raise ValueError("a compressed element without an array")
        if size > self._bytes_left:
            raise ValueError(f"it unpacks to more than {_MAX_UNPACKED / 1e6:,.0f} MB")
        self._bytes_left -= size
        data = stream.decompress(stream.unconsumed_tail, size) if size else b""
        if len(data) < size:
            raise ValueError(f"an element of {size} bytes where only {len(data)} are left")
        return kind, memoryview(data)

    def matrix(self, data: memoryview) -> tuple[str, Any]:
        """Returns the name and value of an array."""
        if not data:
            return "", np.zeros(0)
        parts = self.elements(data)
        _, flags = next(parts)
        kind = self._number(flags) & 0xFF
        _, sizes = next(parts)
        shape = np.frombuffer(sizes, self._dtype(5)).tolist()
        if len(shape) > _MAX_RANK or any(size < 0 for size in shape):
            raise ValueError(f"an array of shape {shape[:_MAX_RANK]}")
        name = self._text(next(parts)[1], "latin-1")
        if kind == _CELL:
            return name, [self._inner(part) for part in parts]
        if kind == _STRUCT:
            return name, self._struct(parts)
        if kind != _CHAR and kind not in _NUMERIC:
            return name, None
        stored, values = next(parts)
        if kind == _CHAR:
            codec = _CODECS[stored]
            suffix = "" if codec in ("latin-1", "utf-8") else f"-{self._order[0]}e"
            return name, self._text(values, codec + suffix)
        array = np.frombuffer(values, self._dtype(stored))
        if math.prod(shape) != array.size:
            raise ValueError(f"an array of shape {shape} with {array.size} values")
        return name, array.reshape(shape, order="F")

    def _inner(self, part: tuple[int, memoryview]) -> Any:
        kind, body = part
        if kind != _MATRIX:
            raise ValueError(f"an element of type {kind} where an array should be")
        return self.matrix(body)[1]

    def _struct(self, parts: Iterator[tuple[int, memoryview]]) -> list[dict[str, Any]]:
        width = self._number(next(parts)[1])
        names = bytes(next(parts)[1])
        if not 0 < width <= 64 or len(names) > width * _MAX_FIELDS:
            raise ValueError(f"field names of {width} bytes, {len(names)} in all")
        keys = [names[at : at + width].split(b"\0")[0] for at in range(0, len(names), width)]
        values = [self._inner(part) for part in parts] if keys else []
        return [
            {key.decode("latin-1"): value for key, value in zip(keys, values[at:], strict=False)}
            for at in range(0, len(values), len(keys) or 1)
        ]

    def _tag(self, data: memoryview) -> tuple[int, int, int]:
        """Returns the type and size of an element, and where its data start."""
        word = self._number(data)
        if word >> 16:  # up to four bytes of data are inside the tag's eight
            return word & 0xFFFF, word >> 16, 4
        return word, self._number(data[4:8]), 8

    def _number(self, data: memoryview) -> int:
        return int.from_bytes(data[:4], self._order)

    def _text(self, data: memoryview, codec: str) -> str:
        if len(data) > _MAX_TEXT:
            raise ValueError(f"a text of {len(data):,} bytes")
        return bytes(data).decode(codec, "replace")

    def _dtype(self, kind: int) -> np.dtype[Any]:
        if kind not in _DTYPES:
            raise ValueError(f"values of the unknown type {kind}")
        return np.dtype(_DTYPES[kind]).newbyteorder(self._order)
