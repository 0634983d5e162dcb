"""Sinks: what becomes of the reports of a batch. Pictures, traces, films, snapshots, progress.

The ways in differ by where their jobs come from and which sinks they attach. A sink that fails is
dropped and named; it costs neither the picture nor the other sinks their work.
"""

import errno
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from jax import Array

from jaxstyle._common import interrupts
from jaxstyle._common.progress import Steps
from jaxstyle.image.animation import Animation
from jaxstyle.optimization.descent import Progress
from jaxstyle.pipeline.method import Forms
from jaxstyle.pipeline.nearness import in_percent, shares_gone
from jaxstyle.pipeline.outputs import picture_on_the_way
from jaxstyle.pipeline.snapshot import load_snapshot, save_snapshot
from jaxstyle.pipeline.studio import Studio
from jaxstyle.pipeline.track import Track


class Sink(Protocol):
    """Takes the reports of one job's picture.

    Attributes:
      every: steps between the reports that it needs; None takes them as they come.
      needed: whether the run fails without it. Of any other sink that fails, a warning says so.
    """

    every: int | None
    needed: bool

    def report(self, track: Track) -> None:
        """Is told of the start, and whenever some steps are done."""

    def close(self, track: Track) -> None:
        """Is told of the end, early or not, after at least one report of steps."""


class ProgressBar:
    """Counts the steps of a picture on a progress bar, which several pictures may share."""

    every: int | None = None
    needed = False

    def __init__(self, bar: Steps):
        self._bar, self._shown = bar, 0

    def report(self, track: Track) -> None:
        """Moves the bar on, and shows how far the picture is."""
        shares = shares_gone(track) if track.rows and track.judged else {}
        # The first says most, and a bar of 80 columns has no room for two.
        first = dict(itertools.islice(shares.items(), 1))
        self._bar.update(track.step - self._shown, in_percent(first))
        self._shown = track.step

    def close(self, track: Track) -> None:
        """Leaves the bar to whoever opened it."""


class PictureFile:
    """Writes the picture at the end."""

    every: int | None = None
    needed = True

    def __init__(self, studio: Studio, **encoding: int):
        self._studio, self._encoding = studio, encoding

    def report(self, track: Track) -> None:
        """Waits for the end."""

    def close(self, track: Track) -> None:
        """Writes the last good image, if a step was good."""
        if track.good_steps:
            assert track.image is not None
            job = track.job
            with interrupts.held():  # so that it is known whether the file holds this picture
                self._studio.save(job, track.image, track.good_steps, job.output, **self._encoding)
                track.kept = True


class PicturesOnTheWay:
    """Writes the picture every so many steps too, to `out-000050.png` beside `out.png`."""

    needed = False

    def __init__(self, studio: Studio, every: int, **encoding: int):
        self.every: int | None = every
        self._studio, self._often, self._encoding = studio, every, encoding

    def report(self, track: Track) -> None:
        """Writes the picture if it is due, and not the last one."""
        due = track.step % self._often == 0 and 0 < track.step < track.num_steps
        if due and track.finite:
            path = picture_on_the_way(track.job.output, track.step)
            assert track.image is not None
            self._studio.save(track.job, track.image, track.step, path, **self._encoding)
            _leave_room(path, 2 * path.stat().st_size)  # later pictures may take more

    def close(self, track: Track) -> None:
        """Leaves the last picture to `PictureFile`."""


class TraceFile:
    """Writes the loss terms of every step at the end."""

    every: int | None = None
    needed = False

    def __init__(self, path: Path):
        self._path = path

    def report(self, track: Track) -> None:
        """Waits for the end."""

    def close(self, track: Track) -> None:
        """Writes the terms up to the last good image."""
        track.write_trace(self._path)


class WhenDone:
    """Passes the end on to another sink if the picture is done, or no step is left that helps.

    A picture that was interrupted then leaves no file behind.
    """

    def __init__(self, sink: Sink):
        self._sink, self.every, self.needed = sink, sink.every, sink.needed

    def report(self, track: Track) -> None:
        """Passes the report on."""
        self._sink.report(track)

    def close(self, track: Track) -> None:
        """Passes the end on, or not."""
        if track.step == track.num_steps or not track.finite:
            self._sink.close(track)


class Film:
    """Keeps pictures on the way, and writes them as a film at the end.

    Args:
      studio: finishes the pictures.
      path: the film's file or folder.
      every: steps between pictures.
      animation: keeps them.
    """

    needed = False

    def __init__(self, studio: Studio, path: Path, every: int, animation: Animation):
        self.every: int | None = every
        self._studio, self._path, self._often = studio, path, every
        self._animation = animation

    def report(self, track: Track) -> None:
        """Keeps the picture if it is due."""
        if track.step % self._often == 0 and track.finite:
            self._keep(track, track.step)

    def close(self, track: Track) -> None:
        """Adds the last good image, and writes the film, if a step was good."""
        if track.good_steps:
            self._keep(track, track.good_steps)
            self._animation.write(self._path)

    def _keep(self, track: Track, step: int) -> None:
        assert track.image is not None
        self._animation(step, self._studio.finish(track.job, track.image))


class SnapshotFile:
    """Keeps a snapshot of the optimisation, from which a killed run goes on.

    Args:
      path: the file.
      often: steps between snapshots.
      settings: what has to be the same for a run to go on, given the steps between reports.
    """

    needed = False

    def __init__(self, path: Path, often: int, settings: Callable[[], dict[str, Any]]):
        self.every: int | None = often
        self._path, self._often, self._settings = path, often, settings

    def load(
        self,
        track: Track,
        every: int,
        forms: Forms,
        picture: Callable[[Array], Array] = lambda image: image,
    ) -> Progress | None:
        """Returns where to go on, or None where there is no snapshot.

        Args:
          track: takes over what the snapshot knows.
          every: steps between reports.
          forms: of what the method carries.
          picture: returns the picture of the image that it carries.

        Raises:
          FileFormatError: if the file is damaged.
          UsageError: if other settings made it.
        """
        # Other chunks of steps, or other pictures under the same names, would give other bits.
        made_by = self._settings() | {"steps between reports": every}
        self._settings = lambda: made_by
        if not self._path.exists():
            return None
        progress, rows = load_snapshot(self._path, forms, made_by, track.num_steps)
        track.go_on(progress, rows, picture(progress.state.image))
        return progress

    def report(self, track: Track) -> None:
        """Writes a snapshot if it is due."""
        due = track.step % self._often == 0 and 0 < track.step < track.num_steps
        if due and self._save(track):
            _leave_room(self._path, self._path.stat().st_size)  # the picture's is less

    def close(self, track: Track) -> None:
        """Writes a snapshot of a run that ends early, and removes it once the picture is kept."""
        if track.step < track.num_steps:
            self._save(track)
        elif track.finite and track.kept:
            self._path.unlink(missing_ok=True)

    def _save(self, track: Track) -> bool:
        """Writes a snapshot, if there is something to go on from."""
        if track.progress is None or not track.finite:
            return False
        rows = track.rows[: track.step + 1]
        save_snapshot(self._path, track.progress, rows, self._settings())
        return True


def _leave_room(path: Path, room: int) -> None:
    """Removes a file written on the way if it leaves the picture too little room on the disk.

    Raises:
      OSError: if it had to.
    """
    if shutil.disk_usage(path.parent).free < room:
        path.unlink()
        error = OSError(f"{path}: would leave too little room for the picture; make room")
        error.errno = errno.ENOSPC
        raise error
