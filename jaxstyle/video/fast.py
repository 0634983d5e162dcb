"""Frames painted in one pass each, by a network that may go on from the frame before."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle.feedforward.architecture import SMALL, Architecture
from jaxstyle.feedforward.network import paint
from jaxstyle.feedforward.previous import Previous
from jaxstyle.video.warping import warp

Params = Mapping[str, Any]


def paint_next(
    params: Params,
    frame: Array,
    style: Array,
    warped: Array | None = None,
    mask: Array | None = None,
    *,
    architecture: Architecture = SMALL,
) -> Array:
    """Paints a frame of a video.

    Args:
      params: the network's parameters; see `jaxstyle.feedforward.network`.
      frame: `[H, W, 3]` in [0, 1].
      style: how much each of the network's N styles counts, `[N]` or `[H, W, N]`.
      warped: `[H, W, 3]`, the painted frame before, carried onto this one by
        `jaxstyle.video.warping.warp`; None for a first frame, and after a cut. A network that
        paints each picture by itself takes no notice of it.
      mask: `[H, W]`, where `warped` can be trusted, as from `consistency_mask`.
      architecture: of the network; static.

    Returns:
      `[H, W, 3]` in [0, 1].

    Raises:
      ValueError: if one of `warped` and `mask` is missing, or a size does not fit.

    Example:
      >>> from jaxstyle.feedforward.network import init_network
      >>> form = Architecture(widths=(2, 2, 2), blocks=1, previous=True)
      >>> params = init_network(jax.random.key(0), form)
      >>> frames = jax.random.uniform(jax.random.key(1), (2, 8, 8, 3))
      >>> first = paint_next(params, frames[0], jnp.ones(1), architecture=form)
      >>> flow = jnp.zeros((8, 8, 2))
      >>> second = paint_next(
      ...     params, frames[1], jnp.ones(1), warp(first, flow), jnp.ones((8, 8)),
      ...     architecture=form)
      >>> second.shape
      (8, 8, 3)

    Reference: Ruder, Dosovitskiy and Brox, IJCV 2018, section 5.
    """
    if (warped is None) != (mask is None):
        raise ValueError("warped and mask should be given together")
    previous = None
    if architecture.previous and warped is not None and mask is not None:
        previous = Previous(warped, mask)
    painted = paint(params, frame, style, architecture=architecture, previous=previous)
    return jnp.clip(painted, 0, 1)


def paint_frames(
    params: Params,
    frames: Array,
    flows: Array,
    masks: Array,
    style: Array,
    *,
    architecture: Architecture = SMALL,
) -> Array:
    """Paints frames one after another, as one program; pictures are carried on sharply.

    Args:
      params: the network's parameters.
      frames: `[T, H, W, 3]` in [0, 1].
      flows: `[T - 1, H, W, 2]`, from each frame but the first back to the one before.
      masks: `[T - 1, H, W]`, where they can be trusted.
      style: how much each style counts.
      architecture: of the network; static.

    Returns:
      `[T, H, W, 3]` in [0, 1].

    Example:
      >>> from jaxstyle.feedforward.network import init_network
      >>> form = Architecture(widths=(2, 2, 2), blocks=1, previous=True)
      >>> params = init_network(jax.random.key(0), form)
      >>> frames, still = jnp.ones((3, 8, 8, 3)), (jnp.zeros((2, 8, 8, 2)), jnp.ones((2, 8, 8)))
      >>> paint_frames(params, frames, *still, jnp.ones(1), architecture=form).shape
      (3, 8, 8, 3)
    """

    def step(picture: Array, given: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        frame, flow, mask = given
        warped = jnp.clip(warp(picture, flow, sharp=True), 0, 1)
        made = paint_next(params, frame, style, warped, mask, architecture=architecture)
        return made, made

    first = paint_next(params, frames[0], style, architecture=architecture)
    _, others = jax.lax.scan(step, first, (frames[1:], flows, masks))
    return jnp.concatenate([first[None], others])
