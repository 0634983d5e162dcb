"""Writes pictures, which appear under their name only once they are complete."""

import json
import os
from collections.abc import Mapping
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, PngImagePlugin
from PIL.TiffImagePlugin import IMAGEDESCRIPTION, SOFTWARE

from jaxstyle._common import files
from jaxstyle._common.checks import check_count
from jaxstyle._common.files import StrPath
from jaxstyle.image.io import deep

_WRITABLE = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF",
    ".tiff": "TIFF",
}  # fmt: skip


def save_image(
    path: StrPath,
    image: ArrayLike,
    *,
    alpha: ArrayLike | None = None,
    settings: Mapping[str, Any] | None = None,
    quality: int = 95,
    bit_depth: int = 8,
) -> None:
    """Writes a picture in the format that the file's extension names.

    PNG and TIFF are lossless, and can hold 16 bits per channel. JPEG is written with full colour
    resolution and without transparency: the picture is laid on white. If writing fails, for example
    because the disk is full, an existing file stays as it was.

    Args:
      path: the file: .png, .jpg, .jpeg, .webp, .tif or .tiff.
      image: `[H, W, 3]` float RGB. It is clipped to [0, 1] and rounded; halves go to even.
      alpha: `[H, W]` float opacity in [0, 1].
      settings: what made the picture, kept inside the file as JSON for
        `jaxstyle.image.io.read_settings`.
      quality: 1 to 100, for JPEG and WebP; at 100 WebP is lossless.
      bit_depth: bits per channel: 8, or 16 for PNG and TIFF.

    Raises:
      ValueError: for an unknown extension, a wrong shape, NaN, a quality out of range, or more
        bits, pixels or settings than the format holds.
      TypeError: if the arrays are not floating point or the settings do not fit into JSON.
      OSError: if the file cannot be written; see
        `jaxstyle.image.io.check_output_path`.

    Example:
      >>> import tempfile
      >>> from jaxstyle.image.io import load_image, read_settings
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     save_image(folder + "/out.png", np.zeros((4, 8, 3)), settings={"steps": 500})
      ...     load_image(folder + "/out.png", size=2).shape, read_settings(folder + "/out.png")
      ((1, 2, 3), {'steps': 500})
    """
    kind = output_kind(path, bit_depth)
    if check_count(quality, "quality") > 100:
        raise ValueError(f"quality should be at most 100, got {quality}")
    pixels = _checked("image", image, (None, None, 3))
    if alpha is not None:
        opacity = _checked("alpha", alpha, pixels.shape[:2])[..., None]
        if kind == "JPEG":
            pixels = pixels * opacity + (1 - opacity)
        else:
            pixels = np.concatenate([pixels, opacity], -1)
    text = None if settings is None else _as_json(settings)
    levels = np.rint(pixels * (2**bit_depth - 1)).astype(np.uint8 if bit_depth == 8 else np.uint16)
    if bit_depth == 16:
        data = _encode_deep(kind, levels, text)
    else:
        try:
            data = encode(Image.fromarray(levels), kind, **_encoder_options(kind, quality, text))
        except (OSError, ValueError) as error:
            height, width = levels.shape[:2]
            raise ValueError(
                f"{path}: {kind} cannot hold {width} x {height} pixels with these"
                f" settings ({error}); save it as .png"
            ) from error
    files.write_bytes(path, data)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Encodes a picture in memory.

    Pillow does not notice when a full disk takes only a part of what its encoders write to a file.

    Args:
      image: the picture, or the first one of an animation.
      kind: Pillow's name of the format.
      **options: as `PIL.Image.Image.save` takes them.

    Returns:
      The bytes of the file.
    """
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def check_output_path(path: StrPath, bit_depth: int = 8) -> None:
    """Raises the errors that writing a picture would raise, before hours of work depend on it.

    Args:
      path: the file.
      bit_depth: bits per channel.

    Raises:
      ValueError: if `save_image` does not write files with that extension, or not with so many bits
        per channel.
      IsADirectoryError: if `path` is a folder.
      FileNotFoundError, NotADirectoryError: if the folder does not exist.
      PermissionError, OSError: if no file can be created in the folder.
      UsageError: if the name is too long, or that of a device.
    """
    files.check_writable(path)
    output_kind(path, bit_depth)


def _checked(name: str, values: ArrayLike, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    """Returns the values as float32 in [0, 1]; refuses integers, NaN and another shape.

    None in `shape` stands for any size.
    """
    array = np.asarray(values)
    sides = zip(array.shape, shape, strict=False)
    if array.ndim != len(shape) or any(got < 1 or want not in (None, got) for got, want in sides):
        expected = str(shape).replace("None, None", "H, W")
        raise ValueError(f"{name}: expected shape {expected}, got {array.shape}")
    if not jnp.issubdtype(array.dtype, jnp.floating):  # jax's test, for bfloat16
        raise TypeError(f"{name}: expected floats in [0, 1], got {array.dtype}")
    if np.isnan(array).any():
        raise ValueError(f"{name}: expected numbers, got {np.isnan(array).sum()} that are NaN")
    return array.astype(np.float32).clip(0.0, 1.0)


def _as_json(settings: Mapping[str, Any]) -> str:
    def plain(value: Any) -> Any:  # arrays and scalars of numpy and jax, and paths
        return value.tolist() if hasattr(value, "tolist") else os.fspath(value)

    try:
        # Plain ASCII with escapes fits into every format's text field, even with odd file names.
        return json.dumps(dict(settings), default=plain)
    except (TypeError, ValueError) as error:
        raise TypeError(f"settings: cannot be written as JSON ({error})") from error


def _png_texts(settings: str | None) -> dict[str, str]:
    """Returns the texts of a PNG by keyword."""
    return {"Software": _software()} | ({} if settings is None else {"jaxstyle": settings})


def _tags(settings: str | None) -> dict[int, str]:
    """Returns the texts by their tags in EXIF and TIFF."""
    described = {} if settings is None else {IMAGEDESCRIPTION: f"jaxstyle {settings}"}
    return {SOFTWARE: _software(), **described}


def _software() -> str:
    try:
        return f"jaxstyle {metadata.version('jaxstyle')}"
    except metadata.PackageNotFoundError:  # used from a checkout that is not installed
        return "jaxstyle"


def _encode_deep(kind: str, pixels: NDArray[np.uint16], settings: str | None) -> bytes:
    if kind == "PNG":
        return deep.encode_png(pixels, _png_texts(settings))
    return deep.encode_tiff(pixels, _tags(settings))


def _encoder_options(kind: str, quality: int, settings: str | None) -> dict[str, Any]:
    """Returns the options for Pillow's encoder of this format, which include the settings."""
    if kind == "PNG":
        texts = PngImagePlugin.PngInfo()
        for keyword, text in _png_texts(settings).items():
            texts.add_text(keyword, text)
        return {"pnginfo": texts}
    if kind == "TIFF":
        return {"compression": "tiff_adobe_deflate", "tiffinfo": _tags(settings)}
    exif = Image.Exif()
    for tag, text in _tags(settings).items():
        exif[tag] = text
    if kind == "WEBP":  # `exact` keeps colours under alpha 0, which an editor may uncover
        return {"quality": quality, "lossless": quality == 100, "exact": True, "exif": exif}
    # Not `optimize`: its buffer, whose size Pillow guesses, is too small for noise; saving fails.
    return {"quality": quality, "subsampling": 0, "exif": exif}


def output_kind(path: StrPath, bit_depth: int = 8) -> str:
    """Returns Pillow's name of the format that the extension stands for.

    Args:
      path: the file to write.
      bit_depth: bits per channel.

    Raises:
      ValueError: if there is no such format among those written, or not with so many bits.
    """
    extension = Path(path).suffix.lower()
    if extension not in _WRITABLE:
        got = extension or "none"
        raise ValueError(f"{path}: expected an extension among {', '.join(_WRITABLE)}, got {got}")
    if bit_depth not in (8, 16):
        raise ValueError(f"bit_depth: expected 8 or 16, got {bit_depth}")
    kind = _WRITABLE[extension]
    if bit_depth == 16 and kind not in ("PNG", "TIFF"):
        raise ValueError(
            f"{path}: {kind} holds 8 bits per channel, not 16; save it as .png or .tif"
        )
    return kind
