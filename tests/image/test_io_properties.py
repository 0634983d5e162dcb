"""What holds for every picture file, sound or not: properties, and files damaged at random."""

import io
import time
import zlib

import numpy as np
import pytest
from helpers.pictures import BYTES, LINEAR_GREY, png, swapped_profile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxstyle.errors import FileFormatError
from jaxstyle.image.io import load_picture, read_settings

SMALL = BYTES[:4, :6]
FUZZ_SECONDS = 6  # of each kind; a minute in all
COLOUR = [b"gAMA", b"cHRM", b"cICP", b"sRGB", b"iCCP"]
CHUNKS = st.tuples(
    st.sampled_from([*COLOUR, b"tEXt", b"zTXt", b"iTXt", b"tIME", b"pHYs", b"eXIf", b"prIv"]),
    st.one_of(
        st.binary(max_size=40),
        st.binary(max_size=40).map(lambda data: b"note\0\0" + zlib.compress(data)),
        st.sampled_from([swapped_profile(), LINEAR_GREY]).map(
            lambda data: b"name\0\0" + zlib.compress(data)
        ),
    ),
)
PROPERTY = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def read_or_refused(path, read=load_picture):
    """Returns what is read, or None where a line with the file's name refuses it."""
    try:
        return read(path)
    except FileFormatError as error:
        refusal = str(error)
    assert refusal.startswith(f"{path}: ")
    assert "\n" not in refusal
    return None


@PROPERTY
@given(st.lists(CHUNKS, max_size=4), st.sampled_from([0, 2, 4, 6]))
def test_whatever_a_png_remarks_is_read_or_passed_over(tmp_path, chunks, kind):
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    pixels = np.concatenate([SMALL, np.full_like(SMALL[..., :1], 255)], -1)[..., -channels:]
    path = tmp_path / "a.png"
    path.write_bytes(png(pixels.squeeze(), kind, before=chunks))
    picture = read_or_refused(path)
    if not any(name == b"eXIf" for name, _ in chunks):  # it may turn the picture
        assert picture is not None
        assert picture.image.shape == SMALL.shape
        assert picture.image.min() >= 0
        assert picture.image.max() <= 1
    if not {name for name, _ in chunks} & {*COLOUR, b"eXIf"}:
        path.write_bytes(png(pixels.squeeze(), kind))
        np.testing.assert_array_equal(picture.image, load_picture(path).image)


@PROPERTY
@given(st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\0\0\0\x18ftypheic"]))
def test_bytes_that_are_no_picture_are_refused(tmp_path, data, head):
    path = tmp_path / "a.png"
    path.write_bytes(head + data)
    assert read_or_refused(path) is None
    assert read_or_refused(path, read_settings) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "deep PNG"]
)
def test_damaged_at_random(tmp_path, capfd, kind):
    rng = np.random.default_rng(sum(kind.encode()))
    if kind == "deep PNG":
        chunks = [(b"iCCP", b"a\0\0" + zlib.compress(swapped_profile())), (b"gAMA", bytes(4))]
        sound = png(rng.integers(0, 65536, (12, 20, 4), np.uint16), 6, before=chunks)
    else:
        stream = io.BytesIO()
        Image.fromarray(BYTES).save(stream, kind)
        sound = stream.getvalue()
    path, read = tmp_path / "a.bin", 0
    end = time.monotonic() + FUZZ_SECONDS
    while time.monotonic() < end:
        data = bytearray(sound)
        for place in rng.integers(0, len(data), rng.integers(0, 9)):
            data[place] = rng.integers(256)
        if rng.random() < 0.3:
            del data[rng.integers(1, len(data)) :]
        if rng.random() < 0.2:
            start = rng.integers(0, len(data))
            data[start:start] = rng.bytes(rng.integers(1, 60))
        path.write_bytes(data)
        picture = read_or_refused(path, lambda path: load_picture(path, max_pixels=10**6))
        if picture is not None:
            read += 1
            assert np.isfinite(picture.image).all()
            assert picture.image.min() >= 0
            assert picture.image.max() <= 1
    assert read, "all were refused: the sound file is none"
    assert capfd.readouterr() == ("", "")  # no library prints lines of its own
