"""The command's arguments: what may be given, and what each must be."""

import argparse
import importlib.metadata
from collections.abc import Callable
from typing import Any

from jaxstyle.networks.catalogue import SOURCES
from jaxstyle.networks.layouts import LAYOUTS
from jaxstyle.pipeline.options import Parser, add_recipe_options, positive, whole


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; `run` in its namespace is what to call."""
    from jaxstyle.cli import demo, networks, pictures, sweeps

    parser = Parser(
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
    add("--size", type=whole(1), metavar="N", help="longer side in pixels (default: 320)")
    add("--steps", type=whole(1), metavar="N", help="steps of the solver (default: 80)")
    add("--json", action="store_true", help="print a machine-readable summary")
    add("--quiet", action="store_true", help="print nothing but errors")

    stylize = _command(
        commands, "stylize", pictures.stylize, "Photographs in the style of paintings."
    )
    add = stylize.add_argument
    add("content", metavar="CONTENT", help="the photograph, a folder of them, or a pattern")
    add(
        "style",
        metavar="STYLE",
        nargs="+",
        help="the painting, a folder or a pattern; for several pictures OUT is a folder",
    )
    add(
        "--content",
        metavar="CONTENT",
        action="append",
        dest="more_contents",
        help="one more photograph, folder or pattern",
    )
    _add_picture_options(stylize, "stylize")
    add("--width", type=whole(1), metavar="N", help="pictures at once (default: as memory admits)")
    add(
        "--resume",
        action="store_true",
        help="keep OUT.snapshot on the way, and go on from it if it is there",
    )
    add("--snapshot-every", type=whole(1), metavar="N", help="steps between them (default: 50)")

    texture = _command(
        commands, "texture", pictures.texture, "A texture like a painting, from noise."
    )
    texture.add_argument("style", metavar="STYLE", help="the painting")
    _add_picture_options(texture, "texture")

    reconstruct = _command(
        commands,
        "reconstruct",
        pictures.reconstruct,
        "What one layer keeps of a photograph, from noise.",
    )
    reconstruct.add_argument("content", metavar="CONTENT", help="the photograph")
    _add_picture_options(reconstruct, "reconstruct")

    _add_sweep(commands, sweeps)

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


def _add_picture_options(parser: Any, command: str) -> None:
    add = parser.add_argument
    add("-o", "--output", metavar="OUT", required=True, help="the picture to write")
    add_recipe_options(parser, command)
    add("--no-download", action="store_true", help="never download a network")
    add("--settings-from", metavar="PICTURE", help="take options from a PNG that jaxstyle wrote")
    add("--trace", metavar="FILE.csv", help="write every step's loss terms")
    add("--save-every", type=whole(1), metavar="N", help="write the picture every N steps too")
    add("--animate", metavar="FILE", help="a .gif, .webp or folder that shows the optimisation")
    add("--animate-every", type=whole(1), metavar="N", help="steps between its pictures")
    add("--quality", type=whole(1, 100), metavar="N", help="of JPEG and WebP (default: 95)")
    add("--bit-depth", type=int, choices=[8, 16], help="bits a channel; 16 for PNG and TIFF (8)")
    add("--split-rows", action="store_true", help="spread each picture over all devices by rows")
    add("--dry-run", action="store_true", help="print what would be done, and the memory it takes")
    add("--json", action="store_true", help="print a machine-readable summary")
    add("--quiet", action="store_true", help="no progress bar, no summary")


def _add_sweep(commands: Any, sweeps: Any) -> None:
    parser = _command(
        commands, "sweep", sweeps.sweep, "Pictures of many settings, from a TOML file; resumable."
    )
    add = parser.add_argument
    add("spec", metavar="SPEC.toml", help="what to vary")
    add("-o", "--output", metavar="DIR", required=True, help="the folder to write; a rerun goes on")
    add("--retry-failed", action="store_true", help="run jobs again that failed before")
    add("--width", type=whole(1), metavar="N", help="pictures at once (default: as memory admits)")
    add("--shard", type=_shard, metavar="I/N", help="only the I-th of N parts, I from 0")
    add(
        "--distributed",
        action="store_true",
        help="the part of this process among those that JAX knows: Slurm, Kubernetes, TPU pods",
    )
    add("--coordinator", metavar="HOST:PORT", help="of --distributed, where it is not detected")
    add("--processes", type=whole(1), metavar="N", help="of --distributed")
    add("--process-id", type=whole(0), metavar="I", help="of --distributed")
    add("--no-download", action="store_true", help="never download a network")
    add("--dry-run", action="store_true", help="print what would be done, and the memory it takes")
    add("--json", action="store_true", help="print a machine-readable summary")
    add("--quiet", action="store_true", help="no progress bar, no summary")


def _shard(text: str) -> tuple[int, int]:
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise argparse.ArgumentTypeError(f"should be like 0/4, I from 0 to N - 1, got {text}")
    return int(index), int(count)


def _add_network_actions(actions: Any, networks: Any) -> None:
    listing = _command(actions, "list", networks.list_networks, "The networks, and where they are.")
    listing.add_argument("--json", action="store_true", help="machine-readable")
    fetch = _command(actions, "fetch", networks.fetch, "Download a network into the cache.")
    fetch.add_argument("name", metavar="NAME", help=", ".join(SOURCES))
    fetch.add_argument("--timeout", type=positive, metavar="SECONDS", help="default: 30")
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
