"""Image quilting: every pixel is the painting's, and what repeats has no seam."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.pieces.blocks import number_of_blocks
from jaxstyle.pieces.quilting import quilt_texture, quilt_transfer, sides, transfer_pass

pytestmark = pytest.mark.usefixtures("compile_faster")


def picture(seed, height=20, width=24):
    return jax.random.uniform(jax.random.key(seed), (height, width, 3))


def colors(image):
    return {tuple(pixel) for pixel in np.asarray(image).reshape(-1, 3)}


def test_a_texture_that_repeats_has_no_seam():
    painting = jnp.tile(picture(0, 6, 8), (4, 4, 1))
    for seed in range(3):
        made = quilt_texture(painting, (40, 52), block=12, key=jax.random.key(seed))
        assert float(made.seams.max()) == 0
        # It goes on repeating, from wherever it begins.
        np.testing.assert_array_equal(made.image[6:], made.image[:-6])
        np.testing.assert_array_equal(made.image[:, 8:], made.image[:, :-8])


def test_every_pixel_is_one_of_the_painting():
    painting = picture(1)
    assert colors(quilt_texture(painting, (33, 41), block=9).image) <= colors(painting)
    made = quilt_transfer(picture(2, 30, 26), painting, block=9, passes=2)
    assert made.image.shape == (30, 26, 3)
    assert colors(made.image) <= colors(painting)


def test_blocks_lie_where_they_are_said_to_be_from():
    painting = picture(3)
    made = quilt_texture(painting, (20, 20), block=8, overlap=2)
    assert made.places.shape == (3, 3, 2)
    y, x = made.places[0, 0]
    np.testing.assert_array_equal(made.image[:6, :6], painting[y : y + 6, x : x + 6])
    y, x = made.places[1, 2]
    inner = painting[y + 2 : y + 6, x + 2 : x + 6]
    np.testing.assert_array_equal(made.image[8:12, 14:18], inner)


@pytest.mark.parametrize("overlap", [1, 3])
def test_a_block_fits_those_before_it_about_best(overlap):
    painting, block = picture(4, 16, 18), 7
    made = quilt_texture(painting, (7, 14), block=block, overlap=overlap, evenness=0.0)
    (y, x), (v, u) = np.asarray(made.places[0, :2])
    had = np.asarray(painting)[y : y + block, x + block - overlap : x + block]
    errors = np.array([
        [((np.asarray(painting)[i : i + block, j : j + overlap] - had) ** 2).sum()
         for j in range(18 - block + 1)] for i in range(16 - block + 1)
    ])  # fmt: skip
    assert errors[v, u] <= 1.1 * errors.min() + 3 * (0.5 / 255) ** 2 * block * overlap + 1e-3


def test_uses_count_against_a_place():
    painting = jnp.concatenate([0.2 + 0.02 * picture(1, 24, 24), picture(5, 24, 24)], axis=1)
    flat = [
        float(jnp.mean(quilt_texture(painting, (60, 60), block=6, evenness=e, key=jax.random.key(2))
                       .image.std(-1) < 0.02)) for e in (0.0, 1.0)
    ]  # fmt: skip
    # Half of the painting is flat.
    assert abs(flat[0] - 0.5) > 0.3
    assert abs(flat[1] - 0.5) < 0.1


def test_a_transfer_follows_the_light():
    light = jnp.where(jnp.arange(40) < 20, 0.1, 0.9)
    content = jnp.broadcast_to(light[:, None], (32, 40, 3))
    painting = jnp.concatenate([0.2 * picture(7, 24, 20), 0.8 + 0.2 * picture(8, 24, 20)], axis=1)
    made = quilt_transfer(content, painting, block=6, passes=2).image
    assert float(jnp.mean(made[:, :18] < 0.5)) > 0.95
    assert float(jnp.mean(made[:, 22:] > 0.5)) > 0.95


def test_keys_draw_and_equal_keys_draw_alike():
    painting = picture(9)
    first, again, other = (
        quilt_texture(painting, (30, 30), block=8, key=jax.random.key(seed)).image
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert float(jnp.mean(jnp.abs(first - other))) > 0.01


def test_vmap_and_jit_equal_a_loop():
    paintings = jnp.stack([picture(seed, 16, 16) for seed in range(2)])
    keys = jax.random.split(jax.random.key(0), 2)

    def make(painting, key):
        return quilt_texture(painting, (14, 18), block=6, key=key)

    many = jax.jit(jax.vmap(make))(paintings, keys)
    for i in range(2):
        one = make(paintings[i], keys[i])
        np.testing.assert_array_equal(many.places[i], one.places)
        np.testing.assert_array_equal(many.image[i], one.image)


def test_one_program_serves_pictures_of_a_size(count_compilations):
    quilt_texture(picture(0), (21, 23), block=9)
    with count_compilations() as compiled:
        quilt_texture(picture(1), (21, 23), block=9, evenness=0.7, key=jax.random.key(3))
    assert compiled() == 0


def test_blocks_of_later_passes_are_a_third_smaller():
    assert sides(36, 4) == [36, 24, 16, 11]
    assert sides(6, 4) == [6, 5, 5, 5]
    assert number_of_blocks(40, 12, 2) == 4
    assert number_of_blocks(5, 12, 2) == 1


def test_the_first_pass_looks_at_the_light_and_the_last_at_the_fit():
    content, painting = picture(10, 24, 24), picture(11, 24, 24)
    first = transfer_pass(content, painting, None, jax.random.key(0), number=0, side=6, passes=2)
    kept = transfer_pass(
        content, painting, first.image, jax.random.key(1), number=1, side=6, passes=2
    )
    # At α = 0.9 the picture of the pass before is what fits best.
    assert float(jnp.mean(jnp.all(kept.image == first.image, axis=-1))) > 0.5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"block": 21}, "block should be at most 20, the painting's shorter side, got 21"),
        ({"block": 6, "overlap": 6}, "overlap should be less than block, 6, got 6"),
        ({"block": 1}, "block should be at least 2, got 1"),
        ({"evenness": -1.0}, "evenness should be at least 0"),
    ],
)
def test_what_cannot_be_right_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        quilt_texture(picture(0), (8, 8), **{"block": 5, **options})
    with pytest.raises(TypeError, match="key should be a key"):
        quilt_texture(picture(0), (8, 8), block=5, key=3)
