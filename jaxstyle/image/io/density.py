"""Refuses pictures of a few bytes that decode to gigabytes."""

from jaxstyle.errors import FileFormatError

# 16 million pixels take a second or two in any case. The emptiest photographs and paintings have
# some ten pixels a byte, a large blank JPEG or PNG some hundred.
_HARMLESS = 2**24
_MOST_PER_BYTE = 1000


def check_density(pixels: int, file_size: int) -> None:
    """Refuses a large picture that is empty, or made to fill the memory of whoever opens it.

    Forty bytes of WebP can hold 268 million pixels of one colour, which take Pillow 4 GB.

    Args:
      pixels: how many the picture declares.
      file_size: bytes of the file.

    Raises:
      FileFormatError: without the file's name.

    Example:
      >>> check_density(4000 * 3000, 900)
      >>> check_density(16383 * 16383, 38)
      Traceback (most recent call last):
      jaxstyle.errors.FileFormatError: has 268.4 million pixels in 38 bytes, ...
    """
    if pixels > max(_HARMLESS, _MOST_PER_BYTE * file_size):
        raise FileFormatError(
            f"has {pixels / 1e6:,.1f} million pixels in {file_size:,} bytes, so it is empty or "
            "made to fill the memory; give a picture with something to see"
        )
