"""Ways to compare with the photograph: by features, and by how places are alike."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.losses.content import (
    MOST_PLACES,
    get_content_loss,
    self_similarity,
    self_similarity_loss,
)

RNG = np.random.default_rng(0)
MAPS = jnp.asarray(RNG.gamma(2.0, 0.5, (6, 5, 8)), jnp.float32)
OTHER = jnp.asarray(RNG.gamma(1.0, 1.0, (6, 5, 8)), jnp.float32)
NAMES = ("features", "self-similarity")


def expected_similarity(maps):
    rows = np.asarray(maps, np.float64).reshape(-1, maps.shape[-1])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    apart = 1 - rows @ rows.T
    np.fill_diagonal(apart, 0)
    return apart / apart.mean(0, keepdims=True)


def test_self_similarity_equals_numpy():
    np.testing.assert_allclose(self_similarity(MAPS), expected_similarity(MAPS), atol=1e-4)
    loss = self_similarity_loss(MAPS, self_similarity(OTHER))
    apart = expected_similarity(MAPS) - expected_similarity(OTHER)
    expected = (np.sqrt(apart**2 + 0.01) - 0.1).mean()
    assert float(loss) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_photograph_itself_has_no_loss(name):
    compare = get_content_loss(name)
    assert float(compare.loss(MAPS, compare.measure(MAPS), None)) == 0


def test_self_similarity_does_not_see_what_all_places_share():
    target = self_similarity(MAPS)
    rotation = np.linalg.qr(RNG.normal(size=(8, 8)))[0]
    turned = 2 * jnp.einsum("hwc,cd->hwd", MAPS, jnp.asarray(rotation, jnp.float32))
    assert float(self_similarity_loss(turned, target)) < 1e-5
    assert float(self_similarity_loss(MAPS[::-1], target)) > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_the_size_is_the_loss_of_features_that_vanish(name):
    compare = get_content_loss(name)
    target = compare.measure(MAPS)
    weight = jnp.full((6, 5), 0.5)
    loss = compare.loss(jnp.zeros_like(MAPS), target, None)
    # Places without features are all equally far apart, but for each from itself.
    assert float(compare.size(target, None)) == pytest.approx(float(loss), rel=0.15)
    assert float(compare.size(target, weight)) == pytest.approx(float(loss) / 2, rel=0.15)


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_of_zero_frees_a_place(name):
    compare = get_content_loss(name)
    target = compare.measure(MAPS)
    everywhere = compare.loss(OTHER, target, jnp.ones((6, 5)))
    assert float(everywhere) == pytest.approx(float(compare.loss(OTHER, target, None)), rel=1e-6)
    assert float(compare.loss(OTHER, target, jnp.zeros((6, 5)))) == 0
    left = jnp.zeros((6, 5)).at[:, :2].set(1.0)
    parts = [float(compare.loss(OTHER, target, each)) for each in (left, 1 - left)]
    assert sum(parts) == pytest.approx(float(everywhere), rel=1e-5)


def test_the_slope_of_self_similarity_equals_finite_differences():
    target = self_similarity(OTHER)
    change = jnp.asarray(RNG.normal(size=MAPS.shape), jnp.float32)
    slope = float(jnp.vdot(jax.grad(self_similarity_loss)(MAPS, target), change))
    step = 1e-3
    high, low = (
        np.sqrt(
            0.01
            + (
                expected_similarity(np.asarray(MAPS) + sign * step * np.asarray(change))
                - expected_similarity(OTHER)
            )
            ** 2
        ).mean()
        for sign in (1, -1)
    )
    assert slope == pytest.approx((high - low) / (2 * step), rel=1e-2)


def test_large_maps_are_compared_on_a_grid():
    maps = jnp.asarray(RNG.uniform(size=(70, 50, 2)), jnp.float32)
    found = self_similarity(maps)
    assert found.shape[0] <= MOST_PLACES
    np.testing.assert_allclose(found, self_similarity(maps[1::2, 1::2]), atol=1e-6)


def test_maps_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match=r"shapes should be equal, got \[30, 30\] and \[20, 20\]"):
        self_similarity_loss(MAPS, jnp.zeros((20, 20)))
    with pytest.raises(ValueError, match="unknown content_loss 'pixels'; valid: features, self"):
        get_content_loss("pixels")


def test_a_flat_photograph_has_no_steep_slope():
    """Its places differ by rounding alone, which nothing should divide by."""
    flat = jnp.ones((6, 5, 8)) + 1e-4 * MAPS
    slope = jax.grad(lambda maps: self_similarity_loss(maps, self_similarity(MAPS)))(flat)
    steep = jax.grad(lambda maps: self_similarity_loss(maps, self_similarity(OTHER)))(MAPS)
    assert float(jnp.max(jnp.abs(slope))) < float(jnp.max(jnp.abs(steep)))


def test_a_photograph_of_one_colour_asks_for_no_places():
    flat = get_content_loss("self-similarity").measure(jnp.ones((6, 5, 8)))
    assert float(self_similarity_loss(MAPS, flat)) < 1e-4  # what rounding leaves of its distances
    half = flat.at[:, 15:].set(self_similarity(MAPS)[:, 15:])
    found = float(self_similarity_loss(OTHER, half))
    apart = expected_similarity(OTHER)[:, 15:] - expected_similarity(MAPS)[:, 15:]
    assert found == pytest.approx((np.sqrt(apart**2 + 0.01) - 0.1).mean() / 2, rel=1e-4)
