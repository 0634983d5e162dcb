"""Reads pictures as a viewer would show them: upright, in sRGB, the first frame."""

import json
import re
import sys
from contextlib import suppress
from io import BytesIO
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, TiffImagePlugin
from PIL.TiffImagePlugin import BITSPERSAMPLE, IMAGEDESCRIPTION, PHOTOMETRIC_INTERPRETATION

from jaxstyle._common.checks import check_count, check_shape
from jaxstyle._common.files import StrPath
from jaxstyle.errors import FileFormatError
from jaxstyle.image.frame import Frame, find_frame
from jaxstyle.image.io import encodings
from jaxstyle.image.io.chunks import Colours
from jaxstyle.image.io.opening import READABLE, opened

MAX_PIXELS = 300_000_000  # decoding takes up to 20 bytes of memory per pixel

_FloatArray = NDArray[np.float32]

_COLOURED = ("RGB", "RGBA", "RGBX", "P", "PA")
_ORIENTATION = 274  # a tag of EXIF and TIFF
_TURN = Image.Transpose
_UPRIGHT = {
    2: _TURN.FLIP_LEFT_RIGHT, 3: _TURN.ROTATE_180, 4: _TURN.FLIP_TOP_BOTTOM, 5: _TURN.TRANSPOSE,
    6: _TURN.ROTATE_270, 7: _TURN.TRANSVERSE, 8: _TURN.ROTATE_90,
}  # fmt: skip
_DEEP_COLOUR = re.compile("(RGB|RGBA|RGBX);16([BLN])")  # Pillow's raw modes
_SEEN = 1024  # about the longer side at which frames are looked for
_FAINTEST = 1 / 510  # an alpha below this rounds to 0 at 8 bits


class Picture(NamedTuple):
    """What a file holds, as a viewer would show it.

    Attributes:
      image: `[H, W, 3]` float32 RGB in [0, 1], sRGB encoded. Invisible pixels have the mean colour
        of the visible ones, so that hidden colours do not influence statistics.
      alpha: `[H, W]` float32 opacity in [0, 1], or None where the whole picture is opaque.
      source_shape: height and width in the file, before any resizing.
      frame: what was trimmed at each edge, in pixels of the file.
    """

    image: _FloatArray
    alpha: _FloatArray | None
    source_shape: tuple[int, int]
    frame: Frame = Frame(0, 0, 0, 0)


