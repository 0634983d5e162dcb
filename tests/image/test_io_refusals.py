"""Files that hold no picture, or a damaged one: one line, and never a crash."""

import os
import struct
import sys
import warnings
import zlib

import numpy as np
import pytest
from helpers.pictures import BYTES, GREYS, RNG, fails, png, tiff, written
from PIL import Image

from jaxstyle.errors import FileFormatError
from jaxstyle.image.io import load_picture, read_settings


def test_paths_that_hold_no_image(tmp_path):
    fails(FileNotFoundError, tmp_path / "content.jpg", "no such file")
    fails(IsADirectoryError, tmp_path, "is a folder, not an image")
    text = written(tmp_path, b"just some text, not a picture", "notes.png")
    fails(FileNotFoundError, text / "in.png", "no such file")
    fails(FileFormatError, text, "not an image", "save it as")
    fails(FileFormatError, written(tmp_path, b"", "empty.png"), "empty")
    os.mkfifo(tmp_path / "pipe.png")
    fails(FileFormatError, tmp_path / "pipe.png", "device")
    script = written(tmp_path, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a.eps")
    fails(FileFormatError, script, "not an image")  # Pillow would run Ghostscript


def test_unreadable_file(tmp_path, monkeypatch):
    path = written(tmp_path, Image.fromarray(BYTES))
    monkeypatch.setattr(
        "builtins.open", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "no"))
    )
    fails(PermissionError, path, "permissions")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.jpg", {}),
        ("a.jpg", {"progressive": True}),
        ("a.webp", {}),
        ("a.gif", {}),
        ("a.bmp", {}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_adobe_deflate"}),
        ("a.ppm", {}),
    ],
)
def test_truncated_files(tmp_path, name, options):
    data = written(tmp_path, Image.fromarray(BYTES), name, **options).read_bytes()
    for length in (5, 20, 60, len(data) // 2, len(data) - 40):
        fails(FileFormatError, written(tmp_path, data[:length], name))


def test_damaged_files_are_refused_or_read_but_never_crash(tmp_path):
    messages = []
    for name in ("a.png", "a.jpg", "a.webp", "a.gif", "a.bmp", "a.tif", "a.ppm"):
        data = written(tmp_path, Image.fromarray(BYTES), name).read_bytes()
        for _ in range(30):
            damaged = bytearray(data)
            for place in RNG.integers(0, min(len(data), 300), 4):
                damaged[place] = RNG.integers(256)
            path = written(tmp_path, bytes(damaged), name)
            try:
                load_picture(path, max_pixels=10**6)
            except FileFormatError as error:
                messages.append((path, str(error)))
    assert all(line.startswith(f"{path}: ") and "\n" not in line for path, line in messages)


def test_unsupported_kinds(tmp_path):
    colour = RNG.random((3, 4, 3), dtype=np.float32)
    fails(FileFormatError, written(tmp_path, tiff(colour, 2, sample_format=3)), "8-bit")
    for wrong in (GREYS * np.float32(1), GREYS * np.float32(np.nan)):
        fails(FileFormatError, written(tmp_path, tiff(wrong, 1, sample_format=3)), "from 0 to 1")
    wrong = tiff(GREYS.astype(np.int32) * 9, 1, sample_format=2)
    fails(FileFormatError, written(tmp_path, wrong), "from 0 to 65535")


def test_decompression_bombs(tmp_path, monkeypatch):
    for side, pixels in (
        (20_000, "400.0"),
        (40_000, "1,600.0"),
    ):  # one and over two times the limit
        path = written(tmp_path, png(BYTES, 2, size=(side, side)))
        fails(FileFormatError, path, pixels, "300.0 million", "shrink")
    path = written(tmp_path, Image.fromarray(BYTES))
    fails(FileFormatError, path, call=lambda path: load_picture(path, max_pixels=239))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 150)  # Pillow would warn
    assert load_picture(path, max_pixels=240).image.shape == (12, 20, 3)
    assert Image.MAX_IMAGE_PIXELS == 150


def test_a_bomb_of_settings(tmp_path):
    chunk = (b"zTXt", b"jaxstyle\0\0" + zlib.compress(bytes(3_000_000)))
    path = written(tmp_path, png(BYTES, 2, before=[chunk]))
    fails(FileFormatError, path, "damaged", call=read_settings)


def test_heic_says_what_reads_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = written(tmp_path, struct.pack(">I", 24) + b"ftypheic" + bytes(99), "IMG_1.HEIC")
    fails(FileFormatError, path, "is HEIC", "pip install pillow-heif")


@pytest.mark.parametrize(
    "error", [MemoryError(), OverflowError("a\nb"), struct.error("x"), EOFError()]
)
def test_whatever_pillow_raises_is_one_line(tmp_path, monkeypatch, error):
    def load(self):
        warnings.warn("Pillow says", stacklevel=1)
        raise error

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    fails(FileFormatError, written(tmp_path, Image.fromarray(BYTES)), "damaged")
