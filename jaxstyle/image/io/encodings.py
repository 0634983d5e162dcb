"""Converts to sRGB what PNG's chunks, or the numbers in an AVIF file, say of colours.

The rules are those of the browsers: cICP goes before sRGB, sRGB before a profile, and a profile
before gAMA with cHRM. cHRM alone is ignored, and gAMA alone is seen relative to a screen of 2.2.

References: Portable Network Graphics (Third Edition), section 4.3; ITU-T H.273 for the numbers of
cICP; ITU-R BT.2100 for PQ and HLG.
"""

import struct
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from jaxstyle.image.io.chunks import Colours

Floats = NDArray[np.float32]
Conversion = Callable[[Floats], Floats]
"""Takes encoded colours `[..., 3]` in [0, 1] to sRGB, which may be out of range."""

Corners = Sequence[float]
"""x and y of white, red, green and blue."""

_ROWS = 256  # converted at once, so that the memory stays small
_SCREEN = 2.2
_INSIGNIFICANT = 0.05  # a gamma so near to that of the screen changes nothing
_D65 = (0.3127, 0.3290)
_SRGB = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_BT601 = (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)
_BT2020 = (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)
# By their numbers in H.273, like the transfers below.
_PRIMARIES: dict[int, Corners] = {
    1: _SRGB,
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: _BT601,
    7: _BT601,
    9: _BT2020,
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # DCI-P3
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # Display P3
}
# From XYZ to the responses of the eye's cones, in which a white is adapted to another.
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_WHITE, _PEAK = 203.0, 1000.0  # cd/m² of white, and of the brightest lights, in PQ and HLG


def settle(
    colours: Colours, profile: bytes | None, *, grey: bool
) -> tuple[bytes | None, Conversion | None]:
    """Decides what says how a picture's numbers are encoded.

    Args:
      colours: what the file says beside a profile; see `jaxstyle.image.io.chunks`.
      profile: the profile in the file.
      grey: whether the picture has no colours.

    Returns:
      The profile if that decides, and otherwise the conversion to sRGB. Both are None if the
      numbers are sRGB already.
    """
    cicp = colours.get(b"cICP", b"")
    if len(cicp) == 4 and cicp[2:] == b"\0\1" and cicp[0] in _PRIMARIES and cicp[1] in _TRANSFERS:
        return None, _named(cicp[0], cicp[1])
    if b"sRGB" in colours:
        return None, None
    if profile:
        return profile, None
    return None, _measured(_numbers(colours, b"gAMA"), [] if grey else _numbers(colours, b"cHRM"))


