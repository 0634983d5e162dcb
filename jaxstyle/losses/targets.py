"""What an image is compared with: targets computed once from the content and the styles."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.checks import check_image
from jaxstyle.losses.spec import LossSpec, features, suit_spec
from jaxstyle.losses.statistics import get_statistic


class Mixture(NamedTuple):
    """Several style targets for one image.

    Attributes:
      weights: `{layer: [K]}`, how much each of the K targets counts.
      masses: `{layer: [K, h, w]}`, the region of the image that each is compared with, its values
        summing to one; None compares each with the whole image.
    """

    weights: dict[str, Array]
    masses: dict[str, Array] | None = None


class Kept(NamedTuple):
    """A region of the content image that is left untouched.

    Attributes:
      mask: `[H, W]` from 0, free, to 1, untouched.
      image: `[H, W, 3]`, what is seen there.
    """

    mask: Array
    image: Array

    def over(self, image: Array) -> Array:
        """The image `[H, W, 3]` with the untouched region laid over it; lanes with lanes."""
        mask = self.mask[..., None]
        return mask * self.image + (1 - mask) * image


class Targets(NamedTuple):
    """What the image is compared with; a pytree of arrays.

    Attributes:
      content: `{layer: [h, w, c]}`, feature maps of the content image.
      style: `{layer: target}`, statistics of the style image, whatever its size was: for Gram
        matrices `[c, c]`, for others see `jaxstyle.statistics`. With a mixture every leaf has a
        leading axis [K].
      mixture: how several style targets share the image; None for a single one.
      kept: what is left untouched; None for nothing.
      own: `{name: target}` of the spec's own losses.
    """

    content: dict[str, Array]
    style: dict[str, Any]
    mixture: Mixture | None = None
    kept: Kept | None = None
    own: dict[str, Any] = {}  # noqa: RUF012 (never changed)

    def seen(self, image: Array) -> Array:
        """The picture that the variable stands for: the image, under what is kept."""
        return image if self.kept is None else self.kept.over(image)


def compute_targets(
    params: Any,
    content: Array | None,
    style: Array | None,
    spec: LossSpec = LossSpec(),
    *,
    style_mass: Mapping[str, Array] | None = None,
    key: Array | None = None,
) -> Targets:
    """Feature maps of the content image and statistics of the style image.

    Args:
      params: the network's parameters.
      content: `[H, W, 3]` in [0, 1]; None if `spec` has no content layers.
      style: `[H', W', 3]` in [0, 1], of any size; None if `spec` has no style layers.
      spec: which layers and statistic, and how the network pools and pads.
      style_mass: `{layer: [h, w]}`, the region of the style image whose statistics count; see
        `jaxstyle.losses.guidance.region_masses`.
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
    for name, image, layers in (
        ("content", content, spec.content_layers),
        ("style", style, spec.style_layers),
    ):
        if layers and image is None:
            raise ValueError(f"{name} is None, but spec has {name} layers: {', '.join(layers)}")
        if image is not None:
            check_image(image, name)
    return Targets(
        content=measure_content(params, content, spec=spec),
        style=measure_style(params, style, spec=spec, mass=style_mass, key=key),
        own=measure_own(params, content, spec=spec),
    )


def measure_content(params: Any, content: Array | None, spec: LossSpec) -> dict[str, Array]:
    """The feature maps of `compute_targets`, compiled; empty if `spec` has no content layers."""
    if content is None or not spec.content_layers:
        return {}
    maps: dict[str, Array] = _features(params, content, suit_spec(spec, content))
    return maps


@functools.partial(jax.jit, static_argnames="spec")
def _features(params: Any, content: Array, spec: LossSpec) -> dict[str, Array]:
    maps = features(params, content, spec, spec.content_layers)
    return {layer: each.astype(jnp.float32) for layer, each in maps.items()}


@functools.partial(jax.jit, static_argnames="spec")
def measure_style(
    params: Any,
    style: Array | None,
    spec: LossSpec,
    *,
    mass: Mapping[str, Array] | None = None,
    key: Array | None = None,
) -> dict[str, Any]:
    """The style statistics of `compute_targets`, compiled; empty if `spec` has no style layers."""
    if style is None or not spec.style_layers:
        return {}
    key = jax.random.key(0) if key is None else key
    measure = get_statistic(spec.statistic).measure
    maps = features(params, style, spec, spec.style_layers)
    return {
        layer: measure(
            maps[layer], None if mass is None else mass[layer], jax.random.fold_in(key, i)
        )
        for i, layer in enumerate(spec.style_layers)
    }


