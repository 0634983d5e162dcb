"""Photographs in the colours of paintings, in closed form.

The colours of a picture are taken as a Gaussian. The map that turns one Gaussian into another and
moves colours least is linear, and known in closed form; it is the colour matching "symmetric" of
`jaxstyle.color.match_color`. Here the painting is known by its mean and covariance alone, and
several paintings are blended.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle.image.color import color_map, mean_and_covariance


def measure_colors(image: Array) -> dict[str, Array]:
    """Returns the mean and the covariance of an image's colours.

    Args:
      image: `[H, W, 3]`.

    Returns:
      `mean` `[3]` and `covariance` `[3, 3]`.
    """
    mean, covariance = mean_and_covariance(image)
    return {"mean": mean, "covariance": covariance}


def move_colors(
    image: Array, colors: Mapping[str, Any], style: Array, inside: Array | None = None
) -> Array:
    """Gives an image the colours of paintings.

    Args:
      image: `[H, W, 3]` in [0, 1].
      colors: `mean` `[N, 3]` and `covariance` `[N, 3, 3]` of the paintings.
      style: how much each painting counts, `[N]` or `[H, W, N]`.
      inside: `[H, W, 1]`, which pixels belong to the picture; None for all of them.

    Returns:
      `[H, W, 3]`, not clipped: the image in the colours of each painting, weighed.
    """
    mean, covariance = mean_and_covariance(image, inside=inside)
    matrices = jax.vmap(lambda target: color_map(covariance, target, "symmetric"))(
        colors["covariance"]
    )
    # Each painting's map, as three rows for the channels and one for the constant.
    constants = colors["mean"] - jnp.einsum("nij,j->ni", matrices, mean, precision="highest")
    maps = jnp.concatenate([matrices, constants[..., None]], axis=-1)
    ones = jnp.ones((*image.shape[:2], 1), image.dtype)
    lifted = jnp.concatenate([image, ones], axis=-1)
    if style.ndim == 1:
        one = jnp.einsum("n,nij->ij", style, maps, precision="highest")
        return jnp.einsum("hwj,ij->hwi", lifted, one, precision="highest")
    return jnp.einsum("hwn,nij,hwj->hwi", style, maps, lifted, precision="highest")
