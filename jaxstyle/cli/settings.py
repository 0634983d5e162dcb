"""The settings that a picture carries: which options made it, and how to read them back."""

import importlib.metadata
import re
from pathlib import Path
from typing import Any

from jaxstyle import io
from jaxstyle.errors import FileFormatError
from jaxstyle.weights import Network

# What says where files are and how to talk about them does not shape the picture. A picture from
# elsewhere must not choose which files are written either.
_NOT_KEPT = {
    *("content", "style", "output", "settings_from", "trace", "save_every", "quality"),
    *("json", "quiet", "no_download", "debug"),
}


def settings_of(
    command: str,
    arguments: dict[str, Any],
    content: Path | None,
    style: Path | None,
    network: Network,
) -> dict[str, Any]:
    """What is kept inside a picture: the options, and where the rest came from."""
    options = {
        name.replace("_", "-"): _as_option(value)
        for name, value in sorted(arguments.items())
        if name not in _NOT_KEPT
    }
    return {
        "command": command,
        "options": options,
        "content": content and str(content),
        "style": style and str(style),
        "network": {"name": network.name, **network.metadata},
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "jaxopt")},
    }


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
        if not re.fullmatch(r"[a-z-]+", name) or name.replace("-", "_") in _NOT_KEPT:
            raise FileFormatError(
                f"{path}: its settings name {name!r}, which is none of the options that "
                "--settings-from takes; give a picture that jaxstyle wrote"
            )
    return [f"--{name}={value}" for name, value in options.items()]


def _as_option(value: Any) -> str:
    """A parsed option as it could be written on the command line."""
    if isinstance(value, dict):
        return ",".join(f"{layer}={weight:.17g}" for layer, weight in value.items())
    if isinstance(value, tuple):
        height, width = value
        return f"{width}x{height}"
    return str(value)
