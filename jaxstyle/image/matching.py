"""Photographs with more than a painting's colours, in closed form.

`jaxstyle.color.match_color` gives an image the mean and covariance of another's colours. Here an
image gets the whole distribution of its colours (`match_distribution`), or the covariances of
neighbouring pixels (`match_patches`). Nothing is trained, and nothing is optimised. These pictures
are starts for an optimisation, or pictures of their own.
"""

import functools

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common.arrays import default_key
from jaxstyle._common.checks import check_image, check_key
from jaxstyle._common.sharding import on_any_mesh

_FLOOR = 1e-5  # of the largest eigenvalue: the least that a direction of a Gaussian counts as


@on_any_mesh
def match_distribution(
    image: Array, target: Array, *, rounds: int = 20, key: Array | None = None
) -> Array:
    """Gives an image the distribution of another's colours, by sliced optimal transport.

    In each round the colours are projected onto three random directions at right angles, and along
    each of them the values become the target's of the same rank.

    Args:
      image: `[H, W, 3]`, usually the photograph.
      target: `[H', W', 3]`, usually the painting.
      rounds: how many; static.
      key: a `jax.random.key` for the directions; `key(0)` by default.

    Returns:
      `[H, W, 3]`, about in the range of the target.

    Raises:
      ValueError: if one of them is not `[H, W, 3]`, or `rounds` is less than one.

    Example:
      >>> image, target = jax.random.uniform(jax.random.key(0), (2, 32, 32, 3))
      >>> matched = match_distribution(image, target**2)
      >>> [round(float(jnp.quantile(each, 0.3)), 1) for each in (image, target**2, matched)]
      [0.3, 0.1, 0.1]

    Reference: Pitié, Kokaram and Dahyot, ICCV 2005.
    """
    check_image(image, "image")
    check_image(target, "target")
    if rounds < 1:
        raise ValueError(f"rounds should be at least 1, got {rounds}")
    key = default_key() if key is None else check_key(key, "key")
    result: Array = _match_distribution(image, target, key, rounds=rounds)
    return result


@on_any_mesh
def match_patches(image: Array, target: Array, *, side: int = 3) -> Array:
    """Gives an image the mean and covariance of another's small patches, and so some of its grain.

    Patches are taken as vectors of a Gaussian, which are moved as little as possible; see the
    method "symmetric" of `jaxstyle.color.match_color`. A pixel is the mean over the patches that
    contain it.

    Args:
      image: `[H, W, 3]`, usually the photograph.
      target: `[H', W', 3]`, usually the painting.
      side: of the patches, in pixels; odd, static.

    Returns:
      `[H, W, 3]`, not clipped.

    Raises:
      ValueError: if one of them is not `[H, W, 3]`, or `side` is not odd.

    Example:
      >>> image, target = jax.random.uniform(jax.random.key(0), (2, 9, 9, 3))
      >>> bool(jnp.allclose(match_patches(image, image), image, atol=1e-3))
      True
    """
    check_image(image, "image")
    check_image(target, "target")
    if side < 1 or side % 2 == 0:
        raise ValueError(f"side should be an odd number from 1, got {side}")
    result: Array = _match_patches(image, target, side=side)
    return result


def transport_map(covariance: Array, target: Array) -> Array:
    r"""Returns the linear map that turns one Gaussian into another and moves vectors least.

    .. math:: A = \Sigma^{-1/2} (\Sigma^{1/2} \Sigma_t \Sigma^{1/2})^{1/2} \Sigma^{-1/2}

    Directions that are flat count as a little that is not, so that covariances of low rank, and of
    equal eigenvalues, are no harm.

    Args:
      covariance: `[C, C]`.
      target: `[C, C]`, what it becomes: `A @ covariance @ A.T`.
    """
    with jax.default_matmul_precision("highest"):
        values, vectors = jnp.linalg.eigh(covariance)
        values = jnp.maximum(values, jnp.maximum(_FLOOR * values[-1], 1e-12))
        root = (vectors * jnp.sqrt(values)) @ vectors.T
        inverse = (vectors / jnp.sqrt(values)) @ vectors.T
        inner, turned = jnp.linalg.eigh(root @ target @ root)
        middle = (turned * jnp.sqrt(jnp.maximum(inner, 0.0))) @ turned.T
        matrix: Array = inverse @ middle @ inverse
    return matrix


def moments(vectors: Array) -> tuple[Array, Array]:
    """Returns the mean `[C]` and the covariance `[C, C]` of vectors `[..., C]`."""
    flat = vectors.reshape(-1, vectors.shape[-1])
    mean = jnp.mean(flat, 0)
    centred = flat - mean
    return mean, jnp.matmul(centred.T, centred, precision="highest") / len(flat)


def _moved(vectors: Array, target: Array) -> Array:
    """Returns vectors `[..., C]` with the mean and covariance of others."""
    (mean, covariance), (mean_t, covariance_t) = moments(vectors), moments(target)
    matrix = transport_map(covariance, covariance_t)
    return jnp.matmul(vectors - mean, matrix, precision="highest") + mean_t


@functools.partial(jax.jit, static_argnames="rounds")
def _match_distribution(image: Array, target: Array, key: Array, *, rounds: int) -> Array:
    wanted = target.reshape(-1, 3)
    # The target's values at the ranks that the image has.
    places = (jnp.arange(image.shape[0] * image.shape[1]) + 0.5) / (image.shape[0] * image.shape[1])
    at = jnp.clip(places * len(wanted) - 0.5, 0, len(wanted) - 1)

    def once(colors: Array, key: Array) -> tuple[Array, None]:
        turn = jnp.linalg.qr(jax.random.normal(key, (3, 3)))[0]
        along, along_t = (jnp.matmul(c, turn, precision="highest") for c in (colors, wanted))
        ordered = jnp.sort(along_t, axis=0)
        below = at.astype(int)
        above = jnp.minimum(below + 1, len(wanted) - 1)
        share = (at - below)[:, None]
        values = (1 - share) * ordered[below] + share * ordered[above]
        ranks = jnp.argsort(jnp.argsort(along, axis=0), axis=0)
        moved = jnp.take_along_axis(values, ranks, axis=0)
        return jnp.matmul(moved, turn.T, precision="highest"), None

    colors, _ = jax.lax.scan(once, image.reshape(-1, 3), jax.random.split(key, rounds))
    return colors.reshape(image.shape)


@functools.partial(jax.jit, static_argnames="side")
def _match_patches(image: Array, target: Array, *, side: int) -> Array:
    half = side // 2

    def patches(picture: Array) -> Array:
        padded = jnp.pad(picture, ((half, half), (half, half), (0, 0)), mode="edge")
        h, w, _ = picture.shape
        shifted = [padded[i : i + h, j : j + w] for i in range(side) for j in range(side)]
        return jnp.concatenate(shifted, -1)

    moved = _moved(patches(image), patches(target))
    h, w, _ = image.shape
    padded = jnp.pad(moved, ((half, half), (half, half), (0, 0)))
    parts = [
        padded[side - 1 - i : side - 1 - i + h, side - 1 - j : side - 1 - j + w,
               3 * (i * side + j) : 3 * (i * side + j) + 3]
        for i in range(side) for j in range(side)
    ]  # fmt: skip
    # Fewer patches contain a pixel near the edge.
    rows, columns = (
        jnp.minimum(half, jnp.arange(n)) + jnp.minimum(half, jnp.arange(n)[::-1]) + 1
        for n in (h, w)
    )
    mean: Array = sum(parts[1:], start=parts[0]) / (rows[:, None] * columns)[..., None]
    return mean
