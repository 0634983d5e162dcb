"""Methods: the ways to make a picture, behind one protocol.

A method decides what is compiled (its program), finds the network that it needs, and runs batches
of jobs, which it reports step by step. It writes no files and knows nobody who watches. What
belongs to one way of making pictures is a field of its method, not of every recipe.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from jax import Array

from jaxstyle.networks.load import Network
from jaxstyle.optimization.descent import Progress
from jaxstyle.optimization.memory import MemoryPlan
from jaxstyle.solvers import Info, State

if TYPE_CHECKING:
    from jaxstyle.pipeline.job import Job
    from jaxstyle.pipeline.studio import Studio

Forms = Callable[[int], tuple[State, Info]]
"""Returns the shapes and types of what a method carries after so many steps."""


class Resume(Protocol):
    """Finds where a run of one job goes on, if it was begun before."""

    def __call__(
        self, forms: Forms, picture: Callable[[Array], Array] = lambda image: image
    ) -> Progress | None:
        """Returns the last snapshot, or None if there is none.

        Args:
          forms: of what the method carries.
          picture: returns the picture of the image that it carries, where that is another.
        """


class Reports(NamedTuple):
    """What a method reports of a batch.

    Attributes:
      step: steps done in all; 0 for the start.
      images: the image of each job, by the job's place in the batch. A job that could not be
        prepared, or dropped out, has none.
      info: `Info` of the steps since the last report, by the job's place; empty for the start.
      progress: what the method needs to go on from here, where it can.
    """

    step: int
    images: Mapping[int, Array]
    info: Mapping[int, Info]
    progress: Progress | None = None


class Program(Protocol):
    """What jobs must share to run in one compiled program; hashable."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the pictures."""

    @property
    def num_steps(self) -> int:
        """Steps that the program makes."""

    @property
    def text(self) -> str:
        """A text that equal programs have in common in every process."""

    @property
    def compiled(self) -> str:
        """A text that is the same for what is compiled alike, whatever the steps."""


class Method(Protocol):
    """A way to make a picture, with the settings that the options came to."""

    @property
    def num_steps(self) -> int:
        """Steps that it makes."""

    def network_key(self, options: Mapping[str, Any]) -> tuple[Any, ...]:
        """Returns what decides the network: jobs with equal keys share it."""

    def find_network(
        self, options: Mapping[str, Any], images: Sequence[Array], *, download: bool
    ) -> Network:
        """Returns the network; see `Optimisation.find_network`."""

    def suit(self, options: dict[str, Any], network: Network) -> tuple[Self, dict[str, Any]]:
        """Returns the method and the options as they suit a network."""

    def settings(self, job: "Job") -> dict[str, Any]:
        """Returns what a picture keeps of how it was made, besides its options."""

    def check(self, job: "Job", studio: "Studio") -> None:
        """Raises `UsageError` for what can be known to be wrong before anything is made."""

    def program(self, job: "Job", shape: tuple[int, int]) -> Program:
        """Returns the program of a job whose picture has a height and width."""

    def choose_width(self, studio: "Studio", job: "Job", shape: tuple[int, int]) -> int:
        """Returns how many jobs of a picture's size run best at once."""

    def plan(
        self, studio: "Studio", job: "Job", shape: tuple[int, int], *, exact: bool
    ) -> MemoryPlan:
        """Returns the memory that jobs of a picture's size take.

        Args:
          studio: reads pictures and networks.
          job: one of the jobs.
          shape: height and width of the picture.
          exact: whether to ask the compiler, which takes minutes, in place of a formula.
        """

    def run(
        self,
        studio: "Studio",
        program: Any,
        jobs: Sequence["Job"],
        width: int,
        every: int,
        *,
        resume: Resume | None = None,
        on_error: Callable[[int, Exception], None] | None = None,
        able: Callable[[int], bool] = lambda _: True,
    ) -> Iterator[Reports]:
        """Runs a batch, and reports its start and its progress; see `Optimisation.run`."""
