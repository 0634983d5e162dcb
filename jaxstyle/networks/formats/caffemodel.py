"""Reads the layers of a `.caffemodel` without Caffe and without protobuf's code generator.

The file is one `NetParameter` in protobuf's wire format: a run of fields, each with a tag (field
number and wire type) and a value. Only the few fields that hold a layer's name and its arrays are
read. The messages, from caffe.proto, are:

* `NetParameter`: `layers = 2` (`V1LayerParameter`, before 2015), `layer = 100` (`LayerParameter`)
* `V1LayerParameter`: `name = 4`, `blobs = 6`; `LayerParameter`: `name = 1`, `blobs = 7`
* `BlobProto`: `data = 5`, `double_data = 8`, `shape = 7` (`BlobShape`: `dim = 1`), and the older
  four sizes `num = 1`, `channels = 2`, `height = 3`, `width = 4`
"""

import math
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxstyle.networks.formats.stored import Stored, in_memory, open_network, refusing

# A field of NetParameter: (the field of the layer's name, the field of its blobs).
_LAYER_FIELDS = {2: (4, 6), 100: (1, 7)}
_PARTS = ("weight", "bias")
# Caffe writes an array as one field, so VGG-19 has some thousand. A million take about a second.
_MAX_FIELDS = 10**6
_MAX_NAME, _MAX_RANK = 1000, 32
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_caffemodel(path: str | Path) -> dict[str, Stored]:
    """Lists the arrays of every layer that has any, such as `conv1_1.weight` and `conv1_1.bias`.

    Args:
      path: a binary `NetParameter`, of the old (`layers`) or the new (`layer`) form.

    Returns:
      The arrays by name; kernels are `[out, in, h, w]`, biases `[out]`.

    Raises:
      FileNotFoundError: if there is no such file.
      FileFormatError: if the file is damaged or holds no layer with arrays.
    """
    arrays: dict[str, Stored] = {}
    with open_network(path) as file, refusing(path, "a Caffe model"):
        # Mapped, because three quarters of the file are fully connected layers, which are not used.
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        reader = _Reader()
        for field, wire, layer in reader.fields(data):
            if field not in _LAYER_FIELDS or wire != _BYTES:
                continue
            name, blobs = reader.layer(layer, *_LAYER_FIELDS[field])
            for index, blob in enumerate(blobs):
                part = _PARTS[index] if index < len(_PARTS) else f"blob{index}"
                arrays[f"{name}.{part}"] = in_memory(reader.blob(blob))
        if not arrays:
            raise ValueError("it holds no layer with weights")
    return arrays


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number that does not end")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


class _Reader:
    """Reads one file; counts its fields, since each takes two bytes and a step of Python."""

    def __init__(self) -> None:
        self._left = _MAX_FIELDS

    def fields(self, data: memoryview) -> Iterator[tuple[int, int, Any]]:
        """Yields the number, wire type and value (an int, or the bytes) of each field."""
        at = 0
        while at < len(data):
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"it has more than {_MAX_FIELDS:,} fields")
            tag, at = _varint(data, at)
            wire = tag & 7
            if wire == _VARINT:
                value, at = _varint(data, at)
                yield tag >> 3, wire, value
                continue
            if wire == _BYTES:
                size, at = _varint(data, at)
            elif wire in (_FIXED32, _FIXED64):
                size = 4 if wire == _FIXED32 else 8
            else:
                raise ValueError(f"wire type {wire}")
            if size > len(data) - at:
                raise ValueError(f"a field of {size} bytes where only {len(data) - at} are left")
            yield tag >> 3, wire, data[at : at + size]
            at += size

    def layer(
        self, data: memoryview, name_field: int, blobs_field: int
    ) -> tuple[str, list[memoryview]]:
        """Returns the name of a layer and its blobs."""
        name, blobs = "", []
        for field, wire, value in self.fields(data):
            if wire == _BYTES and field == name_field:
                if len(value) > _MAX_NAME:
                    raise ValueError(f"a name of {len(value):,} bytes")
                name = bytes(value).decode("utf-8", "replace")
            elif wire == _BYTES and field == blobs_field:
                blobs.append(value)
        return name, blobs

    def blob(self, data: memoryview) -> NDArray[Any]:
        """Returns the array of a blob."""
        sizes: dict[int, int] = {}
        shape: list[int] | None = None
        single: list[memoryview] = []
        double: list[memoryview] = []
        for field, wire, value in self.fields(data):
            if field in (1, 2, 3, 4) and wire == _VARINT:
                sizes[field] = value
            elif field == 7 and wire == _BYTES:
                shape = self._dimensions(value)
            elif field == 5 and wire in (_BYTES, _FIXED32):  # packed, or one value per field
                single.append(value)
            elif field == 8 and wire in (_BYTES, _FIXED64):
                double.append(value)
        chunks, dtype = (single, "<f4") if single else (double, "<f8")
        joined = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        values = np.frombuffer(joined, dtype)
        if shape is None:
            shape = [sizes.get(field, 1) for field in (1, 2, 3, 4)]
            # The old form has four sizes for everything: a bias is 1 × 1 × 1 × C.
            if shape[:3] == [1, 1, 1]:
                shape = shape[3:]
        if len(shape) > _MAX_RANK or math.prod(shape) != len(values):
            raise ValueError(f"a blob of shape {shape[:_MAX_RANK]} with {len(values)} values")
        return values.reshape(shape)

    def _dimensions(self, data: memoryview) -> list[int]:
        dims: list[int] = []
        for field, wire, value in self.fields(data):
            if field == 1 and wire == _VARINT:
                dims.append(value)
            elif field == 1 and wire == _BYTES:
                at = 0
                while at < len(value) and len(dims) <= _MAX_RANK:
                    dim, at = _varint(value, at)
                    dims.append(dim)
        return dims
