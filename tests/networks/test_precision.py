"""The network in bfloat16: what it costs, and that all around it stays in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.command_line import STYLIZE, done, pixels
from helpers.networks import random_params

import jaxstyle
from jaxstyle import LossSpec, VGGSpec
from jaxstyle.image.io import read_settings
from jaxstyle.losses import features as specs
from jaxstyle.networks import bands, vgg

pytestmark = pytest.mark.usefixtures("compile_faster")
PARAMS = random_params((("conv1_1", 8), ("conv1_2", 8), ("conv2_1", 8)))
SPEC = LossSpec(("relu2_1",), ("relu1_1", "relu1_2"))
BFLOAT16 = SPEC.with_vgg(precision="bfloat16")
CONTENT, STYLE = jnp.float32(np.random.default_rng(0).uniform(0, 1, (2, 24, 32, 3)))


def off(a, b):
    a, b = (np.asarray(x, np.float32) for x in (a, b))
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def test_maps_are_rounded_and_the_mean_is_subtracted_before():
    exact = vgg.features(PARAMS, CONTENT, ["relu1_1", "relu2_1"])
    rounded = vgg.features(PARAMS, CONTENT, ["relu1_1", "relu2_1"], dtype=jnp.bfloat16)
    for layer, map_ in rounded.items():
        assert map_.dtype == jnp.bfloat16
        assert 1e-4 < off(map_, exact[layer]) < 0.02
    # So near to the mean that rounding the image first would leave next to nothing of it.
    near = PARAMS["mean"] + 1e-3 * (CONTENT - 0.5)
    without_bias = PARAMS | {"conv1_1": PARAMS["conv1_1"] | {"bias": jnp.zeros(8)}}
    exact, rounded = (
        vgg.features(without_bias, near, ["conv1_1"], dtype=dtype)["conv1_1"]
        for dtype in (None, jnp.bfloat16)
    )
    assert off(rounded, exact) < 0.02


def test_losses_gradients_and_targets_stay_in_float32():
    targets = jaxstyle.compute_targets(PARAMS, CONTENT, STYLE, BFLOAT16)
    assert {leaf.dtype for leaf in jax.tree.leaves(targets)} == {jnp.dtype("float32")}
    start = 0.5 * (CONTENT + STYLE)
    found = {}
    for spec in (SPEC, BFLOAT16):
        targets = jaxstyle.compute_targets(PARAMS, CONTENT, STYLE, spec)
        value, gradient = jaxstyle.objective_and_gradient(start, PARAMS, targets, spec=spec)
        assert {leaf.dtype for leaf in jax.tree.leaves((value, gradient))} == {gradient.dtype}
        assert gradient.dtype == jnp.float32
        found[spec.network.precision] = value, gradient
    (exact, gradient), (rounded, rounded_gradient) = found.values()
    for name, term in rounded.terms.items():
        np.testing.assert_allclose(term, exact.terms[name], rtol=0.03, err_msg=name)
    assert 1e-6 < off(rounded_gradient, gradient) < 0.05


@pytest.mark.slow
def test_a_descent_falls_nearly_as_far():
    """Rounded gradients slow the end of a descent; on the real network, see benchmark.py."""
    targets = jaxstyle.compute_targets(PARAMS, CONTENT, STYLE, SPEC)

    def exact(image):
        value, _ = jaxstyle.objective_and_gradient(image, PARAMS, targets, spec=SPEC)
        return float(value.total)

    ends = []
    for spec in (SPEC, BFLOAT16):
        result = jaxstyle.stylize(PARAMS, CONTENT, STYLE, spec=spec, num_steps=40)
        assert result.image.dtype == jnp.float32
        assert np.all(result.info.finite)
        ends.append(exact(result.image))
    fall, rounded_fall = (np.log(exact(CONTENT) / end) for end in ends)
    assert fall > np.log(10)
    assert rounded_fall > 0.95 * fall


def test_parameters_are_rounded_once():
    prepared = specs.prepare_params(PARAMS, (24, 32), BFLOAT16)
    assert prepared["conv1_1"]["kernel"].dtype == jnp.bfloat16
    assert prepared["mean"].dtype == jnp.float32
    for layer in ("relu1_2", "relu2_1"):
        maps = [specs.features(p, CONTENT, BFLOAT16, [layer])[layer] for p in (PARAMS, prepared)]
        np.testing.assert_array_equal(*(np.asarray(x, np.float32) for x in maps))


@pytest.mark.slow
def test_bands_of_rows_round_alike(monkeypatch):
    monkeypatch.setitem(bands._KEPT, "low", 0)
    monkeypatch.setattr(bands, "_BAND", 0)
    tall = jnp.tile(CONTENT, (4, 1, 1))
    maps = [
        specs.features(PARAMS, tall, BFLOAT16.with_vgg(memory=memory), ["relu2_1"])
        for memory in ("plain", "low")
    ]
    assert off(*(each["relu2_1"] for each in maps)) < 1e-2
    assert maps[1]["relu2_1"].dtype == jnp.bfloat16


def test_what_does_not_go_together():
    with pytest.raises(ValueError, match="unknown precision 'half'; valid: float32, bfloat16"):
        LossSpec(network=VGGSpec(precision="half"))
    with pytest.raises(ValueError, match="convolution='winograd' needs precision='float32'"):
        LossSpec(network=VGGSpec(convolution="winograd", precision="bfloat16"))


@pytest.mark.slow
def test_the_command_makes_nearly_the_same_picture_with_it(cli):
    made = {}
    for precision in ("float32", "bfloat16"):
        done(cli(STYLIZE, precision=precision))
        made[precision] = pixels("out.png").astype(int)
        assert read_settings("out.png")["options"]["precision"] == precision
    difference = np.abs(made["bfloat16"] - made["float32"])
    assert 0 < difference.max() <= 8
    assert difference.mean() < 0.5
