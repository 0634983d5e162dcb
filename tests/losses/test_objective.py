"""The objective against float64 NumPy, its laws, its refusals, and how often it compiles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import numpy_features, random_params
from helpers.numerics import close, numerical_gradient

from jaxstyle import (
    LossSpec,
    LossWeights,
    ObjectiveValue,
    Targets,
    compute_targets,
    objective,
    objective_and_gradient,
)
from jaxstyle.networks.spec import VGGSpec

PARAMS = random_params((("conv1_1", 4), ("conv1_2", 5), ("conv2_1", 6), ("conv3_1", 7)), seed=1)
RNG = np.random.default_rng(1)
CONTENT = np.float32(RNG.uniform(0, 1, (9, 8, 3)))
STYLE = np.float32(RNG.uniform(0, 1, (10, 12, 3)))
IMAGE = np.float32(RNG.normal(0.5, 0.6, (9, 8, 3)))
SPEC = LossSpec(("relu2_1",), ("relu1_1", "relu3_1"), network=VGGSpec(padding="zero"))
SPECS = {
    "plain": SPEC,
    "several content layers": LossSpec(("relu1_2", "conv2_1"), ("relu1_2",), total_variation="l1"),
    "average, reflect": LossSpec(
        ("relu3_1",), ("conv1_1", "pool2"), network=VGGSpec("average", "reflect")
    ),
    "replicate": LossSpec(("pool1",), ("relu2_1",), network=VGGSpec(padding="replicate")),
    "content only": LossSpec(("relu3_1",), ()),
    "style only": LossSpec((), ("relu3_1", "relu1_1")),
}
compiled_targets = jax.jit(compute_targets, static_argnames="spec")
compiled_objective = jax.jit(objective, static_argnames="spec")
TARGETS = compiled_targets(PARAMS, CONTENT, STYLE, spec=SPEC)


def scaled(spec):
    """Weights that differ in every part, so that no mix-up goes unseen."""
    content = 0.5 + np.arange(len(spec.content_layers), dtype=np.float32)
    style = 2.0 + 3 * np.arange(len(spec.style_layers), dtype=np.float32)
    return LossWeights(content, style, total_variation=0.75, out_of_range=1.5)


def numpy_objective(image, content, style, weights, spec):
    """The terms in float64, from the formulas alone."""

    def maps(picture):
        return numpy_features(PARAMS, picture, spec.network.pooling, spec.network.padding)

    def gram(x):
        return np.einsum("ijc,ijd->cd", x, x) / (x.shape[0] * x.shape[1])

    terms, size, got = {}, 0.0, maps(image)
    for weight, layer in zip(weights.content, spec.content_layers, strict=True):
        target = content[layer]
        terms[f"content/{layer}"] = weight * np.mean((got[layer] - target) ** 2)
        size += weight * np.mean(target**2)
    for weight, layer in zip(weights.style, spec.style_layers, strict=True):
        target = gram(style[layer])
        terms[f"style/{layer}"] = weight * np.mean((gram(got[layer]) - target) ** 2)
        size += weight * np.mean(target**2)
    penalty = np.abs if spec.total_variation == "l1" else np.square
    terms["total_variation"] = weights.total_variation * sum(
        penalty(np.diff(image, axis=axis)).mean() for axis in (0, 1)
    )
    outside = np.maximum(image - 1, 0) + np.maximum(-image, 0)
    terms["out_of_range"] = weights.out_of_range * size * np.mean(outside**2)
    return terms


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
class TestAgainstNumpy:
    @pytest.fixture
    def case(self, spec):
        """The objective of the image alone: the project's and the one in NumPy."""
        weights, images = scaled(spec), (CONTENT, STYLE)
        maps = [
            numpy_features(PARAMS, x, spec.network.pooling, spec.network.padding) for x in images
        ]
        targets = compiled_targets(PARAMS, *images, spec=spec)
        got = objective_and_gradient(IMAGE, PARAMS, targets, weights, spec=spec)
        return got, lambda image: numpy_objective(image, *maps, weights, spec)

    def test_terms_and_total(self, spec, case):
        (got, _), exact = case
        expected = exact(np.float64(IMAGE))
        assert set(got.terms) == set(expected)
        assert min(expected.values()) > 0
        for name, term in got.terms.items():
            np.testing.assert_allclose(term, expected[name], rtol=2e-6, err_msg=name)
        np.testing.assert_allclose(got.total, sum(map(float, got.terms.values())), rtol=1e-6)
        assert {x.dtype for x in jax.tree.leaves(got)} == {jnp.dtype("float32")}

    def test_gradient_equals_finite_differences(self, spec, case):
        (_, gradient), exact = case
        numerical = numerical_gradient(lambda x: sum(exact(x).values()), np.float64(IMAGE))
        close(gradient, numerical, 1e-5)


