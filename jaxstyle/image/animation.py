"""Makes a film of the optimisation: keeps pictures on the way and writes them at the end."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax import Array
from numpy.typing import NDArray

from jaxstyle._common import files
from jaxstyle._common.checks import check_image
from jaxstyle._common.files import StrPath
from jaxstyle.image import pixels
from jaxstyle.image.gif import encode_gif
from jaxstyle.image.video import can_write_video, write_video

SIZE = 320
"""The longer side of a film's frames, in pixels, where nothing else is asked for."""
_KINDS = {".gif": "GIF", ".webp": "WEBP", ".mp4": "MP4"}
_PAUSE = 1500  # milliseconds for which the last picture is shown
# The qualities of a film, the best first: the change of a pixel that is not shown, and the colours;
# for WebP a number to 100.
_QUALITIES: dict[str, tuple[Any, ...]] = {
    "GIF": ((10, 255), (14, 160), (20, 96), (28, 48)),
    "WEBP": (85, 70, 50),
}
_MOST = 1_000_000  # bytes of a film, as far as a quality can do it
_MOST_PER_PIXEL = 0.25  # larger and longer films may have more


class Animation:
    """Keeps pictures of an optimisation; an instance is a `callback` for `jaxstyle.stylize`.

    Args:
      size: the greatest length of a frame's longer side, in pixels.

    Attributes:
      frames: the pictures so far, `[h, w, 3]` with 8 bits per channel.

    Raises:
      ValueError: if `size` is less than one.

    Example:
      >>> import tempfile
      >>> import jax.numpy as jnp
      >>> animation = Animation(size=256)
      >>> for step in range(3):
      ...     animation(step, jnp.full((8, 8, 3), step / 2))
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     animation.write(folder + "/frames")
      ...     sorted(os.listdir(folder + "/frames"))
      ['0000.png', '0001.png', '0002.png']
    """

    def __init__(self, size: int = SIZE):
        if size < 1:
            raise ValueError(f"size should be at least 1, got {size}")
        self.frames: list[NDArray[np.uint8]] = []
        self._size, self._step = size, -1

    def __call__(self, step: int, image: Array, info: Any = None) -> None:
        """Keeps a picture, clipped to [0, 1], unless the last one was of the same step.

        Args:
          step: the number of the step.
          image: `[H, W, 3]`.
          info: not used; callbacks get it.
        """
        check_image(image, "image")
        if step == self._step:
            return
        height, width = image.shape[:2]
        longer = max(height, width)
        if longer > self._size:
            height, width = (max(side * self._size // longer, 1) for side in (height, width))
            image = pixels.resize(image, (height, width))
        self.frames.append(np.rint(np.asarray(image).clip(0, 1) * 255).astype(np.uint8))
        self._step = step

    def write(self, path: StrPath, milliseconds: int = 80) -> None:
        """Writes the pictures, all in the size of the last one; a file appears once complete.

        Args:
          path: a .gif, .webp or .mp4 file, or a new or empty folder for numbered PNGs. MP4
            needs PyAV, the extra `video`.
          milliseconds: how long each picture of a file is shown; the last is shown longer.

        Raises:
          ValueError: if no picture was kept, or `path` is of another kind.
          OSError: if it cannot be written.
        """
        if not self.frames:
            raise ValueError(f"{path}: no picture was kept; an animation needs at least one")
        from PIL import Image  # here, because this module is imported with the package

        from jaxstyle.image.io.writing import encode

        check_animation_path(path)
        pictures = [Image.fromarray(frame) for frame in self.frames]
        size = pictures[-1].size
        frames = [np.asarray(p if p.size == size else p.resize(size)) for p in pictures]
        kind = _kind(path)
        if kind is None:
            with files.atomic_folder(path) as folder:
                for i, frame in enumerate(frames):
                    (folder / f"{i:04d}.png").write_bytes(encode(Image.fromarray(frame), "PNG"))
        elif kind == "MP4":
            write_video(path, frames, milliseconds, _PAUSE)
        else:
            durations = [milliseconds] * (len(frames) - 1) + [_PAUSE]
            files.write_bytes(path, encode_animation(frames, kind, durations))


def encode_animation(
    frames: Iterable[NDArray[np.uint8]], kind: str, durations: Sequence[int]
) -> bytes:
    """Returns a film in the best quality that is not too long, or the least one.

    Args:
      frames: pictures `[h, w, 3]` of one size. They are gone over several times, and few are in
        memory at once.
      kind: "GIF" or "WEBP".
      durations: how long each is shown, in milliseconds.
    """
    height, width, _ = next(iter(frames)).shape
    most = max(_MOST, _MOST_PER_PIXEL * len(durations) * height * width)
    film = b""
    for quality in _QUALITIES[kind]:
        if kind == "GIF":
            film = b"".join(encode_gif(frames, durations, *quality))
        else:
            film = _encode_webp(frames, durations, quality)
        if len(film) <= most:
            break
    return film


def _encode_webp(
    frames: Iterable[NDArray[np.uint8]], durations: Sequence[int], quality: int
) -> bytes:
    from PIL import Image

    from jaxstyle.image.io.writing import encode

    coming = iter(frames)
    first = Image.fromarray(next(coming))

    class Next(Image.Image):
        """Is another frame each time that Pillow asks for one."""

        def seek(self, frame: int) -> None:
            del frame
            self.im = Image.fromarray(next(coming)).im

    rest = Next()
    rest._mode, rest._size = first.mode, first.size
    return encode(
        first, "WEBP", save_all=True, append_images=[rest] * (len(durations) - 1),
        duration=list(durations), loop=0, quality=quality,
    )  # fmt: skip


def check_animation_path(path: StrPath) -> None:
    """Raises the errors that writing an animation would raise, before hours of work depend on it.

    Args:
      path: the file or folder for the animation.

    Raises:
      ValueError: if it is neither .gif nor .webp nor .mp4 nor a folder, or PyAV is missing for MP4.
      OSError: if it cannot be written, or is a folder with files in it.
    """
    kind = _kind(path)
    if kind is None:
        files.check_new_folder(path)
        return
    if kind == "MP4" and not can_write_video():
        raise ValueError(f"{path}: an .mp4 needs PyAV; pip install 'jaxstyle[video]'")
    files.check_writable(path)


def _kind(path: StrPath) -> str | None:
    """Returns Pillow's name of the format, or None for a folder."""
    extension = Path(path).suffix.lower()
    if not extension or os.fspath(path).endswith(("/", os.sep)) or os.path.isdir(path):
        return None
    if extension not in _KINDS:
        raise ValueError(
            f"{path}: an animation is a .gif, a .webp, an .mp4 or a folder, not {extension}"
        )
    return _KINDS[extension]
