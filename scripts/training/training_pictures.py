"""Cuts the pictures that the compact network is trained on from photographs and paintings."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from jaxstyle._common.files import find_pictures
from scripts.training.narrowing import Floats

# These are never trained on, so that nothing measured with them was learned by heart.
HELD_OUT = ("great-wave.jpg", "kandinsky_composition_vii.jpg", "the-scream.jpg")
PAINTING_SIDES = (192, 256, 384, 512)
Pixels = NDArray[np.uint8]


class Sources(NamedTuple):
    """Holds the pictures that crops are cut from.

    Attributes:
      photos: photographs, each `[h, w, 3]`.
      paintings: paintings in several sizes, each `[h, w, 3]`.
      files: the files of the photographs, then those of the paintings.
      checksum: the SHA-256 of the names and contents of the files.
    """

    photos: list[Pixels]
    paintings: list[Pixels]
    files: list[Path]
    checksum: str


def load_sources(data: Path) -> Sources:
    """Reads all photographs, and the paintings that are not held out.

    Args:
      data: a folder with the subfolders photos and style.

    Raises:
      FileNotFoundError: if either subfolder has no pictures.
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
    """Cuts squares from photographs and paintings, and disturbs a third of them.

    They are disturbed as a picture is while it turns into another one: noise is added, or two
    squares are blended.

    Args:
      rng: decides everything.
      sources: the pictures.
      count: how many squares to cut.
      side: the side of a square, in pixels.

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
    """Cuts a square from a photograph or a painting; half of them are scaled down first.

    Args:
      rng: chooses the picture, its scale and the part.
      sources: the pictures.
      side: the side of the square, in pixels.
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
