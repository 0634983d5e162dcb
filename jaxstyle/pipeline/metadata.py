"""The settings that a picture carries: which options made it, and how to read them back."""

import importlib.metadata
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxstyle._common.text import printable
from jaxstyle.errors import FileFormatError, OptionError, UsageError
from jaxstyle.image import io
from jaxstyle.networks.load import Network
from jaxstyle.pipeline.kinds import brief
from jaxstyle.pipeline.options import option_texts, parse_options, picture_options
from jaxstyle.pipeline.recipe import Recipe, make_recipe

# Characters of a network's metadata that a picture keeps at most, and of a picture's settings that
# a message shows.
_LONGEST = 200


def settings_of(
    recipe: Recipe, content: Path | None, style: Path | None, network: Network
) -> dict[str, Any]:
    """Returns what is kept inside a picture: the options, and where the rest came from."""
    return {
        "command": recipe.command,
        "options": option_texts(recipe.command, recipe.options),
        "given": list(recipe.given),
        "content": content and str(content),
        "style": style and str(style),
        "network": {"name": network.name, **_in_brief(network.metadata)},
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "jaxopt")},
    }


def _in_brief(metadata: Mapping[str, str]) -> dict[str, str]:
    """Returns a network's metadata without what only its own file needs, such as filter lists."""
    # Sorted, since a file of parameters has them in no order, and equal runs make equal files.
    return {key: value for key, value in sorted(metadata.items()) if len(value) <= _LONGEST}


def add_options_of(path: str, command: str, typed: Mapping[str, Any]) -> dict[str, Any]:
    """Returns arguments together with the options that were given when a picture was made.

    What was filled in then is filled in again. A typed option wins over a stored one, and over
    stored ones that it contradicts. A picture may come from anybody, so it opens no file and starts
    no download that is not typed.

    Args:
      path: the picture.
      command: "stylize", "texture" or "reconstruct".
      typed: the arguments of the command, by name.

    Raises:
      FileNotFoundError, IsADirectoryError: if `path` names no file.
      FileFormatError: if the picture holds no settings, or none that jaxstyle could have written.
      UsageError: if another command made it, or its settings name a file that is not typed.
    """
    stored = read_options(path, command)
    shaping = {name: typed[name] for name in picture_options(command) if name in typed}
    kept = _without_contradictions(command, stored, shaping)
    for name, value in kept.items():
        kind = picture_options(command)[name].kind
        if name not in typed and any(kind.files(value)):
            text = kind.text(value)
            raise OptionError(
                "{path}: its settings name a file; to allow that, type {} {text}",
                name, path=path, text=shlex.quote(text) if len(text) <= _LONGEST else brief(text),
            )  # fmt: skip
    downloads = {} if "network" in typed else {"no-download": True}
    return kept | downloads | dict(typed)


def _without_contradictions(
    command: str, stored: Mapping[str, Any], typed: dict[str, Any]
) -> dict[str, Any]:
    """Returns the stored options that can stand beside the typed ones."""
    kept = {name: value for name, value in stored.items() if name not in typed}
    while True:
        try:
            make_recipe(command, kept | typed)
        except OptionError as error:
            culprits = kept.keys() & set(error.options)
            if not culprits:
                return kept  # what was typed contradicts itself, which is said elsewhere
            kept = {name: value for name, value in kept.items() if name not in culprits}
        else:
            return kept


def read_options(path: str, command: str) -> dict[str, Any]:
    """Returns the options that were given when a picture was made.

    Raises:
      FileNotFoundError, IsADirectoryError: if `path` names no file.
      FileFormatError: if the picture holds no settings, or none that jaxstyle could have written.
      UsageError: if another command made it.
    """
    settings = io.read_settings(path)
    made_by, options = settings.get("command"), settings.get("options")
    if not isinstance(made_by, str) or not isinstance(options, dict):
        raise FileFormatError(f"{path}: its settings name no options; give another picture")
    if made_by != command:
        raise UsageError(
            f"{path}: was made by jaxstyle {_shown(made_by)}; "
            f"give a picture made by jaxstyle {command}"
        )
    for name in options:
        # A picture from elsewhere must not choose which files are written.
        if name not in picture_options(command):
            raise FileFormatError(
                f"{path}: its settings name {_shown(name)}, which does not shape a picture; "
                "give a picture that jaxstyle wrote"
            )
    given = settings.get("given", list(options))
    if not isinstance(given, list) or not all(name in options for name in map(str, given)):
        raise FileFormatError(f"{path}: its settings give options that they do not name")
    try:
        parsed = parse_options(command, {name: str(value) for name, value in options.items()})
    except OptionError as error:
        raise FileFormatError(f"{path}: its settings do not fit: {_shown(str(error))}") from None
    return {name: value for name, value in parsed.items() if name in given}


def _shown(text: str) -> str:
    """Returns a text from a picture as a message can show it."""
    return printable(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
