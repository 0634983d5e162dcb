"""The tensors of PyTorch's files: strided views of flat storages, read when they are needed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

# A storage that several tensors share is read again for each of them. All of VGG-19's convolutions
# take 80 MB.
_MAX_STORAGE = 2**28

DTYPES: dict[str, Any] = {
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "DoubleStorage": np.float64,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


class Name(NamedTuple):
    """A function or class that a pickle mentions; it is never looked up."""

    module: str
    name: str


class Storage:
    """A flat run of values; `load` is set once its place in the file is known."""

    def __init__(self, kind: Any, numel: Any):
        if not isinstance(kind, Name) or kind.name not in DTYPES:
            raise ValueError("a storage of an unknown type")
        self.dtype = np.dtype(DTYPES[kind.name])
        self.numel = count(numel)
        self.nbytes = self.numel * self.dtype.itemsize
        self.load: Callable[[], bytes] = bytes
        self.big_endian = False

    def values(self) -> NDArray[Any]:
        """Reads the values."""
        if self.nbytes > _MAX_STORAGE:
            raise ValueError(f"a tensor in a storage of {self.nbytes:,} bytes")
        data = self.load()
        if len(data) != self.nbytes:
            raise ValueError(f"a storage of {self.nbytes} bytes has {len(data)}")
        # Read as integers first, because ml_dtypes' types have no byte order.
        order = ">" if self.big_endian else "<"
        words = np.frombuffer(data, f"{order}u{self.dtype.itemsize}")
        return words.astype(words.dtype.newbyteorder("=")).view(self.dtype)


class View:
    """A part of a storage, which tensors could share in the formats before 1.6."""

    def __init__(self, root: Storage, start: Any, numel: Any):
        self.root, self.start, self.numel = root, count(start), count(numel)
        if self.start + self.numel > root.numel:
            raise ValueError("a view reaches past its storage")

    def values(self) -> NDArray[Any]:
        """Reads the values."""
        return self.root.values()[self.start : self.start + self.numel]


class Tensor(NamedTuple):
    """A strided view of a storage; its bounds are checked when it is made."""

    storage: Storage | View
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @staticmethod
    def rebuild(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> "Tensor":
        """Does what `torch._utils._rebuild_tensor` does, with arguments that may be anything."""
        if not (isinstance(storage, Storage | View) and isinstance(size, tuple | list)):
            raise ValueError("a tensor without storage or size")
        if not isinstance(stride, tuple | list) or len(size) != len(stride) or len(size) > 32:
            raise ValueError("a tensor with other strides than sizes, or too many")
        dims, steps = tuple(map(count, size)), tuple(map(count, stride))
        last = count(offset) + sum((n - 1) * step for n, step in zip(dims, steps, strict=True))
        if 0 in dims or last >= storage.numel:
            raise ValueError(f"a tensor reaches value {last} of a storage of {storage.numel}")
        return Tensor(storage, offset, dims, steps)

    def read(self) -> NDArray[Any]:
        """Reads the values of the tensor."""
        flat = self.storage.values()[self.offset :]
        strides = [step * flat.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(flat, self.size, strides, writeable=False)


def count(value: Any) -> int:
    """Returns a number of things, if it is one."""
    if not isinstance(value, int) or not 0 <= value < 2**62:
        raise ValueError("a size that is no whole number, or out of range")
    return value
