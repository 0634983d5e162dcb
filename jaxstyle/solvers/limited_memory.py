"""The memory of L-BFGS in compact form: a direction takes two products with all pairs at once.

The textbook's recursion goes through the pairs one by one, newest to oldest and back, and each of
its steps waits for the one before. Here the pairs are the rows of two tall matrices S and Y. All
that lies between the products with S and Y is as small as the number of pairs.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


class Memory(NamedTuple):
    r"""The last m pairs (s, y) of steps and changes of the gradient, and products of them.

    The pairs lie in a ring: the newest is in place of the oldest. A pair without curvature is zero,
    as are those that are not there yet, and its entries in all that follows are zero too.

    Attributes:
      s: `[m, H, W, 3]`, the steps.
      y: `[m, H, W, 3]`, the changes of the gradient.
      inverse: `[m, m]`, the inverse of R, where :math:`R_{ij} = s_i \cdot y_j` if pair i is not
        newer than pair j, and 0 otherwise.
      sy: `[m]`, :math:`s_i \cdot y_i`.
      yy: `[m, m]`, :math:`y_i \cdot y_j`.
      sg: `[m]`, products of the steps with the gradient at the image.
      yg: `[m]`, products of the changes with the gradient at the image.
      gamma: scalar, the scale of the inverse Hessian where the pairs say nothing.
      seen: scalar, how many pairs there have been.
    """

    s: Array
    y: Array
    inverse: Array
    sy: Array
    yy: Array
    sg: Array
    yg: Array
    gamma: Array
    seen: Array


def empty(image: Array, history: int) -> Memory:
    """Returns a memory of no pairs, with gamma one.

    Args:
      image: `[H, W, 3]`, for shape and type.
      history: number of pairs m.
    """
    pairs = jnp.zeros((history, *image.shape), image.dtype)
    numbers, square = (jnp.zeros((history,) * n, image.dtype) for n in (1, 2))
    return Memory(
        s=pairs, y=pairs, inverse=square, sy=numbers, yy=square, sg=numbers, yg=numbers,
        gamma=jnp.ones((), image.dtype), seen=jnp.asarray(0),
    )  # fmt: skip


def inverse_hessian_product(memory: Memory, gradient: Array) -> Array:
    r"""Returns the product of the approximate inverse Hessian with the gradient at the image.

    With D the diagonal of R,

    .. math::
        H g = \gamma g - \gamma Y^T \alpha + S^T c, \quad \alpha = R^{-1} S g, \quad
        c = R^{-T} (D \alpha - \gamma (Y g - Y Y^T \alpha)).

    Args:
      memory: the pairs, with their products with this gradient.
      gradient: `[H, W, 3]`.

    Returns:
      `[H, W, 3]`.

    Reference: Byrd, Nocedal and Schnabel, "Representations of quasi-Newton matrices and their use
    in limited memory methods", Mathematical Programming 63, 1994, theorem 2.2.
    """
    alpha = _dot(memory.inverse, memory.sg)
    beta = memory.gamma * (memory.yg - _dot(memory.yy, alpha))
    c = _dot(memory.inverse.T, memory.sy * alpha - beta)
    plain = memory.gamma * gradient
    return plain - _dot(memory.gamma * alpha, memory.y) + _dot(c, memory.s)


def remember(
    memory: Memory, s: Array, y: Array, gradient: Array, *, taken_back: Array, forgotten: Array
) -> Memory:
    """Puts a new pair in place of the oldest one.

    A pair without curvature leaves its place empty, and gamma as it was. The pairs are written
    once, and what is written depends on all that is read of them before. So the compiler writes in
    place where it may, and copies no pairs.

    Args:
      memory: as it was before the step.
      s: `[H, W, 3]`, the step.
      y: `[H, W, 3]`, how it changed the gradient.
      gradient: `[H, W, 3]`, the gradient after the step.
      taken_back: scalar, whether the image and its gradient stay as they were before the step.
      forgotten: scalar, whether the memory stays as it was; only for a step that is taken back.

    Returns:
      The memory with the products with the gradient at the image that is kept.
    """
    slot = memory.seen % len(memory.sy)
    known = jnp.stack([_dot(pairs, gradient) for pairs in (memory.s, memory.y)])
    curved = has_curvature(s, y) & jnp.all(jnp.isfinite(known))
    # Of other pairs nothing is kept, and their derivatives should be finite all the same.
    sy, yy = (jnp.where(curved, _dot(a, y), 1.0) for a in (s, y))

    def written(history: Array, new: Array) -> Array:
        pair = jnp.where(curved, new, 0)
        return history.at[slot].set(jnp.where(forgotten, history[slot], pair))

    def once_curved(numbers: Array, own: Array) -> Array:
        """With the new pair's own number in its slot; zero if it has no curvature."""
        return jnp.where(curved, numbers.at[slot].set(own), 0)

    own = memory.sy.at[slot].set(jnp.where(curved, sy, 0))
    # The gradient may be no number, and of an empty pair nothing is known.
    sg, yg = (
        jnp.where(own != 0, products.at[slot].set(_dot(new, gradient)), 0)
        for products, new in zip(known, (s, y), strict=True)
    )
    # y is a difference of gradients, so its products with the other pairs are differences too.
    column = once_curved(sg - memory.sg, jnp.zeros_like(sy))
    across = once_curved(yg - memory.yg, yy)
    before = memory.inverse.at[slot].set(0).at[:, slot].set(0)
    newest = memory._replace(
        inverse=before.at[:, slot].set(once_curved(-_dot(before, column) / sy, 1 / sy)),
        sy=own,
        yy=memory.yy.at[slot].set(across).at[:, slot].set(across),
        sg=jnp.where(taken_back, memory.sg.at[slot].set(sg[slot] - own[slot]), sg),
        yg=jnp.where(taken_back, memory.yg.at[slot].set(yg[slot] - across[slot]), yg),
        gamma=jnp.where(curved, sy / yy, memory.gamma),
        seen=memory.seen + 1,
    )
    small = ("inverse", "sy", "yy", "sg", "yg", "gamma", "seen")
    kept = {
        name: jnp.where(forgotten, getattr(memory, name), getattr(newest, name)) for name in small
    }
    return Memory(s=written(memory.s, s), y=written(memory.y, y), **kept)


def has_curvature(s: Array, y: Array) -> Array:
    """Tells whether s·y > 0 beyond rounding."""
    norms = jnp.linalg.norm(s.ravel()) * jnp.linalg.norm(y.ravel())
    curved: Array = _dot(s, y) > _ROUNDING * norms
    return curved


def _dot(a: Array, b: Array) -> Array:
    """Sums over what a and b share: an image, or the axis of the pairs."""
    axes = 3 if a.ndim >= 3 else 1
    # Accelerators would otherwise round to half precision before they multiply.
    return jnp.tensordot(a, b, axes, precision=jax.lax.Precision.HIGHEST)


_ROUNDING = float(np.finfo(np.float32).eps)
