"""Paints a film frame by frame, keeps what is painted, and writes the film at the end."""

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle._common import files, locks
from jaxstyle._common.progress import Steps
from jaxstyle.errors import UsageError
from jaxstyle.pipeline.job import Batch, Job, make_job
from jaxstyle.pipeline.metadata import settings_of
from jaxstyle.pipeline.studio import Studio
from jaxstyle.pipeline.video_job import Film, FrameSources
from jaxstyle.pipeline.video_painters import FramePainter, make_painter
from jaxstyle.pipeline.video_state import Finished, Kept, Reel, digest_of, folder_of, rounded
from jaxstyle.video.carrying import Carrier, Past
from jaxstyle.video.flow import Flow, Still
from jaxstyle.video.painting import blend, pass_order, shots_of
from jaxstyle.video.reading import Bytes, ahead, read_frames
from jaxstyle.video.writing import Sound, warn_of_sound, write_film

_TRIAL_FRAMES, _TRIAL_STEPS = 3, 3


@dataclasses.dataclass
class Tally:
    """What became of a film, and where the time went.

    Attributes:
      frames: how many there are.
      painted: how many pictures were made, in all passes of this run.
      shots: how many shots were found; 0 where nobody looked for them.
      seconds: of reading, flow, painting and writing, by name. Reading and keeping pictures go on
        beside the painting, so what counts is the waiting for them.
    """

    frames: int = 0
    painted: int = 0
    shots: int = 0
    seconds: dict[str, float] = dataclasses.field(
        default_factory=lambda: dict.fromkeys(("reading", "flow", "painting", "writing"), 0.0)
    )

    def timed(self, what: str, since: float) -> float:
        """Counts the time since a moment, and returns the moment it is."""
        now = time.monotonic()
        self.seconds[what] += now - since
        return now


def make_studio(film: Film, *, download: bool) -> tuple[Studio, FrameSources]:
    """Returns what reads the pictures of a film and its network, and has looked at them.

    Raises:
      UsageError: if a picture is too small, or an option does not fit the network.
      OSError, FileFormatError: if something cannot be read.
    """
    sources = FrameSources(film.shape)
    first = as_still(1, next(read_frames(film.clip, film.span)).image)
    # It stays: paintings are recoloured after it, wherever a film goes on.
    job = film.first._replace(content=sources.hold(first, film.clip.path))
    studio = Studio([job], download=download, sources=sources)
    studio.check(job)
    return studio, sources


def settings_of_film(film: Film, studio: Studio) -> dict[str, Any]:
    """Returns what has to be the same for a film to go on."""
    recipe, network = studio.suited(film.first)
    later, _ = studio.suited(film.later)
    read = [film.clip.path, *film.first.files]
    if film.flow is not None:
        read.append(film.flow)
    return {
        "options": {name: str(value) for name, value in sorted(film.given.items())},
        "recipe": settings_of(recipe, None, film.first.style, network)["options"],
        "network": {"name": network.name, "weights": network.metadata.get("weights", "")},
        "steps": [recipe.num_steps, later.num_steps],
        "files": {str(path): digest_of(path) for path in read},
    }


