"""The queue: jobs are claimed by one atomic UPDATE, and a claim ends when its worker falls silent.

A table and six statements are all of it. What the task libraries for Django lack is what matters
here: leases that a living worker renews, turns among visitors, and work that goes on from where a
killed worker left it. Nothing here needs more than a database that updates a row atomically, which
all that Django knows do.
"""

import datetime
from typing import Any

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from jaxstyle.web import room
from jaxstyle.web.models import Job, Visitor, new_name

_TRIES = 5  # jobs that other workers may be quicker to claim


def claim(worker: str, *, quick: bool = False) -> Job | None:
    """Claims the next job for a worker: quick ones first, and of these whose turn it is.

    Args:
      worker: its name.
      quick: whether only quick jobs will do.

    Returns:
      The job, or None if there is nothing to do.
    """
    for _ in range(_TRIES):
        free = _free()
        waiting = Job.objects.filter(free, **({"quick": True} if quick else {}))
        job = waiting.order_by(
            "-quick", F("visitor__served").asc(nulls_first=True), "created"
        ).first()
        if job is None:
            return None
        token = new_name()
        won = Job.objects.filter(free, pk=job.pk).update(
            state=Job.RUNNING,
            claim=token,
            worker=worker,
            lease=_lease(),
            barren=F("barren") + 1,
            version=F("version") + 1,
        )
        if won:
            Visitor.objects.filter(pk=job.visitor_id).update(served=timezone.now())
            job.refresh_from_db()
            return job
    return None


def others_wait(job: Job) -> bool:
    """Tells whether a job of another visitor waits."""
    return Job.objects.filter(_free()).exclude(visitor_id=job.visitor_id).exists()


def renew(job: Job) -> bool | None:
    """Renews a claim; returns whether the job is to stop, or None if the claim is lost."""
    if not _own(job).update(lease=_lease()):
        return None
    stop: bool | None = Job.objects.filter(pk=job.pk).values_list("stop", flat=True).first()
    return stop


def tell(job: Job, **facts: Any) -> bool:
    """Tells the visitor of a claimed job something; returns whether the claim still holds."""
    if facts.get("step"):
        facts["barren"] = 0
    return bool(_own(job).update(version=F("version") + 1, lease=_lease(), **facts))


def finish(job: Job, state: str, **facts: Any) -> bool:
    """Ends a claimed job once and for all; returns whether the claim still held."""
    kept = room.folder_bytes(job.folder)
    return tell(
        job,
        state=state,
        claim="",
        seconds_left=None,
        preparing=False,
        ended=timezone.now(),
        bytes=kept,
        **facts,
    )  # of two workers only the one with the claim


def give_back(job: Job) -> bool:
    """Gives a job back, to go on with later; returns whether the claim still held."""
    return tell(job, state=Job.QUEUED, claim="", seconds_left=None, preparing=False, barren=0)


def give_back_all(worker: str) -> int:
    """Gives back what an earlier process of a worker's name has left, without waiting for leases.

    Returns:
      How many jobs.
    """
    left = Job.objects.filter(state=Job.RUNNING, worker=worker)
    return left.update(state=Job.QUEUED, claim="", version=F("version") + 1)


def stop(job: Job) -> None:
    """Asks for no more steps; a job that has not begun ends at once."""
    waiting = Job.objects.filter(pk=job.pk, state__in=Job.WAITING)
    if not waiting.filter(claim="", step=0, frame=0).update(
        state=Job.FAILED,
        stop=True,
        message="stopped before it began",
        bytes=room.folder_bytes(job.folder),
        version=F("version") + 1,
        ended=timezone.now(),
    ):
        waiting.update(stop=True, version=F("version") + 1)


def _free() -> Q:
    return Q(state=Job.QUEUED) | Q(state=Job.RUNNING, lease__lt=timezone.now())


def _own(job: Job) -> Any:
    return Job.objects.filter(pk=job.pk, claim=job.claim, state=Job.RUNNING)


def _lease() -> datetime.datetime:
    return timezone.now() + datetime.timedelta(seconds=settings.LIMITS.lease_seconds)
