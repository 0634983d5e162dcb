"""`jaxstyle weights list | fetch | convert | verify`, and `jaxstyle export`."""

import dataclasses
import json
import shlex
from pathlib import Path
from typing import Any

from jax import Array

from jaxstyle._common import files
from jaxstyle._common.reading import sha256
from jaxstyle._common.terminal import watched
from jaxstyle.cli.printing import answered, say, say_json
from jaxstyle.errors import FileFormatError, OptionError, UsageError, usage_errors
from jaxstyle.feedforward.export import OPSET, export_onnx
from jaxstyle.feedforward.files import FORMAT, FastNetwork, Style, load_network, save_network
from jaxstyle.feedforward.layouts import layout_of, read_published
from jaxstyle.feedforward.network import count_styles
from jaxstyle.networks import catalogue, load, rescaling
from jaxstyle.networks.formats.containers import open_container
from jaxstyle.networks.layouts import convert as convert_file
from jaxstyle.pipeline.outputs import Output, check_outputs

_SIDE = 256


def list_networks(arguments: dict[str, Any]) -> int:
    """Prints each network's name, description, and where it is or could be had."""
    networks = load.network_status()
    if arguments.get("json"):
        for network in networks:
            path = None if network.path is None else str(network.path)
            say_json(network._asdict() | {"path": path})
        return answered()
    for network in networks:
        say(f"{network.name}: {network.description}")
        if network.path is not None:
            say(f"  here: {network.path}")
        elif network.sources:
            say(f"  not here; jaxstyle weights fetch {network.name} takes it from")
            for source in network.sources:
                say(f"    {source}")
        else:
            say("  not here")
    return answered()


def fetch(arguments: dict[str, Any]) -> int:
    """Downloads a network into the cache and prints its path."""
    from jaxstyle.networks.download import fetch as download

    with usage_errors():
        path = download(
            arguments["name"],
            progress=watched(),
            timeout=arguments.get("timeout", 30.0),
        )
    say(str(path))
    return 0


def convert(arguments: dict[str, Any]) -> int:
    """Converts a file into the canonical form, normalised if asked, and prints where it is."""
    output = Path(arguments["output"])
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: the file to write should end in .safetensors")
    files.check_writable(output)
    pictures = files.find_pictures(arguments.get("normalize", ()))
    check_outputs([Output("output", output)], [Path(arguments["file"]), *pictures])
    contents = open_container(arguments["file"])
    if contents.metadata.get("format") == FORMAT:
        raise UsageError(f"{arguments['file']}: is jaxstyle's own already, and paints in one pass")
    if layout_of(contents.arrays) is not None:
        return _convert_fast(arguments, output)
    if "style-names" in arguments:
        raise OptionError(
            "{file}: holds no network that paints in one pass; leave {} out",
            "style-names", file=arguments["file"],
        )  # fmt: skip
    params, metadata = convert_file(arguments["file"], arguments.get("layout", "auto"))
    if "normalize" in arguments:
        if metadata["normalized"] == "true":
            raise OptionError(
                "{file}: is normalised already; leave {} out", "normalize", file=arguments["file"]
            )
        params = rescaling.normalize_params(params, map(central_square, pictures))
        metadata |= {"normalized": "true", "normalized_over": f"{len(pictures)} pictures"}
    load.save_params(output, params, metadata)
    say(f"{output}: {metadata['network']}, layout {metadata['layout']}")
    say(_next_steps(output))
    return 0


def _next_steps(output: Path) -> str:
    """Returns what to do with a converted network: how to name it, or where it is found."""
    name, file = catalogue.name_by_content(output), shlex.quote(str(output))
    named = f"use it with --network {file}"
    if name is None:
        return named
    asked = "auto" if name == catalogue.VGG19 else name
    try:
        found = catalogue.find_params(name)
    except FileNotFoundError:  # JAXSTYLE_PARAMS names nothing that exists
        found = None
    if found is not None:
        here = found.samefile(output)
        return f"--network {asked} finds it there" if here else f"{named}; {asked} takes {found}"
    cache = catalogue.cache()
    places = [] if cache is None else [f"put it into {shlex.quote(str(cache))}"]
    # A single file stands for VGG-19, and for nothing else.
    place = output.absolute() if asked == "auto" else output.absolute().parent
    places.append(f"set JAXSTYLE_PARAMS={shlex.quote(str(place))}")
    return f"{named}; or {', or '.join(places)}, and --network {asked} finds it"


