"""Encodes films as GIFs that are small and quick to make, with a few pictures in memory.

All pictures share one palette. A pixel keeps its colour from picture to picture until it has
changed visibly, and of each picture only what is new is written: an optimisation changes less and
less.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_SAMPLES = 8  # pictures that the palette is chosen from
_BITS = 5  # of a channel, for which the nearest colour of the palette is looked up
_SAME = 255  # stands for what stays as it was
_LONGEST = 65_535  # hundredths of a second


def encode_gif(
    frames: Iterable[Bytes], durations: Sequence[int], change: int, colours: int
) -> Iterator[bytes]:
    """Yields the parts of the file of an animation that repeats for ever.

    Args:
      frames: pictures `[h, w, 3]` of one size, at least one; they are gone over twice.
      durations: how long each is shown, in milliseconds.
      change: how far each channel may be off, of 255.
      colours: at most 255.
    """
    palette = choose_palette(frames, len(durations), colours)
    table = _nearest(palette)
    ends = np.rint(np.cumsum(durations) / 10).astype(int)  # in hundredths, which does not drift
    shown: Bytes | None = None
    begun = 0
    waiting: tuple[Bytes, tuple[int, int]] | None = None
    for number, frame in enumerate(hold(frames, change)):
        picture = in_palette(frame, table)
        if shown is None:
            height, width = picture.shape
            yield _header(width, height, palette)
            part, corner = picture, (0, 0)
        elif (picture == shown).all():
            continue
        else:
            part, corner = _new(picture, shown)
        if waiting is not None:
            yield _written(*waiting, ends[number - 1] - begun)
            begun = ends[number - 1]
        waiting, shown = (part, corner), picture
    if waiting is not None:
        yield _written(*waiting, ends[-1] - begun)
    yield b";"


def hold(frames: Iterable[Bytes], change: int) -> Iterator[Bytes]:
    """Yields pictures in which a pixel keeps its colour until it has changed.

    Args:
      frames: pictures `[h, w, 3]` of one size.
      change: how far each channel may be off, of 255. The last picture is as it was.
    """
    held: NDArray[np.int16] | None = None
    last: Bytes | None = None
    for frame in frames:
        if last is not None:
            if held is None:
                held = last.astype(np.int16)
            stays = np.abs(last - held).max(axis=-1, keepdims=True) <= change
            held = np.where(stays, held, last)
            yield held.astype(np.uint8)
        last = frame
    if last is not None:
        yield last


def choose_palette(frames: Iterable[Bytes], count: int, colours: int) -> Bytes:
    """Returns a palette `[N, 3]` for pictures.

    Args:
      frames: pictures `[h, w, 3]` of one size.
      count: how many there are.
      colours: at most 255, since one stands for what stays as it was.
    """
    from PIL import Image  # here, because this module is imported with the package

    every = max(1, count // _SAMPLES)
    samples, last = [], None
    for number, last in enumerate(frames):
        if number % every == 0:
            samples.append(last)
    sheet = Image.fromarray(np.concatenate([*samples, *([] if last is None else [last])]))
    # Unlike other methods it keeps small areas of a strong colour.
    chosen = sheet.quantize(colours, Image.Quantize.FASTOCTREE).getpalette() or []
    return np.array(chosen, np.uint8).reshape(-1, 3)[:colours]


def in_palette(frame: Bytes, table: Bytes) -> Bytes:
    """Returns the numbers `[h, w]` of a picture's colours, from the table of `_nearest`."""
    red, green, blue = np.moveaxis(frame >> (8 - _BITS), -1, 0)
    numbers: Bytes = table[red, green, blue]
    return numbers


def _new(picture: Bytes, shown: Bytes) -> tuple[Bytes, tuple[int, int]]:
    """Returns the part of a picture that differs from what is shown, and its left upper corner."""
    other = picture != shown
    rows, columns = (np.flatnonzero(other.any(axis=axis)) for axis in (1, 0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.where(other, picture, np.uint8(_SAME))[part], (int(columns[0]), int(rows[0]))


def _header(width: int, height: int, palette: Bytes) -> bytes:
    """Returns what comes before the pictures: their size, the palette, and that it repeats."""
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette)] = palette
    screen = struct.pack("<6sHHBBB", b"GIF89a", width, height, 0xF7, 0, 0)
    return screen + colours.tobytes() + b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"


def _written(part: Bytes, corner: tuple[int, int], hundredths: int) -> bytes:
    """Returns a picture as the file holds it: all that is shown stays where it has nothing new."""
    from PIL import GifImagePlugin, Image

    found = GifImagePlugin.getdata(
        Image.fromarray(part), corner, duration=10 * min(hundredths, _LONGEST), disposal=1,
        transparency=_SAME,
    )  # fmt: skip
    return b"".join(found)


def _nearest(palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns the number of the nearest colour for every triple of the first bits."""
    levels = np.arange(2**_BITS) * 2 ** (8 - _BITS) + 2 ** (7 - _BITS)
    squares = [(levels[:, None] - palette[:, channel].astype(int)) ** 2 for channel in range(3)]
    red, green, blue = squares
    distances = red[:, None, None] + green[None, :, None] + blue[None, None, :]
    nearest: NDArray[np.uint8] = distances.argmin(axis=-1).astype(np.uint8)
    return nearest
