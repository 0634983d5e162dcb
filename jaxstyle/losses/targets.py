"""Targets: what an image is compared with, computed once from the content and the styles."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common.checks import check_key, check_picture
from jaxstyle._common.kept import kept, once
from jaxstyle._common.sharding import beside, on_any_mesh
from jaxstyle.losses.content import get_content_loss
from jaxstyle.losses.features import features, settle
from jaxstyle.losses.pieces import NUM_PLACES, Pieces, collect, draw
from jaxstyle.losses.spec import LossSpec, check_spec


class Mixture(NamedTuple):
    """How several style targets share one image.

    Attributes:
      weights: `{layer: [K]}`, how much each of the K targets counts.
      masses: `{layer: [K, h, w]}`, the region of the image that each target is compared with. The
        values of a region sum to one. None compares each target with the whole image.
    """

    weights: dict[str, Array]
    masses: dict[str, Array] | None = None


class WithPieces(NamedTuple):
    """What is kept of a style at a layer where pieces are matched.

    Attributes:
      own: the target of the statistic.
      pieces: the `Pieces` there.
    """

    own: Any
    pieces: Pieces


class Kept(NamedTuple):
    """A region of the content image that is left untouched.

    Attributes:
      mask: `[H, W]`, from 0 where the picture is free to 1 where it is untouched.
      image: `[H, W, 3]`, the picture that is seen there.
    """

    mask: Array
    image: Array

    def over(self, image: Array) -> Array:
        """Returns the image `[H, W, 3]` with the untouched region laid over it.

        Lanes of images take lanes of regions.
        """
        result: Array = _lay_over(self.mask, self.image, image)
        return result


class Carried(NamedTuple):
    """An earlier picture, carried onto this one along the motion in between.

    Attributes:
      image: `[H, W, 3]`, the earlier picture as `jaxstyle.video.warping.warp` has moved it.
      weight: `[H, W]`, how much each pixel counts, relative to the size of the objective; 0 where
        nothing is known.
    """

    image: Array
    weight: Array


@jax.jit
def _lay_over(mask: Array, upper: Array, lower: Array) -> Array:
    mask = mask[..., None]
    return mask * upper + (1 - mask) * lower


class Targets(NamedTuple):
    """What the image is compared with; a pytree of arrays.

    Attributes:
      content: `{layer: [h, w, c]}`, feature maps of the content image, or what another content loss
        keeps of them; see `jaxstyle.losses.content`.
      style: `{layer: target}`, statistics of the style image, whatever its size was: for Gram
        matrices `[c, c]`, for others see `jaxstyle.statistics`; with the painting's pieces
        beside it where these are matched. With a mixture every leaf has a leading axis [K].
      mixture: how several style targets share the image; None for a single one.
      kept: what is left untouched; None for nothing.
      own: `{name: target}` of the spec's own losses.
      content_weights: `{layer: [h, w]}`, how much each position counts in the content loss. A layer
        of the spec that is not there counts alike everywhere. A layer that the spec lacks is added,
        with the mean weight of the others.
      carried: an earlier picture of a film, which this one should be like; None for none.
    """

    content: dict[str, Array]
    style: dict[str, Any]
    mixture: Mixture | None = None
    kept: Kept | None = None
    own: dict[str, Any] = {}  # noqa: RUF012 (never changed)
    content_weights: dict[str, Array] = {}  # noqa: RUF012
    carried: Carried | None = None

    def seen(self, image: Array) -> Array:
        """Returns the picture that the variable stands for: the image under what is kept."""
        return image if self.kept is None else self.kept.over(image)


@on_any_mesh
def compute_targets(
    params: Any,
    content: Array | None,
    style: Array | None,
    spec: LossSpec = LossSpec(),
    *,
    style_mass: Mapping[str, Array] | None = None,
    key: Array | None = None,
) -> Targets:
    """Returns feature maps of the content image and statistics of the style image.

    Args:
      params: the network's parameters.
      content: `[H, W, 3]` in [0, 1]; None if `spec` has no content layers.
      style: `[H', W', 3]` in [0, 1], of any size; None if `spec` has no style layers.
      spec: which layers and statistic, and how the network pools and pads.
      style_mass: `{layer: [h, w]}`, the region of the style image whose statistics count; see
        `jaxstyle.losses.guides.region_masses`.
      key: a `jax.random.key` for the statistic "sliced"; `key(0)` by default. Images are
        comparable only under the same key.

    Returns:
      `Targets`; those of styles of different sizes have equal shapes, so they stack.

    Raises:
      ValueError: if an image that `spec` needs is missing or does not fit; see `vgg.features`.

    Example:
      >>> from jaxstyle.networks import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=(), style_layers=("relu1_1",))
      >>> compute_targets(params, None, jnp.ones((8, 8, 3)), spec).style["relu1_1"].shape
      (4, 4)
    """
    check_spec(spec)
    for name, image, layers in (
        ("content", content, spec.content_layers),
        ("style", style, spec.style_layers),
    ):
        if layers and image is None:
            raise ValueError(f"{name} is None, but spec has {name} layers: {', '.join(layers)}")
        if image is not None:
            check_picture(image, name)
    if key is not None:
        check_key(key, "key")
    style_targets = measure_style(params, style, spec=spec, mass=style_mass, key=key)
    return content_targets(params, content, spec)._replace(style=style_targets)


def content_targets(params: Any, content: Array | None, spec: LossSpec) -> Targets:
    """Returns the targets that the content image gives; `_replace` puts a style into them.

    Args:
      params: the network's parameters.
      content: `[H, W, 3]` in [0, 1], or None if nothing of `spec` measures it.
      spec: what is compared.
    """
    return Targets(
        content=_measure_content(params, content, spec),
        style={},
        own=_measure_own(params, content, spec),
    )


def _measure_content(params: Any, content: Array | None, spec: LossSpec) -> dict[str, Array]:
    if content is None or not spec.content_layers:
        return {}
    maps: dict[str, Array] = features_of_content(
        beside(params, content), content, spec=settle(spec, content)
    )
    return maps


@functools.partial(kept, static_argnames="spec", hurry=once(1))
def features_of_content(params: Any, content: Array, *, spec: LossSpec) -> dict[str, Array]:
    """Returns what is kept of the content layers of a settled spec, compiled."""
    maps = features(params, content, spec, spec.content_layers)
    measure = get_content_loss(spec.content_loss).measure
    return {layer: measure(each) for layer, each in maps.items()}


def measure_style(
    params: Any,
    style: Array | None,
    spec: LossSpec,
    *,
    mass: Mapping[str, Array] | None = None,
    key: Array | None = None,
) -> dict[str, Any]:
    """Returns the style statistics of `compute_targets`; none if `spec` has no style layers."""
    if style is None or not spec.style_layers:
        return {}
    measured: dict[str, Any] = statistics_of_style(params, style, mass, key, spec=spec)
    return measured


@functools.partial(kept, static_argnames="spec", hurry=once(1))
def statistics_of_style(
    params: Any,
    style: Array,
    mass: Mapping[str, Array] | None,
    key: Array | None,
    *,
    spec: LossSpec,
) -> dict[str, Any]:
    """Returns what `measure_style` does, compiled."""
    key = jax.random.key(0) if key is None else key
    maps = features(params, style, spec, spec.style_layers)
    return {
        layer: measure_layer(
            maps[layer], style, None if mass is None else mass[layer], key, spec=spec, number=i
        )
        for i, layer in enumerate(spec.style_layers)
    }


def measure_layer(
    maps: Array, style: Array, mass: Array | None, key: Array, *, spec: LossSpec, number: int
) -> Any:
    """Returns what is kept of a style at the layer of a number.

    Args:
      maps: `[h, w, c]`, the layer's features.
      style: `[H, W, 3]`, the style image.
      mass: `[h, w]` that sums to one, or None.
      key: of all layers.
      spec: what is compared.
      number: of the layer, from 0.

    Returns:
      The statistic's target, `WithPieces` where pieces are matched.
    """
    own = spec.compared.measure(maps, mass, jax.random.fold_in(key, number))
    if spec.compared.joint is None:
        return own
    # Under one key, the pieces of all layers are those of the same places.
    return WithPieces(own, collect(maps, style, mass, key))


def draw_places(targets: Targets, key: Array) -> Targets:
    """Returns targets that compare the pieces at other places of the picture.

    The objective is then another one, so a solver begins again. Drawing anew every few steps, as
    STROTSS means to, did not pay in measurements: see the how-to page on places.

    Args:
      targets: of a spec that matches pieces of all layers; others stay as they are.
      key: a `jax.random.key`.

    Returns:
      The `Targets`, of the same shapes.

    Example:
      >>> draw_places(Targets(content={}, style={"relu1_1": 0.0}), jax.random.key(0)).style
      {'relu1_1': 0.0}

    Reference: Kolkin, Salavon and Shakhnarovich, CVPR 2019.
    """
    draws = draw(key, NUM_PLACES)

    def drawn(target: Any) -> Any:
        if not isinstance(target, WithPieces):
            return target
        pieces = target.pieces
        return target._replace(
            pieces=pieces._replace(draws=jnp.broadcast_to(draws, pieces.draws.shape))
        )

    return targets._replace(style={layer: drawn(each) for layer, each in targets.style.items()})


def _measure_own(params: Any, content: Array | None, spec: LossSpec) -> dict[str, Any]:
    """Returns the targets of those of the spec's own losses that measure the content image."""
    measured = [each.name for each in spec.own_losses if each.measure is not None]
    if not measured:
        return {}
    if content is None:
        raise ValueError(f"content is None, but own loss {measured[0]} measures it")
    own: dict[str, Any] = _own(beside(params, content), content, spec=spec)
    return own


@functools.partial(kept, static_argnames="spec", hurry=once(1))
def _own(params: Any, content: Array, *, spec: LossSpec) -> dict[str, Any]:
    own: dict[str, Any] = {}
    for each in spec.own_losses:
        if each.measure is not None:
            maps = features(params, content, spec, each.layers) if each.layers else {}
            own[each.name] = each.measure({**maps, "image": content})
    return own
