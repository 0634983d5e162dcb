"""Several paintings in one picture: their targets side by side, or a target between them."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.arrays import to_device
from jaxstyle.losses.targets import Mixture

Shares = Sequence[ArrayLike] | Array
StyleShares = Shares | Mapping[str, Shares]


def mix_styles(
    styles: Sequence[Mapping[str, Any]],
    weights: StyleShares,
    masses: Mapping[str, Array] | None = None,
) -> tuple[dict[str, Any], Mixture]:
    """Joins the style targets of several images into one, each with its weight.

    Each target has a loss of its own, and the objective gets their weighted sum. For Gram matrices
    and weights that sum to one, `blend_styles` has the same minimum and costs less.

    Args:
      styles: K times the style targets of `compute_targets`.
      weights: K numbers, or `{layer: K numbers}`, which can take coarse scales from one painting
        and fine ones from another.
      masses: `{layer: [K, h, w]}`, the regions of the image; see
        `jaxstyle.losses.guides.region_masses`.

    Returns:
      `style` and `mixture` of `Targets`.

    Raises:
      ValueError: if there is no style, or the weights are not K.

    Example:
      >>> style, mixture = mix_styles([{"relu1_1": jnp.eye(2)}, {"relu1_1": jnp.ones((2, 2))}],
      ...                             [0.25, 0.75])
      >>> style["relu1_1"].shape, mixture.weights["relu1_1"].tolist()
      ((2, 2, 2), [0.25, 0.75])
    """
    if not styles:
        raise ValueError("styles is empty; a mixture needs at least one")
    by_layer = _weights_by_layer(styles, weights)
    stacked: dict[str, Any] = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(dict, styles))
    return stacked, Mixture(by_layer, None if masses is None else dict(masses))


def blend_styles(
    styles: Sequence[Mapping[str, Any]],
    weights: StyleShares,
) -> dict[str, Any]:
    """Returns the weighted sum of several style targets, a style between them.

    Args:
      styles: K times the style targets of `compute_targets`.
      weights: K numbers, or `{layer: K numbers}`; for a style between the given ones they sum to
        one.

    Returns:
      `style` of `Targets`.

    Raises:
      ValueError: if there is no style, or the weights are not K.

    Example:
      >>> blend_styles([{"relu1_1": jnp.eye(2)}, {"relu1_1": jnp.zeros((2, 2))}],
      ...              [0.5, 0.5])["relu1_1"].tolist()
      [[0.5, 0.0], [0.0, 0.5]]
    """
    if not styles:
        raise ValueError("styles is empty; a blend needs at least one")
    blended: dict[str, Any] = _blend([dict(s) for s in styles], _weights_by_layer(styles, weights))
    return blended


@jax.jit
def _blend(styles: list[dict[str, Any]], weights: dict[str, Array]) -> dict[str, Any]:
    return {
        layer: jax.tree.map(
            lambda *leaves, w=w: sum((w[k] * x for k, x in enumerate(leaves)), start=0.0),
            *(style[layer] for style in styles),
        )
        for layer, w in weights.items()
    }


def _weights_by_layer(
    styles: Sequence[Mapping[str, Any]],
    weights: StyleShares,
) -> dict[str, Array]:
    layers = list(styles[0])
    given = weights if isinstance(weights, Mapping) else dict.fromkeys(layers, weights)
    if set(given) != set(layers):
        raise ValueError(
            f"weights are given for {', '.join(given)}, but the layers are {', '.join(layers)}"
        )
    for layer in layers:
        if len(given[layer]) != len(styles):
            raise ValueError(
                f"weights should be {len(styles)} numbers, one a style, got {len(given[layer])}"
            )
    return {layer: jnp.stack([to_device(w) for w in given[layer]]) for layer in layers}
