"""Statistics that match pieces of each layer: against float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.losses.matching import Rows, contextual_loss, nearest_loss, patches_loss
from jaxstyle.losses.statistics import get_statistic

RNG = np.random.default_rng(0)
MAPS = RNG.gamma(2.0, 0.5, (7, 6, 5))
KEYS = RNG.gamma(1.0, 1.0, (40, 5))
NAMES = ("nearest", "patches", "contextual")


def single(array):
    return jnp.asarray(array, jnp.float32)


def cosines(a, b):
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    return a @ b.T / lengths


def test_nearest_equals_numpy():
    rows = MAPS.reshape(-1, 5)
    alike = cosines(rows - rows.mean(0), KEYS - KEYS.mean(0))
    uses = np.bincount(alike.argmax(1), minlength=40) / len(rows) * 40
    index = (alike - 0.05 * uses).argmax(1)
    expected = 1 - cosines(rows, KEYS)[np.arange(len(rows)), index].mean()
    assert float(nearest_loss(single(MAPS), None, Rows(single(KEYS)))) == pytest.approx(
        1 - cosines(rows, KEYS)[np.arange(len(rows)), index].mean(), rel=1e-4
    )
    assert expected < 1 - cosines(rows, KEYS).mean()


def test_patches_equal_numpy():
    windows = np.lib.stride_tricks.sliding_window_view(MAPS, (3, 3), (0, 1))
    rows = windows.transpose(0, 1, 3, 4, 2).reshape(20, 45)
    keys = RNG.gamma(1.0, 1.0, (30, 45))
    index = cosines(rows, keys).argmax(1)
    expected = ((rows - keys[index]) ** 2).mean()
    found = patches_loss(single(MAPS), None, Rows(single(keys)))
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_contextual_equals_numpy():
    rows, middle = MAPS.reshape(-1, 5), KEYS.mean(0)
    apart = (1 - cosines(rows - middle, KEYS - middle)) / 2
    weights = np.exp((1 - apart / (apart.min(1, keepdims=True) + 1e-5)) / 0.1)
    weights /= weights.sum(1, keepdims=True)
    expected = -np.log(weights.max(0).mean())
    found = contextual_loss(single(MAPS), None, Rows(single(KEYS)))
    assert float(found) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_of_the_paintings_pieces_is_nearer_than_another(name):
    statistic = get_statistic(name)
    style = single(RNG.gamma(1.0, 1.0, (9, 8, 5)))
    target = statistic.measure(style, None, jax.random.key(1))
    own, other = (float(statistic.loss(m, None, target)) for m in (style[:, ::-1], single(MAPS)))
    shuffled = float(statistic.loss(style[::-1], None, target))
    if name != "patches":  # a patch that is turned round is another
        assert own < 0.9 * other
        assert shuffled < 0.9 * other
    assert float(statistic.loss(style, None, target)) < 0.9 * other


@pytest.mark.parametrize("name", NAMES)
def test_a_mass_leaves_out_what_has_none(name):
    statistic = get_statistic(name)
    target = statistic.measure(single(RNG.gamma(1.0, 1.0, (9, 8, 5))), None, jax.random.key(1))
    mass = np.zeros((7, 6))
    mass[:4] = 1 / 24
    changed = MAPS.copy()
    changed[6:] = 100.0
    losses = [float(statistic.loss(single(m), single(mass), target)) for m in (MAPS, changed)]
    if name == "nearest":  # matched features are less their mean by mass, too
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_pieces_of_a_masked_painting_are_from_inside(name):
    style = np.full((10, 10, 5), 7.0)
    style[:, :5] = RNG.gamma(1.0, 1.0, (10, 5, 5))
    mass = np.zeros((10, 10))
    mass[:, :4] = 1 / 40
    target = get_statistic(name).measure(single(style), single(mass), jax.random.key(1))
    assert float(jnp.max(target.values.mean(1))) < 7


@pytest.mark.parametrize("name", NAMES)
def test_a_slope_leads_down(name):
    statistic = get_statistic(name)
    target = statistic.measure(single(RNG.gamma(1.0, 1.0, (9, 8, 5))), None, jax.random.key(1))
    value, slope = jax.value_and_grad(lambda m: statistic.loss(m, None, target))(single(MAPS))
    step = 1e-3 / float(jnp.linalg.norm(slope))
    lower = statistic.loss(single(MAPS) - step * slope, None, target)
    expected = float(value) - 1e-3 * float(jnp.linalg.norm(slope))
    assert float(lower) == pytest.approx(expected, rel=1e-3)
    assert float(lower) < float(value)
