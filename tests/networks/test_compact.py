"""The network in the box: whole, small, and close to the VGG-19 that it was distilled from."""

import json

import jax.numpy as jnp
import pytest
from helpers.shared import shared_file

import jaxstyle
from jaxstyle import LossSpec, samples
from jaxstyle.image import pixels
from jaxstyle.networks import catalogue, vgg
from jaxstyle.networks.load import load_network, verify
from jaxstyle.optimization.presets import get_preset
from jaxstyle.solvers import lbfgs
from scripts.training.judge_networks import Judge, random_network

PATH = catalogue.shipped() / "compact.safetensors"


@pytest.fixture(scope="module")
def compact():
    return load_network("compact", download=False)


@pytest.fixture(scope="module")
def vgg19():
    return str(shared_file("weights/vgg19_keras_layout.h5"))


def test_the_file_is_small_and_the_one_in_the_manifest():
    assert PATH.stat().st_size <= 6_000_000
    report = verify(PATH)
    assert (report.known_as, report.network, report.normalized) == ("compact", "compact", True)


def test_it_has_every_layer_of_vgg19(compact):
    names = [name for name, _ in vgg.network_widths(compact.params)]
    assert names == [name for name, _ in vgg.VGG19_WIDTHS]
    channels = json.loads(compact.metadata["channels"])
    assert {k: len(c) for k, c in channels.items()} == dict(vgg.network_widths(compact.params))


def test_the_recipe_differs_from_the_default_in_weights_and_preconditioning_alone():
    """`jaxstyle.pipeline.recipe.with_preset` relies on it."""
    ours, default = get_preset("compact"), get_preset("default")
    assert ours.solver() is lbfgs(preconditioning=0.5)
    assert default.solver() is lbfgs()
    for field in ("spec", "init", "noise", "num_steps", "normalized"):
        assert getattr(ours, field) == getattr(default, field), field


@pytest.mark.slow
@pytest.mark.parametrize("normalized", [True, False])
def test_its_activations_are_some_of_vgg19s(compact, vgg19, normalized):
    """On a photograph that it was not trained on; bounds: what was found, and some room."""
    image = jaxstyle.load_image(shared_file("data/content/coffee.png"), 192)
    channels = json.loads(compact.metadata["channels"])
    narrow, full = (
        vgg.features(
            load_network(name, normalized=normalized).params,
            image, LossSpec().layers, padding=LossSpec().network.padding,
        )
        for name in ("compact", vgg19)
    )  # fmt: skip
    bounds = {
        "relu1_1": 0.002, "relu2_1": 0.03, "relu3_1": 0.05, "relu4_1": 0.07, "relu4_2": 0.1,
        "relu5_1": 0.35,
    }  # fmt: skip
    assert set(bounds) == set(narrow)
    for layer, bound in bounds.items():
        wanted = full[layer][..., jnp.array(channels[f"conv{layer[4:]}"])]
        error = jnp.sum(jnp.square(narrow[layer] - wanted)) / jnp.sum(jnp.square(wanted))
        assert float(error) < bound, f"{layer}: {error:.3f}"


@pytest.mark.exhaustive
def test_vgg19_sees_the_style_in_its_pictures(compact, vgg19):
    """Far more of it than in a random network's; bounds: what was found, and some room."""
    content = jaxstyle.load_image(samples.LAKE, 128)
    style = jaxstyle.load_image(samples.SWIRLS, 128)
    judge = Judge(load_network(vgg19, normalized=False).params, content, style)

    def left(params):
        options = get_preset("compact").options(params, content.shape[:2]) | {"num_steps": 60}
        image = pixels.quantize(jaxstyle.stylize(params, content, style, **options).image)
        return dict(zip(LossSpec().style_layers, judge(image)[0], strict=True))

    ours = left(compact.params)
    others = left(random_network(compact.params, [content, style]))
    bounds = {
        "relu1_1": 0.05, "relu2_1": 0.02, "relu3_1": 0.06, "relu4_1": 0.09, "relu5_1": 0.5,
    }  # fmt: skip
    assert set(bounds) == set(ours)
    for layer, bound in bounds.items():
        assert ours[layer] < bound, f"{layer}: {ours[layer]:.3f} of the style loss is left"
        assert others[layer] > 2 * ours[layer], f"{layer}: a random network leaves {others[layer]}"
