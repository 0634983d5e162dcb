"""How a VGG network's feature maps are computed: what changes them, and what only changes the cost.

`VGGSpec` is static and hashable, so it can decide which program is compiled.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common.checks import check_choice
from jaxstyle._common.sharding import splits_rows
from jaxstyle._common.text import brief_repr
from jaxstyle.networks import bands, vgg
from jaxstyle.networks.bands import Bands
from jaxstyle.networks.convolution import Convolution, Padding
from jaxstyle.networks.vgg import Params, Pooling

Memory = Literal["auto", "plain", "low"]
Precision = Literal["float32", "bfloat16"]


@dataclasses.dataclass(frozen=True)
class VGGSpec:
    """How VGG's feature maps are computed.

    `pooling` and `padding` change the maps. The other settings trade time for memory or precision
    and leave the maps as they are, but for rounding.

    Attributes:
      pooling: "max", or "average" as in the paper.
      padding: "reflect", "zero" or "replicate". VGG was trained with zero padding, which leaves a
        frame around a stylised picture.
      convolution: "direct", "im2col", "winograd", or "auto" for whichever is faster; see
        `jaxstyle.features`.
      memory: "plain" keeps every map. "low" is for large pictures: it computes the first blocks in
        bands of rows, in a fraction of the memory; see `jaxstyle.networks.bands`. "auto" is plain,
        except that on CPUs it takes bands for the first block where they are faster.
      precision: "float32", or "bfloat16" for accelerators that multiply it faster. Losses, pixels
        and the solver stay in float32.

    Raises:
      ValueError: if a choice is unknown, or Winograd's convolutions are asked for in bfloat16.

    Example:
      >>> VGGSpec(pooling="average").padding
      'reflect'
    """

    pooling: Pooling = "max"
    padding: Padding = "reflect"
    convolution: Convolution = "auto"
    memory: Memory = "auto"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        check_choice("pooling", self.pooling, get_args(Pooling))
        check_choice("padding", self.padding, get_args(Padding))
        check_choice("convolution", self.convolution, get_args(Convolution))
        check_choice("memory", self.memory, get_args(Memory))
        check_choice("precision", self.precision, get_args(Precision))
        if self.precision == "bfloat16" and self.convolution == "winograd":
            raise ValueError("convolution='winograd' needs precision='float32'")

    def __repr__(self) -> str:
        """Returns what is not as it is by default."""
        return brief_repr(self)

    def settle(self, image: Array | None) -> "VGGSpec":
        """Returns the spec with "auto" settled for an image whose rows lie on several devices.

        Winograd's tiles, and bands, would gather the rows that `jaxstyle.shard_rows` has spread.

        Args:
          image: `[H, W, 3]`, before it is traced. None settles nothing.

        Raises:
          ValueError: if the spec asks for low memory, whose bands would gather the rows.
        """
        if image is None or not splits_rows(image):
            return self
        if self.memory == "low":
            raise ValueError(
                "memory='low' is for one device; use 'plain' for rows spread over several"
            )
        convolution: Convolution = "direct" if self.convolution == "auto" else self.convolution
        return dataclasses.replace(self, convolution=convolution, memory="plain")

    def choose_bands(
        self, params: Params, shape: Sequence[int], layers: Sequence[str]
    ) -> Bands | None:
        """Returns the bands of rows that a settled spec computes in, or None for whole maps.

        Args:
          params: the network's parameters.
          shape: height and width of the image.
          layers: the feature maps that are read.
        """
        if self.memory == "low":
            return "low"
        # Direct convolutions have slow derivatives in loops.
        may = self.memory == "auto" and self.convolution != "direct" and layers
        if may and self.precision == "float32":
            return "fast" if bands.pay(params, shape, layers) else None
        return None

    def features(self, params: Params, image: Array, layers: Sequence[str]) -> dict[str, Array]:
        """Returns the feature maps of an image, computed as the spec says.

        Args:
          params: the network's parameters.
          image: `[H, W, 3]`.
          layers: names of the layers.

        Returns:
          `{layer: [h, w, c]}`.

        Raises:
          ValueError: if the network lacks a layer; see `jaxstyle.features`.
        """
        settled = self.settle(image)
        chosen = settled.choose_bands(params, image.shape, layers)
        if chosen is None:
            return vgg.features(params, image, layers, **settled.options())
        return bands.read_features(params, image, layers, bands=chosen, **settled.options())[0]

    def prepare(self, params: Params, shape: Sequence[int], layers: Sequence[str]) -> Params:
        """Returns parameters that need no further preparation for images of one size.

        Args:
          params: the network's parameters.
          shape: height and width of the images.
          layers: the feature maps that will be read.
        """
        if self.precision == "bfloat16":
            # Rounded once, not at every step; the mean is subtracted from pixels of float32.
            return {
                name: leaf
                if name == "mean"
                else jax.tree.map(lambda x: x.astype(jnp.bfloat16), leaf)
                for name, leaf in params.items()
            }
        chosen = self.choose_bands(params, shape, layers)
        if chosen is None:
            return vgg.prepare_params(params, shape, layers, convolution=self.convolution)
        return bands.prepare_params(
            params, shape, layers, convolution=self.convolution, bands=chosen
        )

    def options(self) -> dict[str, Any]:
        """Returns the spec as keyword arguments of `jaxstyle.features`."""
        return {
            "pooling": self.pooling,
            "padding": self.padding,
            "convolution": self.convolution,
            "dtype": jnp.bfloat16 if self.precision == "bfloat16" else None,
        }
