"""Targets of several styles, what is kept, own losses and own networks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import (
    Kept,
    LossSpec,
    LossWeights,
    OwnLoss,
    Targets,
    compute_targets,
    objective,
    objective_and_gradient,
    solvers,
)
from jaxstyle.losses.mixing import blend_styles, mix_styles
from jaxstyle.networks import vgg
from jaxstyle.optimization.descent import optimize
from jaxstyle.optimization.grid import stylize_grid
from jaxstyle.optimization.transfer import stylize

PARAMS = vgg.init_params(jax.random.key(0), (("conv1_1", 4), ("conv2_1", 6)))
SPEC = LossSpec(("relu2_1",), ("relu1_1", "relu2_1"))
CONTENT, STYLE, OTHER, IMAGE = jax.random.uniform(jax.random.key(1), (4, 16, 20, 3))
STYLES = [compute_targets(PARAMS, CONTENT, style, SPEC).style for style in (STYLE, OTHER)]
PLAIN = compute_targets(PARAMS, CONTENT, STYLE, SPEC)


def total(targets, spec=SPEC, weights=LossWeights()):
    return float(objective_and_gradient(IMAGE, PARAMS, targets, weights, spec=spec)[0].total)


def mixed(weights):
    style, mixture = mix_styles(STYLES, weights)
    return PLAIN._replace(style=style, mixture=mixture)


def test_weights_of_one_and_zero_equal_the_single_style():
    assert total(mixed([1.0, 0.0])) == pytest.approx(total(PLAIN), rel=1e-6)
    blended = PLAIN._replace(style=blend_styles(STYLES, [1.0, 0.0]))
    assert total(blended) == pytest.approx(total(PLAIN), rel=1e-6)


def test_blends_and_mixtures_have_the_same_gradient_when_weights_sum_to_one():
    blended = PLAIN._replace(style=blend_styles(STYLES, [0.3, 0.7]))
    weights = LossWeights(out_of_range=0.0)
    gradients = [
        objective_and_gradient(IMAGE, PARAMS, t, weights, spec=SPEC)[1]
        for t in (mixed([0.3, 0.7]), blended)
    ]
    np.testing.assert_allclose(
        *gradients, rtol=1e-3, atol=1e-6 * float(jnp.abs(gradients[0]).max())
    )


def test_layers_may_come_from_different_styles():
    by_layer = {"relu1_1": [1.0, 0.0], "relu2_1": [0.0, 1.0]}
    expected = {"relu1_1": STYLES[0]["relu1_1"], "relu2_1": STYLES[1]["relu2_1"]}
    for name, array in blend_styles(STYLES, by_layer).items():
        np.testing.assert_array_equal(array, expected[name])
    together = PLAIN._replace(style=expected)
    assert total(mixed(by_layer)) == pytest.approx(total(together), rel=1e-6)


def test_mixtures_are_refused_that_do_not_fit():
    with pytest.raises(ValueError, match="weights should be 2 numbers, one a style, got 1"):
        mix_styles(STYLES, [1.0])
    with pytest.raises(ValueError, match="weights are given for relu1_1, but the layers are"):
        blend_styles(STYLES, {"relu1_1": [1.0, 0.0]})
    for function in (mix_styles, blend_styles):
        with pytest.raises(ValueError, match="styles is empty"):
            function([], [])


def test_mixture_weights_are_traced():
    loss = lambda w: objective(IMAGE, PARAMS, mixed([w, 1 - w]), spec=SPEC).total  # noqa: E731
    weights = jnp.array([0.0, 0.4, 1.0])
    expected = [float(loss(w)) for w in weights]
    np.testing.assert_allclose(jax.jit(jax.vmap(loss))(weights), expected, rtol=1e-5)


def test_what_is_kept_is_untouched_and_the_rest_changes():
    mask = jnp.zeros((16, 20)).at[:, 10:].set(1.0)
    targets = PLAIN._replace(kept=Kept(mask, CONTENT))
    seen = []
    result = optimize(
        IMAGE, PARAMS, targets, spec=SPEC, num_steps=3, callback=lambda *each: seen.append(each[1])
    )
    for image in (result.image, *seen):
        np.testing.assert_array_equal(image[:, 10:], CONTENT[:, 10:])
    assert float(jnp.abs(result.image[:, :10] - CONTENT[:, :10]).min()) > 0


def test_soft_edges_of_what_is_kept_are_part_of_the_objective():
    mask = jnp.broadcast_to(jnp.linspace(0, 1, 20), (16, 20))
    kept = Kept(mask, CONTENT)
    shown = kept.over(IMAGE)
    expected = objective_and_gradient(shown, PARAMS, PLAIN, spec=SPEC)[0].total
    assert total(PLAIN._replace(kept=kept)) == pytest.approx(float(expected), rel=1e-6)


def darkness(features, target):
    return jnp.mean(features["image"])


def brightness_kept(features, target):
    return jnp.square(jnp.mean(features["relu1_1"]) - target)


OWN = (
    OwnLoss("darkness", darkness),
    OwnLoss("brightness", brightness_kept, ["relu1_1"], lambda maps: jnp.mean(maps["relu1_1"])),
)


def test_own_losses_are_weighed_terms():
    spec = dataclasses.replace(SPEC, own_losses=OWN)
    targets = compute_targets(PARAMS, CONTENT, STYLE, spec)
    weights = LossWeights(own={"darkness": 2.0, "brightness": 3.0})
    value, _ = objective_and_gradient(IMAGE, PARAMS, targets, weights, spec=spec)
    assert float(value.terms["own/darkness"]) == pytest.approx(2 * float(IMAGE.mean()), rel=1e-6)
    means = [
        float(vgg.features(PARAMS, each, ["relu1_1"], padding="reflect")["relu1_1"].mean())
        for each in (IMAGE, CONTENT)
    ]
    expected = 3 * (means[0] - means[1]) ** 2
    assert float(value.terms["own/brightness"]) == pytest.approx(expected, rel=1e-3)
    assert float(value.total) == pytest.approx(sum(map(float, value.terms.values())), rel=1e-6)


@pytest.mark.slow
def test_own_losses_reach_stylize_and_grids():
    spec = dataclasses.replace(SPEC, own_losses=OWN)
    weights = LossWeights(own=1e6)
    plain = stylize(PARAMS, CONTENT, STYLE, spec=SPEC, num_steps=5)
    dark = stylize(PARAMS, CONTENT, STYLE, spec=spec, weights=weights, num_steps=5)
    assert float(dark.image.mean()) < float(plain.image.mean()) - 0.05
    grid = stylize_grid(PARAMS, [CONTENT], [STYLE], weights, spec=spec, num_steps=5)
    np.testing.assert_allclose(grid.image[0, 0, 0], dark.image, atol=1e-4)


def test_own_losses_are_checked():
    with pytest.raises(ValueError, match="own_losses has two of one name: darkness, darkness"):
        LossSpec(own_losses=(OWN[0], OWN[0]))
    with pytest.raises(TypeError, match="layers should be a sequence of names"):
        OwnLoss("mine", darkness, "relu1_1")
    spec = dataclasses.replace(SPEC, own_losses=OWN)
    with pytest.raises(ValueError, match=r"targets.own lacks brightness"):
        total(PLAIN, spec)
    with pytest.raises(ValueError, match="own weights are given for light, but"):
        total(PLAIN, spec, LossWeights(own={"light": 1.0}))
    with pytest.raises(ValueError, match="content is None, but own loss brightness measures it"):
        compute_targets(PARAMS, None, STYLE, LossSpec((), ("relu1_1",), own_losses=OWN))


def own_network(params, image, layers):
    blurred = (image[:-1] + image[1:]) / 2
    return {"sharp": params["gain"] * image, "blurred": params["gain"] * blurred}


def test_own_network_takes_the_place_of_vgg():
    spec = LossSpec(("blurred",), ("sharp",), network=own_network)
    params = {"gain": jnp.float32(2.0)}
    targets = compute_targets(params, CONTENT, STYLE, spec)
    flat = 2 * np.asarray(STYLE, np.float64).reshape(-1, 3)
    np.testing.assert_allclose(targets.style["sharp"], flat.T @ flat / len(flat), rtol=1e-5)
    for init in ("content", "noise"):
        result = stylize(
            params, CONTENT, STYLE, spec=spec, init=init, solver=solvers.adam(0.01), num_steps=5
        )
        assert float(result.info.loss[-1]) < float(result.info.loss[0])


def test_own_network_that_lacks_a_layer_is_refused():
    spec = LossSpec(("deep",), (), network=own_network)
    with pytest.raises(ValueError, match=r"spec.network should return \[h, w, c\] for deep"):
        compute_targets({"gain": 1.0}, CONTENT, None, spec)


def test_targets_are_a_pytree_with_or_without_extras():
    full = mixed([0.5, 0.5])._replace(kept=Kept(jnp.ones((16, 20)), CONTENT))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), full, full)
    assert isinstance(stacked, Targets)
    assert stacked.kept.mask.shape == (2, 16, 20)
