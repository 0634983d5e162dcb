"""The settings that a picture carries: which options made it, and how to read them back."""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxstyle.errors import FileFormatError
from jaxstyle.image import io
from jaxstyle.networks.load import Network
from jaxstyle.pipeline.options import as_text, option_names

# Of what a picture says of its network, in characters.
_LONGEST = 200


def settings_of(
    command: str,
    options: dict[str, Any],
    content: Path | None,
    style: Path | None,
    network: Network,
) -> dict[str, Any]:
    """What is kept inside a picture: the options, and where the rest came from."""
    return {
        "command": command,
        "options": {name.replace("_", "-"): as_text(v) for name, v in sorted(options.items())},
        "content": content and str(content),
        "style": style and str(style),
        "network": {"name": network.name, **_in_brief(network.metadata)},
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "jaxopt")},
    }


def _in_brief(metadata: Mapping[str, str]) -> dict[str, str]:
    """A network's metadata, but what only its own file needs: lists of filters, training data."""
    # Sorted, since a file of parameters has them in no order, and equal runs make equal files.
    return {key: value for key, value in sorted(metadata.items()) if len(value) <= _LONGEST}


def read_options(path: str, command: str) -> list[str]:
    """The options that made a picture, as arguments to parse.

    Raises:
      FileNotFoundError, IsADirectoryError: if `path` names no file.
      FileFormatError: if the picture holds no settings, or none that the command line could write.
      ValueError: if another command made it.
    """
    settings = io.read_settings(path)
    if settings.get("command") != command:
        raise ValueError(
            f"{path}: was made by jaxstyle {settings.get('command')}; "
            f"--settings-from needs a picture made by jaxstyle {command}"
        )
    options = settings.get("options")
    if not isinstance(options, dict):
        raise FileFormatError(f"{path}: its settings name no options; give another picture")
    for name in options:
        # A picture from elsewhere must not choose which files are written.
        if name not in option_names(command):
            raise FileFormatError(
                f"{path}: its settings name {name!r}, which is none of the options that "
                "--settings-from takes; give a picture that jaxstyle wrote"
            )
    return [f"--{name}={value}" for name, value in options.items()]
