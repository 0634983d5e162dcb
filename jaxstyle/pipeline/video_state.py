"""The reel of a film: what is painted of it so far, in a folder beside the output.

A film that was killed goes on from it. Every file appears under its name once it is complete, and
the next frame goes on from what was written, so a film has the same bits however often it stopped.
"""

import dataclasses
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jaxstyle._common import files
from jaxstyle._common.reading import open_regular
from jaxstyle._common.text import printable
from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.image.io.writing import encode
from jaxstyle.video.flow import Pixels
from jaxstyle.video.reading import Bytes, Timed

_STEPS = 65535  # of a channel; what is kept is what the next frame goes on from
_MOST = 2**31
_SETTINGS = "settings.json"
_PARTS, _PART = 64, 2**20  # of a long film, by which it is known again; bytes of each
_PASS = re.compile(r"([0-9]{6,})\.pass([0-9]+)\.npz")


class Kept(NamedTuple):
    """A picture as the reel keeps it.

    Attributes:
      picture: `[H, W, 3]` in [0, 1].
      shot: the number of the first frame of its shot.
    """

    picture: Pixels
    shot: int


def folder_of(output: Path) -> Path:
    """Returns the folder that keeps what is painted so far.

    Example:
      >>> folder_of(Path("out.mp4")).name
      'out.mp4.reel'
    """
    return output.with_name(f"{output.name}.reel")


