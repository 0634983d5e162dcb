"""Pictures that are paintings, rearranged from coarse to fine."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import random_params

import jaxstyle
from jaxstyle import LossSpec
from jaxstyle.losses.rearranging import REARRANGED
from jaxstyle.networks.vgg import VGG19_WIDTHS
from jaxstyle.optimization import rearranging
from jaxstyle.optimization.presets import get_preset
from jaxstyle.optimization.rearranging import rearrange
from jaxstyle.optimization.transfer import initial_image

PARAMS = random_params(tuple((name, 2 + int(name[4])) for name, _ in VGG19_WIDTHS))
SPEC = LossSpec(content_layers=("relu1_1", "relu2_1"), style_layers=())
CONTENT, STYLE = jax.random.uniform(jax.random.key(1), (2, 24, 32, 3))


def test_a_painting_rearranged_after_itself_stays():
    image = rearrange(PARAMS, STYLE, STYLE, spec=SPEC, num_steps=3, use_penalty=0.0)
    np.testing.assert_allclose(image, STYLE, atol=0.02)


def test_the_picture_comes_near_to_the_painting_and_is_another():
    image = rearrange(PARAMS, CONTENT, 0.3 * STYLE, spec=SPEC, num_steps=10)
    assert image.shape == CONTENT.shape
    assert float(image.mean()) < float(CONTENT.mean()) - 0.1


def test_sizes_double_and_the_painting_keeps_its_relative_size():
    content, style = jnp.zeros((96, 128, 3)), jnp.zeros((200, 256, 3))
    found = rearranging._from_coarse_to_fine(content, style)
    assert [(each["content"].shape, each["style"].shape) for each in found] == [
        ((48, 64, 3), (100, 128, 3)), ((96, 128, 3), (200, 256, 3)),
    ]  # fmt: skip


def test_no_smaller_picture_is_a_strip():
    found = rearranging._from_coarse_to_fine(jnp.zeros((20, 256, 3)), jnp.zeros((64, 64, 3)))
    assert [each["content"].shape for each in found] == [(20, 256, 3)]


@pytest.mark.parametrize(
    ("side", "deepest"), [(8, "relu1_1"), (32, "relu2_2"), (64, "relu3_3"), (128, "relu4_1")]
)
def test_deep_layers_are_left_out_at_small_sizes(side, deepest):
    pictures = {"content": jnp.zeros((side, side, 3)), "style": jnp.zeros((128, 128, 3))}
    layers = rearranging._layers(PARAMS, REARRANGED, pictures).content_layers
    assert layers == REARRANGED.content_layers[: REARRANGED.content_layers.index(deepest) + 1]


def test_it_is_a_start(monkeypatch):
    monkeypatch.setattr(
        "jaxstyle.optimization.transfer.rearrange", lambda _, content, style: content * style
    )
    found = initial_image("rearranged", (24, 32), PARAMS, content=CONTENT, style=STYLE)
    np.testing.assert_array_equal(found, CONTENT * STYLE)
    with pytest.raises(ValueError, match="init 'rearranged' needs a content image"):
        initial_image("rearranged", (24, 32), PARAMS, style=STYLE)


@pytest.mark.slow
def test_the_recipe_starts_from_it():
    preset = get_preset("nnst")
    options = preset.options(PARAMS, CONTENT.shape) | {"num_steps": 2}
    begun = rearrange(PARAMS, CONTENT, STYLE)
    expected = jaxstyle.stylize(PARAMS, CONTENT, STYLE, **options | {"init": begun})
    found = jaxstyle.stylize(PARAMS, CONTENT, STYLE, **options)
    np.testing.assert_allclose(found.image, expected.image, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": LossSpec()}, "spec should have content layers"),
        ({"content": jnp.zeros((8, 8))}, "content"),
        ({"spec": LossSpec(content_layers=["relu9_1"], style_layers=())}, "relu9_1"),
        ({"style": jnp.zeros((3, 8, 3))}, "style should be at least 4×4"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    given = {"content": CONTENT, "style": STYLE, "spec": SPEC, **change}
    with pytest.raises(ValueError, match=message):
        rearrange(PARAMS, **given)
