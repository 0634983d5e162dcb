"""Looks at what visitors bring, beside what is painted: uploads, and whether jobs can be made."""

import contextlib
import datetime
import hashlib
import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from django.db.models import F
from django.utils import timezone

from jaxstyle.errors import FileFormatError, UsageError, spelled
from jaxstyle.image import io
from jaxstyle.image.io.opening import opened
from jaxstyle.web import models, painting, room
from jaxstyle.web.refusals import Refusal

_logger = logging.getLogger(__name__)
_PAUSE = 0.1
_TIDY_SECONDS = 600
_OLD_SECONDS = 3600  # files that no row of the database names may be about to get one
_EMPTY_DAYS = 1  # of a visitor who has left nothing, and misses nothing as a new one
_PREVIEW = 1600  # the longer side of a copy that is shown
_EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "GIF": "gif"}
_USERS = (UsageError, FileFormatError, OSError)


class Reception(threading.Thread):
    """Takes in uploads and jobs until it is told to end.

    Args:
      warming: tells whether the worker makes programs ready, for which new jobs have to wait.
    """

    def __init__(self, warming: Callable[[], bool]) -> None:
        self._warming = warming
        super().__init__(name="reception", daemon=True)
        self.ending = threading.Event()
        self._tidied = 0.0

    def run(self) -> None:
        """Looks for new uploads and jobs, again and again."""
        while not self.ending.is_set():
            try:
                busy = receive(warming=self._warming)
                if time.monotonic() - self._tidied > _TIDY_SECONDS:
                    self._tidied = time.monotonic()
                    tidy()
            except Exception as error:  # such as a database that is away for a moment
                _logger.warning("warning: %s", error)
                close_old_connections()
                busy = False
            if not busy:
                self.ending.wait(_PAUSE)


def receive(*, warming: Callable[[], bool] = lambda: False) -> bool:
    """Takes in what is new; returns whether there was anything.

    Args:
      warming: see `Reception`.
    """
    uploads = list(models.Upload.objects.filter(state=models.Upload.NEW).order_by("created")[:20])
    done = [_apart(_take_in, upload) for upload in uploads]
    jobs = list(models.Job.objects.filter(state=models.Job.NEW).order_by("created")[:20])
    done += [_apart(_accept, job, warming) for job in jobs]
    return any(done)


def _apart(what: Callable[..., None], *given: Any) -> bool:
    """Does something whose failure is no reason to leave out the rest; returns whether it was."""
    try:
        what(*given)
    except Exception as error:  # such as a database that is away for a moment
        _logger.warning("warning: %s", error)
        close_old_connections()
        return False
    return True


def _take_in(upload: models.Upload) -> None:
    """Decodes an upload by the package's reader, and says what it is."""
    most = int(settings.LIMITS.max_source_megapixels * 1e6)

    def read() -> dict[str, object]:
        with opened(upload.file, most) as (file, _):
            extension = _EXTENSIONS.get(str(file.format), str(file.format).lower()[:8])
        height, width = io.read_shape(upload.file, max_pixels=most)
        size = min(_PREVIEW, max(height, width))
        shown = io.load_picture(upload.file, size=size, max_pixels=most)
        io.save_image(upload.preview, shown.image, quality=90)
        return {"state": models.Upload.READY, "width": width, "height": height,
                "extension": extension}  # fmt: skip

    facts = _attempt(read, upload.file, "")
    if isinstance(facts, str):
        facts = {"state": models.Upload.REFUSED, "message": facts}
        upload.file.unlink(missing_ok=True)
    models.Upload.objects.filter(pk=upload.pk).update(**facts)


def _accept(job: models.Job, warming: Callable[[], bool]) -> None:
    """Lets a job wait for its turn, or says why it cannot be made."""

    def accept() -> dict[str, object]:
        size = painting.prepare(job)
        room.accept(job, size, preparing=warming())
        return {}

    facts = _attempt(accept, job.folder, "")
    if isinstance(facts, str):
        models.Job.objects.filter(pk=job.pk, state=models.Job.NEW).update(
            state=models.Job.FAILED, message=facts, ended=timezone.now(), version=F("version") + 1
        )


def _attempt(
    what: Callable[[], dict[str, object]], path: Path, called: str
) -> dict[str, object] | str:
    """Returns what a function does, or the one line that says what is wrong.

    What ends the whole process, such as a file on which a decoder crashes, is tried a few times
    only: a file beside it grows by a byte with each, and is there as long as none comes back.
    """
    tries, most = tries_of(path), settings.LIMITS.max_claims
    try:
        with tries.open("ab") as file:
            file.write(b".")
        if tries.stat().st_size > most:
            raise UsageError(f"ended its reader {most} times; take another")
        return what()
    except Exception as error:
        return reason(error, path, called)
    finally:
        tries.unlink(missing_ok=True)


def tries_of(path: Path) -> Path:
    """Returns the file that counts how often this worker has begun to look at something.

    All workers look at what is new, each with a count of its own.
    """
    worker = f"{socket.gethostname()}-{os.environ.get('JAXSTYLE_WEB_SLOT', '0')}"
    return path.with_name(f"{path.name}.tries-{hashlib.sha256(worker.encode()).hexdigest()[:8]}")


def reason(error: Exception, path: Path, called: str = "") -> str:
    """Returns what a visitor is told of an error: one line, without the folders of this machine.

    Args:
      error: what went wrong.
      path: the file or the folder that the line may name.
      called: what it is called instead.
    """
    if isinstance(error, Refusal):
        return error.message
    text = " ".join(spelled(error, lambda name: name).split())
    text = "".join(sign if sign.isprintable() else "?" for sign in text)  # a database takes no NUL
    if not isinstance(error, _USERS):
        _logger.warning("warning: %s: %s", type(error).__name__, text[:500])
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text or "ut of memory" in text:
            return "size: out of memory; give a smaller size"
        return f"unexpected {type(error).__name__}; the server's log has more"
    for name in (f"{path}/", f"{path}: ", str(path), f"{settings.DATA}/"):
        text = text.replace(name, called)
    return text[:500]


def tidy() -> None:
    """Removes what is too old, and files that belong to nothing any more."""
    limit = timezone.now() - datetime.timedelta(days=settings.LIMITS.expire_days)
    ended = (models.Job.DONE, models.Job.FAILED)
    models.Job.objects.filter(visitor__seen__lt=limit, created__lt=limit, state__in=ended).delete()
    models.Upload.objects.filter(visitor__seen__lt=limit, created__lt=limit).delete()
    gone = timezone.now() - datetime.timedelta(days=min(_EMPTY_DAYS, settings.LIMITS.expire_days))
    models.Visitor.objects.filter(seen__lt=gone, jobs=None, uploads=None).delete()
    _remove_unknown(models.jobs(), set(models.Job.objects.values_list("pk", flat=True)))
    _remove_unknown(models.uploads(), set(models.Upload.objects.values_list("pk", flat=True)))


def _remove_unknown(folder: Path, known: set[str]) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.stem not in known and time.time() - path.stat().st_mtime > _OLD_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
