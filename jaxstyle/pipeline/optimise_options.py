"""What the options of an optimisation come to: scales, what is compared, weights, the solver."""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, cast

import jax
import numpy as np
from jax import Array

from jaxstyle import solvers
from jaxstyle._common.arrays import to_device
from jaxstyle.errors import OptionError, usage_errors
from jaxstyle.losses.content import get_content_loss
from jaxstyle.losses.spec import LossSpec, LossWeights
from jaxstyle.losses.statistics import get_statistic
from jaxstyle.networks.vgg import Params
from jaxstyle.optimization import multiscale
from jaxstyle.optimization.multiscale import Scale
from jaxstyle.optimization.presets import PRESETS, Preset
from jaxstyle.optimization.strength import Strength, find_strength, weaken
from jaxstyle.pipeline.file_options import exclusive
from jaxstyle.solvers import Solver


def make_scales(given: Mapping[str, Any], filled: Mapping[str, Any]) -> tuple[Scale, ...]:
    """Returns the scales of a recipe; without the option, the size and the steps."""
    if "scales" not in given:
        if "scale-steps" in given:
            raise OptionError("{} needs {} beside it", "scale-steps", "scales")
        return (Scale(filled["size"], filled["steps"]),)
    if "scale-steps" in given and "steps" in given:
        raise exclusive("steps", "scale-steps")
    sizes = given["scales"]
    if sizes == "auto":
        sizes = multiscale.automatic_sizes(filled["size"])
    elif given.get("size", sizes[-1]) != sizes[-1]:
        raise OptionError(
            "{} {size} and {} that end at {last} contradict each other; leave {} out",
            "size", "scales", "size", size=given["size"], last=sizes[-1],
        )  # fmt: skip
    with usage_errors("scale-steps"):
        return multiscale.make_scales(sizes, given.get("scale-steps", filled["steps"]))


def make_spec(command: str, spec: LossSpec, options: Mapping[str, Any]) -> LossSpec:
    """Returns what is compared: a preset's spec, changed by options."""
    computed = {
        name: options[name]
        for name in ("pooling", "padding", "convolution", "memory", "precision")
        if name in options
    }
    changes: dict[str, Any] = {}
    if computed:
        with usage_errors(next(iter(computed))):
            spec = spec.with_vgg(**computed)
    if "tv" in options:
        changes["total_variation"] = options["tv"]
    for name in ("statistic", "content-loss"):
        if name in options:
            changes[name.replace("-", "_")] = options[name]
    if "content-loss" in options and get_content_loss(options["content-loss"]).layers:
        changes["content_layers"] = get_content_loss(options["content-loss"]).layers
    if "places" in options:
        changes["places"] = options["places"] > 0
    for name in ("content_layers", "style_layers"):
        if (option := name.replace("_", "-")) in options:
            changes[name] = tuple(options[option])
    if command == "texture":
        changes["content_layers"] = ()
    if command == "reconstruct":
        changes |= {"content_layers": (options["layer"],), "style_layers": ()}
        changes["content_loss"] = "features"
    _check_pieces(changes, spec, options)
    return dataclasses.replace(spec, **changes)


def _check_pieces(changes: Mapping[str, Any], spec: LossSpec, options: Mapping[str, Any]) -> None:
    """Raises `OptionError` where pieces of paintings cannot be matched as options ask for."""
    name = changes.get("statistic", spec.statistic)
    statistic, places = get_statistic(name), changes.get("places", spec.places)
    if places and statistic.joint is not None:
        raise OptionError(
            "{} is not for {} {name}, which matches pieces itself", "places", "statistic", name=name
        )
    what = "places" if places else f"statistic {name}"
    if options.get("mix-by") == "targets" and (places or statistic.keeps_pieces):
        raise OptionError(
            "{} targets is not for {what}: pieces have no mean; use losses", "mix-by", what=what
        )
    if "fine-style" in options and (places or statistic.joint is not None):
        raise OptionError(
            "{} is not for {what}, whose pieces have all scales; leave one out", "fine-style",
            what=what,
        )  # fmt: skip


