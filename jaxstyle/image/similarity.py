"""How alike two pictures are to the eye."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

_WINDOW, _SIGMA = 11, 1.5


def structural_similarity(image: Array, other: Array) -> Array:
    r"""Measures how alike the structure of two grey images is: 1 for equal images, −1 at worst.

    .. math::
        \mathrm{SSIM} = \mathrm{mean} \frac{(2 \mu_x \mu_y + C_1)(2 \sigma_{xy} + C_2)}
        {(\mu_x^2 + \mu_y^2 + C_1)(\sigma_x^2 + \sigma_y^2 + C_2)}

    The mean is over all places where a Gaussian window of 11×11 pixels (σ = 1.5) fits into the
    image. Inside each window, the Gaussian weighs the means and covariances.
    The constants are :math:`C_1 = 0.01^2, C_2 = 0.03^2`.

    Args:
      image: `[H, W]` in [0, 1]; see `jaxstyle.color.luminance`.
      other: `[H, W]` in [0, 1].

    Returns:
      A scalar.

    Raises:
      ValueError: if the images are not both `[H, W]` of the same shape, or smaller than the window.

    Example:
      >>> ramp = jnp.broadcast_to(jnp.linspace(0, 1, 16), (16, 16))
      >>> float(structural_similarity(ramp, 1 - ramp)) < 0
      True

    Reference: Wang, Bovik, Sheikh and Simoncelli, IEEE Transactions on Image Processing, 2004,
    eq. 13, without the subsampling of its authors' later code.
    """
    if image.ndim != 2 or image.shape != other.shape:
        raise ValueError(
            f"image and other should have the same shape [H, W], got {list(image.shape)} and "
            f"{list(other.shape)}"
        )
    check_large_enough(image.shape)
    maps = jnp.stack([image, other, image * image, other * other, image * other])
    mean_x, mean_y, xx, yy, xy = _window_means(maps[:, None])
    variances = xx - mean_x**2 + yy - mean_y**2
    covariance = xy - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    alike = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return jnp.mean(alike / ((mean_x**2 + mean_y**2 + c1) * (variances + c2)))


def check_large_enough(shape: Sequence[int]) -> None:
    """Raises `ValueError` unless the window fits into an image of a shape."""
    if min(shape[:2]) < _WINDOW:
        raise ValueError(
            f"an image of {shape[0]}×{shape[1]} pixels is too small for structural similarity, "
            f"whose window is {_WINDOW}×{_WINDOW}"
        )


def _window_means(maps: Array) -> Array:
    """Averages `[n, 1, H, W]` under a Gaussian window where it fits: `[n, 1, H − 10, W − 10]`."""
    offsets = jnp.arange(_WINDOW, dtype=jnp.float32) - _WINDOW // 2
    window = jnp.exp(-(offsets**2) / (2 * _SIGMA**2))
    window = window / jnp.sum(window)
    for shape in ((_WINDOW, 1), (1, _WINDOW)):
        maps = jax.lax.conv_general_dilated(
            maps, window.reshape(shape)[None, None], (1, 1), "VALID",
            precision=jax.lax.Precision.HIGHEST,
        )  # fmt: skip
    return maps
