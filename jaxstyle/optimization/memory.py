"""Tells how much memory a run takes, before it starts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxstyle._common.checks import check_shape
from jaxstyle.losses.spec import LossSpec
from jaxstyle.losses.targets import Targets
from jaxstyle.networks.vgg import Params
from jaxstyle.optimization import step
from jaxstyle.solvers import SolverLike


class MemoryPlan(NamedTuple):
    """Bytes that a run holds at its peak: the compiled program's arguments, results and buffers.

    Attributes:
      shared: the bytes that all lanes share, such as those of the network.
      per_lane: the bytes that each lane of a batch adds.
    """

    shared: int
    per_lane: int

    def total(self, lanes: int = 1) -> int:
        """Returns the bytes that a number of lanes takes."""
        return self.shared + lanes * self.per_lane

    def max_lanes(self, available: int) -> int:
        """Returns how many lanes fit into a number of bytes; 0 if none does."""
        return max(0, (available - self.shared) // self.per_lane)


def plan_memory(
    params: Params,
    shape: Sequence[int],
    *,
    spec: LossSpec = LossSpec(),
    solver: SolverLike | None = None,
    targets: Targets | None = None,
) -> MemoryPlan:
    """Returns the bytes that style transfer needs, from the compiler's own analysis; runs nothing.

    Args:
      params: the network's parameters.
      shape: height and width of the pictures.
      spec: what is compared.
      solver: from `jaxstyle.solvers`; `jaxstyle.solvers.lbfgs()` by default.
      targets: what the pictures are compared with, or its shapes and types, if there are several
        styles or masks; a single style by default.

    Returns:
      A `MemoryPlan`.

    Example:
      >>> from jaxstyle.networks import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=("relu1_1",))
      >>> plan = plan_memory(params, (64, 64), spec=spec)
      >>> plan.max_lanes(plan.total(5))
      5
    """
    size = check_shape(shape, "shape")
    one, two = (
        _peak_with_a_report(
            step.compile_step(params, size, spec=spec, solver=solver, lanes=lanes, targets=targets)
        )
        for lanes in (None, 2)
    )
    # Lanes share nothing but the network, so a lane is never free, whatever the difference says.
    per_lane = max(two - one, one // 4, 1)
    return MemoryPlan(max(0, one - per_lane), per_lane)


def _peak_with_a_report(step: jax.stages.Compiled) -> int:
    """Returns the bytes that a step holds at its peak, beside a report of the step before.

    A step writes where the state before it lay, and a report has a copy of that.
    """
    sizes: Any = step.memory_analysis()
    return peak_memory(step) + int(sizes.alias_size_in_bytes)


def peak_memory(program: jax.stages.Compiled) -> int:
    """Returns the bytes that a compiled program holds at its peak, as the compiler counts them."""
    sizes: Any = program.memory_analysis()
    held = sizes.argument_size_in_bytes + sizes.output_size_in_bytes - sizes.alias_size_in_bytes
    return int(held + sizes.temp_size_in_bytes)


def free_memory(device: jax.Device) -> int | None:
    """Returns the bytes that a device has left for arrays, or None where it does not say."""
    sizes = device.memory_stats()
    if sizes:
        return int(sizes["bytes_limit"] - sizes["bytes_in_use"])
    if device.platform == "cpu" and (meminfo := Path("/proc/meminfo")).exists():
        values = dict(
            line.split(":", 1) for line in meminfo.read_text(encoding="utf-8").splitlines()
        )
        return 1024 * int(values["MemAvailable"].split()[0])
    return None