def convert(planes: Sequence[Floats], to_srgb: Conversion) -> list[Floats]:
    """Converts the planes of a picture, one for grey or three for colour, each `[H, W]`."""
    converted = [np.empty_like(plane) for plane in planes]
    for top in range(0, planes[0].shape[0], _ROWS):
        rows = slice(top, top + _ROWS)
        colours = np.stack([plane[rows] for plane in planes] * (3 // len(planes)), -1)
        colours = to_srgb(colours.clip(0.0, 1.0)).clip(0.0, 1.0)
        for i, plane in enumerate(converted):
            plane[rows] = colours[..., i]
    return converted


def _numbers(colours: Colours, name: bytes) -> list[float]:
    """Returns the numbers in a gAMA or cHRM chunk; none if it is missing or broken."""
    data = colours.get(name, b"")
    if len(data) != {b"gAMA": 4, b"cHRM": 32}[name]:
        return []
    return [number / 100_000 for number in struct.unpack(f">{len(data) // 4}I", data)]


def _measured(gamma: Sequence[float], corners: Corners) -> Conversion | None:
    """Returns the conversion that gAMA stands for, with cHRM or without."""
    if not gamma or gamma[0] == 0:
        return None
    exponent = np.float32(1 / gamma[0])
    with suppress(ValueError, np.linalg.LinAlgError):  # no corners, or no triangle
        matrix = _matrix(corners, _SRGB)
        return lambda image: _to_srgb(np.power(image, exponent) @ matrix)
    if abs(_SCREEN * gamma[0] - 1) < _INSIGNIFICANT:
        return None
    return lambda image: image ** (exponent / np.float32(_SCREEN))


def _named(primaries: int, transfer: int) -> Conversion | None:
    """Returns the conversion that two numbers of cICP stand for."""
    to_light, corners = _TRANSFERS[transfer], _PRIMARIES[primaries]
    if to_light is _from_srgb and corners is _SRGB:
        return None
    if to_light in (_from_pq, _from_hlg):  # seen as on a screen without high dynamic range
        widest, matrix = _matrix(corners, _BT2020), _matrix(_BT2020, _SRGB)
        return lambda image: _to_srgb(_tone_mapped(to_light(image) @ widest) @ matrix)
    matrix = _matrix(corners, _SRGB)
    return lambda image: _to_srgb(to_light(image) @ matrix)


def _matrix(source: Corners, target: Corners) -> Floats:
    """Returns what takes linear colours, in rows, to other primaries; white stays white.

    Raises:
      ValueError: if there are no such corners.
      numpy.linalg.LinAlgError: if the primaries lie on one line.
    """
    if not source or min(source[1::2]) <= 0:
        raise ValueError(f"expected x and y greater than 0 of four corners, got {source}")
    scale = (_BRADFORD @ _xyz(target[:2])) / (_BRADFORD @ _xyz(source[:2]))
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(scale) @ _BRADFORD
    matrix = np.linalg.inv(_to_xyz(target)) @ adapt @ _to_xyz(source)
    return np.asarray(matrix.T, np.float32)


def _to_xyz(corners: Corners) -> NDArray[np.float64]:
    """Returns the matrix from linear colours to XYZ; its columns are the primaries."""
    primaries = np.stack([_xyz(corners[i : i + 2]) for i in (2, 4, 6)], -1)
    return primaries * np.linalg.solve(primaries, _xyz(corners[:2]))


def _xyz(corner: Corners) -> NDArray[np.float64]:
    x, y = corner
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _to_srgb(light: Floats) -> Floats:
    light = light.clip(0.0, 1.0)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _from_srgb(image: Floats) -> Floats:
    return np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def _from_bt2020(image: Floats) -> Floats:
    return np.where(image < 0.0812429, image / 4.5, ((image + 0.0992968) / 1.0992968) ** (1 / 0.45))


def _from_pq(image: Floats) -> Floats:
    """Returns light of which 1 is white."""
    root = image ** (32 / 2523)
    light = (root - 0.8359375).clip(0.0) / (18.8515625 - 18.6875 * root)
    return np.asarray(light ** (8192 / 1305) * np.float32(10_000 / _WHITE))


def _from_hlg(image: Floats) -> Floats:
    """Returns light of which 1 is white, as a screen of 1000 cd/m² shows it."""
    bright = (np.exp((image - 0.55991073) / 0.17883277) + 0.28466892) / 12
    light = np.where(image <= 0.5, image**2 / 3, bright)
    luminance = light @ np.array([[0.2627], [0.6780], [0.0593]], np.float32)
    return np.asarray(light * luminance ** np.float32(0.2) * np.float32(_PEAK / _WHITE))


def _tone_mapped(light: Floats) -> Floats:
    """Brings the brightest lights down to 1 and dark ones hardly, by Reinhard's extended curve."""
    greatest = light.max(-1, keepdims=True).clip(0.0)
    return np.asarray(light * (1 + greatest * np.float32((_WHITE / _PEAK) ** 2)) / (1 + greatest))


_TRANSFERS: dict[int, Conversion] = {
    # Browsers take those of television for sRGB.
    1: _from_srgb,
    4: lambda image: image ** np.float32(2.2),
    5: lambda image: image ** np.float32(2.8),
    6: _from_srgb,
    8: lambda image: image,
    11: _from_srgb,
    13: _from_srgb,
    14: _from_bt2020,
    15: _from_bt2020,
    16: _from_pq,
    18: _from_hlg,
}
