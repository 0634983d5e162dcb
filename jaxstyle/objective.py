"""What is minimised: content, style, smoothness and range, as one function of the image.

`LossSpec` is static and hashable: it decides which program is compiled. `LossWeights`, `Targets`,
the image and the network's parameters are arrays: changing one never compiles anew.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Literal, NamedTuple, cast, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle import losses, vgg
from jaxstyle.checks import check_choice, check_image
from jaxstyle.convolution import Convolution, Padding
from jaxstyle.sharding import splits_rows
from jaxstyle.vgg import Params, Pooling

TotalVariation = Literal["squared", "l1"]
LayerWeights = ArrayLike | Mapping[str, ArrayLike]

_TOTAL_VARIATION = {
    "squared": losses.squared_total_variation,
    "l1": losses.l1_total_variation,
}


@dataclasses.dataclass(frozen=True)
class LossSpec:
    """What the objective compares, without how much each part counts.

    Attributes:
      content_layers: layers whose feature maps are compared; may be empty.
      style_layers: layers whose Gram matrices are compared; may be empty.
      pooling: "max", or "average" as in the paper.
      padding: "reflect", "zero" or "replicate". Zero padding, with which VGG was trained, leaves a
        frame around the picture.
      total_variation: "squared" or "l1" differences of neighbouring pixels.
      convolution: "direct", "winograd", or "auto" for whichever is faster; see `vgg.features`.

    Raises:
      ValueError: if both layer lists are empty, a layer is named twice, or a choice is unknown.
      TypeError: if layers are given as a string.

    Example:
      >>> LossSpec(style_layers=["relu1_1", "relu2_1"]).style_layers
      ('relu1_1', 'relu2_1')

    Reference: Gatys et al., CVPR 2016, section 2; the layers are those of figure 3.
    """

    content_layers: tuple[str, ...] = ("relu4_2",)
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    pooling: Pooling = "max"
    padding: Padding = "reflect"
    total_variation: TotalVariation = "squared"
    convolution: Convolution = "auto"

    def __post_init__(self) -> None:
        for name in ("content_layers", "style_layers"):
            layers = getattr(self, name)
            if isinstance(layers, str):
                raise TypeError(f"{name} should be a sequence of names, got the string {layers!r}")
            if len(set(layers)) < len(layers):
                raise ValueError(f"{name} names a layer twice: {', '.join(layers)}")
            object.__setattr__(self, name, tuple(layers))
        if not self.layers:
            raise ValueError("a LossSpec needs at least one content layer or style layer")
        check_choice("pooling", self.pooling, get_args(Pooling))
        check_choice("padding", self.padding, get_args(Padding))
        check_choice("total_variation", self.total_variation, get_args(TotalVariation))
        check_choice("convolution", self.convolution, get_args(Convolution))

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer that the objective reads, each once."""
        return tuple(dict.fromkeys(self.content_layers + self.style_layers))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LossWeights:
    """How much each part of the objective counts.

    Every part is a mean, so weights keep their meaning at every picture size.

    Attributes:
      content: weight of each content layer: a scalar for all, `[num_content_layers]`, or a
        mapping from layer to weight.
      style: the same for the style layers; None is 1000 for each, but 200 in block 5, which in a
        normalised network would otherwise outweigh the others once they match.
      total_variation: weight of the smoothness term.
      out_of_range: weight of the pixels' excursions outside [0, 1], relative to the size of the
        objective itself (see `objective`), so that it need not change with the others. Zero
        leaves pixels free, to be clipped at the end.
    """

    content: LayerWeights = 1.0
    style: LayerWeights | None = None
    total_variation: ArrayLike = 0.0
    out_of_range: ArrayLike = 1000.0

    def resolve(self, spec: LossSpec) -> "LossWeights":
        """The same weights as float32 arrays of one form: `[num_layers]` and scalars.

        Equal forms share one compiled program, whichever way the weights were given.

        Raises:
          ValueError: if a number is negative or not finite, or an array or mapping does not fit
            the layers of `spec`.
        """
        style = self.style
        if style is None:
            style = {layer: 200.0 if layer[4] == "5" else 1000.0 for layer in spec.style_layers}
        return LossWeights(
            content=_per_layer("content", self.content, spec.content_layers),
            style=_per_layer("style", style, spec.style_layers),
            total_variation=_weight("total_variation", self.total_variation),
            out_of_range=_weight("out_of_range", self.out_of_range),
        )


class Targets(NamedTuple):
    """What the image is compared with; a pytree of arrays.

    Attributes:
      content: `{layer: [h, w, c]}`, feature maps of the content image.
      style: `{layer: [c, c]}`, Gram matrices of the style image, whatever its size was.
    """

    content: dict[str, Array]
    style: dict[str, Array]


class ObjectiveValue(NamedTuple):
    """The objective and what it is made of.

    Attributes:
      total: scalar, the sum of the terms.
      terms: `{name: scalar}`, weighted: "content/LAYER", "style/LAYER", "total_variation" and
        "out_of_range".
    """

    total: Array
    terms: dict[str, Array]


