"""How long things take, measured so that they can be compared."""

import time
from collections.abc import Callable, Mapping
from typing import Any


def alternate(runs: Mapping[Any, Callable[[], Any]], rounds: int) -> dict[Any, list[float]]:
    """Seconds of each in every round; they take turns, so that all see the same machine.

    A turn is two calls, of which the second counts: as in a descent, the memory that it takes is
    what it has just given back. Pages that others left are dear on virtual machines.
    """
    seconds: dict[Any, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            run()
            seconds[name].append(seconds_of(run))
    return seconds


def seconds_of(run: Callable[[], Any]) -> float:
    """What a call takes on the clock."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin
