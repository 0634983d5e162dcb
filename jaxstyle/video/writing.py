"""Writes films: H.264 with the sound as it was, animations, and folders of frames.

A film appears under its name once it is complete.
"""

import importlib
import io
import itertools
import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxstyle._common import files
from jaxstyle.errors import UsageError
from jaxstyle.image.animation import encode_animation
from jaxstyle.image.video import H264, can_write_video
from jaxstyle.video.decoding import MISSING
from jaxstyle.video.reading import Bytes, Clip, Timed

_logger = logging.getLogger(__name__)

_CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
_ANIMATIONS = {".gif": "GIF", ".webp": "WEBP"}


class Sound(NamedTuple):
    """The sound that goes with a film.

    Attributes:
      clip: the film that it comes from.
      start: the second of that film at which it begins.
      end: the second at which it ends.
    """

    clip: Clip
    start: Fraction
    end: Fraction


def check_film_path(path: Path) -> None:
    """Raises the errors that writing a film would raise, before hours of work depend on it.

    Args:
      path: a .mp4, .mov, .mkv, .gif or .webp file, or a new or empty folder.

    Raises:
      UsageError: if it is of another kind, or PyAV is needed and not installed.
      OSError: if it cannot be written.
    """
    extension = path.suffix.lower()
    if is_folder(path):
        files.check_new_folder(path)
        return
    if extension not in (*_CONTAINERS, *_ANIMATIONS):
        raise UsageError(
            f"{path}: a film is a .mp4, .mov, .mkv, .gif or .webp, or a folder of frames, "
            f"not {extension}"
        )
    if extension in _CONTAINERS and not can_write_video():
        raise UsageError(f"{path}: {extension} {MISSING}")
    files.check_writable(path)


def write_film(
    path: Path, frames: Iterable[Timed], duration: Fraction, sound: Sound | None = None
) -> None:
    """Writes a film, frame by frame.

    Animations are gone over several times. Frames that can be had only once, from an iterator, are
    kept in memory for that.

    Args:
      path: as for `check_film_path`.
      frames: with rising times, at least one.
      duration: seconds of the whole.
      sound: what goes with it; not for animations and folders. What the file cannot hold is left
        out; see `warn_of_sound`.

    Raises:
      UsageError, OSError: as for `check_film_path`, or if the disk is full.

    Example:
      >>> import tempfile
      >>> film = [Timed(Fraction(i, 10), np.full((8, 8, 3), 99 * i, np.uint8)) for i in range(3)]
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     write_film(Path(folder, "film.gif"), film, Fraction(3, 10))
      ...     Path(folder, "film.gif").read_bytes()[:6]
      b'GIF89a'
    """
    check_film_path(path)
    if is_folder(path):
        _write_folder(path, frames)
    elif path.suffix.lower() in _ANIMATIONS:
        _write_animation(path, list(frames) if isinstance(frames, Iterator) else frames, duration)
    else:
        _write_video(path, iter(frames), duration, sound)


def _write_folder(path: Path, frames: Iterable[Timed]) -> None:
    from PIL import Image

    from jaxstyle.image.io.writing import encode

    with files.atomic_folder(path) as folder:
        for number, frame in enumerate(frames, 1):
            data = encode(Image.fromarray(frame.image), "PNG")
            (folder / f"{number:06d}.png").write_bytes(data)


def _write_animation(path: Path, frames: Iterable[Timed], duration: Fraction) -> None:
    times = [frame.time for frame in frames]
    ends = [*times[1:], max(duration, times[-1])]
    lengths = [max(20, round(1000 * (end - time))) for time, end in zip(times, ends, strict=True)]
    kind = _ANIMATIONS[path.suffix.lower()]
    files.write_bytes(path, encode_animation(_Images(frames), kind, lengths))


class _Images:
    """The pictures of frames, however often they are gone over."""

    def __init__(self, frames: Iterable[Timed]):
        self._frames = frames

    def __iter__(self) -> Iterator[Bytes]:
        return (frame.image for frame in self._frames)


