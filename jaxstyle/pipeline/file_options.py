"""The options that name further pictures: mixtures of paintings, and regions of the photograph.

Files are named as the user names them. What they hold is read elsewhere. In a list, a name with a
mark in it that parts the list stands in double quotes: `"sky;1.png";rest`. A quote in such a name
is doubled.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from jaxstyle.errors import OptionError
from jaxstyle.pipeline.choices import MATCHED
from jaxstyle.pipeline.kinds import FileName, Kind, NamedFile, Number, brief, not_empty, short

REST = "rest"
"""Stands in place of a mask's file for what the other regions leave."""
FACES = "faces"
"""Stands in place of a mask's file for the faces of the photograph."""


# Options of which only one can be given.
_ALTERNATIVES = (
    ("strokes", "style-size", "style-scale"),
    ("smooth", "tv-weight"),
    ("strength", "style-weight"),
    ("colors", "color"),
    ("keep", "only"),
)


class Share(NamedTuple):
    """A painting's share of a mixture.

    Attributes:
      style: the painting's file, or None for the job's own painting.
      weight: from 0 to 1. The weights of a mixture sum to one.
    """

    style: str | None
    weight: float


@dataclasses.dataclass(frozen=True)
class RegionOption:
    """A region as an option names it.

    Attributes:
      mask: a file that is white inside the region, or "rest".
      style: the painting's file, or None for the job's own painting.
      style_mask: a file that is white where the painting counts, or None for all of it.
      weight: how much the region counts, relative to its size.
    """

    mask: str
    style: str | None = None
    style_mask: str | None = None
    weight: float = 1.0


class Structure(NamedTuple):
    """What these options contribute to the choice of the compiled program.

    Attributes:
      num_styles: how many style targets share the picture, or 0 for a single one without weight.
      guided: whether each style target has a region, or only a part of each pixel.
      kept: whether a part of the picture is left untouched.
      protected: whether a part of it is compared with the photograph at further layers.
    """

    num_styles: int = 0
    guided: bool = False
    kept: bool = False
    protected: bool = False


@dataclasses.dataclass(frozen=True)
class Mix(Kind):
    """Other paintings and their shares: "wave.jpg=0.25", once for each painting.

    The last "=" parts file and share, so a file may have any name. The paintings without a share,
    the job's own among them, have equal parts of what the others leave. In one text several
    paintings are parted by ";".

    The value is a tuple of `Share`s, of which the first is that of the job's own painting.

    Example:
      >>> Mix().parse_all(["wave.jpg=0.25", "scream.jpg=0.25"])[0]
      Share(style=None, weight=0.5)
      >>> Mix().parse("wave.jpg=0.25; scream.jpg=0.25")[1]
      Share(style='wave.jpg', weight=0.25)
      >>> Mix().parse("wave.jpg")
      (Share(style=None, weight=0.5), Share(style='wave.jpg', weight=0.5))
    """

    repeats: ClassVar[bool] = True

    def parse(self, text: str) -> tuple[Share, ...]:
        return self.parse_all([text])

    def parse_all(self, texts: Sequence[str]) -> tuple[Share, ...]:
        return _shared([part for text in texts for part in _parse_mix(text)])

    def check(self, value: Any) -> tuple[Share, ...]:
        if not isinstance(value, Mapping):
            return self.parse(value) if isinstance(value, str) else super().check(value)
        return _shared([(not_empty(str(k)), Number(most=1).check(v)) for k, v in value.items()])

    def text(self, value: tuple[Share, ...]) -> str:
        return ";".join(self.texts(value))

    def texts(self, value: tuple[Share, ...]) -> list[str]:
        named = [(share.style, share.weight) for share in value if share.style is not None]
        return [f"{quoted(name, ';')}={short(weight)}" for name, weight in named]

    def files(self, value: tuple[Share, ...]) -> Iterator[NamedFile]:
        for share in value:
            if share.style is not None:
                yield NamedFile("style", share.style)

    def relocate(self, value: tuple[Share, ...], found: Callable[[str], str]) -> Any:
        return tuple(share._replace(style=share.style and found(share.style)) for share in value)


@dataclasses.dataclass(frozen=True)
class Paintings(FileName):
    """A painting, or several and their shares: "wave.jpg=0.75", once for each painting.

    One painting is its file's name, whatever is in it. Of several, the value is a tuple of
    `Share`s, each of which names its painting; those without a share have equal parts of what the
    others leave.

    Example:
      >>> Paintings().parse_all(["wave.jpg"])
      'wave.jpg'
      >>> Paintings().parse_all(["wave.jpg=0.75", "scream.jpg"])[1]
      Share(style='scream.jpg', weight=0.25)
    """

    repeats: ClassVar[bool] = True

    def parse_all(self, texts: Sequence[str]) -> str | tuple[Share, ...]:
        if len(texts) == 1:
            return str(self.parse(texts[0]))
        parts: list[tuple[str, float | None]] = []
        for text in texts:
            part = _parse_share(not_empty(text))
            if part is None:
                raise ValueError(
                    f"should be like wave.jpg=0.5, a share from 0 to 1, got {brief(text)}"
                )
            parts.append(part)
        (own, share), *others = parts
        if share is not None:  # then the others have what it leaves
            others = _with_rest(others, 1 - share)
        first, *rest = _shared(others)
        return (first._replace(style=own), *rest)


