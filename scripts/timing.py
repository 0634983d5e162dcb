"""How long things take, measured so that they can be compared."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any


def alternate(runs: Mapping[Any, Callable[[], Any]], rounds: int) -> dict[Any, list[float]]:
    """Seconds of each in every round; they take turns, so that all see the same machine.

    The order is drawn anew in every round, because what ran before leaves its traces in caches and
    memory. A turn is two calls, of which the second counts: as in a descent, the memory that it
    takes is what it has just given back. Pages that others left are dear on virtual machines.
    """
    seconds: dict[Any, list[float]] = {name: [] for name in runs}
    draws = random.Random(0)
    for _ in range(rounds):
        for name in draws.sample(list(runs), len(runs)):
            runs[name]()
            seconds[name].append(seconds_of(runs[name]))
    return seconds


def seconds_of(run: Callable[[], Any]) -> float:
    """What a call takes on the clock."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin
