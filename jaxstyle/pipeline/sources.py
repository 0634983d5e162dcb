"""The pictures that jobs are made from, read once each and seen as the optimisation sees them.

What is seen of a photograph or a painting, and what is shown of the picture that is made, depend on
the option `color`; see `jaxstyle.pipeline.option_rows.COLORS`.
"""

import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common.arrays import to_device
from jaxstyle._common.recent import Recent
from jaxstyle.errors import FileFormatError, OptionError, UsageError
from jaxstyle.image import color, faces
from jaxstyle.image.frame import Frame
from jaxstyle.image.io import Picture, load_picture, read_shape, scaled
from jaxstyle.image.pixels import resize_mask
from jaxstyle.losses.targets import Kept
from jaxstyle.optimization.transfer import Init
from jaxstyle.pipeline.choices import MATCHED
from jaxstyle.pipeline.file_options import REST, RegionOption, Share
from jaxstyle.pipeline.options import color_of, picture_options, starts

_logger = logging.getLogger(__name__)
_FACES_SIZE = 640  # the longer side at which faces are looked for, however small the picture is
_FRAME_SIZE = 64  # the longer side at which a frame is looked for: it is measured in the file

if TYPE_CHECKING:
    from jaxstyle.pipeline.job import Job

Size = int | tuple[int, int] | None
Shape = tuple[int, int]


class Seen(NamedTuple):
    """A picture as the optimisation sees it: all that its pixels depend on.

    Attributes:
      path: the picture's file.
      size: its longer side, or its height and width; None for the size of its file.
      how: what is done to its colours, "style" for nothing.
      content: file and size of the photograph that a painting is recoloured after.
      trim: whether an even frame is cut off.
    """

    path: Path
    size: Size
    how: str
    content: tuple[Path, Size] | None = None
    trim: bool = False


def seen_style(style: Path, job: "Job") -> Seen:
    """Returns how a painting of a job is seen."""
    how = _seen_in(job.recipe.options)
    model = job.reference or job.content
    after = None if model is None or how == "style" else (model, job.shape or job.size)
    return Seen(style, job.style_size, how, after, trim=trims(job.recipe.options))


def _seen_in(options: Mapping[str, Any]) -> str:
    """Returns what is done to the colours of paintings before anything is optimised."""
    how = color_of(options)
    return "style" if how == MATCHED else how


def trims(options: Mapping[str, Any]) -> bool:
    """Tells whether the even frames of paintings are cut off."""
    return not options.get("no-trim")