@dataclasses.dataclass(frozen=True)
class Regions(Kind):
    """Regions: "sky.png; ground.png, style=wave.jpg, style-mask=foam.png, weight=2".

    The value is a tuple of `RegionOption`s.

    Example:
      >>> [region.mask for region in Regions().parse("sky.png; rest, style=wave.jpg")]
      ['sky.png', 'rest']
    """

    def parse(self, text: str) -> tuple[RegionOption, ...]:
        regions = tuple(map(_parse_region, split_at(text, ";")))
        if sum(region.mask == REST for region in regions) > 1:
            raise ValueError("names the rest twice; only one region can be what the others leave")
        if regions[0].mask == REST and len(regions) == 1:
            raise ValueError("names only the rest; leave the option out for the whole picture")
        return regions

    def text(self, value: tuple[RegionOption, ...]) -> str:
        return ";".join(map(_region_text, value))

    def files(self, value: tuple[RegionOption, ...]) -> Iterator[NamedFile]:
        for region in value:
            if region.style is not None:
                yield NamedFile("style", region.style)
            for mask in (region.mask, region.style_mask):
                if mask not in (None, REST):
                    yield NamedFile("mask", str(mask))

    def relocate(self, value: tuple[RegionOption, ...], found: Callable[[str], str]) -> Any:
        return tuple(
            dataclasses.replace(
                region,
                mask=region.mask if region.mask == REST else found(region.mask),
                style=region.style and found(region.style),
                style_mask=region.style_mask and found(region.style_mask),
            )
            for region in value
        )


@dataclasses.dataclass(frozen=True)
class StyleRegions(Regions):
    """Regions with styles of a network, or with paintings: "sky.png, style=waves; rest".

    Example:
      >>> StyleRegions().parse("sky.png, style=waves; rest, style=night")[0].style
      'waves'
    """

    def parse(self, text: str) -> tuple[RegionOption, ...]:
        regions = super().parse(text)
        for region in regions:
            if region.style_mask is not None or region.weight != 1:
                got = brief(_region_text(region))
                raise ValueError(f"takes style=… and nothing else after a mask, got {got}")
        return regions

    def files(self, value: tuple[RegionOption, ...]) -> Iterator[NamedFile]:
        for file in super().files(value):  # a style may be a name that the network knows
            yield file._replace(role="other") if file.role == "style" else file

    def relocate(self, value: tuple[RegionOption, ...], found: Callable[[str], str]) -> Any:
        def found_if_file(name: str) -> str:  # what has no folder may be a style of the network
            return found(name) if Path(name).name != name else name

        moved = super().relocate(value, found)
        return tuple(
            dataclasses.replace(there, style=here.style and found_if_file(here.style))
            for there, here in zip(moved, value, strict=True)
        )


def structure(options: Mapping[str, Any]) -> Structure:
    """Returns what a job's options contribute to the choice of its program."""
    count = 0
    kept, protected = "keep" in options or "only" in options, "protect" in options
    parts = 2 if options.get("calm") else 1
    guided = kept or protected or parts > 1 or "regions" in options or "point" in options
    if "regions" in options:
        count = len(options["regions"])
    elif "point" in options:
        count = len(options["point"]) + 1
    elif "mix" in options and options.get("mix-by", "losses") == "losses":
        count = len(options["mix"])
    elif guided:
        count = 1
    return Structure(count * parts, guided, kept, protected)


def check_together(options: Mapping[str, Any]) -> None:
    """Raises `OptionError` if options exclude each other."""
    several = [name for name in ("mix", "regions", "fine-style", "point") if name in options]
    if len(several) > 1:
        raise exclusive(*several[:2])
    check_alternatives(options)
    for name, needed in (("mix-by", "mix"), ("guides", "regions")):
        if name in options and needed not in options:
            raise OptionError("{} needs {} beside it", name, needed)
    color = next((name for name in ("colors", "color") if options.get(name) == MATCHED), None)
    if "regions" in options and color:
        raise OptionError("{} matched moves all colours alike, and {} do not", color, "regions")
    if options.get("precision") == "bfloat16" and options.get("convolution") == "winograd":
        raise OptionError("{} winograd needs {} float32", "convolution", "precision")
    if options.get("mix-by") == "targets" and options.get("statistic") == "wasserstein":
        raise OptionError("{} targets is not for {} wasserstein; use losses", "mix-by", "statistic")


def check_alternatives(options: Mapping[str, Any]) -> None:
    """Raises `OptionError` if one thing is said by two options."""
    for names in _ALTERNATIVES:
        given = [name for name in names if name in options]
        if len(given) > 1:
            raise exclusive(*given[:2])


