"""Many pictures in one program, in batches that fit in memory.

A batch is made of lanes. Each lane has its own image, targets, weights, learning rate and solver
state; all of them share the network. A lane gives the picture that it would give alone, up to the
rounding of another program.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxstyle._common import sharding
from jaxstyle._common.arrays import is_traced
from jaxstyle.losses.spec import LossSpec, LossWeights
from jaxstyle.losses.targets import Targets
from jaxstyle.networks.vgg import Params
from jaxstyle.optimization import descent
from jaxstyle.optimization.descent import Progress
from jaxstyle.optimization.memory import free_memory, plan_memory
from jaxstyle.solvers import Info, SolverLike

# A batch of this width keeps a device busy, and a killed sweep loses no more pictures than that.
WIDEST = 32
# The rest is for targets, pictures and what the allocator wastes.
_SHARE_OF_MEMORY = 0.8


class BatchProgress(NamedTuple):
    """How far a batch has come.

    Attributes:
      step: steps done.
      image: `[lanes, H, W, 3]`, the best so far.
      info: `Info` of the steps since the last report, the first time also that of the start:
        leaves `[n, lanes]`.
      progress: the descent's own report, from which `descend_lanes` can go on.
    """

    step: int
    image: Array
    info: Info
    progress: Progress


class Lane(NamedTuple):
    """One optimisation of a batch.

    Attributes:
      image: `[H, W, 3]`, where it starts.
      targets: what it is compared with.
      weights: how much each part counts, resolved; see `LossWeights.resolve`.
      learning_rate: scalar, or None for the solver's own.
    """

    image: Array
    targets: Targets
    weights: LossWeights
    learning_rate: Array | None = None


def descend_lanes(
    params: Params,
    lanes: Sequence[Lane],
    *,
    width: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    spec: LossSpec = LossSpec(),
    solver: SolverLike | None = None,
    num_steps: int = 300,
    every: int = 10,
    resume: Progress | None = None,
) -> Iterator[BatchProgress]:
    """Runs one batch, as an iterator over its steps; see `jaxstyle.descend`.

    Args:
      params: the network's parameters.
      lanes: the batch, its images of one size.
      width: of the compiled program. Where there are fewer lanes, copies of the last one fill it
        up. A width of one is the program of a single picture.
      devices: over which the lanes are spread: the largest number of them that divides the width.
      spec: what is compared.
      solver: from `jaxstyle.solvers`; `lbfgs()` by default.
      num_steps: steps of the solver.
      every: steps between reports.
      resume: where to go on: the `progress` of a report of the same batch.

    Yields:
      `BatchProgress` after every `every` steps and after the last one.

    Raises:
      ValueError: if there are no lanes or more than `width`, or an argument does not fit.
    """
    width = len(lanes) if width is None else width
    if not 1 <= len(lanes) <= width:
        raise ValueError(f"a batch of width {width} takes 1 to {width} lanes, got {len(lanes)}")
    options: Any = {"spec": spec, "solver": solver, "num_steps": num_steps, "every": every}
    if width == 1:
        image, targets, weights, rate = lanes[0]
        if devices is not None:
            params = jax.device_put(params, devices[0])
            image, targets, weights, rate = jax.device_put(lanes[0], devices[0])
        for progress in descent.descend_resolved(
            image, params, targets, weights=weights, learning_rate=rate, resume=resume, **options
        ):
            info = jax.tree.map(_with_lane, progress.info)
            picture = targets.seen(progress.state.image)[None]
            yield BatchProgress(progress.step, picture, info, progress)
        return
    full = [*lanes, *[lanes[-1]] * (width - len(lanes))]
    batch: Lane = jax.tree.map(lambda *leaves: jnp.stack(leaves), *full)
    if devices is not None:
        number = max(n for n in range(1, len(devices) + 1) if width % n == 0)
        params = jax.device_put(params, sharding.everywhere(devices[:number]))
        batch = jax.device_put(batch, sharding.over("lanes", devices[:number]))
    for progress in descent.descend_resolved(
        batch.image, params, batch.targets, weights=batch.weights,
        learning_rate=batch.learning_rate, resume=resume, **options,
    ):  # fmt: skip
        info = jax.tree.map(lambda leaf: _first(leaf, len(lanes), axis=1), progress.info)
        image = _first(batch.targets.seen(progress.state.image), len(lanes))
        yield BatchProgress(progress.step, image, info, progress)


def _with_lane(leaf: Array) -> Array:
    """Returns `[n]` as `[n, 1]`; not by jnp, which would compile a program for every n."""
    if is_traced(leaf):
        return jnp.expand_dims(leaf, 1)
    widened: Array = jax.device_put(np.expand_dims(jax.device_get(leaf), 1))
    return widened


def _first(array: Array, count: int, axis: int = 0) -> Array:
    # Not an index, whose bounds would be sent to the device.
    return jax.lax.slice_in_dim(array, 0, count, axis=axis)


def split(count: int, most: int, devices: int = 1) -> tuple[int, list[range]]:
    """Divides lanes into batches of one width.

    Args:
      count: the number of lanes.
      most: the greatest width.
      devices: their number; the width is a multiple of it where the greatest admits that.

    Returns:
      The width, and the lanes of each batch; the last may have fewer.

    Example:
      >>> split(10, 4)
      (4, [range(0, 4), range(4, 8), range(8, 10)])
      >>> split(9, 8, devices=2)
      (6, [range(0, 6), range(6, 9)])
    """
    if most < 1:
        raise ValueError(f"the width of a batch should be at least 1, got {most}")
    if most > devices:
        most -= most % devices
    width = math.ceil(count / math.ceil(count / most))
    if width > 1 and devices <= most:
        width = math.ceil(width / devices) * devices
    return width, [range(i, min(i + width, count)) for i in range(0, count, width)]


def choose_width(
    params: Params,
    shape: Sequence[int],
    *,
    spec: LossSpec = LossSpec(),
    solver: SolverLike | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> int:
    """How many lanes to run at once: as many as fit in the free memory, at most 32 a device.

    On CPUs it is one a device, where a batch is no faster than one lane after another.

    Args:
      params: the network's parameters.
      shape: height and width of the pictures.
      spec: what is compared.
      solver: from `jaxstyle.solvers`; `lbfgs()` by default.
      devices: over which lanes are spread; all local ones by default.
    """
    devices = jax.local_devices() if devices is None else devices
    if devices[0].platform == "cpu":
        return len(devices)
    available = [free for device in devices if (free := free_memory(device)) is not None]
    if not available:
        return len(devices)
    plan = plan_memory(params, shape, spec=spec, solver=solver)
    lanes = plan.max_lanes(int(_SHARE_OF_MEMORY * min(available)))
    return len(devices) * min(max(lanes, 1), WIDEST)
