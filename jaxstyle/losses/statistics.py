"""Compares styles by statistics of feature maps, which forget where things are.

Feature maps are `[h, w, c]`, of one image at one layer. A mass `[h, w]` says how much each position
counts, and sums to one; None counts all positions equally. The same formula thus serves whole
pictures, and regions with soft edges.

`gram`
  Compares second moments. Zero where the Gram matrices are equal.

`covariance`
  Compares means and covariances separately. Zero where both are equal.

`wasserstein`
  Compares the Gaussians with these means and covariances, by their optimal transport. Zero where
  both are equal.

`moments`
  Compares each channel's mean and variance. Zero where both are equal, no matter how the channels
  depend on each other.

`histogram`
  Compares each channel's whole distribution. Zero where all histograms are equal, no matter how the
  channels depend on each other.

`sliced`
  Compares the distributions along random directions. In the limit of many directions, zero where
  the whole distributions are equal.

`strotss`
  Matches pieces of all layers at once, by the relaxed earth mover's distance, and compares means
  and covariances by their absolute differences. Zero where each piece is in the other picture too.

`nearest`, `patches`, `contextual`
  Match pieces of each layer for itself, as NNST, Markov random fields and the contextual loss do;
  see `jaxstyle.losses.matching`.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common.checks import check_choice
from jaxstyle.losses import functional, matching
from jaxstyle.losses.pieces import match_columns_and_palette
from jaxstyle.losses.statistic import Statistic

StatisticName = Literal[
    "gram", "covariance", "wasserstein", "moments", "histogram", "sliced",
    "strotss", "nearest", "patches", "contextual",
]  # fmt: skip

NUM_DIRECTIONS = 64
"""Number of random directions of "sliced" at a layer, unless the layer has fewer channels."""
NUM_QUANTILES = 1024
"""Number of levels at which "histogram" and "sliced" keep a distribution."""
# Relative to the mean eigenvalue. Below this, the slope of a square root is rounding noise.
_SMALLEST_EIGENVALUE = 1e-4


class Gaussian(NamedTuple):
    """Mean and covariance of a feature map.

    Attributes:
      mean: `[c]`.
      covariance: `[c, c]`; for "moments" only its diagonal, `[c]`.
    """

    mean: Array
    covariance: Array


class Quantiles(NamedTuple):
    """Distributions of a feature map's projections.

    Attributes:
      values: `[NUM_QUANTILES, p]`, each column rising.
      directions: `[c, p]`, unit vectors; `[c, 0]` for "histogram", whose directions are the axes.
    """

    values: Array
    directions: Array


def get_statistic(name: str) -> Statistic:
    """Returns a statistic by name.

    Args:
      name: one of those in the module's docstring.

    Returns:
      The `Statistic`.

    Raises:
      ValueError: if the name is unknown; the message lists the valid ones.

    Example:
      >>> features = jax.random.normal(jax.random.key(0), (8, 8, 4))
      >>> statistic = get_statistic("covariance")
      >>> target = statistic.measure(features, None, jax.random.key(0))
      >>> float(statistic.loss(features[::-1], None, target)) < 1e-10
      True
    """
    check_choice("statistic", name, get_args(StatisticName))
    return _STATISTICS[name]


def gaussian(features: Array, mass: Array | None = None) -> Gaussian:
    r"""Computes the mean and covariance of the channels over positions.

    .. math:: \mu = \sum_i m_i F_i, \quad C = \sum_i m_i (F_i - \mu)(F_i - \mu)^T

    Args:
      features: `[h, w, c]`.
      mass: `[h, w]` that sums to one, or None.

    Returns:
      The mean `[c]` and the covariance `[c, c]`.

    Example:
      >>> gaussian(jnp.ones((4, 4, 2))).covariance.tolist()
      [[0.0, 0.0], [0.0, 0.0]]
    """
    features = features.astype(jnp.float32)
    mean = _mean(features, mass)
    return Gaussian(mean, functional.gram_matrix(features - mean[None, None], mass))


def wasserstein_distance(a: Gaussian, b: Gaussian) -> Array:
    r"""Computes the squared 2-Wasserstein distance of two Gaussians, per channel.

    .. math::

        \frac{1}{c} \left( \|\mu_a - \mu_b\|^2
        + \mathrm{tr}(C_a + C_b - 2 (C_b^{1/2} C_a C_b^{1/2})^{1/2}) \right)

    Args:
      a: mean `[c]` and covariance `[c, c]`; the one to differentiate.
      b: the same.

    Returns:
      A scalar.

    Example:
      >>> zero = Gaussian(jnp.zeros(2), jnp.zeros((2, 2)))
      >>> one = Gaussian(jnp.zeros(2), jnp.eye(2))
      >>> float(wasserstein_distance(one, zero))
      1.0

    Reference: Dowson and Landau, Journal of Multivariate Analysis, 1982; for style, Mroueh,
    "Wasserstein style transfer", AISTATS 2020.
    """
    root = _square_root(b.covariance)
    return _transport(a, b.mean, b.covariance, root)


def _gram_measure(features: Array, mass: Array | None, key: Array) -> Array:
    return functional.gram_matrix(features, mass)


def _gram_loss(features: Array, mass: Array | None, target: Array) -> Array:
    return functional.style_loss(functional.gram_matrix(features, mass), target)


def _gram_sums(features: Array, mass: Array | None, target: Array) -> Array:
    return functional.gram_matrix(features, mass)


def _mean_square(target: Any) -> Array:
    parts = [jnp.mean(jnp.square(leaf)) for leaf in jax.tree.leaves(target)]
    return sum(parts, start=jnp.float32(0.0))


def _covariance_measure(features: Array, mass: Array | None, key: Array) -> Gaussian:
    return gaussian(features, mass)


def _covariance_loss(features: Array, mass: Array | None, target: Gaussian) -> Array:
    return _distance(gaussian(features, mass), target)


def _distance(a: Gaussian, b: Gaussian) -> Array:
    return _mean_square(jax.tree.map(jnp.subtract, a, b))


def _covariance_sums(features: Array, mass: Array | None, target: Gaussian) -> Gaussian:
    # Moments about the target's mean, not about zero: if the two means are close, little cancels.
    away = features.astype(jnp.float32) - target.mean[None, None]
    return Gaussian(_mean(away, mass), functional.gram_matrix(away, mass))


def _covariance_loss_of_sums(sums: Gaussian, target: Gaussian) -> Array:
    return _distance(_gaussian_of_sums(sums, target), target)


def _gaussian_of_sums(sums: Gaussian, target: Gaussian) -> Gaussian:
    drift = sums.mean
    return Gaussian(target.mean + drift, sums.covariance - jnp.outer(drift, drift))


def _absolute_distance(a: Gaussian, b: Gaussian) -> Array:
    return jnp.mean(jnp.abs(a.mean - b.mean)) + jnp.mean(jnp.abs(a.covariance - b.covariance))


def _absolute_loss(features: Array, mass: Array | None, target: Gaussian) -> Array:
    return _absolute_distance(gaussian(features, mass), target)


def _absolute_loss_of_sums(sums: Gaussian, target: Gaussian) -> Array:
    return _absolute_distance(_gaussian_of_sums(sums, target), target)


def _absolute_size(target: Gaussian) -> Array:
    # The relaxed distance of features that vanish is one.
    return 1 + jnp.mean(jnp.abs(target.mean)) + jnp.mean(jnp.abs(target.covariance))


def _moments_measure(features: Array, mass: Array | None, key: Array) -> Gaussian:
    features = features.astype(jnp.float32)
    mean = _mean(features, mass)
    return Gaussian(mean, _mean(jnp.square(features - mean[None, None]), mass))


def _moments_loss(features: Array, mass: Array | None, target: Gaussian) -> Array:
    return _distance(_moments_measure(features, mass, jnp.zeros(())), target)


def _moments_sums(features: Array, mass: Array | None, target: Gaussian) -> Gaussian:
    away = features.astype(jnp.float32) - target.mean[None, None]
    return Gaussian(_mean(away, mass), _mean(jnp.square(away), mass))


def _moments_loss_of_sums(sums: Gaussian, target: Gaussian) -> Array:
    drift = sums.mean
    found = Gaussian(target.mean + drift, sums.covariance - jnp.square(drift))
    return _distance(found, target)


class _Transported(NamedTuple):
    """A Gaussian, and the square root of its covariance, which costs as much as the loss."""

    gaussian: Gaussian
    root: Array


def _wasserstein_measure(features: Array, mass: Array | None, key: Array) -> _Transported:
    found = gaussian(features, mass)
    return _Transported(found, _square_root(found.covariance))


def _wasserstein_loss(features: Array, mass: Array | None, target: _Transported) -> Array:
    return _transport(gaussian(features, mass), *target.gaussian, target.root)


def _wasserstein_sums(features: Array, mass: Array | None, target: _Transported) -> Gaussian:
    return _covariance_sums(features, mass, target.gaussian)


def _wasserstein_loss_of_sums(sums: Gaussian, target: _Transported) -> Array:
    found = _gaussian_of_sums(sums, target.gaussian)
    return _transport(found, *target.gaussian, target.root)


def _wasserstein_size(target: _Transported) -> Array:
    mean, covariance = target.gaussian
    return jnp.mean(jnp.square(mean)) + jnp.mean(jnp.diagonal(covariance))


def _transport(a: Gaussian, mean: Array, covariance: Array, root: Array) -> Array:
    middle = _product(_product(root, a.covariance), root)
    traces = jnp.trace(a.covariance) + jnp.trace(covariance) - 2 * _trace_of_root(middle)
    # Rounding may leave the sum of the traces a little below zero.
    return jnp.mean(jnp.square(a.mean - mean)) + jnp.maximum(traces, 0.0) / mean.shape[0]


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def _square_root(matrix: Array) -> Array:
    values, vectors = jnp.linalg.eigh(matrix)
    return _product(vectors * jnp.sqrt(jnp.maximum(values, 0.0))[None], vectors.T)


@jax.custom_jvp
def _trace_of_root(matrix: Array) -> Array:
    """Computes the trace of the square root of a positive semi-definite matrix `[c, c]`."""
    return jnp.sum(jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(matrix), 0.0)))


@_trace_of_root.defjvp
def _trace_of_root_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (matrix,), (change,) = primals, tangents
    values, vectors = jnp.linalg.eigh(matrix)
    least = _SMALLEST_EIGENVALUE * jnp.mean(jnp.abs(values)) + 1e-30
    # The slope of the trace is half the inverse root. Eigenvectors have no slope where eigenvalues
    # are equal, as they are at zero for maps with fewer positions than channels, but the trace has.
    slope = _product(vectors / (2 * jnp.sqrt(jnp.maximum(values, least)))[None], vectors.T)
    return jnp.sum(jnp.sqrt(jnp.maximum(values, 0.0))), jnp.sum(slope * change)


def _sliced_measure(features: Array, mass: Array | None, key: Array) -> Quantiles:
    channels = features.shape[2]
    directions = jax.random.normal(key, (channels, min(channels, NUM_DIRECTIONS)))
    directions = directions / jnp.linalg.norm(directions, axis=0, keepdims=True)
    return Quantiles(_quantiles(features, mass, directions), directions)


def _histogram_measure(features: Array, mass: Array | None, key: Array) -> Quantiles:
    axes = jnp.zeros((features.shape[2], 0))
    return Quantiles(_quantiles(features, mass, axes), axes)


def _quantile_loss(features: Array, mass: Array | None, target: Quantiles) -> Array:
    values, levels, weights = _sorted(features, mass, target.directions)
    matched = _interpolate(levels, target.values)
    return jnp.mean(jnp.sum(weights * jnp.square(values - matched), axis=0))


def _quantile_size(target: Quantiles) -> Array:
    return jnp.mean(jnp.square(target.values))


def _quantiles(features: Array, mass: Array | None, directions: Array) -> Array:
    """Returns the projections' values at `NUM_QUANTILES` levels, `[NUM_QUANTILES, p]`."""
    values, levels, _ = _sorted(features, mass, directions)
    wanted = _levels(NUM_QUANTILES)
    return jax.vmap(lambda x, y: jnp.interp(wanted, x, y), in_axes=1, out_axes=1)(levels, values)


