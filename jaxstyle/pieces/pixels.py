"""Pictures copied pixel by pixel from a source, in raster order: what analogies are made with.

For each pixel there are candidates: those that go on from where its neighbours were copied, and
those whose surroundings look alike. The first keep strokes whole, the second follow the picture
that guides. Both are compared by all that is known around the pixel: the guides, the coarser level,
and the pixels that are there already.

All pixels' nearest neighbours by what is known beforehand are found by one exact search, row by
row, in the directions in which the source differs most.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from jaxstyle._common.arrays import to_device
from jaxstyle._common.kept import always, kept
from jaxstyle.losses.neighbours import describe, nearest
from jaxstyle.pieces.directions import directions, project
from jaxstyle.pieces.pyramids import gaussian, padded, windows
from jaxstyle.pieces.rows import over_rows

FINE, COARSE = 5, 3
"""The sides of windows, in pixels: at a level, and at the coarser one before it."""
_CAUSAL = FINE * FINE // 2  # pixels of a window that come before its middle
_HALF = FINE // 2
# Where those pixels lie, from the middle.
_OFFSETS = np.array([(i // FINE - _HALF, i % FINE - _HALF) for i in range(_CAUSAL)], np.int32)


class Copied(NamedTuple):
    """A picture copied from a source.

    Attributes:
      values: `[H, W, C]`.
      places: `[H, W, 2]` int32, the row and the column of the source that each pixel is from.
    """

    values: Array
    places: Array


class Level(NamedTuple):
    """What is known at one size; `Source` and `Target` at a coarser size come before.

    Attributes:
      guide: `[h, w, g]`, what both have.
      coarse: `[h', w', …]`, guide and values of the level before; None at the first.
    """

    guide: Array
    coarse: Array | None


class _Constants(NamedTuple):
    """What all rows share.

    Attributes:
      guide: of the target, padded.
      coarse: of the target, padded; None at the first level.
      known: `[m, d]`, of each place of the source what is known beforehand.
      before: `[m, 12 · C]`, of each place the pixels before it.
      values: `[m, C]` of the source.
      basis: `[d, e]`, the directions of the search.
      slack: how much farther a coherent place may be.
      key: draws.
    """

    guide: Array
    coarse: Array | None
    known: Array
    before: Array
    values: Array
    basis: Array
    slack: Array
    key: Array


def copy_pixels(
    source: Level,
    values: Array,
    target: Level,
    slack: Array,
    key: Array,
    *,
    candidates: int,
    most: int,
) -> Copied:
    """Copies the pixels of one level.

    Args:
      source: what is known of the source.
      values: `[h, w, C]`, what is copied.
      target: what is known of the picture to make.
      slack: how much farther a place may be that goes on from a neighbour's, relative to the
        distance of what looks alike; scalar.
      key: draws where nothing goes on.
      candidates: places that look alike, for each pixel; 0 for none.
      most: directions of the search.
    """
    constants = _prepare(source, values, target, slack, key, most=most)
    height, width = target.guide.shape[:2]
    wide, channels = width + 2 * _HALF, values.shape[2]
    blank = to_device(np.zeros((_HALF, wide, channels)))
    nothing = blank, to_device(np.zeros((_HALF, wide, 2)), jnp.int32)
    _, (rows, places) = over_rows(
        _copy_row, constants, nothing, height, shape=values.shape[:2], width=width,
        candidates=candidates,
    )  # fmt: skip
    return Copied(rows, places)


@functools.partial(kept, static_argnames="most", hurry=always)
def _prepare(
    source: Level, values: Array, target: Level, slack: Array, key: Array, *, most: int
) -> _Constants:
    known = [_weighed(windows(source.guide, FINE), FINE)]
    if source.coarse is not None:
        rows = _weighed(windows(source.coarse, COARSE), COARSE)
        above = _above(values.shape[0], values.shape[1], source.coarse)
        known.append(rows[above.ravel()])
    around = windows(values, FINE)[:, : _CAUSAL * values.shape[2]]
    rows = jnp.concatenate(known, axis=1)
    return _Constants(
        padded(target.guide, FINE),
        None if target.coarse is None else padded(target.coarse, COARSE),
        rows,
        around,
        values.reshape(-1, values.shape[2]),
        directions(rows, most),
        slack,
        key,
    )


def _above(height: int, width: int, coarse: Array) -> NDArray[np.intp]:
    """Returns the places `[height, width]` of the coarser level that pixels lie in."""
    found: NDArray[np.intp] = np.arange(height)[:, None] // 2 * coarse.shape[1]
    return found + np.arange(width) // 2


def _weighed(rows: Array, side: int) -> Array:
    """Returns windows whose pixels count like a bell."""
    bell = np.repeat(np.sqrt(gaussian(side)), rows.shape[1] // side**2)
    return rows * bell


@functools.partial(kept, static_argnames=("shape", "width", "candidates"))
def _copy_row(
    constants: _Constants,
    last: tuple[Array, Array],
    row: Array,
    *,
    shape: tuple[int, int],
    width: int,
    candidates: int,
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Copies a row; returns the last rows of values and places, and those of this row."""
    known = _known(constants, row, width)
    alike = _alike(constants, known, candidates)
    key = jax.random.fold_in(constants.key, row)
    drawn = jax.random.randint(key, (width, _CAUSAL), 0, shape[0] * shape[1])
    # One more row for what is copied now.
    values, places = (jnp.concatenate([part, jnp.zeros_like(part[:1])]) for part in last)
    copy = functools.partial(_copy_pixel, constants, row, shape=shape, width=width)
    (values, places), _ = jax.lax.scan(
        lambda strips, pixel: (copy(strips, pixel), None),
        (values, places),
        (jnp.arange(width), known, alike, drawn),
    )
    inside = slice(_HALF, _HALF + width)
    return (values[1:], places[1:]), (values[-1, inside], places[-1, inside])


