"""The temporal term: an addition to the objective that composes with all that it has."""

import dataclasses
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.numerics import close

from jaxstyle.losses.guidance import Region, guided_targets
from jaxstyle.losses.objective import objective, objective_and_gradient
from jaxstyle.losses.spec import LossSpec, LossWeights
from jaxstyle.losses.statistics import StatisticName
from jaxstyle.losses.targets import Carried, compute_targets
from jaxstyle.networks import vgg
from jaxstyle.optimization.descent import optimize

PARAMS = vgg.init_params(jax.random.key(0), (("conv1_1", 4), ("conv2_1", 4)))
SPEC = LossSpec(content_layers=("relu2_1",), style_layers=("relu1_1",))
CONTENT, STYLE, IMAGE, EARLIER = jax.random.uniform(jax.random.key(1), (4, 16, 12, 3))
MASK = jnp.zeros((16, 12)).at[4:12].set(1.0)
CARRIED = Carried(EARLIER, 3.0 * MASK)


@pytest.mark.parametrize("statistic", get_args(StatisticName))
def test_it_is_added_whatever_else_is_compared(statistic):
    spec = dataclasses.replace(SPEC, statistic=statistic)
    targets = compute_targets(PARAMS, CONTENT, STYLE, spec)
    plain = objective(IMAGE, PARAMS, targets, spec=spec)
    value = objective(IMAGE, PARAMS, targets._replace(carried=CARRIED), spec=spec)
    assert set(value.terms) == {*plain.terms, "temporal"}
    close(value.total - plain.total, value.terms["temporal"], 1e-3)
    assert float(value.terms["temporal"]) > 0
    like = objective(EARLIER, PARAMS, targets._replace(carried=CARRIED), spec=spec)
    assert float(like.terms["temporal"]) == 0


def test_it_is_relative_to_the_size_of_the_objective():
    targets = compute_targets(PARAMS, CONTENT, STYLE, SPEC)._replace(carried=CARRIED)
    weights = LossWeights(content=2.0, style=50.0)
    value = objective(IMAGE, PARAMS, targets, weights, spec=SPEC)
    size = 2.0 * np.mean(np.square(targets.content["relu2_1"], dtype=np.float64))
    size += 50.0 * np.mean(np.square(targets.style["relu1_1"], dtype=np.float64))
    difference = np.square(np.asarray(IMAGE - EARLIER, np.float64)).mean(-1)
    close(value.terms["temporal"], size * np.mean(np.asarray(CARRIED.weight) * difference))


def test_without_a_weight_it_changes_nothing():
    targets = compute_targets(PARAMS, CONTENT, STYLE, SPEC)
    none = targets._replace(carried=Carried(EARLIER, jnp.zeros((16, 12))))
    plain, plain_gradient = objective_and_gradient(IMAGE, PARAMS, targets, spec=SPEC)
    value, gradient = objective_and_gradient(IMAGE, PARAMS, none, spec=SPEC)
    close(value.total, plain.total)
    close(gradient, plain_gradient)


def test_it_composes_with_what_is_kept_and_with_regions():
    keep = jnp.zeros((16, 12)).at[:8].set(1.0)
    regions = [Region(jnp.ones((16, 12)), STYLE)]
    targets = guided_targets(PARAMS, CONTENT, regions, SPEC, keep=keep)
    targets = targets._replace(carried=CARRIED)
    value, gradient = objective_and_gradient(IMAGE, PARAMS, targets, spec=SPEC)
    assert float(value.terms["temporal"]) > 0
    assert not np.asarray(gradient[:8]).any()  # what is kept is no variable


def test_a_descent_draws_the_picture_to_the_one_before_where_that_is_known():
    targets = compute_targets(PARAMS, CONTENT, STYLE, SPEC)
    free = optimize(CONTENT, PARAMS, targets, spec=SPEC, num_steps=15).image
    strong = targets._replace(carried=Carried(EARLIER, 1e3 * MASK))
    held = optimize(CONTENT, PARAMS, strong, spec=SPEC, num_steps=15).image

    def distance(image, rows):
        return float(jnp.mean(jnp.square(image - EARLIER)[rows]))

    assert distance(held, slice(4, 12)) < 0.1 * distance(free, slice(4, 12))
    assert distance(held, slice(0, 3)) > 0.3 * distance(free, slice(0, 3))


def test_other_pictures_carried_compile_nothing():
    traced = []

    def counting(params, image, layers):
        traced.append(layers)
        return dict.fromkeys(layers, image)

    spec = dataclasses.replace(SPEC, network=counting)
    targets = compute_targets(PARAMS, CONTENT, STYLE, spec)

    def evaluate(shade):
        traced.clear()
        carried = Carried(EARLIER * shade, shade * MASK)
        objective_and_gradient(IMAGE, PARAMS, targets._replace(carried=carried), spec=spec)
        return len(traced)

    assert evaluate(0.0) > 0
    assert evaluate(0.5) == 0


def test_lanes_have_each_their_own():
    targets = compute_targets(PARAMS, CONTENT, STYLE, SPEC)

    def value(weight):
        carried = Carried(EARLIER, weight * MASK)
        return objective(IMAGE, PARAMS, targets._replace(carried=carried), spec=SPEC).total

    weights = jnp.array([0.0, 1.0, 5.0])
    close(jax.vmap(value)(weights), jnp.stack([value(w) for w in weights]))