def make_weights(
    preset: Preset,
    spec: LossSpec,
    options: Mapping[str, Any],
    params: Params,
    shape: tuple[int, int],
) -> LossWeights:
    """Returns the weights of an optimisation, resolved.

    Args:
      preset: the one that suits the network.
      spec: what is compared.
      options: of the recipe.
      params: the network's parameters.
      shape: height and width of the picture.
    """
    weights = preset.weights(params, shape, spec).resolve(spec)
    strength = strength_of(preset, options)
    if strength is not None:
        weights = weaken(weights, strength.multiple, preset.smoothing)
    changes: dict[str, Any] = {}
    for kind in ("content", "style"):
        layers = options.get(f"{kind}-layers", {})
        factors = [layers.get(layer, 1.0) for layer in getattr(spec, f"{kind}_layers")]
        # NumPy compiles nothing.
        factor = options.get(f"{kind}-weight", 1.0) * np.asarray(factors, np.float32)
        with np.errstate(over="ignore"):  # a loss that is not finite is told of as such
            changes[kind] = to_device(jax.device_get(getattr(weights, kind)) * factor)
    for name, field in (("tv-weight", "total_variation"), ("range-weight", "out_of_range")):
        if name in options:
            changes[field] = to_device(options[name])
    if options.get("places"):
        changes["places"] = to_device(options["places"])
    if "smooth" in options:
        own = float(cast(Array, weights.total_variation))
        share = 1.0 if strength is None else strength.multiple
        smoothed = _smoothed(preset, own, options["smooth"], share)
        changes["total_variation"] = to_device(smoothed)
    return dataclasses.replace(weights, **changes)


def strength_of(preset: Preset, options: Mapping[str, Any]) -> Strength | None:
    """Returns what the option strength comes to, or None without it.

    Raises:
      OptionError: if no strengths were measured for the recipe.
    """
    if "strength" not in options:
        return None
    if not preset.strengths:
        known = ", ".join(each.name for each in PRESETS.values() if each.strengths)
        raise OptionError(
            "{} is measured for the recipes {known} and not for {preset}; use {}",
            "strength", "style-weight", known=known, preset=preset.name,
        )  # fmt: skip
    return find_strength(preset.strengths, options["strength"])


def _smoothed(preset: Preset, own: float, times: float, share: float) -> float:
    """Returns a recipe's weight of the total variation, so many times as large.

    Args:
      preset: the recipe.
      own: its weight.
      times: how many times as large.
      share: how much the style counts, and with it a step of smoothing; from 0 to 1.

    Raises:
      OptionError: if the recipe has none, and no measure for it either.
    """
    step = own or share * preset.smoothing
    if times > 1 and not (own or preset.smoothing):
        raise OptionError(
            "{} multiplies the smoothing of the recipe, and {preset} has none; use {}",
            "smooth", "tv-weight", preset=preset.name,
        )  # fmt: skip
    return own * times if times <= 1 else own + (times - 1) * step


def make_solver(preset: Preset, options: Mapping[str, Any]) -> tuple[Solver, str]:
    """Returns the solver, and a text that says how it was made."""
    given = [name for name in ("history", "preconditioning", "learning-rate") if name in options]
    if "solver" not in options:
        if given:
            raise OptionError("{} needs {} beside it", given[0], "solver")
        return preset.solver(), f"of preset {preset.name}"
    name = options["solver"]
    valid = inspect.signature(solvers.SOLVERS[name]).parameters
    for option in given:
        if option.replace("-", "_") not in valid:
            raise OptionError("{} is not for {} {name}; leave it out", option, "solver", name=name)
    # The learning rate stays out of the solver: as an array it compiles nothing again.
    settings = {key: options[key] for key in given if key != "learning-rate"}
    return solvers.make_solver(name, **settings), repr((name, settings))
