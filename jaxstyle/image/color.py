"""Colours: two ways to take a painting's strokes without its colours.

Either the painting takes on the photograph's colours before the transfer (`match_color`,
`match_histogram`), or only luminance is transferred and the photograph keeps its chroma
(`greyscale`, `match_luminance`, `with_luminance_of`).

An image is `[H, W, 3]`, RGB in [0, 1], as it is stored (sRGB-encoded). Luminance is the Y of YIQ,
which is the same as that of YUV and YCbCr (Rec. 601). Functions clip only where their name or
docstring says so.

Reference: Gatys et al., "Controlling Perceptual Factors in Neural Style Transfer", CVPR 2017,
section 5.
"""

import functools
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.arrays import to_device
from jaxstyle._common.checks import check_choice, check_image
from jaxstyle._common.sharding import on_any_mesh

ColorMatch = Literal["cholesky", "pca", "symmetric"]

_LUMINANCE = (0.299, 0.587, 0.114)
# Luminance with a variance below this counts as constant. It is the square of a twentieth of an
# 8-bit step.
_CONSTANT = 4e-8
_TINTED = 1e-4  # added to variances, so that chroma of hardly any spread is not blown up


@on_any_mesh
def luminance(image: Array) -> Array:
    """Returns the luminance of every pixel.

    .. math:: Y = 0.299 R + 0.587 G + 0.114 B

    Args:
      image: `[H, W, 3]`.

    Returns:
      `[H, W]`.

    Raises:
      ValueError: if `image` is not `[H, W, 3]`.

    Example:
      >>> float(luminance(jnp.array([[[0.0, 1.0, 0.0]]]))[0, 0])
      0.58...
    """
    check_image(image, "image")
    result: Array = _luminance(image)
    return result


@on_any_mesh
def greyscale(image: Array) -> Array:
    """Removes an image's chroma: every channel becomes the luminance.

    Args:
      image: `[H, W, 3]`.

    Returns:
      `[H, W, 3]`.

    Example:
      >>> greyscale(jnp.array([[[0.0, 0.0, 1.0]]])).round(3).tolist()
      [[[0.114..., 0.114..., 0.114...]]]
    """
    return jnp.broadcast_to(luminance(image)[..., None], image.shape)


def is_grey(image: ArrayLike) -> bool:
    """Tells whether an image is grey: whether its channels hardly differ.

    In all but one of a thousand pixels they differ by four steps of an 8-bit file at most, as a
    compressed drawing's do. A sepia photograph is not grey.

    Args:
      image: `[H, W, 3]` in [0, 1]; not traced.

    Example:
      >>> is_grey(jnp.full((4, 4, 3), 0.5)), is_grey(jnp.eye(3)[None])
      (True, False)
    """
    spread = np.ptp(np.asarray(image), axis=2)
    return bool(np.quantile(spread, 0.999) <= 4.5 / 255)


@on_any_mesh
def with_luminance_of(image: Array, source: Array) -> Array:
    """Gives an image the luminance of another and keeps its chroma.

    In YIQ, a change of Y alone adds the same number to R, G and B. For each pixel, that number is
    limited so that all three stay in [0, 1]. Clipping, which would change the chroma, is then never
    needed. The chroma is exact up to rounding; the luminance is exact where it fits into the range.

    Args:
      image: `[H, W, 3]` in [0, 1], for example the content image.
      source: `[H, W, 3]`, not necessarily in [0, 1], for example the result of a transfer between
        greyscale images.

    Returns:
      `[H, W, 3]` in [0, 1].

    Raises:
      ValueError: if the shapes differ.

    Example:
      >>> red, white = jnp.array([[[0.5, 0.25, 0.25]]]), jnp.ones((1, 1, 3))
      >>> with_luminance_of(red, white).tolist()
      [[[1.0, 0.75, 0.75]]]

    Reference: Gatys et al., CVPR 2017, section 5.1.
    """
    check_image(source, "source")
    check_image(image, "image")
    if image.shape != source.shape:
        raise ValueError(
            f"image and source should have the same shape, got {list(image.shape)} and "
            f"{list(source.shape)}"
        )
    result: Array = _with_luminance_of(image, source)
    return result


@on_any_mesh
def with_matched_chroma(image: Array, content: Array, style: Array) -> Array:
    """Gives an image the photograph's chroma, moved to the painting's colours.

    The photograph gets mean and covariance of the painting's colours, by the method "symmetric" of
    `match_color`, and then the luminance of the image. So colours do not shift within objects.

    Departure: the paper takes Oklab in place of YIQ, and smooths the chroma along edges.

    Args:
      image: `[H, W, 3]`, a finished picture.
      content: `[H, W, 3]` in [0, 1], its photograph.
      style: `[H', W', 3]` in [0, 1], its painting.

    Returns:
      `[H, W, 3]` in [0, 1].

    Raises:
      ValueError: if image and photograph have different shapes.

    Example:
      >>> content, style = jax.random.uniform(jax.random.key(0), (2, 8, 8, 3))
      >>> with_matched_chroma(content, content, content / 2).shape
      (8, 8, 3)

    Reference: Kolkin et al., "Neural neighbor style transfer", 2022, section 3, its last step.
    """
    moved = match_color(content, style, "symmetric", _TINTED)
    return with_luminance_of(jnp.clip(moved, 0.0, 1.0), image)


