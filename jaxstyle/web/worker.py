"""The worker: one process per device, the only kind that imports JAX.

It claims jobs and makes their pictures by the pipeline. Quick jobs are let in between the steps of
long ones, and a long one makes room for those of other visitors by its snapshot. A worker that is
killed leaves its claims behind, which its successor, or after a while any worker, takes up.
"""

import logging
import os
import shutil
import signal
import socket
import threading
import time
from pathlib import Path
from types import FrameType
from typing import IO

import jax
from django.conf import settings
from django.db import close_old_connections

from jaxstyle._common import kept, locks
from jaxstyle.web import models, painting, publish, queue, warming
from jaxstyle.web.environment import orphaned
from jaxstyle.web.reception import Reception, reason

_logger = logging.getLogger(__name__)
_PAUSE = 0.1  # between looks into an empty queue
_KEPT = 200  # jobs after which compiled programs are forgotten: sizes without end would add up
_QUIET = 20.0  # seconds without a job after which nobody is taken to wait for the next
_GRACE = 10.0  # seconds in which a run ends by itself
_BREATHS = 3  # renewals of a claim in the time that it holds


class Worker:
    """Makes pictures until it is told to end.

    Args:
      slot: tells the workers of a machine apart.
    """

    def __init__(self, slot: str):
        self.name = f"{socket.gethostname()[:80]}-{slot}"
        self.ending = False
        self._made = 0
        self._jobs: list[models.Job] = []
        self._watches: list[painting.Watch] = []
        self._ready: set[str] = set()
        self._tasks = warming.tasks()
        self._warming = False
        self._quiet_from = 0.0

    def run(self) -> None:
        """Takes up what an earlier worker of this name has left, and works until told to end."""
        publish.publish()
        queue.give_back_all(self.name)
        reception = Reception(lambda: self._warming)
        reception.start()
        while not self.ending:
            try:
                if self._take_one(quick=False):
                    if self._made % _KEPT == 0:
                        self._forget()
                elif not self._warm():
                    time.sleep(_PAUSE)
            except Exception as error:  # such as a database that is away for a moment
                _logger.warning("warning: %s", error)
                close_old_connections()
                time.sleep(1)
        reception.ending.set()
        reception.join()

    def end(self, *_: int | FrameType | None) -> None:
        """Ends the work at the next step, which its snapshot keeps."""
        self.ending = True
        for watch in list(self._watches):
            watch.ending = True

    def _take_one(self, *, quick: bool) -> bool:
        """Makes the picture of one job, if there is one; returns whether there was."""
        job = queue.claim(self.name, quick=quick)
        if job is None:
            return False
        if job.barren > settings.LIMITS.max_claims:
            queue.finish(
                job, models.Job.FAILED,
                message=f"ended its worker {settings.LIMITS.max_claims} times; try a smaller size",
            )  # fmt: skip
            return True
        self._jobs.append(job)
        self._made += 1
        try:
            painting.make(
                job, self._let_in if not job.quick else _nothing, self._watches, self._ready
            )
        except Exception as error:
            queue.finish(job, models.Job.FAILED, message=reason(error, job.folder))
        finally:
            self._jobs.remove(job)
            self._quiet_from = time.monotonic() + _QUIET
        if not models.Job.objects.filter(pk=job.pk).exists():  # deleted meanwhile
            shutil.rmtree(job.folder, ignore_errors=True)
        return True

    def _warm(self) -> bool:
        """Makes one thing ready for whoever comes next; returns whether there was any."""
        if time.monotonic() < self._quiet_from:
            return False
        task = next(self._tasks, None)
        if task is None:
            return False
        self._warming = True
        try:
            batch = task()
            if batch is not None:
                self._ready.add(painting.compiled(batch))
        except Exception as error:  # it is only slower without
            _logger.warning("warning: nothing was made ready: %s", error)
            self._tasks = iter(())
        finally:
            self._warming = False
        return True

    def _forget(self) -> None:
        """Lets go of compiled programs; those that are kept on the disk are soon back."""
        jax.clear_caches()  # type: ignore[no-untyped-call]
        kept.forget()
        self._ready.clear()

    def _let_in(self) -> None:
        """Makes the quick jobs that wait, between two steps of a long one."""
        while not self.ending and self._take_one(quick=True):
            pass

    def breathe(self) -> None:
        """Renews the claims while steps or compilations take long; ends with the supervisor."""
        while True:
            time.sleep(settings.LIMITS.lease_seconds / _BREATHS)
            if orphaned():
                self.end()
                time.sleep(_GRACE)
                os._exit(1)  # what takes so long goes on from its snapshot elsewhere
            try:
                for job in list(self._jobs):
                    queue.renew(job)
            except Exception as error:
                _logger.warning("warning: %s", error)
                close_old_connections()


def main(slot: str) -> int:
    """Runs a worker until it is interrupted; returns the exit status.

    Args:
      slot: tells the workers of a machine apart.
    """
    worker = Worker(slot)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, worker.end)
    # First of all: the supervisor may go while this waits for the lock of one before.
    threading.Thread(target=worker.breathe, name="heartbeat", daemon=True).start()
    with _mark(Path(settings.DATA) / f"worker-{worker.name}.lock") as file, locks.locked(file):
        worker.run()
    return 0


def _mark(path: Path) -> IO[str]:
    return path.open("a", encoding="utf-8")


def _nothing() -> None:
    """Lets nobody in: a quick job takes moments."""
