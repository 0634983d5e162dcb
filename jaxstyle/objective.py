"""What is minimised: content, style, smoothness and range, as one function of the image.

`LossSpec` is static and hashable: it decides which program is compiled. `LossWeights`, `Targets`,
the image and the network's parameters are arrays: changing one never compiles anew.
"""

import functools
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle import losses
from jaxstyle.checks import check_image
from jaxstyle.spec import LossSpec, LossWeights, OwnLoss, TotalVariation, features, suit_spec
from jaxstyle.statistics import Statistic, get_statistic
from jaxstyle.targets import Kept, Mixture, Targets, compute_targets

__all__ = [
    "Kept",
    "LossSpec",
    "LossWeights",
    "Mixture",
    "ObjectiveValue",
    "OwnLoss",
    "Targets",
    "TotalVariation",
    "compute_targets",
    "objective",
    "objective_and_gradient",
]

_TOTAL_VARIATION = {
    "squared": losses.squared_total_variation,
    "l1": losses.l1_total_variation,
    "isotropic": losses.isotropic_total_variation,
    "power": losses.power_total_variation,
}


class ObjectiveValue(NamedTuple):
    """The objective and what it is made of.

    Attributes:
      total: scalar, the sum of the terms.
      terms: `{name: scalar}`, weighted: "content/LAYER", "style/LAYER", "total_variation",
        "out_of_range" and "own/NAME".
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
    r"""The weighted sum of content, style, total-variation, range and own losses of an image.

    .. math::
        L = \sum_l c_l \hat C_l + \sum_l s_l \hat S_l + t\,TV + r\,(L_0)\,R + \sum_k o_k O_k

    with the means :math:`\hat C, \hat S` of `jaxstyle.losses`, the total variation TV, the range
    penalty R, and :math:`L_0 = \sum_l c_l \overline{P_l^2} + \sum_l s_l \overline{A_l^2}`, the
    size that the first two sums have where all features vanish (of Gram matrices; other statistics
    have sizes of their own). Scaling the range penalty by it
    lets one weight r serve every network, layer choice and weighting.

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
      >>> from jaxstyle import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=("relu1_1",))
      >>> image = jax.random.uniform(jax.random.key(1), (8, 8, 3))
      >>> targets = compute_targets(params, image, image, spec)
      >>> float(objective(image, params, targets, spec=spec).total) < 1e-9
      True

    Reference: Gatys et al., CVPR 2016, eq. 7.
    """
    check_image(image, "image")
    weights = weights.resolve(spec)
    content_weights, style_weights = cast(Array, weights.content), cast(Array, weights.style)
    _check_targets(targets, spec)
    image = targets.seen(image)
    maps = features(params, image, spec, spec.layers) if spec.layers else {}
    terms: dict[str, Array] = {}
    size = jnp.float32(0.0)
    for i, layer in enumerate(spec.content_layers):
        weight, target = content_weights[i], targets.content[layer]
        if target.shape != maps[layer].shape:
            raise ValueError(
                f"at {layer} the image has features {list(maps[layer].shape)} and the content "
                f"target {list(target.shape)}: the content image had another size"
            )
        terms[f"content/{layer}"] = weight * losses.content_loss(maps[layer], target)
        size = size + weight * jnp.mean(jnp.square(target))
    for i, layer in enumerate(spec.style_layers):
        loss, layer_size = _style_loss(maps[layer], layer, targets, get_statistic(spec.statistic))
        terms[f"style/{layer}"] = style_weights[i] * loss
        size = size + style_weights[i] * layer_size
    total_variation = _TOTAL_VARIATION[spec.total_variation](image)
    terms["total_variation"] = cast(Array, weights.total_variation) * total_variation
    terms["out_of_range"] = cast(Array, weights.out_of_range) * size * losses.range_penalty(image)
    for i, own in enumerate(spec.own_losses):
        weight = cast(Array, weights.own)[i]
        seen = {**{layer: maps[layer] for layer in own.layers}, "image": image}
        terms[f"own/{own.name}"] = weight * own.function(seen, targets.own.get(own.name))
    return ObjectiveValue(total=sum(terms.values(), start=jnp.float32(0.0)), terms=terms)


def objective_and_gradient(
    image: Array,
    params: Any,
    targets: Targets,
    weights: LossWeights = LossWeights(),
    *,
    spec: LossSpec = LossSpec(),
) -> tuple[ObjectiveValue, Array]:
    """The objective and its gradient with respect to the image, compiled, for your own optimiser.

    Compiles once for each `spec` and set of shapes. Arguments as for `objective`.

    Returns:
      `(ObjectiveValue, gradient)`, the gradient `[H, W, 3]`.

    Example:
      >>> from jaxstyle import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=())
      >>> targets = compute_targets(params, jnp.ones((8, 8, 3)), None, spec)
      >>> value, gradient = objective_and_gradient(
      ...     jnp.zeros((8, 8, 3)), params, targets, spec=spec)
      >>> gradient.shape
      (8, 8, 3)
    """
    image = jnp.asarray(image)
    spec = suit_spec(spec, image)
    value, gradient = _value_and_gradient(image, params, targets, weights.resolve(spec), spec=spec)
    return ObjectiveValue(*value), gradient


@functools.partial(jax.jit, static_argnames="spec")
def _value_and_gradient(
    image: Array, params: Any, targets: Targets, weights: LossWeights, *, spec: LossSpec
) -> tuple[tuple[Array, dict[str, Array]], Array]:
    return jax.value_and_grad(objective, has_aux=True)(image, params, targets, weights, spec=spec)


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


def _style_loss(
    maps: Array, layer: str, targets: Targets, statistic: Statistic
) -> tuple[Array, Array]:
    """The style loss at a layer, and the size that it has where features vanish."""
    target, mixture = targets.style[layer], targets.mixture
    if mixture is None:
        return statistic.loss(maps, None, target), statistic.size(target)
    loss = size = jnp.float32(0.0)
    for k, weight in enumerate(mixture.weights[layer]):
        one = jax.tree.map(lambda leaf, k=k: leaf[k], target)
        mass = None if mixture.masses is None else mixture.masses[layer][k]
        loss = loss + weight * statistic.loss(maps, mass, one)
        size = size + weight * statistic.size(one)
    return loss, size
