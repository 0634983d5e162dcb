"""Lists the arrays of an HDF5 file, all of which have to lie in that file.

HDF5 lets a data set keep its values in other files, and a name stand for an object of another file.
Such a file would copy whatever its reader may read into the network that is made from it.
"""

import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxstyle.networks.formats.stored import Stored, refusing, shown

# The whole of VGG-19 has some hundred groups and data sets. Its largest kernel takes 9.4 MB.
_MAX_OBJECTS = 20_000
_MAX_PIECE, _MAX_PIECES = 2**26, 4096


def read_hdf5(path: Path) -> dict[str, Stored]:
    """Lists Keras' arrays under names such as `block1_conv1/kernel`, others under their paths.

    Keras 1 wrote `block1_conv1/block1_conv1_W_1:0` and Keras 2
    `block1_conv1/block1_conv1/kernel:0`. Files of whole models have either of them under
    `model_weights`.

    Args:
      path: the file.

    Returns:
      The arrays by name, not yet read.

    Raises:
      FileFormatError: if the file is damaged, or keeps values in other files.
    """
    import h5py

    def load(name: str) -> NDArray[Any]:
        with h5py.File(path, "r") as file:
            _check_values(file[name], name)
            return np.asarray(file[name][()])

    arrays: dict[str, Stored] = {}
    with refusing(path, "HDF5"), h5py.File(path, "r") as file:
        for name, data in _data_sets(file, "", {file}):
            key = _key(name)
            # A second array of the same name stays under its path and is reported as extra.
            key = name if key in arrays else key
            shape = tuple(data.shape or ())
            arrays[key] = Stored(shape, lambda name=name: load(name))  # type: ignore[misc]
    return arrays


def _key(name: str) -> str:
    block = re.search(r"block\d_conv\d", name)
    part = re.search(r"(?:^|[_/])(W|kernel|b|bias)(?:_\d+)?(?::\d+)?$", name)
    if not block or not part or "optimizer" in name:
        return name
    return f"{block[0]}/{'bias' if part[1].startswith('b') else 'kernel'}"


def _data_sets(group: Any, path: str, found: set[Any]) -> Iterator[tuple[str, Any]]:
    """Yields the path of each data set and the data set, and refuses all that leads elsewhere."""
    import h5py

    for name in group:
        place = f"{path}{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{shown(place)} is a link to another place; a network has none")
        item = group.get(name)
        if item in found:  # groups can contain each other in a circle
            continue
        found.add(item)
        if len(found) > _MAX_OBJECTS:
            raise ValueError(f"it has more than {_MAX_OBJECTS:,} groups and data sets")
        if isinstance(item, h5py.Group):
            yield from _data_sets(item, f"{place}/", found)
        elif isinstance(item, h5py.Dataset):
            _check_place(item, place)
            yield place, item


def _check_place(data: Any, name: str) -> None:
    """Refuses a data set whose values lie in other files."""
    layout = data.id.get_create_plist()
    if layout.get_external_count() or data.is_virtual:
        raise ValueError(f"{shown(name)} keeps its values in other files; a network has its own")


def _check_values(data: Any, name: str) -> None:
    """Refuses values that are no floats, or that take more memory than their shape says."""
    size = data.dtype.itemsize
    if data.dtype.kind != "f" or size > 8:
        raise ValueError(f"{shown(name)} holds values of type {data.dtype.str[:20]}, not floats")
    if data.chunks is not None:
        _check_pieces(data.id, math.prod(data.chunks) * size, shown(name))
    elif data.id.get_storage_size() < data.size * size:
        raise ValueError(f"{shown(name)} has a shape but no values")


def _check_pieces(data: Any, expected: int, name: str) -> None:
    """Refuses a data set in pieces that are odd, or that unpack to more than `expected` bytes."""
    from h5py.h5z import FILTER_DEFLATE, FILTER_FLETCHER32, FILTER_SHUFFLE

    layout, count = data.get_create_plist(), data.get_num_chunks()
    filters = [layout.get_filter(index)[0] for index in range(layout.get_nfilters())]
    if {*filters} - {FILTER_DEFLATE, FILTER_FLETCHER32, FILTER_SHUFFLE} or len(filters) > 3:
        raise ValueError(f"{name} is packed in an unusual way; unpack it with h5repack -f NONE")
    if count > _MAX_PIECES or expected > _MAX_PIECE:
        raise ValueError(f"{name} is stored in {count:,} pieces of {expected:,} bytes")
    whole = math.prod(-(-n // c) for n, c in zip(data.shape, layout.get_chunk(), strict=True))
    if count < whole:
        raise ValueError(f"{name} has a shape but not all of its values")
    for index in range(count):
        piece = data.get_chunk_info(index)
        if piece.size > 2 * expected + 1024:  # packing makes nothing much larger
            raise ValueError(f"{name} has a piece of {piece.size:,} bytes for {expected:,}")
        for place in (i for i, kind in enumerate(filters) if kind == FILTER_DEFLATE):
            if not piece.filter_mask >> place & 1:  # else this piece would not become smaller
                _check_unpacked(data.read_direct_chunk(piece.chunk_offset)[1], expected, name)


def _check_unpacked(packed: bytes, expected: int, name: str) -> None:
    """Unpacks a piece as far as it should go; the library would go on to the piece's end."""
    checksum = 4
    stream = zlib.decompressobj()
    stream.decompress(packed, expected + checksum)
    if not stream.eof and stream.decompress(stream.unconsumed_tail, 1):
        raise ValueError(f"{name} unpacks to more than {expected:,} bytes a piece")
