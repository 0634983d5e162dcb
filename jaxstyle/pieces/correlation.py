"""Differences between a block and every place of a painting at once, by Fourier transforms."""

import jax
import jax.numpy as jnp
from jax import Array


def transformed_shape(height: int, width: int) -> tuple[int, int]:
    """Returns a height and width that are transformed fast, at least those of a painting."""
    return _smooth(height), _smooth(width)


def spectra(planes: Array) -> Array:
    """Returns the transforms `[H', W'', C]` of planes `[H, W, C]`."""
    return jnp.fft.rfft2(planes, transformed_shape(*planes.shape[:2]), axes=(0, 1))


def correlate(templates: Array, transforms: Array, shape: tuple[int, int]) -> Array:
    r"""Returns the correlation of a block with a painting at every place where it fits.

    .. math:: c_{yx} = \sum_{ijk} t_{ijk} \, s_{y + i, x + j, k}

    Args:
      templates: the block, `[h, w, C]`.
      transforms: of the painting, from `spectra`.
      shape: height and width of the painting.

    Returns:
      `[H - h + 1, W - w + 1]`. Its error is that of float32 relative to the largest sum of squares:
      planes should have a mean of zero.
    """
    padded = transformed_shape(*shape)
    block = jnp.fft.rfft2(templates, padded, axes=(0, 1))
    product = jnp.sum(jnp.conj(block) * transforms, axis=-1)
    found = jnp.fft.irfft2(product, padded)
    rows, columns = (whole - part + 1 for whole, part in zip(shape, templates.shape, strict=False))
    return found[:rows, :columns]


def box_sums(plane: Array, height: int, width: int) -> Array:
    """Returns the sums of a plane over all boxes of a size, `[H - height + 1, W - width + 1]`."""
    for window in ((height, 1), (1, width)):
        plane = jax.lax.reduce_window(plane, 0.0, jax.lax.add, window, (1, 1), "valid")
    return plane


def _smooth(size: int) -> int:
    """Returns the least number from a size on that has no other factors than 2, 3 and 5."""
    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 1
