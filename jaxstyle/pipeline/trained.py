"""What a training makes: a network as its file holds it, and sheets of what it paints."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from jaxstyle import samples
from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.files import FastNetwork, Style
from jaxstyle.feedforward.network import paint
from jaxstyle.image.io import load_image, save_image

_THUMBNAIL = (72, 96)


def describe_network(
    form: Architecture,
    params: Any,
    styles: tuple[Style, ...],
    statistics: Mapping[str, Any],
    metadata: Mapping[str, str],
) -> FastNetwork:
    """Returns a network as its file holds it, with a thumbnail of each style.

    Args:
      form: its architecture.
      params: its parameters.
      styles: what it can paint like.
      statistics: of the paintings, from `measure_paintings`.
      metadata: how it was trained, and its licence.
    """
    thumbnails = None
    if styles:
        photograph = load_image(samples.LAKE, shape=_THUMBNAIL)
        rows = paint_sheet(form, params, [photograph]).reshape(len(styles), *_THUMBNAIL, 3)
        thumbnails = np.round(255 * np.clip(rows, 0, 1)).astype(np.uint8)
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "flax"))
    host: dict[str, Any] = jax.device_get(params)
    return FastNetwork(
        host, form, styles, thumbnails, {**metadata, "versions": versions}, statistics
    )


def paint_sheet(
    form: Architecture, params: Mapping[str, Any], photographs: Sequence[Array]
) -> NDArray[np.float32]:
    """Returns what a network makes of photographs of one size: a row per style.

    Args:
      form: the network's architecture.
      params: its parameters.
      photographs: each `[H, W, 3]`.
    """
    rows = [
        np.concatenate([_painted(form, params, photo, style) for photo in photographs], axis=1)
        for style in np.eye(params["contract1"]["scale"].shape[0], dtype=np.float32)
    ]
    return np.concatenate(rows)


def write_sheet(path: Path, network: FastNetwork, photographs: Sequence[Array]) -> None:
    """Writes a picture of what a network makes of photographs of one size."""
    sheet = paint_sheet(network.architecture, network.params, photographs)
    save_image(path, np.clip(sheet, 0, 1))


def _painted(
    form: Architecture, params: Mapping[str, Any], photograph: Array, style: NDArray[np.float32]
) -> NDArray[np.float32]:
    return np.asarray(_paint(params, photograph, style, architecture=form))


_paint = jax.jit(paint, static_argnames="architecture")
