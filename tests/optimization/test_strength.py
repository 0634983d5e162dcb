"""The scale of strengths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import LossSpec, LossWeights
from jaxstyle.optimization.presets import PRESETS
from jaxstyle.optimization.strength import (
    STRENGTHS,
    fade,
    find_strength,
    strength_of_recipe,
    weaken,
)

MEASURED = {name: preset.strengths for name, preset in PRESETS.items() if preset.strengths}


@pytest.mark.parametrize("name", ["default", "compact"])
def test_the_scale_rises_from_the_photograph_through_the_recipe_to_noise(name):
    positions = MEASURED[name]
    assert len(positions) == len(STRENGTHS)
    found = [find_strength(positions, strength) for strength in range(101)]
    assert (found[0], found[-1]) == ((0, 0), (1, 1))
    assert (np.diff(np.sum(found, axis=1)) > 0).all()
    recipe = find_strength(positions, strength_of_recipe(positions))
    np.testing.assert_allclose(recipe, (1, 0), atol=1e-9)


def test_no_other_recipe_was_measured():
    assert set(MEASURED) == {"default", "compact"}


def test_a_weaker_style_is_smoothed_less():
    weights = LossWeights(content=2.0, style=3.0, total_variation=40.0).resolve(LossSpec())
    weaker = weaken(weights, 0.1)
    np.testing.assert_allclose(weaker.style, 0.1 * weights.style, rtol=1e-6)
    assert jnp.array_equal(weaker.content, weights.content)
    assert float(weaker.total_variation) == pytest.approx(4)


@pytest.mark.parametrize(("multiple", "expected"), [(0, 0), (0.01, 1296), (0.25, 2000), (1, 0)])
def test_a_weak_style_is_smoothed_where_the_recipe_is_not(multiple, expected):
    smoothed = weaken(LossWeights().resolve(LossSpec()), multiple, 2000.0)
    assert float(smoothed.total_variation) == pytest.approx(expected)


def test_a_start_fades_to_noise():
    start = jnp.full((64, 48, 3), 0.25)
    params = {"mean": jnp.array([0.4, 0.5, 0.6])}
    key = jax.random.key(3)
    assert jnp.array_equal(fade(start, 0.0, params, key), start)
    noise = fade(start, 1.0, params, key)
    assert float(jnp.std(noise - params["mean"])) == pytest.approx(60 / 255, rel=0.05)
    np.testing.assert_allclose(fade(start, 0.5, params, key), (start + noise) / 2, atol=1e-6)