def compute_targets(
    params: Params,
    content: Array | None,
    style: Array | None,
    spec: LossSpec = LossSpec(),
) -> Targets:
    """Feature maps of the content image and Gram matrices of the style image.

    Args:
      params: the network's parameters.
      content: `[H, W, 3]` in [0, 1]; None if `spec` has no content layers.
      style: `[H', W', 3]` in [0, 1], of any size; None if `spec` has no style layers.
      spec: which layers, and how the network pools and pads.

    Returns:
      `Targets`; those of styles of different sizes have equal shapes, so they stack.

    Raises:
      ValueError: if an image that `spec` needs is missing or does not fit; see `vgg.features`.

    Example:
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=(), style_layers=("relu1_1",))
      >>> compute_targets(params, None, jnp.ones((8, 8, 3)), spec).style["relu1_1"].shape
      (4, 4)
    """
    content_features, style_features = {}, {}
    for name, image, layers in (
        ("content", content, spec.content_layers),
        ("style", style, spec.style_layers),
    ):
        if layers and image is None:
            raise ValueError(f"{name} is None, but spec has {name} layers: {', '.join(layers)}")
        if image is not None:
            check_image(image, name)
    if content is not None and spec.content_layers:
        content_features = _features(params, content, spec, spec.content_layers)
    if style is not None and spec.style_layers:
        style_features = _features(params, style, spec, spec.style_layers)
    grams = {layer: losses.gram_matrix(f) for layer, f in style_features.items()}
    return Targets(content=content_features, style=grams)


def suit_spec(spec: LossSpec, image: Array) -> LossSpec:
    """The spec with "auto" settled for an image whose rows lie on several devices.

    Winograd's tiles would gather what `jaxstyle.shard_rows` has spread.

    Args:
      spec: what is compared.
      image: `[H, W, 3]`, before it is traced.
    """
    if spec.convolution == "auto" and splits_rows(image):
        return dataclasses.replace(spec, convolution="direct")
    return spec


def objective(
    image: Array,
    params: Params,
    targets: Targets,
    weights: LossWeights = LossWeights(),
    *,
    spec: LossSpec = LossSpec(),
) -> ObjectiveValue:
    r"""The weighted sum of content, style, total-variation and range losses of an image.

    .. math:: L = \sum_l c_l \hat C_l + \sum_l s_l \hat S_l + t\,TV + r\,(L_0)\,R

    with the means :math:`\hat C, \hat S` of `jaxstyle.losses`, the total variation TV, the range
    penalty R, and :math:`L_0 = \sum_l c_l \overline{P_l^2} + \sum_l s_l \overline{A_l^2}`, the
    size that the first two sums have where all features vanish. Scaling the range penalty by it
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
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=("relu1_1",))
      >>> image = jax.random.uniform(jax.random.key(1), (8, 8, 3))
      >>> targets = compute_targets(params, image, image, spec)
      >>> float(objective(image, params, targets, spec=spec).total)
      0.0

    Reference: Gatys et al., CVPR 2016, eq. 7.
    """
    check_image(image, "image")
    weights = weights.resolve(spec)
    content_weights, style_weights = cast(Array, weights.content), cast(Array, weights.style)
    _check_targets(targets, spec)
    maps = _features(params, image, spec, spec.layers)
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
        weight, target = style_weights[i], targets.style[layer]
        gram = losses.gram_matrix(maps[layer])
        terms[f"style/{layer}"] = weight * losses.style_loss(gram, target)
        size = size + weight * jnp.mean(jnp.square(target))
    total_variation = _TOTAL_VARIATION[spec.total_variation](image)
    terms["total_variation"] = cast(Array, weights.total_variation) * total_variation
    terms["out_of_range"] = cast(Array, weights.out_of_range) * size * losses.range_penalty(image)
    return ObjectiveValue(total=sum(terms.values(), start=jnp.float32(0.0)), terms=terms)


def objective_and_gradient(
    image: Array,
    params: Params,
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
    image: Array, params: Params, targets: Targets, weights: LossWeights, *, spec: LossSpec
) -> tuple[tuple[Array, dict[str, Array]], Array]:
    return jax.value_and_grad(objective, has_aux=True)(image, params, targets, weights, spec=spec)


def _features(
    params: Params, image: Array, spec: LossSpec, layers: tuple[str, ...]
) -> dict[str, Array]:
    spec = suit_spec(spec, image)
    return vgg.features(
        params, image, layers,
        pooling=spec.pooling, padding=spec.padding, convolution=spec.convolution,
    )  # fmt: skip


def _check_targets(targets: Targets, spec: LossSpec) -> None:
    for name, layers in (("content", spec.content_layers), ("style", spec.style_layers)):
        missing = [layer for layer in layers if layer not in getattr(targets, name)]
        if missing:
            raise ValueError(f"targets.{name} lacks {', '.join(missing)}: computed with this spec?")


def _per_layer(name: str, weight: LayerWeights, layers: tuple[str, ...]) -> Array:
    if isinstance(weight, Mapping):
        if set(weight) != set(layers):
            raise ValueError(
                f"{name} weights are given for {', '.join(weight) or 'no layer'}, "
                f"but the layers are {', '.join(layers) or 'none'}"
            )
        return jnp.asarray([_weight(f"{name} at {k}", weight[k]) for k in layers], jnp.float32)
    if jnp.ndim(weight) == 0:
        return jnp.broadcast_to(_weight(name, weight), (len(layers),))
    if jnp.shape(weight) != (len(layers),):
        raise ValueError(
            f"{name} weights should be a scalar or of shape ({len(layers)},) for "
            f"{', '.join(layers)}, got shape {jnp.shape(weight)}"
        )
    return _checked(name, weight)


def _weight(name: str, weight: ArrayLike) -> Array:
    if jnp.ndim(weight) != 0:
        raise ValueError(f"the {name} weight should be a scalar, got shape {jnp.shape(weight)}")
    return _checked(name, weight)


def _checked(name: str, weight: ArrayLike) -> Array:
    # What is on the device may be traced, and to look at it would wait for it.
    if not isinstance(weight, Array):
        values = np.asarray(weight, np.float32)
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise ValueError(f"the {name} weight should be finite and not negative, got {weight}")
    return jnp.asarray(weight, jnp.float32)
