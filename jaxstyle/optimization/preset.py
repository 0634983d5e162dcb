"""What a recipe is, and what follows from it for a network and a picture."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp

from jaxstyle import solvers
from jaxstyle.losses.spec import LossSpec, LossWeights
from jaxstyle.networks.bands import map_shape
from jaxstyle.networks.vgg import Params, check_layers, check_size, network_widths
from jaxstyle.optimization.sizes import doubling_sizes
from jaxstyle.optimization.transfer import Init, StylizeOptions
from jaxstyle.solvers import Solver

_TORCHVISION_STD = (0.229, 0.224, 0.225)


class Sizes(NamedTuple):
    """What a preset's weights may depend on.

    Attributes:
      filters: `{layer: N}`.
      positions: `{layer: M}`, height times width of the layer's feature map.
      shape: height and width of the picture.
      spec: the layers that get a weight.
    """

    filters: dict[str, int]
    positions: dict[str, int]
    shape: tuple[int, int]
    spec: LossSpec


@dataclasses.dataclass(frozen=True)
class Preset:
    """A recipe: what is compared, how much each part counts, where to start and how to go on.

    Attributes:
      name: its name on the command line.
      description: one line.
      spec: layers, pooling, padding and kind of total variation.
      weigh: computes the weights from the sizes; see `weights`.
      network: the network that it was made for: "vgg19" (Oxford), "vgg19-torchvision" or "compact".
      normalized: whether the network is rescaled to mean activations of one.
      unscaled_input: whether the system gives torchvision's network pixels of 0–255 that are not
        divided by their standard deviation; see `prepare`.
      init: where to start.
      noise: standard deviation of the noise in the start, in [0, 1] units, or None.
      solver: makes the solver.
      num_steps: the system's own number of steps.
      smoothing: the weight of the total variation that counts as one step of smoothing where the
        recipe has none; 0 if there is no telling.
      smallest: the least size that coarse-to-fine pictures begin at, each twice the one before; 0
        for a recipe that works at one size.
      strengths: the positions of equal steps between photograph and texture; see
        `jaxstyle.optimization.strength`. Empty if they were not measured.
    """

    name: str
    description: str
    spec: LossSpec
    weigh: Callable[[Sizes], LossWeights]
    network: str = "vgg19"
    normalized: bool = False
    unscaled_input: bool = False
    init: Init = "content"
    noise: float | None = None
    solver: Callable[[], Solver] = lambda: solvers.lbfgs(preconditioning=0)
    num_steps: int = 500
    smoothing: float = 0.0
    smallest: int = 0
    strengths: tuple[float, ...] = ()

    def __repr__(self) -> str:
        """Returns what the recipe is, in a line."""
        network = f"{self.network}, normalised" if self.normalized else self.network
        return (
            f"<preset {self.name}: {self.description}; {self.num_steps} steps from {self.init}, "
            f"for {network}>"
        )

    def weights(
        self, params: Params, shape: Sequence[int], spec: LossSpec | None = None
    ) -> LossWeights:
        """Computes the weights for a network and a picture.

        Args:
          params: the network's parameters, for their widths.
          shape: height and width of the content image.
          spec: other layers than the preset's own, if any.

        Returns:
          `LossWeights` for the preset's layers.

        Raises:
          ValueError: if a layer is unknown.

        Example:
          >>> import jax
          >>> from jaxstyle.networks import vgg
          >>> params = jax.eval_shape(vgg.init_params, jax.random.key(0))  # the shapes will do
          >>> from jaxstyle.presets import PRESETS
          >>> PRESETS["neural-style"].weights(params, (64, 64)).style["relu1_1"]
          0.0244140625
        """
        spec = self.spec if spec is None else spec
        widths = network_widths(params)
        check_layers(spec.layers, widths)
        check_size(shape, spec.layers)
        maps = {layer: map_shape(widths, shape, layer) for layer in spec.layers}
        filters = {layer: c for layer, (_, _, c) in maps.items()}
        positions = {layer: h * w for layer, (h, w, _) in maps.items()}
        return self.weigh(Sizes(filters, positions, (shape[0], shape[1]), spec))

    def sizes(self, size: int) -> tuple[int, ...]:
        """Returns the longer sides from coarse to fine at which a picture of one size is made.

        Args:
          size: the last one.

        Example:
          >>> from jaxstyle.presets import PRESETS
          >>> PRESETS["strotss"].sizes(512), PRESETS["default"].sizes(512)
          ((64, 128, 256, 512), (512,))
        """
        return doubling_sizes(size, self.smallest)

    def prepare(self, params: Params, weights: str = "torchvision") -> Params:
        """Changes the network so that it sees the input that the recipe's system gives it.

        Args:
          params: the network's parameters.
          weights: where they come from: "torchvision", "oxford" or "unknown", as in the metadata of
            `jaxstyle.networks.load.load_network`. Only torchvision's are changed, and only if
            `unscaled_input` is set, because the others are made for 0–255.

        Example:
          >>> import jax
          >>> from jaxstyle.networks import vgg
          >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
          >>> from jaxstyle.presets import PRESETS
          >>> PRESETS["gordic"].prepare(params, "oxford") is params
          True
        """
        if not self.unscaled_input or weights != "torchvision":
            return params
        first = params["conv1_1"]
        factor = 255.0 * jnp.asarray(_TORCHVISION_STD)[:, None]
        return {**params, "conv1_1": {**first, "kernel": jnp.asarray(first["kernel"]) * factor}}

    def options(self, params: Params, shape: Sequence[int]) -> StylizeOptions:
        """Returns the keyword arguments with which `jaxstyle.stylize` follows the recipe.

        Args:
          params: the network's parameters, as `prepare` returns them.
          shape: height and width of the content image.

        Returns:
          The arguments by name.

        Example:
          >>> import jax
          >>> from jaxstyle.networks import vgg
          >>> params = jax.eval_shape(vgg.init_params, jax.random.key(0))  # the shapes will do
          >>> from jaxstyle.presets import PRESETS
          >>> options = PRESETS["gatys2016"].options(params, (64, 64))
          >>> options["init"], options["num_steps"]
          ('white-noise', 500)
        """
        return {
            "spec": self.spec,
            "weights": self.weights(params, shape),
            "solver": self.solver(),
            "num_steps": self.num_steps,
            "init": self.init,
            "noise": self.noise,
        }
