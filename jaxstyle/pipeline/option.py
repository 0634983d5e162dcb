"""An option: a row of the table that command line, sweeps, docs and forms are generated from."""

import dataclasses
from typing import Literal

from jaxstyle.pipeline.kinds import Kind

Group = Literal["picture", "style", "colour", "regions", "method", "expert", "output", "machine"]


@dataclasses.dataclass(frozen=True)
class Option:
    """A row of the table.

    Attributes:
      name: "style-weight": the name in sweeps and stored settings; the flag is `--style-weight`.
      kind: what its values are.
      help: what it does, in a sentence that begins with a verb.
      group: the heading that it stands under.
      commands: the commands that have it.
      metavar: what stands for its value in a synopsis.
      default: what holds without it, in words.
      shapes: whether it shapes the picture. Such options belong to a recipe, may vary in sweeps
        and are stored in pictures; the others say how the program runs and what it writes.
    """

    name: str
    kind: Kind
    help: str
    group: Group
    commands: tuple[str, ...]
    metavar: str = ""
    default: str = ""
    shapes: bool = True

    @property
    def choices(self) -> tuple[str, ...] | None:
        """The valid values, where there are few."""
        return self.kind.choices
