"""The protocol of what makes the picture that is there at once.

A first picture needs rows of weights: how much each style or painting counts, one row for the
picture, or one for each region. Paintings are named by their files.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from jax import Array
from numpy.typing import NDArray

from jaxstyle.feedforward.previous import Previous
from jaxstyle.pipeline.file_options import RegionOption, Share

Way = Literal[
    "network", "quick", "adain", "wct", "transport", "swap", "quilting", "neighbours", "analogies"
]
"""What makes the first picture: a network, the painting's colours, its features or its pieces."""

FEATURES: tuple[Way, ...] = ("adain", "wct", "transport", "swap")
"""The ways by features and a decoder."""
PIECES: tuple[Way, ...] = ("quilting", "neighbours", "analogies")
"""The ways by pieces of the painting, which need no network."""

Rows = Sequence[Sequence[float] | NDArray[np.float32]]


class Painted(NamedTuple):
    """What a first picture is made like.

    Attributes:
      paths: the files of the paintings, if they are needed.
      side: the longer side that they are seen at.
      load: reads one of them.
      trim: whether it cuts off even frames.
      weights: how much each style or painting counts, `[N]`, or `[H, W, N]`.
      previous: what is known from the frame before, in a film; None for a picture.
    """

    paths: Sequence[Path]
    side: int
    load: Callable[[Path, int], Array]
    trim: bool
    weights: NDArray[np.float32]
    previous: Previous | None = None


class First(Protocol):
    """A way to make the first picture."""

    def weigh(self, options: Mapping[str, Any], regions: Sequence[RegionOption] | None) -> Rows:
        """Returns rows of weights.

        Raises:
          OptionError: if the options do not fit.
        """

    def side(self, options: Mapping[str, Any], side: int) -> int:
        """Returns the longer side that paintings are seen at.

        Args:
          options: of the recipe.
          side: what it is for a polish.
        """

    def plan(self, shape: tuple[int, int], weights: tuple[int, ...], *, exact: bool) -> int:
        """Returns the peak memory, in bytes.

        Args:
          shape: height and width of the picture.
          weights: the shape of the weights.
          exact: whether to ask the compiler, in place of a formula.
        """

    def paint(
        self, program: tuple[int, int], photograph: NDArray[np.float32], like: Painted
    ) -> Array:
        """Returns the picture.

        Args:
          program: height and width of the program, at least those of the photograph.
          photograph: `[H, W, 3]`.
          like: what it is made like.
        """


def paintings_of(options: Mapping[str, Any]) -> list[tuple[Path, float]]:
    """Returns the files of the paintings that options of `apply` name, and their shares."""
    own = options.get("painting")
    if own is None:
        return []
    mix = options.get("mix", (Share(None, 1.0),))
    return [(Path(share.style or own), share.weight) for share in mix]


def rows_of_paintings(options: Mapping[str, Any], regions: Sequence[RegionOption] | None) -> Rows:
    """Returns rows of weights where each painting, or that of each region, is a style."""
    if regions is None:
        return [[share for _, share in paintings_of(options)]]
    return [list(row) for row in np.eye(len(regions))]
