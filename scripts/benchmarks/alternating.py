"""Measures how long things take, so that the times can be compared."""

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np


def alternate(runs: Mapping[Any, Callable[[], Any]], rounds: int) -> dict[Any, list[float]]:
    """Returns the seconds of each run in every round.

    The runs take turns, so that all of them see the same machine. Their order is drawn again for
    every round, because what ran before leaves its traces in caches and memory. A turn is two
    calls, and the second one counts: it takes the memory that the first has just given back, as a
    step of a descent does. Taking pages that other runs left is slow on virtual machines.

    Args:
      runs: what to time, by name.
      rounds: how many turns each of them gets.
    """
    seconds: dict[Any, list[float]] = {name: [] for name in runs}
    draws = random.Random(0)
    for _ in range(rounds):
        for name in draws.sample(list(runs), len(runs)):
            runs[name]()
            seconds[name].append(seconds_of(runs[name]))
    return seconds


def seconds_of(run: Callable[[], Any]) -> float:
    """Returns how long a call takes."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def waiting_for(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """Returns a run that calls a JAX function and waits until its result is there."""
    return lambda: jax.block_until_ready(function(*arguments))


def beside_torch(
    ours: Callable[[], Any], network: Any, image: np.ndarray, *, compiled: bool
) -> dict[str, Callable[[], Any]]:
    """Returns the runs of a network of images, after all were found to paint the same picture.

    Args:
      ours: jaxstyle's run, which returns a picture `[H, W, 3]`.
      network: the same as a module of PyTorch, channels last.
      image: `[H, W, 3]`, what both paint.
      compiled: whether PyTorch also runs compiled.
    """
    import torch

    given = torch.from_numpy(image).permute(2, 0, 1)[None]
    given = given.contiguous(memory_format=torch.channels_last)

    def run_of(module: Any) -> Callable[[], Any]:
        def run() -> Any:
            with torch.inference_mode():
                return module(given)

        return run

    theirs = {"pytorch": run_of(network)}
    if compiled:
        theirs["pytorch compiled"] = run_of(torch.compile(network, dynamic=False))
    expected = np.asarray(ours())
    for name, run in theirs.items():
        found = run()[0].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-3, err_msg=name)
    return {"jaxstyle": ours, **theirs}


def print_ratios(
    sides: Callable[[int], dict[str, Callable[[], Any]]], sizes: Sequence[int], rounds: int
) -> None:
    """Prints a table of how many times as fast jaxstyle is, by the medians of the rounds.

    Args:
      sides: returns the runs to time for pictures of a longer side, that of jaxstyle by this name.
      sizes: longer sides; the shorter are three quarters of them.
      rounds: how many turns each run gets.
    """
    print("| size | PyTorch | jaxstyle is faster by |\n| --- | --- | --- |")
    for size in sizes:
        seconds = alternate(sides(size), rounds)
        own = statistics.median(seconds.pop("jaxstyle"))
        for name, theirs in seconds.items():
            ratio = statistics.median(theirs) / own
            print(f"| {size} × {3 * size // 4} | {name} | {ratio:.2f} |", flush=True)
