"""What paints the frames of a film: the methods of pictures, one frame after another.

Each is a `jaxstyle.video.painting.Painter`. One that `carries` is told what is known of a frame
from the pictures before. A network that takes the earlier picture is a painter of that kind: it
paints from `still.image`, `carry.image` and `carry.mask`, or, where `carry` is None, without them.
"""

from collections.abc import Callable
from typing import Protocol

import jax.numpy as jnp
import numpy as np

from jaxstyle._common import interrupts
from jaxstyle.errors import OptionError
from jaxstyle.feedforward.previous import Previous, nothing_before
from jaxstyle.optimization.descent import descend_resolved
from jaxstyle.pipeline.job import Job
from jaxstyle.pipeline.optimise import prepare, suited
from jaxstyle.pipeline.painting import Painting
from jaxstyle.pipeline.studio import Studio
from jaxstyle.pipeline.video_job import OPTIMISE, Film, FrameSources
from jaxstyle.video.carrying import Carry
from jaxstyle.video.flow import Pixels, Still
from jaxstyle.video.painting import go_on
from jaxstyle.video.reading import Bytes
from jaxstyle.video.writing import as_bytes


class FramePainter(Protocol):
    """Paints frames, and shows what was painted.

    Attributes:
      carries: whether it goes on from the pictures before.
    """

    carries: bool

    def __call__(self, still: Still, carry: Carry | None, begin: Pixels | None = None) -> Pixels:
        """Returns the picture of a frame; see `jaxstyle.video.painting.Painter`."""

    def show(self, still: Still, picture: Pixels) -> Bytes:
        """Returns what is seen of a picture: its colours are as the options ask."""


def make_painter(
    film: Film, studio: Studio, sources: FrameSources, told: Callable[[int], None]
) -> FramePainter:
    """Returns what paints a film.

    Args:
      film: the film.
      studio: reads what its jobs need.
      sources: those of the studio.
      told: is told of steps that were made.

    Raises:
      OptionError: if there is flow for a network that paints each frame by itself.
    """
    if film.method == OPTIMISE:
        return _Optimised(film, studio, sources, told)
    method = studio.suited(film.first)[0].method
    if isinstance(method, Painting) and method.takes_previous:
        return _GoingOn(film, studio, sources, told)
    if film.flow is not None:
        raise OptionError(
            "{} is for {} optimise, and for networks that were trained for video; leave it out",
            "flow", "method",
        )  # fmt: skip
    return _AtOnce(film, studio, sources, told)


class _OfJobs:
    """What painters have in common: a frame is a job, whose photograph is in memory."""

    def __init__(
        self, film: Film, studio: Studio, sources: FrameSources, told: Callable[[int], None]
    ):
        self._film, self._studio, self._sources, self._told = film, studio, sources, told

    def _job(self, still: Still, job: Job) -> Job:
        content = self._sources.hold(still, self._film.clip.path)
        return job._replace(content=content, reference=self._sources.reference)

    def show(self, still: Still, picture: Pixels) -> Bytes:
        """Returns what is seen of a picture."""
        job = self._job(still, self._film.later)
        shown: Bytes = as_bytes(self._studio.finish(job, jnp.asarray(picture)))
        return shown


class _Optimised(_OfJobs):
    carries = True

    def __call__(self, still: Still, carry: Carry | None, begin: Pixels | None = None) -> Pixels:
        alone = carry is None and begin is None
        job = self._job(still, self._film.first if alone else self._film.later)
        lane = prepare(self._studio, job)
        method, network = suited(self._studio, job)
        start, targets = go_on(lane.image, lane.targets, carry, self._film.weight, still.image)
        done = 0
        for progress in descend_resolved(
            start if begin is None else jnp.asarray(begin), network.params, targets,
            spec=method.spec, weights=lane.weights, solver=method.solver,
            learning_rate=lane.learning_rate, num_steps=method.num_steps, every=10,
        ):  # fmt: skip
            self._told(progress.step - done)
            done = progress.step
            interrupts.check()
        return np.asarray(targets.seen(progress.state.image))


class _AtOnce(_OfJobs):
    carries = False

    def __call__(self, still: Still, carry: Carry | None, begin: Pixels | None = None) -> Pixels:
        job = self._job(still, self._film.first)
        method = job.recipe.method
        program = method.program(job, self._studio.shape(job))
        *_, last = method.run(self._studio, program, [job], 1, 1)
        self._told(1)
        interrupts.check()
        return np.asarray(last.images[0])


class _GoingOn(_OfJobs):
    """Paints by a network that takes the picture before, as it is before it is laid over frames."""

    carries = True

    def __call__(self, still: Still, carry: Carry | None, begin: Pixels | None = None) -> Pixels:
        job = self._job(still, self._film.first)
        height, width, _ = still.image.shape
        known = nothing_before((height, width))
        if carry is not None:
            known = Previous(carry.image, carry.mask)
        picture = self._method(job).paint_next(self._studio, job, still.image, known)
        self._told(1)
        interrupts.check()
        return np.asarray(picture)

    def show(self, still: Still, picture: Pixels) -> Bytes:
        job = self._job(still, self._film.first)
        laid = self._method(job).lay_over(still.image, jnp.asarray(picture))
        shown: Bytes = as_bytes(self._studio.finish(job, laid))
        return shown

    def _method(self, job: Job) -> Painting:
        method = self._studio.suited(job)[0].method
        assert isinstance(method, Painting)
        return method
