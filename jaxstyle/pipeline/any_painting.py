"""Networks that paint like any painting, told of some paintings' files."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from jaxstyle._common.kept import always, kept, once
from jaxstyle.errors import OptionError
from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.palette import measure_colors
from jaxstyle.feedforward.prediction import measure_condition, predict_styles
from jaxstyle.image.io import load_picture
from jaxstyle.networks.load import Network
from jaxstyle.pipeline.file_options import RegionOption
from jaxstyle.pipeline.first import Painted, Rows, rows_of_paintings
from jaxstyle.pipeline.one_pass import paint_into, plan_pass
from jaxstyle.pipeline.polish import large_enough, polisher

SIDE = 256
"""The longer side that paintings are seen at, as in training; another changes the strokes."""


@dataclasses.dataclass(frozen=True)
class AnyPainting:
    """A network for which each painting is a style.

    Attributes:
      network: the network.
      architecture: its form.
    """

    network: Network
    architecture: Architecture

    def weigh(self, options: Mapping[str, Any], regions: Sequence[RegionOption] | None) -> Rows:
        """Returns rows of weights, in which each painting is a style.

        Raises:
          OptionError: if no painting is named, or a style is.
        """
        if "painting" not in options:
            raise OptionError(
                "{} {name} paints like any painting; give {} FILE beside it",
                "fast-network", "painting", name=self.network.name,
            )  # fmt: skip
        for name in ("style", "blend"):
            if name in options:
                raise OptionError("{} is for networks with styles of their own; leave it out", name)
        return rows_of_paintings(options, regions)

    def side(self, options: Mapping[str, Any], side: int) -> int:
        """Returns the side of training: the network knows strokes of that size."""
        return int(options.get("style-size", SIDE))

    def plan(self, shape: tuple[int, int], weights: tuple[int, ...], *, exact: bool) -> int:
        """Returns the peak memory, in bytes, for a height and width."""
        params = shapes_of(self.network.params, weights[-1])
        return plan_pass(shape, params, weights, self.architecture, exact=exact)

    def paint(
        self, program: tuple[int, int], photograph: NDArray[np.float32], like: Painted
    ) -> Array:
        """Returns the picture, clipped."""
        params = tell(self.network.params, like)
        return paint_into(program, params, photograph, like.weights, self.architecture)


def tell(params: Mapping[str, Any], like: Painted) -> dict[str, Any]:
    """Returns parameters of a network whose styles are some paintings.

    Args:
      params: of a network that paints like any painting.
      like: the files of the paintings, and how they are seen.

    Raises:
      OSError, FileFormatError: if a painting cannot be read.
    """
    seen = [_seen(path, like.side, like.trim, path.stat().st_mtime_ns) for path in like.paths]
    conditions, colors = jax.tree.map(lambda *rows: jnp.stack(rows), *seen)
    known: dict[str, Any] = _predict(params, conditions, colors)
    return known


def shapes_of(params: Mapping[str, Any], paintings: int) -> Any:
    """Returns the shapes and types of what `tell` returns for a number of paintings.

    Args:
      params: of a network that paints like any painting.
      paintings: how many.
    """
    dimensions = params["standard"]["mean"].shape[0]

    def told(params: Mapping[str, Any]) -> dict[str, Any]:
        colors = {"mean": jnp.zeros((paintings, 3)), "covariance": jnp.zeros((paintings, 3, 3))}
        return predict_styles(params, jnp.zeros((paintings, dimensions)), colors)

    return jax.eval_shape(told, params)


_predict = kept(predict_styles, hurry=always)


@functools.lru_cache(maxsize=64)
def _seen(path: Path, side: int, trim: bool, changed: int) -> tuple[Array, dict[str, Array]]:
    """Returns the condition and the colours of a painting."""
    image = jnp.asarray(load_picture(path, size=side, trim=trim).image)
    condition: Array = _measure(polisher().network.params, large_enough(image))
    return condition, measure_colors(image)


_measure = kept(measure_condition, hurry=once(1))
