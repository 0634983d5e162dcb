"""Spatial control: masks through the layers, and what crosses from one region to another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import (
    LossSpec,
    LossWeights,
    compute_targets,
    objective,
    objective_and_gradient,
)
from jaxstyle.losses.guidance import Region, guided_targets
from jaxstyle.losses.guides import propagate, region_masses
from jaxstyle.networks import vgg
from jaxstyle.optimization.descent import optimize

pytestmark = pytest.mark.usefixtures("compile_faster")

WIDTHS = (("conv1_1", 4), ("conv1_2", 4), ("conv2_1", 6), ("conv3_1", 6))
PARAMS = vgg.init_params(jax.random.key(0), WIDTHS)
SPEC = LossSpec(("relu2_1",), ("relu1_1", "relu2_1", "relu3_1"))
CONTENT, STYLE, OTHER, IMAGE = jax.random.uniform(jax.random.key(1), (4, 32, 40, 3))
LEFT = jnp.zeros((32, 40)).at[:, :20].set(1.0)


@pytest.mark.parametrize(
    ("mode", "statistic"),
    [("simple", "gram"), ("inside", "gram"), pytest.param("all", "sliced", marks=pytest.mark.slow)],
)
def test_all_ones_guides_equal_the_unguided(mode, statistic):
    spec = LossSpec(SPEC.content_layers, SPEC.style_layers, statistic=statistic)
    plain = value(compute_targets(PARAMS, CONTENT, STYLE, spec), spec)
    ones = Region(jnp.ones((32, 40)), STYLE, jnp.ones((32, 40)))
    targets = guided_targets(PARAMS, CONTENT, [ones], spec, mode=mode)
    guided = value(targets, spec)
    for name, term in plain.terms.items():
        np.testing.assert_allclose(guided.terms[name], term, rtol=2e-5, err_msg=name)


def value(targets, spec):
    return objective_and_gradient(IMAGE, PARAMS, targets, spec=spec)[0]


def gradient_of_region(mode, index):
    """The gradient of one region's style loss alone."""
    regions = [Region(LEFT, STYLE), Region(1 - LEFT, OTHER)]
    regions[1 - index] = regions[1 - index]._replace(weight=0.0)
    spec = LossSpec((), SPEC.style_layers)
    targets = guided_targets(PARAMS, None, regions, spec, mode=mode)
    weights = LossWeights(out_of_range=0.0)
    _, gradient = objective_and_gradient(IMAGE, PARAMS, targets, weights, spec=spec)
    return np.asarray(gradient)


def test_no_gradient_crosses_between_disjoint_regions_in_inside_mode():
    left, right = gradient_of_region("inside", 0), gradient_of_region("inside", 1)
    assert np.abs(left[:, :20]).max() > 0
    assert np.abs(right[:, 20:]).max() > 0
    assert not left[:, 20:].any()
    assert not right[:, :20].any()


@pytest.mark.parametrize("mode", ["simple", "all"])
def test_gradients_do_cross_in_the_other_modes(mode):
    assert gradient_of_region(mode, 0)[:, 20:].any()


def test_modes_are_ordered_and_complementary():
    found = {
        mode: propagate(LEFT, SPEC.style_layers, WIDTHS, mode=mode)
        for mode in ("simple", "inside", "all")
    }
    outside = propagate(1 - LEFT, SPEC.style_layers, WIDTHS, mode="inside")
    for layer in SPEC.style_layers:
        simple, inside, touched = (found[mode][layer] for mode in ("simple", "inside", "all"))
        assert (inside <= simple).all()
        assert (simple <= touched).all()
        np.testing.assert_array_equal(touched, 1 - outside[layer])


def test_inside_leaves_the_margin_that_is_documented():
    wide = jnp.zeros((16, 512)).at[:, :256].set(1.0)
    for layer, margin in (("relu2_1", 4), ("relu5_1", 80)):
        guide = propagate(wide, [layer], mode="inside")[layer]
        scale = 512 // guide.shape[1]
        kept = scale * int(np.asarray(guide)[0].sum())
        assert 256 - kept == margin


