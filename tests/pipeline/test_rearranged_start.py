"""`--init rearranged`: with regions, each starts from the pieces of its own painting."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.command_line import STYLIZE, done, pixels, write_picture
from PIL import Image

pytestmark = pytest.mark.usefixtures("compile_faster")
OPTIONS = {"init": "rearranged", "steps": 1, "no_trim": True}


@pytest.fixture(autouse=True)
def _pictures(cli, monkeypatch):
    """Paintings of one colour each, a mask, and a start that has the painting's colour."""
    for name, value in (("style.png", 40), ("paint.png", 200)):
        Image.fromarray(np.full((32, 48, 3), value, np.uint8)).save(name)
    mask = np.zeros((32, 48), np.uint8)
    mask[:, :24] = 255
    Image.fromarray(mask).save("left.png")
    Image.fromarray(mask[:, ::-1] // 2).save("half.png")
    write_picture("content.png", 3)
    monkeypatch.setattr(
        "jaxstyle.optimization.transfer.rearrange",
        lambda _, content, style: jnp.broadcast_to(jnp.mean(style, (0, 1)), content.shape),
    )


def start(cli, folder="frames", **options):
    done(cli(STYLIZE, animate=folder, **OPTIONS | options))
    return pixels(f"{folder}/0000.png").astype(float)


def test_the_painting_is_rearranged(cli):
    np.testing.assert_allclose(start(cli), 40, atol=2)


def test_each_region_starts_from_its_own_painting(cli):
    found = start(cli, regions="left.png,style=paint.png;rest")
    np.testing.assert_allclose(found[:, :12], 200, atol=2)
    np.testing.assert_allclose(found[:, 20:], 40, atol=2)


def test_what_no_region_has_starts_from_the_photograph(cli):
    content = start(cli, "photograph", init="content")
    found = start(cli, regions="left.png,style=paint.png;half.png")
    np.testing.assert_allclose(found[:, :12], 200, atol=2)
    np.testing.assert_allclose(found[:, 20:], 20 + content[:, 20:] / 2, atol=3)


def test_an_empty_region_is_named_before_the_start_is_made(cli, monkeypatch):
    Image.fromarray(np.zeros((32, 48), np.uint8)).save("black.png")
    monkeypatch.setattr("jaxstyle.optimization.transfer.rearrange", None)  # a call would fail
    ran = cli(STYLIZE, **OPTIONS, regions="black.png,style=paint.png;rest")
    assert "--regions: region black.png is empty; its mask is black everywhere" in ran.err
    assert len(ran.err.splitlines()) == 1
