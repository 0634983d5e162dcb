"""Networks that paint in one pass."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.files import FastNetwork, Style, load_network, save_network
from jaxstyle.feedforward.network import _enlarged, init_network, paint
from jaxstyle.feedforward.palette import measure_colors, move_colors
from jaxstyle.feedforward.trainer import Stage, make_schedule
from jaxstyle.image.color import match_color

TINY = Architecture(widths=(2, 3, 4), blocks=1, kernels=(3, 3))
IMAGE, OTHER = np.random.default_rng(0).uniform(size=(2, 13, 18, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def params():
    return init_network(jax.random.key(0), TINY, styles=2)


def painted(params, image, style, architecture=TINY):
    return np.asarray(paint(params, image, jnp.asarray(style), architecture=architecture))


def test_a_picture_keeps_its_size_and_a_map_of_one_style_is_that_style(params):
    style = jnp.array([0.25, 0.75])
    whole = painted(params, IMAGE, style)
    assert whole.shape == IMAGE.shape
    everywhere = jnp.broadcast_to(style, (13, 18, 2))
    np.testing.assert_allclose(painted(params, IMAGE, everywhere), whole, atol=1e-5)


def test_a_new_network_gives_nearly_the_photograph_in_the_paintings_colours(params):
    colors = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), measure_colors(OTHER))
    found = painted({**params, "colors": colors}, IMAGE, [1.0, 0.0])
    np.testing.assert_allclose(found, match_color(IMAGE, OTHER, "symmetric"), atol=0.2)


def test_flat_grey_stays_flat(params):
    found = painted(params, jnp.full((16, 24, 3), 0.5), [0.5, 0.5])
    np.testing.assert_allclose(found, np.broadcast_to(found[:1, :1], found.shape), atol=1e-4)


def test_colours_are_those_of_the_painting():
    colors = jax.tree.map(lambda leaf: leaf[None], measure_colors(OTHER))
    np.testing.assert_allclose(
        move_colors(IMAGE, colors, jnp.ones(1)), match_color(IMAGE, OTHER, "symmetric"), atol=1e-5
    )


@pytest.mark.parametrize("padding", ["reflect", "zero"])
def test_four_small_convolutions_are_one_of_the_enlarged_map(padding):
    kernel = np.random.default_rng(1).normal(size=(3, 3, 3, 4)).astype(np.float32)
    large = np.repeat(np.repeat(IMAGE, 2, 0), 2, 1)
    mode = "reflect" if padding == "reflect" else "constant"
    around = np.pad(large, ((1, 1), (1, 1), (0, 0)), mode=mode)
    h, w, _ = large.shape
    taps = ((i, j, around[i : i + h, j : j + w]) for i in range(3) for j in range(3))
    expected = sum(window @ kernel[i, j] for i, j, window in taps)
    np.testing.assert_allclose(_enlarged(IMAGE, kernel, padding), expected, atol=1e-4)


def test_what_cannot_be_is_refused(params):
    with pytest.raises(ValueError, match=r"style should be \[2\] or \[H, W, 2\]"):
        paint(params, IMAGE, jnp.ones(3), architecture=TINY)
    with pytest.raises(ValueError, match="kernels should be two odd numbers"):
        dataclasses.replace(TINY, kernels=(9, 4))


def test_a_file_holds_all_that_is_needed(params, tmp_path):
    thumbnails = np.zeros((2, 4, 4, 3), np.uint8)
    network = FastNetwork(params, TINY, (Style("waves", "Hokusai"), Style("night")), thumbnails)
    save_network(tmp_path / "net.safetensors", network, dtype="float32")
    found = load_network(tmp_path / "net.safetensors")
    assert (found.architecture, found.styles) == (TINY, network.styles)
    jax.tree.map(np.testing.assert_array_equal, found.params, dict(params))
    assert found.weigh({"night": 3, "waves": 1}).tolist() == [0.25, 0.75]
    with pytest.raises(UsageError, match="no style is called 'dawn'; there are waves, night"):
        found.weigh({"dawn": 1})


def test_a_file_of_another_kind_is_refused(tmp_path, params):
    (tmp_path / "a.safetensors").write_bytes(b"no network")
    with pytest.raises(FileFormatError, match="not a safetensors file"):
        load_network(tmp_path / "a.safetensors")
    wider = dataclasses.replace(TINY, widths=(2, 3, 5))
    network = FastNetwork(params, wider, (Style("a"), Style("b")))
    save_network(tmp_path / "b.safetensors", network)
    with pytest.raises(FileFormatError, match=r"should be \[.*\], is \["):
        load_network(tmp_path / "b.safetensors")


def test_stages_take_their_shares_of_the_steps():
    schedule = make_schedule(100, [("compact", 128, 0.2), ("vgg19", 192, 0.8)], rate=1.0)
    assert schedule.stages == (Stage("compact", 128, 20), Stage("vgg19", 192, 80))
    assert schedule.stage_at(19).teacher == "compact"
    assert schedule.stage_at(20).teacher == "vgg19"
    assert schedule.rate_at(0) == 1.0
    assert schedule.rate_at(99) < 1e-3