def test_jit_equals_eager():
    eager = objective(IMAGE, PARAMS, TARGETS, scaled(SPEC), spec=SPEC)
    jitted = compiled_objective(IMAGE, PARAMS, TARGETS, scaled(SPEC), spec=SPEC)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), eager, jitted)
    assert next(iter(eager.terms)) == "content/relu2_1"


def test_objective_and_gradient_equals_value_and_grad():
    differentiate = jax.jit(jax.value_and_grad(objective, has_aux=True), static_argnames="spec")
    expected, derivative = differentiate(IMAGE, PARAMS, TARGETS, scaled(SPEC), spec=SPEC)
    value, gradient = objective_and_gradient(IMAGE, PARAMS, TARGETS, scaled(SPEC), spec=SPEC)
    assert isinstance(value, ObjectiveValue)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), tuple(value), expected)
    close(gradient, np.asarray(derivative), 1e-6)


def test_is_zero_at_its_target_with_zero_gradient():
    targets = compute_targets(PARAMS, CONTENT, CONTENT, SPEC)
    (high, far), (low, near) = (
        objective_and_gradient(image, PARAMS, targets, spec=SPEC) for image in (IMAGE, CONTENT)
    )
    # Targets are compiled for themselves, so they may differ by a rounding, squared.
    assert low.total <= 1e-12 * high.total
    assert np.abs(near).max() <= 1e-5 * np.abs(far).max()


@pytest.mark.parametrize("factor", [1e-6, 1e3])
def test_the_range_penalty_keeps_its_share_when_content_and_style_grow(factor):
    def value(factor):
        weights = LossWeights(2.0 * factor, 30.0 * factor, out_of_range=7.0)
        return compiled_objective(IMAGE, PARAMS, TARGETS, weights, spec=SPEC)

    one, other = value(1.0), value(factor)
    assert one.terms["out_of_range"] > 0.01 * one.total
    np.testing.assert_allclose(other.total, factor * one.total, rtol=1e-6)


def test_vmap_over_weights_equals_a_loop():
    per_layer = np.float32([[1, 2], [3, 4], [5, 6]])
    weights = LossWeights(np.float32([1, 2, 3]), per_layer, np.float32([0, 1, 2]), 10.0)

    def total(weights):
        return objective(IMAGE, PARAMS, TARGETS, weights, spec=SPEC).total

    got = jax.jit(jax.vmap(total, in_axes=(LossWeights(0, 0, 0, None),)))(weights)
    for i in range(3):
        one = LossWeights(
            weights.content[i], weights.style[i], weights.total_variation[i], weights.out_of_range
        )
        expected = compiled_objective(IMAGE, PARAMS, TARGETS, one, spec=SPEC).total
        np.testing.assert_allclose(got[i], expected, rtol=1e-6)


def test_styles_of_different_sizes_stack_and_vmap():
    styles = [STYLE, STYLE[:7], STYLE[:, :5]]
    targets = [compiled_targets(PARAMS, CONTENT, style, spec=SPEC) for style in styles]
    grams = jax.tree.map(lambda *x: np.stack(x), *[each.style for each in targets])

    def total(targets):
        return objective(IMAGE, PARAMS, targets, spec=SPEC).total

    got = jax.jit(jax.vmap(total, in_axes=(Targets(None, 0),)))(Targets(TARGETS.content, grams))
    for total, each in zip(got, targets, strict=True):
        expected = compiled_objective(IMAGE, PARAMS, each, spec=SPEC).total
        np.testing.assert_allclose(total, expected, rtol=1e-6)


