"""Prints: a text that cannot be shown, or a stream that takes none, never ends the work."""

import codecs
import contextlib
import errno
import io
import os
import re
import sys
from collections.abc import Iterator
from typing import TextIO

from jaxstyle._common.text import printable

# Plain stand-ins for what the program itself prints; every other character gets an escape.
_PLAIN = {"×": "x", "…": "..."}
_LINE_ENDS = re.compile(r"([\n\r\t]+)")


class Stream(io.TextIOBase):
    r"""Stands for stdout or stderr, and prints whatever it can.

    A character that the encoding lacks becomes an escape, and so does a control character. When the
    stream turns out to be full, closed or without a reader, the rest is not printed.

    Args:
      stream: the stream to print to, or None for one that was closed when Python started.

    Attributes:
      error: why nothing more can be printed, or None.

    Example:
      >>> narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
      >>> _ = Stream(narrow).write("48×32 pixels: été.png\n")
      >>> narrow.flush()
      >>> narrow.buffer.getvalue()
      b'48x32 pixels: \\xe9t\\xe9.png\n'
    """

    def __init__(self, stream: TextIO | None):
        self._stream = stream
        self.error: Exception | None = None
        if stream is None:
            self.error = OSError(errno.EBADF, os.strerror(errno.EBADF))

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Prints the text, or nothing; returns its length."""
        if self._stream is not None and self.error is None:
            shown = "".join(
                part if _LINE_ENDS.match(part) else printable(part)
                for part in _LINE_ENDS.split(text)
            )
            encoded = shown.encode(self.encoding, _plainly.__name__)
            with self._noting_errors():
                self._stream.write(encoded.decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        """Prints what still waits."""
        if self._stream is not None and self.error is None:
            with self._noting_errors():
                self._stream.flush()

    def isatty(self) -> bool:
        """Tells whether somebody watches."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # a closed file
            return False

    def fileno(self) -> int:
        """Returns the descriptor of the stream."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def discard(self) -> None:
        """Lets what still waits, and cannot be printed, go to the null device."""
        with contextlib.suppress(OSError, ValueError):
            descriptor = self.fileno()
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, descriptor)
            os.close(null)

    @contextlib.contextmanager
    def _noting_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # ValueError: a closed file
            self.error = error


@contextlib.contextmanager
def safe_streams() -> Iterator[tuple[Stream, Stream]]:
    """Lets everything that prints do so through `Stream`.

    Yields:
      What stands for stdout and for stderr.
    """
    streams = Stream(sys.stdout), Stream(sys.stderr)
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        try:
            yield streams
        finally:
            for stream in streams:
                stream.flush()
                if stream.error is not None:  # Python would try again at exit
                    stream.discard()


def open_standard_descriptors() -> None:
    """Opens those of the descriptors 0, 1 and 2 that the parent has closed, on the null device.

    Otherwise the first file that is opened would get their number, and what a C library prints
    would land in that file.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def watched() -> bool:
    """Tells whether stderr is a terminal, where progress is worth showing."""
    return Stream(sys.stderr).isatty()


@contextlib.contextmanager
def passing(text: str, *, quiet: bool) -> Iterator[None]:
    """Shows a text on stderr while a block runs, where somebody watches.

    The cursor stays at the start of the line, so whatever is printed meanwhile takes its place.

    Args:
      text: what is done in the block.
      quiet: whether nothing is shown anyway.
    """
    if quiet or not watched():
        yield
        return
    print(text, end="\r", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print(" " * len(text), end="\r", file=sys.stderr, flush=True)


def _plainly(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replaces what an encoding lacks; see `codecs.register_error`."""
    assert isinstance(error, UnicodeEncodeError)
    start = error.start
    plain = _PLAIN.get(error.object[start])
    if plain is not None:
        return plain, start + 1
    return codecs.backslashreplace_errors(
        UnicodeEncodeError(error.encoding, error.object, start, start + 1, error.reason)
    )


codecs.register_error(_plainly.__name__, _plainly)
