"""Draws the two pictures of `jaxstyle demo`: a lake in the evening and a painting of swirls.

    python -m scripts.reproduction.draw_samples

Both come from nothing but this file. Ridges and clouds are fractal noise, and the brush strokes
follow a field of vortices. Everything is drawn three times as large and then scaled down, which
smooths the edges.
"""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from jaxstyle.image.io import save_image
from scripts.command_line import make_parser

OUTPUT = Path(__file__).parents[2] / "jaxstyle" / "samples"
OVERSAMPLING = 3
Floats = NDArray[np.float64]


def fractal_noise(
    rng: np.random.Generator, shape: tuple[int, ...], cells: int, octaves: int
) -> Floats:
    """Returns smooth noise of mean 0 and standard deviation 1.

    Each octave has half the size and half the strength of the one before.
    """
    total = np.zeros(shape)
    for octave in range(octaves):
        grid = rng.standard_normal([2 + (cells << octave)] * len(shape))
        for axis, length in enumerate(shape):
            at = np.linspace(0, cells << octave, length, endpoint=False)
            below = at.astype(int)
            part = at - below
            part = part * part * (3 - 2 * part)
            part = part.reshape([-1 if i == axis else 1 for i in range(len(shape))])
            grid = grid.take(below, axis) * (1 - part) + grid.take(below + 1, axis) * part
        total += grid / 2**octave
    return (total - total.mean()) / total.std()


def blend(start: object, end: object, amount: Floats) -> Floats:
    """Blends one colour into another, `[..., 3]`, by an amount clipped to [0, 1]."""
    amount = np.clip(amount, 0, 1)[..., None]
    return (1 - amount) * np.asarray(start) + amount * np.asarray(end)


