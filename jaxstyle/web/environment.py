"""What the page is told by environment variables, whose names begin with `JAXSTYLE_WEB_`."""

import dataclasses
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxstyle._common import files
from jaxstyle.errors import UsageError

PREFIX = "JAXSTYLE_WEB_"
PARENT = PREFIX + "PARENT"
"""The variable that tells a process the number of its supervisor."""
_KEY = "secret-key"
_KEY_BYTES = 48


@dataclasses.dataclass(frozen=True)
class Limits:
    """What visitors may ask for; each is a variable, such as `JAXSTYLE_WEB_MAX_STEPS`.

    Attributes:
      max_upload_mb: megabytes of one file.
      max_source_megapixels: pixels of one file, in millions.
      max_size: the longer side of a picture that is made.
      max_steps: steps of one picture.
      max_queue: jobs that wait or run, of all visitors.
      max_queue_each: jobs that wait or run, of one visitor.
      max_sweep: pictures of one sweep.
      max_disk_mb: megabytes of everything that is kept.
      max_disk_each_mb: megabytes that are kept for one visitor.
      expire_days: days after which what nobody looked at is removed.
      lease_seconds: seconds after which a worker that says nothing counts as gone.
      slice_seconds: seconds that a picture is worked on while others wait.
      max_claims: how often a job may end its worker without a step done.
      memory_share: the part of the free memory that one picture may take.
    """

    max_upload_mb: float = 40.0
    max_source_megapixels: float = 60.0
    max_size: int = 2048
    max_steps: int = 1000
    max_queue: int = 200
    max_queue_each: int = 10
    max_sweep: int = 24
    max_disk_mb: float = 10_000.0
    max_disk_each_mb: float = 1_000.0
    expire_days: float = 30.0
    lease_seconds: float = 15.0
    slice_seconds: float = 30.0
    max_claims: int = 5
    memory_share: float = 0.8


def read_limits(environ: Mapping[str, str] = os.environ) -> Limits:
    """Returns the limits of an environment.

    Raises:
      UsageError: if one is no number greater than 0.
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(Limits):
        name = PREFIX + field.name.upper()
        text = environ.get(name)
        if text is None:
            continue
        try:
            value = type(field.default)(text)  # type: ignore[misc]
        except ValueError:
            value = 0
        if not 0 < value < float("inf"):
            kind = "a whole number" if isinstance(field.default, int) else "a number"
            raise UsageError(f"{name}={text}: should be {kind} greater than 0")
        found[field.name] = value
    return Limits(**found)


def flag(name: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Tells whether a variable says yes.

    Raises:
      UsageError: if it says neither yes nor no.
    """
    text = environ.get(PREFIX + name, "0").lower()
    if text not in ("0", "1", "false", "true", ""):
        raise UsageError(f"{PREFIX}{name}={text}: should be 0 or 1")
    return text in ("1", "true")


def whole(name: str, default: int, environ: Mapping[str, str] = os.environ) -> int:
    """Returns the whole number of a variable, of at least 0.

    Raises:
      UsageError: if it has none.
    """
    text = environ.get(PREFIX + name, str(default))
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"{PREFIX}{name}={text}: should be a whole number of at least 0")
    return int(text)


def words(name: str, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Returns the words of a variable, parted by commas."""
    return [word.strip() for word in environ.get(PREFIX + name, "").split(",") if word.strip()]


def database(address: str) -> dict[str, Any]:
    """Returns Django's settings of a database.

    Args:
      address: such as "postgres://page@localhost/page".

    Raises:
      UsageError: if it names none that Django knows.
    """
    import dj_database_url

    try:
        found: dict[str, Any] = dict(dj_database_url.parse(address))
    except ValueError:  # its message has the address, and that a password
        found = {}
    if "ENGINE" not in found:
        raise UsageError("DATABASE_URL: should be like postgres://USER:PASSWORD@HOST/NAME")
    return found


def data_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the folder of all that is kept: `JAXSTYLE_WEB_DATA`, or one of the user's own."""
    named = environ.get(PREFIX + "DATA")
    if named:
        return Path(named).absolute()
    home = environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(home).absolute() / "jaxstyle" / "web"


def secret_key(folder: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Returns the key that signs cookies: `JAXSTYLE_WEB_SECRET_KEY`, or one kept in the folder."""
    given = environ.get(PREFIX + "SECRET_KEY")
    if given:
        return given
    path = folder / _KEY
    if not path.exists():
        make_folder(folder)
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:  # another process was quicker
            pass
        else:
            with open(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(_KEY_BYTES))
    return path.read_text(encoding="ascii")


def orphaned() -> bool:
    """Tells whether the supervisor that started this process has gone.

    It is known by its number, not by who the parent was at first: it may go while a process is
    still importing.
    """
    parent = os.environ.get(PARENT)
    return parent is not None and os.getppid() != int(parent)


def make_folder(folder: Path) -> None:
    """Makes the folder of all that is kept, for its owner alone.

    Raises:
      OSError: if it cannot be made, or written into.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.check_folder(folder, "probe")
    for name in ("uploads", "jobs", "styles"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
