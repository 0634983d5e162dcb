"""From the options of `apply` to the way in which its picture is painted."""

from collections.abc import Mapping
from typing import Any

from jaxstyle.errors import OptionError
from jaxstyle.networks.catalogue import PAINTBOX
from jaxstyle.pipeline.painting import First, Painting

QUICK_STEPS = 10
_QUICK_SIZE = 512  # the longer side, as for `stylize`
_OF_STYLES = ("style", "blend", "regions")  # what says which of a network's styles count


def make_painting(
    filled: dict[str, Any], given: Mapping[str, Any]
) -> tuple[Painting, dict[str, Any]]:
    """Returns the method that options come to, and the options.

    Args:
      filled: the options, with the defaults that do not depend on the method.
      given: the options that were given.

    Raises:
      OptionError: if they contradict each other.
    """
    painting, of_styles = given.get("painting"), [name for name in _OF_STYLES if name in given]
    first: First = "quick"
    if painting is None or "fast-network" in given or of_styles:
        first = "network"
    first = given.get("method", first)
    for name in ("style-size", "mix"):
        if painting is None and name in given:
            raise OptionError("{} needs {} beside it", name, "painting")
    if len(of_styles) > 1:
        raise OptionError("{} and {} contradict each other; leave one out", *of_styles[:2])
    if first == "quick":
        if painting is None:
            raise OptionError("{} quick needs {}, the painting's file", "method", "painting")
        for name in ("fast-network", *_OF_STYLES):
            if name in given:
                raise OptionError("{} is for networks; leave it out with {} quick", name, "method")
        defaults: dict[str, Any] = {"polish": QUICK_STEPS, "size": _QUICK_SIZE}
    else:
        known = painting is None or bool({"style", "blend"} & set(of_styles))
        if painting is not None and known and not given.get("polish"):
            raise OptionError(
                "{} tells a network's picture what to be polished after; give {} N too, or {} "
                "quick", "painting", "polish", "method",
            )  # fmt: skip
        if not known and "fast-network" not in given:
            raise OptionError(
                "{} needs {} FILE for that, a network that paints like any painting; or leave {} "
                "and {} out", "painting", "fast-network", "method", "regions",
            )  # fmt: skip
        defaults = {"fast-network": PAINTBOX, "polish": 0}
    if "regions" in given and given.get("polish"):
        raise OptionError(
            "{} has no style for the whole picture; leave {} out", "regions", "polish"
        )
    filled = {**defaults, "method": first, **filled}
    blend = {filled["style"]: 1.0} if "style" in given else filled.get("blend")
    return (
        Painting(
            first,
            None if blend is None else tuple(blend.items()),
            filled.get("strength", 1.0),
            filled["polish"],
            filled.get("regions"),
        ),
        filled,
    )
