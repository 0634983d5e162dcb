"""What the optimisation sees of a job's pictures, and what is shown of the one that it makes.

Both depend on the option `color`; see `jaxstyle.pipeline.options.COLORS`.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle.image import color
from jaxstyle.image.io import Picture
from jaxstyle.pipeline.job import Job


class Seen(NamedTuple):
    """A picture as the optimisation sees it: all that its pixels depend on.

    Attributes:
      path: the picture's file.
      size: its longer side, or its height and width.
      how: what is done to its colours, "style" for nothing.
      content: file and longer side of the photograph that a painting is recoloured after.
    """

    path: Path
    size: int | tuple[int, int]
    how: str
    content: tuple[Path, int | tuple[int, int]] | None = None


def seen_content(job: Job) -> Seen | None:
    """The photograph of a job, if it has one."""
    if job.content is None:
        return None
    grey = job.recipe.options.get("color") == "luminance"
    return Seen(job.content, job.shape or job.size, "luminance" if grey else "style")


def seen_style(style: Path, job: Job) -> Seen:
    """A painting of a job."""
    how = job.recipe.options.get("color", "style")
    after = None if job.content is None or how == "style" else (job.content, job.shape or job.size)
    return Seen(style, job.style_size, how, after)


def load_at(load: Callable[..., Picture], path: Path, size: int | tuple[int, int]) -> Picture:
    """A picture at a longer side, or at a height and width."""
    return load(path, size=size) if isinstance(size, int) else load(path, shape=size)


def see(seen: Seen | None, load: Callable[..., Picture]) -> Array | None:
    """The pixels of a picture, `[H, W, 3]`.

    Args:
      seen: the picture, if there is one.
      load: reads a file at a size, as `jaxstyle.image.io.load_picture` does.
    """
    if seen is None:
        return None
    image = jnp.asarray(load_at(load, seen.path, seen.size).image)
    if seen.how == "style":
        return image
    if seen.content is None:
        return color.greyscale(image)
    path, size = seen.content
    recolored: Array = _recolor(image, jnp.asarray(load_at(load, path, size).image), how=seen.how)
    return recolored


def finish(image: Array, content: Picture | None, options: Mapping[str, Any]) -> Array:
    """The picture to show.

    Args:
      image: `[H, W, 3]`, what the optimisation has made.
      content: the photograph of the job, if it has one.
      options: the job's.
    """
    if content is None or options.get("color") != "luminance":
        return image
    return color.with_luminance_of(jnp.asarray(content.image), image)


@functools.partial(jax.jit, static_argnames="how")
def _recolor(style: Array, content: Array, *, how: str) -> Array:
    """The painting recoloured after the photograph, in [0, 1]."""
    if how == "histogram":
        return color.match_histogram(style, content)
    if how == "luminance":
        grey = color.greyscale(content)
        return jnp.clip(color.match_luminance(color.greyscale(style), grey), 0.0, 1.0)
    method: Any = how.removeprefix("match-")
    return jnp.clip(color.match_color(style, content, method), 0.0, 1.0)
