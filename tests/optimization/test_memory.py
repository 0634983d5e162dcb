"""Memory plans: against the compiler's own numbers, and against what a process really takes."""

import sys
from pathlib import Path

import jax
import pytest

import jaxstyle
from jaxstyle import LossSpec, solvers
from jaxstyle.networks.catalogue import shipped
from jaxstyle.optimization import memory, step
from scripts.benchmarks import benchmark_processes

pytestmark = pytest.mark.usefixtures("compile_faster")
SPEC = LossSpec(content_layers=("relu2_1",), style_layers=("relu1_1", "relu2_1"))


@pytest.fixture(scope="module")
def params():
    return jaxstyle.init_params(jax.random.key(0), (("conv1_1", 8), ("conv2_1", 16)))


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [1, 2, 6])
def test_the_plan_of_a_batch_is_what_its_program_takes(params, lanes):
    plan = jaxstyle.plan_memory(params, (64, 96), spec=SPEC)
    program = step.compile_step(params, (64, 96), spec=SPEC, lanes=lanes)
    # A step writes where the state before it lay, and a report has a copy of that.
    report = program.memory_analysis().alias_size_in_bytes
    state = (2 * 30 + 2) * 64 * 96 * 3 * 4 * lanes  # pairs, the images, and little else
    assert report == pytest.approx(state, rel=0.1)
    assert plan.total(lanes) == pytest.approx(memory.peak_memory(program) + report, rel=0.1)


@pytest.mark.slow
def test_the_most_lanes_that_fit(params):
    plan = jaxstyle.plan_memory(params, (64, 96), spec=SPEC)
    for lanes in (1, 7, 100):
        assert plan.max_lanes(plan.total(lanes)) == lanes
        assert plan.max_lanes(plan.total(lanes) - 1) == lanes - 1
    assert plan.max_lanes(0) == 0


@pytest.mark.slow
def test_what_a_plan_depends_on(params):
    def total(shape, **options):
        return jaxstyle.plan_memory(params, shape, spec=SPEC, **options).total()

    assert total((128, 192)) > 3 * total((64, 96))
    image = 64 * 96 * 3 * 4
    ten, twenty = (total((64, 96), solver=solvers.lbfgs(pairs)) for pairs in (10, 20))
    assert twenty - ten >= 2 * 10 * image
    assert total((64, 96), solver=solvers.adam()) < ten


class Device:
    """A device that says of its memory what it is told to."""

    def __init__(self, platform, stats):
        self.platform, self._stats = platform, stats

    def memory_stats(self):
        return self._stats


def test_free_memory_is_what_an_accelerator_says():
    stats = {"bytes_limit": 80 << 30, "bytes_in_use": 3 << 30, "peak_bytes_in_use": 9 << 30}
    assert memory.free_memory(Device("gpu", stats)) == 77 << 30
    assert memory.free_memory(Device("gpu", None)) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc")
def test_free_memory_of_a_cpu_is_what_linux_says():
    def available():
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if "MemAvailable" in line)

    before, free, after = available(), memory.free_memory(jax.devices("cpu")[0]), available()
    # Other processes take and give back meanwhile.
    slack = 1 << 29
    assert min(before, after) - slack <= free <= max(before, after) + slack


@pytest.mark.slow
def test_planning_allocates_nothing(params):
    # Its feature maps would take tens of gigabytes.
    plan = jaxstyle.plan_memory(params, (1 << 14, 1 << 14), spec=LossSpec((), ("relu1_1",)))
    assert plan.total() > 20e9


@pytest.mark.exhaustive
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc")
def test_the_plan_against_the_peak_of_a_process():
    assert Path(shipped() / "compact.safetensors").is_file()
    [first, *_] = benchmark_processes.memory_cases(["compact"], [512], [1], "compact", steps=3)
    assert first["planned_to_measured"] == pytest.approx(1, abs=0.25)
