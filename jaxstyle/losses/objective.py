"""The objective: content, style, smoothness and range as one function of the image.

`LossSpec` is static and hashable, because it decides which program is compiled. `LossWeights`,
`Targets`, the image and the network's parameters are arrays, so a change of them compiles nothing.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common.checks import check_image, describe
from jaxstyle._common.sharding import beside, on_any_mesh
from jaxstyle.losses import functional
from jaxstyle.losses.features import choose_bands, features, settle
from jaxstyle.losses.spec import LossSpec, LossWeights, OwnLoss, resolve_weights
from jaxstyle.losses.statistics import Statistic, get_statistic
from jaxstyle.losses.targets import Targets
from jaxstyle.networks import vgg
from jaxstyle.networks.bands import Bands, Reading, map_shape, read_features
from jaxstyle.networks.spec import VGGSpec

_TOTAL_VARIATION = {
    "squared": functional.squared_total_variation,
    "l1": functional.l1_total_variation,
    "isotropic": functional.isotropic_total_variation,
    "power": functional.power_total_variation,
}


class ObjectiveValue(NamedTuple):
    """The objective, and the terms that it is the sum of.

    Attributes:
      total: scalar, the sum of the terms.
      terms: `{name: scalar}`, weighted: "content/LAYER", "style/LAYER", "total_variation",
        "out_of_range", "own/NAME", and "temporal" where the targets have a picture carried.
    """

    total: Array
    terms: dict[str, Array]


def objective(
    image: Array,
    params: Any,
    targets: Targets,
    weights: LossWeights = LossWeights(),
    *,
    spec: LossSpec = LossSpec(),
) -> ObjectiveValue:
    r"""Returns the weighted sum of an image's content, style, smoothness, range and own losses.

    .. math::
        L = \sum_l c_l \hat C_l + \sum_l s_l \hat S_l + t\,TV + r\,(L_0)\,R + L_0\,T
            + \sum_k o_k O_k

    with the means :math:`\hat C, \hat S` of `jaxstyle.losses.functional`, the total variation TV,
    the range penalty R, the temporal loss T against a picture that `targets` may carry, and
    :math:`L_0 = \sum_l c_l \overline{P_l^2} + \sum_l s_l \overline{A_l^2}`, the size that the
    first two sums have where all features vanish (of Gram matrices; other statistics have sizes of
    their own). Scaling by it lets one weight of the range penalty, or of the temporal loss, serve
    every network, layer choice and weighting.

    Departure: the paper's losses are sums with other constants, and it lets pixels leave the
    range of a picture.

    Args:
      image: `[H, W, 3]`, the variable; may leave [0, 1].
      params: the network's parameters.
      targets: from `compute_targets` with the same `spec`.
      weights: how much each part counts.
      spec: what is compared.

    Returns:
      `ObjectiveValue(total, terms)`: a pair, as `jax.value_and_grad(..., has_aux=True)` expects.

    Raises:
      ValueError: if the image, the targets or the weights do not fit `spec`.

    Example:
      >>> from jaxstyle import compute_targets
      >>> from jaxstyle.networks import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=("relu1_1",))
      >>> image = jax.random.uniform(jax.random.key(1), (8, 8, 3))
      >>> targets = compute_targets(params, image, image, spec)
      >>> float(objective(image, params, targets, spec=spec).total) < 1e-9
      True

    Reference: Gatys et al., CVPR 2016, eq. 7.
    """
    check_image(image, "image")
    resolved = resolve_weights(weights, spec)
    return objective_of_resolved(image, params, targets, resolved, spec=spec)


def objective_of_resolved(
    image: Array, params: Any, targets: Targets, weights: LossWeights, *, spec: LossSpec
) -> ObjectiveValue:
    """As `objective`, for weights that `LossWeights.resolve` has brought into one form."""
    content_weights, style_weights = cast(Array, weights.content), cast(Array, weights.style)
    _check_targets(targets, spec)
    image = targets.seen(image)
    bands = choose_bands(params, image.shape, spec)
    if bands is None:
        unweighted, maps = _plain_losses(params, image, targets, spec)
    else:
        unweighted, maps = _losses_of_bands(params, image, targets, spec, bands)
    terms: dict[str, Array] = {}
    size = jnp.float32(0.0)
    for i, layer in enumerate(_content_layers(targets, spec)):
        # Layers that the targets add have no weight of their own.
        added = i >= len(spec.content_layers)
        weight = jnp.mean(content_weights) if added else content_weights[i]
        terms[f"content/{layer}"] = weight * unweighted[f"content/{layer}"]
        size = size + weight * _content_size(layer, targets)
    for i, layer in enumerate(spec.style_layers):
        terms[f"style/{layer}"] = style_weights[i] * unweighted[f"style/{layer}"]
        size = size + style_weights[i] * _style_size(layer, targets, get_statistic(spec.statistic))
    total_variation = _TOTAL_VARIATION[spec.total_variation](image)
    terms["total_variation"] = cast(Array, weights.total_variation) * total_variation
    terms["out_of_range"] = (
        cast(Array, weights.out_of_range) * size * functional.range_penalty(image)
    )
    if targets.carried is not None:
        terms["temporal"] = size * functional.temporal_loss(image, *targets.carried)
    for i, own in enumerate(spec.own_losses):
        weight = cast(Array, weights.own)[i]
        seen = {**{layer: maps[layer] for layer in own.layers}, "image": image}
        terms[f"own/{own.name}"] = weight * _own_loss(own, seen, targets.own.get(own.name))
    return ObjectiveValue(total=sum(terms.values(), start=jnp.float32(0.0)), terms=terms)


def _own_loss(own: OwnLoss, seen: dict[str, Array], target: Any) -> Array:
    try:
        loss = own.function(seen, target)
    except (TypeError, AttributeError) as error:
        if own.measure is None and "NoneType" in str(error):
            raise TypeError(
                f"own loss {own.name} reads its target, which is None without a measure; "
                f"give OwnLoss a measure ({error})"
            ) from error
        raise
    if jnp.shape(loss) != ():
        got = describe(loss)
        raise ValueError(f"own loss {own.name} should return a scalar, got {got}; take its mean")
    return jnp.asarray(loss, jnp.float32)


@on_any_mesh
def objective_and_gradient(
    image: Array,
    params: Any,
    targets: Targets,
    weights: LossWeights = LossWeights(),
    *,
    spec: LossSpec = LossSpec(),
) -> tuple[ObjectiveValue, Array]:
    """Returns the objective and its gradient with respect to the image, for your own optimiser.

    The function is compiled once for each `spec` and set of shapes. Arguments as for `objective`.

    Returns:
      `(ObjectiveValue, gradient)`, the gradient `[H, W, 3]`.

    Example:
      >>> from jaxstyle import compute_targets
      >>> from jaxstyle.networks import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=())
      >>> targets = compute_targets(params, jnp.ones((8, 8, 3)), None, spec)
      >>> value, gradient = objective_and_gradient(
      ...     jnp.zeros((8, 8, 3)), params, targets, spec=spec)
      >>> gradient.shape
      (8, 8, 3)
    """
    check_image(image, "image")
    image = jnp.asarray(image)
    resolved = resolve_weights(weights, spec)
    spec = settle(spec, image)
    params, resolved = beside((params, resolved), image)
    value, gradient = _value_and_gradient(image, params, targets, resolved, spec=spec)
    return ObjectiveValue(*value), gradient


@functools.partial(jax.jit, static_argnames="spec")
def _value_and_gradient(
    image: Array, params: Any, targets: Targets, weights: LossWeights, *, spec: LossSpec
) -> tuple[tuple[Array, dict[str, Array]], Array]:
    function = jax.value_and_grad(objective_of_resolved, has_aux=True)
    return function(image, params, targets, weights, spec=spec)


def _check_targets(targets: Targets, spec: LossSpec) -> None:
    for name, layers in (("content", spec.content_layers), ("style", spec.style_layers)):
        missing = [layer for layer in layers if layer not in getattr(targets, name)]
        if missing:
            raise ValueError(f"targets.{name} lacks {', '.join(missing)}: computed with this spec?")
    missing = [
        each.name for each in spec.own_losses if each.measure and each.name not in targets.own
    ]
    if missing:
        raise ValueError(f"targets.own lacks {', '.join(missing)}: computed with this spec?")


_Losses = tuple[dict[str, Array], dict[str, Array]]


def _plain_losses(params: Any, image: Array, targets: Targets, spec: LossSpec) -> _Losses:
    """Content and style losses by their names, and the feature maps."""
    content_layers = _content_layers(targets, spec)
    layers = tuple(dict.fromkeys((*spec.layers, *content_layers)))
    maps = features(params, image, spec, layers) if layers else {}
    statistic = get_statistic(spec.statistic)
    found: dict[str, Array] = {}
    for layer in content_layers:
        _check_content(layer, maps[layer].shape, targets)
        found[f"content/{layer}"] = functional.content_loss(
            maps[layer], targets.content[layer], targets.content_weights.get(layer)
        )
    for layer in spec.style_layers:
        found[f"style/{layer}"] = _style_loss(maps[layer], layer, targets, statistic)
    return found, maps


def _losses_of_bands(
    params: Any, image: Array, targets: Targets, spec: LossSpec, bands: Bands
) -> _Losses:
    """The same, the losses from sums over bands where they are sums, and only the other maps."""
    statistic = get_statistic(spec.statistic)
    widths = vgg.network_widths(params) if spec.layers else ()
    readings: dict[str, Reading] = {}
    whole = [layer for own in spec.own_losses for layer in own.layers]
    for layer in _content_layers(targets, spec):
        _check_content(layer, map_shape(widths, image.shape, layer), targets)
        data = targets.content[layer], targets.content_weights.get(layer)
        readings[f"content/{layer}"] = Reading(layer, _content_sums, data)
    if statistic.sums is None:
        whole += spec.style_layers
    else:
        for layer in spec.style_layers:
            readings[f"style/{layer}"] = _read_style(layer, targets, statistic.sums)
    maps: dict[str, Array] = {}
    found: dict[str, Any] = {}
    if widths:
        assert isinstance(spec.network, VGGSpec)  # others have no bands
        options = spec.network.options()
        maps, found = read_features(params, image, whole, readings, bands=bands, **options)
    for layer in spec.style_layers:
        name = f"style/{layer}"
        if statistic.loss_of_sums is None:
            found[name] = _style_loss(maps[layer], layer, targets, statistic)
        else:
            styles = _style_targets(layer, targets)
            found[name] = sum(
                weight * statistic.loss_of_sums(sums, target)
                for sums, (weight, _, target) in zip(found[name], styles, strict=True)
            )
    return found, maps


def _content_sums(features: Array, data: tuple[Array, Array | None], share: float) -> Array:
    return share * functional.content_loss(features, *data)


def _read_style(
    layer: str, targets: Targets, sums: Callable[[Array, Array | None, Any], Any]
) -> Reading:
    styles = _style_targets(layer, targets)

    def read(features: Array, masses: list[Array | None], share: float) -> list[Any]:
        found = []
        for mass, (_, _, target) in zip(masses, styles, strict=True):
            # A mass sums to one over the whole map, a mean is one of these rows alone.
            scale = share if mass is None else 1.0
            part = sums(features, mass, target)
            found.append(jax.tree.map(lambda leaf, scale=scale: scale * leaf, part))
        return found

    return Reading(layer, read, [mass for _, mass, _ in styles])


def _check_content(layer: str, shape: tuple[int, ...], targets: Targets) -> None:
    target = targets.content[layer]
    if target.shape != shape:
        raise ValueError(
            f"at {layer} the image has features {list(shape)} and the content "
            f"target {list(target.shape)}: the content image had another size"
        )


def _content_layers(targets: Targets, spec: LossSpec) -> tuple[str, ...]:
    """The spec's content layers, and those that the targets add in some places of the picture."""
    return tuple(dict.fromkeys((*spec.content_layers, *targets.content_weights)))


