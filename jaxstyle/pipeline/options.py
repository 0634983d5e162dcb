"""What may be asked of a picture, as text: the options of the command line and of sweeps.

Options have no defaults here: what was parsed holds just what was given, so that a recipe, or the
settings kept in a picture, can fill the rest.
"""

import argparse
import functools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar, get_args

from jaxstyle import solvers
from jaxstyle.losses.guidance import GuideMode
from jaxstyle.losses.objective import TotalVariation
from jaxstyle.losses.spec import Memory, Precision
from jaxstyle.losses.statistics import StatisticName
from jaxstyle.networks import vgg
from jaxstyle.networks.catalogue import FILES
from jaxstyle.networks.convolution import Convolution, Padding
from jaxstyle.optimization import multiscale
from jaxstyle.optimization.presets import PRESETS
from jaxstyle.pipeline import file_options
from jaxstyle.solvers import SOLVERS

Number = TypeVar("Number", int, float)
# Where each command may start from, besides a picture's file.
INITS = {
    "stylize": ("content", "noise", "white-noise", "style"),
    "texture": ("noise", "white-noise", "style"),
    "reconstruct": ("content", "noise", "white-noise"),
}

# Whose colours a stylised picture has: the painting's, or in some way the photograph's.
COLORS = ("style", "luminance", "match-cholesky", "match-pca", "match-symmetric", "histogram")


class UsageError(ValueError):
    """The arguments cannot be parsed; the message says why."""


class Parser(argparse.ArgumentParser):
    """Raises where argparse would print the usage and exit; takes no abbreviated options."""

    def __init__(self, **options: Any):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raises `UsageError`."""
        raise UsageError(f"{message}; see {self.prog} --help")


def parse(command: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name and value, checked as on the command line.

    Args:
      command: "stylize", "texture" or "reconstruct".
      options: such as `{"style-weight": 10, "init": "noise"}`; layers may be a mapping from layer
        to weight.

    Returns:
      The parsed values, under names with underscores.

    Raises:
      UsageError: if an option is unknown or its value wrong.

    Example:
      >>> parse("stylize", {"style-weight": 10, "style-layers": {"relu1_1": 1, "relu2_1": 0.5}})
      {'style_weight': 10.0, 'style_layers': {'relu1_1': 1.0, 'relu2_1': 0.5}}
    """
    parser = _recipe_parser(command)
    known = option_names(command)
    for name in options:
        if name not in known:
            raise UsageError(f"unknown option {name!r}; valid: {', '.join(known)}")
    return vars(parser.parse_args([f"--{name}={as_text(v)}" for name, v in options.items()]))


@functools.cache
def option_names(command: str) -> tuple[str, ...]:
    """The options that shape a picture of a command, sorted."""
    actions = _recipe_parser(command)._actions
    return tuple(sorted(string[2:] for action in actions for string in action.option_strings))


@functools.cache
def _recipe_parser(command: str) -> argparse.ArgumentParser:
    parser = Parser(prog=f"jaxstyle {command}", argument_default=argparse.SUPPRESS, add_help=False)
    add_recipe_options(parser, command)
    return parser


def as_text(value: Any) -> str:
    """A parsed option as it could be written on the command line."""
    if isinstance(value, Mapping):
        return ",".join(f"{layer}={_number_as_text(w)}" for layer, w in value.items())
    if isinstance(value, tuple):
        height, width = value
        return f"{width}x{height}"
    return str(value)


def _number_as_text(value: Any) -> str:
    return f"{value:.17g}" if isinstance(value, int | float) else str(value)


def add_recipe_options(parser: Any, command: str) -> None:
    """Adds the options that shape a picture to a parser, which should have no defaults."""
    add = parser.add_argument
    add(
        "--preset",
        choices=list(PRESETS),
        help="a recipe (default: default, or compact with that network); other options follow it",
    )
    add(
        "--network",
        metavar="NAME",
        help=f"auto, {', '.join(FILES)}, or a file",
    )
    add("--size", type=whole(1), metavar="N", help="longer side in pixels (default: 512)")
    add("--style-size", type=whole(1), metavar="N", help="the painting's longer side (SIZE)")
    add("--steps", type=whole(1), metavar="N", help="steps of the solver")
    add("--solver", choices=list(SOLVERS), help="the method")
    add("--history", type=whole(1), metavar="N", help="pairs that L-BFGS remembers")
    add(
        "--preconditioning",
        type=_not_negative,
        metavar="P",
        help=f"how far L-BFGS favours low frequencies; 0: plain pixels ({solvers.PRECONDITIONING})",
    )
    add("--learning-rate", type=positive, metavar="X", help="of adam and gradient-descent")
    add("--init", metavar="START", help=f"{', '.join(INITS[command])}, or a picture to start from")
    add("--init-noise", type=_not_negative, metavar="X", help="noise in the start, 0 to 1")
    add("--seed", type=whole(0, 2**32 - 1), metavar="N", help="of the noise (default: 0)")
    add("--pooling", choices=get_args(vgg.Pooling), help="of the network")
    add("--padding", choices=get_args(Padding), help="of the network's convolutions")
    add("--convolution", choices=get_args(Convolution), help="how they are computed (auto)")
    add("--memory", choices=get_args(Memory), help="low: large pictures in bands (auto)")
    add("--precision", choices=get_args(Precision), help="of the network's computation (float32)")
    if command == "texture":
        add(
            "--output-size",
            metavar="WIDTHxHEIGHT",
            type=_width_and_height,
            help="size of the texture (default: the painting's)",
        )
    if command == "reconstruct":
        add("--layer", metavar="LAYER", type=_layer, help="the layer to match (default: relu4_2)")
    add("--scales", type=_scales, metavar="N,N,…", help="sizes from coarse to fine, or auto")
    add("--scale-steps", type=_scale_steps, metavar="N,N,…", help="steps at each of the scales")
    _add_loss_options(parser, content=command == "stylize", style=command != "reconstruct")
    if command == "stylize":
        _add_controls(parser)


