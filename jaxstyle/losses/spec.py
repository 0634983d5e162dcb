"""What an objective compares, and the weight of each part.

`LossSpec` says what is compared. It is static and hashable, because it decides which program is
compiled. `LossWeights` says how much each part counts. It holds arrays, so a change of weights
never compiles anything again.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import jax
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.arrays import stack, to_device
from jaxstyle._common.checks import check_amount, check_choice, check_kind, check_names
from jaxstyle._common.text import brief_repr
from jaxstyle.losses.content import ContentName
from jaxstyle.losses.pieces import match_columns
from jaxstyle.losses.statistic import Statistic
from jaxstyle.losses.statistics import StatisticName, get_statistic
from jaxstyle.networks.spec import VGGSpec

TotalVariation = Literal["squared", "l1", "isotropic", "power"]
LayerWeights = ArrayLike | Mapping[str, ArrayLike]
Network = Callable[[Any, Array, Sequence[str]], Mapping[str, Array]]


@dataclasses.dataclass(frozen=True)
class OwnLoss:
    """A loss of the user's own: a further term of the objective.

    Attributes:
      name: the term is called "own/NAME" in `ObjectiveValue.terms`.
      function: `(features, target) -> scalar`, a pure function. `features` is `{layer: [h, w, c]}`
        of the image at `layers`, with the image itself, `[H, W, 3]`, under "image".
      layers: the layers that the function reads.
      measure: `features -> target`, which measures the content image once. The target may be any
        pytree of arrays. Without `measure` the target is None.

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
        object.__setattr__(self, "layers", check_names(self.layers, "layers"))


