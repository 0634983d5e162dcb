"""Photographs that move with a known flow, and the small changes that cameras make."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxstyle.video.disturbing import compress, disturb
from jaxstyle.video.motion import chain, move_photograph
from jaxstyle.video.warping import warp

pytestmark = pytest.mark.usefixtures("compile_faster")
SIDE, COUNT = 48, 4
_move = jax.jit(move_photograph, static_argnums=(3, 4))


def smooth(phase):
    """A picture that sampling between pixels hardly changes."""
    y, x = np.mgrid[:60, :60] / 60
    waves = [np.sin(2 * np.pi * (x + phase)), np.cos(2 * np.pi * y + phase), np.sin(5 * (x - y))]
    return jnp.asarray(0.5 + 0.4 * np.stack(waves, -1), jnp.float32)


BACKGROUND, OTHER = smooth(0.0), 1 - smooth(0.4)


@pytest.fixture(scope="module")
def motions():
    return [_move(jax.random.key(i), BACKGROUND, OTHER, SIDE, COUNT) for i in range(6)]


def test_each_frame_is_carried_onto_the_next_where_the_mask_is_one(motions):
    moved = []
    for motion in motions:
        assert motion.frames.shape == (COUNT, SIDE, SIDE, 3)
        carried = warp(motion.frames[:-1], motion.flows)
        wrong = np.abs(carried - motion.frames[1:]).max(-1)
        known = np.asarray(motion.masks)
        assert set(np.unique(known)) <= {0.0, 1.0}
        assert known.mean() > 0.7
        assert wrong[known == 1].max() < 0.01
        moved.append(float(np.abs(motion.flows).max()))
    assert max(moved) > 1


def test_flow_through_several_frames_leads_from_the_last_to_the_first(motions):
    for motion in motions:
        flow, mask = chain(motion.flows, motion.masks)
        wrong = np.abs(warp(motion.frames[0], flow) - motion.frames[-1]).max(-1)
        assert 0.3 < mask.mean() <= motion.masks[-1].mean()
        assert wrong[np.asarray(mask) == 1].max() < 0.015


def test_what_is_hidden_or_outside_is_not_known(motions):
    wrong, hidden = [], []
    for motion in motions:
        carried = warp(motion.frames[:-1], motion.flows)
        unknown = np.asarray(motion.masks) == 0
        hidden.append(unknown.mean())
        wrong.extend(np.abs(carried - motion.frames[1:]).max(-1)[unknown])
        y, x = np.mgrid[:SIDE, :SIDE]
        there = np.stack([x, y], -1) + np.asarray(motion.flows)
        outside = ((there < 0) | (there > SIDE - 1)).any(-1)
        assert not np.asarray(motion.masks)[outside].any()
    assert max(hidden) > 0.02
    assert np.quantile(wrong, 0.9) > 0.05


def test_motion_follows_from_the_key_and_works_under_vmap(motions):
    keys = jax.random.split(jax.random.key(7), 2)
    move = jax.vmap(lambda key: move_photograph(key, BACKGROUND, OTHER, SIDE, 2))
    both = move(keys)
    alone = _move(keys[1], BACKGROUND, OTHER, SIDE, 2)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, atol=1e-5), both, alone)
    assert np.abs(both.frames[0] - both.frames[1]).mean() > 1e-3


def test_some_layers_stand_still():
    still = 0
    for i in range(20):
        motion = _move(jax.random.key(i), BACKGROUND, OTHER, SIDE, 2)
        still += float(jnp.mean(jnp.all(jnp.abs(motion.flows) < 1e-3, axis=-1))) > 0.5
    assert 1 <= still <= 10


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="count should be at least 2, got 1"):
        move_photograph(jax.random.key(0), BACKGROUND, OTHER, SIDE, 1)
    with pytest.raises(ValueError, match=r"of one size, got \[60, 60, 3\] and \[10, 60, 3\]"):
        move_photograph(jax.random.key(0), BACKGROUND, OTHER[:10], SIDE, 2)


def test_compression_is_that_of_jpeg():
    """Pillow's quality 50 without subsampling takes the standard's tables as they are.

    It rounds the colours before the transform, so that some waves fall on the other side of a step.
    """
    rng = np.random.default_rng(0)
    pixels = (255 * np.clip(smooth(0.1)[:40, :56] + rng.normal(0, 0.1, (40, 56, 3)), 0, 1)).round()
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG", quality=50, subsampling=0)
    theirs = np.asarray(Image.open(file)) / 255
    ours = np.asarray(compress(jnp.asarray(pixels / 255, jnp.float32)))
    lost = np.abs(theirs - pixels / 255).mean()
    assert lost > 0.03
    assert np.abs(ours - theirs).mean() < 0.2 * lost


def test_disturbances_are_small_and_not_always_there():
    frame = BACKGROUND[:20, :30]
    keys = jax.random.split(jax.random.key(0), 40)
    disturbed = jax.jit(jax.vmap(disturb, (0, None)))(keys, frame)
    changes = np.abs(disturbed - frame).mean((1, 2, 3))
    assert 1 <= (changes < 1e-6).sum() <= 15
    assert 0.005 < changes.max() < 0.1
    assert disturbed.min() >= 0
    assert disturbed.max() <= 1
