"""What the command prints: reports, answers and complaints, a line each."""

import errno
import json
import sys
from collections.abc import Mapping
from typing import Any

from jaxstyle._common.terminal import Stream
from jaxstyle._common.text import printable


def say(text: str) -> None:
    """Prints a line on stdout."""
    print(printable(text), flush=True)


def say_json(facts: Mapping[str, Any]) -> None:
    """Prints a line of JSON on stdout, for other programs to read."""
    # The only control character that JSON lets through.
    print(json.dumps(facts).replace("\x7f", r"\u007f"), flush=True)


def complain(text: str) -> None:
    """Prints a line on stderr: an error or a warning."""
    print(f"jaxstyle: {printable(text)}", file=sys.stderr)


def answered() -> int:
    """Returns the exit status of a command that only prints: 1 if the answer could not be."""
    sys.stdout.flush()
    return 0 if getattr(sys.stdout, "error", None) is None else 1


def complain_of(stdout: Stream) -> None:
    """Says why stdout took no more, unless it was closed on purpose or its reader has gone."""
    error = stdout.error
    if isinstance(error, OSError) and error.errno not in (errno.EPIPE, errno.EBADF):
        complain(f"warning: stdout: {error.strerror or error}; not all was printed")
