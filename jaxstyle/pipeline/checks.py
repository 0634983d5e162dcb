"""Finds what is wrong with the pictures of a job before a network is wanted."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxstyle.errors import OptionError, naming
from jaxstyle.losses.spec import LossSpec
from jaxstyle.networks import vgg
from jaxstyle.networks.convolution import Padding
from jaxstyle.pipeline.file_options import FACES

if TYPE_CHECKING:
    from jaxstyle.pipeline.job import Job
    from jaxstyle.pipeline.studio import Studio


def check_pictures(job: "Job", studio: "Studio", spec: LossSpec, padding: Padding) -> None:
    """Reads all pictures and masks of a job, and looks at their sizes.

    An error names the option that named the file.

    Args:
      job: the job.
      studio: reads them.
      spec: what is compared.
      padding: of the network.

    Raises:
      UsageError: if a picture is too small for the layers, or cannot be a start.
      OSError, FileFormatError: if a picture or a mask cannot be read.
    """
    for path, size in job.sources:
        layers = spec.layers if path == job.content else spec.style_layers
        with naming(job.option_of(path)):
            shapes = studio.sources.shapes(path, size)
            _check_sizes(path, *shapes, _size_option(job, path), layers, padding)
    height, width = shape = studio.shape(job)
    try:
        vgg.check_size(shape, spec.layers, padding)
    except ValueError as error:
        raise OptionError(
            "{} {width}x{height}: {error}", "output-size", width=width, height=height, error=error
        ) from None
    with naming("init"):
        studio.sources.start(job, shape)
    for role, path in job.named_files:
        if role == "mask":
            with naming(job.option_of(path)):
                studio.sources.mask(path, shape)
    studio.sources.kept(job, shape)
    if job.recipe.options.get("protect") == FACES and job.content is not None:
        studio.sources.faces(job.content, shape)


def _size_option(job: "Job", path: Path) -> str:
    """Returns the option that decides the size of one of a job's pictures."""
    given = [
        name for name in ("style-size", "style-scale", "strokes") if name in job.recipe.options
    ]
    return given[0] if given and path != job.content else "size"


def _check_sizes(
    path: Path,
    shape: tuple[int, int],
    source: tuple[int, int],
    option: str,
    layers: Sequence[str],
    padding: Padding,
) -> None:
    """Raises `OptionError` if a picture is too small, in its file or at the size asked for."""
    remedies = {
        source: "use a larger picture, or layers of earlier blocks",
        shape: "use a larger {}, or layers of earlier blocks",
    }
    for each, remedy in remedies.items():
        try:
            vgg.check_size(each, layers, padding)
        except ValueError as error:
            message = "{path}: {error}; " + remedy
            raise OptionError(message, option, path=path, error=error) from None
