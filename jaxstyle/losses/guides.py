"""Guides: a mask as the layers of a network see it, and how much each of their positions counts.

A mask is `[H, W]` from 0 outside to 1 inside. A guide is the mask as a layer sees it, `[h, w]`. A
mass is the square of a guide, scaled to sum to one; statistics weigh positions by it (see
`jaxstyle.statistics`).

Reference: Gatys et al., "Controlling Perceptual Factors in Neural Style Transfer", CVPR 2017,
section 4.
"""

import functools
from collections.abc import Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxstyle._common.arrays import to_device
from jaxstyle._common.checks import check_choice
from jaxstyle.losses.spec import LossSpec
from jaxstyle.networks import vgg
from jaxstyle.networks.spec import VGGSpec

GuideMode = Literal["simple", "inside", "all"]
_ROUNDING = 1e-3  # by which a filter may overshoot


def region_masses(
    mask: Array,
    params: vgg.Params,
    spec: LossSpec,
    *,
    mode: GuideMode = "simple",
    name: str = "",
) -> dict[str, Array]:
    r"""Computes how much each position of each style layer counts for a region.

    .. math:: m = T^2 / \sum T^2

    Here T is the guide that `propagate` gives.

    Args:
      mask: `[H, W]` in [0, 1].
      params: the network's parameters, for its architecture.
      spec: which style layers are compared.
      mode: see `propagate`.
      name: the region's name, for the message.

    Returns:
      A dictionary from layer to `[h, w]` that sums to one.

    Raises:
      ValueError: if nothing of the region is left at a layer. Inside `jit` this cannot be known,
        and the masses are zero instead.

    Reference: Gatys et al., CVPR 2017, eqs. 6 and 7.
    """
    if not isinstance(spec.network, VGGSpec):
        raise ValueError("guides need VGG's layers; leave your own spec.network out")
    guides = propagate(mask, spec.style_layers, vgg.network_widths(params), mode=mode)
    masses: dict[str, Array]
    masses, totals = _masses(guides)
    for layer, total in totals.items():
        if not isinstance(total, jax.core.Tracer) and float(total) == 0.0:
            remedy = "use a larger region, layers of earlier blocks, or the mode simple"
            if not float(jnp.max(mask)):
                remedy = "its mask is black everywhere"
            raise ValueError(f"region {name} is empty at {layer}; {remedy}")
    return masses


@jax.jit
def _masses(guides: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    squares = {layer: jnp.square(guide) for layer, guide in guides.items()}
    totals = {layer: jnp.sum(each) for layer, each in squares.items()}
    masses = {k: squares[k] / jnp.where(totals[k] > 0, totals[k], 1.0) for k in guides}
    return masses, totals


def propagate(
    mask: Array,
    layers: Sequence[str],
    widths: vgg.Widths = vgg.VGG19_WIDTHS,
    *,
    mode: GuideMode = "simple",
) -> dict[str, Array]:
    """Returns a mask as the layers of a network see it.

    Args:
      mask: `[H, W]` in [0, 1].
      layers: names of layers.
      widths: the network's convolutions; see `jaxstyle.networks.vgg.network_widths`.
      mode: "simple" gives the share of a position's own pixels that are inside. "inside" gives the
        positions that see nothing outside, so no style leaks over the edge; this costs a margin as
        wide as the network's field of view, 4 pixels at relu2_1 and 80 at relu5_1. "all" gives the
        positions that see anything inside.

    Returns:
      A dictionary from layer to guide `[h, w]`.

    Raises:
      ValueError: if the mask is not `[H, W]`, or a layer or the mode is unknown.

    Example:
      >>> {k: v.tolist() for k, v in propagate(jnp.eye(2), ["relu1_1", "pool1"]).items()}
      {'relu1_1': [[1.0, 0.0], [0.0, 1.0]], 'pool1': [[0.5]]}

    Reference: Gatys et al., CVPR 2017, section 4.1.
    """
    check_choice("guide mode", mode, get_args(GuideMode))
    vgg.check_layers(layers, widths)
    if jnp.ndim(mask) != 2:
        raise ValueError(f"mask should have shape [H, W], got {list(jnp.shape(mask))}")
    guides: dict[str, Array] = _propagate(to_device(mask), tuple(layers), tuple(widths), mode)
    return {layer: guides[layer] for layer in layers}  # a program sorts what it returns


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _propagate(
    guide: Array, layers: tuple[str, ...], widths: vgg.Widths, mode: GuideMode
) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for layer in vgg.layer_names(widths):
        if layer.startswith("conv") and mode != "simple":
            guide = _widen(guide, mode)
        elif layer.startswith("pool"):
            guide = _shrink(guide, mode)
        if layer in layers:
            found[layer] = guide
    return found


def _widen(guide: Array, mode: str) -> Array:
    """Returns what a 3×3 convolution sees at each position; the border is continued outwards."""
    if mode == "inside":
        return -_widen(-guide, "all")
    wide: Array = jax.lax.reduce_window(guide, -jnp.inf, jax.lax.max, (3, 3), (1, 1), "SAME")
    return wide


def _shrink(guide: Array, mode: str) -> Array:
    """Returns what a 2×2 pool sees; odd sizes round down, as in the network."""
    h, w = guide.shape[0] // 2, guide.shape[1] // 2
    cells = guide[: 2 * h, : 2 * w].reshape(h, 2, w, 2)
    reduce: Any = {"simple": jnp.mean, "inside": jnp.min, "all": jnp.max}[mode]
    shrunk: Array = reduce(cells, axis=(1, 3))
    return shrunk


def spot(shape: Sequence[int], place: Sequence[float], radius: float = 0.1) -> Array:
    r"""Returns a mask that is one at a place and a half at some distance from it.

    .. math:: M_p = 2^{-\|p - q\|^2 / r^2}

    Args:
      shape: height and width.
      place: across and down, as fractions of width and height.
      radius: r, as a fraction of the longer side.

    Returns:
      `[*shape]`.

    Example:
      >>> [round(float(each), 2) for each in spot((1, 10), (0.05, 0.5), radius=0.2)[0, :6]]
      [1.0, 0.84, 0.5, 0.21, 0.06, 0.01]
    """
    height, width = shape[:2]
    across, down = (
        (jnp.arange(side) + 0.5 - at * side) / (radius * max(height, width))
        for side, at in zip((width, height), place, strict=True)
    )
    return jnp.exp2(-(jnp.square(down)[:, None] + jnp.square(across)[None]))


def check_mask(mask: Array, shape: Sequence[int], what: str) -> None:
    """Raises `ValueError` unless a mask is as large as its image, and known values are 0 to 1.

    Args:
      mask: `[H, W]`.
      shape: height and width of the image.
      what: the mask in messages.
    """
    if jnp.shape(mask) != tuple(shape):
        raise ValueError(
            f"{what} should have shape {list(shape)} like its image, got {list(jnp.shape(mask))}"
        )
    if isinstance(mask, jax.core.Tracer) or not getattr(mask, "is_fully_addressable", True):
        return
    values = np.asarray(jax.device_get(mask))
    if not (values >= -_ROUNDING).all() or not (values <= 1 + _ROUNDING).all():
        raise ValueError(
            f"{what} should be in [0, 1], got values from {values.min():g} to {values.max():g}"
        )
