"""Reads films one frame after another: video files, animations, and folders of pictures.

Frames come upright, in sRGB, all of one size, with the time at which each is shown. What is kept in
memory does not grow with the film.
"""

import contextlib
import dataclasses
import math
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from jaxstyle._common import files
from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.image.io.opening import opened
from jaxstyle.image.io.reading import MAX_PIXELS, load_picture, read_shape, scaled

Bytes = NDArray[np.uint8]

_RATE = Fraction(25)  # of a folder of frames
_SHORTEST = Fraction(1, 50)  # seconds; browsers show frames of an animation that are shorter for
_USUAL = Fraction(1, 10)  # so long
_ANIMATIONS = {".gif", ".webp", ".apng", ".png", ".avif"}
_LESS = Fraction(1, 10**6)  # of a second, which rounding may be off

Item = TypeVar("Item")


class Timed(NamedTuple):
    """A frame and its time.

    Attributes:
      time: seconds from the beginning of the film at which it is first shown.
      image: `[H, W, 3]`, 8 bits a channel, sRGB.
    """

    time: Fraction
    image: Bytes


@dataclasses.dataclass(frozen=True)
class Clip:
    """A film that can be read.

    Attributes:
      path: the file or folder.
      count: how many frames it has.
      rate: frames a second, on average.
      duration: seconds.
      shape: height and width of its upright frames.
      read: yields its frames, in their own size, from the one on that is shown at a time, or some
        before it.
      has_sound: whether a sound goes with it.
      origin: the time that its file gives the first frame, in seconds.
    """

    path: Path
    count: int
    rate: Fraction
    duration: Fraction
    shape: tuple[int, int]
    read: Callable[[Fraction], Iterator[Timed]]
    has_sound: bool = False
    origin: Fraction = Fraction(0)


@dataclasses.dataclass(frozen=True)
class Span:
    """Which frames of a film are taken, and how large.

    Attributes:
      start: seconds from the beginning.
      end: seconds from the beginning; None for the end of the film.
      rate: frames a second; None takes each as it comes.
      size: the longer side in pixels; None for the film's own.
    """

    start: Fraction = Fraction(0)
    end: Fraction | None = None
    rate: Fraction | None = None
    size: int | None = None

    def shape(self, clip: Clip) -> tuple[int, int]:
        """Returns height and width of the frames."""
        return scaled(clip.shape, self.size)

    def count(self, clip: Clip) -> int:
        """Returns about how many frames there are, exactly so if all of the film is taken."""
        if self == Span(size=self.size):
            return clip.count
        end = clip.duration if self.end is None else min(self.end, clip.duration)
        return max(0, round(float(end - self.start) * float(self.rate or clip.rate)))


def open_clip(path: Path, rate: Fraction | None = None) -> Clip:
    """Looks at a film: a video file, an animation, or a folder of pictures.

    Args:
      path: the file or folder.
      rate: frames a second of a folder of pictures; 25 by default.

    Raises:
      FileNotFoundError: if it is not there.
      FileFormatError: if it holds no film, is damaged or truncated, or has frames of several sizes.
      UsageError: if it has only one frame, or PyAV is needed and not installed.

    Example:
      >>> import tempfile
      >>> from jaxstyle.image.io import save_image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     for number in (1, 2, 10):
      ...         save_image(f"{folder}/{number}.png", np.full((8, 12, 3), number / 10))
      ...     clip = open_clip(Path(folder))
      ...     frames = clip.read(Fraction(0))
      ...     clip.count, clip.shape, [int(frame.image[0, 0, 0]) for frame in frames]
      (3, (8, 12), [26, 51, 255])
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if not (path.is_dir() or path.is_file()):
        raise FileFormatError(f"{path}: is a pipe or a device; give a film that is saved to disk")
    if path.is_dir():
        clip = _open_folder(path, rate or _RATE)
    elif path.suffix.lower() in _ANIMATIONS:
        clip = _open_animation(path)
    else:
        from jaxstyle.video.decoding import open_video  # here, because PyAV is an extra

        clip = open_video(path)
    if clip.count < 2:
        raise UsageError(f"{path}: has a single frame; make a picture of it with jaxstyle stylize")
    return clip


def read_frames(clip: Clip, span: Span = Span()) -> Iterator[Timed]:
    """Yields the frames of a part of a film; times begin at 0.

    Args:
      clip: the film.
      span: which part, and how large.

    Raises:
      FileFormatError: if it is damaged further on, or its frames change their size.
      UsageError: if it has no frame there.
    """
    shape, none = span.shape(clip), True
    before: Bytes | None = None  # what is shown when the part begins
    frames = clip.read(span.start)
    if span.rate is not None:
        end = clip.duration if span.end is None else min(span.end, clip.duration)
        frames = at_rate(frames, span.rate, span.start, end)
    for number, (time, image) in enumerate(frames, 1):
        if image.shape[:2] != clip.shape:
            (height, width), (own, across) = image.shape[:2], clip.shape
            raise FileFormatError(
                f"{clip.path}: frame {number} has {width}×{height} pixels and the first "
                f"{across}×{own}; all should be of one size"
            )
        if span.end is not None and time >= span.end - _LESS:
            break
        if time < span.start - _LESS:
            before = image
            continue
        if none and before is not None and time > span.start + _LESS:
            yield Timed(Fraction(0), resize(before, shape))
        none = False
        yield Timed(max(time - span.start, Fraction(0)), resize(image, shape))
    if none and before is not None and span.start < clip.duration:
        none = False
        yield Timed(Fraction(0), resize(before, shape))
    if none:
        raise UsageError(
            f"{clip.path}: has no frame in this part; it lasts {float(clip.duration):.2f} seconds"
        )


def at_rate(
    frames: Iterator[Timed], rate: Fraction, start: Fraction, end: Fraction
) -> Iterator[Timed]:
    """Yields frames at even times: at each, the one that is shown then.

    Args:
      frames: with rising times.
      rate: frames a second.
      start: the first time, in seconds.
      end: the time before which it ends.

    Example:
      >>> grey = np.zeros((1, 1, 3), np.uint8)
      >>> film = iter([Timed(Fraction(0), grey), Timed(Fraction(1, 2), grey + 1)])
      >>> thin = at_rate(film, Fraction(4), Fraction(0), Fraction(1))
      >>> [(float(frame.time), int(frame.image[0, 0, 0])) for frame in thin]
      [(0.0, 0), (0.25, 0), (0.5, 1), (0.75, 1)]
    """
    shown: Bytes | None = None
    tick = 0
    for frame in frames:
        while shown is not None and (now := start + tick / rate) < min(frame.time - _LESS, end):
            yield Timed(now, shown)
            tick += 1
        shown = frame.image
        if frame.time >= end:
            return
    while shown is not None and (now := start + tick / rate) < end - _LESS:
        yield Timed(now, shown)
        tick += 1


def resize(image: Bytes, shape: tuple[int, int]) -> Bytes:
    """Returns a frame `[H, W, 3]` at a height and width, by a Lanczos filter."""
    if image.shape[:2] == shape:
        return image
    from PIL import Image

    size = (shape[1], shape[0])
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yields items, while another thread makes the next one.

    Example:
      >>> list(ahead(iter([1, 2, 3])))
      [1, 2, 3]
    """
    end: Any = object()
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = reader.submit(next, items, end)
            yield item


