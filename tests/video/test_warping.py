"""Warping against analytic motion, its gradient, and where flow is to be trusted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.numerics import close
from jax.test_util import check_grads

from jaxstyle.video.warping import consistency_mask, temporal_loss, warp

RNG = np.random.default_rng(0)
IMAGE = jnp.asarray(RNG.uniform(0, 1, (7, 9, 3)), jnp.float32)
FLOW = jnp.asarray(RNG.uniform(-3, 3, (7, 9, 2)), jnp.float32)


def uniform(dx, dy, shape=(16, 20)):
    return jnp.broadcast_to(jnp.array([dx, dy], jnp.float32), (*shape, 2))


def wave(x, y):
    """A picture without corners, at any point."""
    return np.stack([np.sin(0.2 * x), np.cos(0.15 * y), np.sin(0.1 * (x + y))], axis=-1)


def grid(height, width):
    y, x = np.mgrid[:height, :width].astype(np.float64)
    return x, y


def numpy_warp(image, flow):
    """Bilinear samples, one pixel at a time, in double precision."""
    image, flow = np.asarray(image, np.float64), np.asarray(flow, np.float64)
    height, width, _ = image.shape
    result = np.zeros_like(image)
    for i in range(height):
        for j in range(width):
            x = min(max(j + flow[i, j, 0], 0), width - 1)
            y = min(max(i + flow[i, j, 1], 0), height - 1)
            for row in range(height):
                for column in range(width):
                    weight = max(0, 1 - abs(x - column)) * max(0, 1 - abs(y - row))
                    result[i, j] += weight * image[row, column]
    return result


def test_warp_agrees_with_numpy():
    np.testing.assert_allclose(warp(IMAGE, FLOW), numpy_warp(IMAGE, FLOW), atol=1e-6)


def test_no_flow_changes_nothing():
    np.testing.assert_array_equal(warp(IMAGE, jnp.zeros_like(FLOW)), IMAGE)


def test_whole_pixels_are_copied_and_edges_repeated():
    moved = warp(IMAGE, uniform(2, -1, (7, 9)))
    np.testing.assert_array_equal(moved[1:, :-2], IMAGE[:-1, 2:])
    np.testing.assert_array_equal(moved[0, :-2], IMAGE[0, 2:])
    np.testing.assert_array_equal(moved[1:, -1], IMAGE[:-1, -1])


def test_a_rotation_and_a_zoom_of_a_smooth_picture():
    x, y = grid(48, 48)
    angle, scale, centre = 0.05, 1.04, 23.5
    across = scale * (np.cos(angle) * (x - centre) - np.sin(angle) * (y - centre)) + centre
    down = scale * (np.sin(angle) * (x - centre) + np.cos(angle) * (y - centre)) + centre
    flow = np.stack([across - x, down - y], axis=-1)
    moved = warp(jnp.asarray(wave(x, y), jnp.float32), jnp.asarray(flow, jnp.float32))
    inside = (slice(6, -6), slice(6, -6))
    # Bilinear samples of a wave miss it by at most 1/8 of its second derivative.
    np.testing.assert_allclose(moved[inside], wave(across, down)[inside], atol=0.2**2 / 4)


def test_sharp_samples_keep_what_bilinear_ones_lose():
    """A turn of a fine texture and back, ten times."""
    texture = jnp.asarray(RNG.uniform(0.2, 0.8, (48, 48, 1)), jnp.float32)
    texture = (texture + jnp.roll(texture, 1, 0) + jnp.roll(texture, 1, 1)) / 3
    x, y = grid(48, 48)
    angle = 0.03
    turn = np.stack([-angle * (y - 23.5), angle * (x - 23.5)], axis=-1)
    flow = jnp.asarray(turn, jnp.float32)
    left = {}
    for sharp in (False, True):
        image = texture
        for _ in range(10):
            image = warp(warp(image, flow, sharp=sharp), -flow, sharp=sharp)
        left[sharp] = float(jnp.var(image[16:32, 16:32]) / jnp.var(texture[16:32, 16:32]))
    assert left[True] > 0.6
    assert left[True] > 2 * left[False]


def test_sharp_samples_of_whole_pixels_and_of_even_pictures_are_exact():
    moved = warp(IMAGE, uniform(2, -1, (7, 9)), sharp=True)
    np.testing.assert_allclose(moved[1:, :-2], IMAGE[:-1, 2:], atol=1e-6)
    even = jnp.full((7, 9, 3), 0.3)
    np.testing.assert_allclose(warp(even, FLOW, sharp=True), 0.3, atol=1e-6)
    check_grads(lambda image: warp(image, FLOW, sharp=True), (IMAGE,), 1, modes=["rev"])


def test_gradients():
    check_grads(lambda image: warp(image, FLOW), (IMAGE,), 1, modes=["fwd", "rev"])
    # Between pixels, where the samples have a slope: 0.2 to 0.8 beyond one.
    between = jnp.floor(FLOW) + 0.2 + 0.6 * jnp.mod(FLOW, 1)
    inner = jnp.clip(between, -jnp.array([8.0, 6.0]), jnp.array([8.0, 6.0]))
    check_grads(
        lambda flow: warp(IMAGE, flow), (inner,), 1, modes=["rev"], atol=2e-2, rtol=2e-2, eps=1e-2
    )


def test_jit_vmap_and_leading_axes_equal_a_loop():
    images, flows = jnp.stack([IMAGE, 1 - IMAGE]), jnp.stack([FLOW, -FLOW])
    loop = jnp.stack([warp(i, f) for i, f in zip(images, flows, strict=True)])
    for batched in (
        warp(images, flows),
        jax.vmap(warp)(images, flows),
        jax.jit(warp)(images, flows),
    ):
        close(batched, loop)
    close(warp(images, FLOW), jnp.stack([warp(i, FLOW) for i in images]))
    masks = consistency_mask(flows, -flows)
    close(masks, jnp.stack([consistency_mask(f, -f) for f in flows]))
    losses = temporal_loss(images, loop, masks)
    each = zip(images, loop, masks, strict=True)
    close(losses, jnp.stack([temporal_loss(*arguments) for arguments in each]))


def test_pictures_of_one_pixel_or_row():
    np.testing.assert_array_equal(warp(jnp.ones((1, 1, 3)), uniform(4, -2, (1, 1))), 1)
    assert consistency_mask(uniform(0, 0, (1, 1)), uniform(0, 0, (1, 1))).tolist() == [[1.0]]


def test_what_comes_from_outside_is_not_known():
    mask = np.asarray(consistency_mask(uniform(3, 0), uniform(-3, 0)))
    assert (mask[:, :3] == 0).all()
    assert (mask[:, 3:] == 1).all()
    # A flow that is a little off at the edge is no reason to doubt the edge.
    assert np.asarray(consistency_mask(uniform(0.3, 0.2), uniform(-0.3, -0.2))).all()


def test_what_is_uncovered_is_not_known():
    """A square moves five to the right over a background at rest."""
    forward, backward = np.zeros((2, 32, 32, 2), np.float32)
    forward[10:20, 5:15, 0] = 5
    backward[10:20, 10:20, 0] = -5
    mask = np.asarray(consistency_mask(jnp.asarray(forward), jnp.asarray(backward)))
    assert (mask[10:20, 5:10] == 0).all()  # the background that the square had hidden
    assert (mask[12:18, 12:18] == 1).all()  # the square itself
    assert (mask[:8] == 1).all()
    assert (mask[24:] == 1).all()
    # Its border moves otherwise than its surroundings.
    assert (mask[10:20, 19:21] == 0).all()
    assert (mask[9:11, 10:20] == 0).all()


def test_a_slow_zoom_is_no_boundary():
    x, y = grid(32, 32)
    flow = jnp.asarray(np.stack([x - 15.5, y - 15.5], axis=-1) * 0.02, jnp.float32)
    assert np.asarray(consistency_mask(flow, -flow)).mean() > 0.95


def test_temporal_loss_is_the_weighted_mean_over_all_entries():
    warped, mask = warp(IMAGE, FLOW), jnp.asarray(RNG.uniform(0, 1, (7, 9)), jnp.float32)
    image, other, weight = (np.asarray(a, np.float64) for a in (IMAGE, warped, mask))
    expected = (weight[..., None] * (image - other) ** 2).sum() / image.size
    np.testing.assert_allclose(temporal_loss(IMAGE, warped, mask), expected, rtol=1e-6)
    assert float(temporal_loss(IMAGE, IMAGE, mask)) == 0
    check_grads(lambda x: temporal_loss(x, warped, mask), (IMAGE,), 2, modes=["rev"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: warp(IMAGE, FLOW[:5]), "in the size of the flow"),
        (lambda: warp(IMAGE, FLOW[..., :1]), r"flow should be \[..., H, W, 2\]"),
        (lambda: warp(IMAGE[0], FLOW), r"image should be \[..., H, W, C\]"),
        (lambda: consistency_mask(FLOW, FLOW[:, :4]), "both flows should have one size"),
        (lambda: consistency_mask(IMAGE, FLOW), "forward should be"),
        (lambda: temporal_loss(IMAGE, IMAGE[:3], FLOW[..., 0]), "of one size"),
        (lambda: temporal_loss(IMAGE, IMAGE, FLOW[:3, :, 0]), "mask should be"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
