"""The network that paints in one pass."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.fast_networks import TINY, draw_network

from jaxstyle.feedforward import layers
from jaxstyle.feedforward.layers import convolution3x3, enlarged
from jaxstyle.feedforward.network import init_network, paint, takes_size
from jaxstyle.feedforward.palette import measure_colors, move_colors
from jaxstyle.image.color import match_color

pytestmark = pytest.mark.usefixtures("compile_faster")
IMAGE, OTHER = np.random.default_rng(0).uniform(size=(2, 13, 18, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def params():
    return draw_network().params


@pytest.mark.slow
def test_a_drawn_network_begins_with_the_photograph_in_the_colours_it_has():
    params = init_network(jax.random.key(0), TINY, styles=2)
    for name in params.keys() - {"colors", "output"}:  # He et al., ICCV 2015, eq. 10
        kernel = params[name]["kernel"]
        wanted = (2 / np.prod(kernel.shape[:3])) ** 0.5
        assert np.std(kernel) == pytest.approx(wanted, rel=0.25)
    expected = move_colors(IMAGE, params["colors"], jnp.array([1.0, 0.0]))
    np.testing.assert_allclose(painted(params, IMAGE, [1.0, 0.0]), expected, atol=0.2)


_paint = jax.jit(paint, static_argnames="architecture")


def painted(params, image, style, architecture=TINY):
    return np.asarray(_paint(params, image, jnp.asarray(style), architecture=architecture))


def test_a_picture_keeps_its_size_and_a_map_of_one_style_is_that_style(params):
    style = jnp.array([0.25, 0.75])
    whole = painted(params, IMAGE, style)
    assert whole.shape == IMAGE.shape
    everywhere = jnp.broadcast_to(style, (13, 18, 2))
    np.testing.assert_allclose(painted(params, IMAGE, everywhere), whole, atol=1e-5)


def test_a_network_paints_over_the_photograph_in_the_paintings_colours(params):
    colors = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), measure_colors(OTHER))
    silent = jax.tree.map(jnp.zeros_like, params["output"])
    found = painted({**params, "colors": colors, "output": silent}, IMAGE, [1.0, 0.0])
    np.testing.assert_allclose(found, match_color(IMAGE, OTHER, "symmetric"), atol=1e-5)


@pytest.mark.parametrize("value", [0.3, 0.5, 0.77])
def test_a_photograph_of_one_colour_stays_of_one_colour(value):
    """Instance normalisation makes a grid of rounding, and a frame of what surrounds the map."""
    wide = dataclasses.replace(TINY, widths=(4, 8, 32), blocks=2, kernels=(9, 3))
    params, image = draw_network(wide).params, jnp.full((64, 96, 3), value)

    found = painted(params, image, [0.5, 0.5], wide)
    assert np.ptp(found, axis=(0, 1)).max() <= 1e-6


SIZES = [(61, 70), (64, 96), (62, 95)]


@pytest.mark.parametrize("output", ["residual", "sigmoid"])
def test_one_program_paints_pictures_of_many_sizes(output):
    """What lies beside the picture, here noise, does not matter."""
    form = dataclasses.replace(TINY, output=output, kernels=(9, 9))
    params, style = draw_network(form).params, jnp.array([0.3, 0.7])
    rng = np.random.default_rng(1)
    for h, w in SIZES:
        image = rng.uniform(size=(h, w, 3)).astype(np.float32)
        wide = rng.normal(0, 9, (64, 96, 3)).astype(np.float32)
        wide[:h, :w] = image
        found = _paint(params, wide, style, architecture=form, size=np.array([h, w]))[:h, :w]
        np.testing.assert_allclose(found, painted(params, image, style, form), atol=5e-5)


def test_networks_that_paint_at_one_size_alone(params):
    zero = dataclasses.replace(TINY, padding="zero")
    assert [takes_size(form) for form in (TINY, zero)] == [True, False]
    style, size = jnp.array([1.0, 0.0]), np.array([10, 10])
    with pytest.raises(ValueError, match="size should be None for this architecture"):
        paint(params, IMAGE, style, architecture=zero, size=size)
    with pytest.raises(ValueError, match=r"multiples of 4 beside size, got 13×18"):
        paint(params, IMAGE, style, architecture=TINY, size=size)


def test_colours_are_those_of_the_painting():
    colors = jax.tree.map(lambda leaf: leaf[None], measure_colors(OTHER))
    np.testing.assert_allclose(
        move_colors(IMAGE, colors, jnp.ones(1)), match_color(IMAGE, OTHER, "symmetric"), atol=1e-5
    )


def convolved(x, kernel, padding):
    mode = "reflect" if padding == "reflect" else "constant"
    around = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode=mode)
    h, w, _ = x.shape
    taps = ((i, j, around[i : i + h, j : j + w]) for i in range(3) for j in range(3))
    return sum(window @ kernel[i, j] for i, j, window in taps)


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("padding", ["reflect", "zero"])
@pytest.mark.parametrize("shape", [(17, 20, 3, 4), (17, 20, 16, 18), (135, 130, 16, 16)])
def test_a_map_is_enlarged_within_the_convolution(padding, shape):
    x, kernel = draw(*shape[:3]), draw(3, 3, *shape[2:])
    expected = convolved(np.repeat(np.repeat(x, 2, 0), 2, 1), kernel, padding)
    found = enlarged(x, kernel, padding, None)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("padding", ["reflect", "zero"])
@pytest.mark.parametrize("shape", [(5, 6, 3, 4), (9, 7, 32, 32), (67, 390, 32, 36)])
def test_convolutions_in_bands_are_those_of_the_whole(padding, shape, monkeypatch):
    x, kernel = draw(*shape[:3]), draw(3, 3, *shape[2:])
    found = convolution3x3(x, kernel, padding)
    expected = convolved(x, kernel, padding)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    pull = jax.grad(lambda x: jnp.sum(jnp.sin(convolution3x3(x, kernel, padding))))
    derivative = pull(x)
    monkeypatch.setattr(layers, "BAND", 2**30)
    np.testing.assert_allclose(derivative, pull(x), rtol=1e-3, atol=1e-3)


def test_what_cannot_be_is_refused(params):
    with pytest.raises(ValueError, match=r"style should be \[2\] or \[H, W, 2\]"):
        paint(params, IMAGE, jnp.ones(3), architecture=TINY)
    with pytest.raises(ValueError, match="kernels should be two odd numbers"):
        dataclasses.replace(TINY, kernels=(9, 4))
