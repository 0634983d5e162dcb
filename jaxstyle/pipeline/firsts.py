"""What makes the picture that is there at once: the choice, and its simplest two kinds."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpy.typing import NDArray

from jaxstyle.errors import OptionError, naming, usage_errors
from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.decoder_files import load_decoder
from jaxstyle.feedforward.decoding import Transform
from jaxstyle.feedforward.files import (
    FastNetwork,
    Style,
    load_network,
    notes_of,
    read_notes,
    takes_paintings,
    weigh_styles,
)
from jaxstyle.image.matching import match_distribution
from jaxstyle.networks.catalogue import DECODER_FILES, FAST_FILES, find_fast_network
from jaxstyle.networks.load import Network
from jaxstyle.pipeline.any_painting import AnyPainting
from jaxstyle.pipeline.by_features import Features
from jaxstyle.pipeline.by_pieces import Pieces
from jaxstyle.pipeline.file_options import RegionOption
from jaxstyle.pipeline.first import (
    FEATURES,
    PIECES,
    First,
    Painted,
    Rows,
    Way,
    rows_of_paintings,
)
from jaxstyle.pipeline.no_network import NO_NETWORK
from jaxstyle.pipeline.one_pass import paint_into, plan_pass
from jaxstyle.pipeline.polish import polisher


def find_network(way: Way, options: Mapping[str, Any]) -> Network:
    """Returns the network of a file, the one that polishes where no other is needed, or none.

    Raises:
      FileFormatError: if the file holds no such network.
      OSError: if it cannot be read.
    """
    path = file_of(way, options)
    if path is None:
        return NO_NETWORK if way in PIECES and not options["polish"] else polisher().network
    if not path.exists():
        option = "fast-network" if way == "network" else "decoder"
        names = ", ".join(FAST_FILES if way == "network" else DECODER_FILES)
        raise OptionError("{} {path}: no such file; use {names} or a file", option, path=path,
                          names=names)  # fmt: skip
    if way == "network":
        with naming("fast-network"):
            network = _load(path)
        return Network(network.params, path.stem, path, notes_of(network))
    with naming("decoder"):
        decoder = load_decoder(path, polisher().network.params)
    return Network(decoder.params, path.stem, path, dict(decoder.metadata))


def _load(path: Path) -> FastNetwork:
    """Returns the network of a file, which is read once while it stays as it is."""
    try:
        status = path.stat()
    except OSError:
        return load_network(path)  # which says what is wrong
    return _read(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=2)
def _read(path: Path, changed: int, size: int) -> FastNetwork:
    return load_network(path)


def file_of(way: Way, options: Mapping[str, Any]) -> Path | None:
    """Returns the file of the network that makes the first picture, if it takes one."""
    if way == "quick" or way in PIECES:
        return None
    return find_fast_network(options["fast-network" if way == "network" else "decoder"])


def make_first(way: Way, options: Mapping[str, Any], network: Network) -> First:
    """Returns what makes the first picture.

    Args:
      way: how.
      options: of the recipe.
      network: from `find_network`.

    Raises:
      OptionError: if the options do not fit the network.
    """
    if way == "quick":
        return Colors()
    if way in PIECES:
        return Pieces(way, options)
    if way in FEATURES:
        return Features(network, cast(Transform, way), options["levels"])
    architecture, styles = read_notes(network.path, network.metadata)
    if takes_paintings(network.metadata):
        return AnyPainting(network, architecture)
    if "mix" in options or ("painting" in options and not options["polish"]):
        raise OptionError(
            "{} {name} paints in styles of its own, and {} tells it only what to be polished "
            "after; give {} N too, or {} quick",
            "fast-network", "painting", "polish", "method", name=network.name,
        )  # fmt: skip
    return Styles(network, architecture, styles)


@dataclasses.dataclass(frozen=True)
class Styles:
    """A network with styles of its own.

    Attributes:
      network: the network.
      architecture: its form.
      styles: that it paints in.
    """

    network: Network
    architecture: Architecture
    styles: Sequence[Style]

    @property
    def goes_on(self) -> bool:
        """Whether the network takes the picture of the frame before."""
        return self.architecture.previous

    def weigh(self, options: Mapping[str, Any], regions: Sequence[RegionOption] | None) -> Rows:
        """Returns rows of weights.

        Raises:
          OptionError: if the network has no such style; the message lists those that it has.
        """
        if regions is None:
            option = "blend" if "blend" in options else "style"
            blends = [{options["style"]: 1.0} if "style" in options else options.get("blend")]
        else:
            option, blends = "regions", [{str(each.style): 1.0} for each in regions]
            if any(region.style is None for region in regions):
                raise OptionError("{} needs style=NAME of the network after each mask", "regions")
        with usage_errors(option):
            return [weigh_styles(self.styles, blend) for blend in blends]

    def side(self, options: Mapping[str, Any], side: int) -> int:
        """Returns the side of a polish: the network needs no painting."""
        return side

    def plan(self, shape: tuple[int, int], weights: tuple[int, ...], *, exact: bool) -> int:
        """Returns the peak memory, in bytes, for a height and width."""
        return plan_pass(shape, self.network.params, weights, self.architecture, exact=exact)

    def paint(
        self, program: tuple[int, int], photograph: NDArray[np.float32], like: Painted
    ) -> Array:
        """Returns the picture, clipped."""
        params, form = self.network.params, self.architecture
        return paint_into(program, params, photograph, like.weights, form, like.previous)


@dataclasses.dataclass(frozen=True)
class Colors:
    """The photograph in the colours of paintings."""

    def weigh(self, options: Mapping[str, Any], regions: Sequence[RegionOption] | None) -> Rows:
        """Returns rows of weights, in which each painting is a style."""
        return rows_of_paintings(options, regions)

    def side(self, options: Mapping[str, Any], side: int) -> int:
        """Returns the side of a polish."""
        return side

    def plan(self, shape: tuple[int, int], weights: tuple[int, ...], *, exact: bool) -> int:
        """Returns nothing: a formula takes no memory worth a plan."""
        return 0

    def paint(
        self, program: tuple[int, int], photograph: NDArray[np.float32], like: Painted
    ) -> Array:
        """Returns the picture, clipped."""
        paintings = [like.load(path, like.side) for path in like.paths]
        return in_colors_of(paintings, like.weights.tolist(), photograph)


def in_colors_of(
    paintings: Sequence[Array], shares: Sequence[float], photograph: ArrayLike
) -> Array:
    """Returns a photograph `[H, W, 3]` in the colours of paintings, clipped.

    Args:
      paintings: each `[H, W, 3]`.
      shares: how much the colours of each of them count.
      photograph: `[H, W, 3]`.
    """
    parts = [
        share * _in_colors_of(painting, photograph)
        for painting, share in zip(paintings, shares, strict=True)
    ]
    colored: Array = sum(parts[1:], start=parts[0])
    return colored


@jax.jit
def _in_colors_of(painting: ArrayLike, photograph: ArrayLike) -> Array:
    colored = match_distribution(jnp.asarray(photograph), jnp.asarray(painting))
    return jnp.clip(colored, 0, 1)
