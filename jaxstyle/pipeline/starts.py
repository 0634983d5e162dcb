"""What the picture of a job starts from."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import jax.numpy as jnp
from jax import Array

from jaxstyle.errors import OptionError
from jaxstyle.optimization.transfer import Init, initial_image
from jaxstyle.pipeline.file_options import RegionOption, Share
from jaxstyle.pipeline.firsts import in_colors_of
from jaxstyle.pipeline.polish import measure_mixture, polish
from jaxstyle.pipeline.sources import seen_style

if TYPE_CHECKING:
    from jaxstyle.pipeline.job import Job
    from jaxstyle.pipeline.studio import Studio

FAST = "fast"
"""The start that some steps with the compact network have made."""

_MATCHED: Init = "matched"
_REARRANGED: Init = "rearranged"
_STEPS = 10  # those of `apply --method quick`


def start_of(
    studio: "Studio",
    job: "Job",
    shape: tuple[int, int],
    content: Array | None,
    style: Array | None,
) -> Init | Array:
    """Returns what a job's picture starts from: a name that `initial_image` knows, or an image.

    Args:
      studio: reads pictures.
      job: the job.
      shape: height and width of the picture.
      content: its photograph, as it is seen.
      style: its painting, as it is seen.

    Raises:
      OptionError: if there is no such start.
      OSError, FileFormatError: if a picture of the user's cannot be read.
    """
    options = job.recipe.options
    if options["init"] == _REARRANGED and "regions" in options:
        return _rearranged_by_regions(studio, job, shape)
    mixed = options["init"] == _MATCHED and "mix" in options  # else its name is enough
    if options["init"] != FAST and not mixed:
        return studio.sources.start(job, shape)
    assert content is not None
    assert style is not None
    mixture = options.get("mix", (Share(None, 1.0),))
    paintings = cast(
        list[Array],
        [
            style if each.style is None else studio.sources.see(seen_style(Path(each.style), job))
            for each in mixture
        ],
    )
    shares = [each.weight for each in mixture]
    return (
        in_colors_of(paintings, shares, content)
        if mixed
        else begin_fast(content, paintings, shares)
    )


def _rearranged_by_regions(studio: "Studio", job: "Job", shape: tuple[int, int]) -> Array:
    """Returns the photograph, in each region painted with the pieces of that region's painting."""
    _, network = studio.suited(job)
    content, _ = studio.sources.pictures(job)
    assert content is not None
    regions: Sequence[RegionOption] = job.recipe.options["regions"]
    masks = studio.sources.region_masks(regions, shape)
    for mask, region in zip(masks, regions, strict=True):
        if not float(jnp.max(mask)):  # said before the start is made, which takes a while
            raise OptionError(
                "{}: region {mask} is empty; its mask is black everywhere", "regions",
                mask=region.mask,
            )  # fmt: skip
    made: dict[str, Array] = {}
    for name in dict.fromkeys(str(region.style or job.style) for region in regions):
        painting = studio.sources.see(seen_style(Path(name), job))
        made[name] = initial_image(
            _REARRANGED, shape, network.params, content=content, style=painting
        )
    total = sum(masks[1:], start=masks[0])[..., None]
    parts = [
        mask[..., None] * made[str(region.style or job.style)]
        for mask, region in zip(masks, regions, strict=True)
    ]
    # Where masks leave a pixel out, it starts from the photograph.
    blended = sum(parts[1:], start=parts[0]) / jnp.maximum(total, 1.0)
    image: Array = blended + jnp.maximum(1 - total, 0.0) * content
    return image


def begin_fast(
    photograph: Array, paintings: Sequence[Array], shares: Sequence[float] = (1.0,)
) -> Array:
    """Returns what ten steps with the compact network make of a photograph in paintings' colours.

    It is the picture of `jaxstyle apply --painting`, before it is saved.

    Args:
      photograph: `[H, W, 3]` in [0, 1].
      paintings: each `[H', W', 3]` in [0, 1].
      shares: how much each of them counts.

    Returns:
      `[H, W, 3]` in [0, 1].
    """
    start = in_colors_of(paintings, shares, photograph)
    *_, (image, _) = polish(start, photograph, measure_mixture(paintings, shares), _STEPS)
    return image