def _levels(count: int) -> Array:
    """Returns the levels in (0, 1) of so many sorted values of equal mass, `[count]`."""
    return (jnp.arange(count, dtype=jnp.float32) + 0.5) / count


def _sorted(features: Array, mass: Array | None, directions: Array) -> tuple[Array, Array, Array]:
    """Sorts each projection's values; returns values, levels in (0, 1) and masses, `[h·w, p]`."""
    flat = features.astype(jnp.float32).reshape(-1, features.shape[2])
    if directions.shape[1]:
        flat = _product(flat, directions)
    if mass is None:
        count = flat.shape[0]
        levels = jnp.broadcast_to(_levels(count)[:, None], flat.shape)
        return jnp.sort(flat, axis=0), levels, jnp.full((1, 1), 1 / count)
    order = jnp.argsort(jax.lax.stop_gradient(flat), axis=0)
    weights = jnp.take_along_axis(jnp.broadcast_to(mass.reshape(-1, 1), flat.shape), order, axis=0)
    # Positions without mass have the levels of their neighbours and weigh nothing.
    levels = jnp.cumsum(weights, axis=0) - weights / 2
    return jnp.take_along_axis(flat, order, axis=0), levels, weights


def _interpolate(levels: Array, quantiles: Array) -> Array:
    """Returns the values `[n, p]` of distributions `[NUM_QUANTILES, p]` at levels `[n, p]`."""
    position = jnp.clip(levels * NUM_QUANTILES - 0.5, 0.0, NUM_QUANTILES - 1)
    below = jnp.minimum(position.astype(jnp.int32), NUM_QUANTILES - 2)
    low = jnp.take_along_axis(quantiles, below, axis=0)
    high = jnp.take_along_axis(quantiles, below + 1, axis=0)
    return low + (position - below.astype(position.dtype)) * (high - low)