def exclusive(first: str, second: str) -> OptionError:
    """Returns the error of two options that cannot be given together."""
    return OptionError("{} and {} exclude each other; give one of them", first, second)


def _parse_mix(text: str) -> list[tuple[str, float | None]]:
    """Returns the paintings of a text and their shares, None where a share is left out."""
    one = [_parse_share(not_empty(text))]
    several = []
    if text.count('"') % 2 == 0:
        several = [_parse_share(part.strip()) for part in split_at(text, ";")]
    if len(several) > 1 and all(part and part[1] is not None for part in several):
        return list(filter(None, several))
    for parts in (one, several):  # a file may be called "a;b.jpg"
        if parts and None not in parts:
            return list(filter(None, parts))
    raise ValueError(f"should be like wave.jpg=0.5, a share from 0 to 1, got {brief(text)}")


def _parse_share(text: str) -> tuple[str, float | None] | None:
    """Returns a painting and its share, or None if the text is not of that form."""
    before, equals, after = text.rpartition("=")
    name, share = (unquoted(before), number_of(after)) if equals else (unquoted(after), None)
    right = name and (share is None or 0 <= share <= 1)
    return (name, share) if right else None


def _shared(parts: Sequence[tuple[str, float | None]]) -> tuple[Share, ...]:
    """Returns the shares of paintings, the job's own first."""
    total = sum(share or 0 for _, share in parts)
    if total > 1 + 1e-6:
        raise ValueError(f"should have shares that sum to at most 1, got {total:g}")
    open_shares = [name for name, share in parts if share is None]
    if open_shares and total >= 1:
        raise ValueError(f"leaves no share for {brief(open_shares[0])}; give smaller shares")
    equal = (1 - total) / (len(open_shares) + 1)
    named = [Share(name, equal if share is None else share) for name, share in parts]
    # Not the equal part: it is to be the same when the shares are read from a text.
    return (Share(None, max(0.0, 1 - sum(share.weight for share in named))), *named)


def _with_rest(
    parts: Sequence[tuple[str, float | None]], rest: float
) -> list[tuple[str, float | None]]:
    """Returns paintings with shares that sum to what is left for them."""
    total = sum(share or 0 for _, share in parts)
    open_shares = [name for name, share in parts if share is None]
    if open_shares and total >= rest:
        raise ValueError(f"leaves no share for {brief(open_shares[0])}; give smaller shares")
    if not open_shares and abs(total - rest) > 1e-6:
        raise ValueError(f"should have shares that sum to 1, got {1 - rest + total:g}")
    equal = (rest - total) / max(1, len(open_shares))
    return [(name, equal if share is None else share) for name, share in parts]


def _parse_region(text: str) -> RegionOption:
    mask, *rest = (each.strip() for each in split_at(text, ","))
    given: dict[str, str] = {}
    for each in rest:
        name, _, value = (x.strip() for x in each.partition("="))
        if name not in ("style", "style-mask", "weight") or not value or name in given:
            raise ValueError(
                f"takes style=FILE, style-mask=FILE and weight=X after a mask, got {brief(each)}"
            )
        given[name] = unquoted(value)
    if not unquoted(mask) or ("=" in mask and mask == unquoted(mask)):
        raise ValueError(
            f"should begin each region with its mask's file, got {brief(text.strip())}"
        )
    weight = number_of(given.get("weight", "1"))
    if not weight > 0:
        raise ValueError(f"should have a weight greater than 0, got {given['weight'][:40]}")
    return RegionOption(unquoted(mask), given.get("style"), given.get("style-mask"), weight)


def _region_text(region: RegionOption) -> str:
    parts = [quoted(region.mask, ";,=")]
    for name, value in (("style", region.style), ("style-mask", region.style_mask)):
        parts += [f"{name}={quoted(value, ';,')}"] if value is not None else []
    parts += [f"weight={short(region.weight)}"] if region.weight != 1 else []
    return ",".join(parts)


def split_at(text: str, mark: str) -> list[str]:
    """Returns the parts of a text between marks; a mark between double quotes parts nothing."""
    pieces = not_empty(text).split('"')
    if len(pieces) % 2 == 0:
        raise ValueError(
            f"has a double quote without its partner in {brief(text)}; "
            'write a name with a quote in it like "12"" wide.jpg"'
        )
    parts = [""]
    for i, piece in enumerate(pieces):
        whole = i % 2 == 1
        first, *rest = [f'"{piece}"'] if whole else piece.split(mark)
        parts[-1] += first
        parts += rest
    return parts


def unquoted(name: str) -> str:
    """Returns the name of a file without the quotes that it may stand in."""
    if len(name) >= 2 and name[0] == name[-1] == '"':
        name = name[1:-1].replace('""', '"')
    return name


def quoted(name: str, marks: str) -> str:
    """Returns a name as it stands in a list whose parts are told apart by some marks."""
    if name == name.strip() and not set(name) & {'"', *marks}:
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def number_of(text: str) -> float:
    """Returns the number that a text stands for; not a number if it stands for none."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
