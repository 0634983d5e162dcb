"""Differences to every place of a painting, by Fourier transforms and by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.pieces.correlation import box_sums, correlate, spectra, transformed_shape
from jaxstyle.pieces.directions import directions, project
from jaxstyle.pieces.pyramids import gaussian, number_of_levels, pyramid, windows


def test_a_block_is_compared_with_every_place():
    painting, block = (np.random.default_rng(i).normal(size=(h, w, 2)) for i, h, w in
                       ((0, 13, 17), (1, 4, 5)))  # fmt: skip
    found = correlate(jnp.asarray(block), spectra(jnp.asarray(painting)), (13, 17))
    expected = [
        [(painting[y : y + 4, x : x + 5] * block).sum() for x in range(13)] for y in range(10)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_boxes_are_summed():
    plane = np.random.default_rng(0).random((7, 9), np.float32)
    expected = [[plane[y : y + 3, x : x + 4].sum() for x in range(6)] for y in range(5)]
    np.testing.assert_allclose(box_sums(jnp.asarray(plane), 3, 4), expected, rtol=1e-5)


def test_sizes_that_transform_fast_are_at_least_as_large():
    assert transformed_shape(97, 128) == (100, 128)


def test_distances_stay_along_the_directions_in_which_rows_differ():
    low = jax.random.normal(jax.random.key(0), (50, 2)) @ jax.random.normal(
        jax.random.key(1), (2, 6)
    )
    seen = project(low, directions(low, 2))
    assert seen.shape == (50, 2)
    apart = [jnp.sum((x[:, None] - x[None]) ** 2, -1) for x in (low, seen)]
    np.testing.assert_allclose(*apart, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(directions(low, 9), np.eye(6))


def test_a_pixel_lies_in_half_its_place_of_the_level_before():
    image = jnp.zeros((9, 12, 1)).at[6, 8].set(1.0)
    coarse, fine = pyramid(image, 2)
    assert coarse.shape == (5, 6, 1)
    assert np.unravel_index(np.argmax(coarse), (5, 6)) == (3, 4)
    np.testing.assert_array_equal(fine, image)
    np.testing.assert_allclose(pyramid(jnp.ones((9, 12, 3)), 3)[0], 1, rtol=1e-6)


def test_levels_end_where_a_picture_gets_too_small():
    assert number_of_levels((95, 200)) == 4
    assert number_of_levels((95, 200), (30, 30), least=20) == 1


def test_windows_surround_every_pixel():
    image = jnp.arange(12.0).reshape(3, 4, 1)
    rows = windows(image, 3)
    assert rows.shape == (12, 9)
    assert rows[5].tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    assert rows[0].tolist() == [0, 0, 1, 0, 0, 1, 4, 4, 5]
    bell = gaussian(5)
    np.testing.assert_allclose(bell.sum(), 1, rtol=1e-6)
    assert bell.argmax() == 12