def draw_lake(width: int = 384, height: int = 288) -> Floats:
    """Draws the photograph: a lake between mountains in the evening, a boat, a cabin and firs."""
    rng = np.random.default_rng(7)
    w, h = width * OVERSAMPLING, height * OVERSAMPLING
    shore = round(0.58 * h)
    y, x = np.mgrid[:shore, :w] / np.array([shore, w]).reshape(2, 1, 1)

    sky = blend((0.20, 0.36, 0.66), (0.97, 0.80, 0.58), y**1.4)
    sun = np.hypot((x - 0.70) * w, (y - 0.56) * shore) / h
    sky += np.exp(-((sun / 0.16) ** 1.3))[..., None] * (0.45, 0.30, 0.08)
    clouds = fractal_noise(rng, (shore, w), 3, 6) + 0.7 * fractal_noise(rng, (shore, 1), 9, 2)
    lit = blend((0.62, 0.58, 0.70), (1.0, 0.88, 0.76), 0.4 + y)
    cover = np.clip(clouds - 0.35, 0, 1.2) * np.clip(1.25 - 1.5 * y, 0, 1)
    sky = sky * (1 - 0.75 * cover[..., None]) + 0.75 * cover[..., None] * lit
    sky = np.where((sun < 0.045)[..., None], (1.0, 0.95, 0.78), sky)

    for distance, base, rise, colour in [
        (1.0, 0.80, 0.16, (0.52, 0.56, 0.72)),
        (0.6, 0.90, 0.13, (0.33, 0.42, 0.55)),
        (0.2, 0.98, 0.09, (0.15, 0.28, 0.29)),
    ]:
        ridge = base - rise * (1 + fractal_noise(rng, (w,), 4, 7)).clip(-0.8, 3)
        inside = y > ridge
        depth = (y - ridge) / rise
        slope = np.gradient(fractal_noise(rng, (shore, w), 9, 6), axis=1) * 12
        light = 0.08 * distance * np.clip(slope, -2, 2)
        rock = np.asarray(colour) + light[..., None] * (1.2, 1.0, 0.8)
        if distance == 1.0:  # the peaks have snow where they are not too steep
            snow = (depth < 0.9 + 0.35 * np.clip(slope, -2, 2)) & (ridge < base - rise)
            rock = np.where(snow[..., None], (0.93, 0.90, 0.93) + 1.5 * light[..., None], rock)
        rock = blend(rock, (0.93, 0.78, 0.64), 0.45 * distance * np.clip(depth / 2.2, 0, 1))
        sky = np.where(inside[..., None], rock, sky)

    # The water mirrors the land, in strips that ripples shift more and more towards the viewer.
    rows = np.arange(h - shore)
    near = rows / len(rows)
    ripple = fractal_noise(rng, (len(rows), w), 40, 2)
    ripple = np.repeat(ripple[:, ::6], 6, axis=1)[:, :w]
    source_y = shore - 1 - rows[:, None] * 0.92 - (4 + 40 * near[:, None]) * np.abs(ripple) * 0.5
    source_y = np.clip(source_y, 0, shore - 1).astype(int)
    source_x = np.clip(np.arange(w) + (30 * near[:, None] * ripple), 0, w - 1).astype(int)
    water = sky[source_y, source_x] * (0.80, 0.86, 0.92)
    water = blend(water, (0.10, 0.22, 0.32), 0.15 + 0.5 * near[:, None])
    column = np.exp(-(((np.arange(w) / w - 0.70) / (0.03 + 0.10 * near[:, None])) ** 2))
    glitter = column * (ripple > 0.6 + 0.5 * near[:, None])
    water += glitter[..., None] * (0.55, 0.42, 0.22)

    picture = Image.fromarray((np.clip(np.concatenate([sky, water]), 0, 1) * 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    _draw_boat(draw, 0.44 * w, 0.665 * h, 0.115 * h)
    _draw_meadow(draw, rng, w, h)
    _draw_cabin(draw, 0.77 * w, 0.865 * h, 0.17 * h)
    for place, foot, size in [
        (0.03, 0.99, 0.62), (0.115, 0.95, 0.47), (0.20, 0.98, 0.36), (0.275, 0.945, 0.22),
        (0.945, 0.93, 0.40), (1.0, 0.97, 0.50), (0.655, 0.905, 0.16),
    ]:  # fmt: skip
        _draw_fir(draw, rng, place * w, foot * h, size * h)
    return _reduced(picture)


def _draw_boat(draw: ImageDraw.ImageDraw, x: float, y: float, size: float) -> None:
    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x + size * dx, y + size * dy) for dx, dy in points]

    draw.polygon(at((-0.42, 0.03), (0.45, 0.03), (0.3, 0.17), (-0.3, 0.17)), (116, 42, 36))
    draw.polygon(at((-0.42, 0.03), (0.45, 0.03), (0.44, 0.06), (-0.4, 0.06)), (222, 196, 160))
    draw.polygon(at((0.02, -1.0), (0.02, -0.03), (-0.42, -0.03)), (250, 240, 220))
    draw.polygon(at((0.06, -0.86), (0.06, -0.03), (0.38, -0.03)), (214, 92, 58))
    for i in range(5):  # the waves break the mirror image
        left, right = 0.34 - 0.05 * i, 0.36 - 0.06 * i
        top = 0.22 + 0.11 * i
        colour = (146, 98, 84) if i < 2 else (190, 164, 146)
        draw.polygon(
            at((-left, top), (right, top), (right, top + 0.05), (-left, top + 0.05)), colour
        )


def _draw_meadow(draw: ImageDraw.ImageDraw, rng: np.random.Generator, w: int, h: int) -> None:
    at = np.linspace(0, 1, 200)
    edge = 0.90 - 0.09 * (at - 0.42) ** 2 / 0.18 + 0.006 * fractal_noise(rng, (200,), 12, 3)
    line = [(float(a * w), float(e * h)) for a, e in zip(at, edge, strict=True)]
    draw.polygon([*line, (w, h), (0, h)], (62, 92, 48))
    for _ in range(9000):
        a = rng.random()
        top = float(np.interp(a, at, edge))
        depth = rng.random() ** 0.8
        y = (top + depth * (1 - top)) * h
        size = (0.008 + 0.022 * depth) * h
        green = np.array((78, 108, 46)) + depth * np.array((-42, -38, -20)) + rng.normal(0, 14)
        if rng.random() < 0.035:
            green = np.array(((236, 206, 96), (224, 120, 90), (238, 232, 220))[rng.integers(3)])
            draw.ellipse((a * w, y, a * w + size / 3, y + size / 3), _rgb(green))
            continue
        lean = rng.normal(0, 0.35) * size
        draw.line((a * w, y, a * w + lean, y - size), _rgb(green), 3)


