"""From the options of `apply` to the way in which its picture is painted."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxstyle.errors import OptionError
from jaxstyle.networks.catalogue import BRUSH, PAINTBOX
from jaxstyle.pieces.analogies import COHERENCE
from jaxstyle.pipeline.file_options import Share, exclusive
from jaxstyle.pipeline.first import FEATURES, PIECES, Way
from jaxstyle.pipeline.painting import Painting
from jaxstyle.pipeline.pieced import FIRST_BLOCKS, checked_block

QUICK_STEPS = 10
_QUICK_SIZE = 512  # the longer side, as for `stylize`
_LEVELS = (4, 3, 2)  # as in the paper, without the first and the fifth
_SWAPPED = (3,)  # as in the paper
# What only some methods look at.
_ONLY: tuple[tuple[tuple[str, ...], tuple[Way, ...]], ...] = (
    (("levels", "decoder"), FEATURES),
    (("block", "fidelity"), ("quilting", "neighbours")),
    (("coherence",), ("analogies",)),
    (("seed",), PIECES),
)
_OF_STYLES = ("style", "blend", "regions")  # what says which of a network's styles count


def with_mixture(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns options in which several paintings are one and a mixture with others.

    Raises:
      OptionError: if a mixture is given too.
    """
    paintings: str | tuple[Share, ...] = options.get("painting", "")
    if isinstance(paintings, str):
        return dict(options)
    if "mix" in options:
        raise OptionError(
            "{} names several paintings already; give all of them so, or one and {}",
            "painting", "mix",
        )  # fmt: skip
    own, *others = paintings
    return {**options, "painting": own.style, "mix": (own._replace(style=None), *others)}


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
    way: Way = "quick"
    if painting is None or "fast-network" in given or of_styles:
        way = "network"
    way = given.get("method", way)
    for name in ("style-size", "mix"):
        if painting is None and name in given:
            raise OptionError("{} needs {} beside it", name, "painting")
    if "mix" in given and "regions" in given:
        raise exclusive("mix", "regions")
    if len(of_styles) > 1:
        raise OptionError("{} and {} contradict each other; leave one out", *of_styles[:2])
    if way == "network":
        known = painting is None or bool({"style", "blend"} & set(of_styles))
        _check_network(given, known)
        defaults: dict[str, Any] = {"fast-network": PAINTBOX, "polish": 0}
    elif way == "quick":
        defaults = {"polish": QUICK_STEPS, "size": _QUICK_SIZE}
    elif way in PIECES:
        defaults = {"polish": 0, "size": _QUICK_SIZE, "seed": 0}
        if way == "analogies":
            defaults["coherence"] = COHERENCE
        else:
            defaults |= {"block": checked_block(way, given, FIRST_BLOCKS), "fidelity": 1.0}
    else:
        levels = _SWAPPED if way == "swap" else _LEVELS
        defaults = {"decoder": BRUSH, "levels": dict.fromkeys(levels, 1.0), "polish": 0}
    if way != "network":
        _check_painting(way, given)
    _check_method(way, given)
    if "init" in given and not filled.get("polish", defaults["polish"]):
        raise OptionError("{} needs {} N beside it", "init", "polish")
    if "regions" in given and given.get("polish"):
        raise OptionError(
            "{} has no style for the whole picture; leave {} out", "regions", "polish"
        )
    filled = {**defaults, "method": way, **filled}
    strength = filled.get("strength", 100.0) / 100
    method = Painting(way, strength, filled["polish"], filled.get("regions"))
    return method, filled


def _check_network(given: Mapping[str, Any], known: bool) -> None:
    """Raises `OptionError` if no network can paint so.

    Args:
      given: the options that were given.
      known: whether the style is one of the network's own.
    """
    if "painting" in given and known and not given.get("polish"):
        raise OptionError(
            "{} tells a network's picture what to be polished after; give {} N too, or {} quick",
            "painting", "polish", "method",
        )  # fmt: skip
    if not known and "fast-network" not in given:
        raise OptionError(
            "{} needs {} FILE for that, a network that paints like any painting; or leave {} and "
            "{} out", "painting", "fast-network", "method", "regions",
        )  # fmt: skip


def _check_painting(way: Way, given: Mapping[str, Any]) -> None:
    """Raises `OptionError` if no painting is named, or something that is for others is."""
    if "painting" not in given:
        raise OptionError("{} {way} needs {}, the painting's file", "method", "painting", way=way)
    for name in ("fast-network", "style", "blend"):
        if name in given:
            raise OptionError(
                "{} is for networks; leave it out with {} {way}", name, "method", way=way
            )
    if "regions" in given and way not in FEATURES:
        raise OptionError(
            "{} is for networks and for {} {others}; leave it out with {} {way}",
            "regions", "method", "method", others=_listed(FEATURES), way=way,
        )  # fmt: skip
    if "mix" in given and way in PIECES:
        raise OptionError(
            "{} is for {} {others}; leave it out with {} {way}",
            "mix", "method", "method", others=_listed(("quick", *FEATURES)), way=way,
        )  # fmt: skip


def _check_method(way: Way, given: Mapping[str, Any]) -> None:
    """Raises `OptionError` if an option is given that belongs to other methods."""
    for names, ways in _ONLY:
        for name in names:
            if name in given and way not in ways:
                raise OptionError(
                    "{} is for {} {others}; leave it out", name, "method", others=_listed(ways)
                )


def _listed(ways: Sequence[Way]) -> str:
    return " and ".join(filter(None, [", ".join(ways[:-1]), ways[-1]]))
