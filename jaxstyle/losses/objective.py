"""The objective: content, style, smoothness and range as one function of the image.

`LossSpec` is static and hashable, because it decides which program is compiled. `LossWeights`,
`Targets`, the image and the network's parameters are arrays, so a change of them compiles nothing.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common.checks import check_image, describe
from jaxstyle._common.sharding import beside, on_any_mesh
from jaxstyle.losses import functional
from jaxstyle.losses.content import get_content_loss
from jaxstyle.losses.features import choose_bands, features, settle
from jaxstyle.losses.pieces import find_places, sample
from jaxstyle.losses.spec import LossSpec, LossWeights, OwnLoss, resolve_weights
from jaxstyle.losses.statistic import Statistic
from jaxstyle.losses.targets import Targets, WithPieces
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
        "out_of_range", "own/NAME", "style/places" where pieces are matched, and "temporal" where
        the targets have a picture carried.
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
        size = size + weight * _content_size(layer, targets, spec)
    for i, layer in enumerate(spec.style_layers):
        terms[f"style/{layer}"] = style_weights[i] * unweighted[f"style/{layer}"]
        size = size + style_weights[i] * _style_size(layer, targets, spec.compared)
    if spec.compared.joint is not None:
        # Pieces count as much as all layers together.
        share = 1.0 if weights.places is None else cast(Array, weights.places)
        terms["style/places"] = share * jnp.sum(style_weights) * unweighted["style/places"]
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
    found: dict[str, Array] = {}
    for layer in content_layers:
        _check_content(layer, maps[layer].shape, targets, spec)
        found[f"content/{layer}"] = _content_loss(maps[layer], layer, targets, spec)
    for layer in spec.style_layers:
        found[f"style/{layer}"] = _style_loss(maps[layer], layer, targets, spec.compared)
    if places := _find_places(targets, spec):
        rows = {layer: [sample(maps[layer], p) for p in places] for layer in spec.style_layers}
        found["style/places"] = _joint_loss(image, rows, places, targets, spec)
    return found, maps


def _losses_of_bands(
    params: Any, image: Array, targets: Targets, spec: LossSpec, bands: Bands
) -> _Losses:
    """The same, the losses from sums over bands where they are sums, and only the other maps."""
    statistic = spec.compared
    widths = vgg.network_widths(params) if spec.layers else ()
    readings: dict[str, Reading] = {}
    whole = [layer for own in spec.own_losses for layer in own.layers]
    by_rows = get_content_loss(spec.content_loss).by_rows
    for layer in _content_layers(targets, spec):
        _check_content(layer, map_shape(widths, image.shape, layer), targets, spec)
        if not by_rows:
            whole.append(layer)
            continue
        data = targets.content[layer], targets.content_weights.get(layer)
        readings[f"content/{layer}"] = Reading(layer, _content_sums, data)
    places = _find_places(targets, spec)
    for layer in spec.style_layers if places else ():
        height = map_shape(widths, image.shape, layer)[0]
        readings[f"pieces/{layer}"] = _read_pieces(layer, places, height)
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
    for layer in () if by_rows else _content_layers(targets, spec):
        found[f"content/{layer}"] = _content_loss(maps[layer], layer, targets, spec)
    if places:
        rows = {layer: found.pop(f"pieces/{layer}") for layer in spec.style_layers}
        found["style/places"] = _joint_loss(image, rows, places, targets, spec)
    for layer in spec.style_layers:
        name = f"style/{layer}"
        if statistic.loss_of_sums is None:
            found[name] = _style_loss(maps[layer], layer, targets, statistic)
        else:
            styles = _styles(layer, targets)
            found[name] = sum(
                weight * statistic.loss_of_sums(sums, target)
                for sums, (weight, _, target) in zip(found[name], styles, strict=True)
            )
    return found, maps


def _read_pieces(layer: str, places: Sequence[Array], height: int) -> Reading:
    def read(features: Array, row: Array, share: float) -> list[Array]:
        return [sample(features, each, row[0], height) for each in places]

    return Reading(layer, read, jnp.arange(height))


def _find_places(targets: Targets, spec: LossSpec) -> list[Array]:
    """The places whose pieces are compared with each of the styles; none if none are."""
    if spec.compared.joint is None:
        return []
    styles = _styles(spec.style_layers[0], targets, pieces=True)
    return [find_places(pieces.draws, mass) for _, mass, pieces in styles]


def _joint_loss(
    image: Array,
    rows: Mapping[str, Sequence[Array]],
    places: Sequence[Array],
    targets: Targets,
    spec: LossSpec,
) -> Array:
    """Compares the pieces at the places with those of each style."""
    compare = spec.compared.joint
    assert compare is not None
    styles = {layer: _styles(layer, targets, pieces=True) for layer in spec.style_layers}
    loss: Array = jnp.float32(0.0)
    for k, place in enumerate(places):
        weight = styles[spec.style_layers[0]][k][0]
        own = {layer: styles[layer][k][2] for layer in styles}
        found = {layer: rows[layer][k] for layer in rows}
        loss = loss + weight * compare(found, sample(image, place), own)
    return loss


def _content_loss(maps: Array, layer: str, targets: Targets, spec: LossSpec) -> Array:
    compare, weight = get_content_loss(spec.content_loss), targets.content_weights.get(layer)
    return compare.factor * compare.loss(maps, targets.content[layer], weight)


def _content_sums(features: Array, data: tuple[Array, Array | None], share: float) -> Array:
    return share * functional.content_loss(features, *data)


def _read_style(
    layer: str, targets: Targets, sums: Callable[[Array, Array | None, Any], Any]
) -> Reading:
    styles = _styles(layer, targets)

    def read(features: Array, masses: list[Array | None], share: float) -> list[Any]:
        found = []
        for mass, (_, _, target) in zip(masses, styles, strict=True):
            # A mass sums to one over the whole map, a mean is one of these rows alone.
            scale = share if mass is None else 1.0
            part = sums(features, mass, target)
            found.append(jax.tree.map(lambda leaf, scale=scale: scale * leaf, part))
        return found

    return Reading(layer, read, [mass for _, mass, _ in styles])


def _check_content(layer: str, shape: tuple[int, ...], targets: Targets, spec: LossSpec) -> None:
    target = targets.content[layer]
    measure = get_content_loss(spec.content_loss).measure
    form = jax.eval_shape(measure, jax.ShapeDtypeStruct(shape, jnp.float32))  # type: ignore[no-untyped-call]
    if target.shape != form.shape:
        raise ValueError(
            f"at {layer} the image has features {list(form.shape)} and the content "
            f"target {list(target.shape)}: the content image had another size"
        )


def _content_layers(targets: Targets, spec: LossSpec) -> tuple[str, ...]:
    """The spec's content layers, and those that the targets add in some places of the picture."""
    return tuple(dict.fromkeys((*spec.content_layers, *targets.content_weights)))


def _content_size(layer: str, targets: Targets, spec: LossSpec) -> Array:
    """The size that the content loss at a layer has where features vanish."""
    compare, weight = get_content_loss(spec.content_loss), targets.content_weights.get(layer)
    return compare.factor * compare.size(targets.content[layer], weight)


def _style_loss(maps: Array, layer: str, targets: Targets, statistic: Statistic) -> Array:
    loss: Array = jnp.float32(0.0)
    for weight, mass, target in _styles(layer, targets):
        loss = loss + weight * statistic.loss(maps, mass, target)
    return loss


def _style_size(layer: str, targets: Targets, statistic: Statistic) -> Array:
    """The size that the style loss at a layer has where features vanish."""
    size: Array = jnp.float32(0.0)
    for weight, _, target in _styles(layer, targets):
        size = size + weight * statistic.size(target)
    return size


def _styles(
    layer: str, targets: Targets, *, pieces: bool = False
) -> list[tuple[Array, Array | None, Any]]:
    """Weight, mass and target, or pieces, of each style that a layer is compared with."""
    target, mixture = targets.style[layer], targets.mixture
    if isinstance(target, WithPieces):
        target = target.pieces if pieces else target.own
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
