"""Colours: the statistics that are promised, against float64, and no NaN on any image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import color
from jaxstyle.image.io import load_image, save_image

pytestmark = pytest.mark.usefixtures("compile_faster")

METHODS = ("cholesky", "pca", "symmetric")
# From RGB.
YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
# Another basis of the same chroma.
YCBCR = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def picture(height, width, seed):
    """An image with correlated channels, well inside [0, 1] for the most part."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(height, width, 3)) @ rng.normal(scale=0.12, size=(3, 3))
    return jnp.asarray(np.clip(mixed + rng.uniform(0.3, 0.7, 3), 0, 1), jnp.float32)


CONTENT, STYLE = picture(24, 36, 1), picture(31, 17, 2)
ODD = {
    "constant": jnp.full((6, 5, 3), 0.3),
    "black": jnp.zeros((6, 5, 3)),
    "white": jnp.ones((6, 5, 3)),
    "grey": color.greyscale(picture(6, 5, 3)),
    "one colour": picture(6, 5, 3) * jnp.array([1.0, 0.0, 0.0]),
}
MATCHES = {
    **{m: (lambda image, target, m=m: color.match_color(image, target, m)) for m in METHODS},
    "luminance": color.match_luminance,
    "histogram": color.match_histogram,
}


def statistics(image):
    colours = np.asarray(image, np.float64).reshape(-1, 3)
    return colours.mean(0), np.cov(colours.T, bias=True)


def yiq(image):
    return np.asarray(image, np.float64) @ YIQ.T


def test_luminance_is_the_y_of_yiq():
    np.testing.assert_allclose(color.luminance(CONTENT), yiq(CONTENT)[..., 0], atol=1e-6)
    grey = color.greyscale(CONTENT)
    assert grey.shape == CONTENT.shape
    np.testing.assert_allclose(grey, np.stack([yiq(CONTENT)[..., 0]] * 3, -1), atol=1e-6)
    np.testing.assert_allclose(color.greyscale(grey), grey, atol=1e-6)


@pytest.mark.parametrize("low", [0.0, -0.5])
def test_chroma_stays_and_luminance_goes_as_far_as_it_fits(low):
    """A source beyond the range asks for more than fits."""
    source = low + (1 - 2 * low) * jax.random.uniform(jax.random.key(0), CONTENT.shape)
    result = color.with_luminance_of(CONTENT, source)
    assert 0 <= result.min() <= result.max() <= 1
    np.testing.assert_allclose(yiq(result)[..., 1:], yiq(CONTENT)[..., 1:], atol=3e-7)
    wanted, got = yiq(source)[..., 0], yiq(result)[..., 0]
    reached = np.abs(wanted - got) < 1e-6
    assert 0.05 < reached.mean() < 0.95
    brightest, darkest = np.asarray(result.max(-1)), np.asarray(result.min(-1))
    np.testing.assert_allclose(brightest[~reached & (wanted > got)], 1, atol=1e-6)
    np.testing.assert_allclose(darkest[~reached & (wanted < got)], 0, atol=1e-6)


def test_matched_chroma_is_that_of_the_photograph_in_the_paintings_colours():
    image = picture(24, 36, 4)
    found = color.with_matched_chroma(image, CONTENT, STYLE)
    moved = np.clip(color.match_color(CONTENT, STYLE, "symmetric", 1e-4), 0, 1)
    np.testing.assert_allclose(yiq(found)[..., 1:], yiq(moved)[..., 1:], atol=3e-7)
    reached = np.abs(yiq(found)[..., 0] - yiq(image)[..., 0]) < 1e-6
    assert reached.mean() > 0.5
    with pytest.raises(ValueError, match="image and source should have the same shape"):
        color.with_matched_chroma(image[1:], CONTENT, STYLE)


@pytest.mark.parametrize("name", ODD)
def test_matched_chroma_of_odd_pictures_is_no_harm(name):
    for content, style in ((ODD[name], STYLE), (CONTENT[:6, :5], ODD[name])):
        found = color.with_matched_chroma(content, content, style)
        assert 0 <= found.min() <= found.max() <= 1


