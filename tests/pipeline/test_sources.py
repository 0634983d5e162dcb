"""Pictures and masks as the optimisation sees them."""

import numpy as np
import pytest
from PIL import Image

from jaxstyle.pipeline.sources import Sources

INSIDE = np.zeros((8, 12), np.uint8)
INSIDE[2:6, 3:9] = 255


def palette_with_alpha():
    image = Image.fromarray(np.where(INSIDE > 0, 1, 0).astype(np.uint8), "L").convert("P")
    image.putdata(list((INSIDE > 0).ravel().astype(int)))
    image.putpalette([255, 255, 255] * 2)
    image.info["transparency"] = bytes([0, 255])
    return image


@pytest.mark.parametrize("shape", [(8, 12), (16, 24)])
@pytest.mark.parametrize(
    "painted",
    [
        Image.fromarray(np.stack([np.full_like(INSIDE, 255)] * 3 + [INSIDE], -1)),  # hidden white
        Image.fromarray(np.stack([INSIDE] * 4, -1)),  # hidden black
        Image.merge("LA", [Image.new("L", (12, 8), 255), Image.fromarray(INSIDE)]),
        palette_with_alpha(),
    ],
    ids=["RGBA", "RGBA over black", "LA", "palette"],
)
def test_what_is_transparent_in_a_mask_is_outside(tmp_path, painted, shape):
    painted.save(tmp_path / "painted.png")
    Image.fromarray(INSIDE).save(tmp_path / "opaque.png")
    sources = Sources()
    mask = sources.mask(tmp_path / "painted.png", shape)
    np.testing.assert_allclose(mask, sources.mask(tmp_path / "opaque.png", shape), atol=1 / 510)
    assert (mask.min(), mask.max()) == (0, 1)


def test_opacity_makes_the_edge_of_a_mask_soft(tmp_path):
    Image.fromarray(np.uint8([[[255, 255, 255, 51], [100, 100, 100, 255]]])).save(
        tmp_path / "a.png"
    )
    mask = Sources().mask(tmp_path / "a.png", (1, 2))
    np.testing.assert_allclose(mask, [[51 / 255, 100 / 255]], atol=1e-6)
