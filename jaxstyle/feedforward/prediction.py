"""Networks that paint like any painting: a second network predicts the scales and shifts.

A network of many styles has a row of scales and shifts for each of them. Here the rows are made
from what the compact network says of a painting: mean and standard deviation of its maps, the
condition. What is predicted is a row like any other, so several paintings are blended, also by
masks, as styles are (Ghiasi et al., BMVC 2017, whose condition is the output of another network).

Parameters are those of `jaxstyle.feedforward.network`, but that layers have no scales and shifts.
In their place there are

- `standard`: `mean` and `deviation` `[D]` of conditions, by which they are standardised;
- `predictor`: `encode` `[D, E]`, `decode` `[E, S]` and `base` `[S]`, where S counts the scales and
  shifts of all layers: those of the first layer by name, scales before shifts, and so on.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.checks import check_image
from jaxstyle.feedforward.palette import measure_colors
from jaxstyle.networks import vgg

Params = Mapping[str, Any]

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""The layers of the compact network whose maps the condition describes."""

_DEVIATION = 1e-3  # added to that of conditions: some maps never move


def measure_condition(compact: Params, painting: Array) -> Array:
    """Returns what a painting's scales and shifts are predicted from.

    Args:
      compact: parameters of the compact network.
      painting: `[H, W, 3]` in [0, 1], at least 16 pixels high and wide.

    Returns:
      `[D]`: for each layer of `LAYERS` the means of its maps, then their standard deviations.

    Raises:
      ValueError: if `painting` is not such an image.
    """
    check_image(painting, "painting")
    maps = vgg.features(compact, painting, LAYERS)
    moments = [f(maps[layer], (0, 1)) for layer in LAYERS for f in (jnp.mean, jnp.std)]
    return jnp.concatenate(moments)


def init_predictor(key: Array, params: Params, conditions: Array, width: int = 96) -> Params:
    """Returns a network for any painting that begins with what one of some styles has learned.

    At first it predicts the mean of the rows of those styles for every painting.

    Args:
      key: a `jax.random.key`.
      params: of a network of styles that works in the paintings' colours.
      conditions: `[B, D]` of paintings, for their mean and deviation.
      width: E, the numbers that a painting is told by.
    """
    layers = {name: dict(parts) for name, parts in params.items() if name != "colors"}
    base = []
    for name in _normalized(layers):
        base += [jnp.mean(layers[name].pop(part), 0) for part in ("scale", "shift")]
    dimensions = conditions.shape[-1]
    draw = jax.random.normal(key, (dimensions, width)) / max(dimensions, 1) ** 0.5
    known = {"mean": conditions.mean(0), "deviation": conditions.std(0) + _DEVIATION}
    start = jnp.concatenate(base)
    return {
        **layers,
        "standard": known,
        "predictor": {"encode": draw, "decode": jnp.zeros((width, len(start))), "base": start},
    }


def predict_styles(params: Params, conditions: Array, colors: Mapping[str, Any]) -> dict[str, Any]:
    """Returns parameters, as `paint` takes them, of a network whose styles are some paintings.

    Args:
      params: of a network for any painting.
      conditions: `[N, D]`, from `measure_condition`.
      colors: `mean` `[N, 3]` and `covariance` `[N, 3, 3]` of the paintings.
    """
    standard, predictor = params["standard"], params["predictor"]
    told = (conditions - standard["mean"]) / standard["deviation"]
    hidden = jnp.tanh(jnp.matmul(told, predictor["encode"], precision="highest"))
    rows = predictor["base"] + jnp.matmul(hidden, predictor["decode"], precision="highest")
    made = {n: dict(p) for n, p in params.items() if n not in ("standard", "predictor")}
    begin = 0
    for name in _normalized(made):
        width = made[name]["kernel"].shape[-1]
        for part in ("scale", "shift"):
            made[name][part] = rows[:, begin : begin + width]
            begin += width
    return {**made, "colors": dict(colors)}


def know_paintings(params: Params, compact: Params, paintings: list[Array]) -> dict[str, Any]:
    """Returns parameters, as `paint` takes them, of a network whose styles are some paintings.

    Args:
      params: of a network for any painting.
      compact: parameters of the compact network.
      paintings: each `[H, W, 3]` in [0, 1]; their sizes decide the sizes of the strokes.
    """
    conditions = jnp.stack([measure_condition(compact, each) for each in paintings])
    colors = jax.tree.map(lambda *rows: jnp.stack(rows), *map(measure_colors, paintings))
    return predict_styles(params, conditions, colors)


def row_of(colors: Mapping[str, Any], number: ArrayLike) -> dict[str, Array]:
    """Returns the colours of one painting among some, with an axis of length one."""
    return {name: each[number][None] for name, each in colors.items()}


def _normalized(layers: Mapping[str, Any]) -> list[str]:
    """Returns the names of the layers that have scales and shifts, sorted."""
    return sorted(name for name, p in layers.items() if "kernel" in p and "bias" not in p)
