"""Networks as ONNX models, run by onnxruntime and compared with JAX."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.fast_networks import TINY, draw_network

from jaxstyle.feedforward.export import OPSET, make_onnx
from jaxstyle.feedforward.network import paint
from jaxstyle.feedforward.previous import Previous

runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
FORMS = {
    "ours": TINY,
    "sigmoid": dataclasses.replace(TINY, output="sigmoid", normalize_output=True),
    "narrow": dataclasses.replace(TINY, output="tanh", expansion=(3, 2)),
    "johnson": dataclasses.replace(TINY, output="tanh", upsampling="transposed", padding="zero"),
    "linear": dataclasses.replace(TINY, output="linear", kernels=(9, 9)),
}


def pictures(network, image, weights):
    """The picture by JAX, and by onnxruntime."""
    image, weights = np.asarray(image, np.float32), np.asarray(weights, np.float32)
    ours = paint(network.params, image, jnp.asarray(weights), architecture=network.architecture)
    session = runtime.InferenceSession(make_onnx(network).SerializeToString())
    given = {"image": image.transpose(2, 0, 1)[None], "style": weights}
    return np.clip(ours, 0, 1), session.run(None, given)[0][0].transpose(1, 2, 0)


@pytest.mark.parametrize("name", FORMS)
def test_the_model_paints_the_networks_picture_at_any_size(name):
    network = draw_network(FORMS[name])
    image = np.random.default_rng(1).uniform(0, 1, (21, 30, 3))
    ours, theirs = pictures(network, image, [0.3, 0.7])
    assert theirs.shape == (21, 30, 3)
    assert theirs.std() > 0.05
    np.testing.assert_allclose(theirs, ours, atol=1e-4)


@pytest.mark.parametrize("name", ["ours", "sigmoid"])
def test_the_model_of_a_network_for_video_goes_on_from_the_frame_before(name):
    network = draw_network(dataclasses.replace(FORMS[name], previous=True))
    rng = np.random.default_rng(1)
    image, before = rng.uniform(0, 1, (2, 21, 30, 3)).astype(np.float32)
    mask, weights = rng.integers(0, 2, (21, 30)).astype(np.float32), np.float32([0.3, 0.7])
    previous = Previous(jnp.asarray(before), jnp.asarray(mask))
    ours = paint(
        network.params, image, jnp.asarray(weights), architecture=network.architecture,
        previous=previous,
    )  # fmt: skip
    model = make_onnx(network)
    assert [each.name for each in model.graph.input] == ["image", "style", "previous", "mask"]
    session = runtime.InferenceSession(model.SerializeToString())
    given = {
        "image": image.transpose(2, 0, 1)[None], "style": weights,
        "previous": before.transpose(2, 0, 1)[None], "mask": mask[None, None],
    }  # fmt: skip
    theirs = session.run(None, given)[0][0].transpose(1, 2, 0)
    np.testing.assert_allclose(theirs, np.clip(ours, 0, 1), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grey", "black"])
def test_photographs_whose_colours_have_no_inverse(kind):
    """Their covariance is singular but for the floor."""
    image = np.zeros((16, 16, 3)) + np.linspace(0, 1, 16)[:, None] * (kind == "grey")
    ours, theirs = pictures(draw_network(TINY), image, [1, 0])
    np.testing.assert_allclose(theirs, ours, atol=1e-3)


def test_what_the_model_says_of_itself():
    model = make_onnx(draw_network(TINY))
    notes = {each.key: each.value for each in model.metadata_props}
    assert json.loads(notes["styles"]) == ["style 0", "style 1"]
    assert notes["licence"] == "CC0"
    assert [each.version for each in model.opset_import] == [OPSET]
    assert [each.name for each in model.graph.input] == ["image", "style"]
