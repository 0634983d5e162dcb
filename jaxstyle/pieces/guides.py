"""Guides: pairs of pictures that say which places of a source and of a target belong together."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jaxstyle._common.arrays import to_device
from jaxstyle._common.checks import check_amount, check_image


class Guide(NamedTuple):
    """A pair of pictures, such as masks, label maps, or a photograph and another.

    Attributes:
      source: `[H', W', 3]`, as large as what is copied.
      target: `[H, W, 3]`, as large as what is made.
      weight: how much their squared difference counts.
    """

    source: Array
    target: Array
    weight: float = 1.0


def join(guides: Sequence[Guide], source: Array, target: Array) -> tuple[Array, Array]:
    """Returns the channels of guides beside those of two pictures, scaled by their weights' roots.

    Args:
      guides: the pairs.
      source: `[H', W', C]`.
      target: `[H, W, C]`.

    Raises:
      ValueError: if sizes differ.
    """
    for i, guide in enumerate(guides):
        check_same_size(guide.source, f"guides[{i}].source", source, "what is copied")
        check_same_size(guide.target, f"guides[{i}].target", target, "the target")
        check_amount(guide.weight, f"guides[{i}].weight")
    roots = [jnp.sqrt(to_device(guide.weight)) for guide in guides]
    sources = [root * guide.source for root, guide in zip(roots, guides, strict=True)]
    targets = [root * guide.target for root, guide in zip(roots, guides, strict=True)]
    return jnp.concatenate([source, *sources], -1), jnp.concatenate([target, *targets], -1)


def check_same_size(image: Array, name: str, other: Array, other_name: str) -> None:
    """Raises `ValueError` unless an image is as large as another."""
    check_image(image, name)
    if image.shape[:2] != other.shape[:2]:
        sizes = [f"{each.shape[0]}×{each.shape[1]}" for each in (image, other)]
        raise ValueError(f"{name} should be as large as {other_name}, {sizes[1]}, got {sizes[0]}")
