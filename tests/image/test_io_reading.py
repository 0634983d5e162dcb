"""Reading pictures: every kind of file, made on the fly, and every refusal."""

import struct
import zlib

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.pictures import (
    BYTES,
    GREYS,
    LINEAR_GREY,
    RNG,
    SMOOTH,
    eight_bit,
    fails,
    inverted_cmyk_profile,
    png,
    swapped_profile,
    tiff,
    written,
)
from helpers.shared import shared_file
from PIL import Image, ImageCms

from jaxstyle.errors import FileFormatError
from jaxstyle.image.io import load_image, load_picture, read_shape, reading


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
    path = written(tmp_path, Image.fromarray(rgba), name, exif=exif, **options)
    picture = load_picture(path)
    expected = np.kron(upright, np.full((16, 16), 40))
    assert read_shape(path) == expected.shape
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
        bands, _ = reading._eight_bit_bands(image, None)
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
    bands, opacity = reading._eight_bit_bands(image, None)
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


DEEP = RNG.integers(0, 65536, (9, 11, 4), dtype=np.uint16)


@pytest.mark.parametrize(
    ("data", "channels"),
    [
        (png(DEEP[..., :3], 2), 3),
        (png(DEEP[..., :3], 2, interlaced=True), 3),
        (png(DEEP, 6), 4),
        *[
            (tiff(DEEP[..., :channels], 2, big=big, deflate=deflate), channels)
            for channels in (3, 4)
            for big in (False, True)
            for deflate in (False, True)
        ],
    ],
)
def test_deep_colour_keeps_its_depth(tmp_path, data, channels):
    picture = load_picture(written(tmp_path, data, "in"))
    np.testing.assert_array_equal(np.rint(picture.image * 65535.0), DEEP[..., :3])
    if channels == 4:
        np.testing.assert_array_equal(np.rint(picture.alpha * 65535.0), DEEP[..., 3])
    else:
        assert picture.alpha is None


def test_deep_colour_is_turned_upright_and_keyed(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    chunks = [
        (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")),
        (b"tRNS", struct.pack(">HHH", *DEEP[0, 0, :3])),
    ]
    near = DEEP[..., :3].copy()
    near[0, 1] = near[0, 0] + [0, 0, 1]  # the same at 8 bits
    picture = load_picture(written(tmp_path, png(near, 2, before=chunks)))
    np.testing.assert_array_equal(np.argwhere(picture.alpha == 0), [[0, 8]])
    upright = np.rot90(near, -1)[1:]
    np.testing.assert_array_equal(np.rint(picture.image * 65535.0)[1:], upright)


def test_deep_colour_and_profiles(tmp_path):
    def kept(profile):
        chunk = (b"iCCP", b"colours\0\0" + zlib.compress(profile))
        return load_picture(written(tmp_path, png(DEEP[..., :3], 2, before=[chunk]))).image

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(np.rint(kept(srgb) * 65535.0), DEEP[..., :3])
    swapped = kept(swapped_profile())[..., [1, 0, 2]]
    np.testing.assert_allclose(swapped, DEEP[..., :3] / 65535, atol=3 / 255)


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
    ("options", "error", "message"),
    [
        ({"size": 0}, ValueError, "size should be at least 1, got 0"),
        ({"size": -3}, ValueError, "size should be at least 1, got -3"),
        ({"size": "x"}, TypeError, "size should be a whole number, got 'x'"),
        ({"size": 4, "shape": (2, 2)}, ValueError, "size or shape, not both, got size 4"),
        ({"shape": (0, 4)}, ValueError, "shape should be at least 1×1, got 0×4"),
        ({"shape": 4}, TypeError, "shape should be a height and a width, got 4"),
        ({"size": 10**6}, ValueError, "pixels are more than 300,000,000; give a smaller size"),
    ],
)
def test_impossible_sizes(tmp_path, options, error, message):
    path = written(tmp_path, Image.fromarray(BYTES))
    with pytest.raises(error, match=message):
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


def test_a_photograph(tmp_path):
    image = load_image(shared_file("data/content/astronaut.png"), size=64)
    assert image.shape == (64, 64, 3)
    assert image.dtype == jnp.float32
    assert 0.3 < float(image.mean()) < 0.6
