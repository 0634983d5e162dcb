"""The table of all options: what the command line, sweeps, the docs and forms are generated from.

Options have no defaults here. Parsed options hold what was given and nothing else, so that a
preset, or the settings stored in a picture, can fill the rest.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from jaxstyle._common.text import nearest
from jaxstyle.errors import OptionError
from jaxstyle.networks.catalogue import SOURCES
from jaxstyle.pipeline.choices import PLAIN_COLORS, STARTS
from jaxstyle.pipeline.kinds import Kind
from jaxstyle.pipeline.option import Option
from jaxstyle.pipeline.option_rows import make_rows
from jaxstyle.pipeline.video_rows import with_video

OPTIONS = with_video(make_rows())
"""Every option of every command."""

FETCHABLE = tuple(SOURCES)
"""The networks that can be downloaded by name."""


@functools.cache
def options_of(command: str) -> Mapping[str, Option]:
    """Returns the options of a command by name."""
    return {option.name: option for option in OPTIONS if command in option.commands}


@functools.cache
def picture_options(command: str) -> Mapping[str, Option]:
    """Returns the options of a command that shape its pictures, by name."""
    return {name: option for name, option in options_of(command).items() if option.shapes}


def color_of(options: Mapping[str, Any]) -> str:
    """Returns whose colours a picture has; see `option_rows.COLORS`."""
    plain = PLAIN_COLORS[options.get("colors", "painting")]
    how: str = options.get("color", plain)
    return how


def starts(command: str) -> tuple[str, ...]:
    """Returns what a command may start from, besides a picture's file."""
    return STARTS[command]


def check_options(command: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns options that shape a picture, checked as on the command line.

    Args:
      command: "stylize", "texture" or "reconstruct".
      options: such as `{"style-weight": 10, "init": "noise"}`. Texts are parsed; layers may be a
        mapping from layer to weight, scales a list.

    Raises:
      OptionError: if an option is unknown or its value wrong.

    Example:
      >>> check_options("stylize", {"style-weight": 10, "style-layers": {"relu1_1": 1}})
      {'style-weight': 10.0, 'style-layers': {'relu1_1': 1.0}}
    """
    return _read(command, options, lambda kind, value: kind.check(value))


def parse_options(command: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Returns the options that `option_texts` wrote."""
    return _read(command, texts, lambda kind, text: kind.parse(text))


def option_texts(command: str, options: Mapping[str, Any]) -> dict[str, str]:
    """Returns checked options as texts, sorted by name, to be kept in a picture or a record.

    Example:
      >>> option_texts("texture", {"output-size": (48, 64), "seed": 3})
      {'output-size': '64x48', 'seed': '3'}
    """
    known = picture_options(command)
    return {name: known[name].kind.text(value) for name, value in sorted(options.items())}


def _read(
    command: str, options: Mapping[str, Any], read: Callable[[Kind, Any], Any]
) -> dict[str, Any]:
    known, values = picture_options(command), {}
    for name, value in options.items():
        if name not in known:
            meant = nearest(name, known)
            right = f"did you mean {meant}?" if meant else f"valid: {', '.join(sorted(known))}"
            raise OptionError("unknown option {name!r}; {right}", name=name, right=right)
        try:
            values[name] = read(known[name].kind, value)
        except ValueError as error:
            raise OptionError("{}: {error}", name, error=error) from None
    return values
