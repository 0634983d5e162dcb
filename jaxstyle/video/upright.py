"""Turns decoded frames into what a player shows: sRGB, upright, with square pixels, on white."""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxstyle.image.io.encodings import convert, settle

Bytes = NDArray[np.uint8]

_BT601, _BT709, _BT2020 = 5, 1, 9  # swscale's numbers for matrices
_MATRICES = {1: _BT709, 4: 4, 5: _BT601, 6: _BT601, 7: 7, 9: _BT2020, 10: _BT2020}
_HIGH = 720  # rows from which a film that does not say has the colours of high definition
# H.273's numbers. What television calls its own is shown as it is, like everywhere.
_WIDE = {9, 11, 12}  # primaries of BT.2020 and P3
_HDR = {16, 18}  # PQ and HLG
_ENTRIES = 9  # of a display matrix: rows a b u, c d v, x y w
_LONGEST = 8  # times as wide as high a pixel may be; beyond, a file says nonsense


def upright(frame: Any, aspect: Fraction | None = None) -> Bytes:
    """Returns the pixels of a frame, `[H, W, 3]` sRGB.

    Films with high dynamic range are brought down to that of a screen, as pictures of that kind
    are. What is transparent is shown on white, as in animations.

    Args:
      frame: PyAV's.
      aspect: how wide a pixel is, of its height; None if the file does not say.
    """
    width = frame.width
    if aspect is not None and 1 <= _LONGEST * aspect <= _LONGEST**2:
        width = max(1, round(width * aspect))
    usual = _BT709 if frame.height >= _HIGH else _BT601
    matrix = _MATRICES.get(int(frame.colorspace), usual)

    def as_format(name: str) -> NDArray[Any]:
        found = frame.reformat(width=width, format=name, src_colorspace=matrix)
        pixels: NDArray[Any] = found.to_ndarray()
        return pixels

    primaries, transfer = (
        int(getattr(frame, name, 2) or 2) for name in ("color_primaries", "color_trc")
    )
    if primaries in _WIDE or transfer in _HDR:
        pixels = _narrowed(as_format("rgb48le"), primaries, transfer)
    elif any(component.is_alpha for component in frame.format.components):
        pixels = _on_white(as_format("rgba"))
    else:
        pixels = as_format("rgb24")
    shown: Bytes = np.ascontiguousarray(_turned(pixels, frame))
    return shown


def _narrowed(pixels: NDArray[np.uint16], primaries: int, transfer: int) -> Bytes:
    """Returns colours of a wide gamut or high dynamic range as sRGB."""
    if primaries == 2:  # they are not said
        primaries = 9
    _, to_srgb = settle({b"cICP": bytes([primaries, transfer, 0, 1])}, None, grey=False)
    if to_srgb is None:
        return np.asarray(pixels >> 8, np.uint8)
    planes = convert(list(np.moveaxis(pixels / np.float32(65535), -1, 0)), to_srgb)
    narrow: Bytes = np.rint(np.stack(planes, axis=-1) * 255).astype(np.uint8)
    return narrow


def _on_white(pixels: NDArray[np.uint8]) -> Bytes:
    share = pixels[..., 3:] / np.float32(255)
    laid: Bytes = np.rint(255 + share * (pixels[..., :3] - np.float32(255))).astype(np.uint8)
    return laid


def _turned(pixels: Bytes, frame: Any) -> Bytes:
    """Returns pixels as the display matrix of a frame turns and mirrors them."""
    try:
        matrix = np.frombuffer(bytes(frame.side_data["DISPLAYMATRIX"]), np.int32)
    except KeyError:
        return pixels
    if len(matrix) != _ENTRIES:
        return pixels
    # A pixel at (x, y) is shown at (a x + c y, b x + d y).
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, right, down = pixels.swapaxes(0, 1), c, b
    else:
        right, down = a, d
    return pixels[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1]
