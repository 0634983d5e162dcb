"""The methods that paint at once: a network's single pass, or the painting's colours and a polish.

The first picture is what a network makes of the photograph, or the photograph in the painting's
colours, which a formula gives (`quick`). Some steps of optimisation may follow; see
`jaxstyle.pipeline.polish`.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpy.typing import NDArray

from jaxstyle._common.reading import sha256
from jaxstyle.errors import OptionError, UsageError, naming, usage_errors
from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.files import (
    Style,
    load_network,
    notes_of,
    read_notes,
    takes_paintings,
    weigh_styles,
)
from jaxstyle.image.matching import match_distribution
from jaxstyle.networks.catalogue import find_fast_network
from jaxstyle.networks.load import Network
from jaxstyle.optimization.descent import Progress
from jaxstyle.optimization.memory import MemoryPlan
from jaxstyle.pipeline.any_painting import SIDE, paintings_of, shapes_of, tell
from jaxstyle.pipeline.file_options import REST, RegionOption
from jaxstyle.pipeline.method import Forms, Reports
from jaxstyle.pipeline.one_pass import paint_into, plan_pass, round_up, weigh_regions
from jaxstyle.pipeline.polish import measure_painting, plan_polish, polish, polisher
from jaxstyle.solvers import Info

if TYPE_CHECKING:
    from jaxstyle.pipeline.job import Job
    from jaxstyle.pipeline.studio import Studio

First = Literal["network", "quick"]
"""What makes the first picture: a network, or the painting's colours."""


class Program(NamedTuple):
    """What jobs must share to run in one compiled program.

    Attributes:
      network: the key of the network.
      shape: height and width that the pictures fit into.
      polish: steps after the first picture.
    """

    network: tuple[Any, ...]
    shape: tuple[int, int]
    polish: int

    @property
    def num_steps(self) -> int:
        """The steps after the first picture, which is a step itself if there are none."""
        return self.polish or 1

    @property
    def text(self) -> str:
        """A text that equal programs have in common in every process."""
        return repr(tuple(self))


