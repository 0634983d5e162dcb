"""The pictures that the compact network is trained on: crops of photographs and paintings."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from narrowing import Floats
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from jaxstyle.cli.networks import find_pictures

# Never trained on, so that what is measured with them is not learned by heart.
HELD_OUT = ("great-wave.jpg", "kandinsky_composition_vii.jpg", "the-scream.jpg")
PAINTING_SIDES = (192, 256, 384, 512)
Pixels = NDArray[np.uint8]


class Sources(NamedTuple):
    """Pictures to cut crops from.

    Attributes:
      photos: photographs, each `[h, w, 3]`.
      paintings: paintings in several sizes, each `[h, w, 3]`.
      files: of the photographs, then of the paintings.
      checksum: SHA-256 of the names and contents of the files.
    """

    photos: list[Pixels]
    paintings: list[Pixels]
    files: list[Path]
    checksum: str


def load_sources(data: Path) -> Sources:
    """The training pictures: all photographs, and the paintings that are not held out.

    Args:
      data: a folder with subfolders photos and style.

    Raises:
      FileNotFoundError: if either has no pictures.
      UnidentifiedImageError: if a file is not a picture.
    """
    photos, paintings = (
        [path for path in find_pictures([data / name]) if path.name not in HELD_OUT]
        for name in ("photos", "style")
    )
    digest = hashlib.sha256()
    for path in (*photos, *paintings):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return Sources(
        [_read(path) for path in tqdm(photos, "photographs")],
        [_read(path, side) for path in paintings for side in PAINTING_SIDES],
        [*photos, *paintings],
        digest.hexdigest(),
    )


def _read(path: Path, side: int | None = None) -> Pixels:
    with Image.open(path) as file:
        picture = file.convert("RGB")
    if side is not None:
        scale = side / max(picture.size)
        size = (round(picture.width * scale), round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(picture)


def crops(rng: np.random.Generator, sources: Sources, count: int, side: int) -> Floats:
    """Squares of photographs and paintings, a third of them disturbed.

    They are disturbed as pictures are on the way from one to another: by noise, or two blended.

    Args:
      rng: decides all of it.
      sources: the pictures.
      count: how many.
      side: of a square, in pixels.

    Returns:
      `[count, side, side, 3]` in [0, 1].
    """
    result = []
    for _ in range(count):
        image = square(rng, sources, side, paintings=0.35)
        kind = rng.random()
        if kind < 0.17:
            strength = rng.choice([4, 8, 16, 32, 64]) / 255 * rng.random()
            image = image + rng.normal(0, strength, image.shape)
        elif kind < 0.33:
            part = rng.random()
            image = part * image + (1 - part) * square(rng, sources, side, paintings=0.35)
        result.append(np.clip(image, 0, 1).astype(np.float32))
    return np.stack(result)


def square(rng: np.random.Generator, sources: Sources, side: int, paintings: float) -> Floats:
    """A part of a photograph or of a painting; half are scaled down.

    Args:
      rng: chooses the picture, its scale and the part.
      sources: the pictures.
      side: of the square, in pixels.
      paintings: the probability of a painting.

    Returns:
      `[side, side, 3]` in [0, 1].
    """
    pool = sources.paintings if rng.random() < paintings else sources.photos
    picture = pool[rng.integers(len(pool))]
    shorter = min(picture.shape[:2])
    if shorter < side or rng.random() < 0.5:
        scale = rng.uniform(side, max(side, shorter)) / shorter
        height, width = (max(side, round(length * scale)) for length in picture.shape[:2])
        picture = np.asarray(Image.fromarray(picture).resize((width, height)))
    height, width = picture.shape[:2]
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    cut = picture[top : top + side, left : left + side, :]
    return (cut[:, ::-1] if rng.random() < 0.5 else cut).astype(np.float32) / 255
