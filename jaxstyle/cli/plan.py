"""What `--dry-run` prints."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax

from jaxstyle.cli.printing import answered, say, say_json
from jaxstyle.optimization.memory import free_memory


def is_exact(arguments: Mapping[str, Any]) -> bool:
    """Tells whether the compiler is asked for the memory: `--dry-run=exact`."""
    return arguments.get("dry-run") == "exact"


def print_plan(facts: Sequence[dict[str, Any]], as_json: bool, optimised: bool = True) -> int:
    """Prints what would be done, and how much memory it would take.

    Args:
      facts: those of each compiled program; see `jaxstyle.pipeline.studio.Studio.plan`.
      as_json: whether to print a line of JSON for each, for other programs to read.
      optimised: whether the options of an optimisation may be advised.

    Returns:
      The exit status.
    """
    for program in facts:
        if as_json:
            say_json(program)
            continue
        network = f"with {program['network']}" if program["network"] else "without a network"
        each = f", {program['bytes_per_lane'] / 2**20:.0f} MiB for each more"
        say(
            f"{program['pictures']} of {program['width']}×{program['height']} pixels, "
            f"{_steps(program['steps'])} {network}, {program['lanes']} at once: "
            f"{program['bytes'] / 2**20:.0f} MiB{each if program['pictures'] > 1 else ''}"
            f"{_verdict(program['bytes'], optimised)}"
        )
    if not facts and not as_json:
        say("nothing to do")
    return answered()


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def _verdict(needed: int, optimised: bool) -> str:
    """Returns what to do about a plan that takes more memory than there is."""
    free = free_memory(jax.devices()[0])
    if free is None or needed <= free:
        return ""
    return (
        f"; that is more than the {free / 2**20:.0f} MiB that are free: make --size smaller"
        f"{', or try --memory low and a smaller --history' if optimised else ''}"
    )
