"""What a statistic is: a way to measure a style, and to compare a picture with it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from jax import Array


@dataclasses.dataclass(frozen=True)
class Statistic:
    """A way to compare styles.

    Attributes:
      measure: `(features, mass, key) -> target`, a pytree of arrays whose shapes depend only on the
        number of channels.
      loss: `(features, mass, target) -> scalar`.
      size: `target -> scalar`, the loss that features of zero would have. Range penalties are
        scaled by it.
      weight: how much a layer counts by default. With it, the losses of a photograph in the
        normalised network are close to the loss of Gram matrices with their default weight; those
        of statistics that match pieces, which never vanish, are close to what Gram's end at.
      sums: `(features, mass, target) -> sums`, a pytree of means over positions. The means of a map
        are the sum of those of its parts, each times its share of the positions. None for a
        statistic that sorts positions.
      loss_of_sums: `(sums, target) -> scalar`, which equals `loss` but for rounding.
      joint: `(rows, colors, pieces) -> scalar`, compares the pieces of all layers at once, beside
        the layers' own losses; see `jaxstyle.losses.pieces`. None for a statistic that has no
        places.
      keeps_pieces: whether the target has pieces of the painting, which have no mean.
    """

    measure: Callable[[Array, Array | None, Array], Any]
    loss: Callable[[Array, Array | None, Any], Array]
    size: Callable[[Any], Array]
    weight: float = 1000.0
    sums: Callable[[Array, Array | None, Any], Any] | None = None
    loss_of_sums: Callable[[Any, Any], Array] | None = None
    joint: Callable[[Mapping[str, Array], Array, Mapping[str, Any]], Array] | None = None
    keeps_pieces: bool = False
