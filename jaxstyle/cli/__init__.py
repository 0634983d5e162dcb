"""The `jaxstyle` command: pictures from files to files.

The exit status is 0 when the work is done, 1 when a run failed, 2 for wrong usage, and 128 plus the
signal's number when it was interrupted: 130 by Ctrl-C. An error is one line on stderr that says
what is wrong and what would be right. A report that cannot be printed changes none of this, unless
printing was all that was asked for.
"""

import errno
import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from jaxstyle._common import interrupts
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle._common.terminal import open_standard_descriptors, passing, safe_streams
from jaxstyle._common.text import printable
from jaxstyle.cli.printing import answered, complain, complain_of
from jaxstyle.errors import DownloadError, FileFormatError, UsageError, spelled

# The command line or the environment names something that is not there or not allowed.
_USAGE = (
    UsageError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
# Commands that compute much, for which huge pages are worth a new start of the process.
_HEAVY = (
    "demo", "stylize", "stylise", "texture", "reconstruct", "apply", "analogy", "larger", "video",
    "train", "export", "sweep",
)  # fmt: skip
_WITHOUT_HISTORY = ("apply", "analogy", "train", "export")


def command() -> int:
    """Runs the command as a process of its own, in huge pages and with compiled programs kept."""
    open_standard_descriptors()
    status = main(own_process=True)
    if status == interrupts.status():
        interrupts.leave_with(status)
    return status


def main(argv: Sequence[str] | None = None, *, own_process: bool = False) -> int:
    """Runs the command and returns its exit status.

    Args:
      argv: the arguments after the program's name; those of the process by default.
      own_process: whether the process exists for this command alone, and may be set up for it;
        see `jaxstyle.pages` and `jaxstyle.cli.programs`.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    with safe_streams() as (stdout, _):
        status = _status(argv, own_process)
        stdout.flush()
        complain_of(stdout)
    return status


def _status(argv: list[str], own_process: bool) -> int:
    """Runs the command; says what ended it, if anything did."""
    try:
        return _run(argv, own_process)
    except SystemExit:  # argparse has printed the help or the version
        return answered()
    except KeyboardInterrupt as error:
        complain(str(error) or "interrupted; nothing was written")
        return interrupts.status()
    except Exception as error:
        if "--debug" in argv:
            traceback.print_exc()
        complain(f"error: {_describe(error, argv)}")
        return 2 if _is_usage(error) else 1


def _run(argv: list[str], own_process: bool) -> int:
    if own_process:
        interrupts.end_as_by_ctrl_c()
    if argv[:1] == ["serve"]:
        return _serve(argv, own_process)
    if own_process:
        # Before JAX is imported, which would have to be done again.
        # A dry run by the formula computes nothing.
        heavy = next((word for word in argv if not word.startswith("-")), "") in _HEAVY
        if heavy and "--dry-run" not in argv:
            restart_with_huge_pages()
    with passing("starting", quiet="--quiet" in argv):
        try:
            # Imported here so that an interrupt meanwhile ends as any other.
            from jaxstyle.cli import (
                apply,
                demo,
                larger,
                networks,
                pictures,
                pieces,
                plot,
                show,
                sweeps,
                train,
                video,
            )
            from jaxstyle.cli.parser import build_parser
        finally:  # what an interrupt breaks off may fail for another reason, or go on
            interrupts.check()

    _show_log()
    runs: dict[str, Callable[[dict[str, Any]], int]] = {
        "demo": demo.demo,
        "stylize": pictures.stylize,
        "texture": pieces.texture,
        "reconstruct": pictures.reconstruct,
        "apply": apply.apply,
        "analogy": pieces.analogy,
        "larger": larger.larger,
        "video": video.video,
        "train": train.train,
        "export": networks.export,
        "sweep": sweeps.sweep,
        "show": show.show,
        "plot": plot.plot,
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
        _keep_programs()
    return runs[command](arguments)


def _serve(argv: list[str], own_process: bool) -> int:
    """Serves the page. Its processes import JAX where they need it, and this one does not."""
    from jaxstyle.cli import serve

    arguments = serve.parse(argv)
    _show_log()
    if own_process and serve.paints(arguments):
        _keep_programs()
    return serve.serve(arguments)


def _keep_programs() -> None:
    from jaxstyle.cli import programs

    programs.keep_programs()


def _show_log() -> None:
    """Prints what the package has to say, a line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("jaxstyle: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("jaxstyle").setLevel(logging.INFO)
    # What Pillow says of a damaged file, the error says in a line.
    logging.getLogger("PIL").setLevel(logging.CRITICAL)


def _is_usage(error: Exception) -> bool:
    """Tells whether what was asked for is wrong, and not what happened on the way."""
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return True
    return isinstance(error, _USAGE) and not isinstance(error, DownloadError)


def _describe(error: Exception, argv: Sequence[str]) -> str:
    text = " ".join(spelled(error, lambda name: f"--{name}").split())
    # JAX's own notes are about tracebacks.
    notes = [note for note in getattr(error, "__notes__", ()) if not note.startswith("-----")]
    kept = "".join(f"; {note}" for note in notes)
    if isinstance(error, (UsageError, FileFormatError, OSError)):
        return text
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text or "ut of memory" in text:
        history = "" if argv[:1] and argv[0] in _WITHOUT_HISTORY else ", or a shorter --history"
        return f"out of memory; try a smaller --size{history}{kept}"
    return f"unexpected {type(error).__name__}: {text[:300]} (a bug; --debug shows where){kept}"


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Returns the record as a line that a terminal can be given."""
        return printable(super().format(record))
