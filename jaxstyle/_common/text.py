"""Makes text from elsewhere fit to print: names of files, and what files and servers say."""

import dataclasses
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

# Control characters (C0, DEL, C1), line separators, what turns the direction of writing around, and
# the stand-ins for bytes of a file name that are not UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NEAR = 0.7  # how alike a word is that may have been meant, 1 for the same
_SHORT = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}


def printable(text: str) -> str:
    r"""Returns a text on one line, with an escape such as `\x1b` for each control character.

    A terminal obeys control characters: raw, a file name could move the cursor, change the window's
    title, or write a line that looks like one of the program's own.

    Args:
      text: the text.

    Returns:
      The same text where nothing has to be escaped.

    Example:
      >>> print(printable("a\x1b[31m.png"))
      a\x1b[31m.png
    """
    return _UNPRINTABLE.sub(_escape, text)


def brief_repr(instance: Any, always: Sequence[str] = ()) -> str:
    """Returns a dataclass as code that makes it, without what is as it is by default.

    Args:
      instance: of a dataclass.
      always: the fields that are there in any case.
    """
    shown = []
    for field in dataclasses.fields(instance):
        value, default = getattr(instance, field.name), field.default
        # Arrays, which may be traced, are not compared: they are no defaults.
        same = value is default or (type(value) is type(default) and value == default)
        if field.name in always or not same:
            shown.append(f"{field.name}={value!r}")
    return f"{type(instance).__name__}({', '.join(shown)})"


def nearest(word: str, valid: Iterable[str]) -> str | None:
    """Returns the valid word that somebody may have meant, if one is near.

    Args:
      word: what was written.
      valid: what would have been right.

    Example:
      >>> nearest("--style-wieght", ["--style-weight", "--style-size"])
      '--style-weight'
    """
    return next(iter(difflib.get_close_matches(word, list(valid), n=1, cutoff=_NEAR)), None)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as Python reads it from the system
        code -= 0xDC00
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
