"""Estimates of what single passes take, beside what the compiler said of them."""

import jax
import numpy as np
import pytest

from jaxstyle.feedforward.architecture import ARCHITECTURES, Architecture
from jaxstyle.feedforward.decoding import init_decoder
from jaxstyle.feedforward.network import init_network
from jaxstyle.pipeline.by_features import Features
from jaxstyle.pipeline.one_pass import paint_into, plan_pass
from jaxstyle.pipeline.polish import polisher

PAINTBOX = Architecture((32, 32, 32), 6, (8, 4), normalize_output=True)
# Bytes that the compiler said with jaxlib 0.10.2 on a CPU.
PASSES = [
    (PAINTBOX, (256, 256), (5,), 21_774_316),
    (PAINTBOX, (512, 768), (5,), 117_850_092),
    (ARCHITECTURES["large"], (256, 256), (2,), 50_385_108),
    (ARCHITECTURES["johnson"], (256, 256), (2,), 48_875_908),
    (ARCHITECTURES["pastiche"], (256, 256), (2,), 20_975_476),
]
FEATURES = [
    ((256, 256), (4, 3, 2), (1,), 82_079_936),
    ((512, 768), (4, 3, 2), (1,), 183_516_992),
    ((256, 256), (2,), (2,), 25_261_356),
    ((256, 256), (2,), (256, 256, 2), 25_785_636),
    ((256, 256), (1,), (1,), 14_956_648),
    ((512, 512), (3,), (1,), 138_052_216),
    ((1024, 1024), (4, 3, 2), (1,), 411_951_032),
]
SWAPS = [
    ((256, 192), (3,), (1,), 81_149_576),
    ((256, 192), (3, 2), (1,), 101_904_396),
    ((512, 384), (3,), (1,), 173_753_544),
    ((512, 384), (3,), (2,), 209_842_172),
    ((512, 384), (3, 2), (1,), 245_348_876),
]


@pytest.mark.parametrize(("form", "shape", "weights", "said"), PASSES)
def test_a_pass_takes_about_what_the_compiler_said(form, shape, weights, said):
    params = jax.eval_shape(lambda: init_network(jax.random.key(0), form, styles=weights[-1]))
    found = plan_pass(shape, params, weights, form, exact=False)
    assert found == pytest.approx(said, rel=0.15)


def test_each_part_is_what_its_style_alone_makes():
    form = ARCHITECTURES["pastiche"]
    params = init_network(jax.random.key(0), form, styles=3)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape), params)
    photograph = rng.random((20, 28, 3), np.float32)
    alone = [paint_into((20, 28), params, photograph, row, form) for row in np.eye(3)]
    mask = np.zeros((20, 28), np.float32)
    mask[:4, :6] = 1
    mask[4, :6] = 0.25
    weights = np.stack([mask, np.zeros_like(mask), 1 - mask], -1)
    found = paint_into((20, 28), params, photograph, weights, form)
    np.testing.assert_array_equal(found[:4, :6], alone[0][:4, :6])
    np.testing.assert_array_equal(found[5:], alone[2][5:])
    blended = 0.25 * alone[0][4, :6] + 0.75 * alone[2][4, :6]
    np.testing.assert_allclose(found[4, :6], blended, atol=1e-6)


def test_parts_take_little_more_than_a_pass():
    shape, n = (256, 256), 5
    params = jax.eval_shape(lambda: init_network(jax.random.key(0), PAINTBOX, styles=n))
    one = plan_pass(shape, params, (n,), PAINTBOX, exact=False)
    parts = plan_pass(shape, params, (*shape, n), PAINTBOX, exact=False)
    assert parts == one + 4 * 256 * 256 * (5 + 6)


@pytest.mark.parametrize(("shape", "levels", "weights", "said"), FEATURES)
def test_features_take_about_what_the_compiler_said(shape, levels, weights, said):
    compact = polisher().network
    drawn = jax.eval_shape(lambda: init_decoder(jax.random.key(0), compact.params))
    features = Features(compact._replace(params=drawn), "adain", dict.fromkeys(levels, 1.0))
    assert features.plan(shape, weights, exact=False) == pytest.approx(said, rel=0.2)


@pytest.mark.parametrize(("shape", "levels", "weights", "said"), SWAPS)
def test_a_swap_takes_about_what_the_compiler_said(shape, levels, weights, said):
    compact = polisher().network
    drawn = jax.eval_shape(lambda: init_decoder(jax.random.key(0), compact.params))
    features = Features(compact._replace(params=drawn), "swap", dict.fromkeys(levels, 1.0))
    assert features.plan(shape, weights, exact=False) == pytest.approx(said, rel=0.2)