def _known(constants: _Constants, row: Array, width: int) -> Array:
    """Returns what is known beforehand of each pixel of a row, `[width, d]`."""
    guide = jax.lax.dynamic_slice_in_dim(constants.guide, row, FINE)
    known = [_weighed(describe([guide], patch=FINE), FINE)]
    if constants.coarse is not None:
        coarse = jax.lax.dynamic_slice_in_dim(constants.coarse, row // 2, COARSE)
        rows = _weighed(describe([coarse], patch=COARSE), COARSE)
        known.append(rows[np.arange(width) // 2])
    return jnp.concatenate(known, axis=1)


def _alike(constants: _Constants, known: Array, count: int) -> Array:
    """Returns places that look alike, `[width, count]`: the nearest of every count-th place.

    The nearest of all is among them. To find the nearest few would take a sort.
    """
    if not count:
        return jnp.zeros((len(known), 0), jnp.int32)
    rows, keys = project(known, constants.basis), project(constants.known, constants.basis)
    found = [nearest(rows, keys[first::count]).index * count + first for first in range(count)]
    return jnp.stack(found, axis=1)


def _copy_pixel(
    constants: _Constants,
    row: Array,
    strips: tuple[Array, Array],
    pixel: tuple[Array, Array, Array, Array],
    *,
    shape: tuple[int, int],
    width: int,
) -> tuple[Array, Array]:
    """Copies one pixel into the last of the strips' rows."""
    (values, places), (column, known, alike, drawn) = strips, pixel
    channels = values.shape[2]

    def before(strip: Array) -> Array:
        around = jax.lax.dynamic_slice(strip, (0, column, 0), (_HALF + 1, FINE, strip.shape[2]))
        return around.reshape(-1, strip.shape[2])[:_CAUSAL]

    y, x = row + _OFFSETS[:, 0], column + _OFFSETS[:, 1]
    there = (y >= 0) & (x >= 0) & (x < width)
    going_on = before(places) - _OFFSETS
    inside = jnp.all((going_on >= 0) & (going_on < np.array(shape, np.int32)), axis=1)
    usable = there & inside
    coherent = jnp.where(usable, going_on[:, 0] * shape[1] + going_on[:, 1], drawn)
    chosen = jnp.concatenate([coherent, alike])
    weight = jnp.where(there, gaussian(FINE)[:_CAUSAL] / gaussian(FINE)[:_CAUSAL].sum(), 0.0)
    apart = (constants.before[chosen] - before(values).ravel()) ** 2
    distances = jnp.sum((constants.known[chosen] - known) ** 2, axis=1)
    distances += apart @ jnp.repeat(weight, channels)
    place = _choose(distances, chosen, usable, len(alike), constants.slack)
    at = _HALF, column + _HALF, 0
    found = jnp.stack([place // shape[1], place % shape[1]])
    return (
        jax.lax.dynamic_update_slice(values, constants.values[place][None, None], at),
        jax.lax.dynamic_update_slice(places, found[None, None], at),
    )


def _choose(distances: Array, chosen: Array, usable: Array, alike: int, slack: Array) -> Array:
    """Returns the place to copy: the best that goes on, unless what looks alike is much nearer."""
    if not alike:  # what was drawn stands in for what cannot go on
        return chosen[jnp.argmin(distances)]
    going_on = jnp.where(usable, distances[:_CAUSAL], jnp.inf)
    first, second = jnp.argmin(going_on), _CAUSAL + jnp.argmin(distances[_CAUSAL:])
    near = going_on[first] <= distances[second] * (1 + slack)
    return chosen[jnp.where(near, first, second)]
