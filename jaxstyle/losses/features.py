"""Feature maps as a `LossSpec` asks for them: by VGG, or by a network of the user's own."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from jax import Array

from jaxstyle.losses.spec import LossSpec
from jaxstyle.networks.bands import Bands
from jaxstyle.networks.spec import VGGSpec


def features(params: Any, image: Array, spec: LossSpec, layers: Sequence[str]) -> dict[str, Array]:
    """Returns the feature maps of an image, computed by the network of a spec.

    Args:
      params: the network's parameters.
      image: `[H, W, 3]`.
      spec: names the network, or says how VGG computes.
      layers: names of the layers.

    Returns:
      `{layer: [h, w, c]}`.

    Raises:
      ValueError: if the network lacks a layer; see `jaxstyle.features`.
    """
    if isinstance(spec.network, VGGSpec):
        return spec.network.features(params, image, layers)
    maps = spec.network(params, image, layers)
    for layer in layers:
        if layer not in maps or maps[layer].ndim != 3:
            got = list(maps[layer].shape) if layer in maps else f"only {', '.join(maps)}"
            raise ValueError(f"spec.network should return [h, w, c] for {layer}, got {got}")
    return {layer: maps[layer] for layer in layers}


def settle(spec: LossSpec, image: Array | None) -> LossSpec:
    """Returns the spec with "auto" settled for the devices of an image; see `VGGSpec.settle`."""
    if not isinstance(spec.network, VGGSpec):
        return spec
    settled = spec.network.settle(image)
    return spec if settled is spec.network else dataclasses.replace(spec, network=settled)


def choose_bands(params: Any, shape: Sequence[int], spec: LossSpec) -> Bands | None:
    """Returns the bands of rows that the layers of a settled spec are computed in, if any."""
    if not isinstance(spec.network, VGGSpec):
        return None
    return spec.network.choose_bands(params, shape, spec.layers)


def prepare_params(params: Any, shape: Sequence[int], spec: LossSpec) -> Any:
    """Returns parameters prepared for images of one size; see `VGGSpec.prepare`."""
    if not isinstance(spec.network, VGGSpec):
        return params
    return spec.network.prepare(params, shape, spec.layers)
