"""Spatial control: says which region of the picture takes which style.

A mask is `[H, W]`, with 0 outside the region, 1 inside, and values between for soft edges. Layers
see it as a guide; see `jaxstyle.losses.guides`.

Reference: Gatys et al., "Controlling Perceptual Factors in Neural Style Transfer", CVPR 2017,
section 4.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.arrays import to_device
from jaxstyle._common.checks import check_amount, check_key, check_picture
from jaxstyle._common.sharding import on_any_mesh
from jaxstyle.losses.calm import part_painting, part_picture
from jaxstyle.losses.emphasis import Emphasis
from jaxstyle.losses.guides import GuideMode, check_mask, region_masses
from jaxstyle.losses.mixing import mix_styles
from jaxstyle.losses.spec import LossSpec, check_spec
from jaxstyle.losses.targets import Mixture, Targets, measure_style
from jaxstyle.networks import vgg


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
    protect: Array | None = None,
    calm: ArrayLike = 0.0,
    key: Array | None = None,
) -> Targets:
    """Computes targets for `jaxstyle.optimize` in which regions of a picture take different styles.

    Args:
      params: the network's parameters.
      content: `[H, W, 3]` in [0, 1]; None if `spec` has no content layers and nothing is kept.
      regions: at least one; they may overlap, and need not cover the picture.
      spec: what is compared.
      mode: how masks reach the layers; see `jaxstyle.losses.guides.propagate`.
      keep: `[H, W]` from 0 where the picture is free to 1 where the content image stays untouched.
        Styles are compared with what is free alone.
      protect: `[H, W]` from 0 to 1 where the content image stays recognisable, such as a face.
      calm: from 0 to 1, how far flat areas of the content image take their style from the simplest
        areas of the style images; see `jaxstyle.losses.calm`.
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
    emphasis = _check_emphasis(keep, protect, content, shape)
    calming = not (isinstance(calm, int | float) and calm == 0)
    rooms: Sequence[Array | None] = [emphasis.room]
    if calming:
        rooms = limit_rooms(emphasis.room, _check_calm(calm, content), calm)
    styles = []
    for i, region in enumerate(regions):
        name = region.name or str(i)
        check_picture(region.style, f"the style of region {name}")
        check_mask(region.mask, shape, f"the mask of region {name}")
        what = f"the style mask of region {name}"
        if region.style_mask is not None:
            check_mask(region.style_mask, region.style.shape[:2], what)
        masks: Sequence[Array | None] = [region.style_mask]
        if calming:
            masks = part_painting(region.style, calm, region.style_mask)
        for mask in masks:
            mass = None
            if mask is not None:
                mass = region_masses(mask, params, spec, mode=mode, name=what)
            styles.append(measure_style(params, region.style, spec=spec, mass=mass, key=key))
    each = [(region, i, room) for i, region in enumerate(regions) for room in rooms]
    style, mixture = mix_regions(
        styles,
        [region.mask for region, _, _ in each],
        params,
        spec,
        weights=[region.weight for region, _, _ in each],
        rooms=[room for _, _, room in each],
        mode=mode,
        names=[region.name or str(i) for region, i, _ in each],
    )
    targets = emphasis.targets(params, content, spec)
    return targets._replace(style=style, mixture=mixture)


def limit_rooms(room: Array | None, content: Array, calm: ArrayLike) -> list[Array]:
    """Returns how much of each pixel the busy and the calm part of a style may change.

    Args:
      room: `[H, W]`, how much both together may; None for all of it.
      content: `[H, W, 3]`, the photograph.
      calm: from 0 to 1; see `jaxstyle.losses.calm`.
    """
    parts = part_picture(content, calm)
    return [part if room is None else room * part for part in parts]


def _check_emphasis(
    keep: Array | None, protect: Array | None, content: Array | None, shape: Sequence[int]
) -> Emphasis:
    """Returns what of a content image is kept and protected.

    Raises:
      ValueError: if there is no content image, a mask does not fit it, or nothing would be left to
        paint.
    """
    for name, mask in (("keep", keep), ("protect", protect)):
        if mask is not None:
            _check_content(content, name)
            check_mask(mask, shape, name)
    if keep is not None and not isinstance(keep, jax.core.Tracer) and float(jnp.min(keep)) >= 1:
        raise ValueError("keep is 1 everywhere, so nothing is left to paint; make it 0 somewhere")
    return Emphasis(*(None if each is None else to_device(each) for each in (keep, protect)))


def _check_calm(calm: ArrayLike, content: Array | None) -> Array:
    """Returns the content image whose flat areas are calmed."""
    content = _check_content(content, "calm")
    if not isinstance(calm, Array):
        check_amount(calm, "calm")
        if not np.all(np.asarray(calm) <= 1):
            raise ValueError(f"calm should be at most 1, got {calm}")
    return content


def _check_content(content: Array | None, name: str) -> Array:
    if content is None:
        raise ValueError(f"{name} needs a content image; content is None")
    return content


def mix_regions(
    styles: Sequence[Mapping[str, Any]],
    masks: Sequence[Array],
    params: vgg.Params,
    spec: LossSpec,
    *,
    weights: Sequence[ArrayLike],
    rooms: Sequence[Array | None] | None = None,
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
      rooms: for each region, `[H, W]` in [0, 1], how much of each pixel its style may change; None
        for all of it. Statistics see the rest as little as what is outside the region. A region
        without any room counts for nothing.
      mode: see `jaxstyle.losses.guides.propagate`.
      names: for each region, its name in messages.

    Returns:
      `style` and `mixture` of `Targets`.

    Raises:
      ValueError: if nothing of a region is left at a layer.
    """
    free = [
        mask if room is None else mask * room
        for mask, room in zip(masks, rooms or [None] * len(masks), strict=True)
    ]
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
