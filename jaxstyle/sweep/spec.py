"""Descriptions of sweeps, and the points that they come to."""

import dataclasses
import itertools
import math
import re
import tomllib
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeGuard, get_args

import numpy as np

from jaxstyle._common.checks import check_choice
from jaxstyle._common.files import find_pictures
from jaxstyle._common.reading import open_regular
from jaxstyle.errors import FileFormatError, UsageError, usage_errors
from jaxstyle.pipeline.kinds import brief, not_empty
from jaxstyle.pipeline.options import check_options, picture_options

Combine = Literal["grid", "zip", "random"]
MOST_JOBS = 100_000
"""A sweep has at most so many jobs, and an option so many values."""
_LONGEST = 2**24  # bytes of a description; whatever is longer is another kind of file
# Each part of a dotted key takes tomllib longer than the one before it.
_DEEP_KEY = re.compile(r"[\w\"'-](?:[ \t]*\.[ \t]*[\w\"'-]+){100}")
_KEYS = ("content", "style", "combine", "count", "seed", "options")
_RANGES = ("from", "to", "count", "scale", "whole")
_DRAWS = ("low", "high", "count", "scale", "whole")


@dataclasses.dataclass(frozen=True)
class Draws:
    """A range that values of an option are taken from.

    Attributes:
      low: the least.
      high: the greatest.
      logarithmic: whether ratios count, not differences.
      whole: whether they are rounded to whole numbers.
    """

    low: float
    high: float
    logarithmic: bool
    whole: bool

    def at(self, fraction: float) -> float | int:
        """The value at a fraction of the way from `low` to `high`."""
        if self.logarithmic:
            value = math.exp((1 - fraction) * math.log(self.low) + fraction * math.log(self.high))
            value = min(max(value, min(self.low, self.high)), max(self.low, self.high))
        else:
            value = (1 - fraction) * self.low + fraction * self.high
        return round(value) if self.whole else float(f"{value:.6g}")


