"""The methods without a network: pictures put together from pieces of a painting.

`texture --method quilting | neighbours` and `analogy` are methods of their own, since they need no
photograph, or two further pictures. `apply` has them as first pictures; see
`jaxstyle.pipeline.by_pieces`.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
from jax import Array

from jaxstyle._common.arrays import to_device
from jaxstyle.errors import OptionError, UsageError, naming
from jaxstyle.networks.load import Network
from jaxstyle.optimization.memory import MemoryPlan
from jaxstyle.pieces import analogies, quilting, voting
from jaxstyle.pieces.guides import Guide
from jaxstyle.pipeline.digests import digests
from jaxstyle.pipeline.method import Reports, Resume
from jaxstyle.pipeline.no_network import NO_NETWORK
from jaxstyle.pipeline.painting_reports import once, one_by_one
from jaxstyle.pipeline.sources import trims

if TYPE_CHECKING:
    from jaxstyle.pipeline.job import Job
    from jaxstyle.pipeline.studio import Studio

BLOCKS = {"quilting": quilting.BLOCK, "neighbours": voting.PATCH}
"""The sides of blocks and patches, in pixels, where no other is given."""
FIRST_BLOCKS = {**BLOCKS, "quilting": quilting.FIRST_BLOCK}
"""Those of the first pass over a photograph."""
_OF_TEXTURE = {
    "method", "block", "evenness", "seed", "size", "output-size", "style-size", "no-trim",
}  # fmt: skip
_EVENNESS = {"quilting": quilting.EVENNESS, "neighbours": voting.EVENNESS}
# What only some methods of an analogy look at.
_ONLY = {
    "coherence": ("analogies",),
    "colors": ("analogies", "ashikhmin"),
    "block": ("neighbours",),
    "evenness": ("neighbours",),
}
# Values a pixel of the painting takes at the peak, as the rows that are compared and their copies.
_VALUES = {"quilting": 40, "neighbours": 380, "analogies": 420, "ashikhmin": 420}


class Program(NamedTuple):
    """What jobs must share to run in one compiled program.

    Attributes:
      method: its name.
      block: the side of blocks or patches.
      shape: height and width of the picture.
    """

    method: str
    block: int
    shape: tuple[int, int]

    @property
    def num_steps(self) -> int:
        """One: there is nothing to look at on the way."""
        return 1

    @property
    def text(self) -> str:
        """A text that equal programs have in common in every process."""
        return repr(tuple(self))

    @property
    def compiled(self) -> str:
        """A text that is the same for what is compiled alike."""
        return self.text


@dataclasses.dataclass(frozen=True)
class Pieced:
    """How a picture is put together.

    Attributes:
      method: its name.
      block: the side of blocks or patches, in pixels.
    """

    method: str
    block: int

    @property
    def num_steps(self) -> int:
        """One."""
        return 1

    def network_key(self, options: Mapping[str, Any]) -> tuple[Any, ...]:
        """Returns what stands for no network."""
        return ("pieces",)

    def find_network(
        self, options: Mapping[str, Any], images: Sequence[Array], *, download: bool
    ) -> Network:
        """Returns what stands for no network."""
        return NO_NETWORK

    def suit(self, options: dict[str, Any], network: Network) -> tuple["Pieced", dict[str, Any]]:
        """Returns the method and the options as they are."""
        return self, options

    def settings(self, job: "Job") -> dict[str, Any]:
        """Returns the SHA-256 of all files that the picture is made from, by what they are."""
        named = {f"{role} {i}": path for i, (role, path) in enumerate(job.named_files, 1)}
        return {"sources": digests({"content": job.content, "painting": job.style, **named})}

    def program(self, job: "Job", shape: tuple[int, int]) -> Program:
        """Returns the program of a job whose picture has a height and width."""
        return Program(self.method, self.block, shape)

    def check(self, job: "Job", studio: "Studio") -> None:
        """Reads all pictures of a job, and looks at their sizes.

        Raises:
          UsageError: if one is smaller than a block, or two do not fit each other.
          OSError, FileFormatError: if a picture cannot be read.
        """
        painting = _painting(studio, job)
        if self.method in BLOCKS:
            odd = self.method == "neighbours"
            check_block(self.block, painting.shape, job.style, odd=odd)
            if odd:
                by = "output-size" if "output-size" in job.recipe.options else "size"
                shape = studio.shape(job)
                check_block(self.block, shape, job.content or "the texture", odd=True, by=by)
        if job.recipe.command == "analogy":
            _pictures(studio, job, painting)

    def choose_width(self, studio: "Studio", job: "Job", shape: tuple[int, int]) -> int:
        """Returns one: one picture keeps a machine busy."""
        return 1

    def plan(
        self, studio: "Studio", job: "Job", shape: tuple[int, int], *, exact: bool
    ) -> MemoryPlan:
        """Returns about the memory of a picture, by a formula: the compiler is not asked."""
        return MemoryPlan(0, estimate(self.method, _painting(studio, job).shape, shape))

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
        """Makes the pictures of a batch, one after another; see `Optimisation.run`."""

        def make_one(i: int, job: "Job") -> Iterator[Reports]:
            return once(i, self._make(studio, job), lambda image: image)

        return one_by_one(jobs, make_one, on_error)

    def _make(self, studio: "Studio", job: "Job") -> Array:
        """Returns the picture."""
        painting, options = _painting(studio, job), job.recipe.options
        if job.recipe.command == "analogy":
            return self._analogy(studio, job, painting)
        same: Any = {"evenness": self._evenness(job), "key": jax.random.key(options["seed"])}
        if self.method == "quilting":
            return quilting.quilt_texture(
                painting, studio.shape(job), block=self.block, **same
            ).image
        return voting.patch_texture(painting, studio.shape(job), patch=self.block, **same)

    def _analogy(self, studio: "Studio", job: "Job", filtered: Array) -> Array:
        unfiltered, target, guides = _pictures(studio, job, filtered)
        options = job.recipe.options
        if self.method == "neighbours":
            own = Guide(unfiltered, target)
            return voting.patch_analogy(
                filtered, [own, *guides], patch=self.block, evenness=self._evenness(job),
                key=jax.random.key(options["seed"]),
            )  # fmt: skip
        none = {"candidates": 0} if self.method == "ashikhmin" else {}
        return analogies.analogy(
            unfiltered, filtered, target, guides=guides, key=jax.random.key(options["seed"]),
            colors=options.get("colors", "painting"),
            coherence=options.get("coherence", analogies.COHERENCE), **none,
        ).image  # fmt: skip

    def _evenness(self, job: "Job") -> float:
        evenness: float = job.recipe.options.get("evenness", _EVENNESS.get(self.method, 0.0))
        return evenness


def make_texture(given: Mapping[str, Any]) -> tuple[Pieced, dict[str, Any]]:
    """Returns the method that options of `texture` come to, and the options.

    Args:
      given: the options, with a method that puts pictures together from pieces.

    Raises:
      OptionError: if one of them is for a texture that is optimised.
    """
    method = given["method"]
    for name in given:
        if name not in _OF_TEXTURE:
            raise OptionError(
                "{} is for {} statistics; leave it out with {} {method}", name, "method", "method",
                method=method,
            )  # fmt: skip
    block = checked_block(method, given)
    filled = {"size": 512, "seed": 0, "evenness": _EVENNESS[method], **given, "block": block}
    return Pieced(method, block), filled


def make_analogy(given: Mapping[str, Any]) -> tuple[Pieced, dict[str, Any]]:
    """Returns the method that options of `analogy` come to, and the options.

    Raises:
      OptionError: if one of them is for another method.
    """
    method = given.get("method", "analogies")
    for name, methods in _ONLY.items():
        if name in given and method not in methods:
            raise OptionError(
                "{} is for {} {others}; leave it out with {} {method}", name, "method", "method",
                others=" and ".join(methods), method=method,
            )  # fmt: skip
    filled = {"size": 512, "method": method, "seed": 0, **given}
    block = 0
    if method in BLOCKS:
        block = filled["block"] = checked_block(method, given)
    elif method == "analogies":
        filled.setdefault("coherence", analogies.COHERENCE)
    return Pieced(method, block), filled


def checked_block(method: str, given: Mapping[str, Any], sides: Mapping[str, int] = BLOCKS) -> int:
    """Returns the side of blocks or patches.

    Args:
      method: its name.
      given: the options.
      sides: by the method's name, where no other is given.

    Raises:
      OptionError: if patches would have no middle.
    """
    block: int = given.get("block", sides[method])
    if method == "neighbours" and block % 2 == 0:
        raise OptionError(
            "{} {block}: patches need an odd side, as {other}", "block", block=block,
            other=block + 1,
        )  # fmt: skip
    return block


def check_block(
    block: int, shape: Sequence[int], name: Path | str | None, *, odd: bool, by: str = "size"
) -> None:
    """Raises `OptionError` if a picture of some name is smaller than a block.

    Args:
      block: its side.
      shape: the picture's height and width.
      name: what the picture is.
      odd: whether blocks are patches, which need an odd side.
      by: the option that makes the picture larger.
    """
    most = min(shape[:2])
    if most >= block:
        return
    if odd and most % 2 == 0:
        most -= 1
    remedy = "give a larger {}" if most < 2 else "give at most {most}, or a larger {}"
    raise OptionError(
        "{} {block}: {name} has {width}×{height} pixels here; " + remedy, "block", by,
        block=block, name=name, width=shape[1], height=shape[0], most=most,
    )  # fmt: skip


def estimate(method: str, painting: Sequence[int], shape: Sequence[int]) -> int:
    """Returns about the bytes that a method holds.

    Args:
      method: its name.
      painting: height and width of the painting.
      shape: height and width of the picture.
    """
    values = _VALUES[method] * painting[0] * painting[1] + 40 * shape[0] * shape[1]
    return 4 * values


def _painting(studio: "Studio", job: "Job") -> Array:
    """Returns the painting of a job as large as it is seen. That of an analogy has its frame."""
    assert job.style is not None
    trim = job.recipe.command != "analogy" and trims(job.recipe.options)
    return to_device(studio.sources.load(job.style, job.style_size, trim=trim).image)


def _pictures(studio: "Studio", job: "Job", filtered: Array) -> tuple[Array, Array, list[Guide]]:
    """Returns what an analogy is made from besides A': A, B and the guides.

    Raises:
      UsageError: if one has other proportions than what it belongs to.
    """
    assert job.content is not None
    assert job.style is not None
    options, target = job.recipe.options, studio.shape(job)
    beside_source = functools.partial(_beside, studio, job.style, filtered.shape)
    beside_target = functools.partial(_beside, studio, job.content, target)
    unfiltered = beside_source(Path(options["unfiltered"]))
    guides = []
    for guide in options.get("guides", ()):
        with naming("guides"):
            source, wanted = beside_source(Path(guide.source)), beside_target(Path(guide.target))
        guides.append(Guide(source, wanted, guide.weight))
    content = to_device(studio.sources.load(job.content, job.size).image)
    return unfiltered, content, guides


def _beside(studio: "Studio", other: Path, shape: Sequence[int], path: Path) -> Array:
    """Returns a picture as large as another one that it belongs to.

    Raises:
      UsageError: if it has other proportions.
    """
    height, width = shape[:2]
    found = studio.sources.shape(path, max(height, width))
    if max(abs(found[0] - height), abs(found[1] - width)) > 1:
        own, others = studio.sources.shape(path, None), studio.sources.shape(other, None)
        raise UsageError(
            f"{path}: has {own[1]}×{own[0]} pixels, and {other} has {others[1]}×{others[0]}; give "
            "two pictures of the same scene and proportions"
        )
    return to_device(studio.sources.load(path, (height, width)).image)