def load_picture(
    path: StrPath,
    *,
    size: int | None = None,
    shape: tuple[int, int] | None = None,
    trim: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Picture:
    """Reads a JPEG, PNG, WebP, TIFF, GIF, BMP, PNM or AVIF file; of an animation, the first frame.

    HEIC is read where pillow-heif is installed, the extra `heif`.

    EXIF orientation is applied. Colours are converted to sRGB as a browser does it: from an
    embedded profile, from PNG's cICP, gAMA and cHRM, or from the numbers in an AVIF file. Metadata
    that is too broken to use is ignored. PNG and TIFF with 16 bits per channel keep their depth,
    with two exceptions: grey with alpha, and colours that a profile other than sRGB changes,
    because that conversion works on 8 bits. Resizing uses a Lanczos filter in float32, weighted by
    alpha.

    Args:
      path: the file.
      size: the length of the longer side in pixels; the picture is enlarged or shrunk and keeps its
        aspect ratio.
      shape: instead of `size`, the exact `(H, W)`.
      trim: whether an even frame around an opaque picture is cut off; see
        `jaxstyle.image.frame.find_frame`.
      max_pixels: the most pixels that the file, or the resized picture, may have.

    Returns:
      The `Picture`.

    Raises:
      FileNotFoundError, IsADirectoryError: if `path` names no file.
      FileFormatError: if the contents are no picture, damaged, too large or wholly transparent.
      ValueError: if `size` or `shape` is not positive or too large, or both are given.
      TypeError: if `size` or `shape` is not made of integers.
    """
    if size is not None:
        size = check_count(size, "size")
        if shape is not None:
            raise ValueError(f"give size or shape, not both, got size {size} and shape {shape}")
    elif shape is not None:
        shape = check_shape(shape, "shape")
    with opened(path, max_pixels) as (file, colours):
        bands, opacity = _bands(file, colours)
    frame = Frame(0, 0, 0, 0)
    if trim and opacity is None:
        bands, frame = _without_frame(bands)
    source = bands[0].height, bands[0].width
    target = shape or scaled(source, size)
    if target[0] * target[1] > max_pixels:
        raise ValueError(
            f"{target[1]}×{target[0]} pixels are more than {max_pixels:,}; give a smaller size"
        )

    alpha = None if opacity is None else _unit(opacity)
    if alpha is None or alpha.min() == 1:
        planes = [resized(_unit(band), target) for band in bands]
        image = np.stack(planes * (3 // len(planes)), -1).clip(0.0, 1.0)
        return Picture(image, None, source, frame)
    weight = resized(alpha, target)
    hidden = weight < _FAINTEST
    if hidden.all():
        raise FileFormatError(f"{path}: fully transparent; give a picture with something to see")
    if target == source:
        planes = [_unit(band) for band in bands]
    else:  # weighted by alpha; otherwise hidden colours would bleed into the edges
        planes = [resized(_unit(band) * alpha, target) for band in bands]
        planes = [np.where(hidden, 0, plane / weight.clip(_FAINTEST)) for plane in planes]
    image = np.stack(planes * (3 // len(planes)), -1).clip(0.0, 1.0)
    shown = weight[~hidden].astype(np.float64)
    image[hidden] = np.average(image[~hidden], axis=0, weights=shown)
    return Picture(image, np.where(hidden, 0, weight).clip(0.0, 1.0), source)


def _without_frame(bands: list[Image.Image]) -> tuple[list[Image.Image], Frame]:
    """Returns the bands of a picture without an even frame, and how wide it was."""
    width, height = bands[0].size
    shrink = max(1, max(width, height) // _SEEN)
    small = [_unit(band.reduce(shrink) if shrink > 1 else band) for band in bands]
    # A pixel of the small copy that holds a bit of the frame belongs to the painting there.
    top, right, bottom, left = (
        edge * shrink + (shrink if edge and shrink > 1 else 0)
        for edge in find_frame(np.stack(small, -1))
    )
    if not (top or right or bottom or left):
        return bands, Frame(0, 0, 0, 0)
    box = (left, top, width - right, height - bottom)
    return [band.crop(box) for band in bands], Frame(top, right, bottom, left)


def scaled(source: tuple[int, int], size: int | None) -> tuple[int, int]:
    """Returns the height and width of a picture whose longer side becomes `size`, if there is one.

    They are rounded to nearest, in integers: no float error decides a size.
    """
    if size is None:
        return source
    height, width = ((2 * side * size + max(source)) // (2 * max(source)) for side in source)
    return max(height, 1), max(width, 1)


def read_shape(path: StrPath, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Returns the height and width of a picture as a viewer shows it, and decodes no pixels.

    Args:
      path: the file.
      max_pixels: the most pixels that it may have.

    Raises:
      OSError, FileFormatError: as `load_picture` does, but for damage behind the header.
    """
    with opened(path, max_pixels) as (image, _):
        turned = False
        with suppress(Exception):  # a broken EXIF block is no reason to refuse the pixels
            # Pillow gives a TIFF the turned size from the start.
            turned = image.format != "TIFF" and image.getexif().get(_ORIENTATION) in (5, 6, 7, 8)
        return (image.width, image.height) if turned else (image.height, image.width)


def load_image(
    path: StrPath,
    size: int | None = None,
    *,
    shape: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Array:
    """Reads only the colours of a picture, as an array.

    Args:
      path: the file.
      size: the length of the longer side in pixels; see `jaxstyle.image.io.load_picture`.
      shape: instead of `size`, the exact `(H, W)`.
      max_pixels: the most pixels that the file, or the resized picture, may have.

    Returns:
      `[H, W, 3]` float32 RGB in [0, 1].

    Raises:
      OSError, FileFormatError, ValueError: as `jaxstyle.image.io.load_picture` does.
    """
    return jnp.asarray(load_picture(path, size=size, shape=shape, max_pixels=max_pixels).image)


def read_settings(path: StrPath) -> dict[str, Any]:
    """Reads the settings that `save_image` put into a file, as JSON gives them back.

    Args:
      path: the file.

    Returns:
      The settings by name.

    Raises:
      FileNotFoundError, IsADirectoryError: if `path` names no file.
      FileFormatError: if the file is no picture or holds no settings.
    """
    with opened(path, MAX_PIXELS, settings=True) as (image, _):
        if "jaxstyle" not in image.info and image.format == "PNG":
            image.load()  # programs that edit a PNG may move its texts behind the pixels
        text = image.info.get("jaxstyle")
        if text is None:
            description = str(image.getexif().get(IMAGEDESCRIPTION, ""))
            text = description[9:] if description.startswith("jaxstyle ") else ""
    with suppress(ValueError, RecursionError):
        settings = json.loads(text)
        if isinstance(settings, dict):
            return settings
    raise FileFormatError(f"{path}: holds no jaxstyle settings; give a picture jaxstyle wrote")


def _bands(
    file: ImageFile.ImageFile, colours: Colours
) -> tuple[list[Image.Image], Image.Image | None]:
    """Returns a picture's bands, upright and in sRGB, and its opacity.

    There is one band for grey and three for colour, of mode "L" (0 to 255) or "F" (0 to 1).
    """
    profile, to_srgb = encodings.settle(
        colours,
        colours.get(b"iCCP") or file.info.get("icc_profile"),
        grey=file.mode not in _COLOURED,
    )
    stream, low_tiles = file.fp, _low_byte_tiles(file)
    file.load()
    if file.mode == "F" or file.mode.startswith("I"):
        bands, opacity = _deep_grey(file, profile)
    elif low_tiles and _is_srgb(file, profile):
        assert stream is not None
        low_bytes = Image.open(stream, formats=READABLE)
        low_bytes.tile = low_tiles
        bands, opacity = _deep_colour(file, low_bytes)
    else:
        bands, opacity = _eight_bit_bands(file, profile)
    if to_srgb is not None:
        planes = encodings.convert([_unit(band) for band in bands], to_srgb)
        bands = [Image.fromarray(plane) for plane in planes]
    turn = None
    with suppress(Exception):  # a broken EXIF block is no reason to refuse the pixels
        turn = _UPRIGHT.get(file.getexif().get(_ORIENTATION, 1))
    if turn is not None:  # None for a TIFF, because load() has turned it and removed the tag
        bands = [band.transpose(turn) for band in bands]
        opacity = opacity and opacity.transpose(turn)
    return bands, opacity


def _eight_bit_bands(
    image: Image.Image, profile: bytes | None
) -> tuple[list[Image.Image], Image.Image | None]:
    """Returns `_bands` of every picture that Pillow decodes to 8 bits."""
    opacity = None
    grey = image.mode in ("1", "L", "LA", "La")
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        # The transparent colour has 16 bits, but Pillow has reduced the picture to 8.
        image.info["transparency"] = tuple(value >> 8 for value in key)
    if image.has_transparency_data:
        image = image.convert("LA" if grey else "RGBA")
        opacity = image.getchannel("A")
    if image.mode not in ("CMYK", "LAB"):
        image = image.convert("L" if grey else "RGB")
    image = _to_srgb(image, profile) or image
    return list((image if image.mode == "L" else image.convert("RGB")).split()), opacity


def _deep_grey(
    file: ImageFile.ImageFile, profile: bytes | None
) -> tuple[list[Image.Image], Image.Image | None]:
    """Returns `_bands` of greyscale with more than 8 bits, which Pillow's own conversions clip."""
    raw = np.asarray(file)
    full, inverted = 1 if file.mode == "F" else 65535, False
    if isinstance(file, TiffImagePlugin.TiffImageFile) and file.mode.startswith("I;16"):
        full = 2 ** file.tag_v2.get(BITSPERSAMPLE, (16,))[0] - 1  # 12 bits come as they are
        inverted = (
            file.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0
        )  # white is 0: Pillow inverts only 8 bits
    values = raw.astype(np.float32) / np.float32(full)
    if not (values.min() >= -_FAINTEST and values.max() <= 1 + _FAINTEST):  # true for NaN too
        raise FileFormatError(
            f"expected greys from 0 to {full}, got {raw.min()} to {raw.max()};"
            " save it as an 8-bit PNG or JPEG"
        )
    values = 1 - values if inverted else values
    key, opacity = file.info.get("transparency"), None
    if isinstance(key, int):
        opacity = Image.fromarray(np.uint8(255) * (raw != key).astype(np.uint8))
    # Colour transforms work on 8 bits: the profile's curve is read there and interpolated.
    levels = np.arange(256, dtype=np.uint8)
    ramp = _to_srgb(Image.fromarray(levels[None]), profile)
    curves = [] if ramp is None else list(np.asarray(ramp)[0].T / 255)
    planes = [np.interp(values, levels / 255, curve).astype(np.float32) for curve in curves]
    return [Image.fromarray(plane) for plane in planes or [values]], opacity


def _low_byte_tiles(file: ImageFile.ImageFile) -> list[Any]:
    """Returns the tiles that read the low bytes of 16-bit colours; none for any other picture.

    Pillow unpacks only the high byte of each sample. If it is told that the bytes come in the other
    order, it reads the low byte in place of the high one.
    """
    swapped = []
    for tile in file.tile:
        arguments = (tile.args,) if isinstance(tile.args, str) else tile.args or ()
        match = _DEEP_COLOUR.fullmatch(str(arguments[0])) if arguments else None
        if match is None:
            return []
        little = match[2] == "L" or (match[2] == "N" and sys.byteorder == "little")
        name = f"{match[1]};16{'B' if little else 'L'}"
        swapped.append(tile._replace(args=(name, *arguments[1:])))
    return swapped


def _deep_colour(
    high_bytes: Image.Image, low_bytes: Image.Image
) -> tuple[list[Image.Image], Image.Image | None]:
    """Returns `_bands` of colour with 16 bits per channel, from two pictures of one byte each."""
    pixels = np.asarray(high_bytes).astype(np.uint16) << 8 | np.asarray(low_bytes)
    key, opacity = high_bytes.info.get("transparency"), None
    planes = list(np.moveaxis(pixels.astype(np.float32) / np.float32(65535), -1, 0))
    bands = [Image.fromarray(plane) for plane in planes]
    if isinstance(key, tuple):
        opacity = Image.fromarray(np.uint8(255) * (pixels != key).any(-1).astype(np.uint8))
    return bands[:3], bands[3] if len(bands) == 4 else opacity


def _is_srgb(image: Image.Image, profile: bytes | None) -> bool:
    """Tells whether the profile, if there is one, leaves the picture's colours as they are."""
    colours = image.convert("RGB")
    managed = _to_srgb(colours, profile)
    if managed is None:
        return True
    # The colour transform itself rounds.
    return bool(np.abs(np.asarray(managed, np.int16) - np.asarray(colours)).max() <= 1)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """Returns the picture as RGB, or None where no usable profile says what its numbers mean."""
    if profile is None and image.mode != "LAB":
        return None
    try:
        lab = image.mode == "LAB"
        source = ImageCms.createProfile("LAB") if lab else BytesIO(profile or b"")
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")  # perceptual
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None  # broken, or for other colours than the picture's: viewers ignore it as well


def _unit(band: Image.Image) -> _FloatArray:
    values = np.asarray(band, dtype=np.float32)
    return values / np.float32(255) if band.mode == "L" else values


def resized(plane: _FloatArray, shape: tuple[int, int]) -> _FloatArray:
    """Returns a plane `[h, w]` at another height and width, by a Lanczos filter; not clipped."""
    if plane.shape == shape:
        return plane
    return np.asarray(Image.fromarray(plane).resize(shape[::-1], Image.Resampling.LANCZOS))
