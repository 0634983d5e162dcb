"""Makes rows of pictures and feature maps, and pictures of what was matched."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common.arrays import to_device
from jaxstyle._common.checks import check_count


def describe(
    maps: Sequence[Array],
    weights: Sequence[float] | None = None,
    *,
    patch: int = 1,
    stride: int = 1,
) -> Array:
    """Makes rows of maps: a row for each place, or for each patch.

    Pixels, a layer, a hypercolumn (several layers in one size), guides and masks all are maps. A
    map's columns are scaled by the root of its weight, so squared distances of rows are the
    weighted sum of those of the maps.

    Args:
      maps: each `[h, w, c]`, all of one height and width.
      weights: one for each map; 1 by default.
      patch: the side of a patch; 1 for single places.
      stride: places from one patch to the next, down and across.

    Returns:
      `[n, patch · patch · c]` in raster order, with c the channels of all maps and n the product of
      `grid_shape`. Within a row, places come in raster order and channels last.

    Raises:
      ValueError: if the maps differ in size, or are smaller than a patch.

    Example:
      >>> picture, mask = jnp.zeros((4, 6, 3)), jnp.ones((4, 6, 1))
      >>> describe([picture, mask], weights=[1.0, 10.0], patch=3).shape
      (8, 36)
    """
    shapes = [list(jnp.shape(each)) for each in maps]
    if not maps or any(len(s) != 3 or s[:2] != shapes[0][:2] for s in shapes):
        raise ValueError(f"maps should be [h, w, c] of one height and width, got {shapes}")
    if weights is not None and len(weights) != len(maps):
        raise ValueError(f"weights should be {len(maps)}, one a map, got {len(weights)}")
    parts = [each.astype(jnp.float32) for each in maps]
    if weights is not None:
        parts = [jnp.sqrt(to_device(w)) * part for w, part in zip(weights, parts, strict=True)]
    columns = jnp.concatenate(parts, axis=-1)
    rows, across = grid_shape(columns.shape[:2], patch, stride)
    taken = [
        columns[
            y : y + (rows - 1) * stride + 1 : stride, x : x + (across - 1) * stride + 1 : stride
        ]
        for y in range(patch)
        for x in range(patch)
    ]
    return jnp.concatenate(taken, axis=-1).reshape(rows * across, -1)


def grid_shape(shape: Sequence[int], patch: int, stride: int = 1) -> tuple[int, int]:
    """Returns how many patches a map has, down and across.

    Args:
      shape: height and width of the map.
      patch: the side of a patch.
      stride: places from one patch to the next.

    Raises:
      ValueError: if the map is smaller than a patch.

    Example:
      >>> grid_shape((8, 10), patch=3, stride=2)
      (3, 4)
    """
    check_count(patch, "patch")
    check_count(stride, "stride")
    height, width = shape
    if min(height, width) < patch:
        raise ValueError(f"a map of {height}×{width} has no patches of {patch}×{patch}")
    return (height - patch) // stride + 1, (width - patch) // stride + 1


def gather(values: Array, index: Array) -> Array:
    """Returns the values of chosen keys, as the rows that they were matched with.

    Args:
      values: `[m, ...]`, one for each key.
      index: `[n]`, as `nearest` finds it.

    Returns:
      `[n, ...]`.

    Example:
      >>> gather(jnp.array([[1.0], [2.0]]), jnp.array([1, 1, 0])).tolist()
      [[2.0], [2.0], [1.0]]
    """
    # What `nearest` finds is never out of range, and a check would cost a pass over the values.
    return values.at[index].get(mode="promise_in_bounds")


def vote(
    patches: Array,
    shape: Sequence[int],
    *,
    patch: int,
    stride: int = 1,
    weights: Array | None = None,
) -> Array:
    r"""Makes a map of patches that overlap: each place is the mean of all that cover it.

    .. math:: V_p = \sum_{i \ni p} w_i P_i(p) \Big/ \sum_{i \ni p} w_i

    Args:
      patches: `[n, patch · patch · c]`, in the order of `describe`.
      shape: height and width of the map.
      patch: the side of a patch.
      stride: places from one patch to the next.
      weights: `[n]`, or `[n, patch · patch]`, how much each patch, or each place of it, counts; 1
        by default.

    Returns:
      `[h, w, c]`; zero where no patch reaches, as at the end of an axis that the stride does not
      divide.

    Raises:
      ValueError: if the patches do not fit the shape.

    Example:
      >>> picture = jnp.arange(48.0).reshape(4, 4, 3)
      >>> rows = describe([picture], patch=2)
      >>> bool(jnp.allclose(vote(rows, (4, 4), patch=2), picture))
      True
    """
    grid = grid_shape(shape, patch, stride)
    count = grid[0] * grid[1]
    if patches.ndim != 2 or patches.shape[0] != count or patches.shape[1] % patch**2:
        raise ValueError(
            f"patches should be [{count}, {patch**2} · c] for a map of {shape[0]}×{shape[1]}, "
            f"got {list(patches.shape)}"
        )
    cells = patches.reshape(*grid, patch**2, -1)
    shares = jnp.ones((count, 1)) if weights is None else weights.reshape(count, -1)
    shares = jnp.broadcast_to(shares, (count, patch**2)).reshape(*grid, patch**2, 1)
    total = _overlap(cells * shares, shape, patch, stride)
    covered = _overlap(shares, shape, patch, stride)
    return jnp.where(covered > 0, total / jnp.where(covered > 0, covered, 1), 0)


def _overlap(cells: Array, shape: Sequence[int], patch: int, stride: int) -> Array:
    """Adds up cells `[gh, gw, patch², c]` where they lie on a map."""
    (height, width), (rows, across) = shape, cells.shape[:2]
    total = jnp.zeros((height, width, cells.shape[-1]))
    for y in range(patch):
        for x in range(patch):
            spread = [
                (y, height - y - (rows - 1) * stride - 1, stride - 1),
                (x, width - x - (across - 1) * stride - 1, stride - 1),
                (0, 0, 0),
            ]
            total = total + jax.lax.pad(cells[:, :, y * patch + x], jnp.float32(0.0), spread)
    return total
