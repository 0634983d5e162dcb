"""The command line's parser, generated from the table of options."""

import argparse
import importlib.metadata
from typing import Any

from jaxstyle.cli.parsing import Command, Parser, add_command
from jaxstyle.cli.serve import SERVE
from jaxstyle.networks.catalogue import FAST_FILES
from jaxstyle.pipeline.options import FETCHABLE, options_of

_COMMANDS = (
    Command(
        "demo",
        "Make a first picture from what the package ships, without a download.",
        "[options]",
        ("jaxstyle demo", "jaxstyle demo -o first.png --size 512"),
    ),
    Command(
        "stylize",
        "Paint photographs in the style of paintings.",
        "CONTENT STYLE [STYLE ...] -o OUT [options]",
        (
            "jaxstyle stylize photo.jpg painting.jpg -o out.png",
            "jaxstyle stylize photos/ 'paintings/*.jpg' -o folder --size 768",
        ),
        (
            ("contents", "CONTENT", None, "the photograph, a folder of them, or a pattern"),
            (
                "styles",
                "STYLE",
                "+",
                "the painting, a folder or a pattern; for several pictures OUT is a folder",
            ),
        ),
    ),
    Command(
        "texture",
        "Make a texture like a painting, from noise or from its pieces.",
        "STYLE -o OUT [options]",
        (
            "jaxstyle texture painting.jpg -o texture.png",
            "jaxstyle texture painting.jpg -o wall.png --output-size 800x600",
            "jaxstyle texture painting.jpg -o wall.png --method quilting",
        ),
        (("style", "STYLE", None, "the painting"),),
    ),
    Command(
        "reconstruct",
        "Show what one layer keeps of a photograph, from noise.",
        "CONTENT -o OUT [options]",
        (
            "jaxstyle reconstruct photo.jpg -o kept.png",
            "jaxstyle reconstruct photo.jpg -o kept.png --layer relu5_1",
        ),
        (("content", "CONTENT", None, "the photograph"),),
    ),
    Command(
        "apply",
        "Paint photographs at once: by a network that was trained for it, in a painting's colours, "
        "or of its pieces.",
        "PHOTO [PHOTO ...] -o OUT [options]",
        (
            "jaxstyle apply photo.jpg -o out.png --style great-wave",
            "jaxstyle apply photos/ -o folder --fast-network net.safetensors",
            "jaxstyle apply photo.jpg -o out.png --painting painting.jpg",
            "jaxstyle apply photo.jpg -o out.png --painting painting.jpg --method quilting",
        ),
        (("photographs", "PHOTO", "+", "photographs, folders of them, or patterns"),),
    ),
    Command(
        "analogy",
        "Do to picture B what was done to picture A: without a network.",
        "A A2 B -o B2 [options]",
        (
            "jaxstyle analogy photo.jpg drawing.jpg other.jpg -o drawn.png",
            "jaxstyle analogy map.png landscape.jpg my-map.png -o mine.png --method neighbours",
        ),
        (
            ("unfiltered", "A", None, "what A2 was made of: a photograph, or a map of its parts"),
            ("style", "A2", None, "what was made of it: a painting, a drawing, a photograph"),
            ("content", "B", None, "what the same is done to"),
        ),
    ),
    Command(
        "larger",
        "Make a larger picture with the composition of one that jaxstyle wrote.",
        "PICTURE -o OUT [options]",
        (
            "jaxstyle larger out.png -o big.png --times 2",
            "jaxstyle larger out.png -o big.png --size 2048 --memory low",
        ),
        (("picture", "PICTURE", None, "a picture that jaxstyle wrote"),),
    ),
    Command(
        "video",
        "Paint a film in the style of a painting, without flicker.",
        "CLIP [STYLE] -o OUT [options]",
        (
            "jaxstyle video clip.mp4 painting.jpg -o out.mp4",
            "jaxstyle video clip.mp4 -o out.mp4 --method fast --style great-wave",
        ),
        (
            ("clip", "CLIP", None, "the film: a video, an animation or a folder of frames"),
            ("painting", "STYLE", "?", "the painting; a fast network may have its own styles"),
        ),
    ),
    Command(
        "train",
        "Train a network that paints like paintings of yours in one pass.",
        "PAINTING [PAINTING ...] --photos DIR -o NET [options]",
        (
            "jaxstyle train wave.jpg --photos photos/ -o wave.safetensors --minutes 60",
            "jaxstyle train night.jpg --photos photos/ -o both.safetensors "
            "--from wave.safetensors --new-styles-only",
        ),
        (("paintings", "PAINTING", "+", "the paintings, one for each style"),),
    ),
    Command(
        "export",
        "Write a network that paints in one pass as an ONNX model, for phones and browsers.",
        "NET -o OUT.onnx [options]",
        ("jaxstyle export paintbox -o paintbox.onnx",),
        (("network", "NET", None, f"{', '.join(FAST_FILES)}, or a file"),),
    ),
    Command(
        "sweep",
        "Make pictures with many settings, from a TOML file; a rerun goes on.",
        "SPEC.toml -o DIR [options]",
        (
            "jaxstyle sweep sweep.toml -o folder",
            "jaxstyle sweep sweep.toml -o folder --dry-run",
        ),
        (("spec", "SPEC.toml", None, "what to vary"),),
    ),
    Command(
        "show",
        "Show how a picture was made, and the line that makes it again.",
        "PICTURE [options]",
        ("jaxstyle show out.png",),
        (("picture", "PICTURE", None, "a picture that jaxstyle wrote"),),
    ),
    Command(
        "plot",
        "Draw the curves of a trace.",
        "TRACE.csv -o OUT [options]",
        ("jaxstyle plot trace.csv -o curves.png",),
        (("trace", "TRACE.csv", None, "a file that --trace wrote"),),
    ),
    SERVE,
    Command("weights list", "List the networks, and where they are.", "[options]"),
    Command(
        "weights fetch",
        "Download a network into the cache.",
        "NAME [options]",
        ("jaxstyle weights fetch vgg19",),
        (("name", "NAME", None, ", ".join(FETCHABLE)),),
    ),
    Command(
        "weights convert",
        "Turn a network's file into jaxstyle's own.",
        "FILE -o OUT [options]",
        (
            "jaxstyle weights convert vgg_conv.pth -o vgg19.safetensors",
            "jaxstyle weights convert net.h5 -o unit.safetensors --normalize photos/",
        ),
        (("file", "FILE", None, ".h5, .mat, .pth, .caffemodel or .safetensors"),),
    ),
    Command(
        "weights verify",
        "Check a network's file.",
        "FILE [options]",
        ("jaxstyle weights verify vgg19.safetensors",),
        (("file", "FILE", None, "a network in any layout"),),
    ),
)
_OTHER_SPELLINGS = {"stylise": "stylize"}


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of the whole command line.

    A namespace that it parses holds what was given, by the names of options, and the name of the
    `command`.
    """
    parser = Parser(
        prog="jaxstyle",
        description="Neural style transfer in JAX: a photograph, a painting, a picture.",
    )
    try:
        version = importlib.metadata.version("jaxstyle")
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        version = "of this checkout"
    parser.add_argument("--version", action="version", version=f"jaxstyle {version}")
    commands = parser.add_commands("COMMAND")
    actions: Any = None
    for command in _COMMANDS:
        place, _, action = command.name.partition(" ")
        if not action:
            add_command(commands, command, options_of(command.name).values())
            continue
        if actions is None:
            summary = "Find, download, convert and check networks."
            networks = commands.add_parser(place, help=summary, description=summary)
            actions = networks.add_commands("ACTION")
        add_command(actions, command, options_of(command.name).values())
    for other, name in _OTHER_SPELLINGS.items():
        commands.choices[other] = commands.choices[name]  # not in the help
    return parser