def _content_size(layer: str, targets: Targets) -> Array:
    """The size that the content loss at a layer has where features vanish."""
    squares = jnp.square(targets.content[layer])
    weight = targets.content_weights.get(layer)
    return jnp.mean(squares if weight is None else weight * jnp.mean(squares, axis=2))


def _style_loss(maps: Array, layer: str, targets: Targets, statistic: Statistic) -> Array:
    loss: Array = jnp.float32(0.0)
    for weight, mass, target in _style_targets(layer, targets):
        loss = loss + weight * statistic.loss(maps, mass, target)
    return loss


def _style_size(layer: str, targets: Targets, statistic: Statistic) -> Array:
    """The size that the style loss at a layer has where features vanish."""
    size: Array = jnp.float32(0.0)
    for weight, _, target in _style_targets(layer, targets):
        size = size + weight * statistic.size(target)
    return size


def _style_targets(layer: str, targets: Targets) -> list[tuple[Array, Array | None, Any]]:
    """Weight, mass and target of each style that a layer is compared with."""
    target, mixture = targets.style[layer], targets.mixture
    if mixture is None:
        return [(jnp.float32(1.0), None, target)]
    return [
        (
            weight,
            None if mixture.masses is None else mixture.masses[layer][k],
            jax.tree.map(lambda leaf, k=k: leaf[k], target),
        )
        for k, weight in enumerate(mixture.weights[layer])
    ]
