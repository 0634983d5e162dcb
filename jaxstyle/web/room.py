"""Room: how much may wait and be kept, and the one place where some of it is taken.

Who takes room holds a lock of the database from the look to the taking, so that of many who ask at
once none gets more than there is. On SQLite every transaction is that lock; elsewhere it is a row.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum

from jaxstyle.web.models import Gate, Job, Upload, Visitor
from jaxstyle.web.refusals import Refusal

_MB = 1e6
# Bytes a pixel of all that is written of a picture: PNG with 8 and 16 bits and an alpha channel,
# two JPEGs that are never larger than their pixels. And what they hold besides.
_PER_PIXEL, _BESIDE = 4 + 8 + 2 * 3, 2**16


def take_for_jobs(visitor: Visitor, jobs: Sequence[Job]) -> None:
    """Lets some new jobs into the queue, all or none.

    Raises:
      Refusal: if it has no room for them.
    """
    limits, count = settings.LIMITS, len(jobs)
    with _alone():
        waiting = Job.objects.filter(state__in=Job.WAITING)
        if waiting.filter(visitor=visitor).count() + count > max(limits.max_queue_each, count):
            raise Refusal(
                429, f"{limits.max_queue_each} pictures of yours wait already; stop one, or wait"
            )
        if waiting.count() + count > limits.max_queue:
            raise Refusal(503, "too many pictures wait here; try again in some minutes")
        _check_disk(visitor, 0)
        Job.objects.bulk_create(jobs)


def take_for_upload(upload: Upload) -> None:
    """Keeps an upload whose file is written.

    Raises:
      Refusal: if there is no room for it.
    """
    with _alone():
        _check_disk(upload.visitor, upload.bytes)
        upload.save(force_insert=True)


def accept(job: Job, size: int, *, preparing: bool = False) -> bool:
    """Lets a new job wait for its turn, with room for all that it will write.

    Args:
      job: the job.
      size: from `bytes_of`.
      preparing: whether it waits for its worker to be ready, and not for other jobs.

    Returns:
      Whether it was still there, and new.

    Raises:
      Refusal: if there is no room for it.
    """
    with _alone():
        _check_disk(job.visitor, size)
        new = Job.objects.filter(pk=job.pk, state=Job.NEW)
        facts = {"state": Job.QUEUED, "bytes": size, "preparing": preparing}
        return bool(new.update(version=F("version") + 1, **facts))


def bytes_of(shape: tuple[int, int], sources: int) -> int:
    """Returns the most bytes that the folder of a job will keep.

    Args:
      shape: height and width of the picture.
      sources: the bytes of what it is made from.
    """
    height, width = shape
    return sources + _PER_PIXEL * height * width + _BESIDE


def folder_bytes(folder: Path) -> int:
    """Returns how much the files of a folder hold."""
    total = 0
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat().st_size
    return total


def check(visitor: Visitor) -> None:
    """Raises `Refusal` if there is no room for anything more; another may still take what is."""
    _check_disk(visitor, 0)


def _check_disk(visitor: Visitor, size: int) -> None:
    limits = settings.LIMITS
    own, all_others = (visitor.uploads, visitor.jobs), (Upload.objects, Job.objects)
    if _full(own, size, limits.max_disk_each_mb):
        raise Refusal(507, f"your pictures fill {limits.max_disk_each_mb:g} MB; delete some first")
    if _full(all_others, size, limits.max_disk_mb):
        raise Refusal(507, "the disk of this page is full; try again another day")


def _full(kept: Sequence[Any], size: int, most: float) -> bool:
    total = sum(rows.aggregate(total=Sum("bytes"))["total"] or 0 for rows in kept)
    return total + size > most * _MB


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keeps all others who take room waiting."""
    with transaction.atomic():
        Gate.objects.select_for_update().get_or_create(id=1)
        yield
