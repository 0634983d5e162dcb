"""Rows of pictures, and pictures of rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.losses.neighbours import describe, gather, grid_shape, nearest, vote

RNG = np.random.default_rng(0)
PICTURE = jnp.asarray(RNG.uniform(size=(9, 12, 3)), jnp.float32)


@pytest.mark.parametrize(("patch", "stride"), [(1, 1), (3, 1), (3, 2), (4, 3), (2, 5)])
def test_describe_equals_a_loop(patch, stride):
    rows = describe([PICTURE], patch=patch, stride=stride)
    corners = [
        (y, x) for y in range(0, 9 - patch + 1, stride) for x in range(0, 12 - patch + 1, stride)
    ]
    expected = [np.asarray(PICTURE)[y : y + patch, x : x + patch].ravel() for y, x in corners]
    np.testing.assert_array_equal(rows, expected)
    assert np.prod(grid_shape((9, 12), patch, stride)) == len(corners)


def test_weights_weigh_squares():
    mask = jnp.asarray(RNG.uniform(size=(9, 12, 1)), jnp.float32)
    rows = describe([PICTURE, mask], weights=[0.5, 4.0], patch=3)
    plain = describe([PICTURE], patch=3), describe([mask], patch=3)
    squares = [float(jnp.sum(jnp.square(each[0] - each[5]))) for each in plain]
    expected = 0.5 * squares[0] + 4.0 * squares[1]
    assert float(jnp.sum(jnp.square(rows[0] - rows[5]))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("patch", "stride"), [(1, 1), (3, 1), (3, 2), (4, 4)])
def test_vote_of_a_pictures_own_patches_is_the_picture(patch, stride):
    rows = describe([PICTURE], patch=patch, stride=stride)
    voted = vote(rows, (9, 12), patch=patch, stride=stride)
    reached = vote(jnp.ones_like(rows), (9, 12), patch=patch, stride=stride)
    np.testing.assert_allclose(voted, PICTURE * reached, atol=1e-6)
    covered = [(n - 1) * stride + patch for n in grid_shape((9, 12), patch, stride)]
    assert (np.asarray(reached)[: covered[0], : covered[1]] == 1).all()
    assert float(jnp.sum(reached)) == 3 * np.prod(covered)


def test_vote_equals_a_loop_with_weights():
    patches = RNG.normal(size=(7 * 10, 27)).astype(np.float32)
    weights = RNG.uniform(0.1, 1, (7 * 10, 9)).astype(np.float32)
    total, covered = np.zeros((9, 12, 3)), np.zeros((9, 12, 1))
    for i, (y, x) in enumerate(np.ndindex(7, 10)):
        share = weights[i].reshape(3, 3, 1)
        total[y : y + 3, x : x + 3] += share * patches[i].reshape(3, 3, 3)
        covered[y : y + 3, x : x + 3] += share
    voted = vote(jnp.asarray(patches), (9, 12), patch=3, weights=jnp.asarray(weights))
    np.testing.assert_allclose(voted, total / covered, atol=1e-5)


def test_the_slope_of_vote_is_its_weights():
    def loss(patches):
        return jnp.sum(vote(patches, (4, 4), patch=2) ** 2) / 2

    patches = jnp.asarray(RNG.normal(size=(9, 12)), jnp.float32)
    change = jnp.asarray(RNG.normal(size=(9, 12)), jnp.float32)
    slope = float(jnp.vdot(jax.grad(loss)(patches), change))
    high, low = (float(loss(patches + s * 1e-2 * change)) for s in (1, -1))
    assert slope == pytest.approx((high - low) / 2e-2, rel=1e-3)


def test_a_picture_is_put_together_of_pieces_of_another():
    keys = describe([PICTURE], patch=3)
    rows = describe([PICTURE[:, ::-1]], patch=3)
    found = gather(keys, nearest(rows, keys, tile=16).index)
    assert found.shape == rows.shape
    pixels = {tuple(p) for p in np.asarray(PICTURE).reshape(-1, 3).tolist()}
    for piece in np.asarray(found).reshape(-1, 3).tolist():
        assert tuple(piece) in pixels


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: describe([]), "maps should be"),
        (lambda: describe([PICTURE, PICTURE[:4]]), "of one height and width"),
        (lambda: describe([PICTURE], weights=[1.0, 2.0]), "weights should be 1, one a map, got 2"),
        (lambda: describe([PICTURE], patch=10), "a map of 9×12 has no patches of 10×10"),
        (lambda: vote(jnp.zeros((4, 12)), (9, 12), patch=2), r"patches should be \[88, 4 · c\]"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
