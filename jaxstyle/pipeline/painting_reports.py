"""What is reported of a picture that is painted at once, and perhaps polished."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxstyle.pipeline.method import Reports, Resume
from jaxstyle.pipeline.polish import Polish
from jaxstyle.solvers import Info

Job = TypeVar("Job")


def _unjudged(finite: bool) -> Info:
    """Returns the `Info` of a start and of a pass that no loss has judged."""
    zeros: Any = np.zeros(2, np.float32)
    return Info(zeros, {}, zeros.astype(np.int32), cast(Array, np.array([True, finite])))


def once(i: int, image: Array, finish: Callable[[Array], Array]) -> Iterator[Reports]:
    """Yields the report of a picture that is done at once."""
    finite = bool(np.isfinite(np.asarray(image)).all())
    yield Reports(1, {i: finish(image)}, {i: _unjudged(finite)})


def one_by_one(
    jobs: Sequence[Job],
    reports_of: Callable[[int, Job], Iterator[Reports]],
    on_error: Callable[[int, Exception], None] | None,
) -> Iterator[Reports]:
    """Yields the reports of pictures that are made one after another.

    Args:
      jobs: whose pictures.
      reports_of: begins the picture of a job, given its place too.
      on_error: is told of a picture that could not be begun, which stops no other; None raises.
    """
    for i, job in enumerate(jobs):
        try:
            reports = reports_of(i, job)
            first = next(reports)
        except Exception as error:
            if on_error is None:
                raise
            on_error(i, error)
            continue
        yield first
        yield from reports


def polished(
    i: int,
    paint: Callable[[], Array],
    polish: Polish,
    num_steps: int,
    finish: Callable[[Array], Array],
    resume: Resume | None,
) -> Iterator[Reports]:
    """Yields the reports of a picture that is polished.

    Args:
      i: the place of its job.
      paint: returns the first picture, which is not painted again where a snapshot goes on.
      polish: makes the steps.
      num_steps: how many.
      finish: returns what is shown of a picture.
      resume: finds the snapshot.
    """
    begun, start = None, jnp.zeros((*polish.shape, 3))
    if resume is not None:
        begun = resume(lambda _: polish.forms(), lambda image: finish(polish.picture(image)))
    if begun is None:
        start = paint()
        if not np.isfinite(np.asarray(start)).all():
            yield from once(i, start, finish)
            return
        yield Reports(0, {i: finish(start)}, {})
    for progress in polish.run(start, num_steps, begun):
        picture, info = polish.picture(progress.state.image), jax.device_get(progress.info)
        yield Reports(progress.step, {i: finish(picture)}, {i: info}, progress)
