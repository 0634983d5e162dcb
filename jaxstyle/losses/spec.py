"""What an objective compares, and how much each part counts.

`LossSpec` is static and hashable: it decides which program is compiled. `LossWeights` are arrays:
changing them never compiles anew.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.checks import check_choice
from jaxstyle._common.sharding import splits_rows
from jaxstyle.losses.statistics import StatisticName, get_statistic
from jaxstyle.networks import bands, vgg
from jaxstyle.networks.convolution import Convolution, Padding
from jaxstyle.networks.vgg import Pooling

TotalVariation = Literal["squared", "l1", "isotropic", "power"]
LayerWeights = ArrayLike | Mapping[str, ArrayLike]
Memory = Literal["auto", "plain", "low"]
Precision = Literal["float32", "bfloat16"]
Network = Callable[[Any, Array, Sequence[str]], Mapping[str, Array]]


@dataclasses.dataclass(frozen=True)
class OwnLoss:
    """A term of the objective that a user writes.

    Attributes:
      name: what the term is called in `ObjectiveValue.terms`, after "own/".
      function: `(features, target) -> scalar`, pure; features is `{layer: [h, w, c]}` of the image
        at `layers` (and "image" for the image itself, `[H, W, 3]`).
      layers: those that the function reads.
      measure: `features -> target`, any pytree of arrays, of the content image's features; without
        it the target is None.

    Example:
      >>> darkness = OwnLoss("darkness", lambda features, _: jnp.mean(features["image"] ** 2))
      >>> LossSpec(own_losses=(darkness,)).own_losses[0].name
      'darkness'
    """

    name: str
    function: Callable[[Mapping[str, Array], Any], Array]
    layers: Sequence[str] = ()
    measure: Callable[[Mapping[str, Array]], Any] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.layers, str):
            raise TypeError(f"layers should be a sequence of names, got the string {self.layers!r}")
        object.__setattr__(self, "layers", tuple(self.layers))


@dataclasses.dataclass(frozen=True)
class LossSpec:
    """What the objective compares, without how much each part counts.

    Attributes:
      content_layers: layers whose feature maps are compared; may be empty.
      style_layers: layers whose Gram matrices are compared; may be empty.
      pooling: "max", or "average" as in the paper.
      padding: "reflect", "zero" or "replicate". Zero padding, with which VGG was trained, leaves a
        frame around the picture.
      total_variation: "squared" or "l1" differences of neighbouring pixels, "isotropic", or
        "power" (Keras'); see `jaxstyle.losses.functional`.
      statistic: what is compared of a style; see `jaxstyle.statistics`.
      convolution: "direct", "im2col", "winograd", or "auto" for whichever is faster; see
        `vgg.features`.
      memory: "plain"; "low" for large pictures: the same losses, but for rounding, in bands of
        rows and a fraction of the memory, see `jaxstyle.networks.bands`; or "auto", which
        is plain but for bands of the first block where they are faster, on CPUs.
      precision: "float32", or "bfloat16" for the network's computation, where an accelerator
        multiplies that faster; losses, pixels and the solver stay in float32.
      own_losses: further terms of your own; see `OwnLoss`.
      network: in place of VGG, a function `(params, image, layers) -> {layer: [h, w, c]}`; any
        pytree may be its `params`. `pooling`, `padding` and `precision` are then its own affair.

    Raises:
      ValueError: if there is nothing to compare, a layer is named twice, or a choice is unknown.
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
    statistic: StatisticName = "gram"
    convolution: Convolution = "auto"
    memory: Memory = "auto"
    precision: Precision = "float32"
    own_losses: tuple[OwnLoss, ...] = ()
    network: Network | None = None

    def __post_init__(self) -> None:
        for name in ("content_layers", "style_layers"):
            layers = getattr(self, name)
            if isinstance(layers, str):
                raise TypeError(f"{name} should be a sequence of names, got the string {layers!r}")
            if len(set(layers)) < len(layers):
                raise ValueError(f"{name} names a layer twice: {', '.join(layers)}")
            object.__setattr__(self, name, tuple(layers))
        object.__setattr__(self, "own_losses", tuple(self.own_losses))
        names = [own.name for own in self.own_losses]
        if len(set(names)) < len(names):
            raise ValueError(f"own_losses has two of one name: {', '.join(names)}")
        if not self.layers and not self.own_losses:
            raise ValueError("a LossSpec needs at least one content layer or style layer")
        check_choice("pooling", self.pooling, get_args(Pooling))
        check_choice("padding", self.padding, get_args(Padding))
        check_choice("total_variation", self.total_variation, get_args(TotalVariation))
        check_choice("statistic", self.statistic, get_args(StatisticName))
        check_choice("convolution", self.convolution, get_args(Convolution))
        check_choice("memory", self.memory, get_args(Memory))
        check_choice("precision", self.precision, get_args(Precision))
        if self.precision == "bfloat16" and self.convolution == "winograd":
            raise ValueError("convolution='winograd' needs precision='float32'")
        if self.memory == "low" and self.network is not None:
            raise ValueError("memory='low' needs VGG's blocks; leave it or spec.network out")

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer that the objective reads, each once."""
        own = tuple(layer for each in self.own_losses for layer in each.layers)
        return tuple(dict.fromkeys(self.content_layers + self.style_layers + own))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LossWeights:
    """How much each part of the objective counts.

    Every part is a mean, so weights keep their meaning at every picture size.

    Attributes:
      content: weight of each content layer: a scalar for all, `[num_content_layers]`, or a
        mapping from layer to weight. Beside the style's default weight, ten keeps the photograph
        recognisable under flat and under busy paintings, at no cost in style that can be seen.
      style: the same for the style layers; None is the statistic's own weight, 1000 for Gram
        matrices, and a fifth of it in block 5, which in a normalised network would otherwise
        outweigh the others once they match.
      total_variation: weight of the smoothness term.
      out_of_range: weight of the pixels' excursions outside [0, 1], relative to the size of the
        objective itself (see `objective`), so that it need not change with the others. Zero
        leaves pixels free, to be clipped at the end.
      own: weight of each of the spec's own losses: a scalar for all, `[num_own_losses]`, or a
        mapping from name to weight; None is 1 for each.
    """

    content: LayerWeights = 10.0
    style: LayerWeights | None = None
    total_variation: ArrayLike = 0.0
    out_of_range: ArrayLike = 1000.0
    own: LayerWeights | None = None

    def resolve(self, spec: LossSpec) -> "LossWeights":
        """The same weights as float32 arrays of one form: `[num_layers]` and scalars.

        Equal forms share one compiled program, whichever way the weights were given.

        Raises:
          ValueError: if a number is negative or not finite, or an array or mapping does not fit
            the layers or own losses of `spec`.
        """
        style = self.style
        if style is None:
            weight = get_statistic(spec.statistic).weight
            style = {k: weight / 5 if _in_block_5(k) else weight for k in spec.style_layers}
        names = tuple(each.name for each in spec.own_losses)
        own = None
        if names or isinstance(self.own, Mapping):
            own = _per_layer("own", 1.0 if self.own is None else self.own, names)
        return LossWeights(
            content=_per_layer("content", self.content, spec.content_layers),
            style=_per_layer("style", style, spec.style_layers),
            total_variation=_weight("total_variation", self.total_variation),
            out_of_range=_weight("out_of_range", self.out_of_range),
            own=own,
        )


def suit_spec(spec: LossSpec, image: Array | None) -> LossSpec:
    """The spec with "auto" settled for an image whose rows lie on several devices.

    Winograd's tiles, and bands, would gather what `jaxstyle.shard_rows` has spread.

    Args:
      spec: what is compared.
      image: `[H, W, 3]`, before it is traced; None settles nothing.

    Raises:
      ValueError: if the spec asks for low memory, whose bands would gather the rows.
    """
    if image is None or not splits_rows(image):
        return spec
    if spec.memory == "low":
        raise ValueError("memory='low' is for one device; use 'plain' for rows spread over several")
    convolution: Convolution = "direct" if spec.convolution == "auto" else spec.convolution
    return dataclasses.replace(spec, convolution=convolution, memory="plain")


def choose_bands(spec: LossSpec, params: Any, shape: Sequence[int]) -> bands.Bands | None:
    """Which bands of rows a settled spec is computed in; None for none.

    Args:
      spec: what is compared.
      params: the network's parameters.
      shape: height and width of the image.
    """
    if spec.memory == "low":
        return "low"
    may = spec.memory == "auto" and spec.network is None and spec.layers
    # Direct convolutions have slow derivatives in loops.
    if may and spec.convolution != "direct" and spec.precision == "float32":
        return "fast" if bands.pay(params, shape, spec.layers) else None
    return None


def features(params: Any, image: Array, spec: LossSpec, layers: Sequence[str]) -> dict[str, Array]:
    """Feature maps of an image under a spec: by its own network, or by VGG.

    Args:
      params: the network's parameters.
      image: `[H, W, 3]`.
      spec: which network, and how it pools and pads.
      layers: names of the layers.

    Raises:
      ValueError: if the network lacks a layer; see `jaxstyle.networks.vgg.features`.
    """
    if spec.network is None:
        spec = suit_spec(spec, image)
        options = network_options(spec)
        chosen = choose_bands(spec, params, image.shape)
        if chosen is not None:
            return bands.read_features(params, image, layers, bands=chosen, **options)[0]
        return vgg.features(params, image, layers, **options)
    maps = spec.network(params, image, layers)
    for layer in layers:
        if layer not in maps or maps[layer].ndim != 3:
            got = list(maps[layer].shape) if layer in maps else f"only {', '.join(maps)}"
            raise ValueError(f"spec.network should return [h, w, c] for {layer}, got {got}")
    return {layer: maps[layer] for layer in layers}


def prepare_params(params: Any, shape: Sequence[int], spec: LossSpec) -> Any:
    """Parameters that need no further preparation for images of a size under a settled spec."""
    if spec.network is not None:
        return params
    if spec.precision == "bfloat16":
        # Rounded once, not at every step; the mean is subtracted from pixels of float32.
        return {
            name: leaf if name == "mean" else jax.tree.map(lambda x: x.astype(jnp.bfloat16), leaf)
            for name, leaf in params.items()
        }
    chosen = choose_bands(spec, params, shape)
    if chosen is None:
        return vgg.prepare_params(params, shape, spec.layers, convolution=spec.convolution)
    return bands.prepare_params(
        params, shape, spec.layers, convolution=spec.convolution, bands=chosen
    )


def network_options(spec: LossSpec) -> dict[str, Any]:
    """How a spec has VGG computed: keyword arguments of `jaxstyle.networks.vgg.features`."""
    options = {name: getattr(spec, name) for name in ("pooling", "padding", "convolution")}
    return options | {"dtype": jnp.bfloat16 if spec.precision == "bfloat16" else None}


def _in_block_5(layer: str) -> bool:
    return layer.startswith(("conv5", "relu5", "pool5"))


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