def _draw_cabin(draw: ImageDraw.ImageDraw, x: float, y: float, size: float) -> None:
    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x + size * dx, y + size * dy) for dx, dy in points]

    draw.polygon(at((-0.5, 0), (0.25, 0), (0.25, -0.5), (-0.5, -0.5)), (138, 92, 60))
    draw.polygon(at((0.25, 0), (0.7, -0.06), (0.7, -0.47), (0.25, -0.5)), (92, 60, 46))
    draw.polygon(at((0.25, -0.5), (0.7, -0.47), (0.47, -0.88)), (104, 68, 50))
    draw.polygon(at((-0.58, -0.46), (0.29, -0.46), (0.5, -0.95), (-0.34, -0.95)), (170, 58, 44))
    draw.polygon(at((0.5, -0.95), (0.29, -0.46), (0.34, -0.42), (0.78, -0.43)), (120, 40, 36))
    draw.polygon(at((0.5, -0.95), (0.34, -0.5), (0.42, -0.5), (0.5, -0.8), (0.66, -0.47),
                    (0.78, -0.43)), (120, 40, 36))  # fmt: skip
    draw.polygon(at((-0.2, -0.9), (-0.07, -0.9), (-0.07, -1.16), (-0.2, -1.16)), (110, 84, 76))
    for row in range(1, 5):
        height = -0.5 + 0.1 * row
        draw.line(at((-0.5, height), (0.25, height)), (108, 70, 46), 3)
    for left in (-0.38, -0.04):
        draw.polygon(
            at((left, -0.34), (left + 0.18, -0.34), (left + 0.18, -0.16), (left, -0.16)),
            (252, 214, 120),
        )
        draw.line(at((left + 0.09, -0.34), (left + 0.09, -0.16)), (90, 58, 40), 4)
        draw.line(at((left, -0.25), (left + 0.18, -0.25)), (90, 58, 40), 4)


def _draw_fir(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, x: float, y: float, size: float
) -> None:
    draw.rectangle((x - size * 0.02, y - size * 0.2, x + size * 0.02, y), (62, 44, 34))
    for level in np.linspace(0.12, 1.0, max(7, round(size / 22))):
        spread = size * 0.21 * (1.05 - level) + size * 0.012
        top = y - size * level
        for _ in range(16):
            side = rng.uniform(-1, 1)
            drop = size * 0.07 * (0.4 + abs(side)) * rng.uniform(0.7, 1.3)
            shade = np.array((22, 52, 44)) + (side > 0) * np.array((26, 26, 4)) * abs(side)
            shade = shade + rng.normal(0, 5)
            tip = (x + spread * side, top + drop)
            draw.line((x, top - size * 0.03, *tip), _rgb(shade), max(3, round(size * 0.014)))


