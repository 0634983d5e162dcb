"""The `jaxstyle` command: pictures from files to files.

Exit status: 0 done, 1 the run failed, 2 wrong usage, 130 interrupted. An error is one line on
stderr that says what is wrong and what would be right.
"""

import logging
import os
import sys
import traceback
from collections.abc import Sequence

from jaxstyle.errors import DownloadError, FileFormatError

# The command line or the environment names something that is not there or not allowed.
_USAGE = (
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    TypeError,
    ValueError,
)


def command() -> int:
    """The process of the command: `main`, in huge pages, with compiled programs kept."""
    return main(own_process=True)


def main(argv: Sequence[str] | None = None, *, own_process: bool = False) -> int:
    """Runs the command and returns its exit status.

    Args:
      argv: the arguments after the program's name; those of the process by default.
      own_process: whether the process is there for this command alone, and may be set up for it:
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
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; what Python would flush at exit has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if "--debug" in argv:
            traceback.print_exc()
        _complain(f"error: {_describe(error)}")
        failed = isinstance(error, FileFormatError | DownloadError)
        return 2 if isinstance(error, _USAGE) and not failed else 1


def _run(argv: list[str], own_process: bool) -> int:
    # Imported here so that an interrupt meanwhile ends as any other.
    from jaxstyle.cli.options import build_parser
    from jaxstyle.pipeline.options import UsageError

    logging.basicConfig(format="jaxstyle: %(message)s", level=logging.WARNING)
    logging.getLogger("jaxstyle").setLevel(logging.INFO)
    parser = build_parser()
    arguments = vars(parser.parse_args(argv))
    if "settings_from" in arguments:
        from jaxstyle.pipeline.metadata import read_options

        # Parsed again with the settings first: they are checked, and what is given wins.
        path, command = arguments["settings_from"], argv[0]
        options = read_options(path, command)
        try:
            arguments = vars(parser.parse_args([command, *options, *argv[1:]]))
        except UsageError as error:
            raise FileFormatError(f"{path}: its settings do not fit: {error}") from None
    arguments.pop("debug", None)
    if own_process:
        from jaxstyle._common import huge_pages
        from jaxstyle.cli import programs

        if argv[0] != "weights":  # only to compute pictures: starting anew takes most of a second
            huge_pages.restart_with_huge_pages()
        programs.keep_programs()
    status: int = arguments.pop("run")(arguments)
    return status


def _describe(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text or "ut of memory" in text:
        return "out of memory; try a smaller --size, or a shorter --history"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}"
    if isinstance(error, (*_USAGE, OSError, FileFormatError)):
        return text
    return f"unexpected {type(error).__name__}: {text[:300]} (--debug shows where)"


def _complain(message: str) -> None:
    print(f"jaxstyle: {message}", file=sys.stderr)