class Point(NamedTuple):
    """One job of a sweep.

    Attributes:
      content: the photograph.
      style: the painting.
      options: all options that the sweep sets, by name, checked.
    """

    content: Path
    style: Path
    options: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Spec:
    """A sweep.

    Attributes:
      contents: the photographs.
      styles: the paintings.
      axes: the values of each option that varies; `Draws` where each job draws its own.
      fixed: the options that do not vary.
      combine: "grid" for every combination, "zip" for values that count up together, "random" for
        as many jobs as `count` says, each with a value of every axis drawn at random.
      count: the number of jobs of "random".
      seed: of everything drawn.
      given: the names that the photographs and paintings were found by.
      root: the folder that these are relative to.
      file: the TOML file that describes the sweep, if it came from one.
    """

    contents: tuple[Path, ...]
    styles: tuple[Path, ...]
    axes: dict[str, list[Any] | Draws]
    fixed: dict[str, Any]
    combine: Combine
    count: int | None
    seed: int
    given: tuple[str, ...] = ()
    root: Path = Path()
    file: Path | None = None

    def points(self) -> list[Point]:
        """Returns the jobs, in order.

        Raises:
          UsageError: if the axes of "zip" have different lengths, there are too many jobs, or a
            drawn value is not one of the option's.
        """
        if self.combine == "random":
            _check_count("the sweep", self.count or 0)
            return self._draw()
        axes = {"content": list(self.contents), "style": list(self.styles), **self.axes}
        columns = [values for values in axes.values() if isinstance(values, list)]
        lengths = {name: len(column) for name, column in zip(axes, columns, strict=True)}
        count = (math.prod if self.combine == "grid" else max)(lengths.values())
        _check_count("the sweep", count)
        rows: Iterable[tuple[Any, ...]]
        if self.combine == "grid":
            rows = itertools.product(*columns)
        else:
            odd = {name: n for name, n in lengths.items() if n not in (1, count)}
            if odd:
                given = ", ".join(f"{name} {n}" for name, n in lengths.items())
                raise UsageError(f'combine = "zip" needs as many values of each, got {given}')
            rows = zip(*(c * (count // len(c)) for c in columns), strict=True)
        return [self._point(dict(zip(axes, row, strict=True))) for row in rows]

    def _draw(self) -> list[Point]:
        rng = np.random.default_rng(self.seed)
        points = []
        for _ in range(self.count or 0):
            row: dict[str, Any] = {}
            for name, values in (
                ("content", list(self.contents)), ("style", list(self.styles)), *self.axes.items()
            ):  # fmt: skip
                fraction = rng.random()
                if isinstance(values, Draws):
                    row[name] = _checked(name, values.at(fraction))
                else:
                    row[name] = values[int(fraction * len(values))]
            points.append(self._point(row))
        return points

    def _point(self, row: dict[str, Any]) -> Point:
        content, style = row.pop("content"), row.pop("style")
        return Point(content, style, self.fixed | row)


def read_spec(path: Path) -> Spec:
    """Reads a sweep from a TOML file; the names of pictures in it are relative to its folder.

    Raises:
      FileFormatError: if the file is not TOML, or too long or too deeply nested.
      UsageError: if it does not describe a sweep.
    """
    try:
        with open_regular(path, _LONGEST) as file:
            text = file.read().decode("utf-8-sig")
        if _DEEP_KEY.search(text):
            raise ValueError("it has a key of more than 100 parts")
        content = tomllib.loads(text)
    except FileFormatError:
        raise
    except UnicodeDecodeError:
        raise FileFormatError(f"{path}: not TOML, which is UTF-8; save it as that") from None
    except ValueError as error:  # numbers of too many digits are none of tomllib's own errors
        raise FileFormatError(f"{path}: not TOML ({error})") from None
    except RecursionError:
        raise FileFormatError(f"{path}: its brackets are nested too deeply") from None
    try:
        return dataclasses.replace(make_spec(content, root=path.parent), file=path)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def make_spec(description: Mapping[str, Any], root: Path = Path()) -> Spec:
    """Returns a sweep from a mapping, as a TOML file would give it.

    Args:
      description: `content` and `style`, each a file, a folder, a pattern or a list of them;
        `combine` ("grid", "zip" or "random"), `count` for "random", `seed`; and `options`, those
        of `jaxstyle stylize` by name. An option's value is one value; a list of values; an even
        range `{from, to, count}`; or random draws `{low, high, count}`; the last two with `scale`
        ("linear" or "log") and `whole` (true for whole numbers) if wanted. In a "random" sweep
        each job draws from lists and ranges alike.
      root: the folder that names of pictures are relative to.

    Raises:
      UsageError: if something is missing, unknown or contradictory.

    Example:
      >>> spec = make_spec({"content": "a.jpg", "style": "b.jpg", "options": {
      ...     "steps": 100,
      ...     "style-weight": {"from": 0.1, "to": 10, "count": 3, "scale": "log"},
      ...     "seed": [0, 1]}})
      >>> [point.options["style-weight"] for point in spec.points()]
      [0.1, 0.1, 1.0, 1.0, 10.0, 10.0]
    """
    try:
        with usage_errors():
            return _make_spec(description, root)
    except RecursionError:
        raise UsageError("the description is nested too deeply") from None


def _make_spec(description: Mapping[str, Any], root: Path) -> Spec:
    _check_keys("the sweep", description, _KEYS, picture_options("stylize"))
    combine = description.get("combine", "grid")
    check_choice("combine", combine, get_args(Combine))
    count, seed = description.get("count"), description.get("seed", 0)
    if combine == "random" and not _is_count(count):
        raise ValueError(f'combine = "random" needs count, the number of jobs, got {brief(count)}')
    if combine != "random" and count is not None:
        raise ValueError(f'count is for combine = "random", not for "{combine}"')
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed should be a whole number of at least 0, got {brief(seed)}")
    pictures, names = {}, []
    for kind in ("content", "style"):
        given = description.get(kind, [])
        given = [given] if isinstance(given, str | Path) else given
        if (
            not isinstance(given, Sequence)
            or not given
            or not all(isinstance(name, str | Path) for name in given)
        ):
            raise ValueError(f"{kind} should be a file, a folder, a pattern or a list of them")
        with usage_errors(kind):
            texts = [not_empty(str(name)) for name in given]
        pictures[kind] = tuple(find_pictures(texts, root))
        names += texts
    axes: dict[str, list[Any] | Draws] = {}
    fixed: dict[str, Any] = {}
    given = description.get("options", {})
    if not isinstance(given, Mapping):
        raise ValueError(f"options should be a table, got {brief(given)}")
    for i, (name, value) in enumerate(given.items()):
        rng = np.random.default_rng([seed, i])
        values = _values(name, value, combine, rng)
        if values is None:
            fixed[name] = _relocated(name, _checked(name, value), root)
        elif isinstance(values, Draws):
            _checked(name, values.at(0.0)), _checked(name, values.at(1.0))
            axes[name] = values
        else:
            axes[name] = [_relocated(name, _checked(name, each), root) for each in values]
    spec = Spec(
        pictures["content"],
        pictures["style"],
        axes,
        fixed,
        combine,
        count,
        seed,
        tuple(names),
        root,
    )
    spec.points()  # what is wrong should be found before hours of work
    return spec


def _checked(name: str, value: Any) -> Any:
    return check_options("stylize", {name: value})[name]


def _relocated(name: str, value: Any, root: Path) -> Any:
    """Returns a value whose files are relative to a folder, where they are found there."""

    def found(file: str) -> str:
        return str(root / file) if (root / file).is_file() else file

    return picture_options("stylize")[name].kind.relocate(value, found)


def _values(
    name: str, value: Any, combine: Combine, rng: np.random.Generator
) -> list[Any] | Draws | None:
    """The values of an option that varies, or None for one that does not."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not value:
            raise ValueError(f"{name} has no values")
        _check_count(name, len(value))
        return list(value)
    if not isinstance(value, Mapping) or not {"from", "to", "low", "high"} & set(value):
        return None
    drawn = "low" in value or "high" in value
    _check_keys(name, value, _DRAWS if drawn else _RANGES)
    low, high = (value.get(key, math.nan) for key in (_DRAWS if drawn else _RANGES)[:2])
    if not all(_is_number(x) for x in (low, high)):
        ends = "low and high" if drawn else "from and to"
        raise ValueError(f"{name} needs {ends}, both numbers")
    scale = value.get("scale", "linear")
    check_choice(f"scale of {name}", scale, ("linear", "log"))
    if scale == "log" and min(low, high) <= 0:
        raise ValueError(f"{name}: a logarithmic scale needs numbers greater than 0")
    whole = value.get("whole", False)
    if not isinstance(whole, bool):
        raise ValueError(f"whole of {name} should be true or false, got {brief(whole)}")
    draws = Draws(low, high, scale == "log", whole)
    count = value.get("count")
    if combine == "random" and count is None:
        return draws
    if not _is_count(count):
        raise ValueError(f"{name} needs count, the number of its values, got {brief(count)}")
    if combine == "random":
        return draws
    _check_count(name, count)
    if drawn:
        return [draws.at(fraction) for fraction in np.asarray(rng.random(count)).tolist()]
    return [draws.at(fraction) for fraction in np.linspace(0, 1, count).tolist()]


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) < 1e300  # compared: a whole number may be too large for a float


def _is_count(count: Any) -> TypeGuard[int]:
    return isinstance(count, int) and not isinstance(count, bool) and count >= 1


def _check_count(what: str, count: int) -> None:
    if count > MOST_JOBS:
        kind = "jobs" if what == "the sweep" else "values"
        raise UsageError(
            f"{what} has more than {MOST_JOBS} {kind}, the most that a sweep can have; divide it"
        )


def _check_keys(
    what: str, given: Mapping[str, Any], valid: Sequence[str], options: Container[str] = ()
) -> None:
    """Raises `ValueError` for a key that is not valid; some may be options at the wrong place."""
    for key in given:
        if key in options and key not in valid:
            raise ValueError(f"{key} is an option; write it below [options]")
        if key not in valid:
            raise ValueError(f"{what} has no {brief(key)}; valid: {', '.join(valid)}")
