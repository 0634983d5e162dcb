"""What a PNG says of its colours beside a profile, and texts that Pillow refuses; HEIC."""

import struct
import zlib

import numpy as np
import pytest
from helpers.pictures import BYTES, GREYS, eight_bit, png, swapped_profile, written
from PIL import Image, ImageCms

from jaxstyle.image.io import load_picture, read_settings

SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
DISPLAY_P3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
ADOBE = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


def gamma(value):
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def corners(numbers):
    return b"cHRM", struct.pack(">8I", *(round(number * 100_000) for number in numbers))


def cicp(primaries, transfer, matrix=0, full=1):
    return b"cICP", bytes([primaries, transfer, matrix, full])


def profile(data):
    return b"iCCP", b"name\0\0" + zlib.compress(data)


def shown(tmp_path, colours, *chunks, kind=2):
    """The levels that a PNG of one row shows, `[W, 3]` from 0 to 255."""
    data = png(np.array([colours]), kind, before=chunks)
    return 255 * load_picture(written(tmp_path, data)).image[0]


COLOURS = np.uint8([[0, 0, 0], [255, 255, 255], [128, 128, 128], [112, 83, 69], [200, 40, 90]])


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [gamma(0.45455)],  # as near to a screen as makes no difference
        [corners(DISPLAY_P3)],  # alone it says nothing of the numbers
        [(b"sRGB", b"\0"), gamma(1.0), corners(DISPLAY_P3)],
        [(b"sRGB", b"\0"), profile(swapped_profile())],
        [cicp(1, 13), profile(swapped_profile()), gamma(1.0)],
        [cicp(1, 1)],
        [cicp(2, 2), gamma(0.45455)],  # unspecified
        [cicp(9, 16, matrix=9)],  # not RGB
        [cicp(12, 13, full=0)],
        [gamma(0.0), corners(DISPLAY_P3)],
        [gamma(1.0 / 2.2), (b"cHRM", bytes(32))],
        [gamma(1.0 / 2.2), corners((0.3, 0.3, *[0.64, 0.33] * 3))],  # on one point
        [(b"gAMA", b"\0"), (b"cICP", b"")],
        [(b"iCCP", b"broken\0\0text"), (b"iCCP", b"")],
        [(b"PLTE", bytes(6)), gamma(1.0)],  # too late
    ],
)
def test_what_is_shown_as_it_is(tmp_path, chunks):
    np.testing.assert_array_equal(np.rint(shown(tmp_path, COLOURS, *chunks)), COLOURS)


def test_gamma_alone_is_seen_on_a_screen(tmp_path):
    for value in (1.0, 0.3):
        expected = 255 * (COLOURS / 255) ** (1 / (2.2 * value))
        np.testing.assert_allclose(shown(tmp_path, COLOURS, gamma(value)), expected, atol=1e-3)
        grey = shown(tmp_path, COLOURS[:, 0], gamma(value), corners(DISPLAY_P3), kind=0)
        np.testing.assert_allclose(grey[:, 0], expected[:, 0], atol=1e-3)
    deep = shown(tmp_path, GREYS[0], gamma(1.0), kind=0)[:, 0]
    np.testing.assert_allclose(deep, 255 * (GREYS[0] / 65535) ** (1 / 2.2), atol=1e-3)


def test_gamma_with_primaries_is_converted(tmp_path):
    linear = np.where(
        COLOURS <= 10, COLOURS / 12.92 / 255, ((COLOURS / 255 + 0.055) / 1.055) ** 2.4
    )
    encoded = np.rint(65535 * linear).astype(np.uint16)
    found = shown(tmp_path, encoded, gamma(1.0), corners(SRGB))
    np.testing.assert_allclose(found, COLOURS, atol=0.05)
    # Adobe RGB (1998): its grey is a power, and its primaries are those of sRGB but for green.
    found = shown(tmp_path, COLOURS, gamma(1 / 2.19921875), corners(ADOBE))
    np.testing.assert_allclose(found[:2], COLOURS[:2], atol=0.05)
    grey = (128 / 255) ** 2.19921875
    np.testing.assert_allclose(found[2], 255 * (1.055 * grey ** (1 / 2.4) - 0.055), atol=0.05)
    assert found[4, 0] > COLOURS[4, 0]  # a red of the wider space is out of ours, and stronger


def test_the_numbers_of_display_p3(tmp_path):
    # The primaries of sRGB, as CSS Color 4 gives them in Display P3.
    primaries = [[0.91749, 0.20029, 0.13856], [0.45840, 0.98526, 0.29829], [0, 0, 0.95959]]
    deep = np.rint(65535 * np.array(primaries)).astype(np.uint16)
    np.testing.assert_allclose(shown(tmp_path, deep, cicp(12, 13)), 255 * np.eye(3), atol=0.5)
    coarse = np.rint(255 * np.array(primaries)).astype(np.uint8)
    np.testing.assert_allclose(shown(tmp_path, coarse, cicp(12, 13)), 255 * np.eye(3), atol=6)


