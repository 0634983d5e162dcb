"""Gaussian pyramids, and the windows around the pixels of a picture."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from jaxstyle.image.pixels import resize
from jaxstyle.losses.neighbours import describe

SMALLEST = 12
"""The shorter side of the coarsest level, in pixels, where nothing else is asked for."""
_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def number_of_levels(*shapes: tuple[int, ...], least: int = SMALLEST) -> int:
    """Returns how many levels pictures have, halved until one of them gets too small.

    Args:
      *shapes: of the pictures.
      least: the shorter side of the coarsest level, in pixels.

    Example:
      >>> number_of_levels((512, 400, 3)), number_of_levels((32, 32, 3), (20, 90, 3))
      (6, 1)
    """
    side, levels = min(min(shape[:2]) for shape in shapes), 1
    while side >= 2 * least:
        side, levels = (side + 1) // 2, levels + 1
    return levels


@functools.partial(jax.jit, static_argnames="levels")
def pyramid(image: Array, levels: int) -> list[Array]:
    """Returns an image `[H, W, C]` at ever smaller sizes, itself last.

    Each is the one after it, blurred, at every second pixel. So pixel `(y, x)` of a level lies in
    `(y // 2, x // 2)` of the one before.

    Args:
      image: `[H, W, C]`.
      levels: how many, at least 1.
    """
    found = [image]
    for _ in range(levels - 1):
        found.append(_halved(found[-1]))
    return found[::-1]


@jax.jit
def smoothed(image: Array) -> Array:
    """Returns an image `[H, W, 3]` without what is smaller than four pixels, such as strokes."""
    return resize(pyramid(image, 3)[0], image.shape[:2])


def windows(image: Array, side: int) -> Array:
    """Returns the window around each pixel, `[H · W, side² · C]`; edges are repeated.

    Args:
      image: `[H, W, C]`.
      side: of a window; odd.
    """
    return describe([padded(image, side)], patch=side)


def padded(image: Array, side: int) -> Array:
    """Returns an image whose edges are repeated, so that each pixel has a window around it."""
    half = side // 2
    return jnp.pad(image, ((half, half), (half, half), (0, 0)), mode="edge")


def gaussian(side: int) -> NDArray[np.float32]:
    """Returns how much each pixel of a window counts, `[side²]`, of sum one."""
    far = np.arange(side) - side // 2
    bell = np.exp(-(far**2) / (2 * (side / 4) ** 2))
    square = np.outer(bell, bell).ravel()
    return np.asarray(square / square.sum(), np.float32)


def _halved(image: Array) -> Array:
    """Returns an image blurred by a binomial filter, at every second pixel."""
    for axis in (0, 1):
        size = image.shape[axis]
        wide = jnp.pad(image, [(2, 2) if i == axis else (0, 0) for i in range(3)], mode="edge")
        parts = [
            jax.lax.slice_in_dim(wide, i, i + size, 2, axis) * share
            for i, share in enumerate(_BINOMIAL)
        ]
        image = sum(parts[1:], start=parts[0])
    return image
