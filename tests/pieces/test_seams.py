"""Seams: the least path, by trying all of them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.pieces.seams import cut


def least(errors):
    """The cost of the best of all paths."""
    height, width = errors.shape
    costs = []
    for start in range(width):
        for steps in itertools.product((-1, 0, 1), repeat=height - 1):
            path = np.cumsum([start, *steps])
            if path.min() >= 0 and path.max() < width:
                costs.append(errors[np.arange(height), path].sum())
    return min(costs)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 3), (6, 4), (7, 3)])
def test_no_path_costs_less(shape):
    for seed in range(5):
        errors = np.random.default_rng(seed).random(shape, np.float32)
        seam = cut(jnp.asarray(errors))
        path = np.asarray(seam.path)
        assert path.shape == shape[:1]
        assert np.abs(np.diff(path)).max(initial=0) <= 1
        np.testing.assert_allclose(seam.cost, errors[np.arange(shape[0]), path].sum(), rtol=1e-6)
        np.testing.assert_allclose(seam.cost, least(errors), rtol=1e-6)


def test_of_equal_paths_the_leftmost_is_taken():
    assert cut(jnp.zeros((4, 3))).path.tolist() == [0, 0, 0, 0]


def test_vmap_equals_a_loop():
    errors = jax.random.uniform(jax.random.key(0), (3, 5, 4))
    many = jax.vmap(cut)(errors)
    for i, one in enumerate(map(cut, errors)):
        np.testing.assert_array_equal(many.path[i], one.path)
        np.testing.assert_array_equal(many.cost[i], one.cost)


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 3), (3, 0)])
def test_errors_are_a_plane(shape):
    with pytest.raises(ValueError, match=r"errors should have shape \[H, W\], got"):
        cut(jnp.zeros(shape))
