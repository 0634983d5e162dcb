"""The kinds of values that options have: how each is read, checked and written.

A value comes as text from a command line or from the settings inside a picture, and as a number,
text, list or table from a sweep's file. Either way it ends as the same Python value. What is wrong
with it is a `ValueError` that completes a sentence beginning with the option's name.
"""

import dataclasses
import itertools
import math
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from jaxstyle.pipeline.choices import check_layers


class NamedFile(NamedTuple):
    """A file that an option's value names.

    Attributes:
      role: "style" for a painting, "mask", or "other" for what may also be no file.
      name: the file, as the user names it.
    """

    role: str
    name: str


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of value. The base class takes any text that is not empty.

    Attributes:
      choices: the valid values, where there are few; None where any will do.
    """

    choices: tuple[str, ...] | None = None
    repeats: ClassVar[bool] = False
    """Whether a command line may give the option several times; see `parse_all`."""

    def parse(self, text: str) -> Any:
        """Returns the value that a text stands for.

        Raises:
          ValueError: if it stands for none.
        """
        return not_empty(text)

    def parse_all(self, texts: Sequence[str]) -> Any:
        """Returns the value that the texts of a command line stand for together.

        Raises:
          ValueError: if they stand for none.
        """
        return self.parse(texts[-1])

    def texts(self, value: Any) -> list[str]:
        """Returns a value as the texts of a command line, from which `parse_all` reads it."""
        return [self.text(value)]

    def check(self, value: Any) -> Any:
        """Returns the value that something from a sweep's file or a program stands for.

        Raises:
          ValueError: if it stands for none.
        """
        if isinstance(value, str):
            return self.parse(value)
        raise ValueError(f"should be text, got {brief(value)}")

    def text(self, value: Any) -> str:
        """Returns a value as a text that `parse` reads back."""
        return str(value)

    def files(self, value: Any) -> Iterator[NamedFile]:
        """Yields the files that a value names."""
        yield from ()

    def relocate(self, value: Any, found: Callable[[str], str]) -> Any:
        """Returns a value whose files are renamed by a function."""
        return value


@dataclasses.dataclass(frozen=True)
class Flag(Kind):
    """An option without a value, given or not."""

    def parse(self, text: str) -> bool:
        if text not in ("true", "false"):
            raise ValueError(f"should be true or false, got {brief(text)}")
        return text == "true"

    def text(self, value: bool) -> str:
        return "true" if value else "false"

    def check(self, value: Any) -> bool:
        return value if isinstance(value, bool) else self.parse(str(value))


@dataclasses.dataclass(frozen=True)
class Choice(Kind):
    """One of a few texts; `bare` is what the option stands for without a value, if it may."""

    choices: tuple[str, ...] = ()
    bare: str | None = None

    def parse(self, text: str) -> str:
        if text not in self.choices:
            raise ValueError(f"should be one of {', '.join(self.choices)}, got {brief(text)}")
        return text


@dataclasses.dataclass(frozen=True)
class Number(Kind):
    """A number in a range.

    Attributes:
      least: the smallest value.
      most: the largest value.
      whole: whether only whole numbers will do.
      above: whether the value has to be greater than `least`.
    """

    least: float = 0
    most: float = math.inf
    whole: bool = False
    above: bool = False

    def parse(self, text: str) -> float:
        try:
            value = int(text) if self.whole else float(text)
        except ValueError:
            value = math.nan
        return self._in_range(value, text)

    def check(self, value: Any) -> float:
        if isinstance(value, str):
            return self.parse(value)
        kinds = int if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise ValueError(f"should be {self.expected}, got {brief(value)}")
        try:
            return self._in_range(value if self.whole else float(value), value)
        except OverflowError:  # a whole number that no float holds
            raise ValueError(f"should be {self.expected}, got a number too large") from None

    @property
    def expected(self) -> str:
        """What a right value is, for a message."""
        number = "a whole number" if self.whole else "a number"
        if self.above:
            most = f" and at most {self.most:g}" if math.isfinite(self.most) else ""
            return f"{number} greater than {self.least:g}{most}"
        if math.isfinite(self.most):
            return f"{number} from {self.least:.10g} to {self.most:.10g}"
        return f"{number} of at least {self.least:g}"

    def _in_range(self, value: float, given: Any) -> float:
        low = self.least < value if self.above else self.least <= value
        # Compared and not converted: a whole number may be too large for a float.
        if not (low and value <= self.most and value != math.inf):
            raise ValueError(f"should be {self.expected}, got {str(given)[:40]}")
        return value


def brief(value: Any) -> str:
    """Returns a value for a message: what somebody wrote may be long, or nested without end."""
    return reprlib.repr(value)


def not_empty(text: str) -> str:
    """Returns a text that can name something; a file's name has no NUL either.

    Raises:
      ValueError: if it cannot.
    """
    if not text:
        raise ValueError("should not be empty")
    if "\0" in text:
        raise ValueError(f"should hold no NUL, got {brief(text)}")
    return text


def short(number: float) -> str:
    """Returns a number as the shortest text that reads back to the same number.

    Example:
      >>> short(1.0), short(0.1)
      ('1', '0.1')
    """
    return repr(float(number)).removesuffix(".0")


def whole(least: int, most: int = 10**9) -> Number:
    """Returns the kind of a whole number in a range."""
    return Number(least=least, most=most, whole=True)


NOT_NEGATIVE = Number(least=0)
POSITIVE = Number(least=0, above=True)


@dataclasses.dataclass(frozen=True)
class FileName(Kind):
    """A file, or one of some names in its place.

    Attributes:
      role: see `NamedFile`.
      names: what may stand in place of a file.
    """

    role: str = "other"
    names: tuple[str, ...] = ()

    def files(self, value: str) -> Iterator[NamedFile]:
        if value not in self.names:
            yield NamedFile(self.role, value)

    def relocate(self, value: str, found: Callable[[str], str]) -> str:
        return value if value in self.names else found(value)


@dataclasses.dataclass(frozen=True)
class Layer(Kind):
    """The name of a layer.

    VGG-19 has the layers of every network. Whether the network at hand has the layer is seen
    later.
    """

    def parse(self, text: str) -> str:
        check_layers([text])
        return text


@dataclasses.dataclass(frozen=True)
class Layers(Kind):
    """Layers and their weights: "relu1_1,relu2_1=0.5", or a table from layer to weight."""

    def parse(self, text: str) -> dict[str, float]:
        layers: dict[str, float] = {}
        for part in text.split(","):
            name, equals, weight = part.strip().partition("=")
            if name in layers:
                raise ValueError(f"names {name} twice")
            layers[name] = NOT_NEGATIVE.parse(weight) if equals else 1.0
        check_layers(list(layers))
        return layers

    def check(self, value: Any) -> dict[str, float]:
        if not isinstance(value, Mapping):
            return self.parse(value) if isinstance(value, str) else super().check(value)
        check_layers([str(name) for name in value])
        return {name: NOT_NEGATIVE.check(weight) for name, weight in value.items()}

    def text(self, value: Mapping[str, float]) -> str:
        return ",".join(f"{layer}={short(weight)}" for layer, weight in value.items())


@dataclasses.dataclass(frozen=True)
class Levels(Kind):
    """Levels of features and their strengths: "4=0.5,3", or a table from level to strength.

    Example:
      >>> Levels().parse("4=0.5,3")
      {4: 0.5, 3: 1.0}
    """

    def parse(self, text: str) -> dict[int, float]:
        parts = [part.strip().partition("=") for part in text.split(",")]
        return self._checked([(name, share if equals else 1.0) for name, equals, share in parts])

    def check(self, value: Any) -> dict[int, float]:
        if isinstance(value, Mapping):
            return self._checked(list(value.items()))
        return self.parse(value) if isinstance(value, str) else super().check(value)

    def text(self, value: Mapping[int, float]) -> str:
        return ",".join(f"{level}={short(share)}" for level, share in value.items())

    def _checked(self, levels: Sequence[tuple[Any, Any]]) -> dict[int, float]:
        checked: dict[int, float] = {}
        for name, share in levels:
            level = int(whole(1, 4).check(name))
            if level in checked:
                raise ValueError(f"names level {level} twice")
            checked[level] = Number(most=1).check(share)
        if not checked:
            raise ValueError("should be one level or more, from 4 to 1, got none")
        return checked


@dataclasses.dataclass(frozen=True)
class Shares(Kind):
    """Names and their shares: "waves=0.3,night=0.7", or a table from name to share."""

    def parse(self, text: str) -> dict[str, float]:
        shares: dict[str, float] = {}
        for part in text.split(","):
            name, equals, share = (each.strip() for each in part.rpartition("="))
            if not equals or not name:
                raise ValueError(f"should be like waves=0.3,night=0.7, got {brief(text)}")
            if name in shares:
                raise ValueError(f"names {name} twice")
            shares[name] = NOT_NEGATIVE.parse(share)
        return self._checked(shares)

    def check(self, value: Any) -> dict[str, float]:
        if not isinstance(value, Mapping):
            return self.parse(value) if isinstance(value, str) else super().check(value)
        return self._checked({str(k): NOT_NEGATIVE.check(share) for k, share in value.items()})

    def text(self, value: Mapping[str, float]) -> str:
        return ",".join(f"{name}={short(share)}" for name, share in value.items())

    def _checked(self, shares: dict[str, float]) -> dict[str, float]:
        if not any(shares.values()):
            raise ValueError("should have a share greater than 0")
        return shares


@dataclasses.dataclass(frozen=True)
class Names(Kind):
    """Names, such as "waves,night"."""

    def parse(self, text: str) -> tuple[str, ...]:
        names = tuple(not_empty(part.strip()) for part in text.split(","))
        if len(set(names)) < len(names):
            raise ValueError(f"names one twice: {brief(text)}")
        return names

    def text(self, value: Sequence[str]) -> str:
        return ",".join(value)


@dataclasses.dataclass(frozen=True)
class WidthAndHeight(Kind):
    """A size such as "640x480"; the value is (height, width)."""

    def parse(self, text: str) -> tuple[int, int]:
        match = re.fullmatch(r"([1-9][0-9]{0,5})[xX×]([1-9][0-9]{0,5})", text)
        if match is None:
            raise ValueError(f"should be like 640x480, got {text[:40]}")
        return int(match[2]), int(match[1])

    def text(self, value: tuple[int, int]) -> str:
        return f"{value[1]}x{value[0]}"


@dataclasses.dataclass(frozen=True)
class Counts(Kind):
    """Whole numbers of at least 1, such as "500,200".

    Attributes:
      rising: whether each has to be greater than the one before.
      names: what may stand in place of the numbers.
    """

    rising: bool = False
    names: tuple[str, ...] = ()

    def parse(self, text: str) -> tuple[int, ...] | str:
        if text in self.names:
            return text
        return self._checked([whole(1).parse(part.strip()) for part in text.split(",")])

    def check(self, value: Any) -> tuple[int, ...] | str:
        if isinstance(value, str):
            return self.parse(value)
        if isinstance(value, Sequence):
            return self._checked([whole(1).check(each) for each in value])
        return self._checked([whole(1).check(value)])

    def text(self, value: tuple[int, ...] | str) -> str:
        return value if isinstance(value, str) else ",".join(map(str, value))

    def _checked(self, numbers: Sequence[float]) -> tuple[int, ...]:
        counts = tuple(int(number) for number in numbers)
        if not counts:
            raise ValueError("should be one whole number or more, got none")
        if self.rising and any(a >= b for a, b in itertools.pairwise(counts)):
            raise ValueError(f"should be numbers that rise, got {', '.join(map(str, counts))}")
        return counts


@dataclasses.dataclass(frozen=True)
class Shard(Kind):
    """A part of a whole such as "0/4": the first of four."""

    def parse(self, text: str) -> tuple[int, int]:
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal() and int(index) < int(count)):
            raise ValueError(f"should be like 0/4, I from 0 to N - 1, got {text}")
        return int(index), int(count)

    def text(self, value: tuple[int, int]) -> str:
        return f"{value[0]}/{value[1]}"