@dataclasses.dataclass(frozen=True)
class Painting:
    """How a picture is painted.

    Attributes:
      first: what makes the first picture.
      blend: how much each style counts, by name; None for the network's first.
      strength: how much of the painting is laid over the photograph, 0 to 1.
      polish: steps of optimisation after the first picture.
      regions: masks, each with the name of a style; None for the blend everywhere.
      architecture: of the network, once it is known.
      weights: how much each of the network's styles counts, once they are known: one row for the
        picture, or one for each region.
    """

    first: First
    blend: tuple[tuple[str, float], ...] | None
    strength: float
    polish: int
    regions: tuple[RegionOption, ...] | None = None
    architecture: Architecture | None = None
    weights: tuple[tuple[float, ...], ...] = ()

    @property
    def num_steps(self) -> int:
        """The steps after the first picture, which is a step itself if there are none."""
        return self.polish or 1

    def network_key(self, options: Mapping[str, Any]) -> tuple[Any, ...]:
        """Returns what decides the network: jobs with equal keys share it."""
        return (options["fast-network"],) if self.first == "network" else ()

    def program(self, job: "Job", shape: tuple[int, int]) -> Program:
        """Returns the program of a job whose picture has a height and width."""
        return Program(job.network_key, round_up(shape), self.polish)

    def find_network(
        self, options: Mapping[str, Any], images: Sequence[Array], *, download: bool
    ) -> Network:
        """Returns the network of a file, or the one that polishes where no other is needed.

        Args:
          options: of the recipe.
          images: not looked at.
          download: not wanted: fast networks are files.

        Raises:
          FileFormatError: if the file holds no such network.
          OSError: if it cannot be read.
        """
        if self.first == "quick":
            return polisher().network
        with naming("fast-network"):
            path = find_fast_network(options["fast-network"])
            network = load_network(path)
        return Network(network.params, path.stem, path, notes_of(network))

    def suit(self, options: dict[str, Any], network: Network) -> tuple["Painting", dict[str, Any]]:
        """Returns the method with what the network's file says of it.

        Raises:
          OptionError: if the network has no such style; the message lists those that it has.
        """
        if self.first == "quick":
            return self, options
        architecture, styles = read_notes(network.path, network.metadata)
        if takes_paintings(network.metadata):
            weights: Sequence[Any] = self._rows_of_paintings(options, network)
        else:
            if "mix" in options or ("painting" in options and not self.polish):
                raise OptionError(
                    "{} {name} paints in styles of its own, and {} tells it only what to be "
                    "polished after; give {} N too, or {} quick",
                    "fast-network", "painting", "polish", "method", name=network.name,
                )  # fmt: skip
            weights = self._rows_of_styles(options, styles)
        known = tuple(tuple(map(float, row)) for row in weights)
        return dataclasses.replace(self, architecture=architecture, weights=known), options

    def _rows_of_styles(
        self, options: Mapping[str, Any], styles: Sequence[Style]
    ) -> Sequence[NDArray[np.float32]]:
        """Returns how much each style counts: a row for the picture, or one for each region."""
        if self.regions is None:
            option, blends = "blend" if "blend" in options else "style", [self.blend]
        else:
            option, blends = "regions", [((str(each.style), 1.0),) for each in self.regions]
            if any(region.style is None for region in self.regions):
                raise OptionError("{} needs style=NAME of the network after each mask", "regions")
        with usage_errors(option):
            return [weigh_styles(styles, None if each is None else dict(each)) for each in blends]

    def _rows_of_paintings(
        self, options: Mapping[str, Any], network: Network
    ) -> Sequence[Sequence[float]]:
        """Returns the same of a network for which each painting is a style."""
        if "painting" not in options:
            raise OptionError(
                "{} {name} paints like any painting; give {} FILE beside it",
                "fast-network", "painting", name=network.name,
            )  # fmt: skip
        for name in ("style", "blend"):
            if name in options:
                raise OptionError("{} is for networks with styles of their own; leave it out", name)
        if self.regions is None:
            return [[share for _, share in paintings_of(options)]]
        return [[float(i == k) for i in range(len(self.regions))] for k in range(len(self.regions))]

    def settings(self, job: "Job") -> dict[str, Any]:
        """Returns the SHA-256 of all files that the picture is made from, by what they are."""
        options = job.recipe.options
        files = {"content": job.content}
        for i, (path, _) in enumerate(self._seen(options), 1):
            files["painting" if i == 1 else f"painting {i}"] = path
        for region in self.regions or ():
            if region.mask != REST:
                files[f"mask {region.mask}"] = Path(region.mask)
        if self.first == "network":
            files["network"] = find_fast_network(options["fast-network"])
        return {
            "sources": {
                name: _digest(path, path.stat().st_mtime_ns, path.stat().st_size)
                for name, path in files.items()
                if path is not None
            }
        }

    def check(self, job: "Job", studio: "Studio") -> None:
        """Reads the header of a job's photograph: in a large folder, each is decoded once.

        Raises:
          OSError, FileFormatError: if a picture cannot be read.
          OptionError: if nothing is known of the painting that the picture is polished after, or
            masks leave some of the picture out.
        """
        shape = studio.shape(job)
        options = job.recipe.options
        for path, _ in self._seen(options):
            with naming(job.option_of(path)):
                studio.sources.load(path, self._side(studio, job, shape))
        if self.polish and "painting" not in options:
            _statistics_of(studio.suited(job)[1].path)
        if self.regions is not None:
            _suited(studio, job)[0]._weights(studio, shape)

    def choose_width(self, studio: "Studio", job: "Job", shape: tuple[int, int]) -> int:
        """Returns one: a pass over one picture keeps a machine busy."""
        return 1

    def plan(self, studio: "Studio", job: "Job", shape: tuple[int, int]) -> MemoryPlan:
        """Returns the memory that a picture of a height and width takes."""
        method, network = _suited(studio, job)
        peak = 0
        if self.first == "network":
            assert method.architecture is not None
            params, count = network.params, len(method.weights[0])
            if takes_paintings(network.metadata):
                params = shapes_of(params, count)
            weighed = (count,) if self.regions is None else (*shape, count)
            peak = plan_pass(shape, params, weighed, method.architecture)
        if self.polish:
            peak = max(peak, plan_polish(shape).total(1))
        return MemoryPlan(0, peak)

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
                photograph = np.asarray(studio.sources.load(job.content, job.size).image)
                image = method._first(studio, program, job, network, photograph)
                style = method._style(studio, job, network, photograph.shape) if self.polish else {}
            except Exception as error:
                if on_error is None:
                    raise
                on_error(i, error)
                continue
            finite = bool(np.isfinite(np.asarray(image)).all())
            first = self._laid_over(photograph, image)
            if not (self.polish and finite):
                yield Reports(1, {i: first}, {i: _unjudged(finite)})
                continue
            yield Reports(0, {i: first}, {})
            steps = polish(image, jnp.asarray(photograph), style, self.polish)
            for step, (image, info) in enumerate(steps, 1):
                yield Reports(step, {i: self._laid_over(photograph, image)}, {i: info})

    def _first(
        self,
        studio: "Studio",
        program: Program,
        job: "Job",
        network: Network,
        photograph: NDArray[np.float32],
    ) -> Array:
        """Returns the picture that is there at once."""
        if self.first == "quick":
            weighed = self._loaded(studio, job, photograph.shape)
            parts = [share * _in_colors_of(painting, photograph) for painting, share in weighed]
            first: Array = sum(parts[1:], start=parts[0])
            return first
        params = network.params
        if takes_paintings(network.metadata):
            paintings = [path for path, _ in self._seen(job.recipe.options)]
            params = tell(params, paintings, self._side(studio, job, photograph.shape))
        weights = self._weights(studio, photograph.shape[:2])
        assert self.architecture is not None
        return paint_into(program.shape, params, photograph, weights, self.architecture)

    def _style(
        self, studio: "Studio", job: "Job", network: Network, shape: Sequence[int]
    ) -> dict[str, Any]:
        """Returns the statistics that the picture is polished after."""
        if "painting" in job.recipe.options:
            weighed = self._loaded(studio, job, shape)
            rows = [measure_painting(painting) for painting, _ in weighed]
            weights = np.array([share for _, share in weighed], np.float32)
            known: Mapping[str, Any] = jax.tree.map(lambda *each: jnp.stack(each), *rows)
        else:
            known, weights = _statistics_of(network.path), np.asarray(self.weights[0], np.float32)
        return {
            layer: jnp.tensordot(weights, each, 1, precision="highest")
            for layer, each in known.items()
        }

    def _loaded(
        self, studio: "Studio", job: "Job", shape: Sequence[int]
    ) -> list[tuple[Array, float]]:
        """Returns the paintings, at the size of the picture, and their shares."""
        side = job.style_size or max(shape[:2])
        return [
            (jnp.asarray(studio.sources.load(path, side).image), share)
            for path, share in paintings_of(job.recipe.options)
        ]

    def _side(self, studio: "Studio", job: "Job", shape: Sequence[int]) -> int:
        """Returns the longer side that paintings are seen at for the first picture."""
        if self.first == "network" and takes_paintings(studio.suited(job)[1].metadata):
            return int(job.recipe.options.get("style-size", SIDE))
        return job.style_size or max(shape[:2])

    def _seen(self, options: Mapping[str, Any]) -> list[tuple[Path, float]]:
        """Returns the files of the paintings, one for each region if there are regions."""
        if self.regions is None or "painting" not in options:
            return paintings_of(options)
        own = options["painting"]
        return [(Path(region.style or own), 1.0) for region in self.regions]

    def _weights(self, studio: "Studio", shape: tuple[int, int]) -> NDArray[np.float32]:
        """Returns how much each of the network's styles counts, everywhere or in each pixel."""
        rows = np.asarray(self.weights, np.float32)
        if self.regions is None:
            return rows[0] if len(rows) else rows
        with naming("regions"):
            masks = [
                None if region.mask == REST else studio.sources.mask(Path(region.mask), shape)
                for region in self.regions
            ]
        with usage_errors("regions"):
            return weigh_regions(list(rows), masks)

    def _laid_over(self, photograph: ArrayLike, image: Array) -> Array:
        return image if self.strength == 1 else _lay_over(photograph, image, self.strength)


