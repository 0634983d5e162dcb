"""Measures memory and its pages for `benchmark.py`, in processes of their own."""

import contextlib
import ctypes
import functools
import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxstyle
from jaxstyle._common import huge_pages
from jaxstyle.losses.spec import LossWeights
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.batch import Lane, descend_lanes
from scripts.pairs import Case


def page_cases(network: str, size: int, rounds: int) -> Iterator[Case]:
    """Times the loss and its gradient in a process with huge pages and in one without, in turns."""
    asked = huge_pages.with_huge_pages({})
    if asked is None:
        raise SystemExit("this system gives huge pages to every program or to none")
    spawn = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        pools = {}
        for name, value in (("huge", "1"), ("small", "0")):
            os.environ["GLIBC_TUNABLES"] = f"glibc.malloc.hugetlb={value}"
            pools[name] = stack.enter_context(spawn.Pool(1))
            # This process reads the variable when it starts, so it has to start now.
            pools[name].apply(time_evaluation, (network, size))
        seconds: dict[str, list[float]] = {name: [] for name in pools}
        for _ in range(rounds):
            for name, pool in pools.items():
                seconds[name].append(pool.apply(time_evaluation, (network, size)))
    ratios = np.divide(seconds["small"], seconds["huge"])
    yield {"small_to_huge": {"median": float(np.median(ratios)), "least": float(min(ratios))}}


@functools.cache
def _evaluation(network: str, size: int) -> Callable[[], Any]:
    params = load_network(network, normalized=True).params
    content, style = jax.random.uniform(jax.random.key(0), (2, size, size, 3))
    targets = jaxstyle.compute_targets(params, content, style)
    return lambda: jaxstyle.objective_and_gradient(content, params, targets, LossWeights())


def time_evaluation(network: str, size: int) -> float:
    """Returns the seconds of one evaluation that is compiled already."""
    run = _evaluation(network, size)
    jax.block_until_ready(run())
    begin = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - begin


def memory_cases(
    networks: Sequence[str], sizes: Sequence[int], lanes: Sequence[int], vgg19: str, steps: int
) -> Iterator[Case]:
    """Compares the peaks of runs with their plans.

    Args:
      networks: names of networks.
      sizes: sides of the square pictures, in pixels.
      lanes: how many pictures are made at once.
      vgg19: the name or the file of the network called "vgg19".
      steps: how many steps a run makes.
    """
    for network, size, count in itertools.product(networks, sizes, lanes):
        place = vgg19 if network == "vgg19" else network
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            planned, measured = pool.apply(measure_memory, (place, size, count, steps))
        yield {
            "network": network,
            "picture": size,
            "lanes": count,
            "planned_mib": round(planned / 2**20, 1),
            "measured_mib": round(measured / 2**20, 1),
            "planned_to_measured": round(planned / measured, 3),
        }


def measure_memory(network: str, size: int, lanes: int, steps: int) -> tuple[int, int]:
    """Returns the bytes that a run was planned to take and those that it took."""
    params = load_network(network, normalized=True).params
    content, style = jax.random.uniform(jax.random.key(0), (2, size, size, 3))
    plan = jaxstyle.plan_memory(params, (size, size))
    targets = jaxstyle.compute_targets(params, content, style)
    lane = Lane(content, targets, LossWeights().resolve(jaxstyle.LossSpec()))

    def run() -> None:
        # With reports, which whoever follows a descent holds, and the plan counts.
        for _ in descend_lanes(params, [lane] * lanes, width=lanes, num_steps=steps, every=1):
            pass

    device = jax.devices()[0]
    run()  # compiles
    if stats := device.memory_stats():
        return plan.total(lanes), int(stats["peak_bytes_in_use"])
    # What the compiler left free would hide what the run takes.
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    held = sum(leaf.nbytes for leaf in jax.tree.leaves((params, lane)))
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak counts from here
    before = resident("VmRSS")
    run()
    return plan.total(lanes), resident("VmHWM") - before + held


def row_cases(network: str, size: int) -> Iterator[Case]:
    """Plans the memory per device when several devices share a picture's rows.

    On a CPU there are 8 virtual devices.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count=8".strip()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        planned = pool.apply(plan_rows, (network, size))
    alone = planned[1]
    for count, temporary in planned.items():
        yield {
            "devices": count,
            "planned_mib_a_device": round(temporary / 2**20, 1),
            "to_one_device": round(temporary / alone, 3),
        }


def plan_rows(network: str, size: int) -> dict[int, int]:
    """Returns the bytes per device of a loss and its gradient, for each number of devices.

    The bytes of the results are not counted.
    """
    params = load_network(network, normalized=True).params
    content = jax.random.uniform(jax.random.key(0), (size, size, 3))
    # One device has to compute in the same way as several.
    spec = jaxstyle.LossSpec().with_vgg(convolution="direct", memory="plain")
    function = functools.partial(jaxstyle.objective, spec=spec)
    counts = [count for count in (1, 2, 4, 8) if count <= jax.device_count()]
    found = {}
    for count in counts:
        image = jaxstyle.shard_rows(content, jax.devices()[:count])
        targets = jaxstyle.compute_targets(params, image, content, spec)
        program = jax.jit(jax.value_and_grad(function, has_aux=True))
        sizes = program.lower(image, params, targets).compile().memory_analysis()
        found[count] = int(sizes.temp_size_in_bytes)
    return found


def resident(name: str) -> int:
    """Reads a number of bytes that Linux keeps for this process."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))
