"""Seams: where one piece ends and the next begins."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Seam(NamedTuple):
    """A path from the first row to the last.

    Attributes:
      path: `[H]` int32, the column that it crosses in each row; neighbours differ by at most one.
      cost: scalar, the sum of the errors on it.
    """

    path: Array
    cost: Array


def cut(errors: Array) -> Seam:
    r"""Finds the path of the least error through an overlap, from its first row to its last.

    .. math:: E_{ij} = e_{ij} + \min(E_{i-1,j-1}, E_{i-1,j}, E_{i-1,j+1})

    Of equal paths it is the one whose end, and then each step back, is furthest to the left.

    Args:
      errors: `[H, W]`, what it costs to cross each place.

    Returns:
      The path and its cost.

    Raises:
      ValueError: if `errors` is not of rank 2, or empty.

    Example:
      >>> seam = cut(jnp.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]))
      >>> seam.path.tolist(), float(seam.cost)
      ([1, 0, 1], 0.0)

    Reference: Efros and Freeman, "Image Quilting for Texture Synthesis and Transfer", SIGGRAPH
    2001, section 2.1.
    """
    if errors.ndim != 2 or 0 in errors.shape:
        raise ValueError(f"errors should have shape [H, W], got {list(errors.shape)}")
    seam: Seam = _cut(errors)
    return seam


@jax.jit
def _cut(errors: Array) -> Seam:
    def down(above: Array, row: Array) -> tuple[Array, Array]:
        sums = row + jnp.min(_three(above), axis=0)
        return sums, sums

    last, sums = jax.lax.scan(down, errors[0], errors[1:])
    end = jnp.argmin(last).astype(jnp.int32)

    def up(column: Array, above: Array) -> tuple[Array, Array]:
        step = jnp.argmin(_three(above)[:, column]).astype(jnp.int32)
        return column + step - 1, column

    # Row i of `sums` belongs to row i + 1: going up, the row above decides.
    above = jnp.concatenate([errors[:1], sums[:-1]]) if len(sums) else sums
    first, path = jax.lax.scan(up, end, above, reverse=True)
    return Seam(jnp.concatenate([first[None], path]), last[end])


def _three(row: Array) -> Array:
    """Returns the neighbours to the left, in the middle and to the right of each place."""
    far = jnp.pad(row, 1, constant_values=jnp.inf)
    return jnp.stack([far[:-2], row, far[2:]])
