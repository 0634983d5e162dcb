"""Statistics of styles: against float64 NumPy, and the laws that all of them obey."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jaxstyle import statistics
from jaxstyle.losses.statistics import Gaussian, get_statistic, wasserstein_distance

NAMES = ("gram", "covariance", "wasserstein", "moments", "histogram", "sliced")
RNG = np.random.default_rng(0)
STYLE = RNG.gamma(1.0, 1.0, (12, 9, 5))
MAPS = RNG.gamma(2.0, 0.5, (8, 10, 5))


def single(array):
    return jnp.asarray(array, jnp.float32)


def evaluate(name, maps, style, mass=None, style_mass=None):
    statistic = get_statistic(name)
    target = statistic.measure(single(style), style_mass, jax.random.key(1))
    return float(statistic.loss(single(maps), mass, target))


def mean_and_covariance(maps):
    flat = maps.reshape(-1, maps.shape[-1])
    return flat.mean(0), np.cov(flat.T, bias=True)


def test_covariance_equals_numpy():
    (m, c), (n, d) = mean_and_covariance(MAPS), mean_and_covariance(STYLE)
    expected = ((m - n) ** 2).mean() + ((c - d) ** 2).mean()
    assert evaluate("covariance", MAPS, STYLE) == pytest.approx(expected, rel=1e-5)


def test_moments_equal_numpy():
    (m, c), (n, d) = mean_and_covariance(MAPS), mean_and_covariance(STYLE)
    expected = ((m - n) ** 2).mean() + ((np.diag(c) - np.diag(d)) ** 2).mean()
    assert evaluate("moments", MAPS, STYLE) == pytest.approx(expected, rel=1e-5)


def test_wasserstein_equals_scipy():
    (m, c), (n, d) = mean_and_covariance(MAPS), mean_and_covariance(STYLE)
    root = scipy.linalg.sqrtm(d)
    expected = ((m - n) ** 2).sum() + np.trace(c + d - 2 * scipy.linalg.sqrtm(root @ c @ root))
    assert evaluate("wasserstein", MAPS, STYLE) == pytest.approx(expected.real / 5, rel=1e-4)
    distance = wasserstein_distance(Gaussian(single(m), single(c)), Gaussian(single(n), single(d)))
    assert float(distance) == pytest.approx(expected.real / 5, rel=1e-4)


def test_histogram_equals_sorted_channels():
    # With as many positions as levels, the distance is that of the sorted values.
    shape = (32, 32, 3)
    assert shape[0] * shape[1] == statistics.NUM_QUANTILES
    maps, style = RNG.gamma(2.0, 0.5, shape), RNG.gamma(1.0, 1.0, shape)
    flat = [np.sort(each.reshape(-1, 3), axis=0) for each in (maps, style)]
    expected = ((flat[0] - flat[1]) ** 2).mean()
    assert evaluate("histogram", maps, style) == pytest.approx(expected, rel=1e-5)


def test_sliced_equals_sorted_projections():
    maps, style = RNG.gamma(2.0, 0.5, (32, 32, 3)), RNG.gamma(1.0, 1.0, (32, 32, 3))
    target = get_statistic("sliced").measure(single(style), None, jax.random.key(1))
    directions = np.asarray(target.directions, np.float64)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=0), 1.0, rtol=1e-6)
    flat = [np.sort(each.reshape(-1, 3) @ directions, axis=0) for each in (maps, style)]
    expected = ((flat[0] - flat[1]) ** 2).mean()
    assert evaluate("sliced", maps, style) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_size_is_the_loss_of_features_that_vanish(name):
    statistic = get_statistic(name)
    target = statistic.measure(single(STYLE), None, jax.random.key(1))
    loss = statistic.loss(jnp.zeros((8, 10, 5)), None, target)
    # Quantiles are kept at 1024 levels and read at 80.
    tolerance = 0.05 if name in ("histogram", "sliced") else 1e-5
    assert float(loss) == pytest.approx(float(statistic.size(target)), rel=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_loss_vanishes_at_its_target_however_positions_are_permuted(name):
    shuffled = RNG.permutation(STYLE.reshape(-1, 5)).reshape(9, 12, 5)
    other = evaluate(name, MAPS, STYLE)
    # Between 108 values lie 1024 levels.
    tolerance = 1e-3 if name in ("histogram", "sliced") else 1e-5
    assert other > 0.01
    assert evaluate(name, shuffled, STYLE) < tolerance * other


@pytest.mark.parametrize("name", NAMES)
def test_uniform_mass_equals_none(name):
    uniform, style = jnp.full((8, 10), 1 / 80), jnp.full((12, 9), 1 / 108)
    expected = evaluate(name, MAPS, STYLE)
    assert evaluate(name, MAPS, STYLE, uniform, style) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_mass_selects_a_region(name):
    mass = np.zeros((8, 10))
    mass[:, :4] = 1 / 32
    expected = evaluate(name, MAPS[:, :4], STYLE)
    assert evaluate(name, MAPS, STYLE, single(mass)) == pytest.approx(expected, rel=1e-3)
    gradient = gradient_of(name, MAPS, single(mass))
    assert np.abs(gradient[:, :4]).max() > 0
    assert not gradient[:, 4:].any()


def gradient_of(name, maps, mass=None):
    statistic = get_statistic(name)
    target = statistic.measure(single(STYLE), None, jax.random.key(1))
    return np.asarray(jax.grad(lambda x: statistic.loss(x, mass, target))(single(maps)))


@pytest.mark.parametrize("name", NAMES)
def test_gradient_equals_finite_differences(name):
    statistic = get_statistic(name)
    target = statistic.measure(single(STYLE), None, jax.random.key(1))
    direction = np.random.default_rng(1).normal(size=MAPS.shape)
    step = 2e-4  # small beside the gaps of sorted values, where the slope changes
    ahead, behind = (
        float(statistic.loss(single(MAPS + sign * step * direction), None, target))
        for sign in (1, -1)
    )
    slope = float((gradient_of(name, MAPS) * direction).sum())
    assert slope == pytest.approx((ahead - behind) / (2 * step), rel=2e-2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("maps", [np.zeros((3, 3, 5)), np.ones((2, 2, 5))], ids=["zero", "flat"])
def test_degenerate_maps_have_finite_gradients(name, maps):
    # Fewer positions than channels, as in the deepest layer of a small picture.
    assert np.isfinite(gradient_of(name, maps)).all()
    assert np.isfinite(evaluate(name, MAPS, maps))


@pytest.mark.parametrize("name", NAMES)
def test_targets_of_styles_of_different_sizes_stack_and_map(name):
    statistic = get_statistic(name)
    targets = [statistic.measure(single(each), None, jax.random.key(1)) for each in (STYLE, MAPS)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *targets)
    mapped = jax.jit(jax.vmap(lambda t: statistic.loss(single(MAPS), None, t)))(stacked)
    expected = [float(statistic.loss(single(MAPS), None, target)) for target in targets]
    np.testing.assert_allclose(mapped, expected, rtol=1e-3, atol=1e-5)


def test_unknown_statistic_lists_the_valid_ones():
    with pytest.raises(ValueError, match=r"unknown statistic 'mean'.*gram.*sliced"):
        get_statistic("mean")