class Sources:
    """Reads pictures and masks, and keeps those that were used last."""

    def __init__(self) -> None:
        # Enough for the pictures of some batches: jobs come ordered by content, then style.
        self._read = Recent(load_picture, lambda picture: picture.image.nbytes, 2**30)
        self.shape = functools.cache(self._shape)
        self.see = functools.lru_cache(maxsize=4)(self._see)
        self.shapes = functools.cache(self._shapes)
        self.mask = functools.lru_cache(maxsize=16)(self._mask)
        self.faces = functools.lru_cache(maxsize=16)(self._faces_mask)
        self._faces = functools.cache(self._find_faces)
        self._grey = functools.cache(self._is_grey)
        self._frame = functools.cache(self._find_frame)

    def load(self, path: Path, size: Size, *, trim: bool = False) -> Picture:
        """Returns a picture at a longer side, at a height and width, or at the size of its file.

        Args:
          path: the file.
          size: the longer side, or height and width; None for the size of the file.
          trim: whether an even frame is cut off.

        Raises:
          FileNotFoundError, IsADirectoryError, PermissionError: if it cannot be opened.
          FileFormatError: if it is no picture.
          UsageError: if it would be too large at that size.
        """
        try:
            if isinstance(size, tuple):
                return self._read(path, shape=size, trim=trim)
            return self._read(path, size=size, trim=trim)
        except FileFormatError:
            raise
        except ValueError as error:
            raise UsageError(f"{path}: {error}") from None

    def pictures(self, job: "Job") -> tuple[Array | None, Array | None]:
        """Returns the job's photograph and painting as the optimisation sees them."""
        style = None if job.style is None else self.see(seen_style(job.style, job))
        return self.see(self.seen_content(job)), style

    def seen_content(self, job: "Job") -> Seen | None:
        """Returns how the photograph of a job is seen, if it has one."""
        if job.content is None:
            return None
        grey = color_of(job.recipe.options) == "luminance" or self.grey(job)
        return Seen(job.content, job.shape or job.size, "luminance" if grey else "style")

    def trimmed(self, job: "Job") -> dict[str, Frame]:
        """Returns the frames that were cut off a job's paintings, by the painting's file."""
        options = job.recipe.options
        if not trims(options) or "no-trim" not in picture_options(job.recipe.command):
            return {}
        masked = [each for each in options.get("regions", ()) if each.style_mask]
        whole = {str(each.style or job.style) for each in masked}
        frames = {str(path): self._frame(path) for path in job.styles if str(path) not in whole}
        return {path: frame for path, frame in frames.items() if any(frame)}

    def _find_frame(self, path: Path) -> Frame:
        return self.load(path, _FRAME_SIZE, trim=True).frame

    def grey(self, job: "Job") -> bool:
        """Tells whether the picture of a job is grey, because what gives it its colours is.

        Those are the paintings, or the photograph that they are recoloured after.
        """
        how = _seen_in(job.recipe.options)
        if job.recipe.command == "reconstruct" or how == "luminance":
            return False
        sources = [(path, job.style_size) for path in job.styles]
        if how != "style" and job.content is not None:
            sources = [(job.reference or job.content, job.size)]
        return all(self._grey(*source) for source in sources)

    def start(self, job: "Job", shape: Shape) -> Init | Array:
        """Returns what the job's picture starts from: a name, or an image `[*shape, 3]`.

        Raises:
          OptionError: if it is neither a name nor a file.
        """
        init, names = job.recipe.options["init"], starts(job.recipe.command)
        if init in names:
            return cast(Init, init)
        others = {name for command in ("stylize", "texture") for name in starts(command)}
        if init in others or not Path(init).exists():
            raise OptionError(
                "{} {init}: no such file; use {names} or a picture", "init",
                init=init, names=", ".join(names),
            )  # fmt: skip
        image = to_device(self.load(Path(init), shape).image)
        grey = color_of(job.recipe.options) == "luminance"  # as photograph and painting are seen
        return color.greyscale(image) if grey else image

    def finish(self, job: "Job", image: Array) -> Array:
        """Returns the picture to show of an optimised image `[H, W, 3]` of the job."""
        options = job.recipe.options
        content = None
        if job.content is not None:
            content = to_device(self.load(job.content, job.size).image)
        if content is not None and color_of(options) == "luminance":
            return color.with_luminance_of(content, image)
        if job.recipe.command != "apply" and self.grey(job):
            finished = color.greyscale(image)
        elif content is not None and color_of(options) == MATCHED:
            finished = self._in_matched_chroma(job, image, content)
        else:
            return image
        kept = self.kept(job, (image.shape[0], image.shape[1]))
        return finished if kept is None or content is None else Kept(kept, content).over(finished)

    def _in_matched_chroma(self, job: "Job", image: Array, content: Array) -> Array:
        """Returns an image with the photograph's chroma, moved to the colours of its paintings."""
        shares = job.recipe.options.get("mix", (Share(None, 1.0),))
        parts = [
            each.weight
            * color.with_matched_chroma(
                image,
                content,
                cast(Array, self.see(seen_style(Path(each.style or str(job.style)), job))),
            )
            for each in shares
        ]
        mixed: Array = sum(parts[1:], start=parts[0])
        return mixed

    def kept(self, job: "Job", shape: Shape) -> Array | None:
        """Returns the mask of what is left untouched of a job's photograph, if anything is.

        Raises:
          OptionError: if nothing would be left to paint.
        """
        options = job.recipe.options
        option = next((name for name in ("keep", "only") if name in options), None)
        if option is None:
            return None
        path = Path(options[option])
        mask = self.mask(path, shape, option == "only")
        if float(jnp.min(mask)) >= 1:
            colour = "white" if option == "keep" else "black"
            raise OptionError(
                "{} {path}: the mask is {colour} everywhere, so nothing is left to paint", option,
                path=path, colour=colour,
            )  # fmt: skip
        return mask

    def region_masks(self, regions: Sequence[RegionOption], shape: Shape) -> list[Array]:
        """Returns the mask `[*shape]` of each region; the rest is what the others leave."""
        named = {r.mask: self.mask(Path(r.mask), shape) for r in regions if r.mask != REST}
        rest = jnp.clip(1 - sum(named.values(), start=jnp.zeros(shape)), 0.0, 1.0)
        return [named.get(region.mask, rest) for region in regions]

    def _see(self, seen: Seen | None) -> Array | None:
        """Returns the pixels of a picture, `[H, W, 3]`."""
        if seen is None:
            return None
        image = to_device(self.load(seen.path, seen.size, trim=seen.trim).image)
        if seen.how == "style":
            return image
        if seen.content is None:
            return color.greyscale(image)
        recolored: Array = _recolor(image, to_device(self.load(*seen.content).image), how=seen.how)
        return recolored

    def _is_grey(self, path: Path, size: int | None) -> bool:
        return color.is_grey(self.load(path, size).image)

    def _shape(self, path: Path, size: int | None) -> Shape:
        """Returns height and width of a picture at a size, from the header of its file."""
        return scaled(read_shape(path), size)

    def _shapes(self, path: Path, size: int | None) -> tuple[Shape, Shape]:
        """Returns height and width of a picture at a size, and of its file."""
        picture = self.load(path, size)
        return (picture.image.shape[0], picture.image.shape[1]), picture.source_shape

    def _mask(self, path: Path, shape: Shape, inverse: bool = False) -> Array:
        """Returns a mask `[*shape]` from 0 to 1, or its inverse; what is transparent is outside."""
        picture = self.load(path, None)
        mask = jnp.mean(jnp.asarray(picture.image), axis=2)
        mask = mask if picture.alpha is None else mask * picture.alpha
        # A sharper filter would ring, and leave specks along the edges.
        return resize_mask(1 - mask if inverse else mask, shape)

    def _faces_mask(self, path: Path, shape: Shape) -> Array:
        """Returns a mask `[*shape]` of the faces of a photograph, black if there are none.

        Raises:
          OptionError: if nothing is installed that finds faces.
        """
        return to_device(faces.face_mask(self._faces(path), shape))

    def _find_faces(self, path: Path) -> list[faces.Face]:
        try:
            found = faces.find_faces(self.load(path, _FACES_SIZE).image)
        except faces.MissingDetector as error:
            raise OptionError("{} faces {error}", "protect", error=error) from None
        if not found:
            _logger.warning(
                "warning: %s: no face was found, so none is protected; name a mask instead",
                path,
            )
        return found


@functools.partial(jax.jit, static_argnames="how")
def _recolor(style: Array, content: Array, *, how: str) -> Array:
    """Returns the painting recoloured after the photograph, in [0, 1]."""
    if how == "histogram":
        return color.match_histogram(style, content)
    if how == "luminance":
        grey = color.greyscale(content)
        return jnp.clip(color.match_luminance(color.greyscale(style), grey), 0.0, 1.0)
    method: Any = how.removeprefix("match-")
    return jnp.clip(color.match_color(style, content, method), 0.0, 1.0)
