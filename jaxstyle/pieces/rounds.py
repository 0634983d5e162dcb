"""Rounds of patch voting at one size, and the way from one size to the next."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxstyle._common.arrays import to_device
from jaxstyle._common.kept import always, kept
from jaxstyle.losses.neighbours import describe, gather, grid_shape, nearest, vote
from jaxstyle.pieces.correlation import box_sums
from jaxstyle.pieces.directions import directions, project
from jaxstyle.pieces.pyramids import gaussian
from jaxstyle.pieces.rows import over_rows

_STRIDE = 2  # pixels from one patch of the picture to the next; those of the painting are all there
_DIRECTIONS = 24
_ROWS = 8  # of patches that are searched for at once


class _Search(NamedTuple):
    """What all patches of a size share.

    Attributes:
      keys: `[m, e]`, the painting's patches along `basis`.
      basis: `[d, e]`, the directions of the search.
      bias: `[m]`, how dear each patch is by its uses.
      picture: `[h, w, c]`, the picture so far and what guides it.
    """

    keys: Array
    basis: Array
    bias: Array
    picture: Array


class Voted(NamedTuple):
    """A picture after a round.

    Attributes:
      image: `[H, W, 3]`.
      places: `[rows, columns, 2]` int32, the place of each patch in the painting.
      offset: `[2]` int32, where the first patch lies.
      uses: `[h, w]`, how often each patch of the painting, or one close to it, was used, relative
        to even use.
    """

    image: Array
    places: Array
    offset: Array
    uses: Array


def vote_once(
    values: Array,
    compared: Array,
    image: Array,
    source: Array,
    target: Array,
    uses: Array,
    evenness: Array,
    sharp: Array,
    number: int,
    *,
    patch: int,
    instead: Array | None = None,
) -> Voted:
    """Replaces every patch by the nearest one, and lets them vote.

    Every second pixel begins a patch. If no patch then ends with the last row or column, these stay
    as they are; in every second round it is the first ones that do.

    Args:
      values: `[h, w, 3]`, what is copied.
      compared: what of it is compared with the picture so far.
      image: the picture so far.
      source: the guides of what is copied.
      target: those of the picture.
      uses: of the round before.
      evenness: how much they count.
      sharp: how much more the middle of a patch counts than its edge; 1 for a bell.
      number: of the round, from 0.
      patch: the side of a patch.
      instead: what the patches are voted into; the picture so far by default.
    """
    rows, columns = grid_shape(target.shape[:2], patch, _STRIDE)
    turns = (number, (number + 1) // 2)  # of rows and of columns: all four corners have theirs
    left = [(s - patch) % _STRIDE * (i % 2) for s, i in zip(target.shape, turns, strict=False)]
    offset = to_device(np.array(left), jnp.int32)
    search = _begin(compared, image, source, target, uses, evenness, offset, patch=patch)
    _, index = over_rows(
        _search_rows, search, to_device(0.0), -(-rows // _ROWS), patch=patch, columns=columns
    )
    canvas = image if instead is None else instead
    voted: Voted = _finish(values, canvas, index, offset, sharp, patch=patch)
    return voted


@functools.partial(kept, static_argnames="patch", hurry=always)
def _begin(
    compared: Array,
    image: Array,
    source: Array,
    target: Array,
    uses: Array,
    evenness: Array,
    offset: Array,
    *,
    patch: int,
) -> _Search:
    keys = describe([compared, source], patch=patch)
    basis = directions(keys, _DIRECTIONS)
    unlike = 2 * jnp.sum(jnp.var(keys, axis=0))
    picture = jnp.concatenate([image, target], -1)
    grid = grid_shape(picture.shape[:2], patch, _STRIDE)
    corner, covered = (offset[0], offset[1], 0), _covered(grid, patch)
    picture = jax.lax.dynamic_slice(picture, corner, (*covered, picture.shape[2]))
    # Whole bands of rows, of which the last are not looked at.
    picture = jnp.pad(picture, ((0, -grid[0] % _ROWS * _STRIDE), (0, 0), (0, 0)))
    return _Search(project(keys, basis), basis, evenness * unlike * uses.ravel(), picture)


@functools.partial(kept, static_argnames=("patch", "columns"))
def _search_rows(
    search: _Search, carry: Array, band: Array, *, patch: int, columns: int
) -> tuple[Array, Array]:
    """Returns the places of some rows of patches among the keys, `[_ROWS, columns]`."""
    height = (_ROWS - 1) * _STRIDE + patch
    part = jax.lax.dynamic_slice_in_dim(search.picture, band * (_ROWS * _STRIDE), height)
    rows = describe([part], patch=patch, stride=_STRIDE)
    found = nearest(project(rows, search.basis), search.keys, bias=search.bias)
    return carry, found.index.reshape(_ROWS, -1)[:, :columns]


def _covered(grid: tuple[int, int], patch: int) -> tuple[int, int]:
    """Returns height and width of what a grid of patches covers."""
    return (grid[0] - 1) * _STRIDE + patch, (grid[1] - 1) * _STRIDE + patch


@functools.partial(kept, static_argnames="patch", hurry=always)
def _finish(
    values: Array, image: Array, index: Array, offset: Array, sharp: Array, *, patch: int
) -> Voted:
    shape = grid_shape(image.shape[:2], patch, _STRIDE)
    index = index.reshape(-1, shape[1])[: shape[0]]
    patches = gather(describe([values], patch=patch), index.ravel())
    # What lies in the middle of a patch fits best, and a plain mean would blur.
    bell = jnp.broadcast_to(
        (gaussian(patch) / gaussian(patch).max()) ** sharp, (index.size, patch**2)
    )
    voted = vote(patches, _covered(shape, patch), patch=patch, stride=_STRIDE, weights=bell)
    image = jax.lax.dynamic_update_slice(image, voted, (offset[0], offset[1], 0))
    grid = grid_shape(values.shape[:2], patch)
    places = jnp.stack([index // grid[1], index % grid[1]], axis=-1)
    counts = jnp.zeros(grid).at[places[..., 0], places[..., 1]].add(1.0)
    near = box_sums(jnp.pad(counts, patch // 2), patch, patch) / patch**2
    return Voted(image, places, offset, near * (grid[0] * grid[1] / index.size))


@functools.partial(kept, static_argnames=("shape", "patch"), hurry=always)
def enlarge(
    voted: Voted, values: Array, *, shape: tuple[int, int], patch: int
) -> tuple[Array, Array]:
    """Returns picture and uses twice as large: the pixels that the patches have there.

    Args:
      voted: at the coarser level.
      values: at the finer level, what is copied.
      shape: height and width there.
      patch: the side of a patch.
    """
    at = []
    for axis in (0, 1):
        fine = jnp.arange(shape[axis])
        coarse = fine // 2 - voted.offset[axis]
        middle = (coarse - patch // 2 + _STRIDE // 2) // _STRIDE
        nearby = jnp.clip(middle, 0, voted.places.shape[axis] - 1)
        at.append((nearby, coarse - nearby * _STRIDE, fine % 2))
    (rows, down, odd_rows), (columns, across, odd_columns) = at
    places = voted.places[rows[:, None], columns]
    y = 2 * (places[..., 0] + down[:, None]) + odd_rows[:, None]
    x = 2 * (places[..., 1] + across) + odd_columns
    image = values[jnp.clip(y, 0, values.shape[0] - 1), jnp.clip(x, 0, values.shape[1] - 1)]
    return image, jax.image.resize(voted.uses, grid_shape(values.shape[:2], patch), "linear")