class Painting:
    """A film on its way.

    Args:
      film: the film.
      painter: paints its frames.
      flow: where points move to; None for a painter that does not go on from other frames.
      reel: keeps what is painted.
      bar: counts steps.

    Attributes:
      tally: what became of it.
      done: frames that are painted in this pass.
    """

    def __init__(
        self, film: Film, painter: FramePainter, flow: Flow | None, reel: Reel, bar: Steps
    ):
        self.tally = Tally()
        self.done = 0
        self._film, self._reel, self._bar = film, reel, bar
        self._painter, self._flow = painter, flow
        self._times: list[Fraction] = []
        self._waiting: Future[None] | None = None

    def run(self, preview: Callable[[], None] = lambda: None, every: int | None = None) -> None:
        """Paints what is not painted yet, and finishes each frame in the last pass.

        Args:
          preview: is called whenever some more frames are finished.
          every: how many; None for never.
        """
        with ThreadPoolExecutor(1) as writer:
            starts = self._first_pass(writer, preview, every)
            self._wait()
            for number in range(2, self._film.passes + 1):
                for shot in shots_of(starts):
                    self._further_pass(pass_order(shot, number), number, writer)
                self._wait()
        self.tally.frames = len(starts)
        self.tally.shots = len(set(starts)) if self._flow else 0

    def frames(self) -> Finished:
        """Returns the finished frames with their times."""
        return Finished(self._reel, self._times)

    def _first_pass(
        self, writer: ThreadPoolExecutor, preview: Callable[[], None], every: int | None
    ) -> list[int]:
        """Paints the film from its beginning; returns where the shot of each frame begins."""
        film, reel, last = self._film, self._reel, self._film.passes == 1
        before = reel.count_shown() if last else reel.count_kept()
        self.done = before
        back = max(film.long_term)
        recent: deque[Still] = deque(maxlen=back)
        carrier: Carrier | None = None
        starts: list[int] = []
        since = time.monotonic()
        for number, (moment, image) in enumerate(ahead(read_frames(film.clip, film.span)), 1):
            still = as_still(number, image)
            self._times.append(moment)
            since = self.tally.timed("reading", since)
            if number <= before:
                recent.append(still)
                known = reel.reached(number) > 0
                starts.append(reel.shot(number) if known else (starts or [1])[-1])
                self._bar.update(self._steps_of(number, starts[-1]))
                continue
            if self._flow is None:
                picture = rounded(self._painter(still, None))
                starts.append(1)
            else:
                carrier = carrier or self._go_on(self._flow, recent)
                carry = carrier.carry(still)
                since = self.tally.timed("flow", since)
                picture = rounded(self._painter(still, carry))
                carrier.add(still, picture)
                starts.append(carrier.shot)
            shown = self._painter.show(still, picture) if last else None
            since = self.tally.timed("painting", since)
            kept = None if self._flow is None else Kept(picture, starts[-1])
            self._keep(writer, number, 1, kept, shown, None if last else image)
            if last and number - back - 1 not in starts:
                # No frame looks at it any more, whichever of the last two is on the disk. Those
                # that shots begin with tell of the shots.
                reel.forget(number - back - 1, 1)
            self.done = number
            self.tally.painted += 1
            if every is not None and last and number % every == 0:
                self._wait()
                preview()
            since = self.tally.timed("writing", since)
        return starts

    def _further_pass(self, order: range, number: int, writer: ThreadPoolExecutor) -> None:
        """Goes over a shot once more, where that is not done yet."""
        reel, last = self._reel, number == self._film.passes
        assert self._flow is not None
        carrier = Carrier(self._flow, (1,))
        before: int | None = None  # the frame before, where a run before this one painted it
        for frame in order:
            if reel.has_shown(frame) if last else reel.reached(frame) >= number:
                before = frame
                self._bar.update(self._film.later.recipe.num_steps)
                continue
            if before is not None:
                known = reel.kept(before, number).picture
                carrier.add(as_still(before, reel.photograph(before)), known)
                before = None
            since = time.monotonic()
            still = as_still(frame, reel.photograph(frame))
            own, shot = reel.kept(frame, number - 1)
            since = self.tally.timed("reading", since)
            carry = carrier.carry(still)
            since = self.tally.timed("flow", since)
            begin = own if carry is None else np.asarray(blend(own, carry))
            picture = rounded(self._painter(still, carry, begin))
            carrier.add(still, picture)
            shown = self._painter.show(still, picture) if last else None
            self.tally.timed("painting", since)
            self._keep(writer, frame, number, Kept(picture, shot), shown, None)
            self.tally.painted += 1

    def _go_on(self, flow: Flow, recent: Sequence[Still]) -> Carrier:
        """Returns what remembers the pictures of the shot before the next frame."""
        if not recent:
            return Carrier(flow, self._film.long_term)
        shot = self._reel.kept(recent[-1].number, 1).shot
        past = [
            Past(still, self._reel.kept(still.number, 1).picture)
            for still in recent
            if still.number >= shot
        ]
        return Carrier(flow, self._film.long_term, past, shot)

    def _steps_of(self, number: int, shot: int) -> int:
        """Returns how many steps a frame took that was painted before."""
        job = self._film.first if number == shot else self._film.later
        return job.recipe.num_steps

    def _keep(
        self,
        writer: ThreadPoolExecutor,
        frame: int,
        number: int,
        kept: Kept | None,
        shown: Bytes | None,
        photograph: Bytes | None,
    ) -> None:
        """Lets another thread write what belongs to a frame; what says that it is done, last."""

        def write() -> None:
            if photograph is not None:
                self._reel.keep_photograph(frame, photograph)
            if kept is not None:
                self._reel.keep(frame, number, kept)
            if shown is not None:
                self._reel.show(frame, shown)
            if number > 1:  # nobody looks at the pass before any more
                self._reel.forget(frame, number - 1)

        self._wait()
        self._waiting = writer.submit(write)

    def _wait(self) -> None:
        """Waits until all is written that was given to the other thread."""
        if self._waiting is not None:
            self._waiting.result()
            self._waiting = None


