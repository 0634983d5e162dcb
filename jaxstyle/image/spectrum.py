"""Scales the spectrum of an image: each frequency is multiplied by a number of its own.

There are two spectra. That of Fourier, with scales `[h, w // 2 + 1]` in the order of
`jnp.fft.rfft2`, continues an image periodically, which is right for noise. That of cosines, with
scales `[h, w]` in the order of `scipy.fft.dctn`, mirrors it at its edges, so that opposite
edges of a picture do not know of each other.

Scales are computed inside the traced program, because a constant of a large picture's size takes
the compiler a long time.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray


def scale_spectrum(image: Array, scale: Array) -> Array:
    """Multiplies each frequency of an image by a number.

    Args:
      image: `[h, w, c]`.
      scale: `[h, w // 2 + 1]`.

    Returns:
      `[h, w, c]`.
    """
    spectrum = jnp.fft.rfft2(image, axes=(0, 1))
    scaled = spectrum * scale[..., None].astype(spectrum.dtype)
    return jnp.fft.irfft2(scaled, s=image.shape[:2], axes=(0, 1)).astype(image.dtype)


@jax.custom_vjp
@jax.jit
def scale_cosines(image: Array, scale: Array) -> Array:
    """Multiplies each frequency of an image, mirrored at its edges, by a number.

    This is a symmetric matrix, so the derivative is the same function again. The scale has none.

    Args:
      image: `[h, w, c]`.
      scale: `[h, w]`.

    Returns:
      `[h, w, c]`.
    """
    height, width, _ = image.shape
    ordered = _order(_order(image, 0), 1)
    spectrum = _scale_turned(jnp.fft.rfft2(jnp.moveaxis(ordered, -1, 0)), scale)
    ordered = jnp.moveaxis(jnp.fft.irfft2(spectrum, s=(height, width)), 0, -1)
    return _unorder(_unorder(ordered, 0), 1).astype(image.dtype)


def _forward(image: Array, scale: Array) -> tuple[Array, Array]:
    return scale_cosines(image, scale), scale


def _backward(scale: Array, gradient: Array) -> tuple[Array, None]:
    return scale_cosines(gradient, scale), None


scale_cosines.defvjp(_forward, _backward)


def _order(image: Array, axis: int) -> Array:
    """Puts the even entries first and the odd ones behind them, backwards.

    Fourier's transform of entries in this order is that of cosines, but for a turn of each
    frequency (Makhoul, "A fast cosine transform in one and two dimensions", IEEE TASSP 1980).
    """
    n = image.shape[axis]
    even = lax.slice_in_dim(image, 0, n, 2, axis)
    odd = lax.slice_in_dim(image, 1, n, 2, axis)
    return jnp.concatenate([even, jnp.flip(odd, axis)], axis)


def _unorder(image: Array, axis: int) -> Array:
    """Takes `_order` back."""
    n = image.shape[axis]
    half = (n + 1) // 2
    even = lax.slice_in_dim(image, 0, half, 1, axis)
    odd = jnp.flip(lax.slice_in_dim(image, half, n, 1, axis), axis)
    odd = jnp.pad(odd, [(0, n % 2 if i == axis else 0) for i in range(image.ndim)])
    shape = [2 * half if i == axis else m for i, m in enumerate(image.shape)]
    return lax.slice_in_dim(jnp.stack([even, odd], axis + 1).reshape(shape), 0, n, 1, axis)


def _scale_turned(spectrum: Array, scale: Array) -> Array:
    r"""Multiplies the cosines in Fourier's spectrum V of an ordered image by numbers.

    With the turns :math:`u_k = e^{-i\pi k/2h}` and :math:`w_l = e^{-i\pi l/2w}`, let

    .. math::
        A_{kl} = u_k w_l V_{kl}, \quad B_{kl} = \bar u_k w_l V_{-k,l}.

    Their sum and difference consist of the cosines C:

    .. math::
        A + B = 2 (C_{kl} - i C_{k,w-l}), \quad B - A = 2 (C_{h-k,w-l} + i C_{h-k,l}).

    Each part is scaled as its cosine is. Where an index is h or w there is no cosine, and the part
    is zero. Real and imaginary parts are computed apart, since XLA's products of complex numbers
    are slow on CPUs.

    Args:
      spectrum: `[c, h, w // 2 + 1]`.
      scale: `[h, w]`.

    Returns:
      `[c, h, w // 2 + 1]`.
    """
    (height, width), columns = scale.shape, spectrum.shape[-1]
    dtype = spectrum.real.dtype
    cos_k, sin_k = (jnp.asarray(x[None, :, None], dtype) for x in _turn(height, height))
    cos_l, sin_l = (jnp.asarray(x[None, None], dtype) for x in _turn(width, columns))

    def turned(real: Array, imaginary: Array, sin_k: Array, sin_l: Array) -> tuple[Array, Array]:
        real, imaginary = real * cos_k + imaginary * sin_k, imaginary * cos_k - real * sin_k
        return real * cos_l + imaginary * sin_l, imaginary * cos_l - real * sin_l

    def of_cosines(scale: Array) -> Array:
        return scale[None, :, :columns].astype(dtype)

    mirrored = _mirror(spectrum, 1)
    real_a, imaginary_a = turned(spectrum.real, spectrum.imag, sin_k, sin_l)
    real_b, imaginary_b = turned(mirrored.real, mirrored.imag, -sin_k, sin_l)
    below = _mirror(scale, 0)
    real_sum = (real_a + real_b) * of_cosines(scale)
    imaginary_sum = (imaginary_a + imaginary_b) * of_cosines(_mirror(scale, 1))
    real_difference = (real_b - real_a) * of_cosines(_mirror(below, 1))
    imaginary_difference = (imaginary_b - imaginary_a) * of_cosines(below)
    real, imaginary = real_sum - real_difference, imaginary_sum - imaginary_difference
    return lax.complex(*turned(0.5 * real, 0.5 * imaginary, -sin_k, -sin_l))


def _mirror(x: Array, axis: int) -> Array:
    """Moves each index k to n - k, and leaves 0 where it is."""
    return jnp.roll(jnp.flip(x, axis), 1, axis)


def _turn(n: int, frequencies: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns cosine and sine of the angle by which half a sample turns each frequency."""
    angle = np.pi / (2 * n) * np.arange(frequencies)
    return np.cos(angle), np.sin(angle)


