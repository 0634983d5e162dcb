"""Photographs to train on: a folder of pictures in memory, and random squares of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jaxstyle.errors import UsageError

Pixels = NDArray[np.uint8]

FEWEST = 8


class Photographs:
    """Photographs in memory, no larger than training needs.

    Args:
      paths: the files.
      short_side: photographs are scaled down to this shorter side.

    Attributes:
      pictures: each `[h, w, 3]` uint8.

    Raises:
      UsageError: if there are too few.
      OSError, FileFormatError: if one cannot be read.
    """

    def __init__(self, paths: Sequence[Path], short_side: int = 288):
        check_number(paths)
        self.pictures = [_read(path, short_side) for path in paths]

    def square(self, rng: np.random.Generator, side: int, smallest: int) -> Pixels:
        """Cuts a random square out of a random photograph.

        Args:
          rng: decides the photograph, its scale, the place and whether it is mirrored.
          side: of the square, in pixels.
          smallest: the shorter side that the photograph is scaled down to at the most.

        Returns:
          `[side, side, 3]` uint8.
        """
        from PIL import Image

        picture = self.pictures[rng.integers(len(self.pictures))]
        shorter = min(picture.shape[:2])
        least = max(side, min(smallest, shorter))
        scale = rng.uniform(least, max(least, shorter)) / shorter
        height, width = (max(side, round(length * scale)) for length in picture.shape[:2])
        if (height, width) != picture.shape[:2]:
            resized = Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC)
            picture = np.asarray(resized)
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        cut = picture[top : top + side, left : left + side]
        return np.ascontiguousarray(cut[:, ::-1] if rng.random() < 0.5 else cut)


def check_number(paths: Sequence[Path]) -> None:
    """Raises `UsageError` if there are too few photographs to train on."""
    if len(paths) < FEWEST:
        raise UsageError(
            f"training needs at least {FEWEST} photographs, and better some hundreds; "
            f"got {len(paths)}"
        )


def _read(path: Path, short_side: int) -> Pixels:
    from jaxstyle.image.io import load_image

    image = np.asarray(load_image(path))
    shorter = min(image.shape[:2])
    if shorter > short_side:
        longer = round(max(image.shape[:2]) * short_side / shorter)
        image = np.asarray(load_image(path, longer))
    pixels: Pixels = np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
    return pixels
