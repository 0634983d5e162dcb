"""Compares an image with the photograph: by features at each place, or by how places are alike.

`features`
  Compares feature maps place by place. Zero where they are equal.

`self-similarity`
  Compares how alike any two places of a picture are. Zero where each place is to the others as in
  the photograph, whatever is there: a face may be of any colour and texture, as long as it differs
  from what is around it as it did. So it holds the layout, and leaves the strokes free.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Literal, get_args

import jax.numpy as jnp
from jax import Array

from jaxstyle._common.checks import check_choice
from jaxstyle.losses import functional
from jaxstyle.losses.neighbours.search import unit

ContentName = Literal["features", "self-similarity"]

_SOFTNESS = 0.1  # differences are of the order of one
_LEAST = 1e-2  # places of a flat picture differ by rounding alone, which would be blown up
MOST_PLACES = 1024
"""How many places of a map are compared with each other, at most."""


@dataclasses.dataclass(frozen=True)
class ContentLoss:
    """A way to compare an image with the photograph at a layer.

    Attributes:
      measure: `features -> target`.
      loss: `(features, target, weight) -> scalar`; the weight `[h, w]` says how much each position
        counts, and None is 1 for all.
      size: `(target, weight) -> scalar`, the loss that features of zero would have.
      factor: of the weights of the content layers. With it, losses of a finished picture of the
        default recipe are close to those of "features".
      layers: those that it is meant for, unless others are given; None for the recipe's own.
      by_rows: whether the loss of a map is the sum of those of its rows, each times its share.
    """

    measure: Callable[[Array], Array]
    loss: Callable[[Array, Array, Array | None], Array]
    size: Callable[[Array, Array | None], Array]
    factor: float = 1.0
    layers: tuple[str, ...] | None = None
    by_rows: bool = False


def get_content_loss(name: str) -> ContentLoss:
    """Returns a way to compare with the photograph by name.

    Args:
      name: one of those in the module's docstring.

    Raises:
      ValueError: if the name is unknown; the message lists the valid ones.

    Example:
      >>> get_content_loss("features").by_rows
      True
    """
    check_choice("content_loss", name, get_args(ContentName))
    return _CONTENT_LOSSES[name]


def self_similarity(features: Array) -> Array:
    r"""Measures how far apart any two places of a map are, each column relative to its sum.

    .. math:: \hat D_{ij} = \frac{D_{ij}}{\frac{1}{n} \sum_k D_{kj}}, \quad
        D_{ij} = 1 - \cos(F_i, F_j)

    Departure: the paper draws 1,024 places of the picture, and compares hypercolumns. Here places
    are those of one layer, on a grid of at most 1,024. With the mean in place of the sum, values
    do not depend on their number.

    Args:
      features: `[h, w, c]`.

    Returns:
      `[n, n]`, where n is the number of places on the grid.

    Example:
      >>> features = jnp.eye(2)[None]  # two places that have nothing in common
      >>> self_similarity(features).tolist()
      [[0.0, 2.0], [2.0, 0.0]]

    Reference: Kolkin, Salavon and Shakhnarovich, CVPR 2019, eq. 9.
    """
    rows = unit(thin(features.astype(jnp.float32)).reshape(-1, features.shape[2]))
    apart = 1 - jnp.matmul(rows, rows.T, precision="highest")
    # A place is no way from itself, whatever rounding says.
    apart = apart * (1 - jnp.eye(rows.shape[0]))
    return apart / jnp.maximum(jnp.mean(apart, axis=0, keepdims=True), _LEAST)


def self_similarity_loss(features: Array, target: Array, weight: Array | None = None) -> Array:
    r"""Computes how far two self-similarities are apart.

    .. math:: \frac{1}{n^2} \sum_{ij} w_i
        \bigl( \sqrt{(\hat D_{ij} - \hat D^*_{ij})^2 + \epsilon^2} - \epsilon \bigr)

    Departures: in the paper, :math:`\epsilon` is zero. Here it is 0.1, so that the loss has a slope
    at the photograph itself, where optimisations start. And a column of which the photograph says
    nothing, since its places are all alike, counts less or not at all.

    Args:
      features: `[h, w, c]` activations of the image.
      target: `[n, n]`, the `self_similarity` of the photograph.
      weight: `[h, w]`, how much each position counts; None is 1 for all.

    Returns:
      A scalar.

    Raises:
      ValueError: if the photograph had another size.

    Example:
      >>> features = jnp.eye(4).reshape(2, 2, 4)
      >>> float(self_similarity_loss(3 * features, self_similarity(features)))
      0.0
    """
    found = self_similarity(features)
    if found.shape != target.shape:
        raise ValueError(
            f"shapes should be equal, got {list(found.shape)} and {list(target.shape)}"
        )
    rows = jnp.mean(_soft(found - target) * _told(target), axis=1)
    return jnp.mean(rows if weight is None else thin(weight[..., None]).reshape(-1) * rows)


def _told(target: Array) -> Array:
    """Returns `[n]`, how much each column tells of places: 1, or less if all are nearly alike."""
    return jnp.minimum(jnp.mean(target, axis=0), 1.0)  # what `_LEAST` has divided has a lesser mean


def _soft(difference: Array) -> Array:
    squares = jnp.square(difference)
    # The difference of the root and epsilon, in a form without cancellation.
    return squares / (jnp.sqrt(squares + _SOFTNESS**2) + _SOFTNESS)


def thin(maps: Array, most: int = MOST_PLACES) -> Array:
    """Returns a map `[h, w, c]` at places on a grid, at most so many of them."""
    stride = 1
    while math.prod(-(-(side - stride // 2) // stride) for side in maps.shape[:2]) > most:
        stride += 1
    return maps[stride // 2 :: stride, stride // 2 :: stride]


def _same(features: Array) -> Array:
    return features.astype(jnp.float32)


def _features_size(target: Array, weight: Array | None) -> Array:
    squares = jnp.square(target)
    return jnp.mean(squares if weight is None else weight * jnp.mean(squares, axis=2))


def _similarity_size(target: Array, weight: Array | None) -> Array:
    # Places without features are all equally far apart.
    away = jnp.mean(_soft(target - 1) * _told(target))
    return away if weight is None else jnp.mean(weight) * away


_CONTENT_LOSSES: Mapping[str, ContentLoss] = {
    "features": ContentLoss(_same, functional.content_loss, _features_size, by_rows=True),
    "self-similarity": ContentLoss(
        self_similarity, self_similarity_loss, _similarity_size, 100.0, ("relu3_1", "relu4_1")
    ),
}
