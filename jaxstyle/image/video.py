"""Writes films as MP4: H.264 in the form that every browser, phone and slide plays.

PyAV does it, the extra `video`. It is imported here when it is needed, and not before.
"""

import importlib
import importlib.util
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from jaxstyle._common import files
from jaxstyle._common.files import StrPath

# From 0, which loses nothing, to 51. Fine strokes survive this one.
_QUALITY = "23"
_BT709 = 1  # the number of ITU-R BT.709 for primaries, transfer and matrix
_VIDEO_RANGE = 1  # 16 to 235


def can_write_video() -> bool:
    """Tells whether PyAV is there."""
    return importlib.util.find_spec("av") is not None


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
    height, width = (side + side % 2 for side in frames[0].shape[:2])
    shown = [*frames, *[frames[-1]] * (pause // milliseconds - 1)]
    # A real file: for a film that plays while it loads, it is written in two passes.
    with (
        files.atomic_write(path) as partial,
        av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as film,
    ):
        stream = film.add_stream("libx264", rate=Fraction(1000, milliseconds))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": _QUALITY, "preset": "slow"}
        codec = stream.codec_context
        codec.color_primaries = codec.color_trc = codec.colorspace = _BT709
        codec.color_range = _VIDEO_RANGE
        for pixels in shown:
            frame = av.VideoFrame.from_ndarray(_even(pixels), format="rgb24")
            film.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        film.mux(stream.encode())


def _even(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns a picture with even sides, as halved colours need."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
