"""Pictures of a few bytes that would decode to gigabytes are refused before they are decoded."""

import struct
import time
import zlib

import pytest
from PIL import Image

from jaxstyle.errors import FileFormatError
from jaxstyle.image.io import load_picture

# 16383 × 16383 pixels of one colour, without loss.
WEBP = bytes.fromhex(
    "52494646 1e000000 57454250 5650384c 11000000 2ffebfff 0f0750b2 2257a6ff 8188e87f 0000"
)


def png(side):
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("name", "data"), [("a.webp", WEBP), ("a.png", png(16383))])
def test_a_bomb_is_refused_at_once(name, data, tmp_path):
    (tmp_path / name).write_bytes(data)
    begin = time.monotonic()
    with pytest.raises(FileFormatError) as caught:
        load_picture(tmp_path / name, size=64)
    assert time.monotonic() - begin < 5
    assert str(caught.value).startswith(
        f"{tmp_path / name}: has 268.4 million pixels in {len(data):,} bytes, so it is empty or"
    )


def test_an_empty_picture_of_an_ordinary_size_is_read(tmp_path):
    (tmp_path / "a.png").write_bytes(png(2000))
    assert load_picture(tmp_path / "a.png", size=64).source_shape == (2000, 2000)
    Image.new("RGB", (2000, 2000)).save(tmp_path / "a.webp", lossless=True)
    assert load_picture(tmp_path / "a.webp", size=64).source_shape == (2000, 2000)
