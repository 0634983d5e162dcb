"""The command line that makes a picture again, from the settings inside it.

The settings may come from anybody. So every text from them is quoted for a shell, and none of them
can begin an option.
"""

import shlex
from collections.abc import Mapping
from typing import Any

from jaxstyle.errors import OptionError
from jaxstyle.pipeline.metadata import found_beside, relocated
from jaxstyle.pipeline.options import parse_options, picture_options

# What each command takes before its options, by the names of the settings.
_TAKES = {
    "stylize": ("content", "style"),
    "texture": ("style",),
    "reconstruct": ("content",),
    "apply": ("content",),
    "analogy": ("unfiltered", "style", "content"),
}
# How a picture was written, by the names of the settings.
_ENCODING = {"quality": "quality", "bit_depth": "bit-depth"}


def command_line(settings: Mapping[str, Any], path: str) -> str:
    """Returns a shell's line that makes a picture again.

    It has the options that were given, and none that was filled in. Pictures are looked for beside
    the picture, and otherwise called as the picture calls them.

    Args:
      settings: of the picture, from `jaxstyle.pipeline.metadata.read_settings`.
      path: the picture's file.

    Example:
      >>> command_line({"command": "texture", "style": "my wall.jpg", "given": ["seed"],
      ...               "options": {"seed": "3", "steps": "500"}}, "out.png")
      "jaxstyle texture 'my wall.jpg' -o out.png --seed 3"
    """
    command = settings["command"]
    taken, options = _TAKES.get(command, ()), settings["options"]
    named = [settings.get(name) or options.get(name) for name in taken]
    files = [str(name) for name in named if name]
    words = ["jaxstyle", command, *(_no_option(found_beside(file, path)) for file in files)]
    words += ["-o", _no_option(path)]
    for name, text in ((k, v) for k, v in _given(settings, path) if k not in taken):
        words += [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]
    return shlex.join(words)


def steps_of(settings: Mapping[str, Any]) -> tuple[Any, str | None]:
    """Returns how many steps a picture has had, and how many it was to have where they differ."""
    options, step = settings["options"], settings.get("step")
    wanted = None if "scales" in options else options.get(_steps(settings))  # those of one scale
    # What a network paints in one pass, without a polish, counts as a step.
    return step, None if wanted in (None, "0", str(step)) else str(wanted)


def texts_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Returns the options to give, as texts, with the steps that the picture has had."""
    options = settings["options"]
    texts = {str(name): str(options[name]) for name in settings["given"]}
    step, wanted = steps_of(settings)
    if step is not None and wanted is not None:  # stopped early, or a picture on the way
        texts[_steps(settings)] = str(step)
    return texts


def _steps(settings: Mapping[str, Any]) -> str:
    return "polish" if settings["command"] == "apply" else "steps"


def _given(settings: Mapping[str, Any], path: str) -> list[tuple[str, str]]:
    """Returns the options to give, each with its text; an option may be there several times."""
    command = settings["command"]
    texts = texts_of(settings)
    for name, setting in _ENCODING.items():
        encoding = settings.get("encoding")
        if isinstance(encoding, Mapping) and name in encoding:
            texts[setting] = str(encoding[name])
    found = []
    for name, text in texts.items():
        try:
            values = relocated(
                command, parse_options(command, {name: text}), lambda file: found_beside(file, path)
            )
            kind = picture_options(command)[name].kind
            found += [(name, each) for each in kind.texts(values[name])]
        except OptionError:  # of another release, or how the picture was written
            found.append((name, text))
    return found


def _no_option(file: str) -> str:
    return f"./{file}" if file.startswith("-") else file
