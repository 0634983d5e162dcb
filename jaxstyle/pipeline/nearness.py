r"""How far a picture is, in words: the share of its start's loss that is gone.

.. math:: 1 - L(\text{picture}) / L(\text{start})

:math:`L` is the sum of the style terms over the layers, as they are weighted, or that of the
content terms. A loss in numbers tells little, because it depends on the network, the weights and
the pictures. The share is 0 at the start and 1 where no difference is left.
"""

import math
from collections.abc import Mapping

from jaxstyle.pipeline.track import Track

# What has a loss worth mentioning at each start, and what the start is called. A photograph has its
# own content, and a painting its own style.
_STARTS = {
    "content": (("style",), ""),
    "matched": (("style",), ", from the photograph in the painting's colours"),
    "rearranged": (("style",), ", from the painting's pieces, rearranged"),
    "style": (("content",), ", from the painting"),
    "noise": (("style", "content"), ", from noise"),
    "white-noise": (("style", "content"), ", from noise"),
}


def shares_gone(track: Track) -> dict[str, float]:
    """Returns the shares of the start's losses that are gone, by "style" and "content".

    What the start already has is left out, and so is what is not compared.

    Args:
      track: of a picture that a loss judges, with at least the terms of the start.
    """
    start, now = track.rows[0], track.rows[track.good_steps]
    gone = {}
    for part in _start_of(track)[0]:
        first = _sum_of(start, part)
        if first > 0 and math.isfinite(first):
            gone[part] = max(0.0, 1 - _sum_of(now, part) / first)
    return gone


def describe(track: Track) -> str:
    """Returns how far a picture is, such as "style 96 % there"; empty if nothing can be said."""
    shares = in_percent(shares_gone(track))
    return f"{shares} there{_start_of(track)[1]}" if shares else ""


def in_percent(shares: Mapping[str, float]) -> str:
    """Returns shares as whole percents, or with a decimal from 99 % on; rounded down.

    Example:
      >>> in_percent({"style": 0.968, "content": 0.99999})
      'style 96 %, content 99.9 %'
    """
    return ", ".join(f"{part} {_percent(share)} %" for part, share in shares.items())


def _percent(share: float) -> str:
    tenths = math.floor(1000 * share)
    return f"{tenths / 10:.1f}" if 990 <= tenths < 1000 else str(tenths // 10)


def _start_of(track: Track) -> tuple[tuple[str, ...], str]:
    recipe = track.job.recipe
    if recipe.command == "apply":
        return ("style",), ", from the first picture"
    return _STARTS.get(recipe.options["init"], (("style", "content"), ", from its start"))


def _sum_of(terms: Mapping[str, float], part: str) -> float:
    return sum(value for name, value in terms.items() if name.startswith(f"{part}/"))