FORMS = {
    "float": LossWeights(2.0, 3.0, 0.5, 10.0),
    "int": LossWeights(2, 3, 0.5, 10),
    "weak array": LossWeights(jnp.asarray(2.0), jnp.asarray(3.0), jnp.asarray(0.5), 10.0),
    "array": LossWeights(jnp.full(1, 2.0), jnp.full(2, 3.0), jnp.float32(0.5), jnp.float32(10)),
    "numpy": LossWeights(np.array([2]), np.array([3.0, 3.0]), np.float64(0.5), np.int64(10)),
    "mapping": LossWeights({"relu2_1": 2}, {"relu3_1": jnp.float32(3), "relu1_1": 3.0}, 0.5, 10.0),
}


def test_weights_resolve_to_one_form_however_they_are_given():
    for weights in FORMS.values():
        resolved = weights.resolve(SPEC)
        np.testing.assert_array_equal(resolved.content, [2])
        np.testing.assert_array_equal(resolved.style, [3, 3])
        assert (resolved.total_variation, resolved.out_of_range) == (0.5, 10)
        leaves = jax.tree.leaves(resolved)
        assert [x.shape for x in leaves] == [(1,), (2,), (), ()]
        assert {(x.dtype, x.weak_type) for x in leaves} == {(jnp.dtype("float32"), False)}
    by_layer = LossWeights(style={"relu3_1": 3.0, "relu1_1": 1.0})
    np.testing.assert_array_equal(by_layer.resolve(SPEC).style, [1, 3])


def test_no_layers_take_an_empty_mapping_as_they_take_a_scalar():
    spec = SPECS["style only"]
    forms = [LossWeights(form, 3.0).resolve(spec) for form in (1.0, np.zeros(0), {})]
    assert [form.content.shape for form in forms] == [(0,)] * 3
    assert not any(form.content.weak_type for form in forms)


@pytest.fixture
def compiled():
    """The names of the programs that XLA compiles, as it compiles them."""
    names = []

    def listen(event, seconds, **about):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(about["fun_name"])

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


def test_compiles_once_for_every_form_of_weights_and_all_targets_of_one_shape(compiled):
    def evaluate(weights, image=IMAGE, targets=TARGETS, **changes):
        spec = LossSpec(["relu2_1"], ["relu1_1", "relu3_1"], network=VGGSpec(**changes))
        return objective_and_gradient(image, PARAMS, targets, weights, spec=spec)

    other = compiled_targets(PARAMS, 1 - CONTENT, STYLE[:4], spec=SPEC)
    first = evaluate(FORMS["array"], pooling="average")
    for weights in FORMS.values():
        evaluate(weights, pooling="average")
    assert sum("value_and_gradient" in name for name in compiled) == 1

    compiled.clear()
    for weights in reversed(FORMS.values()):
        evaluate(weights, jnp.asarray(1 - IMAGE), other, pooling="average")
        changed = evaluate(LossWeights(0.0, 1e6, 7.0, 0.0), pooling="average")
    assert compiled == []
    assert changed[0].total != first[0].total


def test_a_spec_is_hashable_makes_tuples_of_lists_and_lists_each_layer_once():
    spec = LossSpec(["relu2_1"], ["relu1_1", "relu3_1"], network=VGGSpec(padding="zero"))
    assert (spec, hash(spec), spec.style_layers) == (SPEC, hash(SPEC), ("relu1_1", "relu3_1"))
    assert spec != spec.with_vgg(padding="reflect")
    assert LossSpec(("relu2_1", "relu1_1"), ("relu1_1",)).layers == ("relu2_1", "relu1_1")


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"content_layers": (), "style_layers": ()}, ValueError, "at least one content layer"),
        ({"style_layers": ["relu1_1"] * 2}, ValueError, "style_layers names a layer twice: relu1"),
        ({"content_layers": "relu1_1"}, TypeError, "content_layers .* names, got 'relu1_1'"),
        ({"style_layers": {"relu1_1"}}, TypeError, "style_layers .* of names, got a set"),
        ({"style_layers": ["relu1_1", 3]}, TypeError, "style_layers .* of names, got 3 in it"),
        ({"network": "vgg19"}, TypeError, "network should be a VGGSpec or a function .* 'vgg19'"),
        ({"total_variation": "l2"}, ValueError, "unknown total_variation 'l2'; valid: squared, l1"),
    ],
)
def test_a_spec_refuses(fields, error, message):
    with pytest.raises(error, match=message):
        LossSpec(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pooling": "mean"}, "unknown pooling 'mean'; valid: max, average"),
        ({"padding": "same"}, "unknown padding 'same'; valid: zero, reflect, replicate"),
        ({"memory": "little"}, "unknown memory 'little'; valid: auto, plain, low"),
    ],
)
def test_how_vgg_is_computed_refuses(fields, message):
    with pytest.raises(ValueError, match=message):
        VGGSpec(**fields)
    with pytest.raises(ValueError, match=message):
        LossSpec().with_vgg(**fields)