def test_chroma_stays_in_a_saved_picture(tmp_path):
    source = 2 * jax.random.uniform(jax.random.key(0), CONTENT.shape) - 0.5
    result = color.with_luminance_of(CONTENT, source)
    save_image(tmp_path / "out.png", result)
    saved = np.asarray(load_image(tmp_path / "out.png"), np.float64)
    assert np.abs(saved - np.asarray(result)).max() <= 0.5 / 255 + 1e-6
    # Each of the chroma's two numbers moves by no more than rounding three channels can move it.
    chroma, expected = saved @ YCBCR.T, np.asarray(CONTENT, np.float64) @ YCBCR.T
    assert (np.abs(chroma - expected) <= 0.5 / 255 * np.abs(YCBCR).sum(1) + 1e-6).all()


def test_own_luminance_changes_nothing():
    np.testing.assert_allclose(color.with_luminance_of(CONTENT, CONTENT), CONTENT, atol=1e-6)
    grey = color.with_luminance_of(color.greyscale(STYLE), STYLE)
    np.testing.assert_allclose(grey, color.greyscale(STYLE), atol=1e-6)


def test_matched_luminance_has_the_targets_mean_and_deviation():
    result = color.match_luminance(STYLE, CONTENT)
    got, wanted = yiq(result)[..., 0], yiq(CONTENT)[..., 0]
    np.testing.assert_allclose([got.mean(), got.std()], [wanted.mean(), wanted.std()], rtol=1e-5)
    np.testing.assert_allclose(yiq(result)[..., 1:], yiq(STYLE)[..., 1:], atol=1e-6)
    flat = color.match_luminance(ODD["constant"], CONTENT)
    np.testing.assert_allclose(color.luminance(flat), wanted.mean(), atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_matched_colours_have_the_targets_mean_and_covariance(method):
    mean, covariance = statistics(CONTENT)
    for eps, tolerance in ((1e-5, 5e-4), (1e-8, 2e-6)):
        result = color.match_color(STYLE, CONTENT, method, eps)
        got_mean, got_covariance = statistics(result)
        np.testing.assert_allclose(got_mean, mean, atol=1e-6)
        np.testing.assert_allclose(got_covariance, covariance, atol=tolerance)
    assert not 0 <= result.min() <= result.max() <= 1  # not clipped


def root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.sqrt(values)) @ vectors.T


@pytest.mark.parametrize("method", METHODS)
def test_matched_colours_are_those_of_the_formula(method):
    (mean, s), (mean_t, t) = statistics(STYLE), statistics(CONTENT)
    s, t = s + 1e-5 * np.eye(3), t + 1e-5 * np.eye(3)
    inverse = np.linalg.inv
    if method == "cholesky":
        matrix = np.linalg.cholesky(t) @ inverse(np.linalg.cholesky(s))
        np.testing.assert_allclose(matrix, np.tril(matrix), atol=1e-12)
    elif method == "pca":
        matrix = root(t) @ inverse(root(s))
    else:
        matrix = inverse(root(s)) @ root(root(s) @ t @ root(s)) @ inverse(root(s))
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    expected = (np.asarray(STYLE, np.float64) - mean) @ matrix.T + mean_t
    np.testing.assert_allclose(color.match_color(STYLE, CONTENT, method), expected, atol=2e-4)


def test_the_symmetric_match_moves_colours_least():
    moved = {m: jnp.square(color.match_color(STYLE, CONTENT, m) - STYLE).mean() for m in METHODS}
    assert moved["symmetric"] < min(moved["cholesky"], moved["pca"])


def test_matched_histograms_are_the_targets():
    target = picture(31, 17, 5)
    image = jax.random.uniform(jax.random.key(0), target.shape)  # no two values are the same
    result = np.asarray(color.match_histogram(image, target)).reshape(-1, 3)
    np.testing.assert_array_equal(np.sort(result, 0), np.sort(target.reshape(-1, 3), 0))
    order = np.argsort(np.asarray(image).reshape(-1, 3), 0)
    assert (np.diff(np.take_along_axis(result, order, 0), axis=0) >= 0).all()


