"""What comes into view begins with strokes of places that look alike."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.films import texture

from jaxstyle.video.filling import fill


def strokes(shape):
    """Stripes, lying at the left and standing at the right; and a photograph that tells them."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    left = x < shape[1] // 2
    picture = np.where(left, y // 2 % 2, x // 2 % 2).astype(np.float32)
    photograph = np.where(left, 0.2, 0.8).astype(np.float32)
    return (jnp.asarray(np.repeat(each[..., None], 3, -1)) for each in (picture, photograph))


@pytest.mark.parametrize("shape", [(32, 48), (150, 220)])
def test_strokes_are_those_of_places_whose_photograph_is_alike(shape):
    picture, photograph = strokes(shape)
    row, columns = shape[0] // 2, np.arange(shape[1])
    seen = jnp.ones(shape).at[row - 2 : row + 2].set(0.0)
    filled = np.asarray(
        fill(jnp.where(seen[..., None] > 0, picture, 0.5), seen, photograph, picture)
    )
    np.testing.assert_array_equal(filled[: row - 2], picture[: row - 2])
    np.testing.assert_array_equal(filled[row + 2 :], picture[row + 2 :])
    assert set(np.unique(filled)) == {0.0, 1.0}
    far = np.abs(columns - shape[1] // 2) > 12  # from where stripes of both kinds meet
    assert np.abs(filled - picture)[row - 2 : row + 2][:, far].mean() < 0.1


def test_where_nothing_is_alike_it_is_the_start():
    picture = jnp.asarray(texture(0, (40, 40)))
    seen = jnp.ones((40, 40)).at[:, 20:].set(0.0)
    photograph = jnp.zeros((40, 40, 3)).at[:, 20:].set(1.0)
    start = jnp.full((40, 40, 3), 0.25)
    filled = np.asarray(fill(picture, seen, photograph, start))
    np.testing.assert_array_equal(filled[:, :20], picture[:, :20])
    assert (filled[:, 20:] == 0.25).all()
    nothing = fill(picture, jnp.zeros((40, 40)), photograph, start)
    np.testing.assert_array_equal(nothing, start)
