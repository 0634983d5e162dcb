"""What a worker does while nobody asks: it makes ready what the first pictures will need.

Programs are compiled for a size and proportions. So the sample is painted in those of most
photographs, in one pass and then with a step of polish, and nothing of it is kept but the programs,
which `jaxstyle._common.kept` also finds again after the next start.
"""

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings

from jaxstyle import samples
from jaxstyle.feedforward.files import load_network
from jaxstyle.image import io
from jaxstyle.networks.catalogue import PAINTBOX, find_fast_network
from jaxstyle.pipeline.job import Batch, group, make_batches, make_job
from jaxstyle.pipeline.options import check_options
from jaxstyle.pipeline.painting_options import QUICK_STEPS
from jaxstyle.pipeline.run import Interrupted, run_batch
from jaxstyle.pipeline.sinks import PictureFile
from jaxstyle.pipeline.studio import Studio
from jaxstyle.pipeline.track import Track
from jaxstyle.web.examples import make_tile

# Height and width of a photograph: phones, cameras, and both upright.
_PROPORTIONS = ((3, 4), (4, 3), (2, 3), (3, 2))
# One pass, the page's usual polish, and that of a first picture like a visitor's own painting.
_STEPS = (0, 60, QUICK_STEPS)


def tasks() -> Iterator[Callable[[], Batch | None]]:
    """Yields what can be made ready, the most useful first.

    Programs come first, each of which returns what it was run for. Then come the pictures that
    stand for the styles of the page.
    """
    size = settings.WARM_SIZE
    if not size:
        return
    for polish in _STEPS:
        for height, width in _PROPORTIONS:
            longer = max(height, width)
            shape = round(size * height / longer), round(size * width / longer)
            yield functools.partial(_paint, shape, polish)
    for style in load_network(find_fast_network(PAINTBOX)).styles:
        yield functools.partial(make_tile, style.name)


def _paint(shape: tuple[int, int], polish: int) -> Batch:
    """Paints the sample at a height and width, and returns what was run."""
    with tempfile.TemporaryDirectory() as name:
        photograph = Path(name) / "photograph.png"
        io.save_image(photograph, io.load_image(samples.LAKE, shape=shape))
        options = check_options("apply", {"size": max(shape), "polish": polish})
        job = make_job("apply", photograph, None, photograph.with_name("picture.png"), options)
        studio = Studio([job], download=False)
        [(program, jobs)] = group(studio.shape, [job]).items()
        [batch] = make_batches(program, jobs, 1)
        with contextlib.suppress(Interrupted):
            run_batch(studio, batch, lambda _: [PictureFile(studio), _Once()])
    return batch


class _Once:
    """Ends a run after its first step: what is compiled depends on how many there would be."""

    every: int | None = None
    needed = False

    def report(self, track: Track) -> None:
        """Ends the run once a step was made."""
        if 0 < track.step < track.num_steps:
            raise KeyboardInterrupt

    def close(self, track: Track) -> None:
        """Leaves the end to others."""
