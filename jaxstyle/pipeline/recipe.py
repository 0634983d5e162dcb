"""From options to a recipe: which layers, weights, solver, start and network they come to."""

import dataclasses
import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle import solvers
from jaxstyle.losses.spec import LossSpec, LossWeights
from jaxstyle.networks import vgg
from jaxstyle.networks.catalogue import COMPACT
from jaxstyle.networks.load import Network, load_network
from jaxstyle.networks.vgg import Params
from jaxstyle.optimization.multiscale import Scale, automatic_sizes, make_scales
from jaxstyle.optimization.presets import Preset, get_preset
from jaxstyle.pipeline import file_options
from jaxstyle.pipeline.options import numbers
from jaxstyle.solvers import Solver


class Recipe(NamedTuple):
    """What options come to.

    Attributes:
      command: "stylize", "texture" or "reconstruct".
      options: the options, with the defaults filled in that do not depend on a picture.
      preset: the recipe that they change.
      preset_given: whether they name it.
      spec: what is compared.
      solver: the method.
      learning_rate: of the solver, or None for its own.
      scales: the sizes on the way, the last of them that of the picture, and the steps at each.
      noise: standard deviation of the noise in the start, or None for the start's own.
    """

    command: str
    options: dict[str, Any]
    preset: Preset
    preset_given: bool
    spec: LossSpec
    solver: Solver
    learning_rate: float | None
    scales: tuple[Scale, ...]
    noise: float | None

    @property
    def num_steps(self) -> int:
        """Steps of the solver over all scales."""
        return sum(scale.num_steps for scale in self.scales)


def make_recipe(command: str, options: Mapping[str, Any]) -> Recipe:
    """Fills what the options leave open.

    Args:
      command: "stylize", "texture" or "reconstruct".
      options: as `jaxstyle.pipeline.options` parses them.

    Raises:
      ValueError: if they contradict each other.
    """
    preset = get_preset(options.get("preset", "default"))
    init = preset.init if command == "stylize" else "noise"
    defaults: dict[str, Any] = {"preset": preset.name, "network": "auto", "size": 512, "seed": 0}
    defaults |= {"init": init, "steps": preset.num_steps}
    if command == "reconstruct":
        defaults["layer"] = "relu4_2"
    filled = defaults | dict(options)
    file_options.check_together(filled)
    scales = _make_scales(options, filled)
    filled["size"] = scales[-1].size
    if "scale_steps" in filled:
        del filled["steps"]
    # A noise that belongs to the recipe's own start belongs to no other.
    own_start = command == "stylize" and filled["init"] == preset.init
    return Recipe(
        command=command,
        options=filled,
        preset=preset,
        preset_given="preset" in options,
        spec=_make_spec(command, preset.spec, filled),
        solver=_make_solver(preset, filled),
        learning_rate=filled.get("learning_rate"),
        scales=scales,
        noise=filled.get("init_noise", preset.noise if own_start else None),
    )


def _make_scales(given: Mapping[str, Any], filled: Mapping[str, Any]) -> tuple[Scale, ...]:
    """The scales of a recipe; without the option, the size and the steps."""
    if "scales" not in given:
        if "scale_steps" in given:
            raise ValueError("--scale-steps needs --scales beside it")
        return (Scale(filled["size"], filled["steps"]),)
    if "scale_steps" in given and "steps" in given:
        raise ValueError("--steps and --scale-steps exclude each other; give one of them")
    if given["scales"] == "auto":
        sizes = automatic_sizes(filled["size"])
    else:
        sizes = numbers(given["scales"])
        if given.get("size", sizes[-1]) != sizes[-1]:
            raise ValueError(
                f"--size {given['size']} and --scales that end at {sizes[-1]} contradict each "
                "other; leave --size out"
            )
    steps = numbers(given["scale_steps"]) if "scale_steps" in given else filled["steps"]
    try:
        return make_scales(sizes, steps)
    except ValueError as error:
        raise ValueError(f"--scale-steps: {error}") from None


def _make_spec(command: str, spec: LossSpec, options: Mapping[str, Any]) -> LossSpec:
    same_name = ("pooling", "padding", "convolution", "memory", "precision")
    changes = {name: options[name] for name in same_name if name in options}
    if "tv" in options:
        changes["total_variation"] = options["tv"]
    if "statistic" in options:
        changes["statistic"] = options["statistic"]
    for name in ("content_layers", "style_layers"):
        if name in options:
            changes[name] = tuple(options[name])
    if command == "texture":
        changes["content_layers"] = ()
    if command == "reconstruct":
        changes |= {"content_layers": (options["layer"],), "style_layers": ()}
    return dataclasses.replace(spec, **changes)