def digest_of(path: Path) -> str:
    """Returns a text that differs where a file, or the files of a folder, do.

    Of a long film it tells the size and parts that are spread over it.
    """
    if path.is_dir():
        inside = sorted(each for each in path.iterdir() if each.is_file())
        return hashlib.sha256("".join(map(digest_of, inside)).encode()).hexdigest()
    size = path.stat().st_size
    parts = _PARTS if size > _PARTS * _PART else 1
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for part in range(parts):
            file.seek((size - _PART) * part // (parts - 1) if parts > 1 else 0)
            digest.update(file.read(_PART if parts > 1 else size))
    return digest.hexdigest()


def rounded(picture: Pixels) -> Pixels:
    """Returns a picture as it comes back from the reel."""
    return _as_picture(_as_numbers(picture))


class Reel:
    """The pictures of a film so far.

    Args:
      folder: where they are; made if it is not there.
      settings: what has to be the same for a film to go on.

    Raises:
      UsageError: if the folder is of a film with other settings.
      FileFormatError: if it is none of a film.
      OSError: if it cannot be made.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]):
        self.folder = folder
        self._reached: dict[int, int] = {}
        wanted = json.loads(json.dumps(settings))
        notes = folder / _SETTINGS
        if not folder.exists():
            folder.mkdir()
        if not notes.exists():
            if any(not path.name.startswith(".") for path in folder.iterdir()):
                raise FileFormatError(f"{folder}: is no film of jaxstyle's; remove or rename it")
            files.write_bytes(notes, json.dumps(wanted).encode())
            return
        try:
            kept = json.loads(notes.read_text(encoding="utf-8"))
            changed = _differences(kept, wanted)
        except (ValueError, AttributeError, TypeError) as error:
            raise FileFormatError(f"{folder}: is damaged; remove it to begin again") from error
        if changed:
            names = ", ".join(printable(name)[:80] for name in changed[:5])
            raise UsageError(
                f"{folder}: was begun with other settings ({names}); give the same ones, or remove "
                "it to begin again"
            )
        files.remove_leftovers([folder])
        for path in folder.iterdir():
            if found := _PASS.fullmatch(path.name):
                frame, number = map(int, found.groups())
                self._reached[frame] = max(number, self.reached(frame))

    def count_shown(self) -> int:
        """Returns how many frames are finished, from the first on."""
        return self._count(self._shown)

    def count_kept(self) -> int:
        """Returns how many pictures the first pass has, from the first frame on."""
        count = 0
        while self.reached(count + 1):
            count += 1
        return count

    def has_shown(self, frame: int) -> bool:
        """Tells whether a frame is finished."""
        return self._shown(frame).exists()

    def reached(self, frame: int) -> int:
        """Returns the last pass that has the picture of a frame; 0 for none."""
        return self._reached.get(frame, 0)

    def shot(self, frame: int) -> int:
        """Returns the number of the first frame of a frame's shot."""
        return self.kept(frame, self.reached(frame)).shot

    def keep_photograph(self, frame: int, image: Bytes) -> None:
        """Writes the photograph of a frame, for further passes."""
        buffer = io.BytesIO()
        np.save(buffer, image)
        files.write_bytes(self._photograph(frame), buffer.getvalue())

    def photograph(self, frame: int) -> Bytes:
        """Reads the photograph of a frame.

        Raises:
          FileFormatError: if it is damaged.
        """
        path = self._photograph(frame)
        try:
            with open_regular(path, _MOST) as file:
                return np.asarray(np.load(file, allow_pickle=False), np.uint8)
        except (OSError, ValueError, EOFError) as error:
            raise self._damaged(path) from error

    def show(self, frame: int, image: Bytes) -> None:
        """Writes a finished frame."""
        files.write_bytes(self._shown(frame), encode(Image.fromarray(image), "PNG"))

    def shown(self, count: int) -> Iterator[Bytes]:
        """Yields the first so many finished frames."""
        for frame in range(1, count + 1):
            try:
                with Image.open(self._shown(frame)) as image:
                    yield np.asarray(image.convert("RGB"))
            except (OSError, ValueError, SyntaxError) as error:
                raise self._damaged(self._shown(frame)) from error

    def keep(self, frame: int, number: int, kept: Kept) -> None:
        """Writes the picture of a frame in a pass."""
        buffer = io.BytesIO()
        np.savez(buffer, picture=_as_numbers(kept.picture), shot=np.int64(kept.shot))
        files.write_bytes(self._kept(frame, number), buffer.getvalue())
        self._reached[frame] = max(number, self.reached(frame))

    def kept(self, frame: int, number: int) -> Kept:
        """Reads the picture of a frame in a pass.

        Raises:
          FileFormatError: if it is damaged.
        """
        path = self._kept(frame, number)
        try:
            with open_regular(path, _MOST) as file, np.load(file, allow_pickle=False) as found:
                numbers, shot = found["picture"], int(found["shot"])
            if numbers.dtype != np.uint16 or numbers.ndim != 3:
                raise ValueError("another form")
        # NumPy and zipfile raise many kinds for damaged files.
        except Exception as error:
            raise self._damaged(path) from error
        return Kept(_as_picture(numbers), shot)

    def forget(self, frame: int, number: int) -> None:
        """Removes the picture of a frame in a pass, which is not needed any more."""
        self._kept(frame, number).unlink(missing_ok=True)
        if self.reached(frame) == number:
            del self._reached[frame]

    def remove(self) -> None:
        """Removes the folder, once the film is written."""
        files.remove_folder(self.folder)

    def _shown(self, frame: int) -> Path:
        return self.folder / f"{frame:06d}.png"

    def _photograph(self, frame: int) -> Path:
        return self.folder / f"{frame:06d}.photograph.npy"

    def _kept(self, frame: int, number: int) -> Path:
        return self.folder / f"{frame:06d}.pass{number}.npz"

    def _count(self, path_of: Callable[[int], Path]) -> int:
        count = 0
        while path_of(count + 1).exists():
            count += 1
        return count

    def _damaged(self, path: Path) -> FileFormatError:
        return FileFormatError(f"{path}: is damaged; remove {self.folder} to begin again")


@dataclasses.dataclass(frozen=True)
class Finished:
    """The finished frames of a film, which are read again whenever they are gone over."""

    reel: Reel
    times: Sequence[Fraction]

    def __iter__(self) -> Iterator[Timed]:
        count = self.reel.count_shown()
        for moment, image in zip(self.times, self.reel.shown(count), strict=False):
            yield Timed(moment, image)


def _differences(kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Returns the names of settings that differ."""
    changed: set[str] = set()
    for name in {*kept, *wanted}:
        old, new = kept.get(name), wanted.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            changed.update(each for each in {*old, *new} if old.get(each) != new.get(each))
        elif old != new:
            changed.add(name)
    return sorted(changed)


def _as_numbers(picture: Pixels) -> NDArray[np.uint16]:
    numbers: NDArray[np.uint16] = np.rint(picture.clip(0, 1) * _STEPS).astype(np.uint16)
    return numbers


def _as_picture(numbers: NDArray[np.uint16]) -> Pixels:
    return np.asarray(numbers / np.float32(_STEPS), np.float32)
