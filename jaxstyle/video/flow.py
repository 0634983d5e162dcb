"""Optical flow between two frames: OpenCV's, from files of the user's own, or by a function.

A flow is `[H, W, 2]`: for each pixel of the first frame (dx, dy), in pixels, to where its point is
in the second.
"""

import dataclasses
import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jaxstyle._common.reading import open_regular
from jaxstyle.errors import FileFormatError, UsageError

Pixels = NDArray[np.float32]


class Still(NamedTuple):
    """A frame of a film.

    Attributes:
      number: its place in the film, from 1.
      image: `[H, W, 3]` float32 in [0, 1].
    """

    number: int
    image: Pixels


@dataclasses.dataclass(frozen=True)
class Flow:
    """A source of flow.

    Attributes:
      between: returns the flow from the first of two frames to the second.
    """

    between: Callable[[Still, Still], Pixels]

    def __call__(self, first: Still, second: Still) -> Pixels:
        """Returns the flow from the first of two frames to the second."""
        return self.between(first, second)


_FLO = 202021.25  # the number that a .flo file begins with
_NAMED = re.compile(r"([0-9]+)[_-]([0-9]+)$")
_MOST = 2**31  # bytes of a file
_SMALL = 256  # pixels; below, flow is refined down to single ones
_HELP = "optical flow needs OpenCV; pip install 'jaxstyle[video]', or give flow of your own"


def function_flow(function: Callable[[Pixels, Pixels], Any]) -> Flow:
    """Returns the flow source of a function of two pictures.

    Args:
      function: `(first, second) -> flow`, with pictures `[H, W, 3]` in [0, 1] and a flow
        `[H, W, 2]`.

    Example:
      >>> still = function_flow(lambda first, second: np.zeros((*first.shape[:2], 2)))
      >>> frame = Still(1, np.zeros((4, 6, 3), np.float32))
      >>> still(frame, frame).shape
      (4, 6, 2)
    """

    def flow(first: Still, second: Still) -> Pixels:
        found = np.asarray(function(first.image, second.image), np.float32)
        if found.shape != (*first.image.shape[:2], 2):
            wanted = [*first.image.shape[:2], 2]
            raise ValueError(f"flow should return {wanted}, got {list(found.shape)}")
        return found

    return Flow(flow)


def dis_flow() -> Flow:
    """Returns OpenCV's dense inverse search as a flow source.

    Raises:
      UsageError: if OpenCV is not installed.

    Reference: Kroeger, Timofte, Dai and Van Gool, ECCV 2016.
    """
    if importlib.util.find_spec("cv2") is None:
        raise UsageError(_HELP)
    cv2 = importlib.import_module("cv2")

    def grey(still: Still) -> NDArray[np.uint8]:
        pixels = np.rint(still.image.clip(0, 1) * 255).astype(np.uint8)
        found: NDArray[np.uint8] = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        return found

    def flow(first: Still, second: Still) -> Pixels:
        search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        if min(first.image.shape[:2]) < _SMALL:
            search.setFinestScale(0)
        found: Pixels = search.calc(grey(first), grey(second), None)
        return found

    return Flow(flow)


def read_flow(path: Path) -> Pixels:
    """Reads a flow `[H, W, 2]` from a .flo file, or from the array `flow` of a .npz file.

    Args:
      path: the file.

    Raises:
      OSError: if it cannot be read.
      FileFormatError: if it holds no flow.
    """
    if path.suffix.lower() == ".npz":
        return _as_flow(path, _arrays_of(path).get("flow"), 3)
    with open_regular(path, _MOST) as file:
        data = file.read()
    head = np.frombuffer(data[:4], "<f4")
    if len(data) < 12 or head[0] != _FLO:
        raise FileFormatError(f"{path}: is no flow; give Middlebury's .flo, or a .npz")
    width, height = (int(side) for side in np.frombuffer(data[4:12], "<i4"))
    if min(width, height) < 1 or len(data) != 12 + 8 * width * height:
        raise FileFormatError(
            f"{path}: should hold {max(8 * width * height, 0)} bytes for {width}×{height} pixels, "
            f"got {len(data) - 12}"
        )
    return np.frombuffer(data[12:], "<f4").reshape(height, width, 2).astype(np.float32)