@on_any_mesh
def match_luminance(image: Array, target: Array) -> Array:
    r"""Shifts and scales an image's luminance to the mean and standard deviation of another's.

    .. math:: Y' = \frac{\sigma_t}{\sigma} (Y - \mu) + \mu_t

    The chroma stays. An image of constant luminance gets the target's mean.

    Args:
      image: `[H, W, 3]`, usually the painting.
      target: `[H', W', 3]`, usually the photograph.

    Returns:
      `[H, W, 3]`, not clipped.

    Raises:
      ValueError: if one of them is not `[H, W, 3]`.

    Example:
      >>> ramp = jnp.broadcast_to(jnp.linspace(0, 1, 5)[:, None, None], (5, 4, 3))
      >>> bool(jnp.allclose(match_luminance(0.1 + 0.5 * ramp, ramp), ramp, atol=1e-5))
      True

    Reference: Gatys et al., CVPR 2017, section 5.1.
    """
    check_image(image, "image")
    check_image(target, "target")
    result: Array = _match_luminance(image, target)
    return result


@on_any_mesh
def match_color(
    image: Array, target: Array, method: ColorMatch = "cholesky", eps: ArrayLike = 1e-5
) -> Array:
    r"""Gives an image the mean and the covariance of another's colours, by a linear map.

    .. math:: x' = A (x - \mu) + \mu_t, \qquad A \Sigma A^T = \Sigma_t

    This leaves a rotation open, which the method decides:

    - "cholesky": :math:`A = L_t L^{-1}`, with :math:`\Sigma = L L^T`;
    - "pca": :math:`A = \Sigma_t^{1/2} \Sigma^{-1/2}`, as in Image Analogies;
    - "symmetric": :math:`A = \Sigma^{-1/2} (\Sigma^{1/2} \Sigma_t \Sigma^{1/2})^{1/2}
      \Sigma^{-1/2}`, the one that moves colours least.

    Args:
      image: `[H, W, 3]`, usually the painting.
      target: `[H', W', 3]`, usually the photograph.
      method: how A is chosen.
      eps: added to the variances of both, for images with fewer than three independent channels.

    Returns:
      `[H, W, 3]`, not clipped.

    Raises:
      ValueError: if one of them is not `[H, W, 3]`, or the method is unknown.

    Example:
      >>> image, target = jax.random.uniform(jax.random.key(0), (2, 8, 8, 3))
      >>> matched = match_color(image, target / 2, "pca")
      >>> bool(jnp.allclose(matched.mean((0, 1)), target.mean((0, 1)) / 2, atol=1e-5))
      True

    Reference: Gatys et al., CVPR 2017, section 5.2; their code NeuralImageSynthesis, for `eps` and
    "symmetric".
    """
    check_image(image, "image")
    check_image(target, "target")
    check_choice("method", method, get_args(ColorMatch))
    result: Array = _match_color(image, target, to_device(eps), method=method)
    return result


def color_map(covariance: Array, target: Array, method: ColorMatch = "cholesky") -> Array:
    """Returns the linear map A of `match_color` between two covariances.

    Args:
      covariance: `[3, 3]`, positive definite.
      target: `[3, 3]`, what it becomes: `A @ covariance @ A.T`.
      method: how A is chosen.
    """
    matrix: Array
    with jax.default_matmul_precision("highest"):
        if method == "cholesky":
            factor, factor_t = jnp.linalg.cholesky(covariance), jnp.linalg.cholesky(target)
            matrix = jnp.linalg.solve(factor.T, factor_t.T).T
            return matrix
        root = _square_root(covariance)
        inner = _square_root(target)
        if method == "symmetric":
            inner = jnp.linalg.solve(root, _square_root(root @ target @ root))
        matrix = jnp.linalg.solve(root, inner.T).T
    return matrix


