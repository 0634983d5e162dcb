"""What is to be made: jobs, the compiled programs that they share, and batches of them."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jaxstyle.objective import LossSpec
from jaxstyle.recipe import Recipe, make_recipe
from jaxstyle.solvers import Solver


class Job(NamedTuple):
    """One picture to make.

    Attributes:
      content: the photograph's file, if the command takes one.
      style: the painting's file, if the command takes one.
      output: the file to write.
      recipe: how.
    """

    content: Path | None
    style: Path | None
    output: Path
    recipe: Recipe

    @property
    def sources(self) -> list[tuple[Path, int]]:
        """The pictures that it is made from, the photograph first, and their longer sides."""
        size = self.recipe.options["size"]
        both = ((self.content, size), (self.style, self.recipe.options.get("style_size", size)))
        return [(path, each) for path, each in both if path is not None]

    @property
    def network_key(self) -> tuple[Any, ...]:
        """What decides the network: jobs with the same key share it."""
        recipe = self.recipe
        return recipe.options["network"], recipe.preset.name, recipe.preset_given


class Program(NamedTuple):
    """What jobs must share to run in one compiled program.

    Attributes:
      network: the key of the network; see `Job.network_key`.
      spec: what is compared.
      solver: the method.
      own_rate: whether the solver keeps its own learning rate.
      num_steps: steps of the solver.
      shape: height and width of the pictures.
    """

    network: tuple[Any, ...]
    spec: LossSpec
    solver: Solver
    own_rate: bool
    num_steps: int
    shape: tuple[int, int]


def make_job(
    command: str, content: Path | None, style: Path | None, output: Path, options: dict[str, Any]
) -> Job:
    """A job from parsed options; see `jaxstyle.recipe.make_recipe`."""
    return Job(content, style, output, make_recipe(command, options))


OnError = Callable[[Job, Exception], None]
# A program, the jobs of one batch, and the width that it is compiled for.
Batch = tuple[Program, list[Job], int]


def group(
    shape_of: Callable[[Job], tuple[int, int]],
    jobs: Iterable[Job],
    on_error: OnError | None = None,
) -> dict[Program, list[Job]]:
    """The jobs of each compiled program, in their order.

    Args:
      shape_of: height and width of a job's picture; see `jaxstyle.jobs.Studio.shape`.
      jobs: the jobs.
      on_error: told of a job that has no shape, and why; by default the error is raised.
    """
    groups: dict[Program, list[Job]] = {}
    for job in jobs:
        try:
            shape = shape_of(job)
        except Exception as error:
            if on_error is None:
                raise
            on_error(job, error)
            continue
        recipe = job.recipe
        program = Program(
            network=job.network_key,
            spec=recipe.spec,
            solver=recipe.solver,
            own_rate=recipe.learning_rate is None,
            num_steps=recipe.num_steps,
            shape=shape,
        )
        groups.setdefault(program, []).append(job)
    return groups


def batches(
    groups: dict[Program, list[Job]], width_of: Callable[[Program, list[Job]], int]
) -> Iterator[Batch]:
    """The batches of all programs: which jobs, and the width that they are compiled for.

    Args:
      groups: from `group`.
      width_of: the width of a program's batches.
    """
    for program, jobs in groups.items():
        width = width_of(program, jobs)
        for start in range(0, len(jobs), width):
            yield program, jobs[start : start + width], width
