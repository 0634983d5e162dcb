"""Recipes: what the options of a picture come to, before any file is read."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxstyle.errors import OptionError
from jaxstyle.optimization import multiscale
from jaxstyle.optimization.presets import get_preset
from jaxstyle.pipeline import file_options
from jaxstyle.pipeline.choices import STATISTICS
from jaxstyle.pipeline.method import Method
from jaxstyle.pipeline.optimise import Optimisation
from jaxstyle.pipeline.optimise_options import make_scales, make_solver, make_spec, strength_of
from jaxstyle.pipeline.painting_options import make_painting
from jaxstyle.pipeline.pieced import make_analogy, make_texture


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
      command: "stylize", "texture", "reconstruct", "apply" or "analogy".
      options: by name, as `check_options` returns them.

    Raises:
      UsageError: if the options contradict each other.
    """
    if command == "apply":
        file_options.check_alternatives(options)
        painting, filled = make_painting(dict(options), options)
        return Recipe(command, filled, painting, tuple(sorted(options)))
    if command == "analogy":
        pieced, filled = make_analogy(options)
        return Recipe(command, filled, pieced, tuple(sorted(options)))
    file_options.check_together(options)
    if command == "texture" and options.get("method", STATISTICS) != STATISTICS:
        pieced, filled = make_texture(options)
        return Recipe(command, filled, pieced, tuple(sorted(options)))
    for name in ("block", "evenness"):
        if name in options:
            raise OptionError("{} is for {} quilting and neighbours", name, "method")
    filled = {"network": "auto", "size": 512, "seed": 0}
    if command == "reconstruct":
        filled["layer"] = "relu4_2"
    method, filled = _make_optimisation(command, filled | dict(options), options)
    return Recipe(command, filled, method, tuple(sorted(options)))


def _make_optimisation(
    command: str, filled: dict[str, Any], given: Mapping[str, Any]
) -> tuple[Optimisation, dict[str, Any]]:
    """Returns the method that options come to, and the options with its defaults filled in.

    Args:
      command: "stylize", "texture" or "reconstruct".
      filled: the options, with the defaults that do not depend on the method.
      given: the options that were given.

    Raises:
      UsageError: if they contradict each other.
    """
    preset = get_preset(given.get("preset", "default"))
    init = preset.init if command == "stylize" else "noise"
    defaults = {"preset": preset.name, "init": init, "steps": preset.num_steps}
    filled = {**defaults, **filled}
    scales = make_scales(given, filled)
    if command == "stylize" and "scales" not in given:
        sizes = preset.sizes(filled["size"])
        scales = scales if len(sizes) == 1 else multiscale.make_scales(sizes, filled["steps"])
    filled["size"] = scales[-1].size
    if "scale-steps" in filled:
        del filled["steps"]
    # A noise that belongs to the recipe's own start belongs to no other.
    own_start = command == "stylize" and filled["init"] == preset.init
    solver, solver_name = make_solver(preset, filled)
    strength_of(preset, filled)  # refused here, before a network is looked for
    method = Optimisation(
        preset=preset,
        preset_given="preset" in given,
        spec=make_spec(command, preset.spec, filled),
        solver=solver,
        solver_name=solver_name,
        learning_rate=filled.get("learning-rate"),
        scales=scales,
        noise=filled.get("init-noise", preset.noise if own_start else None),
    )
    return method, filled
