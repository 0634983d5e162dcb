"""Matches pieces: one exact search for nearest neighbours, which many methods are built on.

What is compared are rows: `describe` makes them of pictures or feature maps, `nearest` finds for
each the nearest of a set of keys, and `gather` and `vote` make pictures of what was found. Columns
that are scaled by the root of their weight make any weighted sum of squares one matrix product, so
guides and masks are further columns.
"""

from jaxstyle.losses.neighbours.patches import describe, gather, grid_shape, vote
from jaxstyle.losses.neighbours.search import (
    Matches,
    Metric,
    candidates,
    distance,
    nearest,
    nearest_of_both,
)
from jaxstyle.losses.neighbours.use import nearest_by_use

__all__ = [
    "Matches",
    "Metric",
    "candidates",
    "describe",
    "distance",
    "gather",
    "grid_shape",
    "nearest",
    "nearest_by_use",
    "nearest_of_both",
    "vote",
]
