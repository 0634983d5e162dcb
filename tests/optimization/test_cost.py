"""What a step costs, counted in the compiled program, so that no change makes it dearer unseen."""

import re

import jax
import pytest

from jaxstyle import LossSpec, VGGSpec, solvers
from jaxstyle.networks import vgg
from jaxstyle.optimization.step import compile_step
from scripts.benchmarks.compare_pytorch import direct_flops

# conv2_1 is wide and long enough for "auto" to take Winograd's algorithm on a CPU.
WIDTHS = (("conv1_1", 64), ("conv2_1", 96))
SHAPE = (64, 64)
# Each history twice, with the gradient and with what follows from it; the others are small.
OF_LBFGS = 8


def spec(convolution):
    return LossSpec(("relu2_1",), ("relu1_1", "relu2_1"), network=VGGSpec(convolution=convolution))


@pytest.fixture(scope="module")
def params():
    return vgg.init_params(jax.random.key(0), WIDTHS)


@pytest.fixture(scope="module")
def programs(params):
    """A step of L-BFGS, compiled; two pairs of memory keep it small.

    It has no transforms of preconditioning. Of those of two axes XLA counts too many operations.
    """
    if jax.default_backend() != "cpu":
        pytest.skip("elsewhere a convolution is a call of a library, which XLA cannot count")
    return {
        name: compile_step(
            params, SHAPE, spec=spec(name), solver=solvers.lbfgs(2, preconditioning=0)
        )
        for name in ("direct", "auto")
    }


def count(program, operation):
    return len(re.findall(rf"= \S+ {operation}\(", program.as_text()))


@pytest.mark.parametrize("lanes", [None, 2])
def test_a_step_writes_its_pair_in_place(params, lanes):
    """No copy of the history is made, which would take as long as a good part of the solver."""
    if jax.default_backend() != "cpu":
        pytest.skip("reads the program of a CPU")
    program = compile_step(params, SHAPE, spec=spec("direct"), solver=solvers.lbfgs(7), lanes=lanes)
    history = 4 * 7 * 3 * SHAPE[0] * SHAPE[1] * (lanes or 1)
    assert program.memory_analysis().alias_size_in_bytes >= 2 * history
    shape = f"f32\\[{'' if lanes is None else f'{lanes},'}7,{SHAPE[0]},{SHAPE[1]},3\\]"
    made = re.findall(rf"= {shape}\S* (\w[\w-]*)\(", program.as_text())
    assert made
    assert set(made) <= {"parameter", "fusion", "scatter", "dynamic-update-slice",
                         "get-tuple-element", "bitcast"}  # fmt: skip


def test_the_count_of_vgg19_at_512_pixels():
    params = jax.eval_shape(lambda: vgg.init_params(jax.random.key(0)))
    # Through conv5_1, forward and back to the inputs: the sum over the network's table by hand.
    maps = [(512, 3 * 64 + 64 * 64), (256, 64 * 128 + 128**2), (128, 128 * 256 + 3 * 256**2),
            (64, 256 * 512 + 3 * 512**2), (32, 512**2)]  # fmt: skip
    expected = 2 * 2 * 9 * sum(side**2 * products for side, products in maps)
    assert direct_flops(params, (512, 512), LossSpec()) == expected
    assert expected == pytest.approx(0.38e12, rel=0.01)


@pytest.mark.slow
def test_a_step_is_one_evaluation_and_little_else(params, programs):
    """Every Gram matrix is one product forward, and one of its size back."""
    grams = sum(2 * SHAPE[0] * SHAPE[1] // 4**i * width**2 for i, (_, width) in enumerate(WIDTHS))
    counted = direct_flops(params, SHAPE, spec("direct")) + 2 * grams
    assert 1 <= programs["direct"].cost_analysis()["flops"] / counted <= 1.03
    # Each convolution once forward and once back to its input, none back to its kernel.
    dots = 4 + OF_LBFGS
    assert (count(programs["direct"], "convolution"), count(programs["direct"], "dot")) == (4, dots)


@pytest.mark.slow
def test_winograd_takes_less_than_a_third_of_a_convolution_s_operations(params, programs):
    # Both layers are products, forward and back: the first with its patches.
    dots = 8 + OF_LBFGS
    assert (count(programs["auto"], "convolution"), count(programs["auto"], "dot")) == (0, dots)
    second = direct_flops(params, SHAPE, spec("direct")) - direct_flops(
        params, SHAPE, LossSpec((), ("relu1_1",))
    )
    direct, auto = (programs[name].cost_analysis()["flops"] for name in ("direct", "auto"))
    # A quarter by the products alone; the transforms are the rest.
    assert 0.25 * second <= second - (direct - auto) <= 0.32 * second


@pytest.mark.slow
def test_winograd_holds_no_more_than_the_direct_algorithm(programs):
    direct, auto = (
        programs[name].memory_analysis().temp_size_in_bytes for name in ("direct", "auto")
    )
    assert auto <= 1.1 * direct


@pytest.mark.slow
def test_a_lane_costs_no_more_than_a_picture_alone(params, programs):
    solver = solvers.lbfgs(2, preconditioning=0)
    two = compile_step(params, SHAPE, spec=spec("direct"), solver=solver, lanes=2)
    assert two.cost_analysis()["flops"] <= 2.02 * programs["direct"].cost_analysis()["flops"]
