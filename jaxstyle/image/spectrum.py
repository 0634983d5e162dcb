"""The spectrum of an image: frequencies scaled, each by a number of its own.

Scales are `[h, w // 2 + 1]`, as `jnp.fft.rfft2` orders frequencies, and traced: as constants of a
large picture's size they take the compiler long.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array


def scale_spectrum(image: Array, scale: Array) -> Array:
    """Multiplies each frequency of an image by a number.

    Args:
      image: `[h, w, c]`.
      scale: `[h, w // 2 + 1]`.
    """
    spectrum = jnp.fft.rfft2(image, axes=(0, 1)) * scale[..., None]
    return jnp.fft.irfft2(spectrum, s=image.shape[:2], axes=(0, 1)).astype(image.dtype)


def power_law(shape: tuple[int, int], power: float) -> Array:
    """The scale :math:`f^{-p}`, f in cycles a pixel.

    The mean counts as the lowest frequency that fits into the image.

    Args:
      shape: height and width of the image.
      power: the exponent p.
    """
    vertical, horizontal = _frequencies(shape)
    return jnp.maximum(jnp.hypot(vertical, horizontal), 1 / max(shape)) ** -power


def low_pass(shape: tuple[int, int]) -> Array:
    """The scale of the binomial filter [1, 2, 1] / 4 in both directions: zero at chequers.

    Args:
      shape: height and width of the image.
    """
    vertical, horizontal = _frequencies(shape)
    return jnp.square(jnp.cos(jnp.pi * vertical) * jnp.cos(jnp.pi * horizontal))


def keep_variance(scale: Array, width: int) -> Array:
    """The same scale, of mean square one: white noise keeps its variance.

    Args:
      scale: `[h, w // 2 + 1]`.
      width: w, of the image.
    """
    # The real transform leaves out columns that mirror others.
    columns = np.full(width // 2 + 1, 2.0)
    columns[0] = 1.0
    if width % 2 == 0:
        columns[-1] = 1.0
    return scale / jnp.sqrt(jnp.sum(jnp.mean(jnp.square(scale), 0) * columns) / width)


def _frequencies(shape: tuple[int, int]) -> tuple[Array, Array]:
    return jnp.fft.fftfreq(shape[0])[:, None], jnp.fft.rfftfreq(shape[1])
