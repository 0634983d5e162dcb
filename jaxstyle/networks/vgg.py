"""VGG as a Flax module: `features(params, image, layers) -> {layer: feature map}`.

The network is the convolutional part of VGG-19 (Simonyan and Zisserman, ICLR 2015). It has 16
convolutions of 3×3 in five blocks, with a ReLU after each convolution and a 2×2 pool after each
block. Its parameters are a plain dict,
`{"mean": [3], "conv1_1": {"kernel": [3, 3, c_in, c_out], "bias": [c_out]}, ...}`. The architecture
is read from this dict: the widths from the kernels, the depth of each block from the names. So the
same code runs a narrower network, and VGG-16, which lacks the last convolution of blocks 3 to 5.

An image is `[H, W, 3]`, RGB in [0, 1]; feature maps are `[h, w, c]`. Batches come from `jax.vmap`.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from jaxstyle._common.arrays import is_traced
from jaxstyle._common.checks import check_choice, check_image, check_key, check_kind, check_names
from jaxstyle._common.sharding import on_any_mesh
from jaxstyle.networks.convolution import (
    Convolution,
    Padding,
    average_pool,
    choose_convolution,
    conv3x3,
    max_pool,
    transform_kernel,
)

Params = Mapping[str, Any]
Widths = tuple[tuple[str, int], ...]
Pooling = Literal["max", "average"]


def _widths(*depths: int) -> Widths:
    """Returns the convolutions of a network with the given numbers in its five blocks."""
    blocks = enumerate(zip(depths, (64, 128, 256, 512, 512), strict=True), 1)
    return tuple(
        (f"conv{block}_{i}", width) for block, (depth, width) in blocks for i in range(1, depth + 1)
    )


VGG19_WIDTHS: Widths = _widths(2, 2, 4, 4, 4)
"""The 16 convolutions of VGG-19 and their numbers of filters."""

VGG16_WIDTHS: Widths = _widths(2, 2, 3, 3, 3)
"""The 13 convolutions of VGG-16 and their numbers of filters."""


def _middle_gray(key: Array, shape: tuple[int, ...]) -> Array:
    return jnp.full(shape, 0.5)


class _Convolution(nn.Module):
    """A 3×3 convolution with the parameters of `nn.Conv`."""

    width: int
    padding: Padding
    convolution: Convolution
    dtype: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (3, 3, x.shape[-1], self.width)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.width,))
        # Derived from the kernel, so not a parameter of its own; see `prepare_params`.
        transformed: Array | None = self.get_variable("params", "transformed")
        if self.dtype is not None:
            x, kernel, bias = (each.astype(self.dtype) for each in (x, kernel, bias))
        return conv3x3(
            x, kernel, bias,
            padding=self.padding, convolution=self.convolution, transformed=transformed,
        )  # fmt: skip


class VGG(nn.Module):
    """The convolutional part of a VGG network, no deeper than the layers asked for.

    Attributes:
      layers: names of the feature maps to return: `conv*` (before the ReLU), `relu*` or `pool*`.
      widths: the convolutions in order, `(("conv1_1", 64), ...)`.
      pooling: "max", or "average" as in Gatys et al. 2016, section 2.
      padding: what surrounds each convolution's input: "zero" (as trained), "reflect" or
        "replicate".
      convolution: "auto", "direct", "im2col" or "winograd"; see `convolution.conv3x3`.
      dtype: the type of the computation, or None for that of the parameters and the image.
    """

    layers: tuple[str, ...]
    widths: Widths = VGG19_WIDTHS
    pooling: Pooling = "max"
    padding: Padding = "zero"
    convolution: Convolution = "auto"
    dtype: Any = None

    @nn.compact
    def __call__(self, image: Array) -> dict[str, Array]:
        """Maps an image `[H, W, 3]` to `{layer: [h, w, c]}`, in the order of `layers`."""
        pool = max_pool if self.pooling == "max" else average_pool
        found: dict[str, Array] = {}
        widths = dict(self.widths)
        x = image - self.param("mean", _middle_gray, (3,))[None, None]
        for layer in layer_names(self.widths):
            if len(found) == len(set(self.layers)):
                break
            if layer.startswith("conv"):
                convolve = _Convolution(
                    widths[layer], self.padding, self.convolution, self.dtype, name=layer
                )
                x = convolve(x)
            elif layer.startswith("relu"):
                x = nn.relu(x)
            else:
                x = pool(x)
            if layer in self.layers:
                found[layer] = x
        return {layer: found[layer] for layer in self.layers}


@on_any_mesh
def features(
    params: Params,
    image: Array,
    layers: Sequence[str],
    *,
    pooling: Pooling = "max",
    padding: Padding = "zero",
    convolution: Convolution = "auto",
    dtype: Any = None,
) -> dict[str, Array]:
    """Computes the feature maps of one image at any layers of a network.

    Computes no deeper than the deepest layer asked for.

    Args:
      params: the network's parameters; see the module's docstring.
      image: `[H, W, 3]` floating point, RGB in [0, 1].
      layers: names such as "relu4_2". `conv4_2` is the output of that convolution before its ReLU,
        `pool4` the output of the pool that ends block 4.
      pooling: "max" or "average".
      padding: "zero", "reflect" or "replicate".
      convolution: "direct", "im2col", "winograd", or "auto" for whichever is faster. On a CPU in
        float32, "auto" means im2col for the first layer, and Winograd for all others except narrow
        layers and tiny maps.
      dtype: the type of the computation and of the maps, such as `jnp.bfloat16`; None means that of
        the parameters and the image. The network's mean is subtracted from the image before
        anything is rounded.

    Returns:
      A dictionary from layer to map `[h, w, c]`, in the order asked for. In block b,
      `h = H // 2**(b - 1)`.

    Raises:
      ValueError: if the image is not `[H, W, 3]` or too small for a layer, or if a layer, a
        pooling, a padding or a convolution is unknown.
      TypeError: if the image is not floating point, or `layers` is a string.

    Example:
      >>> params = init_params(jax.random.key(0), widths=(("conv1_1", 4), ("conv2_1", 8)))
      >>> {k: v.shape for k, v in features(params, jnp.ones((9, 6, 3)), ["relu2_1"]).items()}
      {'relu2_1': (4, 3, 8)}

    Reference: Simonyan and Zisserman, ICLR 2015, table 1, columns E (VGG-19) and D (VGG-16).
    """
    widths = network_widths(params)
    check_choice("pooling", pooling, get_args(Pooling))
    check_choice("padding", padding, get_args(Padding))
    check_choice("convolution", convolution, get_args(Convolution))
    check_layers(layers, widths)
    check_image(image, "image")
    check_size(image.shape, layers, padding)
    model = VGG(tuple(layers), widths, pooling, padding, convolution, dtype)
    # Inside a program of the caller's, this is a part of it.
    apply = _apply if is_traced((params, image)) else _compiled_apply
    result: dict[str, Array] = apply(params, image, model)
    return {layer: result[layer] for layer in layers}  # a program sorts what it returns


def _apply(params: Params, image: Array, model: VGG) -> Any:
    return model.apply({"params": params}, image)


_compiled_apply = jax.jit(_apply, static_argnums=2)


def prepare_params(
    params: Params,
    shape: Sequence[int],
    layers: Sequence[str],
    *,
    convolution: Convolution = "auto",
) -> dict[str, Any]:
    """Adds to the parameters what `features` would otherwise compute from the kernels every time.

    That is Winograd's transform, which is four times as large as the kernel; for small images it
    takes a considerable part of each evaluation. `jaxstyle.optimize` and everything above it
    prepare the parameters themselves.

    Args:
      params: the network's parameters.
      shape: height and width of the images. The result also works for images of other sizes, but
        may lack transforms that they need.
      layers: the feature maps that will be asked for.
      convolution: as for `features`.

    Returns:
      The same parameters. Every convolution that will be computed by Winograd's method has
      `transformed`, `[36, c_in, c_out]`, beside its kernel and bias.

    Example:
      >>> params = init_params(jax.random.key(0), widths=(("conv1_1", 4), ("conv2_1", 8)))
      >>> prepared = prepare_params(params, (9, 6), ["relu2_1"], convolution="winograd")
      >>> prepared["conv2_1"]["transformed"].shape
      (36, 4, 8)
    """
    names = layer_names(network_widths(params))
    deepest = max((names.index(layer) for layer in layers), default=-1)
    result = dict(params)
    for name in names[: deepest + 1]:
        if not name.startswith("conv") or "transformed" in params[name]:
            continue
        kernel, chosen = params[name]["kernel"], convolution
        if chosen == "auto":
            h, w = (side >> (block_of(name) - 1) for side in shape)
            x = jax.ShapeDtypeStruct((h, w, kernel.shape[2]), kernel.dtype)  # type: ignore[no-untyped-call]
            chosen = choose_convolution(x, kernel, prepared=True)
        if chosen == "winograd":
            result[name] = {**params[name], "transformed": transform_kernel(kernel)}
    return result


def init_params(key: Array, widths: Sequence[tuple[str, int]] = VGG19_WIDTHS) -> dict[str, Any]:
    """Draws random parameters of a VGG network (He initialisation), for tests and baselines.

    Args:
      key: a `jax.random.key`.
      widths: the convolutions in order and their numbers of filters.

    Returns:
      Parameters as `features` takes them, float32; `mean` is 0.5.

    Example:
      >>> params = init_params(jax.random.key(0), (("conv1_1", 4), ("conv1_2", 8)))
      >>> params["conv1_2"]["kernel"].shape
      (3, 3, 4, 8)
    """
    check_key(key, "key")
    params: dict[str, Any] = _init(key, tuple(widths))
    return params


@functools.partial(jax.jit, static_argnums=1)
def _init(key: Array, widths: Widths) -> Any:
    deepest = layer_names(widths)[-1]
    side = smallest_side([deepest])
    return VGG((deepest,), widths).init(key, jnp.zeros((side, side, 3)))["params"]


def network_widths(params: Params) -> Widths:
    """Returns the convolutions of a parameter dict in the network's order, with their widths.

    Args:
      params: the network's parameters.

    Raises:
      TypeError: if `params` is no dict.
      ValueError: if it holds no convolution.

    Example:
      >>> network_widths(init_params(jax.random.key(0), (("conv1_1", 4), ("conv1_2", 6))))
      (('conv1_1', 4), ('conv1_2', 6))
    """
    check_kind(params, Mapping, "params", 'params=load_params("vgg19")')
    names = sorted(
        (name for name in params if re.fullmatch(r"conv\d_\d", name)),
        key=lambda name: (int(name[4]), int(name[6])),
    )
    if not names:
        raise ValueError(f"params holds no convolution such as 'conv1_1', only {sorted(params)}")
    return tuple((name, params[name]["kernel"].shape[-1]) for name in names)


@functools.cache
def layer_names(widths: Widths = VGG19_WIDTHS) -> tuple[str, ...]:
    """Lists every layer of a network in order: `conv1_1, relu1_1, conv1_2, relu1_2, pool1, ...`."""
    names: list[str] = []
    for i, (name, _) in enumerate(widths):
        names += [name, f"relu{name[4:]}"]
        if i + 1 == len(widths) or widths[i + 1][0][4] != name[4]:
            names.append(f"pool{name[4]}")
    return tuple(names)


def smallest_side(layers: Sequence[str], padding: Padding = "zero") -> int:
    """Returns the least height and width that an image must have for these layers.

    Example:
      >>> smallest_side(["relu1_2", "relu4_2"])
      8
    """
    # Reflection needs a second pixel to reflect; a pool needs two pixels to make one.
    last = 2 if padding == "reflect" else 1
    return max((2 if name.startswith("pool") else last) << (block_of(name) - 1) for name in layers)


def check_layers(layers: Sequence[str], widths: Widths = VGG19_WIDTHS) -> None:
    """Raises `ValueError` with the valid names for an unknown layer, `TypeError` for no names."""
    valid = layer_names(widths)
    unknown = [name for name in check_names(layers, "layers") if name not in valid]
    if unknown:
        raise ValueError(f"unknown layer {', '.join(unknown)}; valid layers: {', '.join(valid)}")


def check_size(shape: Sequence[int], layers: Sequence[str], padding: Padding = "zero") -> None:
    """Raises `ValueError` if an image of this shape is too small for any of the layers."""
    for layer in layers:
        side = smallest_side([layer], padding)
        if min(shape[:2]) < side:
            raise ValueError(
                f"an image of {shape[0]}×{shape[1]} pixels is too small for {layer}, "
                f"which needs at least {side}×{side}"
            )


def block_of(layer: str) -> int:
    """Returns the number of a layer's block, which says how far its maps are shrunk."""
    return int(layer[4])  # "conv", "relu" and "pool" all have four letters
