"""What the readers of all file formats share: arrays by name, and one kind of error."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from jaxstyle.errors import FileFormatError


class Stored(NamedTuple):
    """A named array in a file, which is read only when it is needed.

    Attributes:
      shape: the array's dimensions.
      read: reads the values and returns an array of that shape.
    """

    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any]]


@contextlib.contextmanager
def refusing(path: str | Path, kind: str) -> Iterator[None]:
    """Turns any error of a parser over a broken file into one `FileFormatError`.

    Args:
      path: the file that is being read; the message begins with it.
      kind: what the file is read as, for the message.

    Yields:
      Nothing; the block reads the file.

    Raises:
      FileFormatError: for any `Exception` of the block.

    Example:
      >>> with refusing("cut.h5", "HDF5"):
      ...     raise EOFError("end of file")
      Traceback (most recent call last):
      jaxstyle.errors.FileFormatError: cut.h5: cannot be read as HDF5: end of file
    """
    try:
        yield
    except FileFormatError:
        raise
    # h5py, safetensors, zipfile and struct raise a dozen unrelated classes for damaged files, even
    # MemoryError where a damaged size field asks for too much.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        # A damaged file can put anything into a message, even control characters of the terminal.
        reason = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in reason[:300])
        raise FileFormatError(f"{path}: cannot be read as {kind}: {reason}") from error
