"""Transforms of maps, decoders, and pictures that are made with them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import jaxstyle
from jaxstyle.feedforward.decoder_files import load_decoder
from jaxstyle.feedforward.decoding import (
    LEVELS,
    decode,
    encode,
    init_decoder,
    measure_levels,
    swap_maps,
    transfer,
    transform_maps,
)
from jaxstyle.image.matching import moments
from jaxstyle.losses.neighbours import describe
from jaxstyle.networks import vgg
from jaxstyle.networks.catalogue import find_fast_network
from jaxstyle.networks.load import load_params

pytestmark = pytest.mark.usefixtures("compile_faster")
RNG = np.random.default_rng(0)
WIDTHS = (("conv1_1", 3), ("conv2_1", 4), ("conv3_1", 5), ("conv4_1", 6))
PHOTOGRAPH = jnp.float32(RNG.uniform(0, 1, (21, 34, 3)))
PAINTINGS = jnp.float32(RNG.uniform(0, 1, (2, 32, 40, 3)) ** 2)
MAPS = jnp.float32(RNG.normal(1, 1, (9, 11, 5)) @ RNG.normal(size=(5, 5)))
OTHERS = jnp.float32(RNG.normal(-1, 2, (8, 13, 5)) @ RNG.normal(size=(5, 5)))


@pytest.fixture(scope="module")
def compact():
    return vgg.init_params(jax.random.key(0), WIDTHS)


@pytest.fixture(scope="module")
def decoder(compact):
    return init_decoder(jax.random.key(1), compact)


def known(compact, paintings, levels=(3, 2), transform="wct"):
    measured = [measure_levels(compact, each, levels, transform) for each in paintings]
    return jax.tree.map(lambda *rows: jnp.stack(rows), *measured)


@pytest.mark.parametrize("transform", ["adain", "wct", "transport"])
def test_maps_get_the_statistics_of_others(transform):
    mean, covariance = moments(OTHERS)
    found = transform_maps(MAPS, mean, covariance, transform)
    got = moments(found)
    scale = np.diag(covariance).max()
    np.testing.assert_allclose(got[0], mean, atol=1e-4 * scale**0.5)
    if transform == "adain":
        np.testing.assert_allclose(np.diag(got[1]), np.diag(covariance), rtol=1e-3)
    else:
        np.testing.assert_allclose(got[1], covariance, atol=2e-3 * scale)


def test_the_transforms_are_those_of_the_papers():
    """Written out in float64: AdaIN's equation 8, and WCT's whitening and colouring."""
    flat, other = (np.float64(each).reshape(-1, 5) for each in (MAPS, OTHERS))
    centred = flat - flat.mean(0)
    adain = centred / flat.std(0) * other.std(0) + other.mean(0)
    roots = [scipy.linalg.sqrtm(np.cov(each.T, bias=True)).real for each in (flat, other)]
    wct = centred @ np.linalg.inv(roots[0]) @ roots[1] + other.mean(0)
    for transform, expected in (("adain", adain), ("wct", wct)):
        found = np.asarray(transform_maps(MAPS, *moments(OTHERS), transform)).reshape(-1, 5)
        np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


def test_patches_are_swapped_for_those_most_like_them():
    """Written out: the correlations of a row with all patches of unit length, and the overlap."""
    found = swap_maps(MAPS, describe([OTHERS], patch=3))
    total, covered = np.zeros(MAPS.shape), np.zeros((*MAPS.shape[:2], 1))
    patches = [OTHERS[y : y + 3, x : x + 3] for y in range(6) for x in range(11)]
    units = [each / np.linalg.norm(each) for each in patches]
    for y in range(7):
        for x in range(9):
            best = np.argmax([np.sum(MAPS[y : y + 3, x : x + 3] * unit) for unit in units])
            total[y : y + 3, x : x + 3] += patches[best]
            covered[y : y + 3, x : x + 3] += 1
    np.testing.assert_allclose(found, total / covered, rtol=1e-4, atol=1e-4)


def test_maps_too_small_for_a_patch_are_refused(compact, decoder):
    tiny = known(compact, PAINTINGS[:1], (3,), "swap")
    with pytest.raises(ValueError, match="a map of 2×2 has no patches of 3×3"):
        transfer(decoder, compact, PHOTOGRAPH[:8, :8], tiny, levels=(3,), transform="swap")


@pytest.mark.parametrize("transform", ["adain", "wct", "transport"])
@pytest.mark.parametrize("flat", ["dead channel", "constant", "equal eigenvalues"])
def test_maps_of_low_rank_and_equal_eigenvalues_are_no_harm(transform, flat):
    maps = {
        "dead channel": MAPS.at[..., 2].set(0).at[..., 3].set(MAPS[..., 1]),
        "constant": jnp.full((4, 4, 5), 0.7),
        "equal eigenvalues": jnp.float32(np.eye(5)[None].repeat(2, 0)),
    }[flat]
    for a, b in ((maps, OTHERS), (MAPS, maps), (maps, maps)):
        found = transform_maps(a, *moments(b), transform)
        assert np.isfinite(found).all()
        assert np.abs(found).max() < 100


@pytest.mark.slow
def test_a_decoder_doubles_the_size_from_level_to_level(compact, decoder):
    maps = encode(compact, PHOTOGRAPH[:16, :32], tuple(LEVELS))
    for level, layer in LEVELS.items():
        assert maps[layer].shape[:2] == (16 >> (level - 1), 32 >> (level - 1))
        assert decode(decoder, maps[layer], level).shape == (16, 32, 3)
    expected = jaxstyle.features(
        compact, PHOTOGRAPH[:16, :32], ["relu2_1"], pooling="average", padding="reflect"
    )
    np.testing.assert_allclose(maps["relu2_1"], expected["relu2_1"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("transform", ["adain", "wct"])
def test_one_level_is_encoded_transformed_and_decoded(compact, decoder, transform):
    """For sides that are multiples of eight, and with the colours of the painting at last."""
    photograph = PHOTOGRAPH[:16, :32]
    painting = known(compact, PAINTINGS[:1])
    found = transfer(decoder, compact, photograph, painting, levels=(3,), transform=transform)
    maps = encode(compact, photograph, (3,))["relu3_1"]
    others = encode(compact, PAINTINGS[0], (3,))["relu3_1"]
    image = decode(decoder, transform_maps(maps, *moments(others), transform), 3)
    expected = jaxstyle.color.match_color(image, PAINTINGS[0], "symmetric")
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.slow
def test_strength_and_weights(compact, decoder):
    photograph = PHOTOGRAPH  # of a size that is no multiple of eight
    both = known(compact, PAINTINGS)
    alone = [known(compact, PAINTINGS[i : i + 1]) for i in range(2)]

    def make(paintings, weights=None, **options):
        return transfer(decoder, compact, photograph, paintings, weights, levels=(3, 2), **options)

    ends = [make(one) for one in alone]
    assert ends[0].shape == photograph.shape
    for i, end in enumerate(ends):
        np.testing.assert_allclose(make(both, jnp.eye(2)[i]), end, atol=1e-4)
    np.testing.assert_allclose(make(both), make(both, jnp.array([0.5, 0.5])), atol=1e-5)
    # Without strength the photograph is decoded as it is, and the painting decides the colours.
    image = jnp.pad(photograph, ((0, 3), (0, 6), (0, 0)), mode="symmetric")
    for level in (3, 2):
        image = decode(decoder, encode(compact, image, (level,))[LEVELS[level]], level)
    for one, painting in zip(alone, PAINTINGS, strict=True):
        expected = jaxstyle.color.match_color(image[:21, :34], painting, "symmetric")
        np.testing.assert_allclose(make(one, strength=0.0), expected, atol=1e-3)
    by_level = make(alone[0], strength=jnp.array([1.0, 0.0]))
    assert np.abs(by_level - ends[0]).max() > 1e-3
    everywhere = jnp.broadcast_to(jnp.array([0.3, 0.7]), (*photograph.shape[:2], 2))
    np.testing.assert_allclose(make(both, everywhere), make(both, jnp.array([0.3, 0.7])), atol=1e-4)


@pytest.mark.slow
def test_it_is_vmap_able_over_paintings_and_has_a_gradient(compact, decoder):
    def make(painting):
        one = jax.tree.map(lambda leaf: leaf[None], measure_levels(compact, painting, (3,)))
        return transfer(decoder, compact, PHOTOGRAPH, one, levels=(3,), transform="transport")

    found = jax.vmap(make)(PAINTINGS)
    for picture, painting in zip(found, PAINTINGS, strict=True):
        np.testing.assert_allclose(picture, make(painting), atol=1e-3)


@pytest.mark.parametrize("photograph", [jnp.zeros((16, 16, 3)), jnp.full((17, 19, 3), 0.5),
                                        jnp.repeat(PHOTOGRAPH[..., :1], 3, -1)])  # fmt: skip
@pytest.mark.parametrize("transform", ["adain", "wct", "transport", "swap"])
def test_black_constant_grey_and_tiny_pictures_are_no_harm(compact, decoder, photograph, transform):
    for painting in (PAINTINGS[0], photograph):
        levels = (3, 2) if transform == "swap" else (4, 3, 2)
        one = known(compact, [painting], levels, transform)
        found = transfer(decoder, compact, photograph, one, levels=levels, transform=transform)
        assert found.shape == photograph.shape
        assert np.isfinite(found).all()
        assert np.abs(found).max() < 50


@pytest.mark.parametrize("transform", ["adain", "wct", "transport"])
def test_rounding_does_not_become_blotches(transform):
    """A second level sees what the first one has decoded of a single colour."""
    rounding = jnp.float32(1 + RNG.normal(0, 2e-5, (9, 11, 5)))
    found = transform_maps(rounding, *moments(OTHERS), transform)
    np.testing.assert_allclose(found, jnp.broadcast_to(moments(OTHERS)[0], found.shape), atol=1e-4)
    faint = transform_maps(1 + (MAPS - 1) / 50, *moments(OTHERS), transform)
    np.testing.assert_allclose(faint, transform_maps(MAPS, *moments(OTHERS), transform), atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("transform", ["adain", "wct", "transport"])
def test_a_single_colour_stays_one_with_the_decoder_that_ships(transform):
    compact = load_params("compact")
    decoder = load_decoder(find_fast_network("brush"), compact).params
    one = known(compact, [PAINTINGS[0]], (4, 3))
    found = transfer(decoder, compact, jnp.zeros((32, 32, 3)), one, levels=(4, 3),
                     transform=transform)  # fmt: skip
    assert float(found.std((0, 1)).max()) < 2 / 255


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"levels": (5,)}, r"levels should be among 4, 3, 2 and 1, got \(5,\)"),
        ({"levels": ()}, "levels should be among"),
        (
            {"levels": (2,), "transform": "fft"},
            "unknown transform 'fft'; valid: adain, wct, transport, swap",
        ),
    ],
)
def test_what_cannot_be_is_refused(compact, decoder, options, says):
    with pytest.raises(ValueError, match=says):
        transfer(decoder, compact, PHOTOGRAPH, known(compact, PAINTINGS[:1]), **options)
