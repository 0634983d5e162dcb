"""Files of networks that paint in one pass: safetensors with all that is needed to use them.

The file's metadata hold, as JSON, the architecture and the styles; its arrays are named
`LAYER.PART`. What `jaxstyle weights` and the page show of a style, a thumbnail of what it makes,
is an array too.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from jaxstyle._common.text import printable
from jaxstyle.errors import FileFormatError
from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.network import init_network
from jaxstyle.feedforward.prediction import init_predictor
from jaxstyle.networks.formats.containers import read_safetensors
from jaxstyle.networks.formats.stored import refusing, shown
from jaxstyle.networks.save import write_tensors

FORMAT, VERSION = "jaxstyle-feedforward", "1"
_THUMBNAILS, _STATISTICS = "thumbnails", "statistics."
_KIND, _ANY = "kind", "any painting"


class Style(NamedTuple):
    """A style of a network.

    Attributes:
      name: what it is asked for by.
      source: the painting, its painter and its licence, in one line.
    """

    name: str
    source: str = ""


class FastNetwork(NamedTuple):
    """A network that paints in one pass, as its file holds it.

    Attributes:
      params: its parameters; see `jaxstyle.feedforward.network`.
      architecture: static settings.
      styles: what it can paint like; empty if that is any painting, which `predict_styles` of
        `jaxstyle.feedforward.prediction` makes a style of.
      thumbnails: `[N, h, w, 3]` uint8, a picture of each style, or None.
      metadata: how it was trained, its versions and its licence.
      statistics: `{layer: [N, C, C]}`, Gram matrices of the paintings by the compact network, for
        a polish that does not have the paintings; empty if they are not known.
    """

    params: dict[str, Any]
    architecture: Architecture
    styles: tuple[Style, ...]
    thumbnails: NDArray[np.uint8] | None = None
    metadata: Mapping[str, str] = {}
    statistics: Mapping[str, Any] = {}

    @property
    def takes_paintings(self) -> bool:
        """Whether it paints like any painting, and has no styles of its own."""
        return "predictor" in self.params

    def weigh(self, blend: Mapping[str, float]) -> NDArray[np.float32]:
        """Returns how much each style counts, from the shares of some by name.

        Args:
          blend: `{name: share}`; shares need not sum to one.

        Returns:
          `[N]` float32, of sum one.

        Raises:
          ValueError: if a style is unknown (the message lists those there are), or no share is
            positive.
        """
        return weigh_styles(self.styles, blend)


def weigh_styles(
    styles: Sequence[Style], blend: Mapping[str, float] | None = None
) -> NDArray[np.float32]:
    """Returns how much each style counts; see `FastNetwork.weigh`.

    Args:
      styles: of a network.
      blend: `{name: share}`; the first style alone by default.
    """
    names = [style.name for style in styles]
    blend = {names[0]: 1.0} if blend is None else blend
    unknown = [name for name in blend if name not in names]
    if unknown:
        raise ValueError(f"no style is called {unknown[0]!r}; there are {', '.join(names)}")
    shares = np.array([blend.get(name, 0.0) for name in names], np.float32)
    if shares.min() < 0 or not shares.sum() > 0:
        raise ValueError("the shares of the styles should not be negative, and one positive")
    normalized: NDArray[np.float32] = shares / shares.sum()
    return normalized


def save_network(path: str | Path, network: FastNetwork, *, dtype: str = "float16") -> None:
    """Writes a network; the file appears whole or not at all.

    Args:
      path: the file to write; an existing one is replaced.
      network: the network.
      dtype: the type of the kernels in the file; they are float32 again when read.

    Raises:
      OSError: if the file cannot be written.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for layer, parts in network.params.items():
        for part, value in parts.items():
            kind = dtype if part in ("kernel", "encode", "decode") else "float32"
            arrays[f"{layer}.{part}"] = np.ascontiguousarray(value, kind)
    if network.thumbnails is not None:
        arrays[_THUMBNAILS] = np.ascontiguousarray(network.thumbnails, np.uint8)
    for layer, grams in network.statistics.items():
        rows, columns = np.triu_indices(grams.shape[-1])  # they are symmetric
        half = np.asarray(grams)[:, rows, columns]
        arrays[f"{_STATISTICS}{layer}"] = np.ascontiguousarray(half, "float16")
    write_tensors(path, arrays, {**notes_of(network), "format": FORMAT, "version": VERSION})


def notes_of(network: FastNetwork) -> dict[str, str]:
    """Returns what a network's file says of it in words: its metadata, architecture and styles."""
    kind = {_KIND: _ANY} if network.takes_paintings else {}
    form = dataclasses.asdict(network.architecture)
    if not form["previous"]:  # a network for pictures is described as before there were others
        del form["previous"]
    return {
        **network.metadata,
        **kind,
        "architecture": json.dumps(form),
        "styles": json.dumps([style._asdict() for style in network.styles]),
    }


