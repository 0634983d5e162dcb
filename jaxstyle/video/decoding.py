"""Reads video files by PyAV, the extra `video`."""

import contextlib
import importlib
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.image.video import can_write_video
from jaxstyle.video.reading import Clip, Timed
from jaxstyle.video.upright import upright

MISSING = "needs PyAV; pip install 'jaxstyle[video]'"
_SHORT = 0.95  # of the frames and seconds that a file says it has; with fewer, it was cut off
_SPARE = 0.5  # seconds that the sound may be longer
_USUAL = 25  # frames a second, where nothing is said
# FFmpeg's own decoders pass over what is transparent.
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
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
        times: list[Fraction] = []  # the first and the last
        count, last = 0, Fraction(0)
        for packet in film.demux(stream):
            if not packet.size:  # as at the end
                continue
            count += 1
            moment = packet.dts if packet.pts is None else packet.pts
            if moment is not None:
                time, length = moment * packet.time_base, packet.duration or 0
                if not times or time >= times[-1]:
                    last = length * packet.time_base
                times = [min([time, *times[:1]]), max([time, *times[-1:]])]
        seconds = times[-1] - times[0] if times else Fraction(0)
        rate = _rate(stream, count, seconds)
        duration = seconds + (last or 1 / rate) if seconds else count / rate
        if not count:
            raise FileFormatError(f"{path}: has no frames that can be read")
        told = _missing(film, stream, count, duration, times[0] if times else Fraction(0))
        if told:
            raise FileFormatError(f"{path}: is truncated: {told} are there; copy it again")
        sound = bool(film.streams.audio)
    first = next(_decode(path, None), None)
    if first is None:
        raise FileFormatError(f"{path}: has no frames that can be read")
    origin, (height, width, _) = first.time, first.image.shape

    def read(start: Fraction) -> Iterator[Timed]:
        for time, image in _decode(path, origin + start if start else None):
            yield Timed(time - origin, image)

    return Clip(path, count, rate, duration, (height, width), read, sound, origin)


def _rate(stream: Any, count: int, seconds: Fraction) -> Fraction:
    """Returns how many frames a second there are on average."""
    told = Fraction(stream.average_rate or stream.guessed_rate or _USUAL)
    found = (count - 1) / seconds if seconds else told
    # Files that are joined or cut, and streams that were recorded, may say nonsense.
    return told if found / 2 <= told <= 2 * found else found


def _missing(film: Any, stream: Any, count: int, duration: Fraction, first: Fraction) -> str:
    """Returns how much there is, if frames are missing at the end of what a file says it has."""
    announced = stream.frames
    if announced:
        # .avi counts ticks without a frame too, but its length is right.
        length = math.inf if stream.duration is None else stream.duration * stream.time_base
        if count < _SHORT * announced and duration < _SHORT * length:
            return f"{count} of {announced} frames"
    elif "matroska" in film.format.name and film.duration:
        # In microseconds from 0 to the end of the longest stream, and no more is known.
        length = film.duration / 1e6 - max(float(first), 0.0)
        if duration < _SHORT * length - _SPARE * (len(film.streams) > 1):
            return f"{float(duration):.1f} of {length:.1f} seconds"
    return ""


def _decode(path: Path, start: Fraction | None) -> Iterator[Timed]:
    """Yields the frames of a video file with the times that it gives them.

    Args:
      path: the file.
      start: the first is the one that is shown then; None for the first of all.
    """
    waiting: tuple[Fraction, Any] | None = None
    for time, frame, aspect in _from(path, start):
        if waiting is not None and (start is None or time > start):
            yield Timed(waiting[0], upright(waiting[1], aspect))
        waiting = time, frame
    if waiting is not None:
        yield Timed(waiting[0], upright(waiting[1], aspect))


def _from(path: Path, start: Fraction | None) -> Iterator[tuple[Fraction, Any, Fraction | None]]:
    """Yields the time of each frame, the frame and the shape of its pixels.

    Args:
      path: the file.
      start: where to begin, or before it; None for the beginning.
    """
    av = importlib.import_module("av")
    number, time = 0, Fraction(0)
    with _film(path) as film, _readable(path):
        stream = _pictures(path, film)
        rate = Fraction(stream.average_rate or stream.guessed_rate or _USUAL)
        if start is not None:
            with contextlib.suppress(av.error.FFmpegError):  # it stays at the beginning
                film.seek(math.floor(start / stream.time_base), stream=stream)
        frames = _decoded(film, stream)
        while True:
            try:
                frame = next(frames)
            except StopIteration:
                if start is not None and number == 0:
                    break  # behind the last frame that can be begun with
                return
            except Exception as error:
                where = f"is damaged after {float(time):.2f} seconds"
                raise FileFormatError(f"{path}: {where}; repair it, or end before that") from error
            time = number / rate if frame.pts is None else frame.pts * frame.time_base
            if start is not None and number == 0 and (frame.pts is None or time > start):
                break  # too far
            number += 1
            yield time, frame, stream.sample_aspect_ratio
    yield from _from(path, None)


def _decoded(film: Any, stream: Any) -> Iterator[Any]:
    """Yields the frames of a stream."""
    codec = stream.codec_context
    if "1" in (stream.metadata.get("alpha_mode"), stream.metadata.get("ALPHA_MODE")):
        av = importlib.import_module("av")
        reader = _WITH_ALPHA.get(codec.name, "")
        if reader in av.codecs_available:
            codec = av.CodecContext.create(reader, "r")
    codec.thread_type = "AUTO"
    for packet in film.demux(stream):
        yield from codec.decode(packet)


def _pictures(path: Path, film: Any) -> Any:
    """Returns the stream of pictures of an open file, and not that of a cover."""
    for stream in film.streams.video:
        found = stream.disposition
        if not int(getattr(found, "value", found)) & _PICTURE:  # PyAV's kinds of it differ
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