def _make_solver(preset: Preset, options: Mapping[str, Any]) -> Solver:
    given = [name for name in ("history", "preconditioning", "learning_rate") if name in options]
    flags = [f"--{name.replace('_', '-')}" for name in given]
    if "solver" not in options:
        if given:
            raise ValueError(f"{flags[0]} needs --solver beside it")
        return preset.solver()
    name = options["solver"]
    valid = inspect.signature(solvers.SOLVERS[name]).parameters
    for flag, setting in zip(flags, given, strict=True):
        if setting not in valid:
            raise ValueError(f"{flag} is not for --solver {name}; leave it out")
    # The learning rate stays out of the solver: as an array it compiles nothing anew.
    settings = {key: options[key] for key in given if key != "learning_rate"}
    return solvers.make_solver(name, **settings)


def find_network(
    recipe: Recipe, images: Sequence[Array], *, download: bool = True
) -> tuple[Recipe, Network]:
    """The network that a recipe asks for, and the recipe as it suits that network.

    Args:
      recipe: from `make_recipe`.
      images: what a network other than Oxford's VGG-19 is normalised over.
      download: whether it may be downloaded.

    Raises:
      ValueError, FileNotFoundError, DownloadError, FileFormatError: as for
        `jaxstyle.networks.load.load_network`.
    """
    name, preset = recipe.options["network"], recipe.preset
    network = load_network(
        preset.network if name == "auto" else name,
        # A file of the user's is taken as it is, where the recipe does not ask for more.
        normalized=preset.normalized or (False if name in ("auto", COMPACT) else None),
        images=images,
        fallback=COMPACT if name == "auto" else None,
        download=download,
    )
    params = preset.prepare(network.params, network.metadata["weights"])
    network = network._replace(params=dict(params))
    # By what the file says, not by its name: it may be a copy, or another of its kind.
    if network.metadata["network"] == COMPACT and not recipe.preset_given:
        recipe = with_preset(recipe, get_preset(COMPACT))
    return recipe, network


def with_preset(recipe: Recipe, preset: Preset) -> Recipe:
    """A recipe with the weights and the solver of another preset of the same layers and steps."""
    options = recipe.options | {"preset": preset.name}
    return recipe._replace(preset=preset, options=options, solver=_make_solver(preset, options))


def check_layers(recipe: Recipe, network: Network) -> None:
    """Raises `ValueError` that lists a network's layers if it lacks one that a recipe compares."""
    try:
        vgg.check_layers(recipe.spec.layers, vgg.network_widths(network.params))
    except ValueError as error:
        raise ValueError(f"--network {recipe.options['network']}: {error}") from None


def make_weights(recipe: Recipe, params: Params, shape: tuple[int, int]) -> LossWeights:
    """The recipe's weights, resolved.

    Args:
      recipe: with the preset that fits the network.
      params: the network's parameters.
      shape: height and width of the picture.
    """
    widths = vgg.network_widths(params)
    weights = _preset_weights(recipe.preset.name, recipe.spec, widths, shape)
    options = recipe.options
    changes: dict[str, Any] = {}
    for kind in ("content", "style"):
        layers = options.get(f"{kind}_layers", {})
        factors = [layers.get(layer, 1.0) for layer in getattr(recipe.spec, f"{kind}_layers")]
        factor = options.get(f"{kind}_weight", 1.0) * jnp.asarray(factors, jnp.float32)
        changes[kind] = getattr(weights, kind) * factor
    if "tv_weight" in options:
        changes["total_variation"] = options["tv_weight"]
    if "range_weight" in options:
        changes["out_of_range"] = options["range_weight"]
    return dataclasses.replace(weights, **changes).resolve(recipe.spec)


@functools.lru_cache(maxsize=64)
def _preset_weights(
    name: str, spec: LossSpec, widths: vgg.Widths, shape: tuple[int, int]
) -> LossWeights:
    # It depends on the widths alone, and tracing the network for each of many jobs would add up.
    params = jax.eval_shape(lambda key: vgg.init_params(key, widths), jax.random.key(0))
    return get_preset(name).weights(params, shape, spec).resolve(spec)
