"""Encodes films as GIFs that are small and quick to make.

All pictures share one palette. A pixel keeps its colour from picture to picture until it has
changed visibly, so that the encoder, which only writes what is new, has little to write: an
optimisation changes less and less.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Frames = Sequence[NDArray[np.uint8]]

_SAMPLES = 8  # pictures that the palette is chosen from
_BITS = 5  # of a channel, for which the nearest colour of the palette is looked up


def hold(frames: Frames, change: int) -> list[NDArray[np.uint8]]:
    """Returns pictures in which a pixel keeps its colour until it has changed.

    Args:
      frames: pictures `[h, w, 3]` of one size.
      change: how far each channel may be off, of 255. The last picture is as it was.
    """
    held, shown = frames[0].astype(np.int16), []
    for frame in frames[:-1]:
        stays = np.abs(frame - held).max(axis=-1, keepdims=True) <= change
        held = np.where(stays, held, frame)
        shown.append(held.astype(np.uint8))
    return [*shown, frames[-1]]


def in_palette(frames: Frames, colours: int) -> list["Image.Image"]:
    """Returns pictures that share a palette, each pixel in the nearest colour.

    Args:
      frames: pictures `[h, w, 3]` of one size.
      colours: at most 255, since one stands for what stays as it was.
    """
    from PIL import Image  # here, because this module is imported with the package

    samples = [*frames[:: max(1, len(frames) // _SAMPLES)], frames[-1]]
    sheet = Image.fromarray(np.concatenate(samples))
    # Unlike other methods it keeps small areas of a strong colour.
    chosen = sheet.quantize(colours, Image.Quantize.FASTOCTREE).getpalette() or []
    palette = np.array(chosen, np.uint8).reshape(-1, 3)[:colours]
    table = _nearest(palette)
    pictures = []
    for frame in frames:
        red, green, blue = np.moveaxis(frame >> (8 - _BITS), -1, 0)
        picture = Image.fromarray(table[red, green, blue])
        picture.putpalette(palette.tobytes())
        pictures.append(picture)
    return pictures


def _nearest(palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns the number of the nearest colour for every triple of the first bits."""
    levels = np.arange(2**_BITS) * 2 ** (8 - _BITS) + 2 ** (7 - _BITS)
    squares = [(levels[:, None] - palette[:, channel].astype(int)) ** 2 for channel in range(3)]
    red, green, blue = squares
    distances = red[:, None, None] + green[None, :, None] + blue[None, None, :]
    nearest: NDArray[np.uint8] = distances.argmin(axis=-1).astype(np.uint8)
    return nearest