def draw_swirls(width: int = 384, height: int = 288) -> Floats:
    """Draws the painting: thick strokes along vortices, warm whorls on a ground of blues."""
    rng = np.random.default_rng(12)
    w, h = width * OVERSAMPLING, height * OVERSAMPLING
    whorls = [
        (0.22, 0.30, 0.23, 1), (0.68, 0.22, 0.15, -1), (0.52, 0.68, 0.24, 1),
        (0.90, 0.70, 0.15, -1), (0.08, 0.88, 0.14, -1), (0.97, 0.10, 0.10, 1),
    ]  # fmt: skip
    wander = fractal_noise(rng, (h // 8 + 1, w // 8 + 1), 3, 3)

    def swirl(x: float, y: float) -> tuple[float, float, float, float]:
        """Returns a stroke's direction, how deep in a whorl it is and how far from its eye."""
        dx, dy = 0.9, 0.25 + 0.5 * float(wander[int(y) // 8, int(x) // 8])
        deepest, ring = 0.0, 0.0
        for cx, cy, radius, turn in whorls:
            rx, ry = (x - cx * w) / h, (y - cy * h) / h
            r = math.hypot(rx, ry) + 1e-6
            pull = math.exp(-((r / radius) ** 4)) * 6
            dx += pull * turn * -ry / r
            dy += pull * turn * rx / r
            if pull > deepest:
                deepest, ring = pull, r / radius
        length = math.hypot(dx, dy) + 1e-9
        return dx / length, dy / length, deepest / 6, ring

    cool = np.array(
        [
            (16, 34, 92),
            (28, 66, 142),
            (44, 112, 178),
            (92, 164, 200),
            (20, 104, 104),
            (236, 224, 178),
        ]
    )
    warm = np.array([(250, 226, 140), (246, 178, 52), (224, 106, 40), (172, 48, 44)])
    picture = Image.new("RGB", (w, h), (22, 44, 86))
    draw = ImageDraw.Draw(picture)
    for count, breadth, steps in [(2600, 30, 16), (5200, 20, 14), (5200, 12, 12)]:
        for _ in range(count):
            x, y = rng.random() * w, rng.random() * h
            _, _, depth, ring = swirl(x, y)
            if depth > rng.uniform(0.25, 0.6):
                # Rings of colour about the eye of the whorl, from light to dark.
                place = np.clip(ring * 3.1 + rng.normal(0, 0.3), 0, 2.999)
                colour = warm[int(place)] + (place % 1) * (warm[int(place) + 1] - warm[int(place)])
            else:
                colour = cool[rng.choice(6, p=(0.24, 0.27, 0.23, 0.14, 0.08, 0.04))].astype(float)
            path = [(x, y)]
            for _ in range(steps):
                dx, dy, _, _ = swirl(x, y)
                x, y = x + dx * breadth * 0.36, y + dy * breadth * 0.36
                if not (0 <= x < w and 0 <= y < h):
                    break
                path.append((x, y))
            if len(path) > 3:
                _draw_stroke(draw, rng, np.array(path), breadth, colour)
    return _reduced(picture)


def _draw_stroke(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    path: Floats,
    breadth: float,
    colour: Floats,
) -> None:
    """Draws a stroke of a brush whose bristles carry more or less paint, lit from above."""
    along = np.gradient(path, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / (np.linalg.norm(along, axis=1)[:, None])
    taper = np.sin(np.linspace(0.25, np.pi - 0.1, len(path))) ** 0.5
    colour = colour + rng.normal(0, 9, 3)
    bristles = max(4, round(breadth / 3))
    for place in np.linspace(-0.5, 0.5, bristles):
        line = path + across * (place * breadth * taper)[:, None]
        # The ridge of paint catches light on its upper side and casts shade on the lower.
        upper = float(np.sign(across[len(path) // 2, 1]) or 1.0)
        relief = -46 * upper * place * 1.1 + rng.normal(0, 13)
        draw.line([tuple(p) for p in line], _rgb(colour + relief), round(breadth / bristles) + 2)


def _rgb(colour: Floats) -> tuple[int, int, int]:
    r, g, b = (int(np.clip(c, 0, 255)) for c in colour)
    return r, g, b


def _reduced(picture: Image.Image) -> Floats:
    size = (picture.width // OVERSAMPLING, picture.height // OVERSAMPLING)
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS), np.float64) / 255


def main() -> None:
    parser = make_parser("scripts.reproduction.draw_samples", __doc__)
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT, help="folder for both")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in (("lake", draw_lake()), ("swirls", draw_swirls())):
        save_image(folder / f"{name}.png", picture.astype(np.float32))
        print(folder / f"{name}.png")


if __name__ == "__main__":
    main()
