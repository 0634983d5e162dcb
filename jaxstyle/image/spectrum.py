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
    rows = jnp.swapaxes(_to_cosines(jnp.moveaxis(image, -1, 0)), 1, 2)
    columns = _to_cosines(rows) * scale.T[None]
    back = jnp.swapaxes(_from_cosines(columns), 1, 2)
    scaled: Array = jnp.moveaxis(_from_cosines(back), 0, -1).astype(image.dtype)
    return scaled


def _forward(image: Array, scale: Array) -> tuple[Array, Array]:
    return scale_cosines(image, scale), scale


def _backward(scale: Array, gradient: Array) -> tuple[Array, None]:
    return scale_cosines(gradient, scale), None


scale_cosines.defvjp(_forward, _backward)


def _to_cosines(x: Array) -> Array:
    """Returns the cosine transform of the last axis by a real Fourier transform of its length.

    Its scale is left as it comes, since `_from_cosines` takes it back (Makhoul, IEEE TASSP 1980).
    """
    n = x.shape[-1]
    ordered = jnp.concatenate([x[..., ::2], jnp.flip(x[..., 1::2], -1)], -1)
    turned = jnp.fft.rfft(ordered) * _turn(n)[None, None]
    return jnp.concatenate(
        [turned.real, jnp.flip(-turned.imag[..., 1 : (n + 1) // 2], -1)], axis=-1
    )


def _from_cosines(x: Array) -> Array:
    """Returns what `_to_cosines` has transformed."""
    n = x.shape[-1]
    real = x[..., : n // 2 + 1]
    # Entry k has its partner at n - k; the first has none.
    imaginary = jnp.pad(jnp.flip(x[..., (n + 1) // 2 :], -1), [(0, 0)] * (x.ndim - 1) + [(1, 0)])
    turned = lax.complex(real, -imaginary[..., : n // 2 + 1])
    ordered = jnp.fft.irfft(turned * jnp.conj(_turn(n))[None, None], n=n)
    even, odd = ordered[..., : (n + 1) // 2], jnp.flip(ordered[..., (n + 1) // 2 :], -1)
    odd = jnp.pad(odd, [(0, 0)] * (x.ndim - 1) + [(0, n % 2)])
    return jnp.stack([even, odd], -1).reshape(*x.shape[:-1], -1)[..., :n]


def _turn(n: int) -> Array:
    """Returns the factors that turn half a sample, for half the frequencies and one."""
    angle = -jnp.pi / (2 * n) * jnp.arange(n // 2 + 1, dtype=jnp.float32)
    return lax.complex(jnp.cos(angle), jnp.sin(angle))


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

    The mean, whose frequency is zero, is treated as the lowest frequency that fits into the image.

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
