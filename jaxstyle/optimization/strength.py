"""A scale of strengths: the photograph at 0, all painting at 100, and equal steps between.

The weight of the style is a poor scale. Where the recipe has it, ten times as much changes next to
nothing: what keeps the photograph's forms then is that the optimisation starts from them. So the
scale has two parts. Below the recipe the style counts less. Above it, more and more of the start is
noise, and the forms come back as far as the content loss brings them.

`python -m scripts.reproduction.calibrate_strength` measures which positions on this way change
pictures by equal steps. A position is the decimal logarithm of a multiple of the style's weight as
long as it is negative, and the share of noise in the start where it is positive.
"""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle.losses.spec import LossWeights
from jaxstyle.networks.vgg import Params
from jaxstyle.optimization.transfer import initial_image

STRENGTHS = tuple(range(10, 101, 10))
"""The strengths that positions are known for."""


class Strength(NamedTuple):
    """What a strength comes to.

    Attributes:
      multiple: of the weight of the style, at most 1.
      fade: the share of noise in the start, from 0 to 1.
    """

    multiple: float
    fade: float


def find_strength(positions: tuple[float, ...], strength: float) -> Strength:
    """Returns what a strength comes to.

    Below the first strength whose position is known, the root of the multiple falls evenly to zero:
    losses are squares of distances.

    Args:
      positions: one for each of `STRENGTHS`, rising.
      strength: from 0 to 100.

    Example:
      >>> positions = (-6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 0.0, 0.25, 0.5, 1.0)
      >>> [find_strength(positions, strength) for strength in (0, 40, 95)]
      [Strength(multiple=0.0, fade=0.0), Strength(multiple=0.001, fade=0.0),
       Strength(multiple=1.0, fade=0.75)]
    """
    found = strength_at(float(np.interp(strength, STRENGTHS, positions)))
    low = min(strength / STRENGTHS[0], 1.0) ** 2
    return found._replace(multiple=low * found.multiple)


def strength_at(position: float) -> Strength:
    """Returns what a position comes to.

    Example:
      >>> strength_at(-2.0), strength_at(0.5)
      (Strength(multiple=0.01, fade=0.0), Strength(multiple=1.0, fade=0.5))
    """
    return Strength(10.0 ** min(position, 0.0), max(position, 0.0))


def strength_of_recipe(positions: tuple[float, ...]) -> float:
    """Returns the strength at which a recipe is what it is without one.

    Example:
      >>> strength_of_recipe((-6.0, -5.0, -4.0, -3.0, -2.0, -1.0, -0.5, 0.5, 0.7, 1.0))
      75.0
    """
    return float(np.interp(0.0, positions, STRENGTHS))


def fade(start: Array, share: ArrayLike, params: Params, key: Array) -> Array:
    """Returns a start of which a share is noise with the spectrum of natural images.

    Args:
      start: `[H, W, 3]`.
      share: of the noise, from 0 to 1.
      params: the network's parameters, for their mean colour.
      key: a `jax.random.key` for the noise.
    """
    noise = initial_image("noise", start.shape[:2], params, key=key)
    faded: Array = jnp.add((1 - share) * start, share * noise)
    return faded


def weaken(weights: LossWeights, multiple: float, smoothing: float = 0.0) -> LossWeights:
    r"""Returns weights in which the style counts so many times as much.

    The total variation smooths the painting's specks. Where there is less painting it counts less
    too; otherwise it would blur the photograph.

    A recipe without total variation gets some, because a weak style makes fine specks in even skies
    and little else there. Its weight is :math:`8 t \sqrt{m} (1 - \sqrt{m})^2` for the multiple
    :math:`m` and the weight :math:`t` of a step of smoothing. It is zero for the recipe's own style
    and for none. The eight was chosen by eye, as the least that leaves a sky without specks.

    Args:
      weights: resolved.
      multiple: of the weight of the style, at most 1.
      smoothing: the weight that counts as a step of smoothing in a recipe that has none; 0 for
        recipes with total variation of their own.

    Example:
      >>> weights = LossWeights(style=1.0)
      >>> [round(float(weaken(weights, m, 2000.0).total_variation)) for m in (0, 0.01, 1)]
      [0, 1296, 0]
    """
    root = multiple**0.5
    added = 8 * smoothing * root * (1 - root) ** 2
    changes: dict[str, Any] = {
        "style": weights.style * multiple,  # type: ignore[operator]
        "total_variation": weights.total_variation * multiple + added,
    }
    return dataclasses.replace(weights, **changes)
