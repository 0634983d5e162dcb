"""Narrowing a network by choosing filters and solving for their kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.networks import vgg
from scripts.training import narrowing

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("compile_faster")]

WIDTHS = (("conv1_1", 6), ("conv1_2", 5), ("conv2_1", 7))


@pytest.fixture(scope="module")
def teacher():
    params = vgg.init_params(jax.random.key(0), WIDTHS)
    for i, (name, width) in enumerate(WIDTHS):
        params[name]["bias"] = 0.1 * jax.random.normal(jax.random.key(i), (width,))
    return params


@pytest.fixture(scope="module")
def images():
    return np.asarray(jax.random.uniform(jax.random.key(1), (16, 24, 24, 3)))


def maps(params, image, layers=("relu1_1", "relu1_2", "relu2_1")):
    return vgg.features(params, image, layers, padding=narrowing.PADDING)


def test_the_columns_chosen_explain_the_others():
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(200, 3))
    matrix = basis @ rng.normal(size=(3, 9))
    matrix[:, 4] = 0
    chosen = narrowing.select_columns(matrix.T @ matrix, 3)
    assert len(set(chosen)) == 3
    assert 4 not in chosen
    solution, *_ = np.linalg.lstsq(matrix[:, chosen], matrix, rcond=None)
    np.testing.assert_allclose(matrix[:, chosen] @ solution, matrix, atol=1e-9)
    # Every column can be asked for, also those that add nothing.
    np.testing.assert_array_equal(narrowing.select_columns(matrix.T @ matrix, 9), np.arange(9))


def test_under_a_relu_a_negative_target_asks_only_for_a_negative_output():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(4000, 5)).astype(np.float32)
    wanted = inputs @ rng.normal(size=(5, 3)).astype(np.float32)
    # Far below zero nothing that is linear in the inputs follows the target, nor needs to.
    target = np.where(wanted > 0, wanted, wanted * rng.uniform(0, 9, wanted.shape))
    target = target.astype(np.float32)

    def error(rounds):
        outputs = inputs @ narrowing.solve_for_activations(inputs, target, rounds, ridge=0)
        return np.square(np.maximum(outputs, 0) - np.maximum(target, 0)).mean()

    assert error(50) < 0.01 * error(0)


@pytest.mark.parametrize("name", ["conv1_1", "conv1_2", "conv2_1"])
def test_patches_times_kernel_is_the_convolution(teacher, images, name):
    inputs = {"conv1_1": None, "conv1_2": "relu1_1", "conv2_1": "pool1"}[name]
    image = jnp.asarray(images[0])
    x = maps(teacher, image, (inputs,))[inputs] if inputs else image - teacher["mean"]
    side = x.shape[0]
    places = np.array([0, side - 1, side * side // 2 + 3, side * side - 1])
    rows = narrowing.patches(np.asarray(x), places)
    layer = teacher[name]
    kernel = jnp.concatenate([layer["kernel"].reshape(-1, layer["bias"].size), layer["bias"][None]])
    whole = maps(teacher, images[0], (name,))[name].reshape(-1, layer["bias"].size)
    np.testing.assert_allclose(rows @ kernel, whole[places], atol=1e-5)


def test_with_every_filter_the_network_comes_back(teacher, images, capsys):
    found = narrowing.fit(teacher, WIDTHS, images, np.random.default_rng(0), rows=400)
    for name, width in WIDTHS:
        np.testing.assert_array_equal(found.channels[name], np.arange(width))
    got, expected = maps(found.params, images[-1]), maps(teacher, images[-1])
    for layer, wanted in expected.items():
        error = jnp.sum(jnp.square(got[layer] - wanted)) / jnp.sum(jnp.square(wanted))
        assert error < 1e-3, layer
    assert capsys.readouterr().out.count("relative squared error") == 3


def test_filters_that_repeat_others_are_left_out_at_no_cost(teacher, images):
    twice = {"mean": teacher["mean"]}
    for name, _ in WIDTHS:
        layer = jax.tree.map(lambda x: jnp.concatenate([x, x], axis=-1), teacher[name])
        if name != "conv1_1":
            layer["kernel"] = jnp.concatenate([layer["kernel"], layer["kernel"]], axis=2) / 2
        twice[name] = layer
    found = narrowing.fit(twice, WIDTHS, images, np.random.default_rng(0), rows=400)
    wanted = maps(twice, images[-1])
    for layer, got in maps(found.params, images[-1]).items():
        chosen = wanted[layer][..., found.channels[f"conv{layer[4:]}"]]
        assert jnp.sum(jnp.square(got - chosen)) < 1e-3 * jnp.sum(jnp.square(chosen)), layer


def test_a_fit_is_kept(teacher, images, tmp_path):
    found = narrowing.fit(teacher, WIDTHS, images[:8], np.random.default_rng(0), rows=20)
    narrowing.save_fit(tmp_path / "fit.npz", found)
    again = narrowing.load_fit(tmp_path / "fit.npz")
    jax.tree.map(np.testing.assert_array_equal, tuple(again), tuple(found))


def test_whitened_inputs_have_uncorrelated_patches(teacher, images):
    found = narrowing.whitenings(teacher, images, np.random.default_rng(0), rows=24 * 24)
    x = {"conv1_1": images - teacher["mean"]}
    x["conv1_2"] = np.stack([maps(teacher, i, ("relu1_1",))["relu1_1"] for i in images])
    x["conv2_1"] = np.stack([maps(teacher, i, ("pool1",))["pool1"] for i in images])
    assert list(found) == list(x)
    for name, inputs in x.items():
        at = np.arange(inputs.shape[1] * inputs.shape[2])
        seen = np.concatenate([narrowing.patches(each, at) for each in inputs]) @ found[name]
        moments = seen.T @ seen / len(seen)
        # All ones but for the directions in which next to nothing varies.
        variances = np.linalg.eigvalsh(moments)
        assert variances.max() < 1.001, name
        assert np.mean(variances > 0.9) > 0.5, name
