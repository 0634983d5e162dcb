"""Every preset against the formula of the system that it is named after, in float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import numpy_features, random_params
from helpers.numerics import close

from jaxstyle import LossSpec, compute_targets, objective
from jaxstyle.networks.vgg import VGG19_WIDTHS, features
from jaxstyle.optimization.presets import PRESETS, get_preset

PARAMS = random_params(tuple((name, 3 + int(name[4])) for name, _ in VGG19_WIDTHS))
RNG = np.random.default_rng(2)
IMAGE, CONTENT, STYLE = np.float32(RNG.uniform(0, 1, (3, 32, 32, 3)))


def rows(maps):
    """Features as the papers write them: `[N, M]`, filters by positions."""
    return maps.reshape(-1, maps.shape[-1]).T


def gram(maps):
    return rows(maps) @ rows(maps).T


def mse(a, b):
    return np.mean((a - b) ** 2)


def differences(image):
    return np.diff(image, axis=0), np.diff(image, axis=1)


def gram_by_size(maps):
    return gram(maps) / maps.size


def gram_by_area(maps):
    return gram(maps) / rows(maps).shape[1]


def gatys2016(content, style, image):
    def layer(f, a):
        n, m = rows(f).shape
        return np.sum((gram(f) - gram(a)) ** 2) / (4 * n**2 * m**2)

    alpha, beta = 1.0, 1e3
    return (
        alpha * sum(np.sum((f - p) ** 2) / 2 for f, p in content),
        beta * sum(layer(f, a) / 5 for f, a in style),
        0.0,
    )


def gatys_notebook(content, style, image):
    return (
        sum(mse(f, p) for f, p in content),
        sum(1e3 / f.shape[2] ** 2 * mse(gram_by_area(f), gram_by_area(a)) for f, a in style),
        0.0,
    )


def gatys_normalised(content, style, image):
    return (
        1e6 * sum(mse(f, p) for f, p in content),
        1e9 / 5 * sum(mse(gram_by_area(f), gram_by_area(a)) for f, a in style),
        0.0,
    )


def neural_style(content, style, image):
    return (
        5 * sum(mse(f, p) for f, p in content),
        100 * sum(mse(gram_by_size(f), gram_by_size(a)) for f, a in style),
        1e-3 / 2 * sum(np.sum(d**2) for d in differences(255 * image)),
    )


def anishathalye(content, style, image):
    return (
        5 * sum(mse(f, p) for f, p in content),
        500 * np.mean([mse(gram_by_size(f), gram_by_size(a)) for f, a in style]),
        100 * sum(np.mean(d**2) for d in differences(255 * image)),
    )


def d2l(content, style, image):
    return (
        sum(mse(f, p) for f, p in content),
        1e4 * sum(mse(gram_by_size(f), gram_by_size(a)) for f, a in style),
        0.0,
    )


def gordic(content, style, image):
    return (
        1e5 * sum(mse(f, p) for f, p in content),
        3e4 * np.mean([np.sum((gram_by_size(f) - gram_by_size(a)) ** 2) for f, a in style]),
        sum(np.sum(np.abs(d)) for d in differences(255 * image)),
    )


def pystiche(content, style, image):
    return (
        sum(mse(f, p) for f, p in content),
        1e3 * np.mean([mse(gram_by_area(f), gram_by_area(a)) for f, a in style]),
        0.0,
    )


def tensorflow_tutorial(content, style, image):
    return (
        5 * sum(mse(f, p) for f, p in content),
        sum(0.2 * mse(gram_by_size(f), gram_by_size(a)) for f, a in style),
        0.0,
    )


FORMULAS = {
    "gatys2016": gatys2016,
    "gatys-notebook": gatys_notebook,
    "gatys-normalised": gatys_normalised,
    "neural-style": neural_style,
    "anishathalye": anishathalye,
    "d2l": d2l,
    "gordic": gordic,
    "pystiche": pystiche,
    "tensorflow-tutorial": tensorflow_tutorial,
}
NAMES = list(FORMULAS)
# Two of different kinds; the others take as long each.
QUICK = ("gatys2016", "neural-style")


def test_the_presets_are_those_of_the_field():
    own = ("default", "compact", "quick", "layout", "strotss", "nnst", "mrf", "contextual")
    assert [name for name in PRESETS if name not in own] == NAMES
    assert all(preset.name == name for name, preset in PRESETS.items())


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in NAMES],
)
@pytest.mark.slow
def test_the_objective_is_the_systems_own(name):
    preset = get_preset(name)
    spec, params = preset.spec, preset.prepare(PARAMS)
    weights = preset.weights(params, (32, 32))

    @jax.jit
    def evaluate(params):
        targets = compute_targets(params, CONTENT, STYLE, spec)
        return objective(IMAGE, params, targets, weights, spec=spec)

    image, content, style = (
        numpy_features(params, x, spec.network.pooling, spec.network.padding)
        for x in (IMAGE, CONTENT, STYLE)
    )
    value = evaluate(params)
    expected = FORMULAS[name](
        [(image[layer], content[layer]) for layer in spec.content_layers],
        [(image[layer], style[layer]) for layer in spec.style_layers],
        np.float64(IMAGE),
    )
    parts = [
        sum(float(term) for key, term in value.terms.items() if key.startswith(part))
        for part in ("content", "style", "total_variation")
    ]
    assert min(parts[:2]) > 0
    np.testing.assert_allclose(parts, expected, rtol=1e-4)
    np.testing.assert_allclose(value.total, sum(expected), rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "network", "normalized", "pooling", "init", "noise"),
    [
        ("quick", "compact", True, "max", "matched", None),
        ("gatys2016", "vgg19", True, "average", "white-noise", None),
        ("gatys-notebook", "vgg19", False, "max", "content", None),
        ("gatys-normalised", "vgg19", True, "max", "content", None),
        ("neural-style", "vgg19", False, "max", "white-noise", 0.001),
        ("anishathalye", "vgg19", False, "max", "white-noise", 0.256),
        ("d2l", "vgg19-torchvision", False, "max", "content", None),
        ("gordic", "vgg19-torchvision", False, "max", "content", None),
        ("pystiche", "vgg19", False, "max", "content", None),
        ("tensorflow-tutorial", "vgg19", False, "average", "white-noise", 0.1),
    ],
)
def test_the_network_and_the_start_are_the_systems_own(
    name, network, normalized, pooling, init, noise
):
    preset = get_preset(name)
    assert (preset.network, preset.normalized) == (network, normalized)
    assert (preset.spec.network.pooling, preset.init) == (pooling, init)
    assert (preset.noise and 255 * preset.noise) == (noise and pytest.approx(noise, rel=1e-12))


def test_style_and_content_layers_are_the_papers_save_for_d2l():
    style = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    for name in NAMES:
        spec = get_preset(name).spec
        own = ("relu4_4", "conv5_1") if name == "d2l" else ("relu4_2", "relu5_1")
        assert spec.content_layers == own[:1]
        assert spec.style_layers == (*style, own[1])
        assert spec.network.padding == "zero"
        assert spec.total_variation == ("l1" if name == "gordic" else "squared")


def test_gordics_network_sees_0_to_255_minus_the_mean():
    mean, std = np.float64([0.485, 0.456, 0.406]), np.float64([0.229, 0.224, 0.225])
    unfolded = {**jax.tree.map(np.float64, PARAMS), "mean": 255 * mean}
    kernel, bias = unfolded["conv1_1"]["kernel"], unfolded["conv1_1"]["bias"]
    first = {"kernel": np.float32(kernel / std[:, None]), "bias": np.float32(bias)}
    torchvision = {**PARAMS, "mean": np.float32(mean), "conv1_1": first}
    maps = features(get_preset("gordic").prepare(torchvision), IMAGE, ["conv1_1", "relu3_1"])
    expected = numpy_features(unfolded, 255 * np.float64(IMAGE))
    for layer, got in maps.items():
        close(got, expected[layer])


def test_only_gordic_changes_its_network_and_only_torchvisions():
    for name, preset in PRESETS.items():
        assert (preset.prepare(PARAMS) is PARAMS) == (name != "gordic")
        # Others take 0–255 as they are, the compact network too.
        for weights in ("oxford", "unknown"):
            assert preset.prepare(PARAMS, weights) is PARAMS


def test_weights_follow_the_layers_that_replace_the_presets_own():
    spec = LossSpec(content_layers=("relu3_2", "conv1_1"), style_layers=("relu2_2", "pool1"))
    weights = get_preset("gatys2016").weights(PARAMS, (32, 16), spec)
    assert weights.content == {"relu3_2": 6 * (8 * 4) / 2, "conv1_1": 4 * (32 * 16) / 2}
    weights = get_preset("gatys-notebook").weights(PARAMS, (32, 16), spec)
    assert weights.style == {"relu2_2": 1e3 / 25, "pool1": 1e3 / 16}


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("spec", [LossSpec((), ("relu2_2",)), LossSpec(("relu2_2",), ())])
def test_every_preset_works_with_content_or_style_alone(name, spec):
    weights = get_preset(name).weights(PARAMS, (16, 16), spec).resolve(spec)
    assert jnp.shape(weights.content) == (len(spec.content_layers),)
    assert jnp.shape(weights.style) == (len(spec.style_layers),)


def test_an_unknown_layer_is_refused():
    with pytest.raises(ValueError, match="unknown layer relu9_1; valid layers: conv1_1, relu1_1"):
        get_preset("d2l").weights(PARAMS, (32, 32), LossSpec(("relu9_1",), ()))


def test_an_unknown_preset_lists_the_valid_ones():
    with pytest.raises(ValueError, match="unknown preset 'gatys'; valid: ") as caught:
        get_preset("gatys")
    assert str(caught.value).endswith(f"valid: {', '.join(PRESETS)}")
