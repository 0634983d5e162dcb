"""The record of a sweep: a line for each job that ended, whatever happens to the process."""

import json
import os
import reprlib
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

from jaxstyle._common.locks import locked
from jaxstyle._common.reading import LARGEST, open_regular
from jaxstyle.errors import FileFormatError

Entry = dict[str, Any]


def append(path: Path, entries: list[Entry]) -> None:
    """Adds lines, one an entry, and waits until they are on the disk.

    A line that a killed process left unfinished is cut off first.
    """
    lines = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
    with path.open("a+b") as file, locked(file):
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        if end and file.read(1) != b"\n":  # somebody was killed, or an editor left no last end
            file.seek(0)
            before, _, last = file.read().rpartition(b"\n")
            if _whole(last):
                lines = b"\n" + lines
            else:
                file.truncate(len(before) + 1 if before else 0)
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> dict[str, Entry]:
    """Returns the last entry of each job, by its id; an unfinished last line is left out.

    Raises:
      FileFormatError: if a line is no entry of a sweep's.
    """
    if not path.exists():
        return {}
    entries = {}
    with open_regular(path, LARGEST) as file:
        *lines, last = file.read().split(b"\n")
    for number, line in enumerate([*lines, last] if _whole(last) else lines, 1):
        if not line.strip():
            continue
        try:
            entry = _checked(_parsed(line))
        except ValueError as error:
            raise FileFormatError(
                f"{path}, line {number}: {error}; remove the line, and its job is made again"
            ) from None
        entries[entry["id"]] = entry
    return entries


def _whole(line: bytes) -> bool:
    """Tells whether a last line lacks nothing but its end, as editors may leave it."""
    try:
        _parsed(line)
    except ValueError:
        return False
    return True


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # bytes that are no text are one of the former
        raise ValueError("is not JSON") from None


def _checked(entry: Any) -> Entry:
    """Returns an entry if everything that is read of it is what was written.

    Raises:
      ValueError: if it is not.
    """
    if not isinstance(entry, dict):
        raise ValueError("is no table of a job's settings and losses")
    done = entry.get("status") == "done"
    for name, (is_right, expected) in _FIELDS.items():
        if name not in entry and (name in _ALWAYS or (done and name in _IF_DONE)):
            raise ValueError(f"lacks {name!r}")
        if name in entry and not is_right(entry[name]):
            raise ValueError(f"{name!r} should be {expected}, got {reprlib.repr(entry[name])}")
    if done and entry["file"] is None:
        raise ValueError("has the status 'done' and no file")
    return entry


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and isinstance(value, int) and 0 <= value <= 10**9


def _is_place(value: Any) -> bool:
    """Tells whether a value names a file in the folder of pictures, and none elsewhere."""
    parts = PurePath(value).parts if _is_text(value) else ()
    return value is None or (parts[:1] == ("pictures",) and len(parts) == 2 and parts[1] != "..")


def _of(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Returns the test of a table whose values are right."""
    return lambda value: isinstance(value, dict) and all(map(is_right, value.values()))


# What each field of an entry should be.
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "id": (_is_text, "text"),
    "status": (("done", "failed").__contains__, "'done' or 'failed'"),
    "content": (_is_text, "text"),
    "style": (_is_text, "text"),
    "options": (_of(_is_text), "a table of texts"),
    "file": (_is_place, "a file in 'pictures', or null"),
    "error": (lambda value: value is None or _is_text(value), "text or null"),
    "terms": (_of(_is_number), "a table of numbers"),
    "loss": (_is_number, "a number"),
    "steps": (_is_count, "a whole number"),
    "evaluations": (_is_count, "a whole number"),
}
_ALWAYS = ("id", "status", "content", "style", "options", "file", "error")
_IF_DONE = ("terms", "loss", "steps", "evaluations")
