"""The option that names points: places of the photograph, and those of the painting for them."""

import dataclasses
import re
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from jaxstyle.pipeline.kinds import Kind, brief, short

Place = tuple[float, float]
"""Across and down, as fractions of width and height."""
MOST = 16
"""Points at most: each has a loss of its own at every layer."""
_NUMBER = r"\s*([0-9.]+)\s*"
_FORM = re.compile(f"{_NUMBER},{_NUMBER}={_NUMBER},{_NUMBER}")


class PointOption(NamedTuple):
    """A point as an option names it.

    Attributes:
      content: a place of the photograph.
      style: what it gets, a place of the painting.
    """

    content: Place
    style: Place


@dataclasses.dataclass(frozen=True)
class Points(Kind):
    """Points: "0.5,0.3=0.8,0.2", several parted by ";".

    The value is a tuple of `PointOption`s.

    Example:
      >>> Points().parse("0.5,0.3=0.8,0.2; 0,1=1,1")[0]
      PointOption(content=(0.5, 0.3), style=(0.8, 0.2))
    """

    repeats: ClassVar[bool] = True

    def parse(self, text: str) -> tuple[PointOption, ...]:
        return self.parse_all([text])

    def parse_all(self, texts: Sequence[str]) -> tuple[PointOption, ...]:
        points = tuple(_parse_point(each) for text in texts for each in text.split(";"))
        if len(points) > MOST:
            raise ValueError(f"should be at most {MOST} points, got {len(points)}")
        return points

    def text(self, value: tuple[PointOption, ...]) -> str:
        return ";".join(self.texts(value))

    def texts(self, value: tuple[PointOption, ...]) -> list[str]:
        return ["=".join(",".join(map(short, place)) for place in point) for point in value]


def _parse_point(text: str) -> PointOption:
    match = _FORM.fullmatch(text)
    try:
        numbers = [float(each) for each in match.groups()] if match else []
    except ValueError:  # such as 0.1.2
        numbers = []
    if not numbers or max(numbers) > 1:
        raise ValueError(
            "should be like 0.5,0.3=0.8,0.2: across and down in the photograph, then in the "
            f"painting, from 0 to 1; got {brief(text.strip())}"
        )
    x, y, style_x, style_y = numbers
    return PointOption((x, y), (style_x, style_y))
