"""The options that name further pictures: other paintings, regions, what is left untouched.

An option is one line of text, so that sweeps may vary it and pictures may carry it; this module
reads the lines. Files are named as the user names them; what they hold is read elsewhere.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

REST = "rest"
"""In place of a mask's file: what the other regions leave."""


class Share(NamedTuple):
    """A painting's share of a mixture.

    Attributes:
      style: the painting's file; None for the one that the command line names first.
      weight: from 0 to 1; those of a mixture sum to one.
    """

    style: str | None
    weight: float


@dataclasses.dataclass(frozen=True)
class RegionOption:
    """A region as an option names it.

    Attributes:
      mask: a file, white inside, or "rest".
      style: the painting's file; None for the one that the command line names.
      style_mask: a file, or None for the whole painting.
      weight: how much the region counts, by its size.
    """

    mask: str
    style: str | None = None
    style_mask: str | None = None
    weight: float = 1.0


class Structure(NamedTuple):
    """What of these options decides which program is compiled.

    Attributes:
      num_styles: how many style targets share the picture; 0 for a single one without weight.
      guided: whether each has a region.
      kept: whether something is left untouched.
    """

    num_styles: int = 0
    guided: bool = False
    kept: bool = False


def parse_mix(text: str) -> tuple[Share, ...]:
    """The shares of a mixture, what is left for the first painting among them.

    Raises:
      ValueError: if a share is no number from 0 to 1, or they sum to more than one.

    Example:
      >>> parse_mix("wave.jpg=0.25; scream.jpg=0.25")[0]
      Share(style=None, weight=0.5)
    """
    shares = []
    for part in text.split(";"):
        name, _, number = part.strip().rpartition("=")
        weight = _number(number)
        if not name or not 0 <= weight <= 1:
            raise ValueError(
                f"should be like wave.jpg=0.5, a share from 0 to 1, got {part.strip()!r}"
            )
        shares.append(Share(name, weight))
    total = sum(share.weight for share in shares)
    if total > 1 + 1e-6:
        raise ValueError(f"should have shares that sum to at most 1, got {total:g}")
    return (Share(None, max(0.0, 1 - total)), *shares)


def parse_regions(text: str) -> tuple[RegionOption, ...]:
    """Regions from "sky.png; ground.png, style=wave.jpg, style-mask=foam.png, weight=2".

    Raises:
      ValueError: if a part is not of this form, or two regions are the rest.

    Example:
      >>> [region.mask for region in parse_regions("sky.png; rest, style=wave.jpg")]
      ['sky.png', 'rest']
    """
    regions = []
    for part in text.split(";"):
        mask, *rest = (each.strip() for each in part.split(","))
        given: dict[str, Any] = {}
        for each in rest:
            name, _, value = (x.strip() for x in each.partition("="))
            if name not in ("style", "style-mask", "weight") or not value or name in given:
                raise ValueError(
                    f"takes style=FILE, style-mask=FILE and weight=X after a mask, got {each!r}"
                )
            given[name] = value
        if not mask or "=" in mask:
            raise ValueError(f"should begin each region with its mask's file, got {part.strip()!r}")
        weight = _number(given.get("weight", "1"))
        if not weight > 0:
            raise ValueError(f"should have a weight greater than 0, got {given['weight']}")
        regions.append(RegionOption(mask, given.get("style"), given.get("style-mask"), weight))
    if sum(region.mask == REST for region in regions) > 1:
        raise ValueError("names the rest twice; only one region can be what the others leave")
    if regions[0].mask == REST and len(regions) == 1:
        raise ValueError("names only the rest; leave --regions out for the whole picture")
    return tuple(regions)


def structure(options: Mapping[str, Any]) -> Structure:
    """What of a job's options decides its program, apart from its recipe."""
    count = 0
    if "regions" in options:
        count = len(parse_regions(options["regions"]))
    elif "mix" in options and options.get("mix_by", "losses") == "losses":
        count = len(parse_mix(options["mix"]))
    return Structure(count, "regions" in options, "keep" in options)


def check_together(options: Mapping[str, Any]) -> None:
    """Raises `ValueError` if options exclude each other."""
    several = [name for name in ("mix", "regions", "fine_style") if name in options]
    if len(several) > 1:
        first, second = (f"--{name.replace('_', '-')}" for name in several[:2])
        raise ValueError(f"{first} and {second} exclude each other; give one of them")
    if "style_size" in options and "style_scale" in options:
        raise ValueError("--style-size and --style-scale exclude each other; give one of them")
    for name, needed in (("mix_by", "mix"), ("guides", "regions")):
        if name in options and needed not in options:
            raise ValueError(f"--{name.replace('_', '-')} needs --{needed} beside it")
    if options.get("mix_by") == "targets" and options.get("statistic") == "wasserstein":
        raise ValueError("--mix-by targets is not for --statistic wasserstein; use losses")


def styles_named(options: Mapping[str, Any]) -> list[Path]:
    """The files of the paintings that options name."""
    return [Path(name) for key, name in _files(options) if key == "style"]


def files_named(options: Mapping[str, Any]) -> list[Path]:
    """All files that options name, also those that may be names of something else."""
    return [Path(name) for _, name in _files(options)]


def relocate(name: str, value: Any, root: Path) -> Any:
    """The value of an option with its files relative to a folder, where they are found there.

    Args:
      name: of the option, with hyphens.
      value: a text, a list of them, or anything else, which stays as it is.
      root: the folder.

    Example:
      >>> relocate("steps", 3, Path("folder"))
      3
    """
    if isinstance(value, list):
        return [relocate(name, each, root) for each in value]
    if not isinstance(value, str):
        return value

    def found(file: str) -> str:
        return str(root / file) if (root / file).is_file() else file

    if name in ("init", "network", "keep", "fine-style"):
        return found(value)
    if name in ("mix", "regions"):
        return ";".join(",".join(map(_in_part(found), p.split(","))) for p in value.split(";"))
    return value


def _in_part(found: Callable[[str], str]) -> Callable[[str], str]:
    """Applies a function to the file in "FILE", "FILE=0.5" or "style=FILE"."""

    def change(part: str) -> str:
        left, equals, right = (each.strip() for each in part.partition("="))
        if left in ("style", "style-mask"):
            return f"{left}={found(right)}"
        return found(left) + equals + right if left != "weight" else part

    return change


def _files(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("init", "network", "keep"):
        if name in options:
            yield name, str(options[name])
    if "fine_style" in options:
        yield "style", options["fine_style"]
    for share in parse_mix(options["mix"]) if "mix" in options else ():
        if share.style is not None:
            yield "style", share.style
    for region in parse_regions(options["regions"]) if "regions" in options else ():
        if region.style is not None:
            yield "style", region.style
        for mask in (region.mask, region.style_mask):
            if mask not in (None, REST):
                yield "mask", str(mask)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
