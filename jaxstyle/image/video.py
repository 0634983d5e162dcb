"""Writes films as H.264 in the form that every browser, phone and slide plays.

PyAV does it, the extra `video`. It is imported here when it is needed, and not before.
"""

import importlib
import importlib.util
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxstyle._common import files
from jaxstyle._common.files import StrPath

# From 0, which loses nothing, to 51. Fine strokes survive this one.
_QUALITY = "23"
_BT709 = 1  # the number of ITU-R BT.709 for primaries, transfer and matrix
_VIDEO_RANGE = 1  # 16 to 235
_TICK = Fraction(1, 90_000)  # of a second, in which times are written


def can_write_video() -> bool:
    """Tells whether PyAV is there."""
    return importlib.util.find_spec("av") is not None


class H264:
    """The pictures of a film that is being written.

    Args:
      film: from `av.open`.
      shape: height and width of the pictures. A side that is odd is repeated once at its end.
      rate: pictures a second, on average.
    """

    def __init__(self, film: Any, shape: Sequence[int], rate: Fraction):
        self._film, self._av = film, importlib.import_module("av")
        height, width = (side + side % 2 for side in shape[:2])
        self._stream = film.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"crf": _QUALITY, "preset": "slow"}
        codec = self._stream.codec_context
        codec.time_base = _TICK
        codec.color_primaries = codec.color_trc = codec.colorspace = _BT709
        codec.color_range = _VIDEO_RANGE

    def add(self, pixels: NDArray[np.uint8], time: Fraction) -> None:
        """Adds a picture `[h, w, 3]` that is shown from a time on, in seconds."""
        frame = self._av.VideoFrame.from_ndarray(_even(pixels), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        frame.pts, frame.time_base = round(time / _TICK), _TICK
        self._film.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Writes what the encoder still holds."""
        self._film.mux(self._stream.encode())


def write_video(
    path: StrPath, frames: Sequence[NDArray[np.uint8]], milliseconds: int, pause: int
) -> None:
    """Writes pictures as an MP4 file, which appears under its name once it is complete.

    Args:
      path: the file.
      frames: pictures `[h, w, 3]` of one size. A side that is odd is repeated once at its end.
      milliseconds: how long each picture is shown.
      pause: how long the last one is shown.

    Raises:
      OSError: if it cannot be written.
    """
    av = importlib.import_module("av")
    shown = [*frames, *[frames[-1]] * (pause // milliseconds - 1)]
    # A real file: for a film that plays while it loads, it is written in two passes.
    with (
        files.atomic_write(path) as partial,
        av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as film,
    ):
        stream = H264(film, shown[0].shape, Fraction(1000, milliseconds))
        for number, pixels in enumerate(shown):
            stream.add(pixels, Fraction(number * milliseconds, 1000))
        stream.close()


def _even(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns a picture with even sides, as halved colours need."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
