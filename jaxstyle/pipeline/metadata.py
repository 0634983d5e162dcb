"""The settings that a picture carries: which options made it, and how to read them back."""

import importlib.metadata
import os
import shlex
from collections.abc import Callable, Mapping
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


# What a network's metadata say of this machine: folders, and why something could not be had.
_OF_THIS_MACHINE = "fallback_reason"


def settings_of(
    recipe: Recipe,
    content: Path | None,
    style: Path | None,
    network: Network,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Returns what is kept inside a picture: the options, and where the rest came from.

    Args:
      recipe: how it is made.
      content: the photograph's file, if there is one.
      style: the painting's file, if there is one.
      network: the network.
      folder: the folder of the picture, whose files are then called as `published` calls them;
        None leaves all names as they are.
    """

    def called(name: str) -> str:
        return name if folder is None else published(name, folder)

    options = relocated(recipe.command, recipe.options, called)
    facts = _in_brief(network.metadata)
    if folder is not None:
        facts.pop(_OF_THIS_MACHINE, None)
    return {
        "command": recipe.command,
        "options": option_texts(recipe.command, options),
        "given": list(recipe.given),
        "content": content and called(str(content)),
        "style": style and called(str(style)),
        **({"network": {"name": network.name, **facts}} if network.name else {}),
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "jaxopt")},
    }


def published(name: str, folder: Path) -> str:
    """Returns how a picture calls a file: from the picture's folder on, or by its name alone.

    A picture may be shown to anybody, and the folders of its author's machine are nobody's
    business.

    Args:
      name: the file.
      folder: the picture's folder.

    Example:
      >>> published("/home/ann/work/photos/lake.jpg", Path("/home/ann/work"))
      'photos/lake.jpg'
      >>> published("/home/ann/pictures/lake.jpg", Path("/home/ann/work"))
      'lake.jpg'
    """
    file, base = Path(os.path.abspath(name)), Path(os.path.abspath(folder))
    return file.relative_to(base).as_posix() if file.is_relative_to(base) else file.name


def found_beside(name: str, picture: str) -> str:
    """Returns a file that a picture names, looked for beside the picture.

    Args:
      name: as the picture has it.
      picture: the picture's file.
    """
    file = Path(picture).parent / name
    return str(file) if not os.path.isabs(name) and file.is_file() else name


def relocated(
    command: str, options: Mapping[str, Any], found: Callable[[str], str]
) -> dict[str, Any]:
    """Returns checked options whose files are renamed by a function."""
    known = picture_options(command)
    return {name: known[name].kind.relocate(value, found) for name, value in options.items()}


def names_alone(command: str, options: Mapping[str, Any]) -> dict[str, str]:
    """Returns checked options as texts that name each file without its folder."""
    return option_texts(command, relocated(command, options, lambda name: Path(name).name))


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
    kept = without_contradictions(command, stored, shaping)
    for name, value in kept.items():
        kind = picture_options(command)[name].kind
        if name not in typed and any(kind.files(value)):
            text = kind.text(kind.relocate(value, lambda file: found_beside(file, path)))
            raise OptionError(
                "{path}: its settings name a file; to allow that, type {} {text}",
                name, path=path, text=shlex.quote(text) if len(text) <= _LONGEST else brief(text),
            )  # fmt: skip
    downloads = {} if "network" in typed else {"no-download": True}
    return kept | downloads | dict(typed)


def without_contradictions(
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
    settings = read_settings(path)
    made_by, options = settings["command"], settings["options"]
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
    given = settings["given"]
    try:
        parsed = parse_options(command, {name: str(value) for name, value in options.items()})
    except OptionError as error:
        # What comes from the picture is at the end, after the choices that there are.
        said = _shown(str(error), 5 * _LONGEST)
        raise FileFormatError(f"{path}: its settings do not fit: {said}") from None
    return {name: value for name, value in parsed.items() if name in given}


def read_settings(path: str) -> dict[str, Any]:
    """Returns the settings of a picture, of which the command and its options are looked at.

    Raises:
      FileNotFoundError, IsADirectoryError: if `path` names no file.
      FileFormatError: if the picture holds no settings, or some that name no command.
    """
    settings = io.read_settings(path)
    made_by, options = settings.get("command"), settings.get("options")
    if not isinstance(made_by, str) or not isinstance(options, dict):
        raise FileFormatError(f"{path}: its settings name no options; give another picture")
    given = settings.get("given", list(options))
    if not isinstance(given, list) or not all(name in options for name in map(str, given)):
        raise FileFormatError(f"{path}: its settings give options that they do not name")
    return settings | {"given": list(map(str, given))}


def _shown(text: str, longest: int = _LONGEST) -> str:
    """Returns a text from a picture as a message can show it."""
    return printable(text if len(text) <= longest else f"{text[:longest]}...")
