"""Runs batches of jobs and tells sinks of them: the one place where pictures are made.

The command line, sweeps and the web page all come through here. Whatever ends a run early, each
picture that has a good step is handed to its sinks first.
"""

import contextlib
import functools
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax

from jaxstyle._common import interrupts
from jaxstyle.pipeline.job import Batch, Job
from jaxstyle.pipeline.method import Reports, Resume
from jaxstyle.pipeline.sinks import Sink, SnapshotFile
from jaxstyle.pipeline.studio import Studio
from jaxstyle.pipeline.track import Track

_logger = logging.getLogger(__name__)


class Failure(NamedTuple):
    """A sink that failed.

    Attributes:
      sink: the sink; it was dropped.
      error: why.
    """

    sink: Sink
    error: Exception


class Outcome(NamedTuple):
    """What has become of a job.

    Attributes:
      job: the job.
      track: what is known of its picture.
      seconds: its share of the time that the batch took.
      error: why it could not be made, if it could not.
      failures: the sinks that failed on the way.
    """

    job: Job
    track: Track
    seconds: float
    error: Exception | None
    failures: list[Failure]


class Interrupted(KeyboardInterrupt):
    """A run was interrupted; `outcomes` says what its pictures came to."""

    def __init__(self, outcomes: list[Outcome]):
        super().__init__()
        self.outcomes = outcomes


def interrupted_outcomes(error: BaseException | None) -> list[Outcome]:
    """Returns the outcomes of a run that was interrupted, perhaps again while it was ending."""
    while error is not None and not isinstance(error, Interrupted):
        error = error.__context__
    return [] if error is None else error.outcomes


def run_batch(
    studio: Studio,
    batch: Batch,
    sinks_of: Callable[[Job], Sequence[Sink]],
    *,
    tolerant: bool = False,
    closing: Callable[[Callable[[], None]], object] = lambda close: close(),
) -> list[Outcome]:
    """Makes the pictures of a batch, until its last step or until no loss is finite.

    Args:
      studio: reads what the jobs need.
      batch: the jobs and their program.
      sinks_of: returns the sinks of a job.
      tolerant: whether a job that cannot be prepared leaves the others to be made. By default its
        error is raised.
      closing: is given what tells the sinks of the end, once every step is done. By default they
        are told at once; another thread may also do it, and the outcomes are complete then.

    Returns:
      The outcome of each job.

    Raises:
      Interrupted: on Ctrl-C, after the sinks were given what there was.
      Exception: what the method raises, after the sinks were given what there was. Its notes say
        which pictures were kept.
    """
    program, jobs, width = batch
    tracks = [Track(job, program.num_steps) for job in jobs]
    watched = [
        _Watched(track, list(sinks_of(job))) for track, job in zip(tracks, jobs, strict=True)
    ]
    errors: dict[int, Exception] = {}
    every = _steps_between_reports(sink for each in watched for sink in each.sinks)
    begin = time.monotonic()

    def outcomes() -> list[Outcome]:
        seconds = (time.monotonic() - begin) / len(jobs)
        return [
            Outcome(job, each.track, seconds, errors.get(i), each.failures)
            for i, (job, each) in enumerate(zip(jobs, watched, strict=True))
        ]

    try:
        for reports in jobs[0].recipe.method.run(
            studio,
            program,
            jobs,
            width,
            every,
            resume=_resume(watched, every),
            on_error=errors.__setitem__ if tolerant else None,
            able=lambda i: tracks[i].finite,
        ):
            if not _tell(watched, reports):
                break
            interrupts.check()
        closing(lambda: _close(watched))
    except KeyboardInterrupt:
        with contextlib.suppress(KeyboardInterrupt):  # a second one leaves out what is not written
            _close(watched)
        raise Interrupted(outcomes()) from None
    except Exception as error:
        _close(watched)
        for track in tracks:
            if track.kept:
                steps = f"step {track.good_steps} of {track.num_steps}"
                error.add_note(f"{track.job.output} holds {steps}")
        raise
    return outcomes()


class _Watched:
    """A track and the sinks that still work."""

    def __init__(self, track: Track, sinks: list[Sink]):
        self.track, self.sinks = track, sinks
        self.failures: list[Failure] = []

    def report(self) -> None:
        """Tells every sink of a report."""
        self._tell(lambda sink: sink.report(self.track))

    def close(self) -> None:
        """Tells every sink of the end, if there was a report of steps."""
        if self.track.rows:
            self._tell(lambda sink: sink.close(self.track))

    def _tell(self, what: Callable[[Sink], None]) -> None:
        """Tells the sinks something, and drops those that fail.

        A run of hours should say at once that it keeps no snapshots.
        """
        for sink in list(self.sinks):
            try:
                what(sink)
            except Exception as error:
                self.sinks.remove(sink)
                self.failures.append(Failure(sink, error))
                if not sink.needed:
                    _logger.warning("warning: %s; the picture goes on without it", error)


def _tell(watched: list[_Watched], reports: Reports) -> bool:
    """Hands out reports; returns whether any picture is still on its way."""
    for i, image in reports.images.items():
        track = watched[i].track
        if reports.info:
            track.take(reports.step, image, reports.info[i], reports.progress)
        else:
            track.start(image)
        watched[i].report()
    return any(watched[i].track.finite for i in reports.images)


def _close(watched: list[_Watched]) -> None:
    for each in watched:
        each.close()


def _steps_between_reports(sinks: Iterable[Sink]) -> int:
    # On a CPU a step takes long enough to be worth a report each.
    every = 1 if jax.default_backend() == "cpu" else 10
    return math.gcd(every, *(sink.every for sink in sinks if sink.every is not None))


def _resume(watched: list[_Watched], every: int) -> Resume | None:
    """Returns how to find where a job goes on, if one keeps snapshots."""
    for each in watched:
        for sink in each.sinks:
            if isinstance(sink, SnapshotFile):
                return functools.partial(sink.load, each.track, every)
    return None
