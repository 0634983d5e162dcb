"""The settings that a picture carries: which options made it, and how to read them back."""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxstyle._common.text import printable
from jaxstyle.errors import FileFormatError, OptionError, UsageError
from jaxstyle.image import io
from jaxstyle.networks.load import Network
from jaxstyle.pipeline.options import option_texts, parse_options, picture_options

# Characters of a network's metadata that a picture keeps at most, and of a picture's settings that
# a message shows.
_LONGEST = 200


def settings_of(
    command: str,
    options: dict[str, Any],
    content: Path | None,
    style: Path | None,
    network: Network,
) -> dict[str, Any]:
    """Returns what is kept inside a picture: the options, and where the rest came from."""
    return {
        "command": command,
        "options": option_texts(command, options),
        "content": content and str(content),
        "style": style and str(style),
        "network": {"name": network.name, **_in_brief(network.metadata)},
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "jaxopt")},
    }


def _in_brief(metadata: Mapping[str, str]) -> dict[str, str]:
    """Returns a network's metadata without what only its own file needs, such as filter lists."""
    # Sorted, since a file of parameters has them in no order, and equal runs make equal files.
    return {key: value for key, value in sorted(metadata.items()) if len(value) <= _LONGEST}


def read_options(path: str, command: str) -> dict[str, Any]:
    """Returns the options that made a picture.

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
    try:
        return parse_options(command, {name: str(value) for name, value in options.items()})
    except OptionError as error:
        raise FileFormatError(f"{path}: its settings do not fit: {_shown(str(error))}") from None


def _shown(text: str) -> str:
    """Returns a text from a picture as a message can show it."""
    return printable(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
