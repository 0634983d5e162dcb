"""Estimates of what single passes take, beside what the compiler said of them."""

import jax
import pytest

from jaxstyle.feedforward.architecture import ARCHITECTURES, Architecture
from jaxstyle.feedforward.decoding import init_decoder
from jaxstyle.feedforward.network import init_network
from jaxstyle.pipeline.by_features import Features
from jaxstyle.pipeline.one_pass import plan_pass
from jaxstyle.pipeline.polish import polisher

PAINTBOX = Architecture((32, 32, 32), 6, (8, 4), normalize_output=True)
# Bytes that the compiler said with jaxlib 0.10.2 on a CPU.
PASSES = [
    (PAINTBOX, (256, 256), (5,), 21_774_316),
    (PAINTBOX, (512, 768), (5,), 117_850_092),
    (PAINTBOX, (256, 256), (256, 256, 5), 62_335_664),
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


@pytest.mark.parametrize(("form", "shape", "weights", "said"), PASSES)
def test_a_pass_takes_about_what_the_compiler_said(form, shape, weights, said):
    params = jax.eval_shape(lambda: init_network(jax.random.key(0), form, styles=weights[-1]))
    found = plan_pass(shape, params, weights, form, exact=False)
    assert found == pytest.approx(said, rel=0.15)


@pytest.mark.parametrize(("shape", "levels", "weights", "said"), FEATURES)
def test_features_take_about_what_the_compiler_said(shape, levels, weights, said):
    compact = polisher().network
    drawn = jax.eval_shape(lambda: init_decoder(jax.random.key(0), compact.params))
    features = Features(compact._replace(params=drawn), "adain", dict.fromkeys(levels, 1.0))
    assert features.plan(shape, weights, exact=False) == pytest.approx(said, rel=0.2)
