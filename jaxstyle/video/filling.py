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
_BLOCK = 5  # pixels, a side of what is taken from one place
_REACH = 0.25  # of the longer side: how far away places are looked for
_GRID = 25  # places along a side
_NEAREST, _NEAR = 3, 8  # pixels: strokes from nearer are drawn out into lines
_DRAWN_OUT = 0.02  # what that costs
_APART = 5  # pixels, a window in which all is known around a place
_SIDE = 11  # of the window that is compared
_OWN = 2.0  # how much the picture counts beside the photograph
# Mean squared differences of photographs: of the same, and from which it is another.
_SAME, _UNLIKE = 0.005, 0.05

_Best = tuple[Array, Array, Array]  # the cost, where it is, whether it is alike


def fill(picture: Array, seen: Array, photograph: Array, start: Array) -> Array:
    r"""Fills the unseen part of a picture, block by block of some 3 % of its longer side.

    The unseen pixels of a block take the colours of the place nearby whose surroundings are most
    alike, both in the photograph C and in what is known of the picture I. Places a and b differ by

    .. math::
        (C_a - C_b)^2 + \overline{(C_a - C_b)^2} + 2 \overline{(I_a - I_b)^2}

    with means over a window; the last one is over pixels whose photographs are alike, since what
    passes in front says nothing of the strokes behind it.

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
    side = step * _BLOCK
    pad = ((0, -height % side), (0, -width % side), (0, 0))
    known = jnp.pad(seen[..., None], pad, constant_values=1.0)
    colours, photo = (jnp.pad(each, pad, mode="edge") for each in (picture, photograph))
    share = _pooled(known, step)
    small = _pooled(known * colours, step) / jnp.maximum(share, 1e-6)
    best, alike = _alike(small, share, _pooled(photo, step))

    def each(values: Array) -> Array:
        return jnp.repeat(jnp.repeat(values, side, 0), side, 1)

    rows, columns = jnp.meshgrid(*map(jnp.arange, known.shape[:2]), indexing="ij")
    offset = step * each(best)
    row = jnp.clip(rows + offset[..., 0], 0, known.shape[0] - 1)
    column = jnp.clip(columns + offset[..., 1], 0, known.shape[1] - 1)
    good = each(alike)[..., None] & (known[row, column] > 0)
    copied = jnp.where(good, colours[row, column], jnp.pad(start, pad))
    return jnp.where(known > 0, colours, copied)[:height, :width]


def _alike(picture: Array, share: Array, photograph: Array) -> tuple[Array, Array]:
    """Returns for each block `[h', w', 2]` where the place is that is most alike, and if it is.

    Args:
      picture: `[h, w, 3]`.
      share: `[h, w, 1]`, how much of each pixel is known.
      photograph: `[h, w, 3]`.

    Returns:
      The offset (down, right); and `[h', w']`, whether the photograph is alike there.
    """
    height, width, _ = picture.shape
    offsets = _offsets(max(height, width))
    reach = int(np.abs(offsets).max())
    window = (_APART, _APART, 1)
    least = jax.lax.reduce_window(share, 1.0, jax.lax.min, window, (1, 1, 1), "SAME")
    whole = (least > 1 - 1e-3).astype(share.dtype)
    everything = jnp.concatenate([picture, photograph, share, whole, jnp.ones_like(share)], axis=-1)
    padded = jnp.pad(everything, ((reach, reach), (reach, reach), (0, 0)))
    new = 1 - share
    count = jnp.maximum(_pooled(new, _BLOCK)[..., 0], 1e-6)

    def compare(best: _Best, offset: Array) -> tuple[_Best, None]:
        corner = (reach + offset[0], reach + offset[1], 0)
        other = jax.lax.dynamic_slice(padded, corner, everything.shape)
        both, there, inside = share * other[..., 6:7], other[..., 7:8], other[..., 8:]
        squares = jnp.square(everything[..., :6] - other[..., :6])
        own, photo = (jnp.mean(part, -1, keepdims=True) for part in jnp.split(squares, 2, -1))
        same = both * jnp.exp(-photo / _SAME)
        around = inside * jnp.minimum(photo, _UNLIKE)
        sums = _sums(jnp.concatenate([same * own, same, around, inside], axis=-1))
        means = sums[..., ::2] / jnp.maximum(sums[..., 1::2], 1e-6)
        cost = photo + means[..., 1:] + _OWN * means[..., :1] + (1 - there)
        parts = _pooled(new * jnp.concatenate([cost, photo + (1 - there)], axis=-1), _BLOCK)
        near = jnp.where(jnp.abs(offset).max() < _NEAR, _DRAWN_OUT, 0.0)
        costs, unlike = parts[..., 0] / count + near, parts[..., 1] / count
        better = costs < best[0]
        found = jnp.where(better[..., None], offset, best[1])
        alike = jnp.where(better, unlike < _UNLIKE, best[2])
        return (jnp.where(better, costs, best[0]), found, alike), None

    blocks = count.shape
    nothing = (
        jnp.full(blocks, jnp.inf),
        jnp.zeros((*blocks, 2), jnp.int32),
        jnp.zeros(blocks, bool),
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
