"""Pictures of every kind, made on the fly, and what every refusal of one has in common."""

import struct
import zlib

import numpy as np
import pytest
from PIL import ImageCms

from jaxstyle.image.io import load_picture

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
GREYS = np.array([[0, 1, 255, 256], [1000, 30000, 40001, 65535]], np.uint16)
SMOOTH = np.linspace(0, 255, 48 * 64 * 3).reshape(48, 64, 3).astype(np.uint8)


# Adam7's passes: first row, first column, steps between rows and columns.
PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
PASSES += [(1, 0, 2, 1)]


def png(pixels, colour_type, *, before=(), size=None, interlaced=False):
    """A PNG of kinds that Pillow does not write: 16-bit colour, odd chunks, a size that lies."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    passes = (
        [pixels[i::down, j::across] for i, j, down, across in PASSES] if interlaced else [pixels]
    )
    rows = b"".join(
        b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for part in passes for row in part
    )
    height, width = size or pixels.shape[:2]
    header = struct.pack(
        ">IIBBBBB", width, height, 8 * pixels.itemsize, colour_type, 0, 0, interlaced
    )
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
