"""Evaluations in bands of rows against plain ones, and the memory that they take."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import random_params
from helpers.numerics import close

import jaxstyle
from jaxstyle import LossSpec, OwnLoss, Region, VGGSpec, guided_targets, objective
from jaxstyle.losses import features as specs
from jaxstyle.networks import bands, vgg
from jaxstyle.networks.bands import map_shape, plan_stages

WIDTHS = (("conv1_1", 4), ("conv1_2", 5), ("conv2_1", 6), ("conv3_1", 7))
PARAMS = random_params(WIDTHS)
RNG = np.random.default_rng(0)


@pytest.fixture
def narrow_bands(monkeypatch):
    """Bands as narrow as they may be, at every stage."""
    for name in bands._KEPT:
        monkeypatch.setitem(bands._KEPT, name, 0)
    monkeypatch.setattr(bands, "_BAND", 0)
    monkeypatch.setattr(bands, "_WIDE", 0)


def pictures(h, w, count=3):
    return jnp.float32(RNG.uniform(0, 1, (count, h, w, 3)))


def value_and_gradient(image, targets, spec):
    # A new function each time: the bands are no part of the key of jit's cache.
    function = functools.partial(objective, spec=spec)
    return jax.jit(jax.value_and_grad(function, has_aux=True))(image, PARAMS, targets)


def assert_equal(image, targets, spec, tolerance=1e-4, memory="low"):
    plain = spec.with_vgg(memory="plain")
    (_, expected), gradient = value_and_gradient(image, targets, plain)
    banded = spec.with_vgg(memory=memory)
    (_, terms), banded_gradient = value_and_gradient(image, targets, banded)
    assert terms.keys() == expected.keys()
    for name, term in terms.items():
        np.testing.assert_allclose(term, expected[name], rtol=tolerance, err_msg=name)
    close(banded_gradient, np.asarray(gradient), 1e-3)


@pytest.mark.usefixtures("narrow_bands", "compile_faster")
@pytest.mark.parametrize(
    ("shape", "pooling", "padding", "convolution", "statistic"),
    [pytest.param((101, 21), "max", "reflect", "winograd", "gram", marks=pytest.mark.slow),
     ((97, 14), "average", "zero", "direct", "sliced"),
     pytest.param((80, 10), "max", "replicate", "direct", "moments", marks=pytest.mark.slow),
     pytest.param((66, 9), "average", "reflect", "direct", "wasserstein", marks=pytest.mark.slow)],
)  # fmt: skip
def test_bands_equal_the_whole(shape, pooling, padding, convolution, statistic):
    spec = LossSpec(
        ("relu2_1", "pool1"),
        ("relu1_1", "conv1_2", "pool2", "relu3_1"),
        statistic=statistic,
        network=VGGSpec(pooling, padding, convolution),
    )
    assert plan_stages(WIDTHS, shape, spec.layers)[0].bands > 1
    image, content, style = pictures(*shape)
    # What is left of Gaussians as near as these is a small difference of their traces.
    tolerance = 1e-3 if statistic == "wasserstein" else 1e-4
    assert_equal(image, jaxstyle.compute_targets(PARAMS, content, style, spec), spec, tolerance)


@pytest.mark.slow
@pytest.mark.usefixtures("narrow_bands", "compile_faster")
def test_fast_bands_equal_the_whole_and_are_of_the_first_block():
    if jax.default_backend() != "cpu":
        pytest.skip("bands are faster on CPUs alone")
    spec = LossSpec(("relu2_1",), ("relu1_1", "relu2_1", "relu3_1"))
    image, content, style = pictures(70, 12)
    stages = plan_stages(WIDTHS, (70, 12), spec.layers, "fast")
    assert [stage.bands > 1 for stage in stages] == [True, False, False]
    assert specs.choose_bands(PARAMS, (70, 12), spec) == "fast"
    assert_equal(image, jaxstyle.compute_targets(PARAMS, content, style, spec), spec, memory="auto")


@pytest.mark.usefixtures("narrow_bands")
@pytest.mark.parametrize(
    "network",
    [VGGSpec(convolution="direct"), VGGSpec(precision="bfloat16"), VGGSpec(memory="plain"),
     lambda params, image, layers: {}],
)  # fmt: skip
def test_bands_are_for_where_they_are_faster(network):
    spec = LossSpec(("relu2_1",), ("relu1_1",), network=network)
    assert specs.choose_bands(PARAMS, (70, 12), spec) is None


def test_small_maps_and_narrow_blocks_have_no_fast_bands():
    def banded(widths, side):
        stages = plan_stages(widths, (side, side), ["relu3_1"], "fast")
        return any(stage.bands > 1 for stage in stages)

    assert banded(vgg.VGG19_WIDTHS, 256)
    assert not banded(vgg.VGG19_WIDTHS, 192)
    assert not banded(WIDTHS, 4096)


@pytest.mark.slow
@pytest.mark.usefixtures("narrow_bands", "compile_faster")
def test_statistics_of_regions_and_own_losses_equal_the_whole():
    image, content, style = pictures(64, 12)
    ramp = jnp.broadcast_to(jnp.linspace(0, 1, 64)[:, None], (64, 12))
    regions = [Region(ramp, style), Region(1 - ramp, content)]
    own = OwnLoss(
        "contrast",
        lambda maps, target: jnp.mean(jnp.square(maps["relu1_2"] - target)),
        ["relu1_2"],
        lambda maps: maps["relu1_2"],
    )
    for statistic, losses in (("wasserstein", (own,)), ("gram", ())):
        spec = LossSpec(("pool1",), ("relu1_1", "relu2_1"), statistic=statistic, own_losses=losses)
        targets = guided_targets(PARAMS, content, regions, spec, keep=ramp, protect=1 - ramp)
        assert_equal(image, targets, spec, 1e-3 if statistic == "wasserstein" else 1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("narrow_bands", "compile_faster")
def test_targets_and_a_descent_equal_the_plain_ones_and_lanes_a_loop():
    plain = LossSpec(
        ("relu2_1",), ("relu1_1", "relu2_1"), network=VGGSpec(convolution="direct", memory="plain")
    )
    low = plain.with_vgg(memory="low")
    images = pictures(56, 10)
    targets = jaxstyle.compute_targets(PARAMS, *images[:2], plain)
    for ours, theirs in zip(
        jax.tree.leaves(jaxstyle.compute_targets(PARAMS, *images[:2], low)),
        jax.tree.leaves(targets),
        strict=True,
    ):
        close(ours, np.asarray(theirs), 1e-4)
    gradient = jax.grad(lambda image: objective(image, PARAMS, targets, spec=low).total)
    batch = jnp.stack([images[2], 1 - images[2]])
    close(jax.jit(jax.vmap(gradient))(batch)[1], np.asarray(jax.jit(gradient)(batch[1])), 1e-4)
    options = {"solver": jaxstyle.solvers.adam(0.05), "num_steps": 1}
    ours, theirs = (
        jaxstyle.optimize(images[2], PARAMS, targets, spec=spec, **options).image
        for spec in (low, plain)
    )
    close(ours, np.asarray(theirs), 1e-3)


def test_the_stages_of_a_network():
    for shape in ((512, 512), (3072, 4096), (333, 5000), (40, 30)):
        stages = plan_stages(vgg.VGG19_WIDTHS, shape, ["relu5_4"])
        names = [layer for stage in stages for layer in stage.layers]
        assert names == list(vgg.layer_names()[:-1])
        for stage in stages:
            if stage.bands > 1:
                assert stage.rows >= 4 * stage.halo
                assert stage.rows % (2 * stage.shrink(stage.layers[-1])) == 0
    # A tall band's last one takes less than a band more.
    assert [stage.bands for stage in plan_stages(vgg.VGG19_WIDTHS, (40, 30), ["relu5_4"])] == [
        1
    ] * 5


def test_shapes_are_those_of_the_maps():
    layers = vgg.layer_names(WIDTHS)
    shapes = jax.eval_shape(lambda: vgg.features(PARAMS, jnp.zeros((29, 18, 3)), layers))
    assert {layer: map_shape(WIDTHS, (29, 18, 3), layer) for layer in layers} == {
        layer: found.shape for layer, found in shapes.items()
    }


def test_what_cannot_be_is_refused_in_one_line():
    with pytest.raises(ValueError, match="unknown memory 'little'; valid: auto, plain, low"):
        LossSpec(network=VGGSpec(memory="little"))
    with pytest.raises(TypeError, match="changes how VGG is computed, and network is a function"):
        LossSpec(network=lambda params, image, layers: {}).with_vgg(memory="low")
    low = LossSpec(("relu2_1",), ("relu1_1",), network=VGGSpec(memory="low"))
    image, content = pictures(16, 16, 1)[0], pictures(20, 12, 1)[0]
    targets = jaxstyle.compute_targets(PARAMS, content, image, low)
    with pytest.raises(ValueError, match=r"at relu2_1 the image has features \[8, 8, 6\]"):
        jaxstyle.objective(image, PARAMS, targets, spec=low)


def test_rows_over_several_devices_are_refused(monkeypatch):
    monkeypatch.setattr("jaxstyle.networks.spec.splits_rows", lambda image: True)
    with pytest.raises(ValueError, match="memory='low' is for one device"):
        specs.settle(LossSpec(network=VGGSpec(memory="low")), jnp.zeros((8, 8, 3)))
    assert specs.settle(LossSpec(), jnp.zeros((8, 8, 3))).network.memory == "plain"


@pytest.mark.slow
def test_they_take_a_fraction_of_the_memory():
    if jax.default_backend() != "cpu":
        pytest.skip("what is measured is the CPU compiler's plan")
    params = jax.eval_shape(lambda: vgg.init_params(jax.random.key(0)))
    spec = LossSpec(("relu2_2",), ("relu1_1", "relu2_1"))
    image = jax.ShapeDtypeStruct((1024, 1024, 3), jnp.float32)
    targets = jax.eval_shape(lambda p, x: jaxstyle.compute_targets(p, x, x, spec), params, image)

    def temporary(spec):
        both = jax.value_and_grad(functools.partial(objective, spec=spec), has_aux=True)
        program = jax.jit(both).lower(image, params, targets).compile()
        return program.memory_analysis().temp_size_in_bytes

    plain, auto, low = (
        temporary(spec.with_vgg(memory=memory)) for memory in ("plain", "auto", "low")
    )
    assert auto <= 0.7 * plain
    assert low <= 0.35 * plain
