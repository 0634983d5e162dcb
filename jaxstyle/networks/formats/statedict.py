"""Reads PyTorch state dicts without PyTorch and without running what they contain.

`torch.save` has written three formats: a zip archive (since 1.6), one pickle followed by the raw
storages (0.1.10 to 1.5), and a tar archive (before that).
"""

import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from jaxstyle._common.reading import Bounded
from jaxstyle.networks.formats.pickles import MAX_PICKLE, as_key, interpret
from jaxstyle.networks.formats.stored import Stored, open_network, refusing, shown
from jaxstyle.networks.formats.tensors import Storage, Tensor, View, count

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MAX_TENSORS = 10_000  # of the tar format, which has a pickle for each


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
    with open_network(path) as file, refusing(path, "a PyTorch state dict"):
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
    tensors = {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
    return {key: Stored(tensor.size, tensor.read) for key, tensor in tensors.items()}


def _read_zip(path: Path, file: IO[bytes]) -> Any:
    storages: dict[str | int, Storage] = {}
    # The members' list and data.pkl; the storages are read later, each by itself.
    with zipfile.ZipFile(Bounded(file, 3 * MAX_PICKLE)) as archive:
        index = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        if len(index) != 1:
            raise ValueError("a zip archive without data.pkl, so not from torch.save")
        root = index[0].removesuffix("data.pkl")
        order = root + "byteorder"
        big_endian = order in archive.namelist() and _start(archive, order, 8).strip() == b"big"

        def persistent(saved: Any) -> Storage:
            _, kind, key, _, numel = saved
            if as_key(key) not in storages:
                member = archive.getinfo(f"{root}data/{key}")
                storage = Storage(kind, numel)
                # Compressed members are refused: unpacked, one may be far larger than the file.
                if member.compress_type or member.file_size != storage.nbytes:
                    raise ValueError(
                        f"storage {shown(str(key))} is packed, not {storage.nbytes} bytes"
                    )
                storage.load = _member(path, member.filename)
                storage.big_endian = big_endian
                storages[key] = storage
            return storages[key]

        return interpret(BytesIO(_start(archive, index[0], MAX_PICKLE + 1)), persistent)


def _start(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    with archive.open(name) as member:
        return member.read(size)


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
    storages: dict[str | int, Storage] = {}

    def persistent(saved: Any) -> Storage | View:
        tag, kind, key, _, numel, *view = saved
        if not isinstance(tag, str) or tag != "storage":
            raise ValueError("it holds a pickled object that is no storage")
        root = storages.setdefault(as_key(key), Storage(kind, numel))
        return View(root, *view[0][1:]) if view and view[0] else root

    if interpret(file) != _MAGIC or interpret(file) != _PROTOCOL:
        raise ValueError("a pickle that torch.save did not write")
    info = interpret(file)
    result = interpret(file, persistent)
    for key in map(as_key, interpret(file)):
        if key not in storages:
            raise ValueError(f"storage {shown(str(key))} belongs to no tensor")
        storage = storages[key]
        if struct.unpack("<q", file.read(8))[0] != storage.numel:
            raise ValueError(
                f"storage {shown(str(key))} has another length than its tensors expect"
            )
        storage.big_endian = isinstance(info, dict) and info.get("little_endian") is False
        storage.load = _slice(path, file.tell(), storage.nbytes)
        file.seek(storage.nbytes, os.SEEK_CUR)
    return result


def _read_tar(path: Path, file: IO[bytes]) -> Any:
    found: dict[str | int, Any] = {}
    members = _tar_members(file)

    def count_in(member: str) -> int:
        file.seek(members[member])
        number = count(interpret(file))
        if number > _MAX_TENSORS:
            raise ValueError(f"it has {number:,} {member}")
        return number

    for _ in range(count_in("storages")):
        key, _, kind = interpret(file)
        storage = Storage(kind, struct.unpack("<q", file.read(8))[0])
        storage.load = _slice(path, file.tell(), storage.nbytes)
        file.seek(storage.nbytes, os.SEEK_CUR)
        found[as_key(key)] = storage
    for target, root, offset, numel in interpret(file):
        found[as_key(target)] = View(found[as_key(root)], offset, numel)
    for _ in range(count_in("tensors")):
        key, storage_key, _ = interpret(file)
        (rank,) = struct.unpack("<i4x", file.read(8))
        if not 0 <= rank <= 32:
            raise ValueError(f"a tensor of rank {rank}")
        numbers = struct.unpack(f"<{2 * rank + 1}q", file.read(8 * (2 * rank + 1)))
        size, stride = numbers[:rank], numbers[rank:-1]
        storage = found[as_key(storage_key)]
        found[as_key(key)] = Tensor.rebuild(storage, numbers[-1], size, stride)
    file.seek(members["pickle"])
    return interpret(file, lambda key: found[int(as_key(key))])


def _tar_members(file: IO[bytes]) -> Mapping[str, int]:
    """Returns where the data of each member of a tar archive begin.

    Python's own reader follows sizes that lead it back to where it was.
    """
    members: dict[str, int] = {}
    while len(header := file.read(512)) == 512 and header.strip(b"\0"):
        if len(members) > _MAX_TENSORS:
            raise ValueError(f"it has more than {_MAX_TENSORS:,} members")
        size = int(header[124:136].strip(b" \0"), 8)
        if size < 0:
            raise ValueError(f"a member of {size} bytes")
        if header[156:157] in (b"0", b"\0"):  # others describe the member after them
            members[header[:100].rstrip(b"\0").decode("latin-1")] = file.tell()
        file.seek(-(-size // 512) * 512, os.SEEK_CUR)
    return members
