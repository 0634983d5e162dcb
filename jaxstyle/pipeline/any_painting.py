"""Networks that paint like any painting, told of some paintings' files."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle.feedforward.palette import measure_colors
from jaxstyle.feedforward.prediction import measure_condition, predict_styles
from jaxstyle.image.io import load_image
from jaxstyle.pipeline.file_options import Share
from jaxstyle.pipeline.polish import large_enough, polisher

SIDE = 256
"""The longer side that paintings are seen at, as in training; another changes the strokes."""


def paintings_of(options: Mapping[str, Any]) -> list[tuple[Path, float]]:
    """Returns the files of the paintings that options of `apply` name, and their shares."""
    own = options.get("painting")
    if own is None:
        return []
    mix = options.get("mix", (Share(None, 1.0),))
    return [(Path(share.style or own), share.weight) for share in mix]


def tell(params: Mapping[str, Any], paintings: Sequence[Path], side: int) -> dict[str, Any]:
    """Returns parameters of a network whose styles are some paintings.

    Args:
      params: of a network that paints like any painting.
      paintings: their files.
      side: the longer side that they are seen at, in pixels.

    Raises:
      OSError, FileFormatError: if a painting cannot be read.
    """
    seen = [_seen(path, side, path.stat().st_mtime_ns) for path in paintings]
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


_predict = jax.jit(predict_styles)


@functools.lru_cache(maxsize=64)
def _seen(path: Path, side: int, changed: int) -> tuple[Array, dict[str, Array]]:
    """Returns the condition and the colours of a painting."""
    image = load_image(path, size=side)
    condition: Array = _measure(polisher().network.params, large_enough(image))
    return condition, measure_colors(image)


_measure = jax.jit(measure_condition)
