"""Finds the frame of a scan: even strips around a painting, which are no part of its style."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# In an even strip the values spread by no more than this, and all rows have one colour.
_EVEN = 4 / 255
_SAME = 6 / 255
# The painting begins abruptly: most pixels beside the strip have another colour.
_OTHER = 16 / 255
_MOST = 0.7
_BESIDE = 4  # rows in which it begins
_LEAST = 2  # rows of a strip; a single one may be a line of the painting
_WIDEST = 0.25  # of a side, the most that is cut at each end
_ROUNDS = 3  # strips around strips


class Frame(NamedTuple):
    """How many pixels wide the frame is at each edge.

    Attributes:
      top: rows.
      right: columns.
      bottom: rows.
      left: columns.
    """

    top: int
    right: int
    bottom: int
    left: int


def find_frame(image: NDArray[np.float32]) -> Frame:
    """Returns the frame of even strips around a picture, zero at edges that have none.

    It is careful: a strip has to be even to a few steps of an 8-bit file, to end abruptly, and to
    be less than a quarter of the picture. A painting's own dark edge is neither even nor abrupt.

    Args:
      image: `[H, W, C]` in [0, 1].

    Example:
      >>> picture = np.ones((40, 60, 3), np.float32)
      >>> picture[4:-4, 6:-6] = np.random.default_rng(0).random((32, 48, 3))
      >>> find_frame(picture)
      Frame(top=4, right=6, bottom=4, left=6)
    """
    height, width = image.shape[:2]
    most = int(_WIDEST * height), int(_WIDEST * width)
    top = bottom = left = right = 0
    for _ in range(_ROUNDS):
        before = top, right, bottom, left
        rows = image[top : height - bottom, left : width - right]
        top += _strip(rows, most[0] - top)
        bottom += _strip(rows[::-1], most[0] - bottom)
        columns = image[top : height - bottom, left : width - right].swapaxes(0, 1)
        left += _strip(columns, most[1] - left)
        right += _strip(columns[::-1], most[1] - right)
        if (top, right, bottom, left) == before:
            break
    return Frame(top, right, bottom, left)


def _strip(rows: NDArray[np.float32], most: int) -> int:
    """Returns how many of the first rows are an even strip that ends abruptly; 0 for none."""
    color = np.median(rows[0], axis=0)
    count = 0
    while count < min(most + 1, len(rows)):
        row = rows[count]
        even = row.std(axis=0).max() <= _EVEN
        if not even or np.abs(row.mean(axis=0) - color).max() > _SAME:
            break
        count += 1
    if not _LEAST <= count <= most:
        return 0
    # A row between the strip and the painting may be a blend of both.
    beside = rows[count : count + _BESIDE]
    other = np.abs(beside - color).max(axis=2) > _OTHER
    return count if other.any(axis=0).mean() >= _MOST else 0
