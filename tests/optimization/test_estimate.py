"""Estimates of memory: near what the compiler says, and made of the right shapes."""

import jax
import jax.numpy as jnp
import pytest

from jaxstyle import LossSpec, Region, VGGSpec, compute_targets, guided_targets, solvers
from jaxstyle.networks import vgg
from jaxstyle.optimization import compact
from jaxstyle.optimization.estimate import estimate_memory, target_forms
from jaxstyle.optimization.memory import plan_memory

WIDTHS = {"vgg19": vgg.VGG19_WIDTHS, "compact": compact.WIDTHS}
# Bytes that `plan_memory` said with jaxlib 0.10.2 on a CPU. To compile these cases takes minutes.
SAID = [
    ("compact", (256, 256), {}, 193_910_676),
    ("compact", (256, 256), {"history": 5}, 115_267_276),
    ("compact", (384, 512), {}, 510_654_356),
    ("vgg19", (256, 256), {}, 436_330_668),
    ("vgg19", (256, 256), {"history": 5}, 357_687_268),
    ("vgg19", (768, 1024), {}, 2_570_789_036),
    ("vgg19", (1536, 2048), {"history": 5, "memory": "low"}, 2_985_304_788),
    ("compact", (1536, 2048), {"history": 5, "memory": "low"}, 2_093_105_876),
]
SMALL = (("conv1_1", 8), ("conv2_1", 16))
SPEC = LossSpec(content_layers=("relu2_1",), style_layers=("relu1_1", "relu2_1"))


def params_of(widths):
    return jax.eval_shape(lambda key: vgg.init_params(key, widths), jax.random.key(0))


def solver_of(net, history=30):
    return solvers.lbfgs(history, preconditioning=0.5 if net == "compact" else 0.35)


@pytest.mark.parametrize(("net", "shape", "how", "said"), SAID)
def test_an_estimate_is_near_what_the_compiler_said(net, shape, how, said):
    how = dict(how)
    solver = solver_of(net, how.pop("history", 30))
    spec = LossSpec(network=VGGSpec(**how))
    found = estimate_memory(params_of(WIDTHS[net]), shape, spec=spec, solver=solver)
    assert found.total() == pytest.approx(said, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pooling", "parts"),
    [
        ("max", {}),
        ("average", {"styles": 2}),
        ("max", {"styles": 2, "guided": True, "kept": True, "protected": True}),
    ],
    ids=["plain", "mixed", "guided"],
)
def test_an_estimate_is_near_what_the_compiler_says(pooling, parts):
    widths = compact.WIDTHS[:4]
    params = params_of(widths)
    spec = LossSpec(("relu2_2",), ("relu1_1", "relu2_1"), network=VGGSpec(pooling=pooling))
    targets = target_forms(params, (96, 128), spec, **parts)
    options = {"spec": spec, "solver": solver_of("compact", 5), "targets": targets}
    exact = plan_memory(params, (96, 128), **options)
    estimate = estimate_memory(params, (96, 128), **options)
    assert estimate.total() == pytest.approx(exact.total(), rel=0.15)
    assert estimate.total(3) == pytest.approx(exact.total(3), rel=0.15)


def test_forms_of_targets_are_those_of_targets():
    params, image = params_of(SMALL), jax.ShapeDtypeStruct((24, 32, 3), jnp.float32)
    plain = jax.eval_shape(lambda p, x: compute_targets(p, x, x, SPEC), params, image)
    assert jax.tree.map(form, target_forms(params, (24, 32), SPEC)) == jax.tree.map(form, plain)

    def guided(params, x):
        mask = jnp.zeros((24, 32)).at[:, :9].set(1.0)
        regions = [Region(mask, x), Region(1 - mask, x)]
        return guided_targets(params, x, regions, SPEC, keep=mask / 2, protect=mask / 3)

    found = jax.tree.map(form, jax.eval_shape(guided, params, image))
    parts = {"styles": 2, "guided": True, "kept": True, "protected": True}
    assert jax.tree.map(form, target_forms(params, (24, 32), SPEC, **parts)) == found


def form(leaf):
    return jnp.shape(leaf), jnp.result_type(leaf)


def test_bands_and_short_histories_take_less():
    params = params_of(WIDTHS["vgg19"])

    def total(history=30, **network):
        spec = LossSpec(network=VGGSpec(**network))
        return estimate_memory(
            params, (1024, 1536), spec=spec, solver=solver_of("", history)
        ).total()

    assert total(memory="low") < total() < total(memory="plain")
    assert total(pooling="average") < total()
    image = 1024 * 1536 * 3 * 4
    # Taken and returned, with a few numbers for each pair.
    assert total() - total(20) == pytest.approx(2 * 2 * 10 * image, rel=1e-4)
