"""Draws textures for networks to learn styles from: strokes, mosaics, hatching, dots and marble.

Each texture comes from a random generator and a palette alone, so that any number of them can be
drawn. Colours are those of pictures that are given, so that the palettes are like those of
paintings and photographs.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scripts.reproduction.draw_samples import fractal_noise

Floats = NDArray[np.float64]


def draw_texture(rng: np.random.Generator, side: int, palettes: Sequence[Floats]) -> Floats:
    """Draws a texture of a random kind.

    Args:
      rng: decides all that is random.
      side: of the square, in pixels.
      palettes: pictures `[H, W, 3]` in [0, 1], of one of which the colours are taken.

    Returns:
      `[side, side, 3]` in [0, 1].
    """
    picture = palettes[rng.integers(len(palettes))].reshape(-1, 3)
    count = int(rng.integers(3, 9))
    colors = picture[rng.integers(len(picture), size=count)]
    colors = colors[np.argsort(colors.sum(1))]  # dark to light
    kind = _KINDS[rng.integers(len(_KINDS))]
    return np.clip(kind(rng, side, colors), 0, 1)


def _strokes(rng: np.random.Generator, side: int, colors: Floats) -> Floats:
    """Smears noise along a smooth field of directions, as brushes do."""
    length, fineness = int(rng.integers(8, 24)), rng.uniform(0.5, 2.0)
    angle = np.pi * fractal_noise(rng, (side, side), int(rng.integers(1, 4)), 2)
    rows, columns = np.mgrid[:side, :side].astype(float)
    noise = ndimage.gaussian_filter(rng.standard_normal((side, side)), fineness, mode="wrap")
    total = np.zeros((side, side))
    for sign in (1, -1):
        y, x = rows.copy(), columns.copy()
        for _ in range(length):
            place = (y.astype(int) % side, x.astype(int) % side)
            total += noise[place]
            y, x = y + sign * np.sin(angle[place]), x + sign * np.cos(angle[place])
    ground = fractal_noise(rng, (side, side), 2, 3)
    return _colored(0.7 * ground + _unit(total), colors, rng.random() < 0.5)


def _mosaic(rng: np.random.Generator, side: int, colors: Floats) -> Floats:
    """Draws the cells of random points, with or without lines between them."""
    points = rng.uniform(0, side, (int(rng.integers(40, 400)), 2))
    rows, columns = np.mgrid[:side, :side]
    rows = rows + 2 * fractal_noise(rng, (side, side), 8, 2)
    from scipy.spatial import cKDTree

    places = np.stack([rows, columns], -1).reshape(-1, 2)
    distances, nearest = cKDTree(points).query(places, k=2)
    shade = rng.integers(len(colors), size=len(points))[nearest[:, 0]].reshape(side, side)
    picture = colors[shade] + 0.04 * fractal_noise(rng, (side, side), 20, 3)[..., None]
    if rng.random() < 0.6:
        border = (distances[:, 1] - distances[:, 0]).reshape(side, side)
        picture = np.where(border[..., None] < rng.uniform(1, 4), colors[0], picture)
    return picture


def _hatching(rng: np.random.Generator, side: int, colors: Floats) -> Floats:
    """Draws bent lines, close together where it is dark."""
    rows, columns = np.mgrid[:side, :side] / side
    turn = rng.uniform(0, np.pi)
    bent = rng.uniform(0, 0.06) * fractal_noise(rng, (side, side), 3, 3)
    along = np.cos(turn) * rows + np.sin(turn) * columns + bent
    wave = np.sin(2 * np.pi * rng.uniform(12, 48) * along)
    tone = fractal_noise(rng, (side, side), 2, 3)
    if rng.random() < 0.4:
        return _colored(tone + 1.5 * wave, colors, blended=True)
    ink = ndimage.gaussian_filter((wave > tone).astype(float), 0.6)[..., None]
    paper = _colored(tone, colors[len(colors) // 2 :], blended=True)
    return ink * colors[0] + (1 - ink) * paper


def _dots(rng: np.random.Generator, side: int, colors: Floats) -> Floats:
    """Lays round dabs of paint over each other."""
    tone = fractal_noise(rng, (side, side), 2, 3)
    picture = _colored(tone, colors, blended=True)
    rows, columns = np.mgrid[-8:9, -8:9]
    for _ in range(int(rng.integers(600, 2500))):
        radius = rng.uniform(1.5, 6)
        y, x = rng.integers(8, side - 8, 2)
        inside = np.clip(radius - np.hypot(rows, columns), 0, 1)[..., None]
        value = tone[y, x] + 0.7 * rng.standard_normal()
        color = _colored(np.full((1, 1), value), colors, blended=False)[0, 0]
        window = picture[y - 8 : y + 9, x - 8 : x + 9]
        window += inside * (color - window)
    return picture


def _marble(rng: np.random.Generator, side: int, colors: Floats) -> Floats:
    """Draws veins and clouds, soft or with hard edges."""
    noise = fractal_noise(rng, (side, side), int(rng.integers(2, 8)), 5)
    if rng.random() < 0.5:
        noise = 2 * np.sin(rng.uniform(2, 6) * noise)
    return _colored(noise, colors, rng.random() < 0.7)


def _colored(values: Floats, colors: Floats, blended: bool) -> Floats:
    """Turns numbers of about unit deviation into colours of a palette."""
    place = (np.clip(values, -1.8, 1.8) + 1.8) / 3.6 * (len(colors) - 1)
    if not blended:
        picked: Floats = colors[np.round(place).astype(int)]
        return picked
    channels = [np.interp(place, np.arange(len(colors)), colors[:, i]) for i in range(3)]
    return np.stack(channels, -1)


def _unit(values: Floats) -> Floats:
    result: Floats = (values - values.mean()) / values.std()
    return result


_KINDS: tuple[Callable[[np.random.Generator, int, Floats], Floats], ...] = (
    _strokes, _strokes, _mosaic, _hatching, _dots, _marble,
)  # fmt: skip
