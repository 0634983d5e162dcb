"""The command line's parser, generated from the table of options."""

import argparse
import functools
import importlib.metadata
from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, get_args

from jaxstyle._common.text import nearest
from jaxstyle.errors import UsageError
from jaxstyle.networks.catalogue import FAST_FILES
from jaxstyle.pipeline.kinds import Choice, Flag, Kind
from jaxstyle.pipeline.option_rows import Group, Option
from jaxstyle.pipeline.options import FETCHABLE, OPTIONS, options_of

_WIDTH = 80


class Parser(argparse.ArgumentParser):
    """Raises where argparse would print the usage and exit; takes no abbreviated options.

    Attributes:
      commands: where it has commands, the parser of each by name.
      bare: the options that may have no value, and what they then stand for. Argparse would take
        the next argument for the value.
    """

    def __init__(self, **options: Any):
        formatter = functools.partial(
            argparse.RawDescriptionHelpFormatter, width=_WIDTH, max_help_position=27
        )
        super().__init__(allow_abbrev=False, formatter_class=formatter, **options)
        self.commands: dict[str, Parser] = {}
        self.bare: dict[str, str] = {}

    def add_commands(self, metavar: str) -> Any:
        """Lets the parser have commands, and returns argparse's action that adds them."""
        action = self.add_subparsers(metavar=metavar, required=True)
        self.commands = action.choices  # it grows with each command
        return action

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Raises `UsageError` for unknown arguments, here where the command is known."""
        own = args = _with_values(list(args or ()), self.bare)
        if self.commands:
            place = next((i for i, word in enumerate(own) if not word.startswith("-")), len(own))
            if own[place:] and own[place] not in self.commands:
                self.error(self._no_command(own[place]))
            own = own[:place]
        # Before argparse, which would say that the option that was meant is missing.
        self._refuse(_options_among(own, self._option_string_actions))
        known, unknown = super().parse_known_args(args, namespace)
        self._refuse(unknown)
        return known, unknown

    def error(self, message: str) -> NoReturn:
        """Raises `UsageError`."""
        mark = "" if message.endswith("?") else ";"
        raise UsageError(f"{message.removeprefix('argument ')}{mark} see {self.prog} --help")

    def _refuse(self, unknown: Sequence[str]) -> None:
        """Raises `UsageError` that names unknown arguments, and what may have been meant."""
        if not unknown:
            return
        noun = "argument" if len(unknown) == 1 else "arguments"
        parts, meant = [f"unknown {noun} {' '.join(unknown)}"], []
        for word in unknown:
            others = [c for each in OPTIONS if word == f"--{each.name}" for c in each.commands]
            near = nearest(word, self._option_string_actions) if word.startswith("-") else None
            if others:
                parts.append(f"{word} is for {', '.join(dict.fromkeys(others))}")
            elif near:
                meant.append(near)
        self.error("; ".join(parts + ([f"did you mean {', '.join(meant)}?"] if meant else [])))

    def _no_command(self, word: str) -> str:
        group = self.prog.partition(" ")[2]
        meant = nearest(word, self.commands)
        shown = [name for name, parser in self.commands.items() if parser.prog.endswith(f" {name}")]
        right = f"did you mean {meant}?" if meant else f"use {', '.join(shown)}"
        return f"unknown command {f'{group} {word}'.strip()}; {right}"


def _with_values(words: Sequence[str], bare: Mapping[str, str]) -> list[str]:
    """Returns a command line on which options that stand alone have the value they stand for."""
    end = words.index("--") if "--" in words else len(words)
    valued = [f"{word}={bare[word]}" if word in bare else word for word in words[:end]]
    return [*valued, *words[end:]]


def _options_among(words: Sequence[str], known: Container[str]) -> list[str]:
    """Returns the options that are not known; as for argparse, no option has a space."""
    end = words.index("--") if "--" in words else len(words)
    flags = [word.partition("=")[0] for word in words[:end] if word.startswith("--")]
    return [flag for flag in flags if flag not in known and " " not in flag]


class _Command(NamedTuple):
    """A command, apart from its options.

    Attributes:
      name: "stylize", or "weights fetch" for an action of a command.
      summary: one line that says what it does.
      usage: what follows the name in a synopsis.
      examples: lines to try.
      positional: names of what is given without a flag, with metavar, number and help.
    """

    name: str
    summary: str
    usage: str
    examples: tuple[str, ...] = ()
    positional: tuple[tuple[str, str, str | None, str], ...] = ()


_COMMANDS = (
    _Command(
        "demo",
        "Make a first picture from what the package ships, without a download.",
        "[options]",
        ("jaxstyle demo", "jaxstyle demo -o first.png --size 512"),
    ),
    _Command(
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
    _Command(
        "texture",
        "Make a texture like a painting, from noise.",
        "STYLE -o OUT [options]",
        (
            "jaxstyle texture painting.jpg -o texture.png",
            "jaxstyle texture painting.jpg -o wall.png --output-size 800x600",
        ),
        (("style", "STYLE", None, "the painting"),),
    ),
    _Command(
        "reconstruct",
        "Show what one layer keeps of a photograph, from noise.",
        "CONTENT -o OUT [options]",
        (
            "jaxstyle reconstruct photo.jpg -o kept.png",
            "jaxstyle reconstruct photo.jpg -o kept.png --layer relu5_1",
        ),
        (("content", "CONTENT", None, "the photograph"),),
    ),
    _Command(
        "apply",
        "Paint photographs at once: by a network that was trained for it, or in a painting's "
        "colours.",
        "PHOTO [PHOTO ...] -o OUT [options]",
        (
            "jaxstyle apply photo.jpg -o out.png --style great-wave",
            "jaxstyle apply photos/ -o folder --fast-network net.safetensors",
            "jaxstyle apply photo.jpg -o out.png --painting painting.jpg",
        ),
        (("photographs", "PHOTO", "+", "photographs, folders of them, or patterns"),),
    ),
    _Command(
        "larger",
        "Make a larger picture with the composition of one that jaxstyle wrote.",
        "PICTURE -o OUT [options]",
        (
            "jaxstyle larger out.png -o big.png --times 2",
            "jaxstyle larger out.png -o big.png --size 2048 --memory low",
        ),
        (("picture", "PICTURE", None, "a picture that jaxstyle wrote"),),
    ),
    _Command(
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
    _Command(
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
    _Command(
        "export",
        "Write a network that paints in one pass as an ONNX model, for phones and browsers.",
        "NET -o OUT.onnx [options]",
        ("jaxstyle export paintbox -o paintbox.onnx",),
        (("network", "NET", None, f"{', '.join(FAST_FILES)}, or a file"),),
    ),
    _Command(
        "sweep",
        "Make pictures with many settings, from a TOML file; a rerun goes on.",
        "SPEC.toml -o DIR [options]",
        (
            "jaxstyle sweep sweep.toml -o folder",
            "jaxstyle sweep sweep.toml -o folder --dry-run",
        ),
        (("spec", "SPEC.toml", None, "what to vary"),),
    ),
    _Command(
        "show",
        "Show how a picture was made, and the line that makes it again.",
        "PICTURE [options]",
        ("jaxstyle show out.png",),
        (("picture", "PICTURE", None, "a picture that jaxstyle wrote"),),
    ),
    _Command(
        "plot",
        "Draw the curves of a trace.",
        "TRACE.csv -o OUT [options]",
        ("jaxstyle plot trace.csv -o curves.png",),
        (("trace", "TRACE.csv", None, "a file that --trace wrote"),),
    ),
    _Command(
        "serve",
        "Open a page in the browser where photographs are painted.",
        "[options]",
        ("jaxstyle serve", "jaxstyle serve --host 0.0.0.0 --password WORD"),
    ),
    _Command("weights list", "List the networks, and where they are.", "[options]"),
    _Command(
        "weights fetch",
        "Download a network into the cache.",
        "NAME [options]",
        ("jaxstyle weights fetch vgg19",),
        (("name", "NAME", None, ", ".join(FETCHABLE)),),
    ),
    _Command(
        "weights convert",
        "Turn a network's file into jaxstyle's own.",
        "FILE -o OUT [options]",
        (
            "jaxstyle weights convert vgg_conv.pth -o vgg19.safetensors",
            "jaxstyle weights convert net.h5 -o unit.safetensors --normalize photos/",
        ),
        (("file", "FILE", None, ".h5, .mat, .pth, .caffemodel or .safetensors"),),
    ),
    _Command(
        "weights verify",
        "Check a network's file.",
        "FILE [options]",
        ("jaxstyle weights verify vgg19.safetensors",),
        (("file", "FILE", None, "a network in any layout"),),
    ),
)
_OTHER_SPELLINGS = {"stylise": "stylize"}
_REQUIRED = ("output", "photos")  # wherever a command has it without a default


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
            _add(commands, command)
            continue
        if actions is None:
            summary = "Find, download, convert and check networks."
            networks = commands.add_parser(place, help=summary, description=summary)
            actions = networks.add_commands("ACTION")
        _add(actions, command)
    for other, name in _OTHER_SPELLINGS.items():
        commands.choices[other] = commands.choices[name]  # not in the help
    return parser


def _add(commands: Any, command: _Command) -> None:
    """Adds a command or an action of one."""
    lines = [command.summary, *(["", "examples:"] if command.examples else [])]
    parser = commands.add_parser(
        command.name.rpartition(" ")[2],
        help=command.summary,
        description="\n".join([*lines, *(f"  {line}" for line in command.examples)]),
        usage=f"jaxstyle {command.name} {command.usage}",
        argument_default=argparse.SUPPRESS,
    )
    parser.set_defaults(command=command.name)
    for name, metavar, number, text in command.positional:
        parser.add_argument(name, metavar=metavar, nargs=number, help=text, type=_not_empty)
    options = options_of(command.name)
    for title in get_args(Group):
        rows = [option for option in options.values() if option.group == title]
        group = parser.add_argument_group(title) if rows else parser
        if command.name == "stylize" and title == "picture":
            group.add_argument(
                "--content", metavar="CONTENT", action="append", dest="more contents",
                type=_not_empty, help="add a photograph, a folder or a pattern",
            )  # fmt: skip
        if command.name == "weights convert" and title == "output":
            group.add_argument(
                "--normalize", nargs="+", metavar="IMAGE", type=_not_empty,
                help="rescale to unit mean activations over these pictures and folders",
            )  # fmt: skip
        for option in rows:
            _add_option(group, option)
            if isinstance(option.kind, Choice) and option.kind.bare is not None:
                parser.bare[f"--{option.name}"] = option.kind.bare


def _add_option(group: Any, option: Option) -> None:
    flags = [f"--{option.name}"]
    if option.name == "output":
        flags.insert(0, "-o")
    text = option.help
    if option.choices is not None:
        text += f"; one of {', '.join(option.choices)}"
    if option.default:
        text += f" (default: {option.default})"
    if isinstance(option.kind, Flag):
        group.add_argument(*flags, action="store_true", dest=option.name, help=text)
        return
    if option.kind.repeats:
        group.add_argument(
            *flags, action=_Gathered, dest=option.name, kind=option.kind, metavar=option.metavar,
            help=text,
        )  # fmt: skip
        return
    group.add_argument(
        *flags,
        dest=option.name,
        type=functools.partial(_parse, option.kind),
        metavar=option.metavar,
        required=option.name in _REQUIRED and not option.default,
        help=text.replace("%", "%%"),
    )


class _Gathered(argparse.Action):
    """An option that may be given several times, and whose texts make one value."""

    def __init__(self, kind: Kind, **options: Any):
        super().__init__(**options)
        self._kind, self._texts = kind, list[str]()  # a parser reads one command line

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        self._texts.append(values)
        try:
            setattr(namespace, self.dest, self._kind.parse_all(self._texts))
        except ValueError as error:
            raise argparse.ArgumentError(self, str(error)) from None


def _parse(kind: Kind, text: str) -> Any:
    try:
        return kind.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


_not_empty = functools.partial(_parse, Kind())
