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
from jaxstyle.image.color import match_color

_SAMPLE = 2**14  # pixels that quantiles are taken of
_KNOTS = 129  # of a curve along one direction
_FLOOR = 1e-5  # of the largest eigenvalue: the least that a direction of a Gaussian counts as
_ALIKE = 1e-5  # values that differ by less are one: far below a step of an 8-bit file


@on_any_mesh
def match_distribution(
    image: Array, target: Array, *, rounds: int = 5, key: Array | None = None
) -> Array:
    """Gives an image the distribution of another's colours, by sliced optimal transport.

    First the colours get mean and covariance of the target's, by the method "symmetric" of
    `jaxstyle.color.match_color`. Then, in each round, they are projected onto three random
    directions at right angles, and along each of them a curve moves the image's quantiles to the
    target's. All rounds together are a continuous map of colours: what has one colour keeps one.

    Args:
      image: `[H, W, 3]`, usually the photograph.
      target: `[H', W', 3]`, usually the painting.
      rounds: how many; static. More of them come nearer to the target, and flat areas then show
        more of their grain.
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


def transport_map(covariance: Array, target: Array, least: float = 0.0) -> Array:
    r"""Returns the linear map that turns one Gaussian into another and moves vectors least.

    .. math:: A = \Sigma^{-1/2} (\Sigma^{1/2} \Sigma_t \Sigma^{1/2})^{1/2} \Sigma^{-1/2}

    Directions that are flat count as a little that is not, so that covariances of low rank, and of
    equal eigenvalues, are no harm.

    Args:
      covariance: `[C, C]`.
      target: `[C, C]`, what it becomes: `A @ covariance @ A.T`.
      least: the variance below which a direction is nothing but rounding, and becomes none.
    """
    with jax.default_matmul_precision("highest"):
        values, vectors = jnp.linalg.eigh(covariance)
        values = jnp.maximum(values, jnp.maximum(_FLOOR * values[-1], 1e-12))
        root = (vectors * jnp.sqrt(values)) @ vectors.T
        inverse = (vectors * jnp.where(values < least, 0, 1 / jnp.sqrt(values))) @ vectors.T
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
    image = match_color(image, target, "symmetric")
    some, wanted = _sample(image), _sample(target)

    def once(colors: tuple[Array, Array], key: Array) -> tuple[tuple[Array, Array], None]:
        turn = jnp.linalg.qr(jax.random.normal(key, (3, 3)))[0]
        knots, goals = (_quantiles(_turned(each, turn)) for each in (colors[1], wanted))
        goals = _shared(knots, goals)

        def move(each: Array) -> Array:
            return _turned(_moved_along(_turned(each, turn), knots, goals - knots), turn.T)

        return (move(colors[0]), move(colors[1])), None

    (colors, _), _ = jax.lax.scan(once, (image.reshape(-1, 3), some), jax.random.split(key, rounds))
    return colors.reshape(image.shape)


def _sample(image: Array) -> Array:
    """Returns the colours of some pixels, evenly spread, `[N, 3]`."""
    height, width, _ = image.shape
    step = max(1, round((height * width / _SAMPLE) ** 0.5))
    down = min(step, height)  # a strip has no row at half a step, and more columns instead
    across = step * step // down
    return image[down // 2 :: down, min(across, width) // 2 :: across].reshape(-1, 3)


def _turned(colors: Array, turn: Array) -> Array:
    return jnp.matmul(colors, turn, precision="highest")


def _quantiles(values: Array) -> Array:
    """Returns evenly spaced quantiles of each column, `[K, 3]`."""
    ordered = jnp.sort(values, axis=0)
    return ordered[jnp.round(jnp.linspace(0, len(values) - 1, _KNOTS)).astype(int)]


def _shared(knots: Array, goals: Array) -> Array:
    """Returns goals `[K, 3]` where knots of one value have one goal, the mean of theirs.

    A flat area covers many quantiles. It would else take the last one's goal: a sheet of one colour
    the painting's extremes, which no pixel of it has together.
    """
    alike = (jnp.abs(knots[:, None] - knots[None]) < _ALIKE).astype(goals.dtype)
    return jnp.einsum("ijc,jc->ic", alike, goals, precision="highest") / jnp.sum(alike, axis=1)


def _moved_along(values: Array, knots: Array, shifts: Array) -> Array:
    """Adds to each column of values what a curve through knots says."""
    return values + jax.vmap(jnp.interp, in_axes=1, out_axes=1)(values, knots, shifts)


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
