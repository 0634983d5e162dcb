"""The exceptions whose message is meant for the user.

A wrong argument of a library function is a plain `ValueError` or `TypeError`, and a path that does
not exist is the usual `FileNotFoundError`. The classes here are for what a user of the command, of
a sweep or of the page can mend. Every message is one line: it names the file or the option, says
what is wrong, and says what would be right.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any


class UsageError(ValueError):
    """What was asked for cannot be right: the options, or the pictures that they name."""


class OptionError(UsageError):
    """An option cannot be right, alone or together with others.

    The same option is spelled differently on a command line, in a sweep's file and on a page. So
    the message leaves the spelling to whoever shows it.

    Args:
      message: the text, as `str.format` takes it, with `{}` for each option.
      *options: their names, as in the table of options.
      **values: what else the message mentions, by name.

    Example:
      >>> error = OptionError("{} needs {} beside it, got {value}", "guides", "regions", value=1)
      >>> str(error)
      'guides needs regions beside it, got 1'
      >>> error.spelled(lambda name: f"--{name}")
      '--guides needs --regions beside it, got 1'
    """

    def __init__(self, message: str, *options: str, **values: Any):
        self._message, self.options, self._values = message, options, values
        super().__init__(self.spelled(lambda name: name))

    def spelled(self, spell: Callable[[str], str]) -> str:
        """Returns the message with every option's name as `spell` writes it."""
        return self._message.format(*map(spell, self.options), **self._values)


class FileFormatError(ValueError):
    """The contents of a file cannot be used: truncated, of another kind, of another network."""


class DownloadError(OSError):
    """No source of a file could be reached, or what came was not the file asked for."""


@contextlib.contextmanager
def naming(option: str | None) -> Iterator[None]:
    """Notes in an error of a file which option named the file; see `spelled`.

    Args:
      option: its name, or None where the file was not named by an option.
    """
    try:
        yield
    except (OSError, FileFormatError, UsageError) as error:
        if option is not None and option not in getattr(error, "options", ()):
            error.__dict__["named_by"] = option
        raise


def spelled(error: Exception, spell: Callable[[str], str]) -> str:
    """Returns the message of an error, which begins with the option that named the file.

    Args:
      error: the error.
      spell: returns an option as its user writes it.
    """
    if isinstance(error, OptionError):
        text = error.spelled(spell)
    elif isinstance(error, OSError) and error.filename and error.strerror:
        text = f"{error.filename}: {error.strerror.lower()}"
    else:
        text = str(error)
    option = error.__dict__.get("named_by")
    return text if option is None else f"{spell(option)} {text}"


@contextlib.contextmanager
def usage_errors(option: str | None = None) -> Iterator[None]:
    """Turns a plain `ValueError` into a `UsageError`.

    It surrounds checks of what a user has given, and nothing else: a `ValueError` from anywhere
    else is a mistake of the program's.

    Args:
      option: the option that is checked, which the message then names.
    """
    try:
        yield
    except (UsageError, FileFormatError):
        raise
    except ValueError as error:
        if option is None:
            raise UsageError(str(error)) from error
        raise OptionError("{}: {error}", option, error=error) from error
