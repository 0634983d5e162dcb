"""Draws films whose motion is known: textured layers over one another, each with its own path.

A layer is a texture with a shape. In each frame it lies where a turn, a zoom and a shift have put
it; layers in front hide those behind. So the flow between any two frames is exact, and so is what
of a frame was visible in another.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxstyle.video.flow import Flow, Still

Floats = NDArray[np.floating]
Shape = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Layer:
    """A textured layer.

    Attributes:
      texture: `[h, w, 3]` in [0, 1], repeated in all directions.
      inside: tells of points of the layer, relative to its middle, in which it is.
      path: returns of a time from 0 to 1 the middle x, y in shares of the frame, the turn in
        radians, and the zoom.
    """

    texture: Floats
    inside: Callable[[Floats, Floats], NDArray[np.bool_]]
    path: Callable[[float], tuple[float, float, float, float]]

    def onto(self, time: float, x: Floats, y: Floats, shape: Shape) -> tuple[Floats, Floats]:
        """Returns the points of the layer that are at points of a frame."""
        across, down, turn, zoom = self.path(time)
        x, y = x - across * shape[1], y - down * shape[0]
        cosine, sine = np.cos(turn) / zoom, np.sin(turn) / zoom
        return cosine * x + sine * y, cosine * y - sine * x

    def place(self, time: float, x: Floats, y: Floats, shape: Shape) -> tuple[Floats, Floats]:
        """Returns where points of the layer are in a frame."""
        across, down, turn, zoom = self.path(time)
        cosine, sine = zoom * np.cos(turn), zoom * np.sin(turn)
        return cosine * x - sine * y + across * shape[1], sine * x + cosine * y + down * shape[0]

    def colours(self, x: Floats, y: Floats) -> Floats:
        """Returns the texture at points of the layer, bilinear."""
        height, width, _ = self.texture.shape
        left, top = np.floor(x).astype(int), np.floor(y).astype(int)
        across, down = (x - left)[..., None], (y - top)[..., None]
        row, below = top % height, (top + 1) % height
        column, beside = left % width, (left + 1) % width
        upper = self.texture[row, column] * (1 - across) + self.texture[row, beside] * across
        lower = self.texture[below, column] * (1 - across) + self.texture[below, beside] * across
        drawn: Floats = upper * (1 - down) + lower * down
        return drawn


@dataclasses.dataclass(frozen=True)
class Scene:
    """A film of layers.

    Attributes:
      layers: from the one behind, which is everywhere, to the one in front.
      count: frames.
      shape: height and width.
      light: returns the brightness at a time.
    """

    layers: Sequence[Layer]
    count: int
    shape: Shape
    light: Callable[[float], float] = lambda _: 1.0

    def frame(self, number: int) -> Still:
        """Returns a frame, by its number from 1; smooth edges by four samples a pixel."""
        height, width = self.shape
        image = np.zeros((*self.shape, 3))
        for dy in (-0.25, 0.25):
            for dx in (-0.25, 0.25):
                y, x = np.mgrid[:height, :width].astype(float)
                top = self._top(number, x + dx, y + dy)
                for index, layer in enumerate(self.layers):
                    at = layer.onto(self._time(number), x + dx, y + dy, self.shape)
                    image += np.where((top == index)[..., None], layer.colours(*at), 0) / 4
        lit = self.light(self._time(number)) * image
        return Still(number, np.asarray(lit.clip(0, 1), np.float32))

    def between(self, first: Still, second: Still) -> NDArray[np.float32]:
        """Returns the true flow from one frame to another, `[H, W, 2]`."""
        x, y, there_x, there_y, _ = self._follow(first.number, second.number)
        return np.asarray(np.stack([there_x - x, there_y - y], axis=-1), np.float32)

    def visible(self, first: int, second: int) -> NDArray[np.float32]:
        """Returns `[H, W]` of a frame: 1 where its point is seen in another frame too."""
        _, _, x, y, top = self._follow(first, second)
        height, width = self.shape
        inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        return np.asarray(inside & (self._top(second, x, y) == top), np.float32)

    @property
    def flow(self) -> Flow:
        """The true flow, as a source of it."""
        return Flow(self.between)

    def _follow(self, first: int, second: int) -> tuple[Any, Any, Any, Any, Any]:
        """Returns the points of a frame, where they are in another, and which layer's they are."""
        height, width = self.shape
        y, x = np.mgrid[:height, :width].astype(float)
        top = self._top(first, x, y)
        there_x, there_y = np.zeros_like(x), np.zeros_like(y)
        for index, layer in enumerate(self.layers):
            own = layer.onto(self._time(first), x, y, self.shape)
            moved = layer.place(self._time(second), *own, self.shape)
            there_x, there_y = (
                np.where(top == index, new, old)
                for new, old in zip(moved, (there_x, there_y), strict=True)
            )
        return x, y, there_x, there_y, top

    def _top(self, number: int, x: Floats, y: Floats) -> NDArray[np.int_]:
        """Returns the number of the layer that is seen at points of a frame."""
        top = np.zeros(x.shape, int)
        for index, layer in enumerate(self.layers[1:], 1):
            own = layer.onto(self._time(number), x, y, self.shape)
            top = np.where(layer.inside(*own), index, top)
        return top

    def _time(self, number: int) -> float:
        return (number - 1) / max(self.count - 1, 1)