def _write_video(
    path: Path, frames: Iterator[Timed], duration: Fraction, sound: Sound | None
) -> None:
    av = importlib.import_module("av")
    container = _CONTAINERS[path.suffix.lower()]
    options = {} if container == "matroska" else {"movflags": "+faststart"}
    first = next(frames)
    second = next(frames, None)
    rate = _rate(first, second)
    rest = itertools.chain([first], [] if second is None else [second], frames)
    with (
        files.atomic_write(path) as partial,
        av.open(str(partial), "w", format=container, options=options) as film,
    ):
        pictures = H264(film, first.image.shape, rate)
        tones = (
            _Tones(film, container, sound) if sound is not None and sound.clip.has_sound else None
        )
        last = first
        for frame in rest:
            pictures.add(frame.image, frame.time)
            last = frame
            if tones is not None:
                tones.add_until(frame.time)
        if duration - last.time > 3 / (2 * rate):  # a last frame that stands still for longer
            pictures.add(last.image, duration - 1 / rate)
        pictures.close()
        if tones is not None:
            tones.add_until(None)


def _rate(first: Timed, second: Timed | None) -> Fraction:
    """Returns the frames a second that a film begins with."""
    if second is None or second.time <= first.time:
        return Fraction(25)
    return (1 / (second.time - first.time)).limit_denominator(1001)


def warn_of_sound(path: Path, clip: Clip) -> None:
    """Warns of sound that a film cannot hold, and that is left out of it."""
    container = _CONTAINERS.get(path.suffix.lower())
    if container is None or is_folder(path) or not clip.has_sound:
        return
    av = importlib.import_module("av")
    with av.open(str(clip.path)) as source:
        for stream in source.streams.audio:
            if not _can_hold(container, stream):
                _logger.warning(
                    "warning: %s: a %s holds no sound as %s, so it is left out; try a .mkv",
                    path, path.suffix, stream.codec_context.name,
                )  # fmt: skip


def _can_hold(container: str, stream: Any) -> bool:
    """Tells whether a container takes a stream of sound, by beginning a file in memory."""
    av = importlib.import_module("av")
    try:
        with av.open(io.BytesIO(), "w", format=container) as film:
            if stream.codec_context.name not in film.supported_codecs:
                return False
            film.add_stream_from_template(stream)
            film.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


class _Tones:
    """Copies the sound of one film into another, packet by packet."""

    def __init__(self, film: Any, container: str, sound: Sound):
        self._film, self._sound = film, sound
        av = importlib.import_module("av")
        self._source = av.open(str(sound.clip.path))
        self._streams: dict[int, Any] = {}
        for stream in self._source.streams.audio:
            if _can_hold(container, stream):
                self._streams[stream.index] = film.add_stream_from_template(stream)
        kept = [s for s in self._source.streams.audio if s.index in self._streams]
        self._packets = self._source.demux(kept) if kept else iter(())
        self._next: Any = None

    def add_until(self, time: Fraction | None) -> None:
        """Adds the sound up to a time of the new film, in seconds; None for all that is left."""
        sound = self._sound
        origin = sound.clip.origin + sound.start
        whole = sound.start == 0
        while True:
            packet = self._next or next(self._packets, None)
            self._next = None
            if packet is None:
                self._source.close()
                self._packets = iter(())
                return
            if packet.pts is None:
                continue
            now = packet.pts * packet.time_base - origin
            if now >= sound.end - sound.start:
                continue
            if time is not None and now > time:
                self._next = packet
                return
            if now < 0 and not whole:
                continue
            shift = round(origin / packet.time_base)
            packet.stream = self._streams[packet.stream.index]
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            self._film.mux(packet)


def is_folder(path: Path) -> bool:
    """Tells whether a film's name is that of a folder of frames."""
    return path.is_dir() or not path.suffix


def as_bytes(picture: Any) -> Any:
    """Returns a picture in [0, 1] with 8 bits a channel."""
    return np.rint(np.asarray(picture).clip(0, 1) * 255).astype(np.uint8)
