"""Losses of neural style transfer: arrays in, scalars out.

Feature maps are `[h, w, c]`, of one image at one layer. Images are `[H, W, 3]` in [0, 1]. Every
loss is a float32 scalar and a mean, so a weight means the same at every size and for every width.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero


def gram_matrix(features: Array, mass: Array | None = None) -> Array:
    r"""Computes the correlations between the channels of one feature map.

    .. math:: G_{cd} = \frac{1}{hw} \sum_{ij} F_{ijc} F_{ijd}

    For a region, :math:`m_{ij}` takes the place of :math:`1/hw`. Departure: the paper divides in
    the loss, by :math:`4 c^2 (hw)^2`; dividing by hw here lets content and style differ in size.

    Args:
      features: `[h, w, c]` activations of one layer for one image.
      mass: `[h, w]` that sums to one and says how much each position counts; None counts all
        positions equally.

    Returns:
      `[c, c]` float32, symmetric and positive semi-definite.

    Raises:
      ValueError: if `features` is not of rank 3, or `mass` is of another size.

    Example:
      >>> gram_matrix(jnp.ones((4, 4, 2))).shape
      (2, 2)

    References: Gatys et al., CVPR 2016, eq. 3; for regions Gatys et al., CVPR 2017, eq. 7, whose
    guides are the square roots of the mass.
    """
    if features.ndim != 3:
        raise ValueError(f"features should have shape [h, w, c], got {list(features.shape)}")
    h, w, c = features.shape
    if mass is not None:
        if mass.shape != (h, w):
            raise ValueError(f"mass should have shape {[h, w]}, got {list(mass.shape)}")
        return _weighted_moments(features.reshape(h * w, c), mass.reshape(h * w))
    return _second_moments(features.reshape(h * w, c)) / (h * w)


def content_loss(features: Array, target: Array, weight: Array | None = None) -> Array:
    r"""Computes the mean squared difference of two feature maps.

    .. math:: \frac{1}{hwc} \sum_{ijk} w_{ij} (F_{ijk} - P_{ijk})^2

    Departure: the paper takes half the sum, and has no :math:`w`.

    Args:
      features: `[h, w, c]` activations of the image.
      target: `[h, w, c]` activations of the content image.
      weight: `[h, w]`, how much each position counts; None is 1 for all.

    Returns:
      A scalar.

    Raises:
      ValueError: if the shapes differ.

    Example:
      >>> float(content_loss(jnp.ones((2, 2, 3)), jnp.zeros((2, 2, 3))))
      1.0

    Reference: Gatys et al., CVPR 2016, eq. 1.
    """
    if weight is None:
        return _mean_squared_difference(features, target)
    _check_equal(features, target)
    difference = features.astype(jnp.float32) - target.astype(jnp.float32)
    return jnp.mean(weight * jnp.mean(jnp.square(difference), axis=2))


def style_loss(gram: Array, target: Array) -> Array:
    r"""Computes the mean squared difference of two Gram matrices.

    .. math:: \frac{1}{c^2} \sum_{cd} (G_{cd} - A_{cd})^2

    Departure: the paper's :math:`E_l` is a quarter of this.

    Args:
      gram: `[c, c]` Gram matrix of the image.
      target: `[c, c]` Gram matrix of the style image.

    Returns:
      A scalar.

    Raises:
      ValueError: if the shapes differ.

    Example:
      >>> float(style_loss(2 * jnp.eye(2), jnp.zeros((2, 2))))
      2.0

    Reference: Gatys et al., CVPR 2016, eq. 4.
    """
    return _mean_squared_difference(gram, target)


def squared_total_variation(image: Array) -> Array:
    r"""Computes the mean squared difference of neighbouring pixels, down and across.

    .. math:: \mathrm{mean}((I_{i+1,j} - I_{ij})^2) + \mathrm{mean}((I_{i,j+1} - I_{ij})^2)

    Args:
      image: `[H, W, 3]`.

    Returns:
      A scalar; a direction of one pixel counts as zero.

    Example:
      >>> float(squared_total_variation(jnp.array([[[0.0], [0.5]]])))
      0.25

    Reference: Mahendran and Vedaldi, CVPR 2015, eq. 6, with beta = 2.
    """
    return _total_variation(image, jnp.square)


def l1_total_variation(image: Array) -> Array:
    r"""Computes the mean absolute difference of neighbouring pixels, down and across (anisotropic).

    .. math:: \mathrm{mean}|I_{i+1,j} - I_{ij}| + \mathrm{mean}|I_{i,j+1} - I_{ij}|

    Args:
      image: `[H, W, 3]`.

    Returns:
      A scalar; a direction of one pixel counts as zero.

    Example:
      >>> float(l1_total_variation(jnp.array([[[0.0], [0.5]]])))
      0.5

    Reference: Rudin, Osher and Fatemi, Physica D, 1992, in its anisotropic form.
    """
    return _total_variation(image, _absolute)


def isotropic_total_variation(image: Array) -> Array:
    r"""Computes the mean length of the gradient: edges cost the same in every direction.

    .. math:: \mathrm{mean} \sqrt{(I_{i+1,j} - I_{ij})^2 + (I_{i,j+1} - I_{ij})^2 + \epsilon^2}
        - \epsilon

    Here :math:`\epsilon = 1/255`, one step of an 8-bit file. Smaller differences hardly count, so
    flat regions are left alone.

    Args:
      image: `[H, W, 3]`.

    Returns:
      A scalar; an image of one row or column counts as zero.

    Example:
      >>> float(isotropic_total_variation(jnp.ones((4, 4, 3))))
      0.0

    Reference: Rudin, Osher and Fatemi, Physica D, 1992.
    """
    step = 1 / 255
    # The difference of the root and the step, in a form without cancellation.
    return _joint_total_variation(image, lambda s: s / (jnp.sqrt(s + step**2) + step))


def power_total_variation(image: Array) -> Array:
    r"""Computes the mean of the squared gradient to the power 1.25.

    .. math:: \mathrm{mean} ((I_{i+1,j} - I_{ij})^2 + (I_{i,j+1} - I_{ij})^2)^{1.25}

    Keras' style transfer example uses this penalty.

    Args:
      image: `[H, W, 3]`.

    Returns:
      A scalar; an image of one row or column counts as zero.

    Example:
      >>> float(power_total_variation(jnp.ones((4, 4, 3))))
      0.0

    Reference: Mahendran and Vedaldi, CVPR 2015, eq. 6, with beta = 2.5.
    """
    return _joint_total_variation(image, lambda s: s**1.25)


def range_penalty(image: Array) -> Array:
    r"""Computes the mean squared distance of the pixels from [0, 1], the range of a file.

    .. math:: \frac{1}{3HW} \sum (I - \mathrm{clip}(I, 0, 1))^2

    Args:
      image: `[H, W, 3]`.

    Returns:
      A scalar, zero where nothing needs clipping.

    Example:
      >>> float(range_penalty(jnp.array([[[-1.0, 0.5, 2.0, 1.0]]])))
      0.5
    """
    image = image.astype(jnp.float32)
    return jnp.mean(jnp.square(image - jnp.clip(image, 0.0, 1.0)))


def temporal_loss(image: Array, warped: Array, mask: Array) -> Array:
    r"""Computes how much a picture differs from its warped predecessor, where that is known.

    .. math:: \frac{1}{D} \sum_k c_k (x_k - \omega_k)^2

    with :math:`D = HWC`: all pixels count in the mean, also those of weight zero.

    Args:
      image: `[..., H, W, C]`, the picture.
      warped: `[..., H, W, C]`, an earlier picture, carried onto this frame.
      mask: `[..., H, W]`, how much each pixel counts.

    Returns:
      `[...]` float32.

    Raises:
      ValueError: if the shapes do not fit.

    Example:
      >>> mask = jnp.array([[1.0, 0.0]])
      >>> float(temporal_loss(jnp.ones((1, 2, 3)), jnp.zeros((1, 2, 3)), mask))
      0.5

    Reference: Ruder, Dosovitskiy and Brox, GCPR 2016, eq. 7.
    """
    if jnp.ndim(image) < 3 or image.shape[-3:] != warped.shape[-3:]:
        raise ValueError(
            f"image and warped should be [..., H, W, C] of one size, got {list(jnp.shape(image))} "
            f"and {list(jnp.shape(warped))}"
        )
    if mask.shape[-2:] != image.shape[-3:-1]:
        raise ValueError(
            f"mask should be [..., H, W] in the size of the image {list(image.shape)}, got "
            f"{list(mask.shape)}"
        )
    difference = image.astype(jnp.float32) - warped.astype(jnp.float32)
    return jnp.mean(mask * jnp.mean(jnp.square(difference), axis=-1), axis=(-2, -1))


@jax.custom_jvp
def _second_moments(x: Array) -> Array:
    return _product(x, x)


@_second_moments.defjvp
def _second_moments_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    # JAX's own rule does not know that the two terms are each other's transpose, and multiplies
    # twice.
    half = _product(x, dx)
    return _second_moments(x), half + half.T


@jax.custom_jvp
def _weighted_moments(x: Array, mass: Array) -> Array:
    product = _product(_weighted(x, mass), x)
    return (product + product.T) / 2  # symmetric in spite of rounding


def _weighted_moments_jvp(primals: tuple[Array, Array], tangents: Any) -> tuple[Array, Array]:
    (x, mass), (dx, dmass) = primals, tangents
    value = _weighted_moments(x, mass)
    slope = jnp.zeros_like(value)
    if not isinstance(dx, SymbolicZero):
        half = _product(_weighted(x, mass), dx)  # once, as above
        slope = half + half.T
    if not isinstance(dmass, SymbolicZero):
        slope = slope + _product(_weighted(x, dmass), x)
    return value, slope


_weighted_moments.defjvp(_weighted_moments_jvp, symbolic_zeros=True)


def _weighted(x: Array, mass: Array) -> Array:
    # On one side of the product. The mass's square root on both would have an infinite slope at
    # zero.
    return x.astype(jnp.float32) * mass[:, None]


def _product(a: Array, b: Array) -> Array:
    # By default accelerators multiply in lower precision; a sum over 10⁵ positions shows it.
    return jnp.matmul(
        a.T, b, precision=jax.lax.Precision.HIGHEST, preferred_element_type=jnp.float32
    )


def _check_equal(a: Array, b: Array) -> None:
    if a.shape != b.shape:
        raise ValueError(f"shapes should be equal, got {list(a.shape)} and {list(b.shape)}")


def _mean_squared_difference(a: Array, b: Array) -> Array:
    _check_equal(a, b)
    return jnp.mean(jnp.square(a.astype(jnp.float32) - b.astype(jnp.float32)))


def _absolute(x: Array) -> Array:
    # jnp.abs has slope 1 at 0, so it would pull at every flat region.
    return x * jnp.sign(jax.lax.stop_gradient(x))


def _total_variation(image: Array, penalty: Callable[[Array], Array]) -> Array:
    image = image.astype(jnp.float32)
    differences = (image[1:] - image[:-1], image[:, 1:] - image[:, :-1])
    return sum((jnp.mean(penalty(d)) for d in differences if d.size), start=jnp.float32(0.0))


def _joint_total_variation(image: Array, penalty: Callable[[Array], Array]) -> Array:
    image = image.astype(jnp.float32)
    corner = image[:-1, :-1]
    squares = jnp.square(image[1:, :-1] - corner) + jnp.square(image[:-1, 1:] - corner)
    return jnp.mean(penalty(squares)) if squares.size else jnp.float32(0.0)
