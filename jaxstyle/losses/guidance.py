"""Spatial control: says which region of the picture takes which style.

A mask is `[H, W]`, with 0 outside the region, 1 inside, and values between for soft edges. A guide
is the mask as a layer sees it, `[h, w]`. A mass is the square of a guide, scaled to sum to one;
statistics weigh positions by it (see `jaxstyle.statistics`).

Reference: Gatys et al., "Controlling Perceptual Factors in Neural Style Transfer", CVPR 2017,
section 4.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.arrays import to_device
from jaxstyle._common.checks import check_choice, check_key, check_picture
from jaxstyle._common.sharding import on_any_mesh
from jaxstyle.losses.spec import LossSpec, check_spec
from jaxstyle.losses.targets import (
    Kept,
    Mixture,
    Targets,
    content_targets,
    measure_style,
    mix_styles,
)
from jaxstyle.networks import vgg
from jaxstyle.networks.spec import VGGSpec

GuideMode = Literal["simple", "inside", "all"]


class Region(NamedTuple):
    """A region of the picture and the style that it takes.

    Attributes:
      mask: `[H, W]` in [0, 1], as large as the picture.
      style: `[H', W', 3]` in [0, 1].
      style_mask: `[H', W']`, the region of the style image that counts; None for all of it.
      weight: how much the region counts relative to its size; 1 for all regions treats every pixel
        the same.
      name: the region's name in messages.
    """

    mask: Array
    style: Array
    style_mask: Array | None = None
    weight: ArrayLike = 1.0
    name: str = ""


@on_any_mesh
def guided_targets(
    params: vgg.Params,
    content: Array | None,
    regions: Sequence[Region],
    spec: LossSpec = LossSpec(),
    *,
    mode: GuideMode = "simple",
    keep: Array | None = None,
    key: Array | None = None,
) -> Targets:
    """Computes targets for `jaxstyle.optimize` in which regions of a picture take different styles.

    Args:
      params: the network's parameters.
      content: `[H, W, 3]` in [0, 1]; None if `spec` has no content layers and nothing is kept.
      regions: at least one; they may overlap, and need not cover the picture.
      spec: what is compared.
      mode: how masks reach the layers; see `propagate`.
      keep: `[H, W]` from 0 where the picture is free to 1 where the content image stays untouched.
        Styles are compared with what is free alone.
      key: for the statistic "sliced"; see `jaxstyle.compute_targets`.

    Returns:
      The `Targets`.

    Raises:
      ValueError: if there is no region, if a mask does not fit its image, if everything is kept, or
        if nothing of a region is left at a layer.

    Example:
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4), ("conv2_1", 4)))
      >>> spec = LossSpec(content_layers=("relu2_1",), style_layers=("relu1_1", "relu2_1"))
      >>> content, style = jax.random.uniform(jax.random.key(1), (2, 16, 16, 3))
      >>> left = jnp.zeros((16, 16)).at[:, :8].set(1.0)
      >>> regions = [Region(left, style), Region(1 - left, content)]
      >>> guided_targets(params, content, regions, spec).style["relu2_1"].shape
      (2, 4, 4)
    """
    check_spec(spec)
    if key is not None:
        check_key(key, "key")
    if content is not None:
        check_picture(content, "content")
    if not regions:
        raise ValueError("regions is empty; name at least one")
    shape = regions[0].mask.shape if content is None else content.shape[:2]
    kept = None if keep is None else _check_kept(keep, content, shape)
    styles = []
    for i, region in enumerate(regions):
        name = region.name or str(i)
        check_picture(region.style, f"the style of region {name}")
        _check_mask(region.mask, shape, f"the mask of region {name}")
        style_mass = None
        if region.style_mask is not None:
            what = f"the style mask of region {name}"
            _check_mask(region.style_mask, region.style.shape[:2], what)
            style_mass = region_masses(region.style_mask, params, spec, mode=mode, name=what)
        styles.append(measure_style(params, region.style, spec=spec, mass=style_mass, key=key))
    style, mixture = mix_regions(
        styles,
        [region.mask for region in regions],
        params,
        spec,
        weights=[region.weight for region in regions],
        room=None if kept is None else 1 - kept.mask,
        mode=mode,
        names=[region.name or str(i) for i, region in enumerate(regions)],
    )
    return content_targets(params, content, spec)._replace(style=style, mixture=mixture, kept=kept)


def _check_kept(keep: Array, content: Array | None, shape: Sequence[int]) -> Kept:
    """Returns what is left untouched of a content image.

    Raises:
      ValueError: if there is no content image, or nothing would be left to paint.
    """
    if content is None:
        raise ValueError("keep needs a content image, which is what stays; content is None")
    _check_mask(keep, shape, "keep")
    if not isinstance(keep, jax.core.Tracer) and float(jnp.min(keep)) >= 1:
        raise ValueError("keep is 1 everywhere, so nothing is left to paint; make it 0 somewhere")
    return Kept(to_device(keep), content)


def mix_regions(
    styles: Sequence[Mapping[str, Any]],
    masks: Sequence[Array],
    params: vgg.Params,
    spec: LossSpec,
    *,
    weights: Sequence[ArrayLike],
    room: Array | None = None,
    mode: GuideMode = "simple",
    names: Sequence[str],
) -> tuple[dict[str, Any], Mixture]:
    """Combines the style targets of several regions into one; see `guided_targets`.

    Args:
      styles: for each region, the style targets of `jaxstyle.compute_targets`.
      masks: for each region, `[H, W]`.
      params: the network's parameters.
      spec: which layers are compared.
      weights: for each region, how much it counts relative to its size.
      room: `[H, W]` in [0, 1], how much of each pixel a style may change; None for all of it.
        Statistics see the rest as little as what is outside their region. A region that has no room
        at all counts for nothing.
      mode: see `propagate`.
      names: for each region, its name in messages.

    Returns:
      `style` and `mixture` of `Targets`.

    Raises:
      ValueError: if nothing of a region is left at a layer.
    """
    free = list(masks) if room is None else [mask * room for mask in masks]
    # What counts for nothing still has a mass, because statistics of no position are not finite.
    seen = [
        jnp.where(jnp.any(each > 0), each, mask) for each, mask in zip(free, masks, strict=True)
    ]
    masses = [
        region_masses(each, params, spec, mode=mode, name=name)
        for each, name in zip(seen, names, strict=True)
    ]
    shares = [to_device(w) * jnp.mean(each) for w, each in zip(weights, free, strict=True)]
    stacked = {layer: jnp.stack([mass[layer] for mass in masses]) for layer in spec.style_layers}
    return mix_styles(styles, shares, stacked)


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


def _check_mask(mask: Array, shape: Sequence[int], what: str) -> None:
    if jnp.shape(mask) != tuple(shape):
        raise ValueError(
            f"{what} should have shape {list(shape)} like its image, got {list(jnp.shape(mask))}"
        )
