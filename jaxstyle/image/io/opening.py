"""Opens files of pictures; whatever is wrong with one is a single line that names it."""

import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError

from jaxstyle._common.files import StrPath
from jaxstyle._common.reading import LARGEST, open_regular
from jaxstyle.errors import FileFormatError
from jaxstyle.image.io.chunks import Colours, separate
from jaxstyle.image.io.density import check_density

# A list of our own, because some of Pillow's readers start other programs (EPS runs Ghostscript).
READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
_HEIF = (b"mif1", b"msf1")  # of any codec; the brands that follow say which
_PILLOW_STATE = threading.RLock()


@contextmanager
def opened(
    path: StrPath, max_pixels: int, *, settings: bool = False
) -> Iterator[tuple[ImageFile.ImageFile, Colours]]:
    """Opens a picture, and finds what it says of its colours beside a profile.

    Every error or warning of Pillow in the block becomes one readable line.

    Args:
      path: the file.
      max_pixels: the most that it may have.
      settings: whether the settings in a PNG are wanted too, which could be broken.
    """
    try:
        file = open_regular(path, LARGEST)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise IsADirectoryError(f"{path}: is a folder, not an image") from None
    except PermissionError:
        raise PermissionError(f"{path}: may not be read; change its permissions") from None
    # Pillow's limit is a global variable, so it is changed under a lock and only while decoding.
    with file, _PILLOW_STATE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pillow_limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                raise FileFormatError("is an empty file; give an image saved to disk")
            source, colours = separate(file, settings=settings)
            image = Image.open(source, formats=_formats(file))
            if image.width * image.height > max_pixels:  # Pillow raises above twice the limit only
                raise Image.DecompressionBombError(f"{image.width * image.height} pixels")
            check_density(image.width * image.height, size)
            with _without_stderr() if image.format == "TIFF" else nullcontext():
                yield image, colours
        except FileFormatError as error:
            raise FileFormatError(f"{path}: {error}") from error
        except UnidentifiedImageError as error:
            raise FileFormatError(
                f"{path}: not an image (JPEG, PNG, WebP, TIFF, GIF, BMP, AVIF), or damaged, or of"
                " a kind that Pillow cannot read; save it as an 8-bit PNG or JPEG"
            ) from error
        except Image.DecompressionBombError as error:
            millions = int((re.findall(r"\d+", str(error)) or ["0"])[0]) / 1e6
            raise FileFormatError(
                f"{path}: has {millions:,.1f} million pixels, the limit is"
                f" {max_pixels / 1e6:,.1f} million; shrink it, or raise max_pixels"
            ) from error
        except Exception as error:  # plugins raise SyntaxError, struct.error, EOFError and more
            reason = " ".join(str(error).split()) or type(error).__name__
            raise FileFormatError(
                f"{path}: damaged or incomplete ({reason}); fetch or export the image again"
            ) from error
        finally:
            Image.MAX_IMAGE_PIXELS = pillow_limit


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Keeps what a C library prints about a damaged file from the terminal.

    libtiff prints lines of its own, and Pillow gives no way to stop it.
    """
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _formats(file: BinaryIO) -> tuple[str, ...]:
    """Returns the formats that a file may have: those that Pillow reads, and HEIC if it is one.

    Raises:
      FileFormatError: if it is, and what reads it is not installed.
    """
    header = file.read(64)
    file.seek(0)
    brands = [header[i : i + 4] for i in (8, *range(16, len(header), 4))]
    first = brands[0]
    is_heic = first in _HEIC or (first in _HEIF and any(each in _HEIC for each in brands))
    if header[4:8] != b"ftyp" or not is_heic:
        return READABLE
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise FileFormatError(
            "is HEIC, as phones make it; pip install pillow-heif to read it, or save it as JPEG"
        ) from None
    register_heif_opener()
    return *READABLE, "HEIF"
