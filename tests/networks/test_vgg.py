"""The network against float64 NumPy; its laws, its refusals, and the real one's fingerprints."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import numpy_features, random_params
from helpers.numerics import close
from helpers.shared import shared_file

from jaxstyle.networks.load import load_params
from jaxstyle.networks.rescaling import activation_means, normalize_params, rescale_params
from jaxstyle.networks.vgg import VGG16_WIDTHS, VGG19_WIDTHS, features, init_params, layer_names

GOLDEN = Path(__file__).with_name("golden_vgg19.json")
VGG19_ONLY = ("conv3_4", "conv4_4", "conv5_4")
WIDTHS = (("conv1_1", 4), ("conv1_2", 5), ("conv2_1", 7), ("conv3_1", 6), ("conv3_2", 8))
RNG = np.random.default_rng(0)
IMAGE = np.float32(RNG.uniform(0, 1, (13, 11, 3)))
run = jax.jit(features, static_argnums=2, static_argnames=("pooling", "padding"))


PARAMS = random_params(WIDTHS)


def convolutions(jaxpr):
    """How many convolutions a program holds, in its inner programs too."""
    count = 0
    for equation in jaxpr.eqns:
        count += equation.primitive.name == "conv_general_dilated"
        for inner in jax.tree.leaves(equation.params, is_leaf=lambda x: hasattr(x, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            count += convolutions(inner) if hasattr(inner, "eqns") else 0
    return count


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("padding", ["zero", "reflect", "replicate"])
def test_every_map_equals_float64_numpy(pooling, padding):
    expected = numpy_features(PARAMS, IMAGE, pooling, padding)
    maps = run(PARAMS, IMAGE, tuple(expected), pooling=pooling, padding=padding)
    assert set(maps) == set(layer_names(WIDTHS))
    assert maps["pool3"].shape == (1, 1, 8)
    for layer, got in maps.items():
        assert got.dtype == jnp.float32
        close(got, expected[layer])


@pytest.mark.parametrize(
    "layers", [["relu3_1", "conv1_1"], ("pool1", "conv3_2", "pool2", "relu1_1"), ["relu2_1"], []]
)
def test_any_subset_comes_in_the_order_asked(layers):
    every = run(PARAMS, IMAGE, layer_names(WIDTHS))
    subset = features(PARAMS, IMAGE, layers)
    assert list(subset) == list(layers)
    for layer in layers:
        close(subset[layer], np.asarray(every[layer]), 1e-6)


@pytest.mark.parametrize(
    ("layers", "count"),
    [
        (["conv1_1"], 1),
        (["relu1_1", "relu1_1"], 1),
        (["pool1"], 2),
        (["conv2_1", "relu1_1"], 3),
        (["relu3_1"], 4),
        (["pool3"], 5),
    ],
)
def test_computes_no_deeper_than_asked(layers, count):
    program = jax.make_jaxpr(lambda image: features(PARAMS, image, layers, convolution="direct"))(
        IMAGE
    )
    assert convolutions(program.jaxpr) == count


def test_a_network_with_the_names_of_vgg16_runs():
    fewer = [pair for pair in VGG19_WIDTHS if pair[0] not in VGG19_ONLY]
    assert fewer == list(VGG16_WIDTHS)
    params = random_params(tuple((name, 3 + int(name[4])) for name, _ in VGG16_WIDTHS))
    image = np.float32(RNG.uniform(0, 1, (37, 33, 3)))
    expected = numpy_features(params, image)
    maps = run(params, image, layer_names(VGG16_WIDTHS))
    assert len(maps) == 13 + 13 + 5
    assert maps["pool5"].shape == (1, 1, 8)
    for layer, got in maps.items():
        close(got, expected[layer])
    with pytest.raises(ValueError, match=r"unknown layer relu3_4; valid layers: conv1_1, .*pool5$"):
        features(params, image, ["relu3_4"])


def test_the_order_of_the_parameters_does_not_matter():
    maps = features(dict(reversed(PARAMS.items())), IMAGE, ["relu3_2"])
    close(maps["relu3_2"], numpy_features(PARAMS, IMAGE)["relu3_2"])


def test_jit_equals_eager():
    layers = ("conv1_1", "pool2", "relu3_2")
    eager, jitted = features(PARAMS, IMAGE, layers), run(PARAMS, IMAGE, layers)
    for layer in layers:
        close(jitted[layer], np.asarray(eager[layer]), 1e-6)


def test_vmap_equals_a_loop():
    batch = np.float32(RNG.uniform(0, 1, (3, 9, 8, 3)))
    maps = jax.jit(jax.vmap(lambda image: features(PARAMS, image, ["conv3_1"])))(batch)["conv3_1"]
    for image, got in zip(batch, maps, strict=True):
        close(got, np.asarray(run(PARAMS, image, ("conv3_1",))["conv3_1"]), 1e-6)


@pytest.mark.parametrize("widths", [WIDTHS, VGG16_WIDTHS, VGG19_WIDTHS])
def test_init_params_has_the_shapes_of_the_widths(widths):
    shapes = jax.eval_shape(lambda key: init_params(key, widths), jax.random.key(0))
    inputs = [3, *(width for _, width in widths)]
    assert shapes.pop("mean").shape == (3,)
    assert set(shapes) == {name for name, _ in widths}
    for (name, width), c_in in zip(widths, inputs, strict=False):
        assert shapes[name]["kernel"].shape == (3, 3, c_in, width)
        assert shapes[name]["bias"].shape == (width,)
        assert shapes[name]["kernel"].dtype == shapes[name]["bias"].dtype == jnp.float32


@pytest.mark.slow
def test_init_params_is_he_normal_about_middle_grey_and_decided_by_its_key():
    widths = (("conv1_1", 64), ("conv1_2", 64))
    init = jax.jit(init_params, static_argnums=1)
    params, again, other = (init(jax.random.key(k), widths) for k in (0, 0, 1))
    kernel = np.asarray(params["conv1_2"]["kernel"])
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 64)), rtol=0.02)
    np.testing.assert_array_equal(params["mean"], 0.5)
    np.testing.assert_array_equal(params["conv1_2"]["bias"], 0)
    np.testing.assert_array_equal(kernel, again["conv1_2"]["kernel"])
    assert np.all(kernel != np.asarray(other["conv1_2"]["kernel"]))


@pytest.fixture(scope="module", params=["max", "average"])
def normalized(request):
    """A network with a dead filter, its images, and what normalisation makes of it."""
    params = jax.tree.map(np.asarray, PARAMS)
    params["conv1_2"]["bias"] = np.float32([0.1, -9, 0.2, 0, 0.1])
    images = [np.float32(RNG.uniform(0, 1, (*s, 3))) for s in [(13, 11), (8, 30)]]
    maps = [numpy_features(params, image, request.param) for image in images]
    means = {
        name: np.concatenate([m[f"relu{name[4:]}"].reshape(-1, width) for m in maps]).mean(0)
        for name, width in WIDTHS
    }
    new = normalize_params(params, iter(images), pooling=request.param)
    return params, images, request.param, means, new


def test_normalised_features_are_the_original_ones_divided_by_the_means(normalized):
    params, _, pooling, means, new = normalized
    assert means["conv1_2"][1] == 0
    scale = {name: np.where(mean > 0, mean, 1.0) for name, mean in means.items()}
    before = numpy_features(params, IMAGE, pooling)
    after = run(new, IMAGE, tuple(before), pooling=pooling)
    name = ""
    for layer, expected in before.items():
        name = layer if layer.startswith("conv") else name
        close(after[layer], expected / scale[name])


def test_normalised_mean_activations_are_one_save_where_a_filter_is_dead(normalized):
    _, images, pooling, means, new = normalized
    for name, mean in activation_means(new, images, pooling=pooling).items():
        np.testing.assert_allclose(mean, np.where(means[name] > 0, 1.0, 0.0), rtol=1e-5)


def test_normalising_needs_an_image():
    with pytest.raises(ValueError, match="images is empty"):
        normalize_params(PARAMS, [])


@pytest.mark.parametrize("means", [{}, {"conv1_1": np.ones(3)}])
def test_rescaling_needs_a_mean_for_every_filter(means):
    with pytest.raises(ValueError, match=r"means for conv1_1 should have shape \(4,\), got "):
        rescale_params(PARAMS, means)


@pytest.mark.parametrize(
    ("image", "layers", "options", "error", "message"),
    [
        (np.zeros((8, 8), np.float32), ["relu1_1"], {}, ValueError, r"\[H, W, 3\], got \[8, 8\]$"),
        (np.zeros((2, 8, 8, 3)), ["relu1_1"], {}, ValueError, r"for batches use jax\.vmap"),
        (np.zeros((8, 8, 4)), ["relu1_1"], {}, ValueError, r"\[H, W, 3\], got \[8, 8, 4\]"),
        (np.zeros((8, 8, 3), np.uint8), ["relu1_1"], {}, TypeError, "got uint8; divide 8-bit"),
        (IMAGE, ["relu1_1", "relu9_1"], {}, ValueError, "unknown layer relu9_1; valid .*: conv1_1"),
        (IMAGE, "relu1_1", {}, TypeError, "layers .* sequence of names, got 'relu1_1'"),
        (IMAGE, ["relu1_1"], {"pooling": "mean"}, ValueError, "'mean'; valid: max, average"),
        (IMAGE, ["relu1_1"], {"padding": "same"}, ValueError, "'same'; valid: zero, reflect, repl"),
    ],
)
def test_features_refuses(image, layers, options, error, message):
    with pytest.raises(error, match=message):
        features(PARAMS, image, layers, **options)


def test_parameters_without_a_convolution_are_refused():
    with pytest.raises(ValueError, match=r"no convolution such as 'conv1_1', only \['mean'\]"):
        features({"mean": np.zeros(3)}, IMAGE, ["relu1_1"])


@pytest.mark.parametrize(
    ("layer", "padding", "side"),
    [
        ("conv1_2", "zero", 1),
        ("conv1_2", "reflect", 2),
        ("pool1", "zero", 2),
        ("relu3_1", "zero", 4),
        ("relu3_1", "replicate", 4),
        ("relu3_1", "reflect", 8),
        ("pool3", "zero", 8),
    ],
)
def test_an_image_has_a_smallest_side(layer, padding, side):
    params = {k: v for k, v in PARAMS.items() if k == "mean" or k[4] <= layer[4]}
    image = IMAGE[:side, :9]
    expected = numpy_features(params, image, padding=padding)[layer]
    close(run(params, image, (layer,), padding=padding)[layer], expected)
    needed = rf"too small for {layer}, which needs at least {side}×{side}$"
    for small in (image[1:], image[1:].transpose(1, 0, 2)):
        with pytest.raises(ValueError, match=needed):
            features(params, small, [layer], padding=padding)


def fingerprints(path):
    """Mean and standard deviation of every convolution of a network for one fixed image.

    `cd tests && python -c "import test_vgg as t; t.write_golden('PATH')"` wrote the golden ones.
    """
    x, y = np.meshgrid(np.arange(64), np.arange(64))
    waves = [np.sin(x / 3) * np.cos(y / 7), np.sin((x + y) / 5), np.cos(np.hypot(x, y) / 4)]
    image = np.float32(0.5 + 0.5 * np.stack(waves, -1))
    layers = tuple(name for name, _ in VGG19_WIDTHS)
    maps = jax.tree.map(np.float64, run(load_params(path), image, layers))
    return {layer: [maps[layer].mean(), maps[layer].std()] for layer in layers}


def write_golden(path):
    lines = (f"{json.dumps(k)}: {json.dumps(v)}" for k, v in fingerprints(path).items())
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def test_the_real_network_has_its_golden_fingerprints():
    golden = json.loads(GOLDEN.read_text())
    got = fingerprints(shared_file("weights/vgg19_keras_layout.h5"))
    assert list(got) == list(golden) == [name for name, _ in VGG19_WIDTHS]
    for layer, numbers in golden.items():
        np.testing.assert_allclose(got[layer], numbers, atol=2e-5 * numbers[1], err_msg=layer)
