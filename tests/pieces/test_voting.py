"""Patch voting: what is there already stays, and guides say what goes where."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.pieces.guides import Guide
from jaxstyle.pieces.voting import (
    patch_analogy,
    patch_texture,
    patch_transfer,
    vote_coarse_to_fine,
)

pytestmark = pytest.mark.usefixtures("compile_faster")


def picture(seed, height=20, width=24):
    return jax.random.uniform(jax.random.key(seed), (height, width, 3))


def voted(painting, start, **options):
    nothing = painting[..., :0], start[..., :0]
    options = {"patch": 5, "rounds": 2, "evenness": 0.0, "levels": 1, **options}
    return vote_coarse_to_fine(painting, *nothing, start, **options)


@pytest.mark.parametrize("shape", [(20, 24), (19, 23), (5, 5)])
def test_a_part_of_the_painting_stays_as_it_is(shape):
    painting = picture(0)
    start = painting[: shape[0], : shape[1]]
    np.testing.assert_allclose(voted(painting, start), start, atol=1e-6)


def test_noise_is_voted_away():
    painting = picture(1)
    noisy = painting + 0.1 * jax.random.normal(jax.random.key(2), painting.shape)
    np.testing.assert_allclose(voted(painting, noisy, rounds=8), painting, atol=1e-5)


def test_colours_stay_within_the_paintings():
    painting = 0.3 + 0.2 * picture(3)
    made = patch_texture(painting, (26, 31), patch=5)
    assert made.shape == (26, 31, 3)
    assert float(made.min()) >= float(painting.min()) - 1e-6
    assert float(made.max()) <= float(painting.max()) + 1e-6


def test_uses_count_against_a_patch():
    painting = picture(4).at[8:14, 8:14].set(0.5)
    start = jnp.full((24, 24, 3), 0.5)
    plain, even = (voted(painting, start, evenness=e) for e in (0.0, 2.0))
    # What is flat stays so, unless that gets dear.
    np.testing.assert_allclose(plain, 0.5, atol=1e-6)
    assert float(jnp.std(even)) > 0.05


def test_guides_say_what_goes_where():
    side = jnp.broadcast_to(jnp.arange(24)[:, None] // 12 * 1.0, (24, 24, 3))
    painting = jnp.concatenate([0.3 * picture(5, 24, 12), 0.7 + 0.3 * picture(6, 24, 12)], axis=1)
    made = patch_analogy(painting, [Guide(side, jnp.swapaxes(side, 0, 1), 4.0)], patch=5)
    assert made.shape == (24, 24, 3)
    assert float(jnp.mean(made[:9] < 0.5)) > 0.98
    assert float(jnp.mean(made[-9:] > 0.5)) > 0.98


def test_a_guide_that_is_its_target_gives_the_painting():
    guide, painting = picture(7), picture(8)
    made = patch_analogy(painting, [Guide(guide, guide)], patch=5)
    np.testing.assert_allclose(made, painting, atol=1e-5)


def test_a_transfer_of_a_painting_to_itself_is_the_painting():
    painting = jax.image.resize(picture(9, 6, 6), (24, 24, 3), "cubic").clip(0, 1)
    made = patch_transfer(painting, painting, patch=5, fidelity=8.0, evenness=0.0)
    assert float(jnp.mean(jnp.abs(made - painting))) < 0.02


def test_vmap_and_jit_equal_a_loop():
    paintings = jnp.stack([picture(0, 14, 14), picture(1, 14, 14)])
    starts = paintings[:, 1:, ::-1] + 0.1 * paintings[:, ::-1][:, 1:]

    def make(painting, start):
        return voted(painting, start, patch=3, rounds=1)

    many = jax.jit(jax.vmap(make))(paintings, starts)
    for i in range(2):
        np.testing.assert_allclose(many[i], make(paintings[i], starts[i]), atol=1e-5)


def test_one_program_serves_pictures_of_a_size(count_compilations):
    patch_texture(picture(0), (21, 23), patch=5)
    with count_compilations() as compiled:
        patch_texture(picture(1), (21, 23), patch=5, evenness=0.7, key=jax.random.key(3))
    assert compiled() == 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: patch_texture(p, (9, 9), patch=4), "patch should be an odd number, got 4"),
        (lambda p: patch_texture(p, (9, 9), patch=11), "shape should have at least 11×11 pixels"),
        (lambda p: patch_texture(p, (9, 9), patch=5, rounds=0), "rounds should be at least 1"),
        (lambda p: patch_transfer(p, p, patch=21), "content should have at least 21×21 pixels"),
        (lambda p: patch_transfer(p, p, fidelity=-1.0), "fidelity should be at least 0"),
        (lambda p: patch_analogy(p, []), "guides should hold a pair of pictures or more"),
    ],
)
def test_what_cannot_be_right_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make(picture(0))