def export(arguments: dict[str, Any]) -> int:
    """Writes a network that paints in one pass as an ONNX model, and prints where it is."""
    output, path = Path(arguments["output"]), catalogue.find_fast_network(arguments["network"])
    if output.suffix != ".onnx":
        raise UsageError(f"{output}: the file to write should end in .onnx")
    files.check_writable(output)
    check_outputs([Output("output", output)], [path])
    network = load_network(path)
    if network.takes_paintings:
        raise UsageError(f"{path}: paints like any painting, so it has no styles to export")
    export_onnx(output, network)
    names = [style.name for style in network.styles]
    if "json" in arguments:
        say_json({"output": str(output), "styles": names, "opset": OPSET})
    else:
        video = "; previous and mask tell of the frame before" * network.architecture.previous
        say(f"{output}: ONNX, opset {OPSET}; its input style weighs {', '.join(names)}{video}")
    return 0


def _convert_fast(arguments: dict[str, Any], output: Path) -> int:
    """Converts a published network that paints in one pass."""
    for option in ("normalize", "layout"):
        if option in arguments:
            raise OptionError(
                "{file}: paints in one pass; {} is for loss networks, leave it out",
                option, file=arguments["file"],
            )  # fmt: skip
    layout, params = read_published(arguments["file"])
    count = count_styles(params)
    stem = Path(arguments["file"]).stem
    default = (stem,) if count == 1 else tuple(f"style{i}" for i in range(1, count + 1))
    names = arguments.get("style-names", default)
    if len(names) != count:
        raise OptionError(
            "{} should be {count} names, one for each style, got {given}",
            "style-names", count=count, given=len(names),
        )  # fmt: skip
    styles = tuple(Style(name) for name in names)
    network = FastNetwork(
        params, layout.architecture, styles, metadata={"converted_from": layout.description}
    )
    save_network(output, network, dtype="float32")
    noun = "style" if count == 1 else "styles"
    say(f"{output}: paints in one pass, {count} {noun}, from {layout.description}")
    say(f"use it with jaxstyle apply and --fast-network {shlex.quote(str(output))}")
    return 0


def verify(arguments: dict[str, Any]) -> int:
    """Prints what a file is, if it is in order."""
    path = Path(arguments["file"])
    contents = open_container(path)
    if contents.metadata.get("format") == FORMAT:
        return _verify_fast(path, "json" in arguments)
    if layout_of(contents.arrays) is not None:
        raise FileFormatError(
            f"{path}: a published network that paints in one pass; "
            f"jaxstyle weights convert {path} -o OUT.safetensors makes it jaxstyle's own"
        )
    report = load.verify(path)
    if arguments.get("json"):
        say_json(report._asdict())
        return answered()
    say(f"{arguments['file']}: in order")
    for name, value in report._asdict().items():
        say(f"  {name.replace('_', ' ')}: {value}")
    return answered()


def _verify_fast(path: Path, as_json: bool) -> int:
    """Prints what a network that paints in one pass is, if its file is in order."""
    network = load_network(path)
    facts = {
        "sha256": sha256(path),
        "styles": [style.name for style in network.styles],
        "architecture": dataclasses.asdict(network.architecture),
        **network.metadata,
    }
    if as_json:
        say_json(facts)
        return answered()
    say(f"{path}: in order, paints in one pass")
    for name, value in facts.items():
        shown = value if isinstance(value, str) else json.dumps(value)
        say(f"  {name.replace('_', ' ')}: {shown}")
    return answered()


def central_square(path: Path) -> Array:
    """Returns the middle of a photograph, `[256, 256, 3]`: one size, and so one program."""
    from jaxstyle.image.io import load_image
    from jaxstyle.image.pixels import resize

    image = load_image(path)
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return resize(image[top : top + side, left : left + side], (_SIDE, _SIDE))