def test_matched_histograms_of_other_sizes_have_the_targets_quantiles():
    levels = np.linspace(0, 1, 11)
    result = color.match_histogram(STYLE + 1e-4 * picture(31, 17, 9), CONTENT)
    for channel in range(3):
        got, wanted = (np.quantile(x[..., channel], levels) for x in (result, CONTENT))
        np.testing.assert_allclose(got, wanted, atol=0.03)


def test_equal_values_stay_equal():
    steps = jnp.round(STYLE * 4) / 4
    result = np.asarray(color.match_histogram(steps, CONTENT))
    for channel in range(3):
        for level in np.unique(steps[..., channel]):
            assert np.ptp(result[..., channel][np.asarray(steps[..., channel]) == level]) == 0
    flat = color.match_histogram(ODD["constant"], CONTENT)
    median = np.median(np.asarray(CONTENT).reshape(-1, 3), 0)
    np.testing.assert_allclose(flat, np.broadcast_to(median, flat.shape), atol=1e-6)


@pytest.mark.parametrize("match", MATCHES)
def test_no_image_gives_nan_nor_do_gradients(match):
    def both(image, target):
        one, other = MATCHES[match](image, target), MATCHES[match](target, image)
        return jnp.sum(jnp.sin(one)) + jnp.sum(jnp.sin(other)), (one, other)

    run = jax.jit(jax.grad(both, argnums=(0, 1), has_aux=True))
    for name, image in ODD.items():
        gradients, results = run(image, CONTENT[:6, :5])
        assert all(np.isfinite(x).all() for x in (*gradients, *results)), name


def test_no_image_gives_nan_with_the_luminance_of_another():
    both = jax.value_and_grad(lambda *x: jnp.sum(color.with_luminance_of(*x)), (0, 1))
    images = jnp.stack(list(ODD.values()))
    run = jax.jit(jax.vmap(jax.vmap(both, in_axes=(None, 0)), in_axes=(0, None)))
    values, gradients = run(images, images)
    assert values.shape == (len(ODD), len(ODD))
    assert all(np.isfinite(x).all() for x in (values, *gradients))


@pytest.mark.parametrize("match", MATCHES)
def test_jit_and_vmap_change_nothing(match):
    function = MATCHES[match]
    images = jnp.stack([CONTENT, CONTENT[::-1] ** 2])
    each = jnp.stack([function(image, STYLE) for image in images])
    together = jax.jit(jax.vmap(function, in_axes=(0, None)))(images, STYLE)
    np.testing.assert_allclose(together, each, atol=2e-5)


@pytest.mark.parametrize("match", [*METHODS, "luminance"])
def test_gradients_are_those_of_finite_differences(match):
    weights = jax.random.normal(jax.random.key(3), CONTENT.shape)

    @jax.jit
    def value(target):
        return jnp.sum(weights * MATCHES[match](CONTENT, target))

    direction = jax.random.normal(jax.random.key(4), STYLE.shape)
    step = 1e-2
    difference = (value(STYLE + step * direction) - value(STYLE - step * direction)) / (2 * step)
    slope = jnp.vdot(jax.jit(jax.grad(value))(STYLE), direction)
    np.testing.assert_allclose(slope, difference, rtol=2e-2)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"image should have shape \[H, W, 3\], got \[4, 4\]"):
        color.luminance(jnp.zeros((4, 4)))
    with pytest.raises(
        ValueError, match="unknown method 'nosuch'; valid: cholesky, pca, symmetric"
    ):
        color.match_color(CONTENT, STYLE, "nosuch")
    with pytest.raises(ValueError, match="image and source should have the same shape"):
        color.with_luminance_of(CONTENT, STYLE)
    for match in MATCHES.values():
        with pytest.raises(TypeError, match="floating point"):
            match(jnp.zeros((4, 4, 3), jnp.uint8), CONTENT)
        with pytest.raises((TypeError, ValueError), match="for batches use"):
            match(CONTENT, jnp.zeros((2, 4, 4, 3)))