@functools.lru_cache(maxsize=1024)
def _digest(path: Path, changed: int, size: int) -> str:
    return sha256(path)


@functools.lru_cache(maxsize=2)
def _statistics_of(path: Path) -> Mapping[str, Any]:
    """Returns the statistics of the paintings that a network's file keeps.

    Raises:
      UsageError: if it keeps none.
    """
    network = load_network(path)
    if not network.statistics:
        raise UsageError(
            f"{path}: this network does not know its paintings; name the painting with --painting, "
            "or leave --polish out"
        )
    return network.statistics


def _unjudged(finite: bool) -> Info:
    """Returns the `Info` of a start and of a pass that no loss has judged."""
    zeros: Any = np.zeros(2, np.float32)
    return Info(zeros, {}, zeros.astype(np.int32), cast(Array, np.array([True, finite])))


def _suited(studio: "Studio", job: "Job") -> tuple[Painting, Network]:
    recipe, network = studio.suited(job)
    assert isinstance(recipe.method, Painting)
    return recipe.method, network


@jax.jit
def _in_colors_of(painting: ArrayLike, photograph: ArrayLike) -> Array:
    colored = match_distribution(jnp.asarray(photograph), jnp.asarray(painting))
    return jnp.clip(colored, 0, 1)


@jax.jit
def _lay_over(photograph: ArrayLike, image: Array, strength: ArrayLike) -> Array:
    lower = jnp.asarray(photograph)
    return lower + strength * (image - lower)