def cosine_power_law(shape: tuple[int, int], power: float) -> Array:
    """Returns the scale :math:`f^{-p}` of cosines, with mean square one; see `power_law`.

    Args:
      shape: height and width of the image.
      power: the exponent p.

    Returns:
      `[h, w]`.
    """
    vertical, horizontal = (jnp.arange(n, dtype=jnp.float32) / (2 * n) for n in shape)
    frequency = jnp.hypot(vertical[:, None], horizontal[None])
    scale = jnp.maximum(frequency, 1 / max(shape)) ** -power
    return scale / jnp.sqrt(jnp.mean(jnp.square(scale)))


def power_law(shape: tuple[int, int], power: float) -> Array:
    """Returns the scale :math:`f^{-p}`, with f in cycles per pixel.

    Frequencies below one cycle along the longer side, such as that of the mean, count as that.

    Args:
      shape: height and width of the image.
      power: the exponent p.

    Returns:
      `[h, w // 2 + 1]`.
    """
    vertical, horizontal = _frequencies(shape)
    return jnp.maximum(jnp.hypot(vertical, horizontal), 1 / max(shape)) ** -power


def low_pass(shape: tuple[int, int]) -> Array:
    """Returns the scale of the filter [1, 2, 1] / 4 in both directions; it is zero at chequers.

    Args:
      shape: height and width of the image.

    Returns:
      `[h, w // 2 + 1]`.
    """
    vertical, horizontal = _frequencies(shape)
    return jnp.square(jnp.cos(jnp.pi * vertical) * jnp.cos(jnp.pi * horizontal))


def keep_variance(scale: Array, width: int) -> Array:
    """Returns a multiple of a scale, with mean square one, so that white noise keeps its variance.

    Args:
      scale: `[h, w // 2 + 1]`.
      width: the image's width w.

    Returns:
      `[h, w // 2 + 1]`.
    """
    # The real transform leaves out mirrored columns, so a column that has a mirror counts twice.
    columns = np.full(width // 2 + 1, 2.0)
    columns[0] = 1.0
    if width % 2 == 0:
        columns[-1] = 1.0
    total = jnp.sum(jnp.mean(jnp.square(scale), 0) * jnp.asarray(columns, scale.dtype))
    return scale / jnp.sqrt(total / width)


def _frequencies(shape: tuple[int, int]) -> tuple[Array, Array]:
    return jnp.fft.fftfreq(shape[0])[:, None], jnp.fft.rfftfreq(shape[1])[None]
