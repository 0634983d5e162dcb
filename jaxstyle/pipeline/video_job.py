"""What the options of a film come to: which frames, and the job that each of them is."""

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from jaxstyle.errors import OptionError, UsageError, naming, usage_errors
from jaxstyle.image.io.reading import Picture
from jaxstyle.networks.catalogue import FILM
from jaxstyle.pipeline.job import Job, make_job
from jaxstyle.pipeline.options import picture_options
from jaxstyle.pipeline.sources import Shape, Size, Sources
from jaxstyle.video.carrying import LONG_TERM, check_long_term
from jaxstyle.video.flow import Flow, Still, dis_flow, file_flow
from jaxstyle.video.painting import TEMPORAL_WEIGHT
from jaxstyle.video.reading import Clip, Span, open_clip

OPTIMISE, FAST = "optimise", "fast"
_SHARE = 5  # a frame that goes on makes a fifth of the first one's steps
# What films have of their own, and no picture.
_OWN = {"start", "end", "fps", "temporal-weight", "long-term", "passes", "flow", "method"}
_OF_OPTIMISATION = {
    "temporal-weight", "long-term", "passes", "flow", "steps", "first-steps", "init",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Film:
    """A film to paint.

    Attributes:
      clip: what is read.
      span: which part of it.
      output: the file or folder to write.
      method: see `jaxstyle.pipeline.video_rows.METHODS`.
      first: the job of the first frame of a shot; its photograph is none.
      later: the job of the other frames.
      weight: of the temporal loss.
      long_term: how many frames back pictures are compared.
      passes: how often the film is gone over.
      flow: the file or folder of the user's flow, or None.
      given: the options as they were given.
    """

    clip: Clip
    span: Span
    output: Path
    method: str
    first: Job
    later: Job
    weight: float
    long_term: tuple[int, ...]
    passes: int
    flow: Path | None
    given: dict[str, Any]

    @property
    def count(self) -> int:
        """About how many frames there are."""
        return self.span.count(self.clip)

    @property
    def shape(self) -> Shape:
        """Height and width of the frames."""
        return self.span.shape(self.clip)

    @property
    def duration(self) -> Fraction:
        """Seconds of the film that is written."""
        end = self.clip.duration if self.span.end is None else self.span.end
        return min(end, self.clip.duration) - self.span.start

    def find_flow(self) -> Flow:
        """Returns where points move to.

        Raises:
          UsageError: if OpenCV is needed and not installed.
          OSError, FileFormatError: if there is no flow in the user's files.
        """
        if self.flow is None:
            return dis_flow()
        with naming("flow"):
            return file_flow(self.flow)


def make_film(clip: str, style: str | None, output: str, options: Mapping[str, Any]) -> Film:
    """Returns the film that options come to.

    Args:
      clip: the film's file or folder.
      style: the painting's file; None where a fast network has styles of its own.
      output: the file or folder to write.
      options: by name, checked; those that shape the film.

    Raises:
      UsageError: if they contradict each other, or the film cannot be painted.
      OSError, FileFormatError: if it cannot be read.
    """
    method = options.get("method", OPTIMISE)
    painting = None if style is None else Path(style)
    if painting is None and method != FAST:
        raise UsageError("a painting is missing: give CLIP STYLE, or use the method fast")
    rate = Fraction(options["fps"]).limit_denominator(1001) if "fps" in options else None
    source = open_clip(Path(clip), rate)
    own = {name: options[name] for name in options if name not in _OWN}
    if method == OPTIMISE:
        first, later = _optimised(painting, Path(output), own)
    else:
        # Whether a network goes on from other frames, its file says later.
        own_of_others = _OF_OPTIMISATION - ({"flow"} if method == FAST else set())
        for name in sorted(options.keys() & own_of_others):
            raise OptionError("{} is for {} optimise; leave it out", name, "method")
        first = later = _painted(method, painting, Path(output), own)
    start = Fraction(options.get("start", 0)).limit_denominator(10**6)
    end = Fraction(options["end"]).limit_denominator(10**6) if "end" in options else None
    if start >= source.duration or (end is not None and end <= start):
        raise OptionError(
            "{} {start:g} should come before {} {end:g}", "start", "end", start=float(start),
            end=float(source.duration if end is None else end),
        )  # fmt: skip
    with usage_errors("long-term"):
        long_term = check_long_term(
            options.get("long-term", LONG_TERM if method == OPTIMISE else (1,))
        )
    return Film(
        clip=source,
        span=Span(start, end, rate, first.size),
        output=Path(output),
        method=method,
        first=first,
        later=later,
        weight=options.get("temporal-weight", TEMPORAL_WEIGHT),
        long_term=long_term,
        passes=options.get("passes", 1),
        flow=Path(options["flow"]) if "flow" in options else None,
        given={**options, "clip": clip, "style": style},
    )


def _optimised(style: Path | None, output: Path, options: dict[str, Any]) -> tuple[Job, Job]:
    """Returns the jobs of the first frame of a shot and of the others."""
    _check_known("stylize", options, {"first-steps"})
    steps, first_steps = options.pop("steps", None), options.pop("first-steps", None)
    own = {} if first_steps is None else {"steps": first_steps}
    first = make_job("stylize", None, style, output, options | own)
    number = steps or max(1, first.recipe.num_steps // _SHARE)
    # What was not seen before starts in the painting's colours, if it is wide; see `go_on`.
    others = options | {"steps": number, "init": "matched"}
    return first, make_job("stylize", None, style, output, others)


def _painted(method: str, style: Path | None, output: Path, options: dict[str, Any]) -> Job:
    """Returns the job of a frame that is painted at once."""
    _check_known("apply", options, set())
    if method == FAST and style is not None and "fast-network" not in options:
        raise OptionError(
            "{style}: {} fast has a network with styles of its own; leave the painting out and "
            "name one by {}, or use {} wct", "method", "style", "method", style=style,
        )  # fmt: skip
    if style is not None:
        options["painting"] = str(style)
    if method == FAST:
        options.setdefault("fast-network", FILM)
    options["method"] = "network" if method == FAST else method
    return make_job("apply", None, None, output, options)


def _check_known(command: str, options: Mapping[str, Any], more: set[str]) -> None:
    """Raises `OptionError` if an option has no meaning for a way of painting."""
    known = picture_options(command)
    for name, value in options.items():
        if name in more:
            continue
        if name not in known:
            others = "fast, wct, adain or transport" if command == "stylize" else OPTIMISE
            raise OptionError("{} is for {} {others}; leave it out", name, "method", others=others)
        choices = known[name].choices
        if choices is not None and value not in choices:
            raise OptionError(
                "{} {value} is for {} optimise; use {valid}", name, "method", value=value,
                valid=" or ".join(choices),
            )  # fmt: skip


class FrameSources(Sources):
    """Reads pictures and masks, and has the frame that is painted now in memory.

    Args:
      shape: height and width of the frames.
    """

    def __init__(self, shape: Shape):
        super().__init__()
        self._frame_shape = shape
        self._held: dict[Path, Picture] = {}
        self._first: Path | None = None

    @property
    def reference(self) -> Path | None:
        """The first frame that was held, which stays."""
        return self._first

    def hold(self, still: Still, clip: Path) -> Path:
        """Holds a frame in place of the one before; returns how it is called.

        Args:
          still: the frame.
          clip: the film's file or folder.
        """
        path = clip / f"frame {still.number}"
        if self._first is None:
            self._first = path
        kept = {name: each for name, each in self._held.items() if name == self._first}
        self._held = {**kept, path: Picture(still.image, None, self._frame_shape)}
        return path

    def load(self, path: Path, size: Size, *, trim: bool = False) -> Picture:
        """Returns a picture; a frame has its own size alone. See `Sources.load`."""
        held = self._held.get(path)
        return super().load(path, size, trim=trim) if held is None else held

    def _shape(self, path: Path, size: int | None) -> Shape:
        return self._frame_shape if path in self._held else super()._shape(path, size)
