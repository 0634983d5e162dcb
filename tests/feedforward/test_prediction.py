"""Networks that paint like any painting: what is predicted, learned and kept in files."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from jaxstyle import LossSpec, LossWeights
from jaxstyle.errors import FileFormatError
from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.files import FastNetwork, load_network, save_network
from jaxstyle.feedforward.network import init_network, paint
from jaxstyle.feedforward.palette import measure_colors
from jaxstyle.feedforward.prediction import (
    LAYERS,
    init_predictor,
    know_paintings,
    measure_condition,
    predict_styles,
)
from jaxstyle.feedforward.training import loss_and_gradient, make_teacher
from jaxstyle.networks import vgg
from jaxstyle.networks.save import write_tensors

pytestmark = pytest.mark.usefixtures("compile_faster")
FORM = Architecture(widths=(2, 3, 4), blocks=1, kernels=(3, 3))
WIDTHS = (("conv1_1", 2), ("conv2_1", 2), ("conv3_1", 3), ("conv4_1", 3), ("conv5_1", 2))
PAINTINGS = jnp.float32(np.random.default_rng(0).uniform(0, 1, (3, 32, 40, 3)))
PHOTOGRAPH = jnp.float32(np.random.default_rng(1).uniform(0, 1, (16, 20, 3)))


@pytest.fixture(scope="module")
def compact():
    return vgg.init_params(jax.random.key(0), WIDTHS)


@pytest.fixture(scope="module")
def network(compact):
    """A network that has learned to tell paintings apart."""
    conditions = jnp.stack([measure_condition(compact, each) for each in PAINTINGS])
    styles = init_network(jax.random.key(1), FORM, styles=2)
    params = init_predictor(jax.random.key(2), styles, conditions, width=4)
    decode = params["predictor"]["decode"]
    decode = 0.3 * jax.random.normal(jax.random.key(3), decode.shape)
    return {**params, "predictor": {**params["predictor"], "decode": decode}}


def test_a_condition_is_means_and_deviations_of_maps(compact):
    maps = jaxstyle.features(compact, PAINTINGS[0], LAYERS)
    expected = np.concatenate(
        [f(np.asarray(maps[layer]), axis=(0, 1)) for layer in LAYERS for f in (np.mean, np.std)]
    )
    found = measure_condition(compact, PAINTINGS[0])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="painting"):
        measure_condition(compact, jnp.ones((16, 16)))


@pytest.mark.slow
def test_it_begins_as_the_mean_of_styles_whatever_the_painting(compact):
    styles = init_network(jax.random.key(1), FORM, styles=2)
    styles["contract1"]["shift"] = jnp.array([[0.0, 1.0], [0.5, 2.0]])
    conditions = jnp.stack([measure_condition(compact, each) for each in PAINTINGS])
    params = init_predictor(jax.random.key(2), styles, conditions)
    known = know_paintings(params, compact, [PAINTINGS[0]])
    np.testing.assert_allclose(known["contract1"]["shift"], [[0.25, 1.5]])
    one = jax.tree.map(lambda leaf: leaf, styles)
    one["colors"] = jax.tree.map(lambda leaf: leaf[None], measure_colors(PAINTINGS[0]))
    for parts in one.values():
        for part in {"scale", "shift"} & parts.keys():
            parts[part] = parts[part].mean(0, keepdims=True)
    expected = paint(one, PHOTOGRAPH, jnp.ones(1), architecture=FORM)
    found = paint(known, PHOTOGRAPH, jnp.ones(1), architecture=FORM)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_predicted_rows_are_the_affine_map_of_the_condition(compact, network):
    """Written out in NumPy, with the layers in the order of their names."""
    condition = np.float64(measure_condition(compact, PAINTINGS[1]))
    told = (condition - network["standard"]["mean"]) / network["standard"]["deviation"]
    predictor = jax.tree.map(np.float64, network["predictor"])
    row = predictor["base"] + np.tanh(told @ predictor["encode"]) @ predictor["decode"]
    known = know_paintings(network, compact, [PAINTINGS[1]])
    assert "bias" in known["output"]
    names = ["contract1", "contract2", "contract3", "expand1", "expand2"]
    names += ["residual1_1", "residual1_2"]
    rows = [known[name][part][0] for name in names for part in ("scale", "shift")]
    np.testing.assert_allclose(np.concatenate(rows), row, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_last_layer_that_is_normalised_is_predicted_too(compact):
    form = dataclasses.replace(FORM, normalize_output=True)
    styles = init_network(jax.random.key(1), form, styles=2)
    conditions = jnp.stack([measure_condition(compact, each) for each in PAINTINGS])
    known = know_paintings(
        init_predictor(jax.random.key(2), styles, conditions), compact, list(PAINTINGS)
    )
    assert {name: known["output"][name].shape for name in ("scale", "shift")} == {
        "scale": (3, 3), "shift": (3, 3),
    }  # fmt: skip
    picture = paint(known, PHOTOGRAPH, jnp.ones(3) / 3, architecture=form)
    assert np.isfinite(picture).all()


@pytest.mark.slow
def test_paintings_are_blended_as_styles_are(compact, network):
    known = know_paintings(network, compact, list(PAINTINGS[:2]))
    alone = [know_paintings(network, compact, [each]) for each in PAINTINGS[:2]]
    for i, one in enumerate(alone):
        found = paint(known, PHOTOGRAPH, jnp.eye(2)[i], architecture=FORM)
        expected = paint(one, PHOTOGRAPH, jnp.ones(1), architecture=FORM)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    ends = [paint(one, PHOTOGRAPH, jnp.ones(1), architecture=FORM) for one in alone]
    assert np.abs(ends[0] - ends[1]).max() > 0.01


@pytest.mark.slow
def test_paintings_may_be_an_axis_of_vmap(compact, network):
    def make(painting):
        known = know_paintings(network, compact, [painting])
        return paint(known, PHOTOGRAPH, jnp.ones(1), architecture=FORM)

    found = jax.jit(jax.vmap(make))(PAINTINGS)
    for picture, painting in zip(found, PAINTINGS, strict=True):
        np.testing.assert_allclose(picture, make(painting), atol=1e-4)


@pytest.mark.parametrize("painting", [jnp.zeros((16, 16, 3)), jnp.ones((16, 18, 3)) * 0.5])
def test_paintings_of_one_colour_are_no_harm(compact, network, painting):
    known = know_paintings(network, compact, [painting])
    for photograph in (PHOTOGRAPH, jnp.ones((16, 16, 3))):
        picture = paint(known, photograph, jnp.ones(1), architecture=FORM)
        assert np.isfinite(picture).all()


@pytest.mark.slow
def test_training_learns_the_predictor_and_leaves_what_is_measured(compact, network):
    """The gradient for the painting of a number is that of the rows that are predicted for it."""
    spec = LossSpec(("relu2_1",), ("relu1_1",))
    teacher = make_teacher(compact, PAINTINGS, 16, spec=spec, weights=LossWeights())
    conditions = jnp.stack([measure_condition(compact, each) for each in PAINTINGS])
    colors = jax.tree.map(lambda *rows: jnp.stack(rows), *map(measure_colors, PAINTINGS))
    params = {**network, "conditions": {"known": conditions}, "colors": colors}
    square = PHOTOGRAPH[:16, :16]
    report, gradient = loss_and_gradient(params, square, jnp.int32(1), teacher, architecture=FORM)
    assert set(gradient) == set(network) - {"standard"}
    rows = predict_styles(network, conditions[1:2], jax.tree.map(lambda leaf: leaf[1:2], colors))
    single = teacher._replace(styles=jax.tree.map(lambda leaf: leaf[1:2], teacher.styles))
    expected, theirs = loss_and_gradient(rows, square, jnp.int32(0), single, architecture=FORM)
    np.testing.assert_allclose(report.loss, expected.loss, rtol=1e-5)
    names = sorted(name for name in theirs if "scale" in theirs[name])
    base = [theirs[name][part][0] for name in names for part in ("scale", "shift")]
    np.testing.assert_allclose(
        gradient["predictor"]["base"], np.concatenate(base), rtol=1e-3, atol=1e-6
    )


def test_a_file_keeps_the_network(tmp_path, network):
    path = tmp_path / "any.safetensors"
    save_network(path, FastNetwork(network, FORM, (), metadata={"licence": "CC0"}))
    found = load_network(path)
    assert found.takes_paintings
    assert (found.styles, found.thumbnails, found.architecture) == ((), None, FORM)
    for layer, parts in network.items():
        for part, value in parts.items():
            np.testing.assert_allclose(found.params[layer][part], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"standard.mean": None}, "standard.mean is missing"),
        ({"standard.mean": np.array(1, np.float32)}, "standard.mean should be"),
        ({"predictor.base": np.zeros(3, np.float32)}, r"predictor.base should be \[44\], is \[3\]"),
        ({"contract1.scale": np.zeros((1, 2), np.float32)}, "contract1.scale is not known"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, network, change, says):
    path = tmp_path / "any.safetensors"
    save_network(path, FastNetwork(network, FORM, ()))
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        notes = file.metadata()
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    arrays |= change
    write_tensors(path, {k: v for k, v in arrays.items() if v is not None}, notes)
    with pytest.raises(FileFormatError, match=says):
        load_network(path)


def test_a_form_without_colours_of_paintings_is_refused(tmp_path, network):
    path = tmp_path / "any.safetensors"
    form = dataclasses.replace(FORM, output="sigmoid")
    save_network(path, FastNetwork(network, form, ()))
    with pytest.raises(FileFormatError, match="networks of this form have styles of their own"):
        load_network(path)
