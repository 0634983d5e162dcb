"""Image analogies: what is the same gets the same, and what was done to one picture is found."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.image.color import greyscale
from jaxstyle.pieces.analogies import analogy, grow_texture
from jaxstyle.pieces.guides import Guide
from jaxstyle.pieces.pixels import Level, copy_pixels
from jaxstyle.pieces.pyramids import gaussian, pyramid, windows

pytestmark = pytest.mark.usefixtures("compile_faster")


def picture(seed, height=20, width=24):
    return jax.random.uniform(jax.random.key(seed), (height, width, 3))


def smooth(seed, height=40, width=40):
    """A picture of soft shapes, and sharp edges between some of them."""
    coarse = picture(seed, height // 5, width // 5)
    image = jax.image.resize(coarse, (height, width, 3), "cubic")
    return jnp.clip(jnp.where(image > 0.6, image, 0.7 * image), 0, 1)


def blur(image):
    return jax.image.resize(pyramid(image, 2)[0], image.shape, "linear")


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("colors", ["painting", "photo"])
def test_the_same_picture_gets_the_same(levels, colors):
    a, filtered = picture(0), picture(1)
    if colors == "photo":
        a, filtered = greyscale(a), greyscale(filtered)
    made = analogy(a, filtered, a, levels=levels, colors=colors)
    np.testing.assert_allclose(made.image, filtered, atol=2e-5 if colors == "photo" else 0)
    expected = list(itertools.product(range(20), range(24)))
    assert made.places.reshape(-1, 2).tolist() == [list(each) for each in expected]


@pytest.mark.parametrize("coherence", [0.0, 0.5])
def test_a_known_blur_is_recovered(coherence):
    a, b = greyscale(smooth(0, 80, 80)), greyscale(smooth(1))
    made = analogy(a, blur(a), b, coherence=coherence, colors="photo").image
    left = float(jnp.mean((made - blur(b)) ** 2))
    assert left < 0.3 * float(jnp.mean((b - blur(b)) ** 2))


def test_coherence_keeps_larger_pieces():
    a, b = smooth(2), smooth(3)

    def breaks(coherence):
        places = analogy(a, 1 - a, b, coherence=coherence).places
        return int(jnp.sum(jnp.any(places[:, 1:] - places[:, :-1] != jnp.array([0, 1]), axis=-1)))

    assert breaks(10.0) < 0.7 * breaks(0.0)


def test_texture_by_numbers_copies_what_is_labelled():
    labels = jnp.broadcast_to(jnp.where(jnp.arange(24) < 12, 0.0, 1.0)[:, None], (24, 24, 3))
    dark, light = 0.3 * picture(4, 24, 12), 0.7 + 0.3 * picture(5, 24, 12)
    painting = jnp.concatenate([dark, light], axis=1)
    made = analogy(labels, painting, jnp.swapaxes(labels, 0, 1)).image
    # Windows at the edge between the labels are those of no place.
    assert float(jnp.mean(made[:9] < 0.5)) > 0.98
    assert float(jnp.mean(made[-9:] > 0.5)) > 0.98


def test_a_guide_tells_apart_what_looks_alike():
    flat, other = jnp.full((20, 20, 3), 0.5), jnp.full((18, 22, 3), 0.5)
    painting = jnp.concatenate([0.3 * picture(6, 20, 10), 0.7 + 0.3 * picture(7, 20, 10)], axis=1)
    source = jnp.broadcast_to(jnp.arange(20)[:, None] // 10 * 1.0, (20, 20, 3))
    target = jnp.ones((18, 22, 3))
    guide = Guide(source, target, 2.0)
    made = analogy(flat, painting, other, guides=[guide]).image
    assert float(jnp.mean(made > 0.5)) > 0.95


def test_luminance_is_remapped():
    a = greyscale(picture(8))
    b = 0.3 + 0.2 * a
    made = analogy(a, a, b, colors="photo").image
    np.testing.assert_allclose(made, b, atol=1e-4)


def test_a_candidate_is_the_nearest_by_all_that_is_known():
    # One level, the first pixel: nothing is there, so the guides' windows alone decide.
    guide, values, wanted = picture(9, 8, 9), picture(10, 8, 9), picture(11, 6, 7)
    made = copy_pixels(
        Level(guide, None), values, Level(wanted, None), jnp.float32(0), jax.random.key(0),
        candidates=3, most=99,
    )  # fmt: skip
    bell = np.repeat(gaussian(5), 3)
    apart = (windows(guide, 5) - windows(wanted, 5)[0]) ** 2 @ bell
    y, x = made.places[0, 0]
    assert y * 9 + x == np.argmin(apart)
    np.testing.assert_array_equal(made.values[0, 0], values[y, x])


def test_ashikhmin_goes_on_from_neighbours_alone():
    made = analogy(picture(12), picture(13), picture(14), candidates=0)
    steps = made.places[1:, 1:-1] - jnp.stack([
        made.places[:-1, :-2], made.places[:-1, 1:-1], made.places[:-1, 2:],
        made.places[1:, :-2],
    ])  # fmt: skip
    offsets = jnp.array([[1, 1], [1, 0], [1, -1], [0, 1]])[:, None, None]
    goes_on = jnp.any(jnp.all(steps == offsets, axis=-1), axis=0)
    assert float(jnp.mean(goes_on)) > 0.6


def test_a_grown_texture_is_the_paintings():
    painting = picture(15)
    made = grow_texture(painting, (18, 30))
    assert made.image.shape == (18, 30, 3)
    y, x = made.places[..., 0], made.places[..., 1]
    np.testing.assert_array_equal(made.image, painting[y, x])
    other = grow_texture(painting, (18, 30), key=jax.random.key(1))
    assert bool(jnp.any(other.places != made.places))


def test_vmap_and_jit_equal_a_loop():
    b = jnp.stack([smooth(seed, 16, 20) for seed in range(2)])
    a = smooth(5, 20, 20)
    many = jax.jit(jax.vmap(lambda image: analogy(a, 1 - a, image, levels=1)))(b)
    for i in range(2):
        one = analogy(a, 1 - a, b[i], levels=1)
        np.testing.assert_array_equal(many.places[i], one.places)
        np.testing.assert_array_equal(many.image[i], one.image)


def test_one_program_serves_pictures_of_a_size(count_compilations):
    analogy(picture(0), picture(1), picture(2, 13, 15), levels=1)
    with count_compilations() as compiled:
        analogy(picture(3), picture(4), picture(5, 13, 15), levels=1, coherence=0.3)
    assert compiled() == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"filtered": jnp.zeros((9, 9, 3))}, "unfiltered should be as large as filtered, 9×9, got"),
        ({"target": jnp.zeros((9, 9))}, r"target should have shape \[H, W, 3\]"),
        ({"coherence": -1.0}, "coherence should be at least 0"),
        ({"candidates": -1}, "candidates should be at least 0"),
        ({"colors": "both"}, "unknown colors 'both'; valid: painting, photo"),
        ({"guides": [Guide(jnp.zeros((9, 9, 3)), jnp.zeros((20, 24, 3)))]},
         r"guides\[0\].source should be as large as what is copied, 20×24, got 9×9"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused(changes, says):
    pictures = {"unfiltered": picture(0), "filtered": picture(1), "target": picture(2)}
    options = {**pictures, **changes}
    with pytest.raises(ValueError, match=says):
        analogy(options.pop("unfiltered"), options.pop("filtered"), options.pop("target"),
                **options)  # fmt: skip
