"""The `jaxstyle` command: pictures from files to files.

The exit status is 0 when the work is done, 1 when a run failed, 2 for wrong usage, and 128 plus the
signal's number when it was interrupted: 130 by Ctrl-C. An error is one line on stderr that says
what is wrong and what would be right.
"""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from jaxstyle._common import interrupts
from jaxstyle.errors import DownloadError, FileFormatError, OptionError, UsageError

# The command line or the environment names something that is not there or not allowed.
_USAGE = (
    UsageError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)


def command() -> int:
    """Runs the command as a process of its own, in huge pages and with compiled programs kept."""
    return main(own_process=True)


def main(argv: Sequence[str] | None = None, *, own_process: bool = False) -> int:
    """Runs the command and returns its exit status.

    Args:
      argv: the arguments after the program's name; those of the process by default.
      own_process: whether the process exists for this command alone, and may be set up for it;
        see `jaxstyle.pages` and `jaxstyle.cli.programs`.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        try:
            return _run(argv, own_process)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a reader that has gone can be dealt with
    except KeyboardInterrupt as error:
        _complain(str(error) or "interrupted; nothing was written")
        return interrupts.status()
    except BrokenPipeError:
        # Whoever read our output has gone; what Python would flush at exit has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if "--debug" in argv:
            traceback.print_exc()
        _complain(f"error: {_describe(error)}")
        return 2 if isinstance(error, _USAGE) and not isinstance(error, DownloadError) else 1


def _run(argv: list[str], own_process: bool) -> int:
    if own_process:
        interrupts.end_as_by_ctrl_c()
    # Imported here so that an interrupt meanwhile ends as any other.
    from jaxstyle.cli import demo, networks, pictures, sweeps
    from jaxstyle.cli.parser import build_parser

    logging.basicConfig(format="jaxstyle: %(message)s", level=logging.WARNING)
    logging.getLogger("jaxstyle").setLevel(logging.INFO)
    runs: dict[str, Callable[[dict[str, Any]], int]] = {
        "demo": demo.demo,
        "stylize": pictures.stylize,
        "texture": pictures.texture,
        "reconstruct": pictures.reconstruct,
        "sweep": sweeps.sweep,
        "weights list": networks.list_networks,
        "weights fetch": networks.fetch,
        "weights convert": networks.convert,
        "weights verify": networks.verify,
    }
    arguments: dict[str, Any] = vars(build_parser().parse_args(argv))
    command = arguments.pop("command")
    arguments.pop("debug", None)
    if "settings-from" in arguments:
        from jaxstyle.pipeline.metadata import add_options_of

        arguments = add_options_of(arguments["settings-from"], command, arguments)
    if own_process:
        from jaxstyle._common import huge_pages
        from jaxstyle.cli import programs

        if not command.startswith("weights"):  # starting again takes most of a second
            huge_pages.restart_with_huge_pages()
        programs.keep_programs()
    return runs[command](arguments)


def _describe(error: Exception) -> str:
    text = error.spelled(lambda name: f"--{name}") if isinstance(error, OptionError) else str(error)
    text = " ".join(text.split())
    kept = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}"
    if isinstance(error, (UsageError, FileFormatError, OSError)):
        return text
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text or "ut of memory" in text:
        return f"out of memory; try a smaller --size, or a shorter --history{kept}"
    return f"unexpected {type(error).__name__}: {text[:300]} (a bug; --debug shows where){kept}"


def _complain(message: str) -> None:
    print(f"jaxstyle: {message}", file=sys.stderr)
