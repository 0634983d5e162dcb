"""Jobs: the pictures to make. And batches: the jobs that run in one compiled program."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from jaxstyle.pipeline.method import Program
from jaxstyle.pipeline.options import picture_options
from jaxstyle.pipeline.recipe import Recipe, make_recipe


class Job(NamedTuple):
    """One picture to make.

    Attributes:
      content: the photograph's file, if the command takes one.
      style: the painting's file, if the command takes one.
      output: the file to write.
      recipe: how it is made.
      shape: height and width of the picture where its photograph does not decide them, as at the
        smaller of several scales.
      reference: the photograph that paintings are recoloured after, if not its own: that of a
        film's first frame, so that colours stay.
    """

    content: Path | None
    style: Path | None
    output: Path
    recipe: Recipe
    shape: tuple[int, int] | None = None
    reference: Path | None = None

    @property
    def size(self) -> int | None:
        """The longer side of the photograph; None for that of its file."""
        size: int | None = self.recipe.options.get("size")
        return size

    @property
    def style_size(self) -> int | None:
        """The longer side of the paintings; None where it is that of the picture."""
        options = self.recipe.options
        size: float | None = options.get("style-size", options.get("size"))
        scale: float = options.get("strokes", options.get("style-scale", 1.0))
        return None if size is None else max(1, round(size * scale))

    @property
    def named_files(self) -> list[tuple[str, Path]]:
        """The files that its options name, each with its role; see `kinds.NamedFile`."""
        known = picture_options(self.recipe.command)
        return [
            (file.role, Path(file.name))
            for name, value in self.recipe.options.items()
            for file in known[name].kind.files(value)
        ]

    def option_of(self, path: Path) -> str | None:
        """Returns the option that names a file; None if it is the photograph or the painting."""
        if path in (self.content, self.style):
            return None
        known = picture_options(self.recipe.command)
        for name, value in self.recipe.options.items():
            if path in (Path(file.name) for file in known[name].kind.files(value)):
                return name
        return None

    @property
    def styles(self) -> list[Path]:
        """The paintings: the job's own first, then those that its options name."""
        own = [] if self.style is None else [self.style]
        return own + [path for role, path in self.named_files if role == "style"]

    @property
    def sources(self) -> list[tuple[Path, int | None]]:
        """The pictures that it is made from, the photograph first, and their longer sides."""
        sources: list[tuple[Path, int | None]] = [(path, self.style_size) for path in self.styles]
        return sources if self.content is None else [(self.content, self.size), *sources]

    @property
    def files(self) -> list[Path]:
        """The files that exist of those that it is made from, its network included."""
        named = [self.content, self.style, *(path for _, path in self.named_files)]
        return [path for path in named if path is not None and path.is_file()]

    @property
    def network_key(self) -> tuple[Any, ...]:
        """What decides the network: jobs with equal keys share it."""
        return self.recipe.method.network_key(self.recipe.options)


class Batch(NamedTuple):
    """Jobs that run together.

    Attributes:
      program: theirs.
      jobs: at most `width`.
      width: of the compiled program.
    """

    program: Program
    jobs: list[Job]
    width: int


def make_job(
    command: str, content: Path | None, style: Path | None, output: Path, options: dict[str, Any]
) -> Job:
    """Returns a job from checked options; see `jaxstyle.pipeline.recipe.make_recipe`."""
    return Job(content, style, output, make_recipe(command, options))


def group(
    shape_of: Callable[[Job], tuple[int, int]],
    jobs: Iterable[Job],
    on_error: Callable[[Job, Exception], None] | None = None,
) -> dict[Program, list[Job]]:
    """Returns the jobs of each compiled program, in their order.

    Args:
      shape_of: height and width of a job's picture; see `jaxstyle.pipeline.studio.Studio.shape`.
      jobs: the jobs.
      on_error: is told of a job that has no shape, and why. By default the error is raised.
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
        groups.setdefault(job.recipe.method.program(job, shape), []).append(job)
    return groups


def make_batches(program: Program, jobs: list[Job], width: int) -> list[Batch]:
    """Divides the jobs of a program into batches.

    Args:
      program: theirs.
      jobs: all of them.
      width: of the compiled program.
    """
    return [
        Batch(program, jobs[start : start + width], width) for start in range(0, len(jobs), width)
    ]
