"""Convolutions and pools against float64 NumPy, against XLA's own, and which of them is chosen."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from helpers.networks import numpy_features, random_params
from helpers.numerics import close
from jax.test_util import check_grads

import jaxstyle
from jaxstyle import LossSpec, VGGSpec
from jaxstyle.networks import convolution, vgg
from jaxstyle.networks.convolution import (
    average_pool,
    choose_convolution,
    conv3x3,
    max_pool,
    transform_kernel,
)

WIDTHS = {"conv1_1": 4, "conv1_2": 5, "conv2_1": 7}
RNG = np.random.default_rng(0)


def case(h, w, c_in=3, c_out=5):
    shapes = (h, w, c_in), (3, 3, c_in, c_out), (c_out,)
    return tuple(jnp.float32(RNG.normal(0.2, 1, shape)) for shape in shapes)


@functools.partial(jax.jit, static_argnames=("padding", "convolution"))
def outputs_and_gradients(arrays, **options):
    """The output, and the gradients of a loss that weighs every output differently."""

    def loss(arrays):
        y = conv3x3(*arrays, **options)
        return jnp.sum(jnp.sin(y + jnp.arange(y.size).reshape(y.shape))), y

    gradients, y = jax.grad(loss, has_aux=True)(arrays)
    return y, *gradients


@pytest.mark.parametrize(
    ("h", "w", "padding"),
    [(1, 1, "zero"), (2, 2, "reflect"), (4, 8, "zero"), (9, 6, "reflect"), (1, 7, "replicate")],
)  # fmt: skip
@pytest.mark.parametrize("convolution", ["im2col", "winograd"])
def test_every_form_equals_direct_in_values_and_all_gradients(h, w, padding, convolution):
    arrays = case(h, w)
    expected = outputs_and_gradients(arrays, padding=padding, convolution="direct")
    got = outputs_and_gradients(arrays, padding=padding, convolution=convolution)
    close(got[0], np.asarray(expected[0]), 1e-5)
    for ours, theirs in zip(got[1:], expected[1:], strict=True):
        close(ours, np.asarray(theirs), 1e-4)


def test_direct_has_the_bits_of_flax():
    x, kernel, bias = case(9, 6)
    flax = nn.Conv(5, (3, 3), padding="SAME").apply({"params": {"kernel": kernel, "bias": bias}}, x)
    np.testing.assert_array_equal(conv3x3(x, kernel, bias, convolution="direct"), flax)


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("padding", ["zero", "reflect", "replicate"])
def test_a_whole_network_equals_float64_numpy(padding, pooling):
    params = random_params(tuple(WIDTHS.items()))
    image = np.float32(RNG.uniform(0, 1, (13, 11, 3)))
    expected = numpy_features(params, image, pooling, padding)
    options = {"pooling": pooling, "padding": padding, "convolution": "winograd"}
    maps = jax.jit(lambda image: jaxstyle.features(params, image, list(expected), **options))(image)
    for layer, got in maps.items():
        close(got, expected[layer], 1e-5)


@pytest.mark.slow
def test_deep_sums_stay_within_the_tolerance():
    x, kernel, bias = case(20, 17, 256, 64)
    x, kernel = jax.nn.relu(x), kernel / 48
    expected = outputs_and_gradients((x, kernel, bias), convolution="direct")
    got = outputs_and_gradients((x, kernel, bias), convolution="winograd")
    close(got[0], np.asarray(expected[0]), 1e-4)
    close(got[1], np.asarray(expected[1]), 1e-3)


@pytest.mark.parametrize("convolution", ["im2col", "winograd"])
def test_vmap_equals_a_loop(convolution):
    _, kernel, bias = case(1, 1)
    batch = jnp.float32(RNG.normal(0, 1, (3, 6, 7, 3)))
    one = functools.partial(conv3x3, kernel=kernel, bias=bias, convolution=convolution)
    for x, got in zip(batch, jax.jit(jax.vmap(one))(batch), strict=True):
        close(got, np.asarray(one(x)), 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("convolution", ["winograd", "im2col"])
def test_derivatives_of_every_mode_and_order(convolution):
    arrays = case(5, 3, 2, 2)
    convolve = jax.jit(functools.partial(conv3x3, convolution=convolution, padding="reflect"))
    check_grads(convolve, arrays, order=2, modes=["fwd", "rev"], atol=0.05, rtol=0.05)


def test_other_types_are_kept():
    x, kernel, bias = (each.astype(jnp.bfloat16) for each in case(6, 6))
    assert conv3x3(x, kernel, bias).dtype == jnp.bfloat16


@pytest.mark.parametrize("shape", [(6, 8, 3), (7, 5, 2), (2, 3, 1)])
def test_pools_are_flax_s_in_value_and_gradient_with_ties(shape):
    # Small whole numbers: every second window has its largest value twice.
    x = jnp.float32(RNG.integers(0, 3, shape))

    def both(pool):
        y, back = jax.vjp(pool, x)
        return y, back(1.0 + jnp.arange(y.size, dtype=y.dtype).reshape(y.shape))[0]

    for ours, theirs in ((max_pool, nn.max_pool), (average_pool, nn.avg_pool)):
        expected = both(lambda x, pool=theirs: pool(x, (2, 2), strides=(2, 2)))
        for a, b in zip(both(ours), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_pool_lets_nan_through():
    assert jnp.isnan(max_pool(jnp.ones((2, 2, 1)).at[0, 1].set(jnp.nan))).all()


@pytest.mark.parametrize(
    ("h", "c_in", "c_out", "dtype", "prepared", "chosen"),
    [(32, 48, 96, "float32", False, "winograd"), (31, 512, 512, "float32", False, "direct"),
     (31, 512, 512, "float32", True, "winograd"), (6, 512, 512, "float32", True, "winograd"),
     (257, 64, 64, "float32", True, "direct"), (256, 64, 64, "float32", True, "winograd"),
     (256, 16, 16, "float32", True, "direct"), (128, 16, 48, "float32", True, "winograd"),
     (257, 16, 48, "float32", True, "direct"), (256, 8, 96, "float32", True, "direct"),
     (256, 3, 64, "float32", False, "im2col"), (256, 3, 16, "float32", True, "im2col"),
     (64, 64, 128, "bfloat16", True, "direct")],
)  # fmt: skip
def test_auto_is_the_fastest_on_a_cpu(h, c_in, c_out, dtype, prepared, chosen, monkeypatch):
    x = jax.ShapeDtypeStruct((h, h, c_in), dtype)
    kernel = jax.ShapeDtypeStruct((3, 3, c_in, c_out), dtype)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert choose_convolution(x, kernel, prepared=prepared) == chosen
    in_loop = choose_convolution(x, kernel, prepared=prepared, in_loop=True)
    assert in_loop == ("winograd" if (chosen, dtype) == ("direct", "float32") else chosen)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert choose_convolution(x, kernel, prepared=prepared) == "direct"


def test_a_small_map_takes_winograd_where_its_kernel_is_prepared():
    if jax.default_backend() != "cpu":
        pytest.skip("elsewhere every convolution is direct")
    x, kernel, bias = case(8, 8, c_in=16, c_out=32)
    prepared = conv3x3(x, kernel, bias, transformed=transform_kernel(kernel))
    np.testing.assert_array_equal(prepared, conv3x3(x, kernel, bias, convolution="winograd"))
    np.testing.assert_array_equal(
        conv3x3(x, kernel, bias), conv3x3(x, kernel, bias, convolution="direct")
    )


@pytest.mark.slow
def test_the_objective_and_the_network_take_the_option():
    image = jnp.float32(RNG.uniform(0, 1, (9, 8, 3)))
    params = random_params((("conv1_1", 4), ("conv2_1", 5)))
    found = {}
    for algorithm in ("direct", "winograd"):
        spec = LossSpec(("relu2_1",), ("relu1_1",), network=VGGSpec(convolution=algorithm))
        targets = jaxstyle.compute_targets(params, image, image[::-1], spec)
        found[algorithm] = jaxstyle.objective_and_gradient(1 - image, params, targets, spec=spec)
    np.testing.assert_allclose(*(value.total for value, _ in found.values()), rtol=1e-4)
    close(found["winograd"][1], np.asarray(found["direct"][1]), 1e-3)
    assert (found["winograd"][1] != found["direct"][1]).any()
    with pytest.raises(
        ValueError, match="unknown convolution 'fft'; valid: auto, direct, im2col, winogr"
    ):
        LossSpec(network=VGGSpec(convolution="fft"))
    with pytest.raises(ValueError, match="unknown convolution 'fft'"):
        jaxstyle.features(params, image, ["relu1_1"], convolution="fft")


@pytest.mark.slow
def test_prepared_parameters_give_the_same_features():
    params = random_params(tuple(WIDTHS.items()))
    image = jnp.float32(RNG.uniform(0, 1, (9, 8, 3)))
    prepared = vgg.prepare_params(params, (9, 8), ["relu1_2"], convolution="winograd")
    assert ["transformed" in prepared[name] for name in WIDTHS] == [True, True, False]
    for algorithm in ("winograd", "direct"):
        mine, given = (
            jaxstyle.features(each, image, ["relu2_1"], convolution=algorithm)["relu2_1"]
            for each in (prepared, params)
        )
        # Within rounding: which sums are fused into their neighbours is the processor's affair.
        close(mine, np.asarray(given), 1e-5)
    again = vgg.prepare_params(prepared, (9, 8), ["relu1_2"], convolution="winograd")
    assert again["conv1_2"] is prepared["conv1_2"]
    assert vgg.prepare_params(params, (9, 8), ["relu1_2"], convolution="direct") == params


def test_auto_prepares_what_auto_transforms(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    params = jax.eval_shape(lambda: jaxstyle.init_params(jax.random.key(0)))
    prepare = functools.partial(vgg.prepare_params, shape=(256, 400), layers=["relu5_1"])
    prepared = jax.eval_shape(prepare, params)
    transformed = [
        name for name, _ in vgg.network_widths(params) if "transformed" in prepared[name]
    ]
    assert transformed == [
        "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv3_4",
        "conv4_1", "conv4_2", "conv4_3", "conv4_4", "conv5_1",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_descent_transforms_each_kernel_once(monkeypatch):
    transformed = []

    def watched(kernel):
        transformed.append(kernel.shape)
        return transform_kernel(kernel)

    monkeypatch.setattr(vgg, "transform_kernel", watched)
    monkeypatch.setattr(convolution, "transform_kernel", None)  # what an evaluation would call
    spec = LossSpec(("relu2_1",), ("relu1_1",), network=VGGSpec(convolution="winograd"))
    params = random_params((("conv1_1", 4), ("conv2_1", 5)))
    image = jnp.float32(RNG.uniform(0, 1, (9, 8, 3)))
    targets = jaxstyle.compute_targets(
        vgg.prepare_params(params, (9, 8), spec.layers, convolution="winograd"), image, image, spec
    )
    transformed.clear()
    jaxstyle.optimize(1 - image, params, targets, spec=spec, num_steps=3)
    assert transformed == [(3, 3, 3, 4), (3, 3, 4, 5)]