@on_any_mesh
def match_histogram(image: Array, target: Array) -> Array:
    """Gives each channel of an image the distribution of the same channel of another.

    Each value becomes the target's quantile of the same rank. Equal values stay equal and take the
    middle of their ranks. If no two values are equal and the images have the same size, the result
    has exactly the target's values. The result depends on the image only through the order of its
    values, so gradients reach the target and are zero for the image.

    Args:
      image: `[H, W, 3]`, usually the painting.
      target: `[H', W', 3]`, usually the photograph.

    Returns:
      `[H, W, 3]`, in the range of the target.

    Raises:
      ValueError: if one of them is not `[H, W, 3]`.

    Example:
      >>> image = jnp.linspace(0, 1, 12).reshape(2, 2, 3)
      >>> match_histogram(image, image[::-1] ** 2)[..., 0].tolist() == (image[..., 0] ** 2).tolist()
      True
    """
    check_image(image, "image")
    check_image(target, "target")
    result: Array = _match_histogram(image, target)
    return result


# What follows is compiled. The functions above check what they are given, because errors from
# inside a program come with a page about tracebacks.


@jax.jit
def _luminance(image: Array) -> Array:
    # Not a matrix product, because accelerators round that more coarsely.
    red, green, blue = (image[..., i] * weight for i, weight in enumerate(_LUMINANCE))
    return red + green + blue


@jax.jit
def _with_luminance_of(image: Array, source: Array) -> Array:
    change = _luminance(source) - _luminance(image)
    change = jnp.clip(change, -image.min(axis=2), 1.0 - image.max(axis=2))
    return jnp.clip(image + change[..., None], 0.0, 1.0)  # only rounding can leave the range


@jax.jit
def _match_luminance(image: Array, target: Array) -> Array:
    y, y_target = _luminance(image), _luminance(target)
    scale = jnp.sqrt((jnp.var(y_target) + _CONSTANT) / (jnp.var(y) + _CONSTANT))
    change: Array = scale * (y - jnp.mean(y)) + jnp.mean(y_target) - y
    return image + change[..., None]


@functools.partial(jax.jit, static_argnames="method")
def _match_color(image: Array, target: Array, eps: Array, *, method: ColorMatch) -> Array:
    mean, covariance = mean_and_covariance(image, eps)
    mean_t, covariance_t = mean_and_covariance(target, eps)
    matrix = color_map(covariance, covariance_t, method)
    centred = image - mean[None, None]
    return jnp.matmul(centred, matrix.T, precision="highest") + mean_t[None, None]


@jax.jit
def _match_histogram(image: Array, target: Array) -> Array:
    def match(values: Array, wanted: Array) -> Array:
        wanted, ordered = jnp.sort(wanted), jnp.sort(values)
        first, last = (jnp.searchsorted(ordered, values, side) for side in ("left", "right"))
        middle = (first + last).astype(values.dtype)
        rank = middle * (wanted.size / (2 * values.size)) - 0.5
        rank = jnp.clip(rank, 0, wanted.size - 1)
        below = jnp.floor(rank).astype(int)
        above = jnp.minimum(below + 1, wanted.size - 1)
        share = rank - below.astype(rank.dtype)
        return wanted[below] + share * (wanted[above] - wanted[below])

    channels = image.reshape(-1, 3), target.reshape(-1, 3)
    matched: Array = jax.vmap(match, in_axes=1, out_axes=1)(*channels).reshape(image.shape)
    return matched


def mean_and_covariance(
    image: Array, eps: ArrayLike = 1e-5, *, inside: Array | None = None
) -> tuple[Array, Array]:
    """Returns the mean `[3]` and covariance `[3, 3]` of the colours of all pixels.

    Args:
      image: `[H, W, 3]`.
      eps: added to the variances.
      inside: `[H, W, 1]`, which pixels count; None for all of them.
    """
    mean = jnp.mean(image, axis=(0, 1), where=inside)
    centred = image - mean[None, None]
    if inside is not None:
        centred = jnp.where(inside, centred, 0)
    count = image.shape[0] * image.shape[1] if inside is None else inside.sum()
    centred = centred.reshape(-1, 3)
    product = jnp.matmul(centred.T, centred, precision=jax.lax.Precision.HIGHEST)
    return mean, product / count + eps * jnp.eye(3, dtype=image.dtype)


@jax.custom_jvp
def _square_root(matrix: Array) -> Array:
    """Returns the square root of a symmetric positive definite matrix."""
    values, vectors = jnp.linalg.eigh(matrix)
    return jnp.matmul(vectors * jnp.sqrt(jnp.maximum(values, 0.0))[None], vectors.T)


@_square_root.defjvp
def _square_root_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    # Eigenvectors have no derivative where eigenvalues are equal, as they are for a greyscale
    # image. The root R has a derivative everywhere: R dR + dR R = dM.
    (matrix,), (change,) = primals, tangents
    root: Array = _square_root(matrix)
    identity = jnp.eye(len(matrix), dtype=matrix.dtype)
    system = jnp.kron(root, identity) + jnp.kron(identity, root)
    return root, jnp.linalg.solve(system, change.ravel()).reshape(matrix.shape)
