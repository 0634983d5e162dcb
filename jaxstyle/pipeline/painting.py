"""The methods that paint at once: a network's single pass, or the painting's colours and a polish.

The first picture is what a network makes of the photograph, or the photograph in the painting's
colours, which a formula gives (`quick`). Some steps of optimisation may follow; see
`jaxstyle.pipeline.polish`.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpy.typing import NDArray

from jaxstyle._common.arrays import to_device
from jaxstyle.errors import UsageError, naming, usage_errors
from jaxstyle.feedforward.files import load_network
from jaxstyle.feedforward.previous import Previous
from jaxstyle.networks.load import Network
from jaxstyle.optimization.memory import MemoryPlan
from jaxstyle.pipeline.digests import digests
from jaxstyle.pipeline.file_options import REST, RegionOption
from jaxstyle.pipeline.first import PIECES, First, Painted, Way, paintings_of
from jaxstyle.pipeline.firsts import Styles, file_of, find_network, make_first
from jaxstyle.pipeline.frames import FRAMES, nearest, out_of_frame, scaled
from jaxstyle.pipeline.method import Reports, Resume
from jaxstyle.pipeline.one_pass import round_up, weigh_regions
from jaxstyle.pipeline.painting_reports import once, one_by_one, polished
from jaxstyle.pipeline.polish import (
    is_brief,
    make_polish,
    measure_mixture,
    mix_statistics,
    plan_polish,
)
from jaxstyle.pipeline.sources import trims

if TYPE_CHECKING:
    from jaxstyle.pipeline.job import Job
    from jaxstyle.pipeline.studio import Studio


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

    @property
    def compiled(self) -> str:
        """A text that is the same for what is compiled alike, whatever the steps."""
        brief = is_brief(self.shape, self.polish)
        return repr((*self._replace(polish=min(self.polish, 1)), brief))


@dataclasses.dataclass(frozen=True)
class Painting:
    """How a picture is painted.

    Attributes:
      way: what makes the first picture.
      strength: how much of the painting is laid over the photograph, 0 to 1.
      polish: steps of optimisation after the first picture.
      regions: masks, each with a style or a painting; None for one blend everywhere.
      framed: whether all pictures are painted in a few fixed sizes; see
        `jaxstyle.pipeline.frames`.
      first: makes the first picture, once the network is known.
      weights: how much each style or painting counts, once the network is known: one row for the
        picture, or one for each region.
    """

    way: Way
    strength: float
    polish: int
    regions: tuple[RegionOption, ...] | None = None
    framed: bool = False
    first: First | None = None
    weights: tuple[tuple[float, ...], ...] = ()

    @property
    def num_steps(self) -> int:
        """The steps after the first picture, which is a step itself if there are none."""
        return self.polish or 1

    def network_key(self, options: Mapping[str, Any]) -> tuple[Any, ...]:
        """Returns what decides the network: jobs with equal keys share it."""
        path = file_of(self.way, options)
        if path is None:
            return ("none",) if self.way in PIECES and not self.polish else ()
        return self.way == "network", str(path)

    def program(self, job: "Job", shape: tuple[int, int]) -> Program:
        """Returns the program of a job whose picture has a height and width."""
        shape = nearest(shape) if self.framed else round_up(shape)
        return Program(job.network_key, shape, self.polish)

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
        return find_network(self.way, options)

    def suit(self, options: dict[str, Any], network: Network) -> tuple["Painting", dict[str, Any]]:
        """Returns the method with what the network's file says of it.

        Raises:
          OptionError: if the options do not fit the network.
        """
        first = make_first(self.way, options, network)
        rows = first.weigh(options, self.regions)
        known = tuple(tuple(map(float, row)) for row in rows)
        return dataclasses.replace(self, first=first, weights=known), options

    def settings(self, job: "Job") -> dict[str, Any]:
        """Returns the SHA-256 of all files that the picture is made from, by what they are."""
        options = job.recipe.options
        files: dict[str, Path | None] = {"content": job.content}
        for i, (path, _) in enumerate(self._seen(options), 1):
            files["painting" if i == 1 else f"painting {i}"] = path
        for i, region in enumerate(self.regions or (), 1):
            if region.mask != REST:
                files[f"mask {i}"] = Path(region.mask)
        files["network"] = file_of(self.way, options)
        files["init"] = Path(options["init"]) if "init" in options else None
        return {"sources": digests(files), **({"framed": True} if self.framed else {})}

    def check(self, job: "Job", studio: "Studio") -> None:
        """Reads the header of a job's photograph: in a large folder, each is decoded once.

        Raises:
          OSError, FileFormatError: if a picture cannot be read.
          OptionError: if nothing is known of the painting that the picture is polished after, or
            masks leave some of the picture out.
        """
        shape, options = studio.shape(job), job.recipe.options
        for path, _ in self._seen(options):  # before a network is read
            with naming(job.option_of(path)):
                studio.sources.shape(path, None)
        method = _suited(studio, job)
        for path, _ in self._seen(options):
            with naming(job.option_of(path)):
                method._load(studio, path, method._side(job, shape), trim=trims(options))
        if "init" in options:
            with naming("init"):
                studio.sources.load(Path(options["init"]), shape)
        if self.polish and "painting" not in options:
            _statistics_of(studio.suited(job)[1].path)
        if self.regions is not None:
            method._weights(studio, shape)

    def choose_width(self, studio: "Studio", job: "Job", shape: tuple[int, int]) -> int:
        """Returns one: a pass over one picture keeps a machine busy."""
        return 1

    def plan(
        self, studio: "Studio", job: "Job", shape: tuple[int, int], *, exact: bool
    ) -> MemoryPlan:
        """Returns the memory that a picture of a height and width takes; see `Method.plan`."""
        method = _suited(studio, job)
        assert method.first is not None
        count = len(method.weights[0])
        weights = (count,) if self.regions is None else (*shape, count)
        # A picture to begin with takes the place of the pass.
        begun = "init" in job.recipe.options
        peak = 0 if begun else method.first.plan(shape, weights, exact=exact)
        if self.polish:
            peak = max(peak, plan_polish(shape, exact=exact).total(1))
        return MemoryPlan(0, peak)

    def run(
        self,
        studio: "Studio",
        program: Program,
        jobs: Sequence["Job"],
        width: int,
        every: int,
        *,
        resume: Resume | None = None,
        on_error: Callable[[int, Exception], None] | None = None,
        able: Callable[[int], bool] = lambda _: True,
    ) -> Iterator[Reports]:
        """Paints the pictures of a batch, one after another; see `Optimisation.run`."""

        def paint_one(i: int, job: "Job") -> Iterator[Reports]:
            method = _suited(studio, job)
            assert job.content is not None
            size = program.shape if self.framed else job.size
            photograph = np.asarray(studio.sources.load(job.content, size).image)
            paint = functools.partial(method._paint, studio, program, job, photograph)
            finish = functools.partial(self._finished, studio.shape(job), photograph)
            if not self.polish:
                return once(i, paint(), finish)
            polish = make_polish(
                to_device(photograph), method._style(studio, job, photograph.shape)
            )
            go_on = resume if len(jobs) == 1 else None
            return polished(i, paint, polish, self.polish, finish, go_on)

        return one_by_one(jobs, paint_one, on_error)

    @property
    def takes_previous(self) -> bool:
        """Whether a frame of a film can go on from the picture before, once the network is known.

        A polish would not.
        """
        return isinstance(self.first, Styles) and self.first.goes_on and not self.polish

    def paint_next(
        self, studio: "Studio", job: "Job", photograph: NDArray[np.float32], previous: Previous
    ) -> Array:
        """Returns the picture of a frame of a film, before it is laid over the photograph.

        Args:
          studio: of the job.
          job: the frame's.
          photograph: the frame.
          previous: what is known from the frame before.
        """
        program = self.program(job, studio.shape(job))
        return self._paint(studio, program, job, photograph, previous)

    def lay_over(self, photograph: ArrayLike, image: Array) -> Array:
        """Returns a painted picture laid over the photograph, as strongly as asked."""
        return image if self.strength == 1 else _lay_over(photograph, image, self.strength)

    def _paint(
        self,
        studio: "Studio",
        program: Program,
        job: "Job",
        photograph: NDArray[np.float32],
        previous: Previous | None = None,
    ) -> Array:
        """Returns the picture that is there at once."""
        assert self.first is not None
        shape = (photograph.shape[0], photograph.shape[1])
        if "init" in job.recipe.options:
            return jnp.asarray(studio.sources.load(Path(job.recipe.options["init"]), shape).image)
        trim = trims(job.recipe.options)
        like = Painted(
            [path for path, _ in self._seen(job.recipe.options)],
            self._side(job, shape),
            functools.partial(self._load, studio, trim=trim),
            trim,
            self._weights(studio, shape),
            previous,
        )
        return self.first.paint(program.shape, photograph, like)

    def _style(self, studio: "Studio", job: "Job", shape: Sequence[int]) -> dict[str, Any]:
        """Returns the statistics that the picture is polished after."""
        weighed = paintings_of(job.recipe.options)
        if not weighed:
            return mix_statistics(_statistics_of(studio.suited(job)[1].path), self.weights[0])
        side = job.style_size or max(shape[:2])
        trim = trims(job.recipe.options)
        read = [self._load(studio, path, side, trim=trim) for path, _ in weighed]
        return measure_mixture(read, [share for _, share in weighed])

    def _load(self, studio: "Studio", path: Path, side: int, *, trim: bool) -> Array:
        """Returns a painting at a longer side, or in the frame for it."""
        size: int | tuple[int, int] = side
        if self.framed:
            frame = nearest(studio.sources.shape(path, None))
            size = scaled(frame, side / max(max(each) for each in FRAMES))
        return to_device(studio.sources.load(path, size, trim=trim).image)

    def _side(self, job: "Job", shape: tuple[int, int]) -> int:
        """Returns the longer side that paintings are seen at for the first picture."""
        assert self.first is not None
        return self.first.side(job.recipe.options, job.style_size or max(shape))

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

    def _finished(self, shape: tuple[int, int], photograph: ArrayLike, image: Array) -> Array:
        """Returns an image laid over the photograph, and out of its frame."""
        image = self.lay_over(photograph, image)
        if not self.framed:
            return image
        return to_device(out_of_frame(np.asarray(image), shape))


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


def _suited(studio: "Studio", job: "Job") -> Painting:
    method = studio.suited(job)[0].method
    assert isinstance(method, Painting)
    return method


@jax.jit
def _lay_over(photograph: ArrayLike, image: Array, strength: ArrayLike) -> Array:
    lower = jnp.asarray(photograph)
    return lower + strength * (image - lower)
