"""From a job of the page to a picture: the pipeline's own job, sinks and run.

Nothing is made here in a way of its own. A job of the page becomes a job of the pipeline, and the
sinks tell the database what the pipeline reports.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

import jax
from django.conf import settings
from django.db import DatabaseError, close_old_connections

from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.image import io
from jaxstyle.optimization.memory import free_memory
from jaxstyle.pipeline import again
from jaxstyle.pipeline.again_python import python_lines
from jaxstyle.pipeline.job import Batch, Job, group, make_batches
from jaxstyle.pipeline.outputs import snapshot_of
from jaxstyle.pipeline.run import run_batch
from jaxstyle.pipeline.sinks import PictureFile, Sink, SnapshotFile
from jaxstyle.pipeline.studio import Studio
from jaxstyle.pipeline.track import Track
from jaxstyle.web import models, queue, room
from jaxstyle.web.materials import PICTURE, pipeline_job

_logger = logging.getLogger(__name__)
DEEP, JPEG = "picture-16.png", "picture.jpg"
FRAME, BEFORE = "frame.jpg", "before.jpg"
_FRAME_SECONDS = 0.8  # between pictures on the way: more often is more work than it shows
_ASK_SECONDS = 0.2  # between questions to the database
_FRAME_QUALITY, _QUALITY = 85, 95
_SNAPSHOT_STEPS = 10


class Stop(KeyboardInterrupt):
    """Ends a run between two steps; the pipeline keeps what there is, as for Ctrl-C."""


class Watch:
    """Follows a run: tells the visitor, renews the claim, and says when to end it.

    Attributes:
      why: why the run is to end: "stop" by the visitor, "pause" to let others have their turn or
        because the worker ends, "lost" if the claim is another's. Empty while it goes on.
    """

    every: int | None = None
    needed = False

    def __init__(
        self, job: models.Job, studio: Studio, aside: Callable[[], None], *, preparing: bool = False
    ):
        self.why, self._preparing = "", preparing
        self.ending = False
        self._job, self._studio, self._aside = job, studio, aside
        self._began = self._shown = self._asked = time.monotonic()
        self._frame = job.frame
        self._reports = 0
        self._timed = (0, self._began)

    def report(self, track: Track) -> None:
        """Shows the picture if it is time, lets quick jobs of others pass, and may end the run."""
        now = time.monotonic()
        self._reports += 1
        first = self._reports == 1
        if self._reports <= 2:  # what comes before the second has compiled, and says little
            self._timed = (track.step, now)
        if track.rows:  # a step was made, so there is a program for it
            self._preparing = False
        if track.step >= track.num_steps:
            return
        try:
            if (first or now - self._shown >= _FRAME_SECONDS) and track.finite:
                self._show(track)
            if first or now - self._asked >= _ASK_SECONDS:
                self._asked = now
                self._aside()
                self._decide(track, now)
        except DatabaseError as error:  # away for a moment; it is asked again at the next step
            _logger.warning("warning: %s", error)
            close_old_connections()
        if self.why:
            raise Stop

    def close(self, track: Track) -> None:
        """Leaves the end to those who write the picture."""

    def _show(self, track: Track) -> None:
        assert track.image is not None
        self._shown = time.monotonic()
        path = self._job.folder / FRAME
        image = self._studio.finish(track.job, track.image)
        io.save_image(path, image, quality=_FRAME_QUALITY)
        self._frame += 1
        begun_at, begun = self._timed
        done, left = track.step - begun_at, track.num_steps - track.step
        seconds = (self._shown - begun) / done * left if done else None
        held = queue.tell(
            self._job, step=track.step, steps=track.num_steps, frame=self._frame,
            seconds_left=seconds, preparing=self._preparing,
        )  # fmt: skip
        if not held:
            self.why = "lost"

    def _decide(self, track: Track, now: float) -> None:
        stopped = queue.renew(self._job)
        if stopped is None:
            self.why = "lost"
        elif stopped:
            self.why = "stop"
        elif self.ending or (
            now - self._began > settings.LIMITS.slice_seconds
            and track.progress is not None  # something to go on from
            and queue.others_wait(self._job)
        ):
            self.why = "pause"


class Downloads:
    """Writes what a visitor may take home: PNG with its settings, 16 bits, JPEG."""

    every: int | None = None
    needed = True

    def __init__(self, watch: Watch, studio: Studio):
        self._watch, self._studio = watch, studio
        self._picture = PictureFile(studio)

    def report(self, track: Track) -> None:
        """Waits for the end."""

    def close(self, track: Track) -> None:
        """Writes the last good image, unless the run goes on later or elsewhere."""
        if self._watch.why in ("pause", "lost") or not track.good_steps:
            return
        assert track.image is not None
        for name, encoding in ((DEEP, {"bit_depth": 16}), (JPEG, {"quality": _QUALITY})):
            path = track.job.output.with_name(name)
            self._studio.save(track.job, track.image, track.good_steps, path, **encoding)
        self._picture.close(track)


def prepare(job: models.Job) -> int:
    """Finds out whether a job can be made, and puts what it is made from into its folder.

    Returns:
      The most bytes that the folder will keep.

    Raises:
      UsageError, FileFormatError, OSError: if it cannot, with the one line that says why.
    """
    job.folder.mkdir(mode=0o700, exist_ok=True)
    made = pipeline_job(job)
    studio = Studio([made], download=False)
    limits = settings.LIMITS
    if made.recipe.num_steps > limits.max_steps:
        raise UsageError(
            f"steps: should be at most {limits.max_steps} here, got {made.recipe.num_steps}"
        )
    height, width = studio.shape(made)
    style_size = made.style_size or 0
    if max(height, width, style_size) > limits.max_size:
        raise UsageError(
            f"size: should be at most {limits.max_size} here, "
            f"got {max(height, width, style_size)}; give a smaller size"
        )
    studio.check(made)
    _check_memory(studio, made)
    if made.content is not None and not (job.folder / BEFORE).exists():
        before = studio.sources.load(made.content, min(max(height, width), 1600)).image
        io.save_image(job.folder / BEFORE, before, quality=_QUALITY)
    models.Job.objects.filter(pk=job.pk).update(steps=made.recipe.num_steps)
    return room.bytes_of((height, width), room.folder_bytes(job.folder))


def _check_memory(studio: Studio, made: Job) -> None:
    """Raises `UsageError` if a picture would not fit into the memory that is free."""
    [facts] = studio.plan([_batch(studio, made)])
    needed, free = facts["bytes"], free_memory(jax.local_devices()[0])
    room = None if free is None else settings.LIMITS.memory_share * free
    if room is not None and needed > room:
        raise UsageError(
            f"size: would take {needed / 2**20:.0f} MiB of memory, and {room / 2**20:.0f} are "
            "free; give a smaller size"
        )


def _batch(studio: Studio, made: Job) -> Batch:
    [(program, jobs)] = group(studio.shape, [made]).items()
    [batch] = make_batches(program, jobs, 1)
    return batch


def compiled(batch: Batch) -> str:
    """Returns what batches have in common that need the same compiled programs."""
    masked = "regions" in batch.jobs[0].recipe.options
    return f"{batch.program.compiled} {masked}"


def make(job: models.Job, aside: Callable[[], None], watches: list[Watch], ready: set[str]) -> None:
    """Makes the picture of a claimed job, from its last snapshot if there is one.

    Args:
      job: the job.
      aside: is called between steps, and may make quick jobs of others.
      watches: holds the job's `Watch` meanwhile, for whoever wants to end the run.
      ready: the programs that this process has run, by `compiled`; this one is added.

    Raises:
      Exception: what the pipeline raises.
    """
    made = pipeline_job(job)
    studio = Studio([made], download=False)
    batch, snapshot = _batch(studio, made), snapshot_of(made.output)
    preparing = compiled(batch) not in ready
    if preparing != job.preparing:
        queue.tell(job, preparing=preparing)
    watch = Watch(job, studio, aside, preparing=preparing)
    sinks: list[Sink] = [watch, Downloads(watch, studio)]
    if made.recipe.num_steps > _SNAPSHOT_STEPS:
        # Last, as it removes the snapshot once the picture is kept.
        sinks.append(SnapshotFile(snapshot, _SNAPSHOT_STEPS, lambda: studio.made_by(made)))
    watches.append(watch)
    try:
        [outcome] = run_batch(studio, batch, lambda _: sinks)
        track, failures = outcome.track, outcome.failures
    except KeyboardInterrupt as stop:
        outcomes = getattr(stop, "outcomes", [])
        if not outcomes or not watch.why:
            queue.give_back(job)
            raise
        track, failures = outcomes[0].track, outcomes[0].failures
    except (FileFormatError, UsageError):
        if not snapshot.exists():
            raise
        snapshot.unlink()  # of another release: it is begun again
        queue.give_back(job)
        return
    finally:
        watches.remove(watch)
    ready.add(compiled(batch))
    if watch.why == "pause":
        queue.give_back(job)
    elif watch.why != "lost":
        _finish(job, studio, track, [f.error for f in failures if f.sink.needed])


def _finish(job: models.Job, studio: Studio, track: Track, errors: list[Exception]) -> None:
    """Tells the visitor what has become of the job."""
    if errors:
        raise errors[0]
    if not track.kept:
        reason = (
            "stopped before the first step" if track.finite else
            "the picture is not finite; try smaller weights or another network"
        )  # fmt: skip
        queue.finish(job, models.Job.FAILED, message=reason)
        return
    height, width = studio.shape(track.job)
    snapshot_of(track.job.output).unlink(missing_ok=True)
    message = "" if track.finite else f"the loss was not finite after step {track.good_steps}"
    queue.finish(
        job, models.Job.DONE, step=track.good_steps, steps=track.num_steps, message=message,
        made={"width": width, "height": height, **_lines(job, studio, track)},
    )  # fmt: skip


def _lines(job: models.Job, studio: Studio, track: Track) -> dict[str, Any]:
    """Returns the settings of a picture, and the lines that make it again."""
    kept = io.read_settings(job.folder / PICTURE)
    line = again.command_line(kept, PICTURE)
    python = python_lines(studio, track.job, kept)
    _, network = studio.suited(track.job)
    return {"line": line, "python": python, "options": kept["options"], "network": network.name}
