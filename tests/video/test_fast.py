"""Frames painted one after another by a network."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.fast_networks import TINY, draw_network

from jaxstyle.feedforward.network import paint
from jaxstyle.feedforward.previous import Previous
from jaxstyle.video.fast import paint_frames, paint_next
from jaxstyle.video.warping import warp

pytestmark = pytest.mark.usefixtures("compile_faster")
VIDEO = dataclasses.replace(TINY, previous=True)
STYLE = jnp.array([0.3, 0.7])
RNG = np.random.default_rng(0)
FRAMES = jnp.asarray(RNG.uniform(size=(3, 12, 16, 3)), jnp.float32)
FLOWS = jnp.asarray(RNG.uniform(-2, 2, (2, 12, 16, 2)), jnp.float32)
MASKS = jnp.asarray(RNG.integers(0, 2, (2, 12, 16)), jnp.float32)


def test_each_frame_goes_on_from_the_picture_before_it():
    params = draw_network(VIDEO).params
    whole = jax.jit(paint_frames, static_argnames="architecture")(
        params, FRAMES, FLOWS, MASKS, STYLE, architecture=VIDEO
    )
    one = jax.jit(paint_next, static_argnames="architecture")
    picture = one(params, FRAMES[0], STYLE, architecture=VIDEO)
    np.testing.assert_allclose(picture, whole[0], atol=1e-5)
    for i in (1, 2):
        warped = warp(picture, FLOWS[i - 1], sharp=True).clip(0, 1)
        before = Previous(warped, MASKS[i - 1])
        expected = paint(params, FRAMES[i], STYLE, architecture=VIDEO, previous=before)
        picture = one(params, FRAMES[i], STYLE, *before, architecture=VIDEO)
        np.testing.assert_allclose(picture, np.clip(expected, 0, 1), atol=1e-5)
        np.testing.assert_allclose(picture, whole[i], atol=1e-4)
    alone = one(params, FRAMES[2], STYLE, architecture=VIDEO)
    assert np.abs(alone - whole[2]).mean() > 0.01
    assert whole.min() >= 0
    assert whole.max() <= 1


def test_a_network_for_pictures_paints_each_frame_by_itself():
    params = draw_network().params
    expected = paint(params, FRAMES[1], STYLE, architecture=TINY)
    found = paint_next(params, FRAMES[1], STYLE, FRAMES[0], MASKS[0], architecture=TINY)
    np.testing.assert_allclose(found, np.clip(expected, 0, 1), atol=1e-5)


def test_half_of_what_was_before_is_refused():
    params = draw_network(VIDEO).params
    for given in ({"warped": FRAMES[0]}, {"mask": MASKS[0]}):
        with pytest.raises(ValueError, match="warped and mask should be given together"):
            paint_next(params, FRAMES[1], STYLE, **given, architecture=VIDEO)
