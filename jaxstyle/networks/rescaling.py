"""Rescales networks so that their filters are active to a known degree on average."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common.arrays import to_device
from jaxstyle.networks.vgg import Params, Pooling, block_of, features, network_widths


def normalize_params(
    params: Params, images: Iterable[Array], *, pooling: Pooling = "max"
) -> dict[str, Any]:
    """Rescales a network so that every filter's mean activation over the images is one.

    This is only a rescaling: every channel of every feature map is divided by its mean activation
    after the ReLU. A channel that is never active keeps its scale.

    Args:
      params: the network's parameters.
      images: images `[H, W, 3]` in [0, 1], of any sizes; the paper does not say which it used.
      pooling: the pooling with which activations are measured.

    Returns:
      Parameters of the same shapes.

    Raises:
      ValueError: if there is no image.

    Reference: Gatys et al., CVPR 2016, section 2.
    """
    return rescale_params(params, activation_means(params, images, pooling=pooling))


def activation_means(
    params: Params, images: Iterable[Array], *, pooling: Pooling = "max"
) -> dict[str, Array]:
    """Averages the activation of every filter after its ReLU over all positions of all images.

    Args:
      params: the network's parameters.
      images: images `[H, W, 3]` in [0, 1], of any sizes.
      pooling: "max" or "average".

    Returns:
      A dictionary from convolution to `[c]` float32.

    Raises:
      ValueError: if there is no image.
    """
    convolutions = [name for name, _ in network_widths(params)]
    layers = [f"relu{name[4:]}" for name in convolutions]

    @jax.jit
    def sums(params: Params, image: Array) -> list[Array]:
        maps = features(params, image, layers, pooling=pooling)
        return [jnp.sum(maps[layer], axis=(0, 1)) for layer in layers]

    totals: list[Array] | None = None
    positions = [0] * len(layers)
    for image in images:
        new = sums(params, image)
        totals = new if totals is None else [a + b for a, b in zip(totals, new, strict=True)]
        for i, layer in enumerate(layers):
            shrink = 2 ** (block_of(layer) - 1)
            positions[i] += (image.shape[0] // shrink) * (image.shape[1] // shrink)
    if totals is None:
        raise ValueError("images is empty; activation means need at least one image")
    pairs = zip(totals, positions, strict=True)
    means = [total / to_device(count, total.dtype) for total, count in pairs]
    return dict(zip(convolutions, means, strict=True))


def rescale_params(params: Params, means: Mapping[str, Array]) -> dict[str, Any]:
    """Divides every filter's activation by a given positive number, through the weights alone.

    This works because ReLU, max and average pooling all commute with positive scales. With `m` the
    scale of a layer and `m'` that of the layer before, `W' = W · m' / m` and `b' = b / m`.

    Args:
      params: the network's parameters.
      means: `{"conv1_1": [c], ...}`; a zero leaves its filter as it is.

    Returns:
      Parameters of the same shapes.

    Raises:
      ValueError: if a convolution has no entry, or one of another width.
    """
    for name, width in network_widths(params):
        if name not in means or jnp.shape(means[name]) != (width,):
            got = jnp.shape(means[name]) if name in means else "nothing"
            raise ValueError(f"means for {name} should have shape ({width},), got {got}")
    rescaled: dict[str, Any] = _rescale(dict(params), dict(means))
    return rescaled


@jax.jit
def _rescale(params: dict[str, Any], means: dict[str, Array]) -> dict[str, Any]:
    result: dict[str, Any] = {"mean": jnp.asarray(params["mean"], jnp.float32)}
    before = jnp.ones(3)
    for name, _ in network_widths(params):
        scale = jnp.asarray(means[name], jnp.float32)
        scale = jnp.where(scale > 0, scale, 1.0)
        kernel = params[name]["kernel"] * before[None, None, :, None] / scale[None, None, None]
        result[name] = {"kernel": kernel, "bias": params[name]["bias"] / scale}
        before = scale
    return result
