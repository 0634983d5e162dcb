"""Targets that are a painting rearranged after a photograph."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import LossSpec, init_params, optimize
from jaxstyle.losses.features import features
from jaxstyle.losses.rearranging import _grid_shape, rearranged_targets

PARAMS = init_params(jax.random.key(0), (("conv1_1", 8), ("conv2_1", 8)))
SPEC = LossSpec(content_layers=("relu1_1", "relu2_1"), style_layers=())
CONTENT, STYLE = jax.random.uniform(jax.random.key(1), (2, 24, 16, 3))


def test_a_picture_rearranged_after_itself_is_itself():
    targets = rearranged_targets(PARAMS, STYLE, STYLE, SPEC, use_penalty=0.0)
    maps = features(PARAMS, STYLE, SPEC, SPEC.content_layers)
    for layer, expected in maps.items():
        np.testing.assert_allclose(targets.content[layer], expected, atol=1e-4)


def test_a_painting_moved_by_whole_places_is_moved_back():
    moved = jnp.roll(STYLE, 8, axis=1)
    spec = LossSpec(content_layers=("relu1_1",), style_layers=())
    targets = rearranged_targets(PARAMS, STYLE, moved, spec, use_penalty=0.0)
    expected = features(PARAMS, STYLE, SPEC, ["relu1_1"])["relu1_1"]
    inside = np.s_[4:20, 4:12]  # edges are padded elsewhere
    close = np.isclose(targets.content["relu1_1"][inside], expected[inside], atol=1e-4)
    assert close.mean() > 0.5


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_painting_that_was_turned_is_turned_back(turns):
    painting = jnp.rot90(STYLE, turns)
    found = [
        rearranged_targets(PARAMS, STYLE, painting, SPEC, use_penalty=0.0, turned=turned)
        for turned in (True, False)
    ]
    maps = features(PARAMS, STYLE, SPEC, SPEC.content_layers)
    for layer, expected in maps.items():
        np.testing.assert_allclose(found[0].content[layer], expected, atol=1e-4)
        assert not np.allclose(found[1].content[layer], expected, atol=1e-4)


def test_the_picture_so_far_counts_in_what_is_matched():
    found = {
        name: rearranged_targets(PARAMS, CONTENT, STYLE, SPEC, current=current).content["relu2_1"]
        for name, current in (("none", None), ("photograph", CONTENT), ("painting", STYLE))
    }
    np.testing.assert_array_equal(found["none"], found["photograph"])
    assert not np.allclose(found["none"], found["painting"], atol=1e-3)


def test_large_pictures_have_no_more_places_than_others():
    assert [_grid_shape(shape) for shape in ((24, 16), (512, 512), (4096, 4096), (1, 9))] == [
        (6, 4), (128, 128), (128, 128), (1, 2),
    ]  # fmt: skip


def test_a_few_steps_come_near():
    targets = rearranged_targets(PARAMS, CONTENT, STYLE, SPEC)
    result = optimize(CONTENT, PARAMS, targets, spec=SPEC, num_steps=10)
    assert float(result.info.loss[-1]) < 0.7 * float(result.info.loss[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": LossSpec()}, "spec should have content layers, whose features are compared"),
        ({"content": jnp.zeros((3, 8, 3))}, "content should be at least 4×4"),
        ({"current": STYLE[:20]}, r"current should be \[24, 16, 3\] like content"),
        ({"use_penalty": -1.0}, "use_penalty should be at least 0"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    given = {"content": CONTENT, "style": STYLE, "spec": SPEC, **change}
    with pytest.raises(ValueError, match=message):
        rearranged_targets(PARAMS, **given)
