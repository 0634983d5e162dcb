"""Reading and writing pictures: every kind of file, made on the fly, and every refusal."""

import errno
import json
import os
import stat
import struct
import warnings
import zlib
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import shared_file
from PIL import Image, ImageCms

from jaxstyle import files, io
from jaxstyle.errors import FileFormatError
from jaxstyle.io import load_image, load_picture, read_settings, save_image

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
GREYS = np.array([[0, 1, 255, 256], [1000, 30000, 40001, 65535]], np.uint16)
SMOOTH = np.linspace(0, 255, 48 * 64 * 3).reshape(48, 64, 3).astype(np.uint8)


def png(pixels, colour_type, *, before=(), size=None):
    """A PNG of kinds that Pillow does not write: 16-bit colour, odd chunks, a size that lies."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in pixels)
    height, width = size or pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), *before, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def tiff(pixels, photometric, *, big=False, bits=None, width=None, sample_format=1, deflate=False):
    """A TIFF of one strip, of kinds that Pillow reads but does not write."""
    order = ">" if big else "<"
    height, channels = pixels.shape[0], pixels.shape[2] if pixels.ndim == 3 else 1
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    data = zlib.compress(data) if deflate else data
    start = 8 + 2 + 11 * 12 + 4
    each = struct.pack(f"{order}{channels}H", *[bits or 8 * pixels.itemsize] * channels)
    kinds = struct.pack(f"{order}{channels}H", *[sample_format] * channels)
    values = [
        (256, width or pixels.shape[1]), (257, height), (258, each),
        (259, 8 if deflate else 1), (262, photometric), (273, start + 32), (277, channels),
        (278, height), (279, len(data)), (284, 1), (339, kinds),
    ]  # fmt: skip
    entries, blob = b"", b""
    for tag, value in values:
        if isinstance(value, int):
            entries += struct.pack(f"{order}HHII", tag, 4, 1, value)
        elif len(value) <= 4:
            entries += struct.pack(f"{order}HHI", tag, 3, channels) + value.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}HHII", tag, 3, channels, start + len(blob))
            blob += value
    head = (b"MM\0*" if big else b"II*\0") + struct.pack(f"{order}IH", 8, len(values))
    return head + entries + bytes(4) + blob.ljust(32, b"\0") + data


def icc(space, tags, *, kind=b"mntr", connection=b"XYZ "):
    """A minimal version 2 colour profile."""
    d50 = struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    tags = {b"wtpt": b"XYZ " + bytes(4) + d50, **tags}
    table, blob = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(blob), len(data))
        blob += data + bytes(-len(data) % 4)
    head = b"\0\0\0\0" + struct.pack(">I", 0x02400000) + kind + space + connection + bytes(12)
    head = (head + b"acsp" + bytes(28) + d50).ljust(124, b"\0")
    return struct.pack(">I", 128 + len(table) + len(blob)) + head + table + blob


LINEAR_GREY = icc(b"GRAY", {b"kTRC": b"curv" + bytes(4) + struct.pack(">IH", 1, 256)})


def inverted_cmyk_profile():
    """Lightness grows with the ink, so that a reader that ignores the profile is found out."""
    identity = bytes(range(256))
    corners = b"".join(bytes([255 * i.bit_count() // 4, 128, 128]) for i in range(16))
    matrix = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    table = (
        b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + identity * 4 + corners + identity * 3
    )
    return icc(b"CMYK", {b"A2B0": table}, kind=b"prtr", connection=b"Lab ")


def swapped_profile():
    """SRGB with the red and the green primary exchanged."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data.replace(b"rXYZ", b"tmp ").replace(b"gXYZ", b"rXYZ").replace(b"tmp ", b"gXYZ")


def written(tmp_path, image, name="in.png", **options):
    path = tmp_path / name
    if isinstance(image, bytes):
        path.write_bytes(image)
    else:
        image.save(path, **options)
    return path


def fails(error, path, *words, call=load_picture):
    """The call refuses in one line that begins with the file's name; returns the line."""
    with pytest.raises(error) as caught:
        call(path)
    message = str(caught.value)
    assert type(caught.value) is error
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    for word in words:
        assert word in message
    return message


def eight_bit(values):
    return np.rint(np.asarray(values) * 255).astype(int)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.bmp", {}),
        ("a.tif", {}),
        ("a.tiff", {"compression": "tiff_lzw"}),
        ("a.webp", {"lossless": True}),
        ("a.ppm", {}),
    ],
)
def test_lossless_formats_are_read_exactly(tmp_path, name, options):
    picture = load_picture(written(tmp_path, Image.fromarray(BYTES), name, **options))
    assert picture.image.dtype == np.float32
    assert picture.alpha is None
    np.testing.assert_array_equal(picture.image, BYTES.astype(np.float32) / np.float32(255))


