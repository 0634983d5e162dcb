"""What is measured of finished pictures, beside losses: is the layout there, and are the pieces?

Losses of statistics favour the methods that minimise them. These measures do not see statistics.
Two say how far places are to each other as they are in the photograph, and two say whether what is
there is the painting's.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle.losses.content import self_similarity, thin
from jaxstyle.losses.neighbours.search import nearest, unit

_MOST_PIECES = 4096
_TEMPERATURE = 0.1


class Photograph(NamedTuple):
    """What is kept of the photograph at a layer.

    Attributes:
      alike: `[n, n]`, its self-similarity.
      attention: `[n, n]`, the logarithms of how each place's attention is shared.
    """

    alike: Array
    attention: Array


class Pieces(NamedTuple):
    """How a picture uses the pieces of a painting at a layer.

    Attributes:
      distinct: scalar, the number of different pieces that are nearest to a place of the picture,
        as a share of all places. Few mean that a piece is repeated.
      cosine: scalar, the mean cosine of a place and the nearest piece, features less their mean.
    """

    distinct: Array
    cosine: Array


def measure_photograph(features: Array) -> Photograph:
    """Measures the photograph once for many pictures.

    Args:
      features: `[h, w, c]`.
    """
    return Photograph(self_similarity(features), _attention(features))


def self_similarity_error(features: Array, photograph: Photograph) -> Array:
    r"""Computes the mean absolute difference of the self-similarities of picture and photograph.

    .. math:: \frac{1}{n^2} \sum_{ij} |\hat D_{ij} - \hat D^*_{ij}|

    Args:
      features: `[h, w, c]` of the picture.
      photograph: from `measure_photograph`.

    Returns:
      A scalar, zero for the photograph itself.

    Example:
      >>> features = jax.random.uniform(jax.random.key(0), (4, 4, 8))
      >>> float(self_similarity_error(features, measure_photograph(features)))
      0.0

    Reference: Kolkin, Salavon and Shakhnarovich, CVPR 2019, eq. 9.
    """
    return jnp.mean(jnp.abs(self_similarity(features) - photograph.alike))


def structure_distance(features: Array, photograph: Photograph) -> Array:
    r"""Computes the content feature structural distance (CFSD) of picture and photograph.

    .. math:: \frac{1}{n} \sum_i \mathrm{KL}(S^*_i \,\|\, S_i), \quad
        S_i = \mathrm{softmax}_j(\cos(F_i, F_j) / 0.1)

    Departure: the paper takes the products of features in place of cosines, which depend on the
    scale of the network's weights. Places are those of a grid of at most 1,024.

    Args:
      features: `[h, w, c]` of the picture.
      photograph: from `measure_photograph`.

    Returns:
      A scalar, zero for the photograph itself.

    Example:
      >>> features = jax.random.uniform(jax.random.key(0), (4, 4, 8))
      >>> float(structure_distance(features, measure_photograph(features)))
      0.0

    Reference: Chung, Hyun and Heo, "Style injection in diffusion", CVPR 2024, section 5.
    """
    logarithms = photograph.attention
    apart = jnp.exp(logarithms) * (logarithms - _attention(features))
    return jnp.mean(jnp.sum(apart, axis=1))


def use_of_pieces(features: Array, painting: Array) -> Pieces:
    """Measures which pieces of a painting a picture uses.

    Args:
      features: `[h, w, c]` of the picture.
      painting: `[m, c]` of the painting; see `pieces_of`.

    Returns:
      `Pieces`.

    Example:
      >>> features = jax.random.uniform(jax.random.key(0), (4, 4, 8))
      >>> use = use_of_pieces(features, pieces_of(features))
      >>> round(float(use.distinct), 3), round(float(use.cosine), 3)
      (1.0, 1.0)
    """
    middle = jnp.mean(painting, axis=0)
    rows = pieces_of(features)
    found = nearest(rows - middle, painting - middle, "cosine")
    used = jnp.zeros(painting.shape[0]).at[found.index].set(1.0)
    return Pieces(jnp.sum(used) / rows.shape[0], jnp.mean(1 - found.distance))


def pieces_of(features: Array) -> Array:
    """Returns the features of the places of a map on a grid, `[n, c]`, n at most 4,096."""
    return thin(features.astype(jnp.float32), _MOST_PIECES).reshape(-1, features.shape[2])


def _attention(features: Array) -> Array:
    rows = unit(thin(features.astype(jnp.float32)).reshape(-1, features.shape[2]))
    alike = jnp.matmul(rows, rows.T, precision="highest")
    return jax.nn.log_softmax(alike / _TEMPERATURE, axis=1)
