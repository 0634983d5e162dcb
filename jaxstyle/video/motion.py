"""Moving pictures made of photographs, with the true flow: no video is needed to learn from.

A sequence shows one photograph, and a patch of another that passes in front of it. Both move, turn
and come nearer, each steadily in its own way. Everything follows from the key.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle.video.warping import warp

MARGIN = 1.25
"""How many times as large as the frames the photographs are, so that there is more to come in."""

_STILL = 0.2  # of the layers stand still
_SHIFT, _TURN, _ZOOM = 0.016, 0.012, 0.012  # deviations per frame: of the side, radians, logarithm
_FASTER = 1.5  # times as far as the background goes what passes in front of it
_SMALLEST, _LARGEST = 0.12, 0.3  # radius of what passes, of the side
_CERTAIN = 0.01  # how much of another layer a pixel may hold, and count as one of its own


class Motion(NamedTuple):
    """Frames, and how each came out of the one before.

    Attributes:
      frames: `[T, side, side, 3]` in [0, 1].
      flows: `[T - 1, side, side, 2]`, from each frame but the first back to the one before.
      masks: `[T - 1, side, side]`, 1 where the pixel was seen in the frame before, else 0.
    """

    frames: Array
    flows: Array
    masks: Array


class _Course(NamedTuple):
    """How a layer moves per frame.

    Attributes:
      shift: `[2]` (x, y), in pixels.
      turn: radians.
      zoom: logarithm.
    """

    shift: Array
    turn: Array
    zoom: Array


def move_photograph(key: Array, photograph: Array, other: Array, side: int, count: int) -> Motion:
    """Makes a sequence of frames of two photographs that move.

    Args:
      key: decides the motion, and the shape of what passes in front.
      photograph: `[S, S, 3]` in [0, 1], S about `MARGIN * side`; where it is too small its edge is
        continued.
      other: likewise; a patch of it passes.
      side: of the frames, in pixels.
      count: how many frames.

    Returns:
      The frames with their flow. `jaxstyle.video.warping.warp` carries each frame onto the next
      where the mask is 1, but for what sampling between pixels smooths.

    Raises:
      ValueError: if there are fewer than two frames, or the photographs differ in size.

    Example:
      >>> photographs = jax.random.uniform(jax.random.key(0), (2, 20, 20, 3))
      >>> motion = move_photograph(jax.random.key(1), *photographs, 16, 3)
      >>> motion.frames.shape, motion.flows.shape, motion.masks.shape
      ((3, 16, 16, 3), (2, 16, 16, 2), (2, 16, 16))

    Reference: Ruder, Dosovitskiy and Brox, IJCV 2018, section 5.3, move and enlarge photographs in
    the same way; layers, and so what is hidden, are added here.
    """
    if count < 2:
        raise ValueError(f"count should be at least 2, got {count}")
    if photograph.shape != other.shape or photograph.ndim != 3:
        raise ValueError(
            f"photograph and other should be [S, S, 3] of one size, got {list(photograph.shape)} "
            f"and {list(other.shape)}"
        )
    behind_key, front_key, shape_key = jax.random.split(key, 3)
    behind = _draw_course(behind_key, _SHIFT * side)
    front = _draw_course(front_key, _FASTER * _SHIFT * side)
    outline = _draw_outline(shape_key, side)
    grid = jnp.stack(jnp.meshgrid(jnp.arange(side), jnp.arange(side), indexing="xy"), -1)
    grid = grid - (side - 1) / 2  # from the middle, (x, y)
    times = jnp.arange(count) - (count - 1) / 2  # the middle frame shows the middle

    def see(time: Array) -> tuple[Array, Array]:
        """Returns a frame, and how much of each pixel is in front."""
        place = _forth(front, time, grid)
        opacity = _inside(outline, place)
        below, above = _sample(photograph, _forth(behind, time, grid)), _sample(other, place)
        return below + opacity[..., None] * (above - below), opacity

    def trace(time: Array, opacity: Array, before: Array) -> tuple[Array, Array]:
        """Returns the flow from a frame back to the one before, and where that is certain."""
        in_front = opacity > 0.5
        path, other = (_back(way, time - 1, _forth(way, time, grid)) for way in (front, behind))
        flow = jnp.where(in_front[..., None], path, other) - grid
        target = in_front.astype(opacity.dtype)
        pure = jnp.abs(opacity - target) < _CERTAIN
        same = jnp.abs(warp(before[..., None], flow)[..., 0] - target) < _CERTAIN
        seen = jnp.all(jnp.abs(grid + flow) <= (side - 1) / 2, axis=-1)
        return flow, (pure & same & seen).astype(jnp.float32)

    frames, opacities = jax.lax.map(see, times)
    steps = times[1:], opacities[1:], opacities[:-1]
    flows, masks = jax.lax.map(lambda step: trace(*step), steps)
    return Motion(frames, flows, masks)


def chain(flows: Array, masks: Array) -> tuple[Array, Array]:
    """Returns the flow from the last of several frames back to the first, and where it is known.

    Args:
      flows: `[N, H, W, 2]`, from each frame but the first back to the one before.
      masks: `[N, H, W]`, 1 where that is known.

    Example:
      >>> flows, masks = jnp.ones((3, 4, 9, 2)), jnp.ones((3, 4, 9))
      >>> chain(flows, masks)[0][0, 0].tolist()
      [3.0, 3.0]
    """

    def step(earlier: tuple[Array, Array], new: tuple[Array, Array]) -> tuple[Any, None]:
        flow, mask = new
        carried = warp(jnp.concatenate([earlier[0], earlier[1][..., None]], axis=-1), flow)
        known = (carried[..., 2] > 1 - _CERTAIN).astype(mask.dtype)
        return (flow + carried[..., :2], mask * known), None

    found: tuple[Array, Array] = jax.lax.scan(step, (flows[0], masks[0]), (flows[1:], masks[1:]))[0]
    return found


def _draw_course(key: Array, reach: float) -> _Course:
    """Draws how a layer moves."""
    moves, *keys = jax.random.split(key, 4)
    still = jax.random.bernoulli(moves, _STILL)
    shift = reach * jax.random.normal(keys[0], (2,))
    turn, zoom = _TURN * jax.random.normal(keys[1]), _ZOOM * jax.random.normal(keys[2])
    return _Course(*(jnp.where(still, 0.0, each) for each in (shift, turn, zoom)))


def _forth(way: _Course, time: Array, points: Array) -> Array:
    """Returns where points of a frame lie in the layer."""
    return jnp.exp(time * way.zoom) * _turned(points, time * way.turn) + time * way.shift


def _back(way: _Course, time: Array, places: Array) -> Array:
    """Returns where places of the layer lie in a frame."""
    return jnp.exp(-time * way.zoom) * _turned(places - time * way.shift, -time * way.turn)


def _turned(points: Array, angle: Array) -> Array:
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    x, y = points[..., 0], points[..., 1]
    return jnp.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


class _Outline(NamedTuple):
    """A round shape: its middle `[2]`, its mean radius, and waves `[2]` (cosine, sine) of it."""

    middle: Array
    radius: Array
    waves: Array


def _draw_outline(key: Array, side: int) -> _Outline:
    place, size, waves = jax.random.split(key, 3)
    return _Outline(
        0.3 * side * jax.random.uniform(place, (2,), minval=-1),
        side * jax.random.uniform(size, minval=_SMALLEST, maxval=_LARGEST),
        0.15 * jax.random.normal(waves, (2,)),
    )


def _inside(outline: _Outline, places: Array) -> Array:
    """Returns how much of each place a shape covers; its edge is a pixel wide."""
    x, y = jnp.moveaxis(places - outline.middle, -1, 0)
    angle = 2 * jnp.arctan2(y, x)
    waves = outline.waves[0] * jnp.cos(angle) + outline.waves[1] * jnp.sin(angle)
    return jnp.clip(outline.radius * (1 + waves) - jnp.hypot(x, y) + 0.5, 0, 1)


def _sample(layer: Array, places: Array) -> Array:
    """Returns a layer's colours at places that are counted from its middle."""
    middle = (jnp.array(layer.shape[1::-1]) - 1) / 2
    x, y = jnp.moveaxis(places + middle, -1, 0)
    channels = [
        jax.scipy.ndimage.map_coordinates(layer[..., i], [y, x], order=1, mode="nearest")
        for i in range(3)
    ]
    return jnp.stack(channels, axis=-1)