@pytest.mark.parametrize("number", [-1, -1e-9, float("nan"), float("inf"), np.float64(-1)])
@pytest.mark.parametrize("name", ["content", "style", "total_variation", "out_of_range"])
def test_weights_refuse_a_number_that_is_negative_or_not_finite(name, number):
    with pytest.raises(ValueError, match=f"the {name} weight should be (at least 0|finite), got "):
        LossWeights(**{name: number}).resolve(SPEC)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (LossWeights(style={"relu1_1": 1.0}), "for relu1_1, but the layers are relu1_1, relu3_1"),
        (LossWeights(content={"relu2_1": 1, "relu9_1": 1}), "relu9_1, but the layers are relu2_1"),
        (LossWeights(style={}), "for no layer, but the layers are relu1_1, relu3_1"),
        (LossWeights(style={"relu1_1": 1, "relu3_1": -1}), "style at relu3_1 weight .* got -1"),
        (LossWeights(style={"relu1_1": 1, "relu3_1": np.ones(1)}), r"a scalar, got shape \(1,\)"),
        (LossWeights(style=np.ones(3)), r"shape \(2,\) for relu1_1, relu3_1, got shape \(3,\)"),
        (LossWeights(total_variation=np.ones(2)), r"total_variation .* scalar, got shape \(2,\)"),
    ],
)
def test_weights_refuse_what_does_not_fit_the_layers(weights, message):
    with pytest.raises(ValueError, match=message):
        objective(IMAGE, PARAMS, TARGETS, weights, spec=SPEC)


def test_targets_need_the_images_of_the_spec_alone():
    assert compute_targets(PARAMS, CONTENT, None, SPECS["content only"]).style == {}
    assert compute_targets(PARAMS, None, STYLE, SPECS["style only"]).content == {}
    with pytest.raises(ValueError, match="content is None, but spec has content layers: relu2_1"):
        compute_targets(PARAMS, None, STYLE, SPEC)
    with pytest.raises(ValueError, match="style is None, but spec has style layers: relu1_1"):
        compute_targets(PARAMS, CONTENT, None, SPEC)
    with pytest.raises(TypeError, match="style should be floating point"):
        compute_targets(PARAMS, CONTENT, np.uint8(STYLE), SPECS["content only"])


def test_objective_refuses_images_and_targets_that_do_not_fit():
    with pytest.raises(TypeError, match="image should be floating point"):
        objective(np.uint8(IMAGE), PARAMS, TARGETS, spec=SPEC)
    with pytest.raises(ValueError, match=r"image should have shape \[H, W, 3\], got \[9, 8\]"):
        objective(IMAGE[..., 0], PARAMS, TARGETS, spec=SPEC)
    with pytest.raises(ValueError, match=r"at relu2_1 .* the content image had another size"):
        objective(IMAGE[:6], PARAMS, TARGETS, spec=SPEC)
    with pytest.raises(ValueError, match=r"targets\.content lacks relu3_1: computed with"):
        objective(IMAGE, PARAMS, TARGETS, spec=SPECS["content only"])
    with pytest.raises(ValueError, match=r"targets\.style lacks relu2_1"):
        objective(IMAGE, PARAMS, TARGETS, spec=LossSpec(("relu2_1",), ("relu1_1", "relu2_1")))