@pytest.mark.parametrize(("transfer", "white"), [(16, 0.5807), (18, 0.75)])
def test_high_dynamic_range_is_toned_down(tmp_path, transfer, white):
    ramp = np.linspace(0, 1, 64)[:, None] * np.ones(3)
    levels = shown(tmp_path, np.rint(65535 * ramp).astype(np.uint16), cicp(9, transfer))
    assert levels[0].max() == 0
    assert (np.diff(levels, axis=0) >= -1e-3).all()
    assert levels[-1].min() == pytest.approx(255, abs=0.01)
    np.testing.assert_allclose(levels - levels[:, :1], 0, atol=0.05)  # grey stays grey
    # White, 203 cd/m², becomes (1 + (203 / 1000)²) / 2 of the light, which leaves room for lamps.
    (at_white,) = shown(tmp_path, np.uint16([[round(65535 * white)] * 3]), cicp(9, transfer))
    light = (1 + 0.203**2) / 2
    np.testing.assert_allclose(at_white, 255 * (1.055 * light ** (1 / 2.4) - 0.055), atol=0.5)


def test_a_profile_goes_before_gamma_and_behind_cicp(tmp_path):
    red = np.uint8([[255, 0, 0]])
    swapped = profile(swapped_profile())
    assert shown(tmp_path, red, gamma(1.0), corners(SRGB), swapped)[0].argmax() == 1
    assert shown(tmp_path, red, cicp(1, 13), swapped)[0].argmax() == 0


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"tEXt"])
def test_long_texts_are_no_damage(tmp_path, kind):
    text = bytes(range(1, 256)) * 20_000
    data = {
        b"zTXt": b"note\0\0" + zlib.compress(text),
        b"iTXt": b"XML:com.adobe.xmp\0\0\0\0\0" + bytes(70_000_000),
        b"tEXt": b"note\0" + text,
    }[kind]
    settings = (b"tEXt", b'jaxstyle\0{"steps": 3}')
    path = written(tmp_path, png(BYTES, 2, before=[settings, (kind, data)]))
    np.testing.assert_array_equal(eight_bit(load_picture(path).image), BYTES)
    assert read_settings(path) == {"steps": 3}


def test_long_profiles_are_no_damage(tmp_path):
    data = swapped_profile() + bytes(3_000_000)
    data = struct.pack(">I", len(data)) + data[4:]
    path = written(tmp_path, png(np.uint8([[[255, 0, 0]]]), 2, before=[profile(data)]))
    assert load_picture(path).image[0, 0].argmax() == 1
    bomb = profile(bytes(2**26 + 1))
    path = written(tmp_path, png(BYTES, 2, before=[bomb]))
    np.testing.assert_array_equal(eight_bit(load_picture(path).image), BYTES)


def test_numbers_of_avif(tmp_path):
    path = written(tmp_path, Image.new("RGB", (16, 16), (112, 83, 69)), "a.avif", quality=100)
    data = path.read_bytes()
    assert b"colrnclx\0\1\0\x0d" in data
    plain = 255 * load_picture(path).image[8, 8]
    np.testing.assert_allclose(plain, [112, 83, 69], atol=2)
    path.write_bytes(data.replace(b"colrnclx\0\1\0\x0d", b"colrnclx\0\x0c\0\x0d"))
    found = 255 * load_picture(path).image[8, 8]
    np.testing.assert_allclose(found, [117, 82, 67], atol=3)


def test_heic(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    smooth = Image.fromarray(np.linspace(0, 255, 48 * 64 * 3).reshape(48, 64, 3).astype(np.uint8))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    heif.from_pillow(smooth).save(tmp_path / "a.heic", quality=95, icc_profile=srgb)
    found = load_picture(tmp_path / "a.heic").image
    assert np.abs(255 * found - np.asarray(smooth)).max() < 12


def spoiled(data, kind):
    """The PNG with another checksum on a chunk."""
    at = data.index(kind)
    end = at + 4 + struct.unpack(">I", data[at - 4 : at])[0]
    return data[:end] + b"\0\0\0\0" + data[end + 4 :]


@pytest.mark.parametrize("chunk", [gamma(1.0), cicp(12, 13), cicp(9, 16), (b"tRNS", bytes(6)),
                                   (b"eXIf", b"MM\0*"), (b"acTL", bytes(8)),
                                   (b"tEXt", b"jaxstyle\0{}")])  # fmt: skip
def test_what_has_a_wrong_checksum_is_passed_over(tmp_path, chunk):
    plain = load_picture(written(tmp_path, png(COLOURS[None], 2)))
    found = load_picture(
        written(tmp_path, spoiled(png(COLOURS[None], 2, before=[chunk]), chunk[0]))
    )
    np.testing.assert_array_equal(found.image, plain.image)
    assert found.alpha is None


@pytest.mark.parametrize("chunk", [(b"tRNS", b"\0"), (b"acTL", b"\0"), (b"fcTL", b""),
                                   (b"zTXt", b"jaxstyle\0\0" + zlib.compress(bytes(3_000_000))),
                                   (b"tEXt", b"jaxstyle\0" + bytes(70_000_000))])  # fmt: skip
def test_what_cannot_be_right_is_passed_over(tmp_path, chunk):
    plain = load_picture(written(tmp_path, png(COLOURS[None], 2)))
    found = load_picture(written(tmp_path, png(COLOURS[None], 2, before=[chunk])))
    np.testing.assert_array_equal(found.image, plain.image)
