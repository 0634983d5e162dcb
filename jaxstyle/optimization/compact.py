"""What suits the compact network: the parts of its recipe that differ from the default one.

Parameters are plain arrays and carry no name. The network is known by its layers and widths, which
no other has, and which are static: so a choice by them works under `jax.jit`.
"""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from jaxstyle import solvers
from jaxstyle.losses.spec import LossWeights
from jaxstyle.networks import vgg
from jaxstyle.solvers import Solver

_WIDTHS = ((16, 16), (48, 64), (96, 96, 96, 96), (192, 192, 192, 192), (384, 48, 48, 48))
WIDTHS = tuple(
    (f"conv{block}_{index}", width)
    for block, widths in enumerate(_WIDTHS, 1)
    for index, width in enumerate(widths, 1)
)
"""The convolutions of the compact network and their numbers of filters."""
WEIGHTS = LossWeights(total_variation=40.0)
"""How much each part counts with this network."""

Options = TypeVar("Options", bound=Mapping[str, Any])


def recipe_solver() -> Solver:
    """Returns the solver of the recipe.

    This network sees less of the finest noise than VGG-19 does, so it needs more preconditioning.
    """
    return solvers.lbfgs(preconditioning=0.5)


def is_compact(params: Any) -> bool:
    """Tells whether parameters are those of the compact network, by their layers and widths."""
    if not isinstance(params, Mapping) or "conv1_1" not in params:
        return False  # of a network of the user's own
    return vgg.network_widths(params) == WIDTHS


def as_it_suits(params: Any, options: Options) -> Options:
    """Returns keyword arguments in which weights and solver that are left out suit the network.

    Args:
      params: the network's parameters.
      options: as `jaxstyle.stylize` takes them. A solver of None counts as left out.
    """
    if not is_compact(params):
        return options
    given = {name: value for name, value in options.items() if value is not None}
    return cast(Options, {"weights": WEIGHTS, "solver": recipe_solver()} | given)
