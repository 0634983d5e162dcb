"""What is compiled is also a program for GPUs and TPUs, of which none has to be at hand."""

import functools

import jax
import jax.numpy as jnp
import pytest
from jax import export

import jaxstyle
from jaxstyle import solvers
from jaxstyle.feedforward.decoding import init_decoder, measure_levels, transfer
from jaxstyle.feedforward.network import init_network, paint
from jaxstyle.losses.features import prepare_params
from jaxstyle.losses.spec import LossSpec, LossWeights
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.step import Problem, _start, advance

SIDE = 64
_WINOGRAD = "tensor<36x"  # a transform of Winograd's method, which is for CPUs
PLATFORMS = ("cuda", "rocm", "tpu")


@pytest.fixture(params=PLATFORMS)
def lower(request, monkeypatch):
    """Traces a function as on another platform, and returns the text of its program."""
    platform = request.param
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu" if platform == "tpu" else "gpu")
    jax.clear_caches()  # what was traced for a CPU

    def text(function, *arrays):
        exported = export.export(jax.jit(function), platforms=(platform,))(*arrays)
        assert exported.platforms == (platform,)
        return exported.mlir_module()

    yield text
    jax.clear_caches()


def image(*lanes):
    return jax.ShapeDtypeStruct((*lanes, SIDE, SIDE, 3), jnp.float32)


@pytest.fixture(scope="module")
def compact():
    return load_network("compact").params


def test_a_processor_takes_another_convolution(compact):
    """What the programs for accelerators are searched for is there where it should be."""
    targets = jax.eval_shape(jaxstyle.compute_targets, compact, image(), image())
    arrays = (image(), compact, targets, LossWeights())
    program = jax.jit(jaxstyle.objective_and_gradient).lower(*arrays).as_text()
    assert _WINOGRAD in program


@pytest.mark.parametrize("lanes", [None, 2])
@pytest.mark.parametrize("statistic", ["gram", "moments"])
def test_ten_steps_of_an_optimisation(lower, compact, lanes, statistic):
    spec = LossSpec(statistic=statistic)
    problem = Problem(spec, solvers.lbfgs(3), lanes is not None, None)
    params = jax.eval_shape(lambda p: prepare_params(p, (SIDE, SIDE), spec), compact)
    measure = functools.partial(jaxstyle.compute_targets, spec=spec)
    targets = jax.eval_shape(measure, compact, image(), image())
    weights = jax.eval_shape(lambda: LossWeights().resolve(spec))
    start = image()
    if lanes is not None:
        stacked = functools.partial(jax.tree.map, lambda leaf: jnp.stack([leaf] * lanes))
        start, targets, weights = jax.eval_shape(stacked, (start, targets, weights))
    arrays = (params, targets, weights)
    state, info = jax.eval_shape(functools.partial(_start, problem=problem), start, arrays, None)
    run = functools.partial(advance, problem=problem, length=10)
    program = lower(run, state, info, arrays)
    assert "stablehlo.while" in program  # the ten steps are one program
    assert "stablehlo.convolution" in program
    assert _WINOGRAD not in program


def test_low_precision_for_accelerators(lower, compact):
    spec = LossSpec().with_vgg(precision="bfloat16")
    targets = jax.eval_shape(
        functools.partial(jaxstyle.compute_targets, spec=spec), compact, image(), image()
    )
    evaluate = functools.partial(jaxstyle.objective_and_gradient, spec=spec)
    program = lower(evaluate, image(), compact, targets, LossWeights())
    assert "bf16" in program


def test_networks_that_paint_in_one_pass(lower, compact):
    network = jax.eval_shape(lambda key: init_network(key, styles=2), jax.random.key(0))
    style = jax.ShapeDtypeStruct((2,), jnp.float32)
    assert "stablehlo.convolution" in lower(paint, network, image(), style)
    decoder = jax.eval_shape(lambda key: init_decoder(key, compact), jax.random.key(0))
    known = jax.eval_shape(
        lambda painting: jax.tree.map(
            lambda leaf: leaf[None], measure_levels(compact, painting, (3,))
        ),
        image(),
    )
    pass_ = functools.partial(transfer, levels=(3,), transform="transport")
    assert "stablehlo.convolution" in lower(pass_, decoder, compact, image(), known)