def write_flow(path: Path, flow: Pixels) -> None:
    """Writes a flow `[H, W, 2]` as Middlebury's .flo.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     write_flow(Path(folder, "flow_1_2.flo"), np.ones((2, 3, 2), np.float32))
      ...     read_flow(Path(folder, "flow_1_2.flo")).shape
      (2, 3, 2)
    """
    height, width, _ = flow.shape
    head = np.array([_FLO], "<f4").tobytes() + np.array([width, height], "<i4").tobytes()
    path.write_bytes(head + flow.astype("<f4").tobytes())


def file_flow(place: Path) -> Flow:
    """Returns the flow source of files.

    A folder has a file for each two frames, .flo or .npz, whose name ends in their numbers:
    `forward_1_2.flo` leads from the first frame to the second, `backward_2_1.flo` back. A .npz file
    has all of them: arrays `forward` and `backward`, `[N - 1, H, W, 2]`, between neighbours. Flow
    of another size than the frames is resized.

    Args:
      place: the folder, or the .npz file.

    Raises:
      FileNotFoundError: if it is not there.
      FileFormatError: if it holds no flow.
    """
    if place.is_dir():
        return _folder_flow(place)
    arrays = _arrays_of(place)
    both = {name: _as_flow(place, arrays.get(name), 4) for name in ("forward", "backward")}
    if both["forward"].shape != both["backward"].shape:
        raise FileFormatError(f"{place}: forward and backward should be of one shape")

    def flow(first: Still, second: Still) -> Pixels:
        earlier = min(first.number, second.number)
        known = both["forward" if first.number < second.number else "backward"]
        if abs(first.number - second.number) != 1 or earlier > len(known):
            raise UsageError(_missing(place, first, second))
        return resize_flow(known[earlier - 1], first.image.shape[:2])

    return Flow(flow)


def _folder_flow(folder: Path) -> Flow:
    files: dict[tuple[int, int], Path] = {}
    for path in sorted(folder.iterdir()):
        match = _NAMED.search(path.stem)
        if match is not None and path.suffix.lower() in (".flo", ".npz"):
            files[int(match[1]), int(match[2])] = path
    if not files:
        raise FileFormatError(f"{folder}: has no flow in it; name the files like forward_1_2.flo")

    def flow(first: Still, second: Still) -> Pixels:
        path = files.get((first.number, second.number))
        if path is None:
            raise UsageError(_missing(folder, first, second))
        return resize_flow(read_flow(path), first.image.shape[:2])

    return Flow(flow)


def resize_flow(flow: Pixels, shape: tuple[int, ...]) -> Pixels:
    """Returns a flow at another height and width; its lengths are scaled too.

    Example:
      >>> resize_flow(np.ones((4, 4, 2), np.float32), (8, 4))[0, 0].tolist()
      [1.0, 2.0]
    """
    height, width = flow.shape[:2]
    if (height, width) == tuple(shape):
        return flow
    from PIL import Image  # here, because Pillow costs time

    size = (shape[1], shape[0])
    planes = [
        np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR)) * scale
        for plane, scale in (
            (np.ascontiguousarray(flow[..., 0]), shape[1] / width),
            (np.ascontiguousarray(flow[..., 1]), shape[0] / height),
        )
    ]
    return np.stack(planes, axis=-1).astype(np.float32)


def _arrays_of(path: Path) -> Mapping[str, Any]:
    """Returns the arrays of a .npz file, of numbers alone."""
    with open_regular(path, _MOST) as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                return dict(archive)
        # zipfile and NumPy raise many kinds for damaged files.
        except Exception as error:
            raise FileFormatError(f"{path}: is no flow; give a folder, or a .npz file") from error


def _as_flow(path: Path, found: Any, rank: int) -> Pixels:
    form = "[H, W, 2]" if rank == 3 else "[N - 1, H, W, 2]"
    names = "an array flow" if rank == 3 else "arrays forward and backward"
    if found is None or found.ndim != rank or found.shape[-1] != 2 or found.dtype.kind != "f":
        raise FileFormatError(f"{path}: should hold {names} {form} of floats")
    return np.asarray(found, np.float32)


def _missing(place: Path, first: Still, second: Still) -> str:
    remedy = ""
    if abs(first.number - second.number) > 1:
        remedy = ", or compare with the frame before alone, long-term 1"
    return f"{place}: has no flow from frame {first.number} to {second.number}; add it{remedy}"
