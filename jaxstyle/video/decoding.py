"""Reads video files by PyAV, the extra `video`."""

import contextlib
import importlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.image.video import can_write_video
from jaxstyle.video.reading import Bytes, Clip, Timed

MISSING = "needs PyAV; pip install 'jaxstyle[video]'"
_BT601, _BT709, _BT2020 = 5, 1, 9  # swscale's numbers for matrices
_MATRICES = {1: _BT709, 4: 4, 5: _BT601, 6: _BT601, 7: 7, 9: _BT2020, 10: _BT2020}
_HIGH = 720  # rows from which a film that does not say has the colours of high definition
_SHORT = 0.95  # of the frames that a file says it has; fewer were cut off
_PICTURE = 1024  # the disposition of a cover


def open_video(path: Path) -> Clip:
    """Looks at a video file: counts its frames without decoding them.

    Args:
      path: the file.

    Raises:
      FileFormatError: if it is none, has no pictures, or is damaged or truncated.
      UsageError: if PyAV is not installed.
    """
    if not can_write_video():
        raise UsageError(f"{path}: {path.suffix or 'this file'} {MISSING}")
    with _film(path) as film, _readable(path):
        stream = _pictures(path, film)
        announced, length = stream.frames, film.duration
        first, last, count = None, Fraction(0), 0
        for packet in film.demux(stream):
            if packet.pts is None:
                continue
            count += 1
            time = packet.pts * packet.time_base
            first = time if first is None else min(first, time)
            last = max(last, time + (packet.duration or 0) * packet.time_base)
        sound = bool(film.streams.audio)
        rate = stream.average_rate or stream.guessed_rate
    if not count or first is None:
        raise FileFormatError(f"{path}: has no frames that can be read")
    rate = Fraction(rate) if rate else count / max(last - first, Fraction(1, 1000))
    duration = max(last - first, 1 / rate)
    cut = count < _SHORT * announced
    if not announced and length:  # in microseconds; Matroska tells no more
        cut = float(duration) < _SHORT * length / 1e6 - 0.5
    if cut:
        told = f"{count} of {announced} frames" if announced else f"{float(duration):.1f} seconds"
        raise FileFormatError(f"{path}: is truncated: {told} are there; copy it again")
    shape = next(_decode(path)).image.shape
    return Clip(
        path, count, rate, duration, (shape[0], shape[1]), lambda: _decode(path), sound, first
    )


def _decode(path: Path) -> Iterator[Timed]:
    """Yields the frames of a video file; times begin at 0."""
    begin: Fraction | None = None
    number = 0
    with _film(path) as film, _readable(path):
        stream = _pictures(path, film)
        stream.thread_type = "AUTO"
        rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        frames = film.decode(stream)
        while True:
            try:
                frame = next(frames)
            except StopIteration:
                return
            except Exception as error:
                raise FileFormatError(f"{path}: is damaged after frame {number}") from error
            number += 1
            time = (number - 1) / rate
            if frame.pts is not None:
                time = frame.pts * frame.time_base
            begin = time if begin is None else begin
            yield Timed(time - begin, _upright(frame))


def _upright(frame: Any) -> Bytes:
    """Returns the pixels of a frame, sRGB and turned as its file says."""
    usual = _BT709 if frame.height >= _HIGH else _BT601
    matrix = _MATRICES.get(int(frame.colorspace), usual)
    pixels = frame.reformat(format="rgb24", src_colorspace=matrix).to_ndarray()
    turns = round((getattr(frame, "rotation", 0) or 0) / 90)
    return np.ascontiguousarray(np.rot90(pixels, turns))


def _pictures(path: Path, film: Any) -> Any:
    """Returns the stream of pictures of an open file, and not that of a cover."""
    for stream in film.streams.video:
        if not int(stream.disposition) & _PICTURE:
            return stream
    raise FileFormatError(f"{path}: has no video stream; give a film")


def _film(path: Path) -> Any:
    """Opens a file."""
    av = importlib.import_module("av")
    with _readable(path):
        return av.open(str(path))


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Says in one line that a file is no film, whatever FFmpeg says."""
    av = importlib.import_module("av")
    try:
        yield
    except av.error.FFmpegError as error:
        if isinstance(error, PermissionError):
            raise
        raise FileFormatError(
            f"{path}: is no film, or damaged or truncated ({error.strerror.lower()})"
        ) from error
