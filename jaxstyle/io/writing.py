"""Writing pictures, which appear under their name only once they are complete."""

import json
import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, PngImagePlugin
from PIL.TiffImagePlugin import IMAGEDESCRIPTION, SOFTWARE

from jaxstyle import files
from jaxstyle.files import StrPath

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
) -> None:
    """Writes a picture at 8 bits a channel, in the format that the file's extension names.

    PNG and TIFF are lossless. JPEG has full colour resolution and no transparency: the picture
    is laid on white. A failure leaves an existing file as it was.

    Args:
      path: the file: .png, .jpg, .jpeg, .webp, .tif or .tiff.
      image: `[H, W, 3]` float RGB; clipped to [0, 1], then rounded, halves to even.
      alpha: `[H, W]` float opacity in [0, 1].
      settings: what made the picture, kept inside the file as JSON for `read_settings`.
      quality: 1 to 100, for JPEG and WebP; at 100 WebP is lossless.

    Raises:
      ValueError: for an unknown extension, a wrong shape, NaN, a quality out of range, or more
        pixels or settings than the format holds.
      TypeError: if the arrays are not floating point or the settings do not fit into JSON.
      OSError: if the file cannot be written; see `check_output_path`.

    Example:
      >>> import tempfile
      >>> from jaxstyle.io import load_image, read_settings
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     save_image(folder + "/out.png", np.zeros((4, 8, 3)), settings={"steps": 500})
      ...     load_image(folder + "/out.png", size=2).shape, read_settings(folder + "/out.png")
      ((1, 2, 3), {'steps': 500})
    """
    kind = _output_kind(path)
    if not 1 <= quality <= 100:
        raise ValueError(f"quality: expected 1 to 100, got {quality}")
    pixels = _checked("image", image, (None, None, 3))
    if alpha is not None:
        opacity = _checked("alpha", alpha, pixels.shape[:2])[..., None]
        if kind == "JPEG":
            pixels = pixels * opacity + (1 - opacity)
        else:
            pixels = np.concatenate([pixels, opacity], -1)
    picture = Image.fromarray(np.rint(pixels * 255).astype(np.uint8))
    options = _encoder_options(kind, quality, settings)
    with files.atomic_write(path) as temporary:
        try:
            picture.save(temporary, kind, **options)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's: no space, no right
            raise ValueError(
                f"{path}: {kind} cannot hold {picture.width} x {picture.height} pixels with these"
                f" settings ({error}); save it as .png"
            ) from error


def check_output_path(path: StrPath) -> None:
    """Raises what writing a picture to `path` would raise, before hours of work depend on it.

    Raises:
      ValueError: if the extension is not that of a format `save_image` writes.
      IsADirectoryError: if `path` is a folder.
      FileNotFoundError, NotADirectoryError: if the folder does not exist.
      PermissionError, OSError: if the folder does not admit new files.
    """
    files.check_writable(path)
    _output_kind(path)


def _checked(name: str, values: ArrayLike, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    """The values as float32 in [0, 1]; refuses another shape (None: any size), integers, NaN."""
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


def _encoder_options(kind: str, quality: int, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """What Pillow's encoder of this format is told, the settings among it."""

    def plain(value: Any) -> Any:  # arrays and scalars of numpy and jax, and paths
        return value.tolist() if hasattr(value, "tolist") else os.fspath(value)

    try:
        # Plain ASCII, escapes for the rest: fits every format's text field, odd file names too.
        text = None if settings is None else json.dumps(dict(settings), default=plain)
    except (TypeError, ValueError) as error:
        raise TypeError(f"settings: cannot be written as JSON ({error})") from error
    try:
        software = f"jaxstyle {metadata.version('jaxstyle')}"
    except metadata.PackageNotFoundError:  # used from a checkout that is not installed
        software = "jaxstyle"
    if kind == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Software", software)
        if text is not None:
            texts.add_text("jaxstyle", text)
        return {"pnginfo": texts}
    exif = Image.Exif()
    exif[SOFTWARE] = software
    if text is not None:
        exif[IMAGEDESCRIPTION] = f"jaxstyle {text}"
    if kind == "TIFF":
        return {"compression": "tiff_adobe_deflate", "tiffinfo": dict(exif)}
    if kind == "WEBP":  # `exact` keeps colours under alpha 0, which an editor may uncover
        return {"quality": quality, "lossless": quality == 100, "exact": True, "exif": exif}
    # Not `optimize`: the buffer that Pillow then guesses is too small for noise, and saving fails.
    return {"quality": quality, "subsampling": 0, "exif": exif}


def _output_kind(path: StrPath) -> str:
    """Pillow's name of the format that the extension stands for."""
    extension = Path(path).suffix.lower()
    if extension not in _WRITABLE:
        got = extension or "none"
        raise ValueError(f"{path}: expected an extension among {', '.join(_WRITABLE)}, got {got}")
    return _WRITABLE[extension]
