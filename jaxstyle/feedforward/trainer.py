"""The loop of a training: its stages, its steps, and what it keeps to go on from."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxstyle._common import files, interrupts, sharding
from jaxstyle._common.reading import LARGEST, open_regular
from jaxstyle._common.text import printable
from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.feedforward import training
from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.network import count_styles
from jaxstyle.feedforward.photographs import Photographs
from jaxstyle.feedforward.training import Teacher, TrainState
from jaxstyle.losses.spec import LossSpec


class Stage(NamedTuple):
    """A part of a training.

    Attributes:
      teacher: the name of what judges the pictures.
      side: of the squares, in pixels.
      steps: how many.
    """

    teacher: str
    side: int
    steps: int


class Schedule(NamedTuple):
    """How a training goes.

    Attributes:
      stages: one after another.
      batch: pictures per step.
      rate: the highest learning rate; see `training.make_optimizer`.
      decay: of the moving average of the parameters.
      seed: decides all that is random.
      smallest: the shorter side that photographs are scaled down to at the most.
    """

    stages: tuple[Stage, ...]
    batch: int = 1
    rate: float = 1e-3
    decay: float = 0.999
    seed: int = 0
    smallest: int = 192

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def stage_at(self, step: int) -> Stage:
        """Returns the stage that a step belongs to."""
        for stage in self.stages:
            if step < stage.steps:
                return stage
            step -= stage.steps
        return self.stages[-1]


class Lesson(Protocol):
    """What a network learns from, and how."""

    def cut(
        self, photographs: Photographs, rng: np.random.Generator, side: int, smallest: int
    ) -> Any:
        """Returns an example: an array or several, of the same shapes each time.

        Args:
          photographs: to make it of.
          rng: decides all that is random.
          side: of the pictures that the network paints.
          smallest: see `Photographs.square`.
        """

    def gradient(
        self,
        params: Any,
        examples: Any,
        styles: Array,
        teacher: tuple[Any, ...],
        *,
        architecture: Architecture,
        spec: LossSpec,
    ) -> tuple[Any, Any]:
        """Returns a report, a named tuple of scalars with a `loss`, and the gradient.

        Args:
          params: the network's parameters.
          examples: as `cut` returns them, with a leading axis.
          styles: the number of the style of each.
          teacher: a `Teacher` without its spec.
          architecture: of the network.
          spec: of the teacher.
        """


class Pictures:
    """Lets a network learn from single photographs."""

    def cut(
        self, photographs: Photographs, rng: np.random.Generator, side: int, smallest: int
    ) -> Any:
        """Returns a square of a photograph."""
        return photographs.square(rng, side, smallest)

    gradient = staticmethod(training.batch_gradient)


PICTURES = Pictures()
"""What a network for single pictures learns from."""


class Trainer:
    """Trains a network, one step after another.

    Args:
      params: the network to begin with.
      architecture: of the network.
      photographs: what it paints while it learns.
      make_teacher: returns a stage's teacher.
      schedule: how it goes. The pictures of a step are spread over the local devices if their
        number allows.
      mask: what may change; see `training.update`.
      lesson: what it learns from, and how.

    Attributes:
      state: what it has reached.
    """

    def __init__(
        self,
        params: Mapping[str, Any],
        architecture: Architecture,
        photographs: Photographs,
        make_teacher: Callable[[Stage], Teacher],
        schedule: Schedule,
        mask: Any = None,
        lesson: Lesson = PICTURES,
    ):
        self._optimizer = training.make_optimizer(schedule.rate, schedule.steps)
        self.state = training.begin(params, self._optimizer)
        self.schedule, self.architecture = schedule, architecture
        self._photographs, self._make_teacher, self._mask = photographs, make_teacher, mask
        self._lesson = lesson
        self._teacher: tuple[Stage, Teacher] | None = None
        devices = jax.local_devices()
        self._spread = len(devices) > 1 and schedule.batch % len(devices) == 0
        self._each, self._all = sharding.batch_shardings(devices)
        if self._spread:
            self.state = jax.device_put(self.state, self._all)

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.state.step)

    def run(self) -> Iterator[tuple[int, Any]]:
        """Makes the steps that are left, and yields the number and the report of each."""
        schedule = self.schedule
        for step in range(self.step, schedule.steps):
            stage = schedule.stage_at(step)
            teacher = self._teacher_of(stage)
            examples, styles = self._batch(step, stage, teacher)
            report, gradient = self._lesson.gradient(
                self.state.params, examples, styles,
                (teacher.params, teacher.weights, teacher.styles, teacher.first),
                architecture=self.architecture, spec=teacher.spec,
            )  # fmt: skip
            # The average forgets the beginning faster than it does later.
            decay = min(schedule.decay, (1 + step) / (10 + step))
            with interrupts.held():  # the step takes over the memory of the state before it
                self.state = training.update(
                    self.state, gradient, np.float32(decay), self._mask, optimizer=self._optimizer
                )
            yield step + 1, jax.device_get(report)

    def _batch(self, step: int, stage: Stage, teacher: Teacher) -> tuple[Any, Array]:
        schedule = self.schedule
        rng = np.random.default_rng([schedule.seed, step])
        cut = [
            self._lesson.cut(self._photographs, rng, stage.side, schedule.smallest)
            for _ in range(schedule.batch)
        ]
        last = count_styles(self.state.params)
        styles = rng.integers(teacher.first, last, size=schedule.batch)
        batch = jax.tree.map(lambda *each: jnp.asarray(np.stack(each)), *cut), jnp.asarray(styles)
        return jax.device_put(batch, self._each) if self._spread else batch

    def _teacher_of(self, stage: Stage) -> Teacher:
        if self._teacher is None or self._teacher[0] != stage:
            self._teacher = None  # so that only one is in memory
            teacher = self._make_teacher(stage)
            if self._spread:
                arrays = teacher.params, teacher.weights, teacher.styles
                params, weights, styles = jax.device_put(arrays, self._all)
                teacher = teacher._replace(params=params, weights=weights, styles=styles)
            self._teacher = stage, teacher
        return self._teacher[1]

    def save(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Writes all that is needed to go on from here; the file appears whole or not at all.

        Args:
          path: the file.
          settings: what decides the training, for `Checkpoint.check`.
        """
        data = flax.serialization.msgpack_serialize(
            {
                "settings": json.dumps(settings, sort_keys=True),
                "state": flax.serialization.to_state_dict(jax.device_get(self.state)),
            }
        )
        with files.atomic_write(path) as partial:
            partial.write_bytes(data)

    def go_on(self, checkpoint: "Checkpoint") -> None:
        """Takes over what an interrupted training has reached.

        Args:
          checkpoint: of the same training.

        Raises:
          FileFormatError: if it is not what `save` wrote of such a network.
        """
        try:
            state = flax.serialization.from_state_dict(self.state, checkpoint.state)
            same = jax.tree.map(lambda a, b: np.shape(a) == np.shape(b), self.state, state)
            if not all(jax.tree.leaves(same)):
                raise ValueError("its arrays have other shapes")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(checkpoint.path, error) from None
        found = jax.tree.map(jnp.asarray, TrainState(*state))
        self.state = jax.device_put(found, self._all) if self._spread else found


