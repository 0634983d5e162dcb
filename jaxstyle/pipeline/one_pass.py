"""Single passes of networks: programs that pictures of many sizes share, and maps of styles."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpy.typing import NDArray

from jaxstyle._common.kept import kept
from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.network import paint, takes_size
from jaxstyle.feedforward.previous import Previous, nothing_before
from jaxstyle.optimization.memory import peak_memory

# Copies of the largest maps, which are those of the picture's size, that a pass holds at once: of
# the first layer's, and of the last enlarged one, which comes in four parts. They were fitted to
# what the compiler says of five architectures at 256 and 512 px.
_CONTRACTED, _EXPANDED = 2, 5
_SMALLEST = 64  # sides from here on share programs
_COVERED = 1e-3  # of a mask's white: what is darker everywhere counts as left out


def round_up(shape: tuple[int, int]) -> tuple[int, int]:
    """Returns the height and width of the program for pictures of a height and width.

    Each side is an eighth more at the most. Small pictures have programs of their own.
    """
    if min(shape) < _SMALLEST:
        return shape
    height, width = (-(-side // step) * step for side, step in ((s, _step(s)) for s in shape))
    return height, width


def _step(side: int) -> int:
    return max(16, 1 << (side.bit_length() - 4))


def paint_into(
    shape: tuple[int, int],
    params: Mapping[str, Any],
    photograph: NDArray[np.float32],
    weights: ArrayLike,
    architecture: Architecture,
    previous: Previous | None = None,
) -> Array:
    """Returns what a network paints, by the program of a height and width; clipped.

    Args:
      shape: from `round_up`.
      params: of the network.
      photograph: `[H, W, 3]`.
      weights: how much each style counts, `[N]`, or `[H, W, N]`, by a pass for each style.
      architecture: of the network.
      previous: what is known from the frame before, for a network that takes it; None for nothing.
    """
    weights = np.asarray(weights, np.float32)
    if weights.ndim > 1:
        return _paint_parts(shape, params, photograph, weights, architecture, previous)
    height, width = photograph.shape[:2]
    if architecture.previous:
        # A first frame and a single picture are painted by the program of all frames.
        previous = nothing_before((height, width)) if previous is None else previous
    else:
        previous = None
    if not _shares(architecture, shape):
        whole: Array = _paint(
            params, photograph, weights, None, previous, architecture=architecture
        )
        return whole
    padding = ((0, shape[0] - height), (0, shape[1] - width), (0, 0))
    image = np.pad(photograph, padding)
    if previous is not None:
        picture, mask = (np.asarray(each) for each in previous)
        previous = Previous(np.pad(picture, padding), np.pad(mask, padding[:2]))
    size = np.array([height, width])
    found: Array = _paint(params, image, weights, size, previous, architecture=architecture)
    return found[:height, :width]


def _paint_parts(
    shape: tuple[int, int],
    params: Mapping[str, Any],
    photograph: NDArray[np.float32],
    weights: NDArray[np.float32],
    architecture: Architecture,
    previous: Previous | None,
) -> Array:
    """Returns a picture that has of each style, in each pixel, what the weights `[H, W, N]` say.

    A network can also take such weights in a single pass. But its layers are normalised by what is
    seen in the whole picture, mostly of another style, so a small region got colours that are in
    neither.
    """
    image = jnp.zeros(photograph.shape, jnp.float32)
    for i in np.flatnonzero(weights.max((0, 1)) > 0):
        alone = np.eye(weights.shape[-1], dtype=np.float32)[i]
        painted = paint_into(shape, params, photograph, alone, architecture, previous)
        image = image + weights[..., i, None] * painted
    return image


def plan_pass(
    shape: tuple[int, int],
    params: Mapping[str, Any],
    weights: tuple[int, ...],
    architecture: Architecture,
    *,
    exact: bool,
) -> int:
    """Returns the peak memory of `paint_into`, in bytes.

    Args:
      shape: height and width of the picture.
      params: of the network.
      weights: the shape of how much each style counts.
      architecture: of the network.
      exact: whether to ask the compiler, in place of a formula.
    """
    if len(weights) > 1:  # of passes one after another; the weights and two pictures are there too
        alone = plan_pass(shape, params, weights[-1:], architecture, exact=exact)
        return alone + 4 * math.prod(shape) * (weights[-1] + 2 * 3)
    shares = _shares(architecture, shape)
    rounded = round_up(shape) if shares else shape
    if not exact and jax.default_backend() == "cpu":
        return _estimate(rounded, params, weights, architecture)
    image, styles = jax.eval_shape(lambda: (jnp.zeros((*rounded, 3)), jnp.zeros(weights)))
    size = np.array(shape) if shares else None
    previous = None
    if architecture.previous:
        previous = jax.eval_shape(lambda: nothing_before(rounded))
    lowered = _paint.lower(params, image, styles, size, previous, architecture=architecture)
    return peak_memory(lowered.compile())


def weigh_regions(
    styles: Sequence[NDArray[np.float32]], masks: Sequence[ArrayLike | None]
) -> NDArray[np.float32]:
    """Returns how much each style of a network counts in each pixel.

    Args:
      styles: the weights `[N]` of each region's style.
      masks: `[H, W]` from 0 to 1 of each region; None for one that gets what the others leave.

    Returns:
      `[H, W, N]`, of sum one in each pixel. Where masks overlap, their styles are blended.

    Raises:
      ValueError: if some of the picture belongs to no region.
    """
    known = [np.asarray(mask, np.float32) for mask in masks if mask is not None]
    covered = np.sum(known, axis=0)
    rest = np.clip(1 - covered, 0, 1)
    if None not in masks and (covered < _COVERED).any():
        share = 100 * np.mean(covered < _COVERED)
        raise ValueError(
            f"should cover the picture, but {share:.3g} % of it belongs to no region; add "
            "rest,style=NAME"
        )
    parts = np.stack([rest if mask is None else np.asarray(mask) for mask in masks], axis=-1)
    parts /= parts.sum(-1, keepdims=True)
    weights: NDArray[np.float32] = np.einsum("hwr,rn->hwn", parts, np.stack(styles))
    return weights


def _shares(architecture: Architecture, shape: tuple[int, int]) -> bool:
    """Tells whether pictures of other sizes are painted by the program of a height and width."""
    return takes_size(architecture) and min(shape) >= _SMALLEST


def _estimate(
    shape: tuple[int, int],
    params: Mapping[str, Any],
    weights: tuple[int, ...],
    architecture: Architecture,
) -> int:
    """Returns about the bytes that the compiler finds, from the largest map of the network."""
    _, full = architecture.expanded
    values = max(_CONTRACTED * architecture.widths[0], _EXPANDED * full)
    image = 3 * math.prod(shape)
    held = sum(leaf.size for leaf in jax.tree.leaves(params)) + math.prod(weights)
    return int(4 * (held + 2 * image + math.prod(shape) * values + 2 * image))


@functools.partial(kept, static_argnames="architecture")
def _paint(
    params: Mapping[str, Any],
    photograph: ArrayLike,
    weights: ArrayLike,
    size: ArrayLike | None,
    previous: Previous | None,
    *,
    architecture: Architecture,
) -> Array:
    """Returns the painted picture, clipped."""
    painted = paint(
        params, jnp.asarray(photograph), jnp.asarray(weights), architecture=architecture, size=size,
        previous=previous,
    )  # fmt: skip
    return jnp.clip(painted, 0, 1)
