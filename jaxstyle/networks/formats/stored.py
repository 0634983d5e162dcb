"""What the readers of all file formats share: arrays by name, and one kind of error."""

import contextlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from jaxstyle._common.reading import LARGEST, open_regular
from jaxstyle._common.text import printable
from jaxstyle.errors import FileFormatError

_LONGEST = 80  # characters of a name in a message


class Stored(NamedTuple):
    """A named array in a file, which is read only when it is needed.

    Attributes:
      shape: the array's dimensions.
      read: reads the values and returns an array of that shape.
    """

    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any]]


def in_memory(array: NDArray[Any]) -> Stored:
    """Wraps an array that is in memory already, so that it can be used like one in a file.

    Args:
      array: any array.

    Returns:
      Its shape, and a function that returns it.
    """
    return Stored(array.shape, lambda: array)


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
        reason = " ".join(str(error)[:300].split()) or type(error).__name__
        raise FileFormatError(f"{path}: cannot be read as {kind}: {printable(reason)}") from error


def open_network(path: str | Path) -> BufferedReader:
    """Opens a file that may hold a network.

    Args:
      path: the file.

    Returns:
      The open file.

    Raises:
      FileNotFoundError: if there is no such file.
      FileFormatError: if it is a pipe or a device, or larger than any file of VGG-19.
    """
    return open_regular(path, LARGEST)


def shown(name: str) -> str:
    r"""Returns a name from a file as a message can show it: printable, and not too long.

    Args:
      name: the name of an array, a function, a member of an archive.

    Returns:
      At most 80 characters of it, with escapes for control characters.

    Example:
      >>> print(shown("conv1\x1b[2J"))
      conv1\x1b[2J
    """
    return printable(name if len(name) <= _LONGEST else f"{name[:_LONGEST]}...")