def read_notes(
    path: str | Path, notes: Mapping[str, str]
) -> tuple[Architecture, tuple[Style, ...]]:
    """Returns the architecture and the styles from `notes_of`.

    Args:
      path: the file, for messages.
      notes: what it says.

    Raises:
      FileFormatError: if they are not there, or damaged.
    """
    try:
        settings = json.loads(notes["architecture"])
        styles = tuple(Style(**style) for style in json.loads(notes["styles"]))
        known: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()
        }
        architecture = Architecture(**known)
        if not styles and not takes_paintings(notes):
            raise ValueError("it has no styles")
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise FileFormatError(
            f"{path}: its description is damaged ({printable(str(error)[:200])})"
        ) from None
    return architecture, styles


def takes_paintings(notes: Mapping[str, str]) -> bool:
    """Tells whether a network paints like any painting.

    Args:
      notes: what its file says of it, from `notes_of`.
    """
    return notes.get(_KIND) == _ANY


def load_network(path: str | Path) -> FastNetwork:
    """Reads a network from its file.

    Args:
      path: a file that `save_network` wrote.

    Raises:
      FileFormatError: if it is a file of another kind, or damaged.
      OSError: if it cannot be read.
    """
    stored, notes = read_safetensors(path)
    if notes.get("format") != FORMAT:
        raise FileFormatError(
            f"{path}: holds no network that paints in one pass; train one with `jaxstyle train`, "
            "or convert a published one with `jaxstyle weights convert`"
        )
    architecture, styles = read_notes(path, notes)
    shapes = {
        name: each.shape
        for name, each in stored.items()
        if name != _THUMBNAILS and not name.startswith(_STATISTICS)
    }
    _check(path, shapes, architecture, None if takes_paintings(notes) else len(styles))
    with refusing(path, "a network"):
        arrays = {name: each.read() for name, each in stored.items()}
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise FileFormatError(f"{path}: {shown(name)} has values that are not finite")
    thumbnails = arrays.pop(_THUMBNAILS, None)
    statistics = {
        name.removeprefix(_STATISTICS): _symmetric(path, name, arrays.pop(name), len(styles))
        for name in sorted(arrays)
        if name.startswith(_STATISTICS)
    }
    params = _nested(arrays)
    for name in ("format", "version", "architecture", "styles", _KIND):
        notes.pop(name, None)
    return FastNetwork(params, architecture, styles, thumbnails, notes, statistics)


def _symmetric(path: str | Path, name: str, half: NDArray[Any], styles: int) -> NDArray[np.float32]:
    """Returns symmetric matrices `[N, C, C]` from the upper half of each."""
    side = int((2 * half.shape[-1]) ** 0.5) if half.ndim == 2 else 0
    if half.shape != (styles, side * (side + 1) // 2):
        raise FileFormatError(f"{path}: {shown(name)} should be half of a matrix per style")
    rows, columns = np.triu_indices(side)
    whole = np.empty((styles, side, side), np.float32)
    whole[:, rows, columns] = half
    whole[:, columns, rows] = half
    return whole


def _nested(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, value in arrays.items():
        layer, _, part = name.partition(".")
        params.setdefault(layer, {})[part] = jnp.asarray(value, jnp.float32)
    return params


def _check(
    path: str | Path,
    found: Mapping[str, tuple[int, ...]],
    form: Architecture,
    styles: int | None,
) -> None:
    """Raises `FileFormatError` unless the arrays have the shapes of the architecture's.

    Args:
      path: the file, for messages.
      found: the shapes, by name.
      form: the architecture.
      styles: how many it has, or None if it paints like any painting.
    """
    wanted: Any = jax.eval_shape(lambda: init_network(jax.random.key(0), form, styles=styles or 1))
    if styles is None:
        if form.output != "residual":
            raise FileFormatError(f"{path}: networks of this form have styles of their own")
        paintings, width = (
            (found.get(name) or (0,))[-1] for name in ("standard.mean", "predictor.encode")
        )
        wanted = jax.eval_shape(
            lambda params: init_predictor(
                jax.random.key(0), params, jnp.zeros((1, paintings)), width
            ),
            wanted,
        )
    shapes = {
        f"{layer}.{part}": leaf.shape
        for layer, parts in wanted.items()
        for part, leaf in parts.items()
    }
    check_shapes(path, found, shapes)


def check_shapes(
    path: str | Path, found: Mapping[str, tuple[int, ...]], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Raises `FileFormatError` unless arrays have the names and shapes that they should have.

    Args:
      path: the file, for messages.
      found: the shapes in the file, by name.
      shapes: those that should be there.
    """
    wrong = [
        *(f"{name} is missing" for name in shapes.keys() - found.keys()),
        *(f"{shown(name)} is not known" for name in found.keys() - shapes.keys()),
        *(
            f"{name} should be {list(shapes[name])}, is {list(found[name])}"
            for name in shapes.keys() & found.keys()
            if shapes[name] != tuple(found[name])
        ),
    ]
    if wrong:
        raise FileFormatError(f"{path}: {'; '.join(sorted(wrong)[:5])}")