def test_the_extension_does_not_matter_for_reading(tmp_path):
    path = written(tmp_path, Image.fromarray(BYTES), "photo.jpg", format="PNG")
    np.testing.assert_array_equal(eight_bit(load_image(str(path))), BYTES)
    assert isinstance(load_image(path), jnp.ndarray)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_lossy_formats(tmp_path, name):
    path = written(tmp_path, Image.fromarray(SMOOTH), name, quality=95)
    assert np.abs(eight_bit(load_picture(path).image) - SMOOTH).max() < 12


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_first_frame_of_an_animation(tmp_path, name):
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("#ff0000", "#00ff00", "#0000ff")]
    options = {} if name == "a.gif" else {"lossless": True}
    path = written(tmp_path, frames[0], name, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(
        eight_bit(load_picture(path).image), np.full((4, 6, 3), [255, 0, 0])
    )


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "a.jpg"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, [[1, 2, 3], [4, 5, 6]]),
        (2, [[3, 2, 1], [6, 5, 4]]),
        (3, [[6, 5, 4], [3, 2, 1]]),
        (4, [[4, 5, 6], [1, 2, 3]]),
        (5, [[1, 4], [2, 5], [3, 6]]),
        (6, [[4, 1], [5, 2], [6, 3]]),
        (7, [[6, 3], [5, 2], [4, 1]]),
        (8, [[3, 6], [2, 5], [1, 4]]),
    ],
)
def test_exif_orientation(tmp_path, name, orientation, upright):
    stored = np.kron([[1, 2, 3], [4, 5, 6]], np.full((16, 16), 40)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name == "a.webp" else {}
    rgba = np.stack([stored, stored, stored, 255 - stored // 2], -1)[..., : 3 + (name != "a.jpg")]
    picture = load_picture(written(tmp_path, Image.fromarray(rgba), name, exif=exif, **options))
    expected = np.kron(upright, np.full((16, 16), 40))
    np.testing.assert_allclose(eight_bit(picture.image[..., 1]), expected, atol=1)
    if picture.alpha is not None:
        np.testing.assert_array_equal(eight_bit(picture.alpha), 255 - expected // 2)


def test_broken_metadata_are_ignored(tmp_path):
    image = Image.fromarray(SMOOTH)
    path = written(tmp_path, image, "a.jpg", exif=b"Exif\0\0II*\0garbage", icc_profile=b"nonsense")
    plain = written(tmp_path, image, "b.jpg")
    np.testing.assert_array_equal(load_picture(path).image, load_picture(plain).image)
    grey = written(tmp_path, image.convert("L"), "c.png", icc_profile=swapped_profile())
    np.testing.assert_array_equal(
        eight_bit(load_picture(grey).image[..., 0]), np.asarray(image.convert("L"))
    )


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_colour_profile_is_applied(tmp_path, name):
    path = written(tmp_path, Image.new("RGB", (8, 8), "red"), name, icc_profile=swapped_profile())
    red, green, blue = load_picture(path).image[4, 4]
    assert green > 0.98
    assert max(red, blue) < 0.02


def test_colour_profile_leaves_alpha_alone(tmp_path):
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 100))
    picture = load_picture(written(tmp_path, image, icc_profile=swapped_profile()))
    np.testing.assert_array_equal(eight_bit(picture.image[0, 0]), [0, 255, 0])
    np.testing.assert_array_equal(eight_bit(picture.alpha), np.full((4, 4), 100))


def test_grey_profile(tmp_path):
    path = written(tmp_path, Image.new("L", (4, 4), 128), icc_profile=LINEAR_GREY)
    np.testing.assert_allclose(load_picture(path).image, 188 / 255, atol=2 / 255)
    chunk = (b"iCCP", b"grey\0\0" + zlib.compress(LINEAR_GREY))
    deep = np.array([[32768, 32800]], np.uint16)
    values = load_picture(written(tmp_path, png(deep, 0, before=[chunk]))).image
    np.testing.assert_allclose(values, 188 / 255, atol=2 / 255)
    assert (values[0, 1] > values[0, 0]).all()  # an eighth of an 8-bit step apart


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk(tmp_path, name):
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    red = load_picture(written(tmp_path, ink, name)).image
    np.testing.assert_allclose(red, np.broadcast_to([1, 0, 0], red.shape), atol=2 / 255)
    paper = Image.new("CMYK", (8, 8), (0, 0, 0, 0))
    path = written(tmp_path, paper, name, icc_profile=inverted_cmyk_profile())
    assert load_picture(path).image.max() < 0.05


def test_lab_ycbcr_hsv(tmp_path):
    lab = Image.merge("LAB", [Image.new("L", (4, 4), level) for level in (138, 209, 198)])
    picture = load_picture(written(tmp_path, lab, "a.tif"))  # L 54, a 81, b 70
    np.testing.assert_allclose(picture.image[0, 0], [1, 0, 0], atol=0.03)
    for mode in ("YCbCr", "HSV"):  # in memory: rare in files, and older Pillows read them badly
        image = Image.new("RGB", (4, 4), (200, 30, 40)).convert(mode)
        image.getexif()
        bands, _ = io._bands(image)
        np.testing.assert_allclose([band.getpixel((0, 0)) for band in bands], [200, 30, 40], atol=3)


def test_grey_and_one_bit(tmp_path):
    grey = Image.fromarray(BYTES[..., 0])
    picture = load_picture(written(tmp_path, grey))
    assert picture.image.shape == (12, 20, 3)
    np.testing.assert_array_equal(eight_bit(picture.image), np.stack([BYTES[..., 0]] * 3, -1))
    bits = load_picture(written(tmp_path, grey.convert("1"))).image
    assert set(np.unique(bits)) == {0.0, 1.0}


def test_transparency_of_every_kind(tmp_path):
    grey = Image.fromarray(np.array([[10, 200]], np.uint8))
    palette = grey.convert("P", palette=Image.Palette.ADAPTIVE)
    first = palette.getpixel((0, 0))
    cases = [
        (palette, "index", {"transparency": first}),
        (palette, "bytes", {"transparency": bytes(0 if i == first else 255 for i in range(256))}),
        (grey, "grey", {"transparency": 10}),
        (grey.convert("RGB"), "colour", {"transparency": (10, 10, 10)}),
        (Image.merge("LA", [grey, grey.point(lambda v: 255 * (v > 99))]), "LA", {}),
    ]
    for image, name, options in cases:
        picture = load_picture(written(tmp_path, image, f"{name}.png", **options))
        np.testing.assert_array_equal(picture.alpha, [[0, 1]], err_msg=name)
        np.testing.assert_array_equal(eight_bit(picture.image), np.full((1, 2, 3), 200), name)
    gif = load_picture(written(tmp_path, palette, "a.gif", transparency=first))
    np.testing.assert_array_equal(gif.alpha, [[0, 1]])
    half = load_picture(
        written(tmp_path, palette, transparency=bytes(128 if i == first else 255 for i in range(9)))
    )
    np.testing.assert_array_equal(eight_bit(half.alpha), [[128, 255]])
    np.testing.assert_array_equal(eight_bit(half.image[..., 0]), [[10, 200]])


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_modes(mode):
    image = Image.new("RGBA", (2, 2), (200, 200, 200, 128))
    image = (image.convert("LA") if mode == "La" else image).convert(mode)
    image.getexif()
    bands, opacity = io._bands(image)
    assert abs(bands[0].getpixel((0, 0)) - 200) < 2
    assert opacity.getpixel((0, 0)) == 128


@pytest.mark.parametrize(
    "data",
    [
        png(GREYS, 0),
        tiff(GREYS, 1),
        tiff(GREYS, 1, big=True),
        tiff(GREYS, 1, deflate=True),
        tiff(65535 - GREYS, 0),
        tiff(65535 - GREYS, 0, deflate=True),
        tiff(GREYS.astype(np.int32), 1, sample_format=2),
        tiff(GREYS.astype(np.float32) / 65535, 1, sample_format=3),
        b"P5 4 2 65535\n" + GREYS.astype(">u2").tobytes(),
    ],
    ids=["png", "tiff", "big", "zip", "white-is-0", "zip-white-is-0", "int32", "float", "pgm"],
)
def test_deep_grey_keeps_its_depth(tmp_path, data):
    picture = load_picture(written(tmp_path, data, "in"))
    expected = np.stack([GREYS.astype(np.float32) / np.float32(65535)] * 3, -1)
    np.testing.assert_allclose(picture.image, expected, atol=1e-7)


def test_twelve_bit_grey_uses_its_whole_range(tmp_path):
    packed = np.array([[0xFF, 0xF0, 0x00]], np.uint8)  # 4095 and 0
    data = tiff(packed, 1, bits=12, width=2)
    np.testing.assert_array_equal(load_picture(written(tmp_path, data)).image[..., 0], [[1, 0]])


def test_deep_transparent_colours(tmp_path):
    chunk = (b"tRNS", struct.pack(">H", 1000))
    picture = load_picture(written(tmp_path, png(GREYS, 0, before=[chunk])))
    np.testing.assert_array_equal(picture.alpha, GREYS != 1000)
    colour = np.array([[[1000, 256, 0], [60000, 0, 0]]], np.uint16)
    chunk = (b"tRNS", struct.pack(">HHH", 1000, 256, 0))
    picture = load_picture(written(tmp_path, png(colour, 2, before=[chunk])))
    np.testing.assert_array_equal(picture.alpha, [[0, 1]])


@pytest.mark.parametrize("kind", ["png", "tiff", "tiff-big"])
def test_deep_colour_comes_at_eight_bits(tmp_path, kind):
    deep = RNG.integers(0, 65536, (3, 5, 3), dtype=np.uint16)
    data = png(deep, 2) if kind == "png" else tiff(deep, 2, big=kind == "tiff-big")
    image = load_picture(written(tmp_path, data)).image
    np.testing.assert_allclose(image, deep / 65535, atol=1 / 255)


@pytest.mark.parametrize(
    ("side", "expected"),
    [(20, (12, 20)), (10, (6, 10)), (1, (1, 1)), (7, (4, 7)), (33, (20, 33)), (200, (120, 200))],
)
def test_size_is_the_longer_side(tmp_path, side, expected):
    image = Image.fromarray(BYTES)
    wide, tall = written(tmp_path, image), written(tmp_path, image.transpose(2), "tall.png")
    assert load_image(wide, side).shape == (*expected, 3)
    assert load_image(tall, size=side).shape == (*expected[::-1], 3)
    assert load_image(wide, shape=(9, side)).shape == (9, side, 3)


def test_extreme_shapes(tmp_path):
    thread = written(tmp_path, Image.new("RGB", (4000, 1), "#336699"))
    assert load_image(thread).shape == (1, 4000, 3)
    assert load_image(thread, 64).shape == (1, 64, 3)
    dot = written(tmp_path, Image.new("RGB", (1, 1), "#336699"), "dot.png")
    np.testing.assert_array_equal(eight_bit(load_image(dot, 3)), np.full((3, 3, 3), [51, 102, 153]))


def test_resizing_keeps_range_constants_depth_and_mean(tmp_path):
    flat = written(tmp_path, Image.new("RGB", (50, 30), (1, 128, 255)), "flat.png")
    for side in (7, 200):
        values = load_picture(flat, size=side).image
        np.testing.assert_allclose(
            values, np.broadcast_to([1, 128, 255], values.shape) / 255, atol=1e-6
        )
    noise = load_picture(written(tmp_path, Image.fromarray(BYTES), "noise.png"), size=61).image
    assert noise.min() >= 0
    assert noise.max() <= 1
    ramp = np.tile(np.arange(30000, 30064, dtype=np.uint16), (64, 1))  # a quarter of an 8-bit step
    small = load_picture(written(tmp_path, png(ramp, 0), "ramp.png"), size=8).image[4, :, 0]
    assert (np.diff(small) > 0).all()
    big = written(tmp_path, Image.fromarray(SMOOTH), "smooth.png")
    np.testing.assert_allclose(
        load_picture(big, size=16).image.mean(), SMOOTH.mean() / 255, atol=2e-3
    )


@pytest.mark.parametrize(
    "options",
    [{"size": 0}, {"size": -3}, {"size": 4, "shape": (2, 2)}, {"shape": (0, 4)}, {"size": 10**6}],
)
def test_impossible_sizes(tmp_path, options):
    path = written(tmp_path, Image.fromarray(BYTES))
    with pytest.raises(ValueError, match="expected"):
        load_picture(path, **options)


@pytest.mark.parametrize("size", [None, 8, 64])
def test_hidden_colours_do_not_show(tmp_path, size):
    pixels = np.full((32, 32, 4), [200, 100, 50, 255], np.uint8)
    pixels[:, :16] = [0, 255, 0, 0]
    picture = load_picture(written(tmp_path, Image.fromarray(pixels)), size=size)
    np.testing.assert_array_equal(
        eight_bit(picture.image), np.full(picture.image.shape, [200, 100, 50])
    )
    assert picture.alpha.min() == 0
    assert picture.alpha.max() == 1


def test_hidden_pixels_take_the_mean_of_the_visible_weighted_by_alpha(tmp_path):
    pixels = np.array([[[0, 0, 0, 0], [255, 0, 0, 255], [0, 0, 255, 85]]], np.uint8)
    picture = load_picture(written(tmp_path, Image.fromarray(pixels)))
    np.testing.assert_allclose(picture.image, [[[0.75, 0, 0.25], [1, 0, 0], [0, 0, 1]]], atol=1e-6)


def test_opaque_alpha_is_none_and_no_visible_pixel_an_error(tmp_path):
    assert load_picture(written(tmp_path, Image.new("RGBA", (3, 3), "red"))).alpha is None
    path = written(tmp_path, Image.new("RGBA", (3, 3)))
    fails(FileFormatError, path, "transparent")


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
        "builtins.open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "no"))
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


def test_text_bomb(tmp_path):
    chunk = (b"zTXt", b"comment\0\0" + zlib.compress(bytes(3_000_000)))
    fails(FileFormatError, written(tmp_path, png(BYTES, 2, before=[chunk])), "damaged")


@pytest.mark.parametrize(
    "error", [MemoryError(), OverflowError("a\nb"), struct.error("x"), EOFError()]
)
def test_whatever_pillow_raises_is_one_line(tmp_path, monkeypatch, error):
    def load(self):
        warnings.warn("Pillow says", stacklevel=1)
        raise error

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    fails(FileFormatError, written(tmp_path, Image.fromarray(BYTES)), "damaged")


@pytest.mark.parametrize(
    ("name", "quality"), [("a.png", 95), ("a.TIF", 95), ("a.tiff", 1), ("a.webp", 100)]
)
def test_round_trip_is_exact(tmp_path, name, quality):
    path, alpha = tmp_path / name, BYTES[..., 0] | 1
    save_image(path, BYTES / 255, quality=quality)
    np.testing.assert_array_equal(eight_bit(load_picture(path).image), BYTES)
    save_image(path, jnp.asarray(BYTES / 255), alpha=alpha / 255, quality=quality)
    picture = load_picture(path)
    np.testing.assert_array_equal(eight_bit(picture.image), BYTES)
    np.testing.assert_array_equal(eight_bit(picture.alpha), alpha)


def test_rounding_and_clipping(tmp_path):
    path = tmp_path / "a.png"
    values = np.array([-np.inf, -1, 0.5, 1.5, 2.5, 254.6, 300, np.inf], np.float32) / 255
    save_image(path, np.broadcast_to(values[None, :, None], (1, 8, 3)))
    expected = [0, 0, 0, 2, 2, 255, 255, 255]
    np.testing.assert_array_equal(np.asarray(Image.open(path))[0, :, 0], expected)
    save_image(path, jnp.full((2, 2, 3), 0.5, jnp.bfloat16))
    assert Image.open(path).getpixel((0, 0)) == (128, 128, 128)


def test_lossy_output(tmp_path):
    save_image(tmp_path / "a.jpg", SMOOTH / 255, alpha=np.ones((48, 64)))
    with Image.open(tmp_path / "a.jpg") as jpeg:
        assert [layer[1:3] for layer in jpeg.layer] == [(1, 1)] * 3  # 4:4:4
        assert np.abs(np.asarray(jpeg).astype(int) - SMOOTH).max() < 10
    save_image(tmp_path / "noise.jpg", RNG.random((600, 600, 3)), quality=100)
    save_image(tmp_path / "b.jpeg", np.zeros((8, 8, 3)), alpha=np.full((8, 8), 0.25))
    assert load_image(tmp_path / "b.jpeg")[4, 4, 0] == pytest.approx(0.75, abs=0.01)
    alpha = RNG.integers(0, 256, (48, 64)) / 255
    save_image(tmp_path / "a.webp", SMOOTH / 255, alpha=alpha)
    np.testing.assert_array_equal(
        eight_bit(load_picture(tmp_path / "a.webp").alpha), eight_bit(alpha)
    )


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_settings_round_trip(tmp_path, name):
    path = tmp_path / name
    settings = {"style": "Пикассо 名画 \udce9.jpg", "steps": np.int32(5), "tv": jnp.float32(0.5)}
    save_image(path, BYTES / 255, settings={**settings, "path": Path("x"), "sizes": (1, 2)})
    expected = {"style": settings["style"], "steps": 5, "tv": 0.5, "path": "x", "sizes": [1, 2]}
    assert read_settings(path) == expected
    save_image(path, BYTES / 255)
    fails(FileFormatError, path, "holds no jaxstyle settings", call=read_settings)
    fails(FileNotFoundError, tmp_path / "none.png", call=read_settings)


def test_settings_of_others(tmp_path):
    image = Image.fromarray(BYTES)
    save_image(tmp_path / "a.png", BYTES / 255, settings={"a": 1})
    with Image.open(tmp_path / "a.png") as saved:
        assert json.loads(saved.text["jaxstyle"]) == {"a": 1}
        assert saved.text["Software"].startswith("jaxstyle")
    exif = Image.Exif()
    exif[270] = "jaxstyle {broken"
    for name, options in (("b.jpg", {"exif": exif}), ("c.jpg", {"comment": b"{}"})):
        path = written(tmp_path, image, name, **options)
        fails(FileFormatError, path, "holds no jaxstyle settings", call=read_settings)


@pytest.mark.parametrize(
    ("error", "match", "image", "options"),
    [
        (ValueError, "2 that are NaN", np.array([[[np.nan, np.nan, 1]]]), {}),
        (ValueError, r"\(H, W, 3\), got \(4, 4\)", np.zeros((4, 4)), {}),
        (ValueError, r"got \(4, 4, 4\)", np.zeros((4, 4, 4)), {}),
        (ValueError, r"got \(0, 4, 3\)", np.zeros((0, 4, 3)), {}),
        (TypeError, "uint8", BYTES, {}),
        (ValueError, "alpha: expected shape", np.zeros((4, 4, 3)), {"alpha": np.ones((4, 5))}),
        (ValueError, "quality", np.zeros((4, 4, 3)), {"quality": 0}),
        (TypeError, "settings: .*JSON", np.zeros((4, 4, 3)), {"settings": {"a": {1}}}),
    ],
)
def test_arguments_that_cannot_be_saved(tmp_path, error, match, image, options):
    with pytest.raises(error, match=match):
        save_image(tmp_path / "a.png", image, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "width", "settings"), [("a.webp", 16_384, None), ("a.jpg", 8, {"a": "x" * 70_000})]
)
def test_more_than_the_format_holds(tmp_path, name, width, settings):
    def save(path):
        save_image(path, np.zeros((1, width, 3)), settings=settings)

    fails(ValueError, tmp_path / name, "save it as .png", call=save)
    assert not list(tmp_path.iterdir())


def test_check_output_path(tmp_path, monkeypatch):
    io.check_output_path(tmp_path / "out.PNG")
    assert not list(tmp_path.iterdir())
    for name in ("out.gif", "out", ".png"):
        fails(ValueError, tmp_path / name, ".png, .jpg", call=io.check_output_path)
    fails(IsADirectoryError, tmp_path, "name a file inside", call=io.check_output_path)
    fails(FileNotFoundError, tmp_path / "no" / "a.png", "create it", call=io.check_output_path)
    (tmp_path / "file").touch()
    fails(NotADirectoryError, tmp_path / "file" / "a.png", call=io.check_output_path)

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    fails(OSError, tmp_path / "a.png", "Read-only", "another folder", call=io.check_output_path)


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_text("old")

    def save(self, target, *_, **__):
        Path(target).write_text("half a")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(OSError, match="No space"):
        save_image(path, BYTES / 255)
    with pytest.raises(KeyboardInterrupt), files.atomic_write(path):
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.png"]


def test_atomic_write(tmp_path):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "trace.csv", tmp_path / "link.csv"
    link.symlink_to(target)
    umask = os.umask(0o027)
    try:
        with files.atomic_write(link) as temporary:
            temporary.write_text("step,loss")
            assert temporary.parent == target.parent
            assert temporary.name.startswith(".")
            assert not target.exists()
    finally:
        os.umask(umask)
    assert target.read_text() == "step,loss"
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert os.listdir(target.parent) == ["trace.csv"]


def test_names_with_odd_letters(tmp_path):
    path = tmp_path / ("ü 名 'x" * 20 + ".png")
    save_image(path, BYTES / 255)
    assert load_image(path, 5).shape == (3, 5, 3)


def test_a_photograph(tmp_path):
    image = load_image(shared_file("data/content/astronaut.png"), size=64)
    assert image.shape == (64, 64, 3)
    assert image.dtype == jnp.float32
    assert 0.3 < float(image.mean()) < 0.6
