"""The method of one pass: a network that was trained beforehand paints the picture."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle.errors import OptionError, naming, usage_errors
from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.files import load_network, notes_of, read_notes, weigh_styles
from jaxstyle.feedforward.network import paint
from jaxstyle.networks.load import Network
from jaxstyle.optimization.descent import Progress
from jaxstyle.optimization.memory import MemoryPlan, peak_memory
from jaxstyle.pipeline.method import Forms, Reports
from jaxstyle.solvers import Info

if TYPE_CHECKING:
    from jaxstyle.pipeline.job import Job
    from jaxstyle.pipeline.studio import Studio


class Program(NamedTuple):
    """What jobs must share to run in one compiled program.

    Attributes:
      network: the key of the network.
      shape: height and width of the pictures.
    """

    network: tuple[Any, ...]
    shape: tuple[int, int]

    @property
    def num_steps(self) -> int:
        """One pass."""
        return 1

    @property
    def text(self) -> str:
        """A text that equal programs have in common in every process."""
        return repr(tuple(self))


@dataclasses.dataclass(frozen=True)
class Painting:
    """How a picture is painted in one pass.

    Attributes:
      blend: how much each style counts, by name; None for the network's first.
      strength: how much of the painting is laid over the photograph, 0 to 1.
      architecture: of the network, once it is known.
      weights: how much each of the network's styles counts, once they are known.
    """

    blend: tuple[tuple[str, float], ...] | None
    strength: float
    architecture: Architecture | None = None
    weights: tuple[float, ...] = ()

    @property
    def num_steps(self) -> int:
        """One pass."""
        return 1

    def network_key(self, options: Mapping[str, Any]) -> tuple[Any, ...]:
        """Returns what decides the network: jobs with equal keys share it."""
        return (options["fast-network"],)

    def program(self, job: "Job", shape: tuple[int, int]) -> Program:
        """Returns the program of a job whose picture has a height and width."""
        return Program(job.network_key, shape)

    def find_network(
        self, options: Mapping[str, Any], images: Sequence[Array], *, download: bool
    ) -> Network:
        """Returns the network of a file.

        Args:
          options: of the recipe.
          images: not looked at.
          download: not wanted: fast networks are files.

        Raises:
          FileFormatError: if the file holds no such network.
          OSError: if it cannot be read.
        """
        path = Path(options["fast-network"])
        with naming("fast-network"):
            network = load_network(path)
        return Network(network.params, path.stem, path, notes_of(network))

    def suit(self, options: dict[str, Any], network: Network) -> tuple["Painting", dict[str, Any]]:
        """Returns the method with what the network's file says of it.

        Raises:
          OptionError: if the network has no such style; the message lists those that it has.
        """
        architecture, styles = read_notes(network.path, network.metadata)
        with usage_errors("blend" if "blend" in options else "style"):
            weights = weigh_styles(styles, None if self.blend is None else dict(self.blend))
        known = tuple(map(float, weights))
        return dataclasses.replace(self, architecture=architecture, weights=known), options

    def check(self, job: "Job", studio: "Studio") -> None:
        """Reads the header of a job's photograph: in a large folder, each is decoded once.

        Raises:
          OSError, FileFormatError: if it cannot be read.
        """
        studio.shape(job)

    def choose_width(self, studio: "Studio", job: "Job", shape: tuple[int, int]) -> int:
        """Returns one: a pass over one picture keeps a machine busy."""
        return 1

    def plan(self, studio: "Studio", job: "Job", shape: tuple[int, int]) -> MemoryPlan:
        """Returns the memory that a pass over a picture takes."""
        method, network = _suited(studio, job)
        image = jax.eval_shape(lambda: jnp.zeros((*shape, 3)))
        program = _paint.lower(
            network.params, image, np.asarray(method.weights, np.float32), np.float32(1),
            architecture=method.architecture,
        ).compile()  # fmt: skip
        return MemoryPlan(0, peak_memory(program))

    def run(
        self,
        studio: "Studio",
        program: Program,
        jobs: Sequence["Job"],
        width: int,
        every: int,
        *,
        resume: Callable[[Forms], Progress | None] | None = None,
        on_error: Callable[[int, Exception], None] | None = None,
        able: Callable[[int], bool] = lambda _: True,
    ) -> Iterator[Reports]:
        """Paints the pictures of a batch, one after another; see `Optimisation.run`."""
        for i, job in enumerate(jobs):
            try:
                method, network = _suited(studio, job)
                assert job.content is not None
                photograph = studio.sources.load(job.content, job.size).image
            except Exception as error:
                if on_error is None:
                    raise
                on_error(i, error)
                continue
            image = _paint(
                network.params, photograph, np.asarray(method.weights, np.float32),
                np.float32(method.strength), architecture=method.architecture,
            )  # fmt: skip
            finite = bool(np.isfinite(np.asarray(image)).all())
            yield Reports(1, {i: image}, {i: _unjudged(finite)})


def make_painting(
    filled: dict[str, Any], given: Mapping[str, Any]
) -> tuple[Painting, dict[str, Any]]:
    """Returns the method that options come to, and the options.

    Args:
      filled: the options, with the defaults that do not depend on the method.
      given: the options that were given.

    Raises:
      OptionError: if they contradict each other.
    """
    if "style" in given and "blend" in given:
        raise OptionError("{} and {} contradict each other; leave one out", "style", "blend")
    blend = {filled["style"]: 1.0} if "style" in given else filled.get("blend")
    shares = None if blend is None else tuple(blend.items())
    return Painting(shares, filled.get("strength", 1.0)), filled


def _unjudged(finite: bool) -> Info:
    """Returns the `Info` of a start and of a pass that no loss has judged."""
    zeros: Any = np.zeros(2, np.float32)
    return Info(zeros, {}, zeros.astype(np.int32), cast(Array, np.array([True, finite])))


def _suited(studio: "Studio", job: "Job") -> tuple[Painting, Network]:
    recipe, network = studio.suited(job)
    assert isinstance(recipe.method, Painting)
    return recipe.method, network


@functools.partial(jax.jit, static_argnames="architecture")
def _paint(
    params: Mapping[str, Any],
    photograph: ArrayLike,
    weights: ArrayLike,
    strength: ArrayLike,
    *,
    architecture: Architecture,
) -> Array:
    """Returns the painted picture, clipped, laid over the photograph."""
    image = jnp.asarray(photograph)
    painted = jnp.clip(paint(params, image, jnp.asarray(weights), architecture=architecture), 0, 1)
    return image + strength * (painted - image)
