"""What is to be made: jobs, the compiled programs that they share, and batches of them."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jaxstyle.losses.spec import LossSpec
from jaxstyle.optimization.multiscale import Scale, scaled_shape
from jaxstyle.pipeline import file_options
from jaxstyle.pipeline.file_options import Structure
from jaxstyle.pipeline.recipe import Recipe, make_recipe
from jaxstyle.solvers import Solver


class Job(NamedTuple):
    """One picture to make.

    Attributes:
      content: the photograph's file, if the command takes one.
      style: the painting's file, if the command takes one.
      output: the file to write.
      recipe: how.
      shape: height and width of the picture where they are not its photograph's: at the smaller
        of several scales.
    """

    content: Path | None
    style: Path | None
    output: Path
    recipe: Recipe
    shape: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """The longer side of the photograph."""
        size: int = self.recipe.options["size"]
        return size

    @property
    def style_size(self) -> int:
        """The longer side of the paintings."""
        options = self.recipe.options
        size: float = options.get("style_size", self.size) * options.get("style_scale", 1.0)
        return max(1, round(size))

    @property
    def styles(self) -> list[Path]:
        """The paintings: the job's own first, then those that its options name."""
        own = [] if self.style is None else [self.style]
        return own + file_options.styles_named(self.recipe.options)

    @property
    def sources(self) -> list[tuple[Path, int]]:
        """The pictures that it is made from, the photograph first, and their longer sides."""
        photograph = [] if self.content is None else [(self.content, self.size)]
        return photograph + [(path, self.style_size) for path in self.styles]

    def at(self, scale: Scale, shape: tuple[int, int]) -> "Job":
        """The job at one of its scales.

        Args:
          scale: one of the recipe's.
          shape: height and width of the picture at the last of them.
        """
        recipe = self.recipe
        ratio = scale.size / self.size
        options = recipe.options | {"size": scale.size, "steps": scale.num_steps}
        if "style_size" in options:
            options["style_size"] = max(1, round(options["style_size"] * ratio))
        return self._replace(
            recipe=recipe._replace(options=options, scales=(scale,)),
            shape=scaled_shape(shape, max(1, round(max(shape) * ratio))),
        )

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
      solver: the method, of the recipe as it is before its network is found.
      own_rate: whether the solver keeps its own learning rate.
      scales: the sizes on the way and the steps at each.
      shape: height and width of the pictures.
      structure: how many styles they mix, and whether by regions.
    """

    network: tuple[Any, ...]
    spec: LossSpec
    solver: Solver
    own_rate: bool
    scales: tuple[Scale, ...]
    shape: tuple[int, int]
    structure: Structure = Structure()

    @property
    def num_steps(self) -> int:
        """Steps of the solver over all scales."""
        return sum(scale.num_steps for scale in self.scales)


def make_job(
    command: str, content: Path | None, style: Path | None, output: Path, options: dict[str, Any]
) -> Job:
    """A job from parsed options; see `jaxstyle.pipeline.recipe.make_recipe`."""
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
      shape_of: height and width of a job's picture; see `jaxstyle.pipeline.studio.Studio.shape`.
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
            scales=recipe.scales,
            shape=shape,
            structure=file_options.structure(recipe.options),
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