def _add_loss_options(parser: Any, *, content: bool, style: bool) -> None:
    add = parser.add_argument
    if content:
        add(
            "--content-weight",
            type=_not_negative,
            metavar="X",
            help="as a multiple of the recipe's (default: 1)",
        )
        add("--content-layers", type=_layers, metavar="L[=X],…", help="layers and their weights")
    if style:
        add("--statistic", choices=get_args(StatisticName), help="what is compared of a style")
        add(
            "--style-weight",
            type=_not_negative,
            metavar="X",
            help="as a multiple of the recipe's (default: 1)",
        )
        add("--style-layers", type=_layers, metavar="L[=X],…", help="layers and their weights")
    add("--tv-weight", type=_not_negative, metavar="X", help="of the total variation")
    add("--tv", choices=get_args(TotalVariation), help="kind of total variation")
    add(
        "--range-weight",
        type=_not_negative,
        metavar="X",
        help="keeps pixels in range while optimising; 0 clips at the end",
    )


def _add_controls(parser: Any) -> None:
    add = parser.add_argument
    add("--color", choices=COLORS, help="whose colours, and how they are kept (default: style)")
    add("--style-scale", type=positive, metavar="X", help="the painting's size, as a multiple")
    add(
        "--mix",
        type=_checked(file_options.parse_mix),
        metavar="STYLE=X;…",
        help="other paintings and their shares, from 0 to 1",
    )
    add(
        "--mix-by",
        choices=("losses", "targets"),
        help="whether a mixture sums losses or averages what they compare (default: losses)",
    )
    add("--fine-style", metavar="STYLE", help="a painting for the fine scales, blocks 1 and 2")
    add(
        "--regions",
        type=_checked(file_options.parse_regions),
        metavar="MASK[,style=STYLE][,style-mask=MASK][,weight=X];…",
        help="regions of the photograph and what each takes; rest is a mask too",
    )
    add("--guides", choices=get_args(GuideMode), help="how masks reach the layers (simple)")
    add("--keep", metavar="MASK", help="what is white in this picture is left untouched")


def whole(least: int, most: int = 10**9) -> Callable[[str], int]:
    """The type of an option: a whole number in a range."""
    return lambda text: _number(int, text, f"a whole number from {least} to {most}", least, most)


def positive(text: str) -> float:
    """The type of an option: a number greater than zero."""
    value = _not_negative(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"should be a number greater than 0, got {text}")
    return value


def _not_negative(text: str) -> float:
    return _number(float, text, "a number of at least 0", 0, math.inf)


def _number(
    kind: Callable[[str], Number], text: str, expected: str, least: float, most: float
) -> Number:
    try:
        value = kind(text)
    except ValueError:
        value = kind("-1")
    if not (math.isfinite(value) and least <= value <= most):
        raise argparse.ArgumentTypeError(f"should be {expected}, got {text}")
    return value


def _width_and_height(text: str) -> tuple[int, int]:
    """Height and width from "640x480"."""
    match = re.fullmatch(r"([1-9]\d*)[xX×]([1-9]\d*)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"should be like 640x480, got {text}")
    return int(match[2]), int(match[1])


def _checked(parse: Callable[[str], Any]) -> Callable[[str], str]:
    """The type of an option that stays text, and is parsed where it is used."""

    def check(text: str) -> str:
        try:
            parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return text

    return check


_scales = _checked(lambda text: text == "auto" or multiscale.make_scales(numbers(text), 1))
_scale_steps = _checked(lambda text: numbers(text))


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers of at least 1 from "500,200"."""
    return tuple(whole(1)(part.strip()) for part in text.split(","))


def _layer(text: str) -> str:
    # VGG-19 has the layers of every network; whether the one asked for has it is seen later.
    try:
        vgg.check_layers([text])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _layers(text: str) -> dict[str, float]:
    """Layers and weights from "relu1_1,relu2_1=0.5"."""
    layers: dict[str, float] = {}
    for part in text.split(","):
        name, equals, weight = part.strip().partition("=")
        if name in layers:
            raise argparse.ArgumentTypeError(f"names {name} twice")
        layers[_layer(name)] = _not_negative(weight) if equals else 1.0
    return layers
