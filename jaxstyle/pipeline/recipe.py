"""Recipes: what the options of a picture come to, before any file is read."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxstyle.pipeline import file_options
from jaxstyle.pipeline.method import Method
from jaxstyle.pipeline.optimise import make_optimisation
from jaxstyle.pipeline.painting_options import make_painting


class Recipe(NamedTuple):
    """How a picture is made.

    Attributes:
      command: "stylize", "texture" or "reconstruct".
      options: the options, with the defaults filled in that do not depend on a picture.
      method: what makes the picture, with all that belongs to this way of making it.
      given: the names of the options that were given, sorted; the others were filled in.
    """

    command: str
    options: dict[str, Any]
    method: Method
    given: tuple[str, ...]

    @property
    def num_steps(self) -> int:
        """Steps that the method makes."""
        return self.method.num_steps


def make_recipe(command: str, options: Mapping[str, Any]) -> Recipe:
    """Returns the recipe of checked options; see `jaxstyle.pipeline.options`.

    Args:
      command: "stylize", "texture", "reconstruct" or "apply".
      options: by name, as `check_options` returns them.

    Raises:
      UsageError: if the options contradict each other.
    """
    if command == "apply":
        file_options.check_alternatives(options)
        painting, filled = make_painting(dict(options), options)
        return Recipe(command, filled, painting, tuple(sorted(options)))
    file_options.check_together(options)
    filled = {"network": "auto", "size": 512, "seed": 0}
    if command == "reconstruct":
        filled["layer"] = "relu4_2"
    method, filled = make_optimisation(command, filled | dict(options), options)
    return Recipe(command, filled, method, tuple(sorted(options)))