@dataclasses.dataclass(frozen=True)
class LossSpec:
    """What the objective compares; `LossWeights` says how much each part counts.

    Attributes:
      content_layers: layers whose feature maps are compared; may be empty.
      style_layers: layers whose statistics are compared; may be empty.
      statistic: what is compared of a style, "gram" for Gram matrices; see `jaxstyle.statistics`.
      total_variation: how neighbouring pixels are compared: "squared" or "l1" differences,
        "isotropic", or "power" (Keras'); see `jaxstyle.losses.functional`.
      own_losses: further terms of your own; see `OwnLoss`.
      network: how VGG computes the feature maps, a `VGGSpec`. In its place may stand a network of
        your own, a function `(params, image, layers) -> {layer: [h, w, c]}`; its `params` may be
        any pytree.
      content_loss: how the image is compared with the photograph: "features", place by place, or
        "self-similarity"; see `jaxstyle.losses.content`.
      places: whether pieces of the painting are matched too, beside the statistic, which forgets
        places; see `jaxstyle.losses.pieces`.

    Raises:
      ValueError: if there is nothing to compare, a layer is named twice, or a choice is unknown.
      TypeError: if layers are no sequence of names, or the network is neither a `VGGSpec` nor a
        function.

    Example:
      >>> LossSpec(style_layers=["relu1_1", "relu2_1"]).style_layers
      ('relu1_1', 'relu2_1')
      >>> LossSpec(network=VGGSpec(pooling="average")) == LossSpec().with_vgg(pooling="average")
      True

    Reference: Gatys et al., CVPR 2016, section 2; the layers are those of figure 3.
    """

    content_layers: Sequence[str] = ("relu4_2",)
    style_layers: Sequence[str] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    statistic: StatisticName = "gram"
    total_variation: TotalVariation = "squared"
    own_losses: Sequence[OwnLoss] = ()
    network: VGGSpec | Network = VGGSpec()
    content_loss: ContentName = "features"
    places: bool = False

    def __post_init__(self) -> None:
        for name in ("content_layers", "style_layers"):
            layers = check_names(getattr(self, name), name)
            if len(set(layers)) < len(layers):
                raise ValueError(f"{name} names a layer twice: {', '.join(layers)}")
            object.__setattr__(self, name, layers)
        if isinstance(self.own_losses, OwnLoss):
            raise TypeError("own_losses should be a sequence of losses; write own_losses=[loss]")
        object.__setattr__(self, "own_losses", tuple(self.own_losses))
        for own in self.own_losses:
            check_kind(own, OwnLoss, "each of own_losses", "OwnLoss(name, function)")
        names = [own.name for own in self.own_losses]
        if len(set(names)) < len(names):
            raise ValueError(f"own_losses has two of one name: {', '.join(names)}")
        if not self.layers and not self.own_losses:
            raise ValueError("a LossSpec needs at least one content layer or style layer")
        check_choice("statistic", self.statistic, get_args(StatisticName))
        if self.places and get_statistic(self.statistic).joint is not None:
            raise ValueError(f"statistic {self.statistic} matches pieces itself; leave places out")
        check_choice("content_loss", self.content_loss, get_args(ContentName))
        check_choice("total_variation", self.total_variation, get_args(TotalVariation))
        if not isinstance(self.network, VGGSpec) and not callable(self.network):
            raise TypeError(
                "network should be a VGGSpec or a function (params, image, layers) -> maps, "
                f"got {self.network!r}"
            )

    def __repr__(self) -> str:
        """Returns the layers, and whatever else is not as it is by default."""
        return brief_repr(self, always=("content_layers", "style_layers"))

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer that the objective reads, each once."""
        own = tuple(layer for each in self.own_losses for layer in each.layers)
        return tuple(dict.fromkeys((*self.content_layers, *self.style_layers, *own)))

    @property
    def compared(self) -> Statistic:
        """The statistic, and how pieces are matched beside it if they are."""
        statistic = get_statistic(self.statistic)
        joint = match_columns if self.places else statistic.joint
        return dataclasses.replace(statistic, joint=joint if self.style_layers else None)

    def with_vgg(self, **changes: Any) -> "LossSpec":
        """Returns the same spec, with VGG computed in another way.

        Args:
          **changes: fields of `VGGSpec`.

        Raises:
          TypeError: if the network is one of your own, or VGG has no such field.

        Example:
          >>> LossSpec().with_vgg(memory="low").network.memory
          'low'
        """
        if not isinstance(self.network, VGGSpec):
            raise TypeError("with_vgg changes how VGG is computed, and network is a function")
        return dataclasses.replace(self, network=dataclasses.replace(self.network, **changes))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LossWeights:
    """How much each part of the objective counts.

    Every part is a mean, so a weight means the same at every picture size.

    Attributes:
      content: weight of each content layer: a scalar for all, `[num_content_layers]`, or a
        mapping from layer to weight. Beside the style's default weight, ten keeps the photograph
        recognisable under flat and under busy paintings, at no visible cost in style.
      style: the same for the style layers. None takes the statistic's own weight, which is 1000
        for Gram matrices, and a fifth of it in block 5: in a normalised network that block would
        otherwise outweigh the others once they match.
      total_variation: weight of the smoothness term.
      out_of_range: weight of the pixels' excursions outside [0, 1]. It is relative to the size of
        the objective itself (see `objective`), so it need not change with the other weights. Zero
        leaves pixels free; they are then clipped at the end.
      own: weight of each of the spec's own losses: a scalar for all, `[num_own_losses]`, or a
        mapping from name to weight. None is 1 for each.
      places: how much it counts that pieces match, where the spec says that they are matched: a
        multiple of what the style counts for. None is 1.
    """

    content: LayerWeights = 10.0
    style: LayerWeights | None = None
    total_variation: ArrayLike = 0.0
    out_of_range: ArrayLike = 1000.0
    own: LayerWeights | None = None
    places: ArrayLike | None = None

    def __repr__(self) -> str:
        """Returns the weights that are not as they are by default."""
        return brief_repr(self)

    def resolve(self, spec: LossSpec) -> "LossWeights":
        """Returns the same weights as float32 arrays of one form: `[num_layers]` and scalars.

        Weights of one form share a compiled program, however they were given.

        Raises:
          ValueError: if a number is negative or not finite, or an array or mapping does not fit
            the layers or own losses of `spec`.
          TypeError: if a weight is not a number.
        """
        check_spec(spec)
        style = self.style
        if style is None:
            weight = spec.compared.weight
            style = {k: weight / 5 if _in_block_5(k) else weight for k in spec.style_layers}
        names = tuple(each.name for each in spec.own_losses)
        own = None
        if names or isinstance(self.own, Mapping):
            own = _per_layer("own", 1.0 if self.own is None else self.own, names)
        places = None
        if spec.places or self.places is not None:
            places = _weight("places", 1.0 if self.places is None else self.places)
        return LossWeights(
            content=_per_layer("content", self.content, spec.content_layers),
            style=_per_layer("style", style, spec.style_layers),
            total_variation=_weight("total_variation", self.total_variation),
            out_of_range=_weight("out_of_range", self.out_of_range),
            own=own,
            places=places,
        )


def check_spec(spec: LossSpec) -> None:
    """Raises `TypeError` unless the argument `spec` is a `LossSpec`."""
    check_kind(spec, LossSpec, "spec", 'spec=LossSpec(style_layers=["relu1_1"])')


def resolve_weights(weights: LossWeights, spec: LossSpec) -> LossWeights:
    """Returns the argument `weights` resolved, and raises `TypeError` for another kind of thing."""
    check_kind(weights, LossWeights, "weights", "weights=LossWeights(content=10.0)")
    return weights.resolve(spec)


def _in_block_5(layer: str) -> bool:
    return layer.startswith(("conv5", "relu5", "pool5"))


def _per_layer(name: str, weight: LayerWeights, layers: Sequence[str]) -> Array:
    if isinstance(weight, Mapping):
        if set(weight) != set(layers):
            raise ValueError(
                f"{name} weights are given for {', '.join(weight) or 'no layer'}, "
                f"but the layers are {', '.join(layers) or 'none'}"
            )
        if not layers:
            return to_device(np.zeros(0))
        return stack([_weight(f"{name} at {k}", weight[k]) for k in layers])
    checked = _checked(name, weight)
    if checked.ndim == 0:
        return stack([checked] * len(layers)) if layers else to_device(np.zeros(0))
    if checked.shape != (len(layers),):
        raise ValueError(
            f"{name} weights should be a scalar or of shape ({len(layers)},) for "
            f"{', '.join(layers)}, got shape {checked.shape}"
        )
    return checked


def _weight(name: str, weight: ArrayLike) -> Array:
    checked = _checked(name, weight)
    if checked.ndim != 0:
        raise ValueError(f"the {name} weight should be a scalar, got shape {checked.shape}")
    return checked


def _checked(name: str, weight: ArrayLike) -> Array:
    # What is on the device may be traced, and to look at it would wait for it.
    if not isinstance(weight, Array):
        check_amount(weight, f"the {name} weight")
    return to_device(weight)
