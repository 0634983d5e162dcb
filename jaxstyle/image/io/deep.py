"""Encodes PNG and TIFF with 16 bits per channel, which Pillow does not write.

Pixels are `[H, W, C]` uint16, with C = 3 (RGB) or C = 4 (RGB and opacity).
"""

import struct
import zlib
from collections.abc import Mapping
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

_PIECE = 2**20  # bytes of a PNG's data per chunk; a chunk's length has 31 bits


def encode_png(pixels: NDArray[np.uint16], texts: Mapping[str, str]) -> bytes:
    """Encodes a PNG file.

    Args:
      pixels: `[H, W, C]`.
      texts: latin-1 texts by keyword.

    Returns:
      The bytes of the file.

    Reference: Portable Network Graphics (Third Edition), sections 5, 9 and 11.
    """
    height, width, channels = pixels.shape
    samples = pixels.astype(">u2").view(np.uint8)  # [H, W, 2C]
    rows = np.empty((height, 1 + width * 2 * channels), np.uint8)
    rows[:, 0] = 4  # the first byte of a row names its filter: Paeth's predictor
    rows[:, 1:] = (samples - _paeth(samples)).reshape(height, -1)
    data = zlib.compress(rows.tobytes())
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", header)]
    chunks += [(b"tEXt", f"{key}\0{text}".encode("latin-1")) for key, text in texts.items()]
    chunks += [(b"IDAT", data[i : i + _PIECE]) for i in range(0, len(data), _PIECE)]
    chunks += [(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def encode_tiff(pixels: NDArray[np.uint16], tags: Mapping[int, str]) -> bytes:
    """Encodes a little-endian TIFF file with one deflated strip.

    Args:
      pixels: `[H, W, C]`.
      tags: texts by the number of their tag.

    Returns:
      The bytes of the file.

    Reference: TIFF, revision 6.0, sections 2, 8 and 14; Adobe Photoshop TIFF technical notes, 2002,
    for the compression.
    """
    height, width, channels = pixels.shape
    differences = pixels.astype("<u2")
    differences[:, 1:] -= pixels[:, :-1]
    data = zlib.compress(differences.tobytes())
    directory = ImageFileDirectory_v2(b"II*\0" + bytes(4))
    for tag, value in {
        TiffImagePlugin.IMAGEWIDTH: width,
        TiffImagePlugin.IMAGELENGTH: height,
        TiffImagePlugin.BITSPERSAMPLE: (16,) * channels,
        TiffImagePlugin.COMPRESSION: 8,  # deflate
        TiffImagePlugin.PHOTOMETRIC_INTERPRETATION: 2,  # RGB
        TiffImagePlugin.STRIPOFFSETS: 0,  # counted from the end of the directory
        TiffImagePlugin.SAMPLESPERPIXEL: channels,
        TiffImagePlugin.ROWSPERSTRIP: height,
        TiffImagePlugin.STRIPBYTECOUNTS: len(data),
        TiffImagePlugin.PREDICTOR: 2,  # differences along a row
        **({TiffImagePlugin.EXTRASAMPLES: 2} if channels == 4 else {}),  # opacity, not multiplied
        **tags,
    }.items():
        directory[tag] = value
    file = BytesIO()
    directory.save(file)
    return file.getvalue() + data


def _paeth(samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Predicts each sample with Paeth's predictor from those to the left, above, and above left."""
    padded = np.pad(samples, ((1, 0), (1, 0), (0, 0))).astype(np.int16)
    left, above, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    to_left, to_above, to_corner = (
        np.abs(left + above - corner - each) for each in (left, above, corner)
    )
    nearest = np.where(to_above <= to_corner, above, corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, nearest).astype(np.uint8)
