"""Reads and writes pictures with Pillow; the only place that knows about file formats.

The rest of the package gets a picture as `[H, W, 3]` float32 RGB in [0, 1]. Every error is one line
that names the file and says what would be right.
"""

from jaxstyle.image.io.reading import (
    MAX_PIXELS,
    Picture,
    load_image,
    load_picture,
    read_settings,
    read_shape,
    scaled,
)
from jaxstyle.image.io.writing import check_output_path, save_image

__all__ = [
    "MAX_PIXELS",
    "Picture",
    "check_output_path",
    "load_image",
    "load_picture",
    "read_settings",
    "read_shape",
    "save_image",
    "scaled",
]
