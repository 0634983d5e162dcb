"""What `--dry-run` prints."""

import json
from collections.abc import Sequence
from typing import Any


def print_plan(facts: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Prints what would be done, and how much memory it would take.

    Args:
      facts: those of each compiled program; see `jaxstyle.pipeline.studio.Studio.plan`.
      as_json: whether to print a line of JSON for each, for other programs to read.
    """
    for program in facts:
        if as_json:
            print(json.dumps(program))
            continue
        print(
            f"{program['pictures']} of {program['width']}×{program['height']} pixels, "
            f"{program['steps']} steps with {program['network']}, {program['lanes']} at once: "
            f"{program['bytes'] / 2**20:.0f} MiB, "
            f"{program['bytes_per_lane'] / 2**20:.0f} MiB for each more"
        )
    if not facts and not as_json:
        print("nothing to do")