@pytest.mark.parametrize("shape", [(17, 23), (16, 24)])
def test_guides_have_the_sizes_of_the_feature_maps(shape):
    maps = vgg.features(PARAMS, jnp.ones((*shape, 3)), SPEC.style_layers)
    guides = propagate(jnp.ones(shape), SPEC.style_layers, WIDTHS)
    assert {k: v.shape[:2] for k, v in maps.items()} == {k: v.shape for k, v in guides.items()}


def test_masses_sum_to_one_and_follow_soft_edges():
    ramp = jnp.broadcast_to(jnp.linspace(0, 1, 40), (32, 40))
    mass = region_masses(ramp, PARAMS, SPEC)["relu1_1"]
    assert float(mass.sum()) == pytest.approx(1.0, rel=1e-5)
    np.testing.assert_allclose(mass[0], ramp[0] ** 2 / (ramp**2).sum(), rtol=1e-5)


def test_empty_regions_are_refused_by_name():
    thin = jnp.zeros((32, 40)).at[:, :3].set(1.0)
    with pytest.raises(ValueError, match=r"region sky is empty at relu2_1; .* the mode simple"):
        region_masses(thin, PARAMS, SPEC, mode="inside", name="sky")
    regions = [Region(jnp.zeros((32, 40)), STYLE, name="sky.png")]
    with pytest.raises(ValueError, match=r"region sky.png is empty at relu1_1; its mask is black"):
        guided_targets(PARAMS, CONTENT, regions, SPEC)


def test_masks_of_other_sizes_and_modes_are_refused():
    with pytest.raises(ValueError, match=r"the mask of region 0 should have shape \[32, 40\]"):
        guided_targets(PARAMS, CONTENT, [Region(jnp.ones((8, 8)), STYLE)], SPEC)
    region = Region(LEFT, STYLE, jnp.ones((8, 8)))
    with pytest.raises(ValueError, match="the style mask of region 0"):
        guided_targets(PARAMS, CONTENT, [region], SPEC)
    with pytest.raises(ValueError, match="unknown guide mode 'outside'; valid: simple"):
        propagate(LEFT, ["relu1_1"], mode="outside")
    with pytest.raises(ValueError, match="regions is empty"):
        guided_targets(PARAMS, CONTENT, [], SPEC)


def test_each_region_takes_its_own_style():
    # Flat styles: the left should turn dark, the right bright.
    dark, bright = jnp.full((32, 40, 3), 0.1), jnp.full((32, 40, 3), 0.9)
    spec = LossSpec((), ("relu1_1",), statistic="moments")
    # A network that sees the colours themselves.
    kernel = jnp.zeros((3, 3, 3, 3)).at[1, 1].set(jnp.eye(3))
    params = {"mean": jnp.zeros(3), "conv1_1": {"kernel": kernel, "bias": jnp.zeros(3)}}
    regions = [Region(LEFT, dark), Region(1 - LEFT, bright)]
    targets = guided_targets(params, None, regions, spec, mode="inside")
    image = optimize(IMAGE, params, targets, spec=spec, num_steps=60).image
    assert float(image[:, :18].mean()) < 0.3
    assert float(image[:, 22:].mean()) > 0.7


def test_guides_work_under_jit_and_vmap():
    def loss(mask):
        regions = [Region(mask, STYLE), Region(1 - mask, OTHER)]
        targets = guided_targets(PARAMS, CONTENT, regions, SPEC)
        return objective(IMAGE, PARAMS, targets, spec=SPEC).total

    masks = jnp.stack([LEFT, LEFT[:, ::-1]])
    expected = [float(loss(mask)) for mask in masks]
    np.testing.assert_allclose(jax.jit(jax.vmap(loss))(masks), expected, rtol=1e-4)


def test_own_network_is_refused():
    spec = LossSpec((), ("a",), network=lambda params, image, layers: {"a": image})
    with pytest.raises(ValueError, match=r"guides need VGG's layers"):
        region_masses(LEFT, {}, spec)
