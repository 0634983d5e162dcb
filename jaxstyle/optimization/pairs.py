"""The targets of a grid: every photograph with every painting."""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxstyle.losses.spec import LossSpec
from jaxstyle.losses.targets import Targets, content_targets, measure_style
from jaxstyle.networks.vgg import Params
from jaxstyle.optimization.transfer import whole_targets


def pair_targets(
    params: Params,
    contents: Sequence[Array],
    styles: Sequence[Array],
    spec: LossSpec,
    masks: Mapping[str, Array | None],
    calm: ArrayLike,
) -> list[list[Targets]]:
    """Returns the targets of each photograph with each painting.

    Args:
      params: the network's parameters.
      contents: C photographs of one size.
      styles: S paintings.
      spec: what is compared.
      masks: "keep" and "protect", each `[H, W]`, `[C, H, W]` or None; see `jaxstyle.stylize`.
      calm: from 0 to 1, how calm flat areas stay.

    Returns:
      C lists of S targets.

    Raises:
      ValueError: if masks do not fit the photographs.
    """
    given = {
        name: _per_content(name, mask, len(contents))
        for name, mask in masks.items()
        if mask is not None
    }
    if given or not (isinstance(calm, int | float) and calm == 0):
        return [
            [
                whole_targets(
                    params, content, style, spec, calm=calm,
                    **{name: each[c] for name, each in given.items()},
                )
                for style in styles
            ]
            for c, content in enumerate(contents)
        ]  # fmt: skip
    measured = [measure_style(params, style, spec=spec) for style in styles]
    photographs = [content_targets(params, content, spec) for content in contents]
    return [[each._replace(style=style) for style in measured] for each in photographs]


def _per_content(name: str, mask: Array, count: int) -> list[Array]:
    """Returns a mask for each of the photographs."""
    if jnp.ndim(mask) == 2:
        return [mask] * count
    if jnp.ndim(mask) != 3 or mask.shape[0] != count:
        raise ValueError(
            f"{name} should be [H, W], or [{count}, H, W] with one for each photograph, "
            f"got {list(jnp.shape(mask))}"
        )
    return list(mask)