def as_still(number: int, image: Bytes) -> Still:
    """Returns a frame as painters take it."""
    return Still(number, np.divide(image, np.float32(255), dtype=np.float32))


def paint_film(
    film: Film, *, download: bool = True, quiet: bool = True, every: int | None = None
) -> Tally:
    """Paints a film, and writes it; goes on where a run before was stopped.

    Args:
      film: the film.
      download: whether a network may be downloaded.
      quiet: whether no progress is shown.
      every: frames between previews, films of what is there so far; None for none.

    Returns:
      What became of it.

    Raises:
      KeyboardInterrupt: on Ctrl-C; it says how to go on.
      UsageError, OSError, FileFormatError: if something cannot be right, read or written. What is
        painted stays.
    """
    studio, sources = make_studio(film, download=download)
    bar = Steps(total_steps(film), film.output.name, quiet=quiet)
    painter = make_painter(film, studio, sources, bar.update)
    flow = film.find_flow() if painter.carries else None
    files.remove_leftovers([film.output.parent])
    reel = Reel(folder_of(film.output), settings_of_film(film, studio))
    warn_of_sound(film.output, film.clip)
    painting = Painting(film, painter, flow, reel, bar)

    def preview() -> None:
        write_film(preview_of(film.output), painting.frames(), Fraction(0))

    with locks.held(reel.folder) as mine:
        if not mine:
            raise UsageError(
                f"{reel.folder}: another run paints this film; wait for it, or name another output"
            )
        try:
            with bar:
                painting.run(preview, every)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"interrupted; {reel.folder} holds {painting.done} of about {film.count} frames, "
                "and the same command goes on"
            ) from None
        since = time.monotonic()
        end = film.span.end or film.clip.duration
        sound = Sound(film.clip, film.span.start, end)
        write_film(film.output, painting.frames(), film.duration, sound)
        painting.tally.timed("writing", since)
        reel.remove()
    return painting.tally


def preview_of(output: Path) -> Path:
    """Returns the file of the film so far.

    Example:
      >>> preview_of(Path("out.mp4")).name
      'out.preview.mp4'
    """
    return output.with_name(f"{output.stem}.preview{output.suffix}")


def total_steps(film: Film) -> int:
    """Returns how many steps a film takes, if it is one shot."""
    first, later = film.first.recipe.num_steps, film.later.recipe.num_steps
    return first + (film.count * film.passes - 1) * later


def plan_film(film: Film, *, download: bool = True, exact: bool = False) -> dict[str, Any]:
    """Returns what a film comes to: frames, memory, and the time that three frames tell.

    Args:
      film: the film.
      download: whether a network may be downloaded.
      exact: whether to ask the compiler for the memory, in place of a formula.
    """
    studio, sources = make_studio(film, download=download)
    trial = dataclasses.replace(film, first=_brief(film.first), later=_brief(film.later))
    steps = 0

    def told(count: int) -> None:
        nonlocal steps
        steps += count

    painter = make_painter(trial, studio, sources, told)
    carrier = Carrier(film.find_flow(), film.long_term) if painter.carries else None
    flow = painting = 0.0
    done = 0
    for number, (_, image) in enumerate(read_frames(film.clip, film.span), 1):
        still, begun, steps = as_still(number, image), time.monotonic(), 0
        carry = carrier.carry(still) if carrier else None
        found = time.monotonic()
        picture = painter(still, carry)
        # The newest tells most: the first ones compile.
        flow, painting, done = found - begun, time.monotonic() - found, max(steps, 1)
        if carrier:
            carrier.add(still, picture)
        if number == _TRIAL_FRAMES:
            break
    job = film.first._replace(content=sources.hold(still, film.clip.path))
    program = job.recipe.method.program(job, film.shape)
    [memory] = studio.plan([Batch(program, [job], 1)], exact=exact)
    frames = film.count * film.passes
    # Of those that one looks at in the long run.
    seconds = total_steps(film) * painting / done + frames * flow * len(film.long_term)
    return {
        "frames": film.count,
        "width": film.shape[1],
        "height": film.shape[0],
        "passes": film.passes,
        "network": memory["network"],
        "bytes": memory["bytes"],
        "seconds": seconds,
    }


def _brief(job: Job) -> Job:
    """Returns a job that makes a few steps alone, if it makes steps."""
    if job.recipe.command != "stylize":
        return job
    options = {name: job.recipe.options[name] for name in job.recipe.given}
    options["steps"] = _TRIAL_STEPS
    return make_job("stylize", job.content, job.style, job.output, options)
