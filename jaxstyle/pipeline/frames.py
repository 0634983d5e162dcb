"""Fixed heights and widths for quick pictures, so that all proportions share a few programs.

A picture is fitted to the frame whose proportions are nearest, painted there, and resized to its
own height and width.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jaxstyle.image.io.reading import resized

Shape = tuple[int, int]

FRAMES: tuple[Shape, ...] = ((128, 192), (160, 160), (192, 128))
"""Multiples of what the compact network's pictures are extended to."""


def nearest(shape: Sequence[int], frames: Sequence[Shape] = FRAMES) -> Shape:
    """Returns the frame whose proportions are nearest to those of a height and width.

    Example:
      >>> nearest((1080, 1920)), nearest((500, 480)), nearest((4, 3))
      ((128, 192), (160, 160), (192, 128))
    """
    stretch = math.log(shape[0] / shape[1])
    return min(frames, key=lambda frame: abs(math.log(frame[0] / frame[1]) - stretch))


def scaled(frame: Shape, factor: float) -> Shape:
    """Returns a frame so many times as large.

    Example:
      >>> scaled((128, 192), 0.5)
      (64, 96)
    """
    return max(1, round(frame[0] * factor)), max(1, round(frame[1] * factor))


def out_of_frame(image: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    """Returns a picture `[h, w, 3]` that was painted in a frame at its own height and width.

    Example:
      >>> out_of_frame(np.ones((8, 8, 3), np.float32), (6, 9)).shape
      (6, 9, 3)
    """
    planes = [resized(np.ascontiguousarray(image[..., i]), shape) for i in range(3)]
    return np.stack(planes, -1).clip(0, 1)
