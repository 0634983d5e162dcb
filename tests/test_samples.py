"""The sample pictures are what their script draws."""

import numpy as np
import pytest

from jaxstyle import load_image, samples
from scripts.reproduction import draw_samples


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "draw"),
    [(samples.LAKE, draw_samples.draw_lake), (samples.SWIRLS, draw_samples.draw_swirls)],
)
def test_the_script_draws_the_shipped_pictures(path, draw):
    drawn = draw()
    shipped = np.asarray(load_image(path))
    assert drawn.shape == shipped.shape == (288, 384, 3)
    # Rounding to 8 bits, and here and there an edge that another Pillow draws otherwise.
    assert np.abs(drawn - shipped).mean() < 1 / 255


def test_the_pictures_are_small():
    assert sum(path.stat().st_size for path in (samples.LAKE, samples.SWIRLS)) < 500_000
