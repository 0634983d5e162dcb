"""Finds faces in photographs, for `--protect faces`. OpenCV finds them, without a download."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

# The Haar cascade with the fewest false finds on photographs; profiles are not found.
_CASCADE = "haarcascade_frontalface_alt.xml"
_LEAST = 24  # pixels that a face has at least
# A cascade's box ends at the brows and the chin; a head is larger, above all upwards.
_WIDTH, _HEIGHT, _UP = 0.6, 0.78, 0.05
_SOFTNESS = 0.35  # of the edge, relative to the ellipse


class MissingDetector(RuntimeError):
    """OpenCV is not there, or is a version that ships no cascade."""


class Face(NamedTuple):
    """The square around a face, relative to the width and the height of the picture.

    Attributes:
      x: left edge.
      y: upper edge.
      width: width.
      height: height.
    """

    x: float
    y: float
    width: float
    height: float


def find_faces(image: ArrayLike) -> list[Face]:
    """Finds the frontal faces of a photograph.

    Args:
      image: `[H, W, 3]` in [0, 1]; a longer side of 640 is enough.

    Returns:
      The faces, the largest first.

    Raises:
      MissingDetector: if OpenCV is not installed.
    """
    cascade, cv2 = _cascade()
    pixels = np.rint(255 * np.clip(np.asarray(image), 0, 1)).astype(np.uint8)
    grey = cv2.equalizeHist(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    boxes = cascade.detectMultiScale(grey, 1.1, 4, minSize=(_LEAST, _LEAST))
    height, width = grey.shape
    faces = [Face(x / width, y / height, w / width, h / height) for x, y, w, h in boxes]
    return sorted(faces, key=lambda face: -face.width * face.height)


def face_mask(faces: Sequence[Face], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Returns soft ellipses around faces.

    Args:
      faces: from `find_faces`.
      shape: height and width of the mask.

    Returns:
      `[*shape]`, 1 inside a face, 0 outside.

    Example:
      >>> mask = face_mask([Face(0.25, 0.25, 0.5, 0.5)], (9, 9))
      >>> float(mask[4, 4]), float(mask[0, 0])
      (1.0, 0.0)
    """
    height, width = shape
    y = (np.arange(height)[:, None] + 0.5) / height
    x = (np.arange(width)[None] + 0.5) / width
    mask = np.zeros(shape, np.float32)
    for face in faces:
        across = (x - face.x - face.width / 2) / (_WIDTH * face.width)
        down = (y - face.y - (0.5 - _UP) * face.height) / (_HEIGHT * face.height)
        distance = np.hypot(across, down)
        mask = np.maximum(mask, np.clip((1 + _SOFTNESS - distance) / _SOFTNESS, 0, 1))
    return mask.astype(np.float32)


def _cascade() -> tuple[Any, Any]:
    try:
        cv2: Any = importlib.import_module("cv2")
    except ImportError:
        raise MissingDetector("needs OpenCV; pip install 'jaxstyle[faces]'") from None
    file = Path(cv2.data.haarcascades) / _CASCADE
    if not hasattr(cv2, "CascadeClassifier") or not file.is_file():
        raise MissingDetector(
            f"needs OpenCV 4, and {cv2.__version__} has no Haar cascades; "
            "pip install 'jaxstyle[faces]'"
        )
    return cv2.CascadeClassifier(str(file)), cv2
