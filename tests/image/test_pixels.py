"""Pixels: resampling, noise, and rounding as a file does it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxstyle.image.io import load_image, save_image
from jaxstyle.image.pixels import (
    NOISE_SCALE,
    natural_noise,
    quantize,
    resize,
    resize_mask,
    white_noise,
)

RNG = np.random.default_rng(0)
PICTURE = np.float32(RNG.uniform(0, 1, (14, 9, 3)))
SHAPES = [(14, 9), (28, 18), (5, 31), (7, 4), (1, 1), (14, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_resize_keeps_a_constant(shape):
    for level in np.float32([0.0, 0.3, 1.0]):
        resized = resize(jnp.asarray(np.full((14, 9, 3), level)), shape)
        assert resized.shape == (*shape, 3)
        np.testing.assert_array_equal(resized, level)


@pytest.mark.parametrize("shape", SHAPES)
def test_resize_does_not_overshoot(shape):
    edges = np.float32(np.where(PICTURE > 0.5, 0.75, 0.25))
    resized = resize(jnp.asarray(edges), shape)
    assert 0.25 <= resized.min() <= resized.max() <= 0.75


@pytest.mark.parametrize("shape", SHAPES)
def test_resize_equals_pillows_antialiased_lanczos(shape):
    size = (shape[1], shape[0])
    channels = [
        Image.fromarray(PICTURE[..., c]).resize(size, Image.Resampling.LANCZOS) for c in range(3)
    ]
    expected = np.clip(np.stack(channels, -1), PICTURE.min(), PICTURE.max())
    np.testing.assert_allclose(resize(jnp.asarray(PICTURE), shape), expected, rtol=0, atol=2e-6)


def test_resize_to_the_same_shape_is_the_identity():
    np.testing.assert_allclose(resize(jnp.asarray(PICTURE), (14, 9)), PICTURE, rtol=0, atol=1e-6)


def test_resize_scales_with_values_far_out_of_range():
    shifted = resize(100 * jnp.asarray(PICTURE) - 50, (7, 4))
    np.testing.assert_allclose(shifted, 100 * resize(PICTURE, (7, 4)) - 50, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("image", "shape", "error", "message"),
    [
        (jnp.ones((4, 4)), (2, 2), ValueError, r"image should have shape .*, got \[4, 4\]"),
        (jnp.ones((4, 4, 1)), (2, 2), ValueError, r"got \[4, 4, 1\]"),
        (jnp.ones((2, 4, 4, 3)), (2, 2), ValueError, r"for batches use jax\.vmap"),
        (jnp.ones((4, 4, 3), jnp.uint8), (2, 2), TypeError, "got uint8; divide 8-bit values"),
        (jnp.ones((4, 4, 3)), (0, 2), ValueError, "at least 1×1, got 0×2"),
        (jnp.ones((4, 4, 3)), (2, -1), ValueError, "at least 1×1, got 2×-1"),
    ],
)
def test_resize_refuses(image, shape, error, message):
    with pytest.raises(error, match=message):
        resize(image, shape)


def test_white_noise_is_decided_by_its_key():
    first, again, other = (np.asarray(white_noise(jax.random.key(k), (128, 96))) for k in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.all(first != other)


@pytest.mark.slow
def test_natural_noise_falls_with_frequency_and_has_no_chequers():
    keys = jax.random.split(jax.random.key(1), 40)
    noise = jax.vmap(lambda key: natural_noise(key, (64, 96), mean=0.3, scale=0.2))(keys)
    assert noise.shape == (40, 64, 96, 3)
    assert noise.dtype == jnp.float32
    unit = (np.asarray(noise, np.float64) - 0.3) / 0.2
    # Of 40 pictures, most of whose variance lies in a few frequencies.
    np.testing.assert_allclose(np.mean(unit**2), 1, rtol=0.1)
    assert abs(np.mean(unit)) < 0.1
    power = np.mean(np.abs(np.fft.fft2(unit, axes=(1, 2))) ** 2, (0, 3))
    vertical, horizontal = np.fft.fftfreq(64)[:, None], np.fft.fftfreq(96)
    radius = np.hypot(vertical, horizontal)
    fade = (np.cos(np.pi * vertical) * np.cos(np.pi * horizontal)) ** 4
    flat = power * radius**2 / np.where(fade > 1e-3, fade, np.nan)
    bands = [
        np.nanmean(flat[(radius > low) & (radius < 2 * low)]) for low in (0.03, 0.06, 0.12, 0.24)
    ]
    np.testing.assert_allclose(bands, bands[0], rtol=0.15)
    assert power[32].max() < 1e-9 * power.max()
    assert power[:, 48].max() < 1e-9 * power.max()


def test_natural_noise_is_decided_by_its_key():
    one, again, other = (np.asarray(natural_noise(jax.random.key(k), (9, 7))) for k in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert np.all(one != other)


@pytest.mark.parametrize("mean", [0.5, (0.1, 0.5, 0.9)])
@pytest.mark.parametrize("scale", [NOISE_SCALE, 2.0])
def test_white_noise_is_gaussian_of_the_mean_and_scale_asked_for(mean, scale):
    shape, count = (128, 96), 128 * 96
    noise = white_noise(jax.random.key(7), shape, mean=np.float32(mean), scale=scale)
    assert noise.shape == (*shape, 3)
    assert noise.dtype == jnp.float32
    unit = (np.asarray(noise, np.float64) - np.array(mean)) / scale
    error = 4 / np.sqrt(count)
    np.testing.assert_allclose(unit.mean((0, 1)), 0, rtol=0, atol=error)
    np.testing.assert_allclose(unit.std((0, 1)), 1, rtol=0, atol=error / np.sqrt(2))
    np.testing.assert_allclose((np.abs(unit) < 1).mean((0, 1)), 0.6827, rtol=0, atol=error / 2)


def test_white_noise_is_independent_between_pixels_and_channels():
    unit = np.asarray(white_noise(jax.random.key(3), (128, 96), mean=0.0, scale=1.0), np.float64)
    pairs = [(unit[1:], unit[:-1]), (unit[:, 1:], unit[:, :-1]), (unit[..., 1:], unit[..., :-1])]
    for a, b in pairs:
        assert abs(np.mean(a * b)) < 4 / np.sqrt(a.size)


def test_white_noise_by_default_fills_the_range_of_a_picture():
    noise = np.asarray(white_noise(jax.random.key(0), (128, 96)))
    np.testing.assert_allclose(noise.std(), 60 / 255, rtol=0.02)
    assert 0.02 < np.mean((noise < 0) | (noise > 1)) < 0.05


def test_white_noise_is_not_clipped():
    noise = np.asarray(white_noise(jax.random.key(0), (128, 96), scale=1.0))
    assert noise.min() < 0
    assert noise.max() > 1


def test_quantize_gives_the_nearest_multiples_of_one_255th():
    image = jnp.asarray(RNG.uniform(0, 1, (16, 16, 3)), jnp.float32)
    quantized = np.asarray(quantize(image), np.float64)
    assert np.abs(quantized - np.asarray(image)).max() <= 0.5 / 255 + 1e-7
    np.testing.assert_allclose(quantized * 255, np.round(quantized * 255), rtol=0, atol=1e-4)


def test_quantize_keeps_every_value_of_8_bits():
    levels = jnp.arange(256, dtype=jnp.float32) / 255
    np.testing.assert_array_equal(quantize(levels), levels)


def test_quantize_is_idempotent_and_clips():
    image = jnp.asarray(RNG.normal(0.5, 1.0, (16, 16, 3)), jnp.float32)
    once = quantize(image)
    np.testing.assert_array_equal(quantize(once), once)
    assert (once.min(), once.max()) == (0, 1)


def test_quantize_equals_what_a_file_holds(tmp_path):
    halves = (np.arange(256) + 0.5) / 255
    pixels = np.concatenate([RNG.normal(0.5, 0.5, 3 * 256 - 256), halves])
    image = jnp.asarray(pixels.reshape(16, 16, 3), jnp.float32)
    save_image(tmp_path / "out.png", image)
    with Image.open(tmp_path / "out.png") as file:
        np.testing.assert_array_equal(np.rint(255 * quantize(image)), np.asarray(file))
    np.testing.assert_allclose(quantize(image), load_image(tmp_path / "out.png"), rtol=2e-7)


@pytest.mark.parametrize("shape", [(21, 32), (7, 5), (90, 131)])
def test_a_mask_stays_exactly_white_and_black(shape):
    mask = jnp.zeros((48, 64)).at[:, :40].set(1)
    found = np.asarray(resize_mask(mask, shape))
    far = max(1, shape[1] // 8)  # columns that see nothing of the mask's edge
    assert set(np.unique(found[:, :far])) == {1.0}
    assert set(np.unique(found[:, -far:])) == {0.0}
    assert found.min() >= 0
    assert found.max() <= 1
