"""Films from Python: calmer than frame by frame, with one program, whatever their length."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.films import pan, pan_flow

import jaxstyle
from jaxstyle.losses.spec import LossSpec
from jaxstyle.losses.targets import compute_targets
from jaxstyle.networks import vgg
from jaxstyle.optimization.transfer import stylize
from jaxstyle.video.carrying import Carry
from jaxstyle.video.painting import go_on, stylize_video
from jaxstyle.video.warping import warp

PARAMS = vgg.init_params(jax.random.key(0), (("conv1_1", 8), ("conv2_1", 8)))
SPEC = LossSpec(content_layers=("relu2_1",), style_layers=("relu1_1", "relu2_1"))
STYLE = jax.random.uniform(jax.random.key(1), (24, 24, 3))
FILM = [jnp.asarray(frame) for frame in pan(4)]
OPTIONS = {"spec": SPEC, "first_steps": 20, "num_steps": 8, "flow": pan_flow()}


def flicker(pictures):
    """The mean squared difference from the picture before, moved by one pixel."""
    return float(np.mean([
        np.square(np.asarray(after)[:, 1:] - np.asarray(before)[:, :-1]).mean()
        for before, after in itertools.pairwise(pictures)
    ]))  # fmt: skip


def paint(**options):
    return list(stylize_video(PARAMS, FILM, STYLE, **{**OPTIONS, **options}))


def test_it_flickers_less_than_frame_by_frame():
    alone = {"spec": SPEC, "num_steps": 20, "init": "noise"}
    noise = [
        stylize(PARAMS, frame, STYLE, key=jax.random.key(number), **alone).image
        for number, frame in enumerate(FILM)
    ]
    film = paint(init="noise")
    assert len(film) == len(FILM)
    assert all(
        p.shape == FILM[0].shape and 0 <= float(p.min()) <= float(p.max()) <= 1 for p in film
    )
    assert flicker(film) < 0.2 * flicker(noise)
    assert flicker(film) < flicker(paint(init="noise", temporal_weight=0.0))


def test_the_first_frame_is_a_picture_of_its_own():
    alone = stylize(PARAMS, FILM[0], STYLE, spec=SPEC, num_steps=20).image
    np.testing.assert_allclose(paint()[0], np.clip(alone, 0, 1), atol=2e-3)


def test_frames_are_read_as_they_are_needed():
    read = []

    def frames():
        for number, frame in enumerate(FILM):
            read.append(number)
            yield frame

    film = stylize_video(PARAMS, frames(), STYLE, **OPTIONS)
    next(film)
    assert read == [0]


def test_all_frames_share_one_program():
    traced = []

    def network(params, image, layers):
        traced.append(1)
        return {layer: image for layer in layers}  # noqa: C420

    spec = LossSpec(content_layers=("relu2_1",), style_layers=("relu1_1",), network=network)
    film = stylize_video(PARAMS, FILM, STYLE, **(OPTIONS | {"spec": spec}))
    next(film)
    next(film)
    first = len(traced)
    assert len(list(film)) == len(FILM) - 2
    assert len(traced) == first


def test_controls_and_statistics_compose():
    keep = jnp.zeros(FILM[0].shape[:2]).at[:10].set(1.0)
    film = paint(keep=keep, calm=0.5)
    for picture, frame in zip(film, FILM, strict=True):
        np.testing.assert_allclose(picture[:10], frame[:10], atol=1e-5)
    spec = LossSpec(content_layers=("relu2_1",), style_layers=("relu1_1",), statistic="moments")
    assert len(paint(spec=spec)) == len(FILM)


def test_further_passes_go_both_ways():
    film = paint(passes=3)
    assert len(film) == len(FILM)
    assert flicker(film) < 1.5 * flicker(paint())


def test_a_function_of_two_pictures_is_flow_too():
    flow = np.zeros((*FILM[0].shape[:2], 2), np.float32) + np.array([1.0, 0.0])
    calls = []

    def between(first, second):
        calls.append(first.shape)
        return flow if len(calls) % 2 else -flow

    assert len(paint(flow=between, long_term=(1,))) == len(FILM)
    assert calls == [(32, 40, 3)] * 6
    moved = warp(FILM[0], -flow)
    np.testing.assert_allclose(moved[:, 1:], FILM[1][:, 1:], atol=1e-6)


def test_it_is_public():
    assert jaxstyle.stylize_video is stylize_video


def test_refusals():
    with pytest.raises(ValueError, match="frame 2 should be of 32×40 pixels like the first"):
        list(stylize_video(PARAMS, [FILM[0], FILM[1][:30]], STYLE, **OPTIONS))
    with pytest.raises(ValueError, match="long_term should rise from 1"):
        stylize_video(PARAMS, FILM, STYLE, long_term=(2,), **OPTIONS)
    with pytest.raises(ValueError, match="passes should be at least 1"):
        stylize_video(PARAMS, FILM, STYLE, passes=0, **OPTIONS)
    with pytest.raises(ValueError, match="temporal_weight should be at least 0"):
        stylize_video(PARAMS, FILM, STYLE, temporal_weight=-1, **OPTIONS)
    with pytest.raises(ValueError, match=r"frame 1 should be in \[0, 1\]"):
        list(stylize_video(PARAMS, [FILM[0] * 255], STYLE, **OPTIONS))


def test_a_start_is_the_earlier_picture_and_beside_it_strokes_like_those_around():
    seen = jnp.ones((32, 40)).at[:, 20].set(0.0).at[5, 30].set(0.0).at[:, :10].set(0.0)
    bands = jnp.broadcast_to(jnp.arange(32)[:, None, None] // 2 % 2, (32, 40, 3)).astype(float)
    carry = Carry(jnp.where(seen[..., None] > 0, bands, 0.3), mask=seen, seen=seen)
    targets = compute_targets(PARAMS, FILM[0], STYLE, SPEC)
    still = jnp.full((32, 40, 3), 0.5)
    start, held = go_on(jnp.zeros((32, 40, 3)), targets, carry, 2.0, still)
    speck = np.zeros((32, 40), bool)
    speck[5, 30] = True
    np.testing.assert_array_equal(start[:, 10:][~speck[:, 10:]], bands[:, 10:][~speck[:, 10:]])
    assert 0.3 < float(start[5, 30, 0]) < 0.7  # a speck has the colours around it
    assert (np.asarray(start)[:, :5] == 0).all()  # a wide place stays as it was
    assert np.asarray(start)[8:24, 9].std(axis=0).max() < 0.1  # at its border too
    weight = np.asarray(held.carried.weight)
    assert (weight[:, 16:25] == 0).all()  # what has just come into view, and what is beside it
    assert (weight[:, :14] == 0).all()
    assert (weight[:, 36:] == 2).all()
    assert (weight[12:, 27:34] == 2).all()
    assert 0 < weight[4, 30] < 2  # a single pixel matters little


def test_a_first_frame_is_held_to_nothing():
    targets = compute_targets(PARAMS, FILM[0], STYLE, SPEC)
    start, held = go_on(FILM[0], targets, None, 2.0, FILM[0])
    assert start is FILM[0]
    assert not np.asarray(held.carried.weight).any()
