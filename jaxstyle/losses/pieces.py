"""Pieces: what is at some places of a picture, in all layers at once.

Statistics forget where things are, and with them which features of different layers belong
together. A piece is the hypercolumn of one place: the features of all layers there. Here a picture
and a painting are compared by matching pieces, each of one with the nearest of the other. The
painting's pieces are kept in the targets, in a number that does not depend on its size, so one
program serves all paintings.

Places are drawn once, with the key of the targets, and stay. The objective is thus a fixed function
of the image, as L-BFGS needs it.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle.losses.neighbours.search import Metric, distance, nearest_of_both

NUM_PLACES = 1024
"""Number of places of the picture whose pieces are matched."""
NUM_PIECES = 4096
"""Number of pieces of a painting that are kept."""
_BESIDE = 0.3
# Steps of Roberts' sequence, whose points in the unit square never crowd.
_STEPS = (0.7548776662466927, 0.5698402909980532)


class Pieces(NamedTuple):
    """What is kept of a painting at one layer.

    Attributes:
      values: `[NUM_PIECES, c]`, features at places that are the same for all layers.
      colors: `[NUM_PIECES, 3]`, the painting's colours there.
      draws: `[NUM_PLACES, 2]` in [0, 1), which places of the picture are compared.
    """

    values: Array
    colors: Array
    draws: Array


def collect(features: Array, image: Array, mass: Array | None, key: Array) -> Pieces:
    """Returns the pieces of a painting at one layer.

    Args:
      features: `[h, w, c]`.
      image: `[H, W, 3]`, the painting.
      mass: `[h, w]` that sums to one, or None.
      key: a `jax.random.key`; pieces of several layers belong together under the same one.

    Example:
      >>> pieces = collect(jnp.ones((4, 5, 8)), jnp.ones((8, 10, 3)), None, jax.random.key(0))
      >>> [leaf.shape for leaf in pieces]
      [(4096, 8), (4096, 3), (1024, 2)]
    """
    of_painting, of_picture = jax.random.split(key)
    places = find_places(draw(of_painting, NUM_PIECES), mass)
    return Pieces(sample(features, places), sample(image, places), draw(of_picture, NUM_PLACES))


def find_places(draws: Array, mass: Array | None) -> Array:
    """Returns places that are drawn by a mass: as many anywhere as there is mass.

    Args:
      draws: `[n, 2]` in [0, 1), even in the unit square.
      mass: `[h, w]` that sums to one; None for everywhere alike.

    Returns:
      `[n, 2]`, down and across, as fractions of the picture's height and width.

    Example:
      >>> right = jnp.array([[0.0, 1.0]])
      >>> find_places(jnp.array([[0.5, 0.5]]), right).tolist()
      [[0.5, 0.75]]
    """
    if mass is None:
        return draws
    down, row = _invert(jnp.sum(mass, axis=1)[None], draws[:, :1])
    across, _ = _invert(mass[row[:, 0]], draws[:, 1:])
    return jnp.concatenate([down, across], axis=1)


def sample(
    features: Array, places: Array, first: Array | int = 0, rows: int | None = None
) -> Array:
    """Returns the features of some places, between those of the four positions around each.

    Args:
      features: `[h, w, c]`, or some rows of a larger map.
      places: `[n, 2]`, fractions of height and width.
      first: the place of the first of these rows in the map.
      rows: how many rows the whole map has; these by default. What lies in other rows counts as
        zero here, so what rows apart give adds up.

    Returns:
      `[n, c]` float32.

    Example:
      >>> features = jnp.arange(4.0).reshape(2, 2, 1)
      >>> sample(features, jnp.array([[0.25, 0.25], [0.5, 0.5]])).tolist()
      [[0.0], [1.5]]
    """
    height, width = features.shape[:2]
    total = height if rows is None else rows
    y, x = (
        jnp.clip(places[:, axis] * size - 0.5, 0, size - 1)
        for axis, size in enumerate((total, width))
    )
    top, left = (
        jnp.clip(jnp.floor(at).astype(jnp.int32), 0, max(size - 2, 0))
        for at, size in ((y, total), (x, width))
    )
    found = jnp.zeros((places.shape[0], features.shape[2]))
    for down in (0, 1):
        for across in (0, 1):
            weight = _share(y, top, down) * _share(x, left, across)
            row = top + down - first
            weight = jnp.where((row >= 0) & (row < height), weight, 0.0)
            column = jnp.minimum(left + across, width - 1)
            taken = features[jnp.clip(row, 0, height - 1), column].astype(jnp.float32)
            found = found + weight[:, None] * taken
    return found


def relaxed_distance(rows: Array, keys: Array, metric: Metric = "cosine") -> Array:
    r"""Computes the relaxed earth mover's distance of two sets of pieces.

    .. math:: \max\Bigl( \tfrac{1}{n} \sum_i \min_j d(x_i, k_j),
        \tfrac{1}{m} \sum_j \min_i d(x_i, k_j) \Bigr)

    The first part lets nothing be that the painting lacks, the second lets nothing of the painting
    be lost. Of Euclidean distances the root of the mean square of the columns is taken.

    Args:
      rows: `[n, d]`, pieces of the picture.
      keys: `[m, d]`, pieces of the painting.
      metric: "cosine" or "euclidean".

    Returns:
      A scalar; zero where each set is in the other.

    Example:
      >>> rows = jnp.eye(3)
      >>> float(relaxed_distance(rows, rows[::-1]))
      0.0

    Reference: Kolkin, Salavon and Shakhnarovich, CVPR 2019, eq. 4 to 6.
    """
    of_rows, of_keys = nearest_of_both(rows, keys, metric)
    there = distance(rows, keys, of_rows.index, metric)
    back = distance(keys, rows, of_keys.index, metric)
    if metric == "euclidean":
        there, back = (_root(each / rows.shape[1]) for each in (there, back))
    return jnp.maximum(jnp.mean(there), jnp.mean(back))


def match_columns(rows: Mapping[str, Array], colors: Array, targets: Mapping[str, Pieces]) -> Array:
    """Computes the relaxed earth mover's distance of hypercolumns, as it counts beside a statistic.

    It is multiplied by 0.3. With it, a weight of one gives a picture whose pieces are matched
    better, and whose statistics hardly suffer.

    Args:
      rows: `{layer: [NUM_PLACES, c]}`, the picture's features at its places.
      colors: `[NUM_PLACES, 3]`, its colours there.
      targets: `{layer: Pieces}`, the painting's.

    Returns:
      A scalar.
    """
    return _BESIDE * _distance_of_columns(rows, targets)


def match_columns_and_palette(
    rows: Mapping[str, Array], colors: Array, targets: Mapping[str, Pieces]
) -> Array:
    r"""Computes the relaxed earth mover's distances of hypercolumns and of colours; see above.

    The paper rotates colours first, which changes no distance. It weighs the palette by one over
    the content's weight, here by its first value of 16.
    """
    palette = next(iter(targets.values())).colors
    of_colors = relaxed_distance(colors, palette) + relaxed_distance(colors, palette, "euclidean")
    return _distance_of_columns(rows, targets) + of_colors / 16


def _distance_of_columns(rows: Mapping[str, Array], targets: Mapping[str, Pieces]) -> Array:
    keys = jnp.concatenate([targets[layer].values for layer in rows], axis=1)
    return relaxed_distance(jnp.concatenate(list(rows.values()), axis=1), keys)


def _root(squares: Array) -> Array:
    # The root has an infinite slope at zero, where a match is perfect.
    return jnp.sqrt(squares + 1e-8) - 1e-4


def draw(key: Array, count: int) -> Array:
    """Returns points that are even in the unit square, `[count, 2]`, from anywhere in it."""
    shift = jax.random.uniform(key, (1, 2))
    return (shift + jnp.arange(count)[:, None] * jnp.asarray(_STEPS)[None]) % 1.0


def _share(at: Array, first: Array, second: int) -> Array:
    across = at - first.astype(jnp.float32)
    return across if second else 1 - across


def _invert(mass: Array, draws: Array) -> tuple[Array, Array]:
    """Returns where the mass up to a place is a fraction of all, and the cell of that place.

    Args:
      mass: `[1, n]` or `[m, n]`.
      draws: `[m, 1]` in [0, 1).

    Returns:
      The places `[m, 1]`, as fractions, and their cells `[m, 1]`.
    """
    count = mass.shape[1]
    sums = jnp.cumsum(mass, axis=1)
    wanted = draws * sums[:, -1:]
    cell = jnp.sum(sums <= wanted, axis=1, keepdims=True)
    cell = jnp.minimum(cell, count - 1)
    wide = jnp.broadcast_to(mass, (draws.shape[0], count))
    own = jnp.take_along_axis(wide, cell, axis=1)
    before = jnp.take_along_axis(jnp.broadcast_to(sums, wide.shape), cell, axis=1) - own
    inside = jnp.clip((wanted - before) / jnp.maximum(own, 1e-30), 0.0, 1.0)
    return (cell.astype(jnp.float32) + inside) / count, cell