class Checkpoint(NamedTuple):
    """What a training has reached, as its file holds it.

    Attributes:
      path: the file.
      settings: what decided the training.
      state: what `Trainer.go_on` takes over.
    """

    path: Path
    settings: dict[str, Any]
    state: Any

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raises `UsageError` if the training was begun with other settings than these."""
        wanted = json.loads(json.dumps(settings))
        changed = [
            f"{name} was {printable(str(self.settings.get(name)))[:100]}"
            for name in sorted(wanted)
            if self.settings.get(name) != wanted[name]
        ]
        if changed:
            what = ", ".join(changed)
            raise UsageError(
                f"{self.path}: begun otherwise ({what}); use another name, or go on so"
            )


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads what `Trainer.save` has written.

    Args:
      path: the file.

    Raises:
      FileFormatError: if it is damaged, or another kind of file.
      OSError: if it cannot be read.
    """
    with open_regular(path, LARGEST) as file:
        data = file.read()
    try:
        found = flax.serialization.msgpack_restore(data)
        settings = json.loads(found["settings"])
        if not isinstance(settings, dict):
            raise ValueError("it has no settings")
        return Checkpoint(path, settings, found["state"])
    except Exception as error:  # msgpack raises classes of its own for damaged files
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> FileFormatError:
    reason = printable(" ".join(str(error)[:200].split()))
    return FileFormatError(f"{path}: not a checkpoint of this training ({reason})")


def make_schedule(
    steps: int,
    teachers: Sequence[tuple[str, int, float]],
    **options: Any,
) -> Schedule:
    """Returns a schedule whose stages take given shares of all steps.

    Args:
      steps: in all.
      teachers: of each stage the teacher, the side and the share.
      **options: the other attributes of `Schedule`.
    """
    total = sum(share for *_, share in teachers)
    ends = np.round(steps * np.cumsum([share for *_, share in teachers]) / total).astype(int)
    begins = [0, *ends[:-1]]
    stages = [
        Stage(name, side, int(end - begin))
        for (name, side, _), begin, end in zip(teachers, begins, ends, strict=True)
    ]
    return Schedule(tuple(stage for stage in stages if stage.steps), **options)
