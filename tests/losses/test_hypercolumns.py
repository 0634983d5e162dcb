"""Pieces of paintings: where they are taken, how they are compared, and in the objective."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import (
    LossSpec,
    LossWeights,
    Region,
    compute_targets,
    guided_targets,
    init_params,
    mix_styles,
    objective,
    stylize,
)
from jaxstyle.losses.content import get_content_loss
from jaxstyle.losses.pieces import (
    NUM_PIECES,
    NUM_PLACES,
    collect,
    find_places,
    relaxed_distance,
    sample,
)
from jaxstyle.losses.targets import draw_places
from jaxstyle.optimization.estimate import estimate_memory, target_forms

RNG = np.random.default_rng(0)
MAP = jnp.asarray(RNG.normal(size=(6, 9, 4)), jnp.float32)
PARAMS = init_params(jax.random.key(0), (("conv1_1", 8), ("conv2_1", 8)))
SPEC = LossSpec(content_layers=("relu2_1",), style_layers=("relu1_1", "relu2_1"))
CONTENT, STYLE = jax.random.uniform(jax.random.key(1), (2, 24, 20, 3))
MATCHING = {
    "places": dataclasses.replace(SPEC, places=True),
    "strotss": dataclasses.replace(SPEC, statistic="strotss"),
}


def total(image, targets, spec, **weights):
    return objective(image, PARAMS, targets, LossWeights(**weights), spec=spec)


def test_samples_lie_between_positions():
    y, x = np.meshgrid(np.arange(6), np.arange(9), indexing="ij")
    ramp = jnp.asarray(np.stack([y, x], axis=-1), jnp.float32)
    places = jnp.asarray(RNG.uniform(0.1, 0.9, (20, 2)), jnp.float32)
    np.testing.assert_allclose(sample(ramp, places), places * jnp.array([6, 9]) - 0.5, atol=1e-5)
    corners = jnp.array([[0.0, 0.0], [0.999, 0.999]])
    np.testing.assert_allclose(sample(ramp, corners), [[0, 0], [5, 8]], atol=1e-5)


def test_samples_of_rows_apart_add_up():
    places = jnp.asarray(RNG.uniform(size=(50, 2)), jnp.float32)
    parts = [sample(MAP[a:b], places, a, 6) for a, b in ((0, 1), (1, 4), (4, 6))]
    np.testing.assert_allclose(sum(parts), sample(MAP, places), atol=1e-5)


def test_a_map_of_one_position_has_one_value():
    found = sample(MAP[:1, :1], jnp.asarray(RNG.uniform(size=(5, 2)), jnp.float32))
    np.testing.assert_allclose(found, jnp.broadcast_to(MAP[0, 0], (5, 4)), atol=1e-6)


def test_places_are_drawn_by_mass():
    mass = RNG.uniform(size=(4, 5)) * RNG.integers(0, 2, (4, 5))
    mass /= mass.sum()
    draws = jnp.asarray(
        (np.stack(np.mgrid[:100, :100], -1).reshape(-1, 2) + 0.5) / 100, jnp.float32
    )
    places = np.asarray(find_places(draws, jnp.asarray(mass, jnp.float32)))
    cells = np.zeros((4, 5))
    np.add.at(cells, tuple((places * [4, 5]).astype(int).T), 1e-4)
    np.testing.assert_allclose(cells, mass, atol=2e-2)
    assert (cells[mass == 0] == 0).all()


def test_pieces_of_several_layers_are_of_the_same_places():
    picture = jnp.asarray(RNG.uniform(size=(8, 8, 3)), jnp.float32)
    key = jax.random.key(3)
    one, other = (collect(m, picture, None, key) for m in (picture, picture[..., :1]))
    np.testing.assert_allclose(one.values, one.colors, atol=1e-6)
    np.testing.assert_allclose(other.values[:, 0], one.colors[:, 0], atol=1e-6)
    assert one.values.shape == (NUM_PIECES, 3)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_relaxed_distance_equals_numpy(metric):
    rows, keys = RNG.normal(size=(7, 5)), RNG.normal(size=(9, 5))
    if metric == "cosine":
        a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rows, keys))
        apart = 1 - a @ b.T
    else:
        apart = np.sqrt(((rows[:, None] - keys[None]) ** 2).mean(-1))
    expected = max(apart.min(1).mean(), apart.min(0).mean())
    found = relaxed_distance(jnp.asarray(rows), jnp.asarray(keys), metric)
    assert float(found) == pytest.approx(expected, rel=1e-3)


def test_both_sides_count():
    rows, keys = jnp.eye(3)[:1], jnp.eye(3)
    assert float(relaxed_distance(rows, keys)) == pytest.approx(2 / 3)
    assert float(relaxed_distance(keys, rows)) == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", MATCHING)
def test_the_painting_itself_leaves_little(name):
    spec = dataclasses.replace(MATCHING[name], content_layers=())
    targets = compute_targets(PARAMS, None, STYLE, spec)
    of_painting, of_other = (
        float(total(image, targets, spec).terms["style/places"]) for image in (STYLE, CONTENT)
    )
    assert of_painting < of_other / 2


@pytest.mark.parametrize("name", MATCHING)
def test_bands_change_nothing(name):
    plain = MATCHING[name].with_vgg(memory="plain")
    low = plain.with_vgg(memory="low")
    image, painting = jax.random.uniform(jax.random.key(2), (2, 160, 48, 3))
    # Where moments were nearly equal, rounding would decide on the sign of a slope.
    targets = compute_targets(PARAMS, image, painting / 3, plain)

    def gradient(spec):
        return jax.jit(jax.value_and_grad(lambda x: total(x, targets, spec).total))(painting)

    (a, slope), (b, other) = gradient(plain), gradient(low)
    assert float(a) == pytest.approx(float(b), rel=1e-4)
    np.testing.assert_allclose(slope, other, atol=2e-3 * float(jnp.abs(slope).max()))


@pytest.mark.parametrize("name", MATCHING)
def test_regions_take_pieces_of_their_own_paintings(name):
    spec = dataclasses.replace(MATCHING[name], content_layers=())
    left = jnp.zeros((24, 20)).at[:, :10].set(1.0)
    dark, light = jnp.full((16, 16, 3), 0.1), jnp.full((16, 16, 3), 0.9)
    regions = [Region(left, dark), Region(1 - left, light)]
    targets = guided_targets(PARAMS, CONTENT, regions, spec)
    right = jnp.broadcast_to(jnp.where(left[..., None] > 0, 0.1, 0.9), (24, 20, 3))
    good, bad = (float(total(image, targets, spec).total) for image in (right, 1 - right))
    assert good < bad / 2


def test_mixed_paintings_both_count():
    spec = MATCHING["places"]
    one, other = (compute_targets(PARAMS, CONTENT, image, spec) for image in (STYLE, CONTENT))
    style, mixture = mix_styles([one.style, other.style], [0.25, 0.75])
    mixed = one._replace(style=style, mixture=mixture)
    parts = [float(total(STYLE, t, spec).terms["style/places"]) for t in (one, other, mixed)]
    assert parts[2] == pytest.approx(0.25 * parts[0] + 0.75 * parts[1], rel=1e-4)


def test_the_weight_of_places_is_a_multiple_of_the_styles():
    spec = MATCHING["places"]
    targets = compute_targets(PARAMS, CONTENT, STYLE, spec)
    once, twice = (total(CONTENT, targets, spec, places=x).terms for x in (1.0, 2.0))
    assert float(twice["style/places"]) == pytest.approx(2 * float(once["style/places"]), rel=1e-5)
    heavier = total(CONTENT, targets, spec, style=500.0, places=1.0).terms
    lighter = total(CONTENT, targets, spec, style=250.0, places=1.0).terms
    for name in ("style/places", "style/relu1_1"):
        assert float(heavier[name]) == pytest.approx(2 * float(lighter[name]), rel=1e-5)


def test_the_statistic_is_as_without_places():
    targets = compute_targets(PARAMS, CONTENT, STYLE, MATCHING["places"])
    plain = compute_targets(PARAMS, CONTENT, STYLE, SPEC)
    terms = total(CONTENT, targets, MATCHING["places"]).terms
    for name, term in total(CONTENT, plain, SPEC).terms.items():
        if name != "out_of_range":
            assert float(terms[name]) == pytest.approx(float(term), rel=1e-5)


@pytest.mark.parametrize("name", MATCHING)
def test_forms_of_targets_are_those_of_targets(name):
    spec = dataclasses.replace(MATCHING[name], content_loss="self-similarity")
    targets = compute_targets(PARAMS, CONTENT, STYLE, spec)
    forms = target_forms(PARAMS, (24, 20), spec)
    assert jax.tree.map(lambda x: x.shape, targets) == jax.tree.map(lambda x: x.shape, forms)


@pytest.mark.parametrize("name", MATCHING)
def test_a_descent_comes_nearer(name):
    spec = dataclasses.replace(MATCHING[name], content_loss="self-similarity")
    stripes = jnp.broadcast_to(jnp.eye(3)[jnp.arange(20) // 4 % 3], (24, 20, 3))
    grey = 0.4 + 0.2 * CONTENT
    weights = LossWeights(content=0.1 / get_content_loss("self-similarity").factor)
    result = stylize(PARAMS, grey, stripes, spec=spec, weights=weights, num_steps=20)
    assert result.info.finite.all()
    assert float(result.info.loss[-1]) < 0.9 * float(result.info.loss[0])


def test_a_statistic_that_matches_needs_no_places():
    with pytest.raises(ValueError, match="strotss matches pieces itself; leave places out"):
        LossSpec(statistic="strotss", places=True)


def test_memory_is_planned():
    spec, plain = MATCHING["places"], SPEC
    more, less = (estimate_memory(PARAMS, (64, 64), spec=each).total() for each in (spec, plain))
    kept = 4 * 2 * (NUM_PIECES * (8 + 3) + 2 * NUM_PLACES)
    assert kept <= more - less <= 2 * kept


@pytest.mark.parametrize("name", MATCHING)
def test_other_places_can_be_drawn(name):
    """The painting stays, and the program too: only what is compared of the picture is another."""
    spec = MATCHING[name]
    targets = compute_targets(PARAMS, CONTENT, STYLE, spec)
    style, mixture = mix_styles([targets.style, targets.style], [0.5, 0.5])
    mixed = targets._replace(style=style, mixture=mixture)
    for each in (targets, mixed):
        drawn = draw_places(each, jax.random.key(5))
        assert jax.tree.map(jnp.shape, drawn) == jax.tree.map(jnp.shape, each)
        for layer, target in drawn.style.items():
            assert (target.pieces.values == each.style[layer].pieces.values).all()
            assert (target.pieces.draws != each.style[layer].pieces.draws).any()
        terms = [total(CONTENT, t, spec).terms for t in (each, drawn)]
        assert terms[0]["style/places"] != terms[1]["style/places"]
        assert terms[0]["style/relu1_1"] == terms[1]["style/relu1_1"]


def test_what_matches_no_pieces_of_all_layers_stays():
    targets = compute_targets(PARAMS, CONTENT, STYLE, SPEC)
    drawn = draw_places(targets, jax.random.key(5))
    assert all((drawn.style[k] == targets.style[k]).all() for k in SPEC.style_layers)
