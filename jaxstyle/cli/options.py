"""The command's arguments: what may be given, and what each must be.

Options have no defaults here: a parsed namespace holds just what was given, so that settings read
from a picture can fill the rest.
"""

import argparse
import importlib.metadata
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, get_args

from jaxstyle import vgg
from jaxstyle.convert import LAYOUTS
from jaxstyle.objective import TotalVariation
from jaxstyle.presets import PRESETS
from jaxstyle.solvers import SOLVERS

Number = TypeVar("Number", int, float)


class UsageError(ValueError):
    """The arguments cannot be parsed; the message says why."""


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would print the usage and exit; takes no abbreviated options."""

    def __init__(self, **options: Any):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; `run` in its namespace is what to call."""
    from jaxstyle.cli import demo, networks, pictures

    parser = _Parser(
        prog="jaxstyle",
        description="Neural style transfer in JAX: a photograph, a painting, a picture.",
    )
    try:
        version = importlib.metadata.version("jaxstyle")
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        version = "of this checkout"
    parser.add_argument("--version", action="version", version=f"jaxstyle {version}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    demonstration = _command(
        commands, "demo", demo.demo, "A first picture from what the package ships; no download."
    )
    add = demonstration.add_argument
    add("-o", "--output", metavar="OUT", help="default: jaxstyle-demo.png")
    add("--network", metavar="NAME", help="default: compact, the one that the package ships")
    add("--size", type=_whole(1), metavar="N", help="longer side in pixels (default: 320)")
    add("--steps", type=_whole(1), metavar="N", help="steps of the solver (default: 80)")
    add("--json", action="store_true", help="print a machine-readable summary")
    add("--quiet", action="store_true", help="print nothing but errors")

    stylize = _command(
        commands, "stylize", pictures.stylize, "A photograph in the style of a painting."
    )
    stylize.add_argument("content", metavar="CONTENT", help="the photograph")
    stylize.add_argument(
        "style",
        metavar="STYLE",
        nargs="+",
        help="the painting; several make one picture each, in the folder OUT",
    )
    _add_picture_options(stylize, ("content", "noise", "style"))
    _add_loss_options(stylize, content=True, style=True)

    texture = _command(
        commands, "texture", pictures.texture, "A texture like a painting, from noise."
    )
    texture.add_argument("style", metavar="STYLE", help="the painting")
    _add_picture_options(texture, ("noise", "style"))
    _add_loss_options(texture, content=False, style=True)
    texture.add_argument(
        "--output-size",
        metavar="WIDTHxHEIGHT",
        type=_width_and_height,
        help="size of the texture (default: the painting's)",
    )

    reconstruct = _command(
        commands,
        "reconstruct",
        pictures.reconstruct,
        "What one layer keeps of a photograph, from noise.",
    )
    reconstruct.add_argument("content", metavar="CONTENT", help="the photograph")
    reconstruct.add_argument(
        "--layer", metavar="LAYER", type=_layer, help="the layer to match (default: relu4_2)"
    )
    _add_picture_options(reconstruct, ("noise", "content"))
    _add_loss_options(reconstruct, content=False, style=False)

    weights = _command(
        commands, "weights", networks.list_networks, "Find, download, convert, check networks."
    )
    actions = weights.add_subparsers(metavar="ACTION", required=True)
    _add_network_actions(actions, networks)
    return parser


def _command(
    commands: Any, name: str, run: Callable[[dict[str, Any]], int], summary: str
) -> argparse.ArgumentParser:
    """Adds a subcommand; a namespace that it parses holds just what was given, and `run`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary, argument_default=argparse.SUPPRESS
    )
    parser.set_defaults(run=run)
    parser.add_argument("--debug", action="store_true", help="show a traceback with an error")
    return parser


def _add_picture_options(parser: Any, inits: tuple[str, ...]) -> None:
    add = parser.add_argument
    add("-o", "--output", metavar="OUT", required=True, help="the picture to write")
    add("--preset", choices=list(PRESETS), help="a recipe (default: default); others follow it")
    add(
        "--network",
        metavar="NAME",
        help="auto, vgg19, vgg19-normalized, vgg19-torchvision, compact, or a file",
    )
    add("--no-download", action="store_true", help="never download a network")
    add("--size", type=_whole(1), metavar="N", help="longer side in pixels (default: 512)")
    add("--style-size", type=_whole(1), metavar="N", help="the painting's longer side (SIZE)")
    add("--steps", type=_whole(1), metavar="N", help="steps of the solver")
    add("--solver", choices=list(SOLVERS), help="the method")
    add("--history", type=_whole(1), metavar="N", help="pairs that L-BFGS remembers")
    add("--learning-rate", type=_positive, metavar="X", help="of adam and gradient-descent")
    add("--init", metavar="START", help=f"{', '.join(inits)}, or a picture to start from")
    add("--init-noise", type=_not_negative, metavar="X", help="noise in the start, 0 to 1")
    add("--seed", type=_whole(0, 2**32 - 1), metavar="N", help="of the noise (default: 0)")
    add("--pooling", choices=get_args(vgg.Pooling), help="of the network")
    add("--padding", choices=get_args(vgg.Padding), help="of the network's convolutions")
    add("--settings-from", metavar="PICTURE", help="take options from a PNG that jaxstyle wrote")
    add("--trace", metavar="FILE.csv", help="write every step's loss terms")
    add("--save-every", type=_whole(1), metavar="N", help="write the picture every N steps too")
    add("--quality", type=_whole(1, 100), metavar="N", help="of JPEG and WebP (default: 95)")
    add("--json", action="store_true", help="print a machine-readable summary")
    add("--quiet", action="store_true", help="no progress bar, no summary")


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


def _add_network_actions(actions: Any, networks: Any) -> None:
    listing = _command(actions, "list", networks.list_networks, "The networks, and where they are.")
    listing.add_argument("--json", action="store_true", help="machine-readable")
    fetch = _command(actions, "fetch", networks.fetch, "Download a network into the cache.")
    fetch.add_argument("name", metavar="NAME", help="vgg19 or vgg19-torchvision")
    fetch.add_argument("--timeout", type=_positive, metavar="SECONDS", help="default: 30")
    convert = _command(
        actions, "convert", networks.convert, "Turn a network's file into jaxstyle's own."
    )
    convert.add_argument("file", metavar="FILE", help=".h5, .mat, .pth, .caffemodel, .safetensors")
    convert.add_argument("-o", "--output", metavar="OUT", required=True, help="a .safetensors file")
    convert.add_argument("--layout", choices=["auto", *LAYOUTS], help="default: auto")
    convert.add_argument(
        "--normalize",
        nargs="+",
        metavar="IMAGE",
        help="rescale to unit mean activations over these pictures or folders",
    )
    verify = _command(actions, "verify", networks.verify, "Check a network's file.")
    verify.add_argument("file", metavar="FILE")
    verify.add_argument("--json", action="store_true", help="machine-readable")


def _whole(least: int, most: int = 10**9) -> Callable[[str], int]:
    return lambda text: _number(int, text, f"a whole number from {least} to {most}", least, most)


def _positive(text: str) -> float:
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


def _layer(text: str) -> str:
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
