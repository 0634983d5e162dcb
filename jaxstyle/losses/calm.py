"""Calm: simple areas of the photograph take their style from simple areas of the painting.

Statistics of a whole painting ask for its busiest strokes everywhere, so a clear sky becomes a
mountain of them. Here the picture is parted in two, softly: its flat areas are compared with the
painting's calmest areas, and the others with the rest of the painting.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.arrays import to_device
from jaxstyle._common.checks import check_image
from jaxstyle._common.sharding import on_any_mesh

# The activity at which an area of a photograph is no longer flat: twenty steps of an 8-bit file.
_FLAT = 20 / 255
# A painting is nowhere as flat as a sky; this share of it counts as simple.
_SIMPLE = 0.35
_SOFTNESS = 0.15  # of the limit of what is simple, relative to it
_WINDOW = 0.01  # the standard deviation of the window, relative to the longer side


@on_any_mesh
def activity(image: Array) -> Array:
    r"""Returns how much the colours vary around each pixel.

    .. math:: a = \sqrt{\tfrac{1}{3} \sum_c (g * I_c^2 - (g * I_c)^2)}

    Here g is a Gaussian window with a standard deviation of 1 % of the longer side.

    Args:
      image: `[H, W, 3]` in [0, 1].

    Returns:
      `[H, W]`, the local standard deviation.

    Raises:
      ValueError: if `image` is not `[H, W, 3]`.

    Example:
      >>> float(activity(jnp.full((8, 8, 3), 0.5)).max()) < 1e-3
      True
    """
    check_image(image, "image")
    found: Array = _activity(image)
    return found


@on_any_mesh
def flatness(image: Array) -> Array:
    r"""Returns where a photograph is flat: 1 for even areas, 0 for busy ones, soft between.

    .. math:: f = \exp(-(a / a_0)^2)

    Here a is the `activity`, and :math:`a_0` is 20 of 255.

    Args:
      image: `[H, W, 3]` in [0, 1].

    Returns:
      `[H, W]` in [0, 1].

    Example:
      >>> flatness(jnp.ones((4, 4, 3))).tolist()[0]
      [1.0, 1.0, 1.0, 1.0]
    """
    return jnp.exp(-jnp.square(activity(image) / _FLAT))


@on_any_mesh
def simplicity(image: Array, mask: Array | None = None) -> Array:
    r"""Returns where a painting is simple: 1 for the calmest third of it or so, 0 for the busiest.

    .. math:: s = \sigma((q - a) / 0.15 q)

    Here a is the `activity`, q the level under which 35 % of the pixels lie, and :math:`\sigma`
    the logistic function.

    Args:
      image: `[H, W, 3]` in [0, 1].
      mask: `[H, W]`, the part of the painting that counts; None for all of it.

    Returns:
      `[H, W]` in [0, 1].

    Example:
      >>> painting = jnp.zeros((16, 16, 3)).at[:, 8:].set(jnp.eye(16, 8)[:, :, None])
      >>> simple = simplicity(painting)
      >>> bool(simple[8, 0] > simple[8, 12])
      True
    """
    found = activity(image)
    inside = found if mask is None else jnp.where(mask > 0, found, jnp.nan)
    limit = jnp.nanquantile(inside, _SIMPLE)
    return jax.nn.sigmoid((limit - found) / (_SOFTNESS * limit + 1e-6))


def part_picture(content: Array, calm: ArrayLike) -> tuple[Array, Array]:
    """Returns the shares of each pixel of a picture that are busy and calm, `[H, W]` each.

    Args:
      content: `[H, W, 3]`, the photograph.
      calm: how much of the flat areas is calm, 0 to 1.
    """
    flat = to_device(calm) * flatness(content)
    return 1 - flat, flat


def part_painting(style: Array, calm: ArrayLike, mask: Array | None = None) -> tuple[Array, Array]:
    """Returns the parts of a painting that busy and calm areas are compared with, `[H, W]` each.

    Args:
      style: `[H, W, 3]`, the painting.
      calm: how much of the flat areas of the picture is calm, 0 to 1. For 0 the busy part is the
        whole painting.
      mask: `[H, W]`, the part of the painting that counts; None for all of it.
    """
    simple = simplicity(style, mask)
    whole = jnp.ones_like(simple) if mask is None else mask
    return whole * (1 - to_device(calm) * simple), whole * simple


@jax.jit
def _activity(image: Array) -> Array:
    sigma = max(1.0, _WINDOW * max(image.shape[:2]))
    # About its mean, an even area has little to cancel.
    centred = image.astype(jnp.float32) - jnp.mean(image, axis=(0, 1), keepdims=True)
    blur = jax.vmap(functools.partial(_blur, sigma=sigma), in_axes=2, out_axes=2)
    variance = blur(jnp.square(centred)) - jnp.square(blur(centred))
    return jnp.sqrt(jnp.maximum(jnp.mean(variance, axis=2), 0.0))


def _blur(values: Array, *, sigma: float) -> Array:
    """Returns values `[H, W]` under a Gaussian window; the border is continued outwards."""
    radius = round(3 * sigma)
    window = np.exp(-np.square(np.arange(-radius, radius + 1) / sigma) / 2).astype(np.float32)
    window = window / window.sum()
    for axis in (0, 1):
        pad = [(radius, radius) if each == axis else (0, 0) for each in (0, 1)]
        smooth: Callable[[Array], Array] = jax.vmap(
            lambda row: jnp.convolve(row, window, mode="valid"), in_axes=1 - axis, out_axes=1 - axis
        )
        values = smooth(jnp.pad(values, pad, mode="edge"))
    return values