def _mean(features: Array, mass: Array | None) -> Array:
    if mass is None:
        return jnp.mean(features, axis=(0, 1))
    return jnp.einsum("ij,ijc->c", mass, features, precision=jax.lax.Precision.HIGHEST)


_STATISTICS: Mapping[str, Statistic] = {
    "gram": Statistic(
        _gram_measure, _gram_loss, _mean_square,
        sums=_gram_sums, loss_of_sums=functional.style_loss,
    ),
    "covariance": Statistic(
        _covariance_measure, _covariance_loss, _mean_square, 2000.0,
        sums=_covariance_sums, loss_of_sums=_covariance_loss_of_sums,
    ),
    "wasserstein": Statistic(
        _wasserstein_measure, _wasserstein_loss, _wasserstein_size, 2000.0,
        sums=_wasserstein_sums, loss_of_sums=_wasserstein_loss_of_sums,
    ),
    "moments": Statistic(
        _moments_measure, _moments_loss, _mean_square, 300.0,
        sums=_moments_sums, loss_of_sums=_moments_loss_of_sums,
    ),
    "histogram": Statistic(_histogram_measure, _quantile_loss, _quantile_size, 3000.0),
    "sliced": Statistic(_sliced_measure, _quantile_loss, _quantile_size, 5000.0),
    "strotss": Statistic(
        _covariance_measure, _absolute_loss, _absolute_size, 1.0,
        sums=_covariance_sums, loss_of_sums=_absolute_loss_of_sums,
        joint=match_columns_and_palette, keeps_pieces=True,
    ),
    "nearest": matching.NEAREST,
    "patches": matching.PATCHES,
    "contextual": matching.CONTEXTUAL,
}  # fmt: skip
