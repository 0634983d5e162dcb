"""What a worker publishes for the web processes, which do not import JAX: options and styles.

The forms of the page, the checks of what is asked for and the OpenAPI file all come from here, and
so from the package's own table of options.
"""

import importlib.metadata
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxstyle import samples
from jaxstyle.feedforward.files import load_network
from jaxstyle.image import io
from jaxstyle.networks.catalogue import PAINTBOX, find_fast_network
from jaxstyle.pipeline.file_options import Mix, Regions
from jaxstyle.pipeline.kinds import Choice, FileName, Flag, Kind, Number
from jaxstyle.pipeline.option import Option
from jaxstyle.pipeline.options import picture_options
from jaxstyle.web import models
from jaxstyle.web.checking import NAME
from jaxstyle.web.edition import edition
from jaxstyle.web.examples import remove_old, write_tile

# What each command takes beside its options, and whether it has to be given.
_TAKES: dict[str, dict[str, bool]] = {
    "apply": {"photograph": True, "painting": False},
    "stylize": {"photograph": True, "painting": True},
    "texture": {"painting": True},
    "reconstruct": {"photograph": True},
}
_PAINTING = "painting"  # has a field of its own
_LONGEST = 200


def publish() -> dict[str, Any]:
    """Writes the catalogue into the database, and the pictures of the styles beside it."""
    remove_old()
    facts = {
        "edition": edition(),
        "version": importlib.metadata.version("jaxstyle"),
        "commands": {command: _command(command) for command in _TAKES},
        "styles": list(_styles()),
    }
    _write_samples()
    models.Catalogue.objects.update_or_create(id=1, defaults={"facts": facts})
    return facts


def _command(command: str) -> dict[str, Any]:
    options = picture_options(command)
    lists = {"mix": Mix, "regions": Regions}
    return {
        "takes": _TAKES[command],
        "lists": [
            name
            for name, kind in lists.items()
            if name in options and isinstance(options[name].kind, kind)
        ],
        "options": {
            name: row
            for name, option in options.items()
            if name != _PAINTING and (row := _row(option)) is not None
        },
    }


def _row(option: Option) -> dict[str, Any] | None:
    schema = schema_of(option.kind)
    if schema is None:
        return None
    return {
        "schema": schema,
        "help": option.help,
        "group": option.group,
        "default": option.default,
        "metavar": option.metavar,
        "picture": isinstance(option.kind, FileName) and option.kind.role in ("style", "mask"),
    }


def schema_of(kind: Kind) -> dict[str, Any] | None:
    """Returns the JSON schema of a kind of value, or None if a page cannot give such a value.

    Files of this machine are nothing that a visitor may name. Where an option takes a picture, the
    page takes the name of an upload.
    """
    if isinstance(kind, Flag):
        return {"type": "boolean"}
    if isinstance(kind, Number):
        least = "exclusiveMinimum" if kind.above else "minimum"
        schema = {"type": "integer" if kind.whole else "number", least: kind.least}
        return schema if kind.most == float("inf") else {**schema, "maximum": kind.most}
    if isinstance(kind, Choice):
        return {"type": "string", "enum": list(kind.choices)}
    if isinstance(kind, FileName):
        names = {"enum": list(kind.names)} if kind.names else {}
        if kind.role in ("style", "mask"):
            return {"type": "string", **names, "pattern": NAME.pattern}
        return {"type": "string", **names} if names else None
    if isinstance(kind, (Mix, Regions)):
        return None
    return {"type": "string", "maxLength": _LONGEST}


def _styles() -> Iterator[dict[str, Any]]:
    """Yields the styles that come with the package, and writes the picture of each."""
    network = load_network(find_fast_network(PAINTBOX))
    for i, style in enumerate(network.styles):
        known = network.thumbnails
        write_tile(style.name, None if known is None else known[i].astype(np.float32) / 255)
        yield {"name": style.name, "source": style.source}


def _write_samples() -> None:
    """Writes the picture that a visitor without a photograph can try."""
    io.save_image(models.styles() / "sample.png", io.load_image(samples.LAKE))
