"""Networks that take the picture of the frame before."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.fast_networks import TINY, draw_network

from jaxstyle.feedforward.files import load_network, save_network
from jaxstyle.feedforward.network import init_network, paint
from jaxstyle.feedforward.previous import MOST, Previous, nothing_before, widen

pytestmark = pytest.mark.usefixtures("compile_faster")
VIDEO = dataclasses.replace(TINY, previous=True)
STYLE = jnp.array([0.3, 0.7])
RNG = np.random.default_rng(0)
IMAGE, PICTURE = jnp.asarray(RNG.uniform(size=(2, 13, 18, 3)), jnp.float32)
MASK = jnp.asarray(RNG.integers(0, 2, (13, 18)), jnp.float32)

_paint = jax.jit(paint, static_argnames="architecture")


def test_a_network_that_is_widened_paints_the_same_picture_whatever_was_before():
    params = draw_network().params
    wide, form = widen(params, TINY)
    assert form == VIDEO
    plain = _paint(params, IMAGE, STYLE, architecture=TINY)
    for previous in (None, Previous(PICTURE, MASK)):
        found = _paint(wide, IMAGE, STYLE, architecture=form, previous=previous)
        np.testing.assert_allclose(found, plain, atol=1e-5)
    assert widen(wide, form) == (wide, form)
    with pytest.raises(ValueError, match="paints like any painting takes no previous picture"):
        widen({**params, "predictor": {}}, TINY)


def test_what_was_before_counts_only_where_it_is_known():
    params = draw_network(VIDEO).params
    found = {
        name: _paint(params, IMAGE, STYLE, architecture=VIDEO, previous=previous)
        for name, previous in {
            "first": None,
            "nothing": nothing_before((13, 18)),
            "unknown": Previous(PICTURE, jnp.zeros((13, 18))),
            "known": Previous(PICTURE, MASK),
            "other where unknown": Previous(PICTURE + 9 * (1 - MASK[..., None]), MASK),
        }.items()
    }
    np.testing.assert_allclose(found["first"], found["nothing"], atol=1e-5)
    np.testing.assert_allclose(found["first"], found["unknown"], atol=1e-5)
    np.testing.assert_allclose(found["known"], found["other where unknown"], atol=1e-5)
    assert np.abs(found["known"] - found["first"]).mean() > 0.01


@pytest.mark.parametrize("output", ["residual", "sigmoid", "tanh", "linear"])
def test_what_is_painted_is_laid_over_the_previous_picture_where_that_is_known(output):
    form = dataclasses.replace(VIDEO, output=output)
    params = draw_network(form).params | {"previous": {"gate": jnp.full((2, 3), 9.0)}}
    previous = Previous(PICTURE, MASK)
    found = _paint(params, IMAGE, STYLE, architecture=form, previous=previous)
    painted = _paint(
        params | {"previous": {"gate": jnp.zeros((2, 3))}}, IMAGE, STYLE, architecture=form,
        previous=previous,
    )  # fmt: skip
    laid = MOST * PICTURE + (1 - MOST) * painted
    np.testing.assert_allclose(found[MASK == 1], laid[MASK == 1], atol=1e-5)
    np.testing.assert_allclose(found[MASK == 0], painted[MASK == 0], atol=1e-5)


def test_a_picture_in_a_larger_image_and_a_map_of_styles():
    form = dataclasses.replace(VIDEO, output="residual")
    params = draw_network(form).params
    whole = _paint(params, IMAGE, STYLE, architecture=form, previous=Previous(PICTURE, MASK))
    around = ((0, 3), (0, 2))
    image, picture = (
        jnp.pad(each, (*around, (0, 0)), constant_values=5) for each in (IMAGE, PICTURE)
    )
    previous = Previous(picture, jnp.pad(MASK, around, constant_values=1))
    found = _paint(
        params, image, STYLE, architecture=form, size=np.array([13, 18]), previous=previous
    )
    np.testing.assert_allclose(found[:13, :18], whole, atol=5e-5)
    everywhere = jnp.broadcast_to(STYLE, (13, 18, 2))
    found = _paint(params, IMAGE, everywhere, architecture=form, previous=Previous(PICTURE, MASK))
    np.testing.assert_allclose(found, whole, atol=1e-5)


def test_its_file_says_so_and_one_without_is_as_before(tmp_path):
    save_network(tmp_path / "video.safetensors", draw_network(VIDEO), dtype="float32")
    found = load_network(tmp_path / "video.safetensors")
    assert found.architecture == VIDEO
    jax.tree.map(np.testing.assert_array_equal, found.params, draw_network(VIDEO).params)
    save_network(tmp_path / "plain.safetensors", draw_network())
    assert b"previous" not in (tmp_path / "plain.safetensors").read_bytes()
    assert not load_network(tmp_path / "plain.safetensors").architecture.previous


def test_a_drawn_one_begins_without_a_share_of_the_previous_picture():
    params = jax.eval_shape(lambda: init_network(jax.random.key(0), VIDEO, styles=2))
    assert params["contract1"]["kernel"].shape == (5, 5, 7, 3)
    assert params["previous"]["gate"].shape == (2, 3)


def test_what_does_not_fit_is_refused():
    plain, video = draw_network().params, draw_network(VIDEO).params
    with pytest.raises(ValueError, match="previous should be None: this network paints each"):
        paint(plain, IMAGE, STYLE, architecture=TINY, previous=Previous(PICTURE, MASK))
    with pytest.raises(ValueError, match=r"a picture \[13, 18, 3\] and a mask \[13, 18\], as the"):
        paint(video, IMAGE, STYLE, architecture=VIDEO, previous=Previous(PICTURE, MASK[..., None]))
