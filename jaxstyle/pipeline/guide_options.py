"""The option that names guides: pairs of pictures that say which places belong together."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

from jaxstyle.pipeline.file_options import number_of, quoted, split_at, unquoted
from jaxstyle.pipeline.kinds import Kind, NamedFile, brief, short


class GuideOption(NamedTuple):
    """A guide as an option names it.

    Attributes:
      source: the file beside the painting.
      target: the file beside the picture to make.
      weight: how much it counts.
    """

    source: str
    target: str
    weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class Guides(Kind):
    """Guides: "mask.png,target=other-mask.png,weight=2", several parted by ";".

    The value is a tuple of `GuideOption`s.

    Example:
      >>> Guides().parse("a.png, target=b.png; c.png, target=d.png, weight=2")[1]
      GuideOption(source='c.png', target='d.png', weight=2.0)
    """

    repeats: ClassVar[bool] = True

    def parse(self, text: str) -> tuple[GuideOption, ...]:
        return tuple(map(_parse_guide, split_at(text, ";")))

    def parse_all(self, texts: Sequence[str]) -> tuple[GuideOption, ...]:
        return tuple(guide for text in texts for guide in self.parse(text))

    def text(self, value: tuple[GuideOption, ...]) -> str:
        return ";".join(self.texts(value))

    def texts(self, value: tuple[GuideOption, ...]) -> list[str]:
        return [_guide_text(guide) for guide in value]

    def files(self, value: tuple[GuideOption, ...]) -> Iterator[NamedFile]:
        for guide in value:
            yield NamedFile("mask", guide.source)
            yield NamedFile("mask", guide.target)

    def relocate(self, value: tuple[GuideOption, ...], found: Callable[[str], str]) -> Any:
        return tuple(
            guide._replace(source=found(guide.source), target=found(guide.target))
            for guide in value
        )


def _parse_guide(text: str) -> GuideOption:
    source, *rest = (each.strip() for each in split_at(text, ","))
    given: dict[str, str] = {}
    for each in rest:
        name, _, value = (part.strip() for part in each.partition("="))
        if name not in ("target", "weight") or not value or name in given:
            raise ValueError(f"takes target=FILE and weight=X after a file, got {brief(each)}")
        given[name] = unquoted(value)
    if not unquoted(source) or "target" not in given:
        raise ValueError(f"should be like a.png,target=b.png, got {brief(text.strip())}")
    weight = number_of(given.get("weight", "1"))
    if not weight > 0:
        raise ValueError(f"should have a weight greater than 0, got {given['weight'][:40]}")
    return GuideOption(unquoted(source), given["target"], weight)


def _guide_text(guide: GuideOption) -> str:
    parts = [quoted(guide.source, ";,="), f"target={quoted(guide.target, ';,')}"]
    parts += [f"weight={short(guide.weight)}"] if guide.weight != 1 else []
    return ",".join(parts)
