"""Closed forms that give a photograph more than a painting's mean colour."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.image.color import match_color
from jaxstyle.image.matching import match_distribution, match_patches, moments, transport_map

RNG = np.random.default_rng(0)
IMAGE = jnp.float32(RNG.uniform(0, 1, (40, 50, 3)) ** 2)
# Two clusters of colours: its mean and covariance do not tell its distribution.
CLUSTERS = np.where(RNG.random((30, 60, 1)) < 0.3, [0.9, 0.8, 0.2], [0.1, 0.2, 0.5])
TARGET = jnp.float32(CLUSTERS + RNG.normal(0, 0.03, (30, 60, 3)))
FLAT = {
    "grey": jnp.full((9, 7, 3), 0.4),
    "black": jnp.zeros((1, 1, 3)),
    "grey scale": jnp.repeat(IMAGE[..., :1], 3, axis=-1),
}


def distance(image, target):
    """The mean distance of quantiles along many directions: sliced Wasserstein."""
    turns = RNG.normal(size=(3, 40))
    along = [np.asarray(each).reshape(-1, 3) @ turns for each in (image, target)]
    places = np.linspace(0.01, 0.99, 99)
    return np.abs(np.subtract(*(np.quantile(each, places, axis=0) for each in along))).mean()


def test_the_whole_distribution_is_moved():
    linear = match_color(IMAGE, TARGET, "symmetric")
    few, many = (match_distribution(IMAGE, TARGET, rounds=rounds) for rounds in (5, 40))
    assert distance(few, TARGET) < 0.5 * distance(linear, TARGET)
    assert distance(many, TARGET) < 0.6 * distance(few, TARGET)


def test_it_is_a_map_of_colours():
    """Where the image has one colour, the result has one, and so it has in another place."""
    image = jnp.concatenate([IMAGE, jnp.full((40, 5, 3), 0.3), IMAGE[:, :5]], axis=1)
    found = np.asarray(match_distribution(image, TARGET))
    np.testing.assert_allclose(
        found[:, 50:55], np.broadcast_to(found[0, 50], (40, 5, 3)), atol=1e-5
    )
    np.testing.assert_allclose(found[:, 55:], found[:, :5], atol=1e-5)


@pytest.mark.parametrize("name", ["grey", "black"])
def test_one_colour_becomes_the_mean_and_no_extreme(name):
    found = match_distribution(FLAT[name], TARGET)
    mean = jnp.broadcast_to(TARGET.mean((0, 1)), found.shape)
    np.testing.assert_allclose(found, mean, atol=0.03)


def test_a_flat_area_takes_the_mean_of_what_its_quantiles_take():
    """Four fifths of white become what lies in the middle of those quantiles, not at their end."""
    image = jnp.ones((40, 50, 3)).at[:, :10].set(IMAGE[:, :10] / 2)
    ramp = jnp.broadcast_to(jnp.linspace(0, 1, 50)[:, None], (40, 50, 3))
    found = match_distribution(image, ramp)
    np.testing.assert_allclose(found[:, 10:], 0.6, atol=0.05)


def test_it_depends_on_the_key_alone_and_is_jit_and_vmap_able():
    first, again = (match_distribution(IMAGE, TARGET) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (match_distribution(IMAGE, TARGET, key=jax.random.key(1)) != first).any()
    both = jax.jit(jax.vmap(match_distribution, (None, 0)))(IMAGE, jnp.stack([TARGET, 1 - TARGET]))
    np.testing.assert_allclose(both[0], first, atol=1e-4)


@pytest.mark.parametrize("image", FLAT)
@pytest.mark.parametrize("target", FLAT)
@pytest.mark.parametrize("match", [match_distribution, match_patches])
def test_flat_and_grey_images_are_no_harm(match, image, target):
    found = np.asarray(match(FLAT[image], FLAT[target]))
    assert found.shape == FLAT[image].shape
    assert np.isfinite(found).all()
    if target != "grey scale":
        mean = np.mean(FLAT[target], (0, 1))
        np.testing.assert_allclose(found.mean((0, 1)), mean, atol=0.02)


@pytest.mark.parametrize("shape", [(1, 40_000), (40_000, 1)])
def test_strips_have_a_distribution_too(shape):
    image = jnp.asarray(RNG.uniform(0, 1, (*shape, 3)) ** 2, jnp.float32)
    target = image[::-1, ::-1] ** 2
    square = match_distribution(image.reshape(200, 200, 3), target.reshape(200, 200, 3))
    left = distance(match_distribution(image, target), target)
    assert left < 0.3 * distance(image, target)
    assert left == pytest.approx(distance(square, target), rel=0.3)


def test_patches_get_the_covariance_of_others():
    """A smooth image gets the grain of a noisy one: its neighbours differ as much."""
    smooth = jnp.cumsum(IMAGE, axis=1) / 50
    noisy = jnp.float32(0.5 + RNG.normal(0, 0.1, (30, 60, 3)))
    found = match_patches(smooth, noisy, side=3)
    steps = [np.std(np.diff(np.asarray(each), axis=1)) for each in (smooth, noisy, found)]
    colored = match_color(smooth, noisy, "symmetric")
    before = np.std(np.diff(np.asarray(colored), axis=1))
    assert abs(steps[2] - steps[1]) < 0.7 * abs(before - steps[1])
    np.testing.assert_allclose(match_patches(IMAGE, IMAGE), IMAGE, atol=1e-4)


def test_patches_of_one_pixel_are_colours():
    found, expected = match_patches(IMAGE, TARGET, side=1), match_color(IMAGE, TARGET, "symmetric")
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_the_transport_map_is_symmetric_and_moves_one_gaussian_to_the_other():
    roots = RNG.normal(size=(2, 6, 6))
    own, other = (jnp.float32(root @ root.T) for root in roots)
    matrix = transport_map(own, other)
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(matrix @ own @ matrix.T, other, rtol=1e-2, atol=1e-2)
    flat = own.at[0].set(0).at[:, 0].set(0)  # of low rank
    assert np.isfinite(transport_map(flat, other)).all()
    assert np.isfinite(transport_map(jnp.eye(6), other)).all()  # of equal eigenvalues


def test_moments_are_those_of_numpy():
    mean, covariance = moments(IMAGE)
    flat = np.asarray(IMAGE, np.float64).reshape(-1, 3)
    np.testing.assert_allclose(mean, flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(covariance, np.cov(flat.T, bias=True), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: match_distribution(IMAGE, TARGET[0]), "target"),
        (lambda: match_distribution(IMAGE, TARGET, rounds=0), "rounds should be at least 1, got 0"),
        (lambda: match_patches(IMAGE, TARGET, side=2), "side should be an odd number from 1, got"),
    ],
)
def test_what_cannot_be_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
