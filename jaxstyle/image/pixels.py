"""Pure operations on pixels: arrays in, arrays out.

An image is `[H, W, 3]`, float32, RGB (sRGB-encoded) in [0, 1]. Functions clip only if their name or
docstring says so, so that calls chain. Nothing here touches the disk (see `jaxstyle.image.io`).
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.arrays import to_device
from jaxstyle._common.checks import check_image, check_key, check_shape
from jaxstyle._common.sharding import on_any_mesh
from jaxstyle.image.spectrum import keep_variance, low_pass, power_law, scale_spectrum


@on_any_mesh
def resize(image: Array, shape: Sequence[int]) -> Array:
    """Resamples an image with an antialiased Lanczos filter.

    Args:
      image: `[H, W, 3]`.
      shape: the new height and width.

    Returns:
      `[*shape, 3]`. Values by which the filter overshoots are clipped to the range of the input.

    Raises:
      ValueError: if `image` is not `[H, W, 3]` or a side would be less than one pixel.

    Example:
      >>> resize(jnp.ones((4, 6, 3)), (2, 3)).shape
      (2, 3, 3)
    """
    check_image(image, "image")
    resized = jax.image.resize(image, (*check_shape(shape, "shape"), 3), "lanczos3")
    return jnp.clip(resized, image.min(), image.max())


def resize_mask(mask: Array, shape: Sequence[int]) -> Array:
    """Resamples a mask without overshoot; what is white or black all around stays exactly so.

    Args:
      mask: `[H, W]`.
      shape: the new height and width.

    Returns:
      `[*shape]`.

    Example:
      >>> resize_mask(jnp.ones((4, 6)), (2, 3)).shape
      (2, 3)
    """
    # The filter's weights sum to one up to rounding, which is divided out.
    resized, whole = (
        jax.image.resize(each, check_shape(shape, "shape"), "linear")
        for each in (mask, jnp.ones_like(mask))
    )
    exact: Array = resized / whole
    return exact


NOISE_SCALE = 60 / 255
"""Default standard deviation of noise, which fills the range of a picture."""


def white_noise(
    key: Array,
    shape: Sequence[int],
    *,
    mean: ArrayLike = 0.5,
    scale: ArrayLike = NOISE_SCALE,
) -> Array:
    """Draws an image of independent Gaussian pixels.

    Args:
      key: a `jax.random.key`.
      shape: height and width.
      mean: scalar, or `[3]` for one value per channel, or an image.
      scale: standard deviation.

    Returns:
      `[*shape, 3]` float32, not clipped.

    Example:
      >>> white_noise(jax.random.key(0), (4, 4)).shape
      (4, 4, 3)
    """
    return _draw(key, shape, mean, scale, natural=False)


def natural_noise(
    key: Array,
    shape: Sequence[int],
    *,
    mean: ArrayLike = 0.5,
    scale: ArrayLike = NOISE_SCALE,
) -> Array:
    """Draws Gaussian noise with the spectrum of natural images, 1/f in amplitude.

    A network hardly sees the finest frequencies, so an optimisation leaves them as they were at the
    start. White noise therefore ends as a fine chequered pattern. In this noise the finest
    frequencies fade to nothing.

    Args:
      key: a `jax.random.key`.
      shape: height and width.
      mean: scalar, or `[3]` for one value per channel, or an image.
      scale: standard deviation.

    Returns:
      `[*shape, 3]` float32, not clipped.

    Example:
      >>> natural_noise(jax.random.key(0), (4, 4)).shape
      (4, 4, 3)

    Reference: Field, "Relations between the statistics of natural images and the response
    properties of cortical cells", JOSA A 1987, for the spectrum.
    """
    return _draw(key, shape, mean, scale, natural=True)


def _draw(
    key: Array, shape: Sequence[int], mean: ArrayLike, scale: ArrayLike, *, natural: bool
) -> Array:
    arrays = check_key(key, "key"), to_device(mean), to_device(scale)
    noise: Array = _noise(*arrays, shape=check_shape(shape, "shape"), natural=natural)
    return noise


@functools.partial(jax.jit, static_argnames=("shape", "natural"))
def _noise(
    key: Array, mean: Array, scale: Array, *, shape: tuple[int, int], natural: bool
) -> Array:
    noise = jax.random.normal(key, (*shape, 3), jnp.float32)
    if natural:
        spectrum = keep_variance(power_law(shape, 1.0) * low_pass(shape), shape[1])
        noise = scale_spectrum(noise, spectrum)
    return jnp.broadcast_to(mean, noise.shape) + scale * noise


def quantize(image: Array) -> Array:
    """Returns the image as an 8-bit file would hold it: clipped to [0, 1] and rounded to 1/255.

    Args:
      image: `[H, W, 3]`.

    Returns:
      `[H, W, 3]` float32, multiples of 1/255.

    Example:
      >>> quantize(jnp.array([-0.2, 0.5, 1.4])).tolist()
      [0.0, 0.501960813999176, 1.0]
    """
    result: Array = _quantize(image)
    return result


@jax.jit
def _quantize(image: Array) -> Array:
    return jnp.round(jnp.clip(image, 0.0, 1.0) * 255.0) / 255.0


def side_by_side(pictures: Sequence[Array], gap: int = 8) -> Array:
    """Puts pictures in a row, resized to the height of the last one, with white gaps.

    Args:
      pictures: images `[H, W, 3]` of any sizes.
      gap: the width of a gap, in pixels.

    Returns:
      One image `[H, W', 3]`, with the height of the last picture.

    Raises:
      ValueError: if there is no picture.

    Example:
      >>> side_by_side([jnp.zeros((8, 8, 3)), jnp.zeros((16, 20, 3))]).shape
      (16, 44, 3)
    """
    if not pictures:
        raise ValueError("pictures is empty; a row needs at least one")
    height = pictures[-1].shape[0]
    parts = []
    for picture in pictures:
        width = round(picture.shape[1] * height / picture.shape[0])
        white = to_device(np.ones((height, gap, 3)))
        parts += [resize(picture, (height, width)), white]
    return jnp.concatenate(parts[:-1], axis=1)
