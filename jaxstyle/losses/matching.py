"""Matches pieces of each layer for itself: NNST, Markov random fields, the contextual loss.

Each keeps pieces of the painting, in a number that does not depend on its size, and compares places
of the picture's map on a grid with the pieces that are nearest. See `jaxstyle.losses.pieces` for
what matches all layers at once.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle.losses.content import thin
from jaxstyle.losses.neighbours.patches import describe
from jaxstyle.losses.neighbours.search import distance, nearest, unit
from jaxstyle.losses.neighbours.use import nearest_by_use
from jaxstyle.losses.pieces import draw, find_places, sample
from jaxstyle.losses.statistic import Statistic

_NUM_PLACES = 1024
_PATCH = 3
_USED = 0.05  # what the use of a piece costs, relative to how often all are used
_WIDTH = 0.1  # h of the contextual loss


class Rows(NamedTuple):
    """Pieces of a painting at one layer.

    Attributes:
      values: `[m, d]`.
    """

    values: Array


def nearest_loss(features: Array, mass: Array | None, target: Rows) -> Array:
    r"""Computes the mean cosine distance of places and the nearest pieces, matched anew each time.

    .. math:: \sum_i m_i \Bigl( 1 - \cos(F_i, A_{j(i)}) \Bigr), \quad
        j(i) = \arg\max_j \cos(F_i - \bar F, A_j - \bar A) - 0.05 \, u_j / \bar u

    Here :math:`u_j` is how often a piece is the nearest without the last part, which keeps a few
    pieces from being everywhere.

    Args:
      features: `[h, w, c]`.
      mass: `[h, w]` that sums to one, or None.
      target: the painting's.

    Reference: Kolkin et al., "Neural neighbor style transfer", 2022, section 3; the part for use is
    that of Zhou et al., "Neural texture synthesis with guided correspondence", CVPR 2023, eq. 4.
    """
    rows, shares = _places(features, mass)
    middle = jnp.sum(shares[:, None] * rows, axis=0)
    keys = target.values
    query, reply = rows - middle, keys - jnp.mean(keys, axis=0)
    found = nearest_by_use(query, reply, penalty=_USED, shares=shares)
    return jnp.sum(shares * distance(rows, keys, found.index, "cosine"))


def patches_loss(features: Array, mass: Array | None, target: Rows) -> Array:
    r"""Computes the mean squared difference of patches and the nearest ones of the painting.

    .. math:: \sum_i m_i \frac{1}{9c} \| P_i - A_{j(i)} \|^2, \quad
        j(i) = \arg\max_j \cos(P_i, A_j)

    Args:
      features: `[h, w, c]`, at least 3×3.
      mass: `[h, w]` that sums to one, or None.
      target: the painting's, patches of 3×3.

    Reference: Li and Wand, CVPR 2016, eq. 2 and 3.
    """
    maps = _patches(features)
    rows, shares = _places(maps, None if mass is None else _mass_of_patches(mass))
    found = nearest(rows, target.values, "cosine")
    apart = distance(rows, target.values, found.index, "euclidean")
    return jnp.sum(shares * apart) / rows.shape[1]


def contextual_loss(features: Array, mass: Array | None, target: Rows) -> Array:
    r"""Computes the contextual loss: pieces of the painting should each be nearest to some place.

    .. math:: -\log \frac{1}{m} \sum_j \max_i \mathrm{softmax}_j
        \Bigl( \frac{1 - d_{ij} / (\min_k d_{ik} + 10^{-5})}{h} \Bigr)

    with :math:`d = (1 - \cos)/2` of features less the painting's mean, and :math:`h = 0.1`.

    Args:
      features: `[h, w, c]`.
      mass: `[h, w]` that sums to one, or None; places with less than half of the mean mass are left
        out.
      target: the painting's.

    Reference: Mechrez, Talmi and Zelnik-Manor, ECCV 2018, eq. 2 to 6.
    """
    rows, shares = _places(features, mass)
    middle = jnp.mean(target.values, axis=0)
    alike = jnp.matmul(unit(rows - middle), unit(target.values - middle).T, precision="highest")
    apart = (1 - alike) / 2
    relative = apart / (jnp.min(apart, axis=1, keepdims=True) + 1e-5)
    likeness = jax.nn.softmax((1 - relative) / _WIDTH, axis=1)
    counts = shares * rows.shape[0] >= 0.5
    best = jnp.max(jnp.where(counts[:, None], likeness, 0.0), axis=0)
    return -jnp.log(jnp.mean(best) + 1e-12)


def _measure(features: Array, mass: Array | None, key: Array, count: int) -> Rows:
    return Rows(sample(features, find_places(draw(key, count), mass)))


def _measure_nearest(features: Array, mass: Array | None, key: Array) -> Rows:
    return _measure(features, mass, key, 4096)


def _measure_contextual(features: Array, mass: Array | None, key: Array) -> Rows:
    return _measure(features, mass, key, 1024)


def _measure_patches(features: Array, mass: Array | None, key: Array) -> Rows:
    inside = None if mass is None else _mass_of_patches(mass)
    return Rows(take_patches(features, find_places(draw(key, 2048), inside)))


def take_patches(features: Array, places: Array) -> Array:
    """Returns the patches of 3×3 around some places, as far as they are whole.

    Args:
      features: `[h, w, c]`, at least 3×3.
      places: `[n, 2]`, fractions of height and width.

    Returns:
      `[n, 9 · c]`, as `jaxstyle.losses.neighbours.describe` orders them.

    Example:
      >>> take_patches(jnp.ones((4, 5, 2)), jnp.array([[0.0, 0.9]])).shape
      (1, 18)
    """
    maps = _patches(features)
    height, width = maps.shape[:2]
    row, column = ((places[:, i] * n).astype(jnp.int32) for i, n in enumerate((height, width)))
    return maps[jnp.minimum(row, height - 1), jnp.minimum(column, width - 1)]


def _patches(features: Array) -> Array:
    height, width = features.shape[0] - _PATCH + 1, features.shape[1] - _PATCH + 1
    return describe([features], patch=_PATCH).reshape(height, width, -1)


def _mass_of_patches(mass: Array) -> Array:
    """Returns how much patches count, `[h, w]` to `[h - 2, w - 2]`, with a sum of one.

    A patch counts as its least position does, so that none sees what lies outside. Where a region
    is too thin for whole patches, it counts as its middle does.
    """
    least = mass
    for axis in (0, 1):
        ends = least.shape[axis] - _PATCH + 1
        slices = (jax.lax.slice_in_dim(least, i, i + ends, axis=axis) for i in range(_PATCH))
        least = functools.reduce(jnp.minimum, slices)
    middle = mass[1:-1, 1:-1]
    chosen = jnp.where(jnp.any(least > 0), least, middle)
    return chosen / jnp.maximum(jnp.sum(chosen), 1e-12)


def _places(maps: Array, mass: Array | None) -> tuple[Array, Array]:
    """Returns what is at the places of a grid `[n, d]`, and their shares `[n]` of all of it."""
    rows = thin(maps.astype(jnp.float32), _NUM_PLACES).reshape(-1, maps.shape[2])
    if mass is None:
        return rows, jnp.full(rows.shape[0], 1 / rows.shape[0])
    shares = thin(mass[..., None], _NUM_PLACES).reshape(-1)
    return rows, shares / jnp.maximum(jnp.sum(shares), 1e-12)


def _one(target: Rows) -> Array:
    size: Array = jnp.float32(1.0)
    return size


def _squares(target: Rows) -> Array:
    return jnp.mean(jnp.square(target.values))


def _logarithm(target: Rows) -> Array:
    # All pieces are equally far from features that vanish.
    size: Array = jnp.float32(math.log(target.values.shape[0]))
    return size


NEAREST = Statistic(_measure_nearest, nearest_loss, _one, 100.0, keeps_pieces=True)
PATCHES = Statistic(_measure_patches, patches_loss, _squares, 20.0, keeps_pieces=True)
CONTEXTUAL = Statistic(_measure_contextual, contextual_loss, _logarithm, 10.0, keeps_pieces=True)