def _open_folder(path: Path, rate: Fraction) -> Clip:
    pictures = sorted(files.find_pictures([path]), key=_by_number)
    shape = read_shape(pictures[0])
    for picture in pictures:
        height, width = read_shape(picture)
        if (height, width) != shape:
            raise FileFormatError(
                f"{picture}: has {width}×{height} pixels and {pictures[0].name} "
                f"{shape[1]}×{shape[0]}; all frames should be of one size"
            )

    def read(start: Fraction) -> Iterator[Timed]:
        first = max(0, math.floor(start * rate))
        for number, picture in enumerate(pictures[first:], first):
            image = load_picture(picture).image
            yield Timed(number / rate, np.rint(image * 255).astype(np.uint8))

    return Clip(path, len(pictures), rate, len(pictures) / rate, shape, read)


def _by_number(path: Path) -> list[Any]:
    """Returns what sorts names as people do: frame 2 before frame 10."""
    parts = re.split(r"([0-9]+)", path.name)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def _open_animation(path: Path) -> Clip:
    shape = read_shape(path)
    times = [time for time, _ in _decode_animation(path, pixels=False)]
    duration = times.pop()
    rate = len(times) / duration

    def read(start: Fraction) -> Iterator[Timed]:
        del start  # each frame of an animation is told by how it differs from the one before
        for time, image in _decode_animation(path, pixels=True):
            if image is not None:
                yield Timed(time, image)

    return Clip(path, len(times), rate, duration, shape, read)


def _decode_animation(path: Path, *, pixels: bool) -> Iterator[tuple[Fraction, Bytes | None]]:
    """Yields times and frames of an animation, and last of all the time of its end."""
    from PIL import Image

    with opened(os.fspath(path), MAX_PIXELS) as (first, _):
        known = [first.format] if first.format else None
    time = Fraction(0)
    # Not within `opened`, which lets nobody else open a picture meanwhile.
    with _damaged(path, 0):
        film = Image.open(path, formats=known)
    with film:
        for number in range(getattr(film, "n_frames", 1)):
            with _damaged(path, number):
                film.seek(number)
                film.load()  # which tells how long it is shown
                frame = film.convert("RGBA") if pixels else None
            shown = Fraction(film.info.get("duration") or 0) / 1000
            if frame is None:
                yield time, None
            else:
                ground = Image.new("RGBA", frame.size, "white")
                image = Image.alpha_composite(ground, frame).convert("RGB")
                yield time, np.asarray(image)
            time += shown if shown >= _SHORTEST else _USUAL
    yield time, None


@contextlib.contextmanager
def _damaged(path: Path, number: int) -> Iterator[None]:
    """Says in one line that an animation is damaged, whatever Pillow says."""
    try:
        yield
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise FileFormatError(f"{path}: is damaged at frame {number + 1}") from error
