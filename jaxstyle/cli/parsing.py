"""How a command line is parsed, whatever its commands: nothing here imports JAX."""

import argparse
import functools
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, get_args

from jaxstyle._common.text import nearest
from jaxstyle.errors import UsageError
from jaxstyle.pipeline.kinds import Choice, Flag, Kind
from jaxstyle.pipeline.option import Group, Option

_WIDTH = 80
_REQUIRED = ("output", "photos")  # wherever a command has it without a default


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
        own = args = _with_values(list(args or ()), self.bare, self._of_one_value())
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

    def _of_one_value(self) -> frozenset[str]:
        """Returns the options that take one value."""
        actions = self._option_string_actions.items()
        return frozenset(flag for flag, action in actions if action.nargs is None)

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
        from jaxstyle.pipeline.options import OPTIONS  # which imports JAX

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


def _with_values(
    words: Sequence[str], bare: Mapping[str, str], single: Container[str]
) -> list[str]:
    """Returns a command line on which options that stand alone have the value they stand for.

    A value such as -0.1,0.5 is joined to its option; argparse would take it for another option.
    """
    end = words.index("--") if "--" in words else len(words)
    valued: list[str] = []
    for word in words[:end]:
        if valued and valued[-1] in single and re.match(r"-[0-9.]", word):
            valued[-1] += f"={word}"
        else:
            valued.append(f"{word}={bare[word]}" if word in bare else word)
    return [*valued, *words[end:]]


def _options_among(words: Sequence[str], known: Container[str]) -> list[str]:
    """Returns the options that are not known; as for argparse, no option has a space."""
    end = words.index("--") if "--" in words else len(words)
    flags = [word.partition("=")[0] for word in words[:end] if word.startswith("--")]
    return [flag for flag in flags if flag not in known and " " not in flag]


class Command(NamedTuple):
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


def add_command(commands: Any, command: Command, rows: Iterable[Option]) -> None:
    """Adds a command, or an action of one.

    Args:
      commands: argparse's action, from `Parser.add_commands`.
      command: what it is, apart from its options.
      rows: its options.
    """
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
    options = list(rows)
    for title in get_args(Group):
        own = [option for option in options if option.group == title]
        group = parser.add_argument_group(title) if own else parser
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
        for option in own:
            if option.name in (name for name, *_ in command.positional):
                continue  # it is given by its place
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
    bare = option.kind.bare if isinstance(option.kind, Choice) else None
    if bare is not None and option.choices is not None:
        text += f", given as --{option.name}={option.choices[-1]}; alone it is {bare}"
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
