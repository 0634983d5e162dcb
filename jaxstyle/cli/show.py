"""`jaxstyle show`: what a picture says of how it was made."""

from collections.abc import Iterable, Mapping
from typing import Any

from jaxstyle.cli.printing import answered, say, say_json
from jaxstyle.image import io
from jaxstyle.pipeline.again import command_line, steps_of
from jaxstyle.pipeline.metadata import read_settings

_FILES = {"content": "photograph", "style": "painting"}
_WEIGHTS = {"oxford": "Oxford's weights", "torchvision": "torchvision's weights"}


def show(arguments: dict[str, Any]) -> int:
    """`jaxstyle show PICTURE`: prints its settings, and the command line that makes it again."""
    path = arguments["picture"]
    if "json" in arguments:
        say_json(io.read_settings(path))
        return answered()
    settings = read_settings(path)
    say(f"{path}: made by jaxstyle {settings['command']}")
    for name, value in _facts(settings):
        say(f"  {name}: {value}")
    given, options = settings["given"], settings["options"]
    _say_options("given", {name: options[name] for name in given})
    _say_options("filled in", {name: options[name] for name in options if name not in given})
    # A first look was painted at a fixed size, which no option asks for.
    again = "makes one about like this first look" if settings.get("framed") else "makes it again"
    say(f"this line {again}:")
    say(command_line(settings, path))
    return answered()


def _facts(settings: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Yields what is known besides the options, each with its name."""
    for name, title in _FILES.items():
        if settings.get(name):
            yield title, settings[name]
    network = _table(settings.get("network"))
    if "name" in network:
        normalized = "normalised" if network.get("normalized") == "true" else None
        notes = [_WEIGHTS.get(str(network.get("weights"))), normalized]
        known = ", ".join(note for note in notes if note)
        yield "network", f"{network['name']} ({known})" if known else network["name"]
    step, wanted = steps_of(settings)
    if step is not None:
        yield "steps", step if wanted is None else f"{step} of {wanted}"
    versions = _table(settings.get("versions"))
    if versions:
        yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())


def _table(value: Any) -> Mapping[str, Any]:
    """Returns a table of the settings, or an empty one where something else stands there."""
    return value if isinstance(value, Mapping) else {}


def _say_options(title: str, options: Mapping[str, Any]) -> None:
    if options:
        say(f"  options {title}:")
        for name, value in options.items():
            say(f"    {name} {value}")
