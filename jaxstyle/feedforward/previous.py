"""The picture of the frame before, as a further input of a network that paints moving pictures.

The first layer sees four more channels: the previous picture, carried onto the new frame and grey
where it is not known, and the mask of where it is (Ruder et al., 2018). Departure: what is painted
is then laid over the previous picture, with a share of it that is learned for each style and
channel. A narrow network could not carry the details of a picture through its layers.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array
from numpy.typing import NDArray

from jaxstyle._common.checks import describe
from jaxstyle.feedforward.architecture import Architecture

CHANNELS = 4
"""What the first layer sees of the previous picture: its colours, and the mask."""

MIDDLE = 0.5  # grey, which stands for nothing
# The most that is kept of the previous picture. Each frame samples it between pixels once more, and
# from 0.9 on, which training comes to by itself, that blurs the strokes away.
MOST = 0.6
QUICK = 10.0  # the share is one number, and has as far to go as the thousands of a kernel together


class Previous(NamedTuple):
    """What is known of a frame from the one before.

    Attributes:
      picture: `[H, W, 3]` in [0, 1], the painted frame before, carried along the motion.
      mask: `[H, W]` from 0 to 1, where that can be trusted.
    """

    picture: Array | NDArray[np.float32]
    mask: Array | NDArray[np.float32]


def nothing_before(shape: tuple[int, int]) -> Previous:
    """Returns what is known of a first frame.

    Args:
      shape: its height and width.
    """
    return Previous(jnp.zeros((*shape, 3)), jnp.zeros(shape))


def check_previous(previous: Previous, image: Array) -> Previous:
    """Returns the same as arrays.

    Args:
      previous: of a frame.
      image: the frame, `[H, W, 3]`.

    Raises:
      ValueError: if the sizes differ.
    """
    picture, mask = jnp.asarray(previous.picture), jnp.asarray(previous.mask)
    if picture.shape != image.shape or mask.shape != image.shape[:2]:
        raise ValueError(
            f"previous should be a picture {list(image.shape)} and a mask {list(image.shape[:2])}, "
            f"as the image is, got {describe(picture)} and {describe(mask)}"
        )
    return Previous(picture, mask)


def beside(x: Array, previous: Previous) -> Array:
    """Returns what the first layer sees, `[H, W, 7]`.

    Args:
      x: `[H, W, 3]`, what it sees of the frame.
      previous: from `check_previous`.
    """
    mask = previous.mask[..., None]
    return jnp.concatenate([x, mask * (previous.picture - MIDDLE), mask], axis=-1)


class Gate(nn.Module):
    """Lays what is painted over the previous picture; `gate` `[N, 3]` is the share of that.

    Attributes:
      styles: how many styles the network has.
    """

    styles: int

    @nn.compact
    def __call__(self, painted: Array, style: Array, previous: Previous) -> Array:
        """Maps a painted frame `[H, W, 3]` to one that goes on from the frame before."""
        gate = self.param("gate", nn.initializers.zeros, (self.styles, 3))
        share = MOST * jnp.tanh(QUICK * jnp.matmul(style, gate, precision="highest"))
        laid: Array = painted + share * previous.mask[..., None] * (previous.picture - painted)
        return laid


def widen(
    params: Mapping[str, Any], architecture: Architecture
) -> tuple[dict[str, Any], Architecture]:
    """Lets a network take the previous picture; until it is trained, that changes nothing.

    Args:
      params: of a network that paints each picture by itself.
      architecture: of that network.

    Returns:
      The same network with further weights, all zero, and its architecture.

    Raises:
      ValueError: if it paints like any painting; such networks have no styles of their own.

    Example:
      >>> from jaxstyle.feedforward.network import init_network
      >>> import jax
      >>> tiny = Architecture(widths=(2, 2, 2), blocks=1)
      >>> params, form = widen(init_network(jax.random.key(0), tiny), tiny)
      >>> form.previous, params["contract1"]["kernel"].shape
      (True, (9, 9, 7, 2))
    """
    if "predictor" in params:
        raise ValueError("a network that paints like any painting takes no previous picture")
    if architecture.previous:
        return dict(params), architecture
    first = params["contract1"]
    kernel = np.pad(first["kernel"], ((0, 0), (0, 0), (0, CHANNELS), (0, 0)))
    gate = np.zeros((len(first["scale"]), 3), np.float32)
    return {
        **params,
        "contract1": {**first, "kernel": jnp.asarray(kernel)},
        "previous": {"gate": jnp.asarray(gate)},
    }, dataclasses.replace(architecture, previous=True)
