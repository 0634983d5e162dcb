"""Fills what comes into view with strokes from places that look alike.

Statistics of a whole picture hardly notice a narrow strip, so an optimisation leaves it as it
begins: a strip that begins as the photograph, or as the colours around it, stays so behind every
thing that moves. Here it begins with strokes, those of a place whose photograph and surroundings
are alike.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

_LONGEST = 192  # pixels of the longer side at which places are compared
_REACH = 0.25  # of the longer side: how far away places are looked for
_GRID = 25  # places along a side
_NEAREST = 3  # pixels: nearer, strokes would be drawn out into lines
_SIDE = 11  # of the window that is compared
_OWN = 2.0  # how much the picture counts beside the photograph
_UNLIKE = 0.03  # mean squared difference of photographs from which a place is not alike

_Best = tuple[Array, Array, Array]  # the cost, where it is, whether it is alike


def fill(picture: Array, seen: Array, photograph: Array, start: Array) -> Array:
    r"""Fills the unseen part of a picture.

    Each unseen pixel takes the colour of the place nearby whose surroundings are most alike, both
    in the photograph C and in what is known of the picture I. Places a and b differ by the means

    .. math:: \overline{(C_a - C_b)^2} + 2 \overline{(I_a - I_b)^2}

    over a window. Strokes are continued so, and shapes are those of the photograph.

    Args:
      picture: `[H, W, 3]`, known where it is seen.
      seen: `[H, W]`, 1 where the picture is known, else 0.
      photograph: `[H, W, 3]`.
      start: `[H, W, 3]`, taken where no place is alike.

    Returns:
      `[H, W, 3]`: the picture where it is seen.

    Example:
      >>> stripes = jnp.broadcast_to(jnp.arange(32.0)[:, None, None] % 2, (32, 32, 3))
      >>> seen, grey = jnp.ones((32, 32)).at[:, 16].set(0.0), jnp.full((32, 32, 3), 0.5)
      >>> fill(stripes, seen, grey, grey)[12:16, 16, 0].tolist()
      [0.0, 1.0, 0.0, 1.0]

    Reference: Hertzmann et al., Image Analogies, SIGGRAPH 2001, section 3; there, pixels are filled
    one after another, from coarse to fine.
    """
    filled: Array = _fill(picture, seen, photograph, start)
    return filled


@jax.jit
def _fill(picture: Array, seen: Array, photograph: Array, start: Array) -> Array:
    height, width = seen.shape
    step = -(-max(height, width) // _LONGEST)
    pad = ((0, -height % step), (0, -width % step), (0, 0))
    known = jnp.pad(seen[..., None], pad)
    colours = jnp.pad(picture, pad, mode="edge")
    share = _pooled(known, step)
    small = _pooled(known * colours, step) / jnp.maximum(share, 1e-6)
    best, alike = _alike(small, share, _pooled(jnp.pad(photograph, pad, mode="edge"), step))

    def each(values: Array) -> Array:
        return jnp.repeat(jnp.repeat(values, step, 0), step, 1)

    rows, columns = jnp.meshgrid(*map(jnp.arange, known.shape[:2]), indexing="ij")
    offset = step * each(best)
    copied = colours[rows + offset[..., 0], columns + offset[..., 1]]
    copied = jnp.where(each(alike)[..., None], copied, jnp.pad(start, pad))
    return jnp.where(known > 0, colours, copied)[:height, :width]


def _alike(picture: Array, share: Array, photograph: Array) -> tuple[Array, Array]:
    """Returns for each pixel `[h, w, 2]` where the place is that is most alike, and if it is.

    Args:
      picture: `[h, w, 3]`.
      share: `[h, w, 1]`, how much of each pixel is known; those that are wholly are taken from.
      photograph: `[h, w, 3]`.

    Returns:
      The offset (down, right); and `[h, w]`, whether the photograph is alike there.
    """
    height, width, _ = picture.shape
    offsets = _offsets(max(height, width))
    reach = int(np.abs(offsets).max())
    everything = jnp.concatenate([picture, photograph, share, jnp.ones_like(share)], axis=-1)
    padded = jnp.pad(everything, ((reach, reach), (reach, reach), (0, 0)))

    def compare(best: _Best, offset: Array) -> tuple[_Best, None]:
        corner = (reach + offset[0], reach + offset[1], 0)
        other = jax.lax.dynamic_slice(padded, corner, everything.shape)
        both, inside = share * other[..., 6:7], other[..., 7:]
        squares = jnp.square(everything[..., :6] - other[..., :6])
        own = both * squares[..., :3].mean(-1, keepdims=True)
        photo = inside * squares[..., 3:].mean(-1, keepdims=True)
        sums = _sums(jnp.concatenate([own, both, photo, inside], axis=-1))
        means = sums[..., ::2] / jnp.maximum(sums[..., 1::2], 1e-6)
        cost = _OWN * means[..., 0] + means[..., 1]
        cost = jnp.where(other[..., 6] > 1 - 1e-3, cost, jnp.inf)
        better = cost < best[0]
        found = jnp.where(better[..., None], offset, best[1])
        alike = jnp.where(better, means[..., 1] < _UNLIKE, best[2])
        return (jnp.where(better, cost, best[0]), found, alike), None

    nothing = (
        jnp.full((height, width), jnp.inf),
        jnp.zeros((height, width, 2), jnp.int32),
        jnp.zeros((height, width), bool),
    )
    (_, found, alike), _ = jax.lax.scan(compare, nothing, jnp.asarray(offsets))
    return found, alike


@functools.lru_cache
def _offsets(longest: int) -> NDArray[np.int32]:
    """Returns `[N, 2]` offsets, the near ones first."""
    reach = max(_NEAREST, round(_REACH * longest))
    axis = np.unique(np.rint(np.linspace(-reach, reach, _GRID)).astype(np.int32))
    offsets = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    far = np.abs(offsets).max(axis=1)
    order = np.argsort(far, kind="stable")
    found: NDArray[np.int32] = offsets[order][far[order] >= _NEAREST]
    return found


def _pooled(values: Array, step: int) -> Array:
    """Returns means over blocks."""
    height, width, channels = values.shape
    blocks = values.reshape(height // step, step, width // step, step, channels)
    return blocks.mean(axis=(1, 3))


def _sums(values: Array) -> Array:
    """Returns the sums of values over a window around each pixel."""
    for window in ((_SIDE, 1, 1), (1, _SIDE, 1)):
        values = jax.lax.reduce_window(values, 0.0, jax.lax.add, window, (1, 1, 1), "SAME")
    return values
