"""Frames of scans: what is cut, and what is left alone."""

import numpy as np
import pytest
from PIL import Image

from jaxstyle.image.frame import Frame, find_frame
from jaxstyle.image.io.reading import load_picture

RNG = np.random.default_rng(0)


def painting(height=48, width=64):
    return RNG.uniform(0.3, 0.7, (height, width, 3)).astype(np.float32)


def framed(color, top=5, right=6, bottom=7, left=8, noise=0.0):
    picture = np.full((60, 78, 3), color, np.float32)
    picture += noise * RNG.normal(size=picture.shape).astype(np.float32)
    picture[top : 60 - bottom, left : 78 - right] = painting(60 - top - bottom, 78 - left - right)
    return picture


@pytest.mark.parametrize("color", [0.0, 1.0, (0.95, 0.9, 0.8)])
@pytest.mark.parametrize("noise", [0.0, 2 / 255])
def test_an_even_frame_is_found_to_the_pixel(color, noise):
    assert find_frame(framed(color, noise=noise)) == Frame(5, 6, 7, 8)


def test_strips_around_strips_are_found():
    picture = np.ones((80, 98, 3), np.float32)
    picture[10:-10, 10:-10] = framed(0.0)
    assert find_frame(picture) == Frame(15, 16, 17, 18)


def dark_edge():
    """A painting that fades to its own dark edge."""
    height, width = 48, 64
    y, x = np.mgrid[:height, :width]
    depth = np.minimum(np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x))
    return painting() * np.clip(depth / 12, 0, 1)[..., None].astype(np.float32)


def sky():
    """A painting whose even sky reaches the edge, and ends at a hill."""
    picture = painting()
    hill = 8 + (6 * np.sin(np.arange(64) / 6)).astype(int)
    picture[np.arange(48)[:, None] < hill] = (0.6, 0.7, 0.9)
    return picture


@pytest.mark.parametrize(
    "picture",
    [
        painting(), dark_edge(), sky(), framed(0.0, 20, 0, 0, 0),
        np.full((30, 40, 3), 0.5, np.float32), framed(0.0, 1, 1, 1, 1),
        framed(0.0, noise=10 / 255), np.ones((1, 1, 3), np.float32),
    ],
    ids=["none", "dark edge", "sky", "a third", "one colour", "a line", "woven", "a pixel"],
)  # fmt: skip
def test_what_may_be_the_painting_is_left(picture):
    assert find_frame(picture) == Frame(0, 0, 0, 0)


def test_reading_trims_where_it_is_asked_to(tmp_path):
    pixels = (255 * framed(1.0)).round().astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "scan.png")
    assert load_picture(tmp_path / "scan.png").image.shape == (60, 78, 3)
    read = load_picture(tmp_path / "scan.png", trim=True)
    assert read.frame == Frame(5, 6, 7, 8)
    np.testing.assert_array_equal((255 * read.image).round(), pixels[5:-7, 8:-6])
    assert max(load_picture(tmp_path / "scan.png", size=32, trim=True).image.shape) == 32


def test_large_scans_lose_the_pixels_that_the_frame_touches(tmp_path):
    pixels = np.zeros((1100, 2200), np.uint8)
    pixels[31:-31, 31:-31] = RNG.integers(80, 255, (1038, 2138))
    Image.fromarray(pixels).save(tmp_path / "scan.png")
    read = load_picture(tmp_path / "scan.png", trim=True)
    assert all(31 <= edge <= 34 for edge in read.frame)