def draw_texture(seed: int, side: int = 192) -> Floats:
    """Returns a texture of soft and hard blobs, `[side, side, 3]`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side].astype(float)
    image = np.zeros((side, side, 3)) + rng.uniform(0.3, 0.7, 3)
    for _ in range(160):
        place, size = rng.uniform(0, side, 2), rng.uniform(1.5, 14)
        # Around the edges, so that the texture can be repeated.
        dy, dx = ((c - p + side / 2) % side - side / 2 for c, p in zip((y, x), place, strict=True))
        away = np.hypot(dy, dx * rng.uniform(0.5, 1.5)) / size
        share = np.clip(rng.uniform(1, 6) * (1 - away), 0, 1)[..., None]
        image = image * (1 - share) + share * rng.uniform(0, 1, 3)
    return image


def _disc(radius: float) -> Callable[[Floats, Floats], NDArray[np.bool_]]:
    return lambda x, y: np.hypot(x, y) < radius


def _bar(width: float, height: float) -> Callable[[Floats, Floats], NDArray[np.bool_]]:
    return lambda x, y: (np.abs(x) < width / 2) & (np.abs(y) < height / 2)


def _everywhere(x: Floats, y: Floats) -> NDArray[np.bool_]:
    return np.ones(x.shape, bool)


def make_scenes(count: int, shape: Shape) -> dict[str, Scene]:
    """Returns the films by name.

    Args:
      count: frames of each.
      shape: height and width.
    """
    side = min(shape)
    far = count / shape[1]  # a pixel a frame, in shares of the width
    ground, disc, bar = (draw_texture(seed) for seed in range(3))

    def approach(time: float) -> tuple[float, float, float, float]:
        return 0.7 - far * time, 0.55, 0.0, 1 + 0.2 * time

    def pan(time: float) -> tuple[float, float, float, float]:
        return 0.5 - 1.5 * far * time, 0.5, 0.06 * time, 1 + 0.15 * time

    still = Layer(ground, _everywhere, lambda t: (0.5, 0.5, 0.0, 1.0))
    objects = Scene(
        [
            still,
            Layer(disc, _disc(0.24 * side), lambda t: (0.3 + far * t, 0.45, 1.2 * t, 1.0)),
            Layer(bar, _bar(0.2 * side, 0.6 * side), approach),
        ],
        count,
        shape,
    )  # fmt: skip
    camera = Scene(
        [
            Layer(ground, _everywhere, pan),
            Layer(disc, _disc(0.2 * side), lambda t: (0.6 - 0.5 * far * t, 0.5, 0.0, 1.0)),
        ],
        count,
        shape,
        light=lambda t: 0.75 + 0.25 * np.sin(5 * t),
    )  # fmt: skip
    return {"objects": objects, "camera": camera}