@functools.partial(jax.jit, static_argnames="spec")
def measure_own(params: Any, content: Array | None, spec: LossSpec) -> dict[str, Any]:
    """The targets of the spec's own losses, for those that measure the content image."""
    own: dict[str, Any] = {}
    for each in spec.own_losses:
        if each.measure is not None:
            if content is None:
                raise ValueError(f"content is None, but own loss {each.name} measures it")
            maps = features(params, content, spec, each.layers) if each.layers else {}
            own[each.name] = each.measure({**maps, "image": content})
    return own


def mix_styles(
    styles: Sequence[Mapping[str, Any]],
    weights: Sequence[ArrayLike] | Mapping[str, Sequence[ArrayLike]],
    masses: Mapping[str, Array] | None = None,
) -> tuple[dict[str, Any], Mixture]:
    """The style targets of several images as one, each with its weight.

    Every one is a loss of its own: the objective gets the sum of them, weighed. For Gram matrices
    and weights that sum to one, `blend_styles` has the same minimum and costs less.

    Args:
      styles: K times the style targets of `compute_targets`.
      weights: K numbers, or `{layer: K numbers}`: coarse scales from one painting, fine ones from
        another.
      masses: `{layer: [K, h, w]}`, the regions of the image; see
        `jaxstyle.losses.guidance.region_masses`.

    Returns:
      `style` and `mixture` of `Targets`.

    Raises:
      ValueError: if there is no style, or the weights are not K.

    Example:
      >>> style, mixture = mix_styles([{"relu1_1": jnp.eye(2)}, {"relu1_1": jnp.ones((2, 2))}],
      ...                             [0.25, 0.75])
      >>> style["relu1_1"].shape, mixture.weights["relu1_1"].tolist()
      ((2, 2, 2), [0.25, 0.75])
    """
    if not styles:
        raise ValueError("styles is empty; a mixture needs at least one")
    by_layer = _weights_by_layer(styles, weights)
    stacked: dict[str, Any] = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(dict, styles))
    return stacked, Mixture(by_layer, None if masses is None else dict(masses))


def blend_styles(
    styles: Sequence[Mapping[str, Any]],
    weights: Sequence[ArrayLike] | Mapping[str, Sequence[ArrayLike]],
) -> dict[str, Any]:
    """The weighted sum of several style targets: a style between them.

    Args:
      styles: K times the style targets of `compute_targets`.
      weights: K numbers, or `{layer: K numbers}`; for a style between the given ones they sum to
        one.

    Returns:
      `style` of `Targets`.

    Raises:
      ValueError: if there is no style, or the weights are not K.

    Example:
      >>> blend_styles([{"relu1_1": jnp.eye(2)}, {"relu1_1": jnp.zeros((2, 2))}],
      ...              [0.5, 0.5])["relu1_1"].tolist()
      [[0.5, 0.0], [0.0, 0.5]]
    """
    if not styles:
        raise ValueError("styles is empty; a blend needs at least one")
    by_layer = _weights_by_layer(styles, weights)
    return {
        layer: jax.tree.map(
            lambda *leaves, w=w: sum((w[k] * x for k, x in enumerate(leaves)), start=0.0),
            *(style[layer] for style in styles),
        )
        for layer, w in by_layer.items()
    }


def _weights_by_layer(
    styles: Sequence[Mapping[str, Any]],
    weights: Sequence[ArrayLike] | Mapping[str, Sequence[ArrayLike]],
) -> dict[str, Array]:
    layers = list(styles[0])
    given = weights if isinstance(weights, Mapping) else dict.fromkeys(layers, weights)
    if set(given) != set(layers):
        raise ValueError(
            f"weights are given for {', '.join(given)}, but the layers are {', '.join(layers)}"
        )
    for layer in layers:
        if len(given[layer]) != len(styles):
            raise ValueError(
                f"weights should be {len(styles)} numbers, one a style, got {len(given[layer])}"
            )
    return {layer: jnp.stack([jnp.float32(w) for w in given[layer]]) for layer in layers}
