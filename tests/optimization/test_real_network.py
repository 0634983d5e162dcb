"""The main job's promises on the real VGG-19 and real pictures, at sizes that a test can afford.

`scripts/benchmarks/benchmark.py` measures the same at full size.
"""

import itertools

import numpy as np
import pytest
from helpers.shared import shared_file

import jaxstyle
from jaxstyle import LossWeights
from jaxstyle.image import pixels
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.presets import get_preset

PHOTOGRAPHS = ["tubingen_praefcke.jpg", "coffee.png", "sklearn_china.jpg"]
PAINTINGS = [
    "starry-night.jpg", "great-wave.jpg", "the-scream.jpg", "water-lilies.jpg",
    "birth-venus.jpg", "wanderer-sea-fog.jpg", "kandinsky_composition_vii.jpg",
]  # fmt: skip
DEFAULT = get_preset("default")
FREE = LossWeights(out_of_range=0.0)


@pytest.fixture(scope="module")
def params():
    path = str(shared_file("weights/vgg19_keras_layout.h5"))
    return load_network(path, normalized=True).params


@pytest.fixture(scope="module")
def small():
    """A pair of the size of test_parity.py: what is compiled for one serves both."""
    return pictures("coffee.png", "great-wave.jpg", shape=(48, 64))


def pictures(content, style, **size):
    return (
        jaxstyle.load_image(shared_file(f"data/content/{content}"), **size),
        jaxstyle.load_image(shared_file(f"data/style/{style}"), **size),
    )


def check_saving(params, content, style, num_steps):
    targets = jaxstyle.compute_targets(params, content, style, DEFAULT.spec)

    def objective(image):
        value, _ = jaxstyle.objective_and_gradient(image, params, targets, FREE, spec=DEFAULT.spec)
        return float(value.total)

    def run(weights):
        return jaxstyle.stylize(params, content, style, weights=weights, num_steps=num_steps).image

    kept, clipped = run(DEFAULT.weights(params, content.shape[:2])), run(FREE)
    assert objective(pixels.quantize(kept)) <= 1.3 * objective(kept)
    assert objective(pixels.quantize(kept)) <= objective(pixels.quantize(clipped))


def check_run(params, content, style, init, num_steps):
    info = jaxstyle.stylize(params, content, style, init=init, num_steps=num_steps).info
    assert bool(info.finite[-1])
    assert int(info.evaluations[-1]) == num_steps + 1
    fall = float(info.loss[0] / info.loss[-1])
    assert fall >= 20, f"from {init} it fell {fall:.1f} times"


@pytest.mark.exhaustive
def test_saving_costs_little_and_less_than_clipping_at_the_end(params, small):
    check_saving(params, *small, num_steps=40)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "pair", [("tubingen_praefcke.jpg", "starry-night.jpg"), ("coffee.png", "great-wave.jpg")]
)
def test_saving_at_more_pixels(params, pair):
    check_saving(params, *pictures(*pair, size=96), num_steps=80)


@pytest.mark.slow
@pytest.mark.parametrize("init", ["content", "white-noise"])
def test_the_loss_falls_by_a_factor_of_twenty(params, small, init):
    check_run(params, *small, init, num_steps=40)


@pytest.mark.exhaustive
@pytest.mark.parametrize("init", ["content", "white-noise"])
@pytest.mark.parametrize(("content", "style"), list(itertools.product(PHOTOGRAPHS, PAINTINGS)))
def test_every_pair_falls_by_a_factor_of_twenty(request, params, content, style, init):
    if (content, style, init) == ("tubingen_praefcke.jpg", "wanderer-sea-fog.jpg", "content"):
        reason = "13 times at 96 px, where relu5_1 has few positions; 23 times at 128 px"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    check_run(params, *pictures(content, style, size=96), init, num_steps=100)


@pytest.mark.slow
def test_a_painting_is_its_own_minimum(params, small):
    _, style = small
    targets = jaxstyle.compute_targets(params, style, style, DEFAULT.spec)
    value, gradient = jaxstyle.objective_and_gradient(
        style, params, targets, FREE, spec=DEFAULT.spec
    )
    size = sum(float(np.mean(np.square(gram))) for gram in targets.style.values())
    assert float(value.total) < 1e-9 * 1000 * size
    assert np.isfinite(gradient).all()
