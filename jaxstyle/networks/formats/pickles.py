"""Reads PyTorch state dicts without PyTorch and without running what they contain.

A pickle is a program, and `pickle.load` runs it. The interpreter here knows only the instructions
that build containers, numbers and strings, and the few names that a state dict mentions. It calls
nothing that the file names, so the worst that can happen with a hostile file is that it is refused.

`torch.save` has written three formats: a zip archive (since 1.6), one pickle followed by the raw
storages (0.1.10 to 1.5), and a tar archive (before that).
"""

import pickletools
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from jaxstyle.networks.formats.stored import Stored, refusing

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
# VGG-19's index takes 4 kB; this limit keeps a crafted archive from filling the memory.
_MAX_INDEX = 64 * 2**20

_DTYPES: dict[str, Any] = {
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


def read_state_dict(path: str | Path) -> dict[str, Stored]:
    """Lists the tensors of a file that `torch.save` wrote.

    Args:
      path: a state dict in the zip, the legacy or the tar format, either bare or as the entry
        `"state_dict"` of a dictionary.

    Returns:
      The tensors by name, not yet read; entries that are no tensors are left out.

    Raises:
      FileNotFoundError: if there is no such file.
      FileFormatError: if the file is damaged, holds no state dict, or mentions a function or class
        that plain tensors do not need; the message names it.
    """
    path = Path(path)
    with path.open("rb") as file, refusing(path, "a PyTorch state dict"):
        head = file.read(512)
        file.seek(0)
        if head.startswith(b"PK"):
            found = _read_zip(path, file)
        elif head[257:262] == b"ustar":
            found = _read_tar(path, file)
        else:
            found = _read_legacy(path, file)
        if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
            found = found["state_dict"]
        if not isinstance(found, dict):
            raise ValueError(f"it holds a {type(found).__name__}, not a dictionary of tensors")
    tensors = {str(key): value for key, value in found.items() if isinstance(value, _Tensor)}
    return {key: Stored(tensor.size, tensor.read) for key, tensor in tensors.items()}


class _Name(NamedTuple):
    """A function or class that a pickle mentions; it is never looked up."""

    module: str
    name: str


class _Storage:
    """A flat run of values; `load` is set once its place in the file is known."""

    def __init__(self, kind: Any, numel: Any):
        if not isinstance(kind, _Name) or kind.name not in _DTYPES:
            raise ValueError(f"unknown storage type {kind!r}")
        self.dtype = np.dtype(_DTYPES[kind.name])
        self.numel = _count(numel)
        self.nbytes = self.numel * self.dtype.itemsize
        self.load: Callable[[], bytes] = bytes
        self.big_endian = False

    def values(self) -> NDArray[Any]:
        data = self.load()
        if len(data) != self.nbytes:
            raise ValueError(f"a storage of {self.nbytes} bytes has {len(data)}")
        # Read as integers first, because ml_dtypes' types have no byte order.
        order = ">" if self.big_endian else "<"
        words = np.frombuffer(data, f"{order}u{self.dtype.itemsize}")
        return words.astype(words.dtype.newbyteorder("=")).view(self.dtype)


class _View:
    """A part of a storage, which tensors could share in the formats before 1.6."""

    def __init__(self, root: _Storage, start: Any, numel: Any):
        self.root, self.start, self.numel = root, _count(start), _count(numel)
        if self.start + self.numel > root.numel:
            raise ValueError("a view reaches past its storage")

    def values(self) -> NDArray[Any]:
        return self.root.values()[self.start : self.start + self.numel]


class _Tensor(NamedTuple):
    """A strided view of a storage; its bounds are checked when it is made."""

    storage: _Storage | _View
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @staticmethod
    def rebuild(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> "_Tensor":
        if not (isinstance(storage, _Storage | _View) and isinstance(size, tuple | list)):
            raise ValueError("a tensor without storage or size")
        if not isinstance(stride, tuple | list) or len(size) != len(stride) or len(size) > 32:
            raise ValueError(f"a tensor of size {size} with strides {stride}")
        dims, steps = tuple(map(_count, size)), tuple(map(_count, stride))
        last = _count(offset) + sum((n - 1) * step for n, step in zip(dims, steps, strict=True))
        if 0 in dims or last >= storage.numel:
            raise ValueError(f"a tensor reaches value {last} of a storage of {storage.numel}")
        return _Tensor(storage, offset, dims, steps)

    def read(self) -> NDArray[Any]:
        flat = self.storage.values()[self.offset :]
        strides = [step * flat.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(flat, self.size, strides, writeable=False)


def _count(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**62:
        raise ValueError(f"{value!r} is no size")
    return value


_REBUILD: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor"): _Tensor.rebuild,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor.rebuild,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
    # Python 2 pickled an ordered dictionary with its items as the only argument of the call.
    ("collections", "OrderedDict"): lambda items=(): dict(items),
}
_ALLOWED = {
    *_REBUILD,
    *((module, name) for module in ("torch", "torch.cuda") for name in _DTYPES),
    *(("torch", name.replace("Storage", "Tensor")) for name in (*_DTYPES, "Storage")),
}
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINSTRING", "SHORT_BINSTRING"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _allowed(module: Any, name: Any) -> _Name:
    if (module, name) not in _ALLOWED:
        raise ValueError(
            f"it asks for {module}.{name}, which no state dict of plain tensors needs "
            "(save model.state_dict() alone)"
        )
    return _Name(module, name)


def _reduce(function: Any, arguments: Any) -> Any:
    if function not in _REBUILD:
        raise ValueError(f"it calls {function!r}")
    return _REBUILD[function](*arguments)


def _interpret(file: IO[bytes], persistent: Callable[[Any], Any] | None = None) -> Any:
    """Returns the value that one pickle builds, and leaves the file after its last instruction."""
    stack: list[Any] = []
    marks: list[list[Any]] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        nonlocal stack
        items, stack = stack, marks.pop()
        return items

    for opcode, argument, _ in pickletools.genops(file):
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case literal if literal in _LITERALS:
                stack.append(argument)
            case constant if constant in _CONSTANTS:
                stack.append(_CONSTANTS[constant])
            case container if container in _EMPTY:
                stack.append(_EMPTY[container]())
            case "MARK":
                marks.append(stack)
                stack = []
            case "TUPLE":
                items = since_mark()
                stack.append(tuple(items))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack[-_TUPLES[opcode.name] :] = [tuple(stack[-_TUPLES[opcode.name] :])]
            case "APPEND":
                item = stack.pop()
                stack[-1].append(item)
            case "APPENDS":
                items = since_mark()
                stack[-1].extend(items)
            case "SETITEM":
                key, value = stack[-2:]
                del stack[-2:]
                stack[-1][key] = value
            case "SETITEMS":
                items = since_mark()
                stack[-1].update(zip(items[::2], items[1::2], strict=True))
            case "BINPUT" | "LONG_BINPUT":
                memo[int(argument or 0)] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[int(argument or 0)])
            case "GLOBAL":
                stack.append(_allowed(*str(argument).split(" ", 1)))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(_allowed(module, name))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(_reduce(function, arguments))
            case "BUILD":
                stack.pop()  # a state dict's version numbers, of no use here
            case "BINPERSID" if persistent:
                stack.append(persistent(stack.pop()))
            case "STOP":
                return stack.pop()
            case other:
                raise ValueError(f"it uses the pickle instruction {other}")
    raise ValueError("the pickle has no end")


def _read_zip(path: Path, file: IO[bytes]) -> Any:
    storages: dict[Any, _Storage] = {}
    with zipfile.ZipFile(file) as archive:
        index = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        if len(index) != 1:
            raise ValueError("a zip archive without data.pkl, so not from torch.save")
        root = index[0].removesuffix("data.pkl")
        if archive.getinfo(index[0]).file_size > _MAX_INDEX:
            raise ValueError(f"data.pkl is larger than {_MAX_INDEX} bytes")
        order = root + "byteorder"
        big_endian = order in archive.namelist() and archive.read(order).strip() == b"big"

        def persistent(saved: Any) -> _Storage:
            _, kind, key, _, numel = saved
            if key not in storages:
                member = archive.getinfo(f"{root}data/{key}")
                storage = _Storage(kind, numel)
                # Compressed members are refused: unpacked, one may be far larger than the file.
                if member.compress_type or member.file_size != storage.nbytes:
                    raise ValueError(f"{member.filename} does not hold {storage.nbytes} bytes")
                storage.load = _member(path, member.filename)
                storage.big_endian = big_endian
                storages[key] = storage
            return storages[key]

        with archive.open(index[0]) as pickle:
            return _interpret(pickle, persistent)


def _member(path: Path, name: str) -> Callable[[], bytes]:
    def load() -> bytes:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)

    return load


def _slice(path: Path, start: int, nbytes: int) -> Callable[[], bytes]:
    def load() -> bytes:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(nbytes)

    if start + nbytes > path.stat().st_size:
        raise ValueError("the file ends before its last storage does")
    return load


def _read_legacy(path: Path, file: IO[bytes]) -> Any:
    storages: dict[Any, _Storage] = {}

    def persistent(saved: Any) -> _Storage | _View:
        tag, kind, key, _, numel, *view = saved
        if tag != "storage":
            raise ValueError(f"it holds a pickled {tag}")
        root = storages.setdefault(key, _Storage(kind, numel))
        return _View(root, *view[0][1:]) if view and view[0] else root

    if _interpret(file) != _MAGIC or _interpret(file) != _PROTOCOL:
        raise ValueError("a pickle that torch.save did not write")
    info = _interpret(file)
    result = _interpret(file, persistent)
    keys = _interpret(file)
    for key in keys:
        if key not in storages:
            raise ValueError(f"storage {key!r} belongs to no tensor")
        storage = storages[key]
        if struct.unpack("<q", file.read(8))[0] != storage.numel:
            raise ValueError(f"storage {key!r} has another length than its tensors expect")
        storage.big_endian = isinstance(info, dict) and info.get("little_endian") is False
        storage.load = _slice(path, file.tell(), storage.nbytes)
        file.seek(storage.nbytes, 1)
    return result


def _read_tar(path: Path, file: IO[bytes]) -> Any:
    found: dict[Any, Any] = {}

    def member(name: str) -> tuple[IO[bytes], int]:
        part, info = archive.extractfile(name), archive.getmember(name)
        if part is None:
            raise ValueError(f"{name} is no file in the archive")
        return part, info.offset_data

    with tarfile.open(fileobj=file, mode="r:") as archive:
        part, start = member("storages")
        for _ in range(_count(_interpret(part))):
            key, _, kind = _interpret(part)
            storage = _Storage(kind, struct.unpack("<q", part.read(8))[0])
            storage.load = _slice(path, start + part.tell(), storage.nbytes)
            part.seek(storage.nbytes, 1)
            found[key] = storage
        for target, root, offset, numel in _interpret(part):
            found[target] = _View(found[root], offset, numel)
        part, _ = member("tensors")
        for _ in range(_count(_interpret(part))):
            key, storage_key, _ = _interpret(part)
            (rank,) = struct.unpack("<i4x", part.read(8))
            if not 0 <= rank <= 32:
                raise ValueError(f"a tensor of rank {rank}")
            numbers = struct.unpack(f"<{2 * rank + 1}q", part.read(8 * (2 * rank + 1)))
            size, stride = numbers[:rank], numbers[rank:-1]
            found[key] = _Tensor.rebuild(found[storage_key], numbers[-1], size, stride)
        return _interpret(member("pickle")[0], lambda key: found[int(key)])
