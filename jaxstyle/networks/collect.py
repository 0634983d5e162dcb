"""Takes a network's arrays out of a file's, whatever they are called there, and checks them all."""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from jaxstyle.errors import FileFormatError
from jaxstyle.networks import vgg
from jaxstyle.networks.formats.stored import Stored, refusing, shown

Params = dict[str, Any]

NETWORKS = {"vgg19": dict(vgg.VGG19_WIDTHS), "vgg16": dict(vgg.VGG16_WIDTHS)}
TITLES = {"vgg19": "VGG-19", "vgg16": "VGG-16"}

# What style transfer does not need: fully connected layers under all their names, and leftovers of
# training.
_IGNORED = re.compile(
    r"(^|/)(classifier|pre_logits|head|fc\d?|predictions|flatten|prob|optimizer_weights)([./_]|$)"
)

# What the arrays may declare before they are read: three times what VGG-19's convolutions have.
_MAX_WIDTH = 2048
_MAX_VALUES = 60_000_000
_MAX_LISTED = 32  # extra arrays that a message names, if the file holds another network
_MAX_RANK = 8  # sizes of an array that a message names


class Layout(NamedTuple):
    """How a layout names and stores what the network needs.

    Attributes:
      containers: the kinds of file that it comes in.
      name: the key of an array, with `{layer}`, `{block}`, `{index}`, `{number}` and `{part}`.
      parts: the layout's names for kernel and bias.
      axes: the order in which a kernel's axes are stored.
      mean: the mean of the input, RGB in [0, 1]; None where the file holds it.
      scale: the factor from [0, 1] to the input's range, for each channel.
      bgr: whether the input's channels are reversed.
      weights: which training the values come from.
    """

    containers: tuple[str, ...]
    name: str
    parts: tuple[str, str]
    axes: str
    mean: tuple[float, float, float] | None
    scale: tuple[float, float, float]
    bgr: bool
    weights: str


def collect(name: str | Path, arrays: Mapping[str, Stored], layout: str, spec: Layout) -> Params:
    """Reads the arrays of a network, with kernels in the order h, w, in, out.

    Args:
      name: the file, or what else to call it in a message.
      arrays: what it holds.
      layout: the name of the layout, for a message.
      spec: the layout.

    Returns:
      The parameters, with the channels and the range of input that the file has.

    Raises:
      FileFormatError: naming every missing, extra and misshapen array.
    """
    network, names = _nearest(arrays, spec)
    missing: list[str] = []
    wrong: list[str] = []

    def check(key: str, *expected: int | None) -> tuple[int, ...]:
        """Notes what is wrong with one array (None is any size), and returns its shape."""
        if key not in arrays:
            missing.append(key)
            return ()
        shape = arrays[key].shape
        pairs = zip(shape, expected, strict=False)
        fits = len(shape) == len(expected) and all(want in (None, got) for got, want in pairs)
        if not fits or 0 in shape or max(shape) > _MAX_WIDTH:
            wrong.append(f"{shown(key)} is {_dims(shape)} instead of {_dims(expected)}")
        return shape

    keys: dict[str, tuple[str, str]] = {}
    before: int | None = 3
    for layer, (kernel, bias) in names.items():
        sizes = {"h": 3, "w": 3, "i": before, "o": None}
        shape = check(kernel, *(sizes[axis] for axis in spec.axes))
        before = shape[spec.axes.index("o")] if len(shape) == 4 else None
        check(bias, before)
        keys |= {kernel: (layer, "kernel"), bias: (layer, "bias")}
    if spec.mean is None:
        check("mean", 3)
        keys["mean"] = ("mean", "")
    extra = [shown(key) for key in arrays if key not in keys and not _IGNORED.search(key)]
    if len(extra) > _MAX_LISTED:
        extra[_MAX_LISTED:] = [f"{len(extra) - _MAX_LISTED} more"]
    faults = {"missing": missing, "extra": extra, "misshapen": wrong}
    if any(faults.values()):
        listed = "; ".join(f"{what}: {', '.join(keys)}" for what, keys in faults.items() if keys)
        raise FileFormatError(
            f"{name}: not {' or '.join(TITLES.values())} in the {layout} layout; "
            f"for {TITLES[network]}, {listed}"
        )

    count = sum(math.prod(arrays[key].shape) for key in keys)
    if count > _MAX_VALUES:
        raise FileFormatError(
            f"{name}: its layers have {count:,} values; VGG-19's have 20 million, and this program "
            f"reads up to {_MAX_VALUES:,}"
        )
    order = [spec.axes.index(axis) for axis in "hwio"]
    params: Params = {layer: {} for layer in names}
    with refusing(name, "a network"):
        for key, (layer, part) in keys.items():
            values = _floats(arrays[key].read(), key)
            if part:
                values = values.transpose(order) if part == "kernel" else values
                params[layer][part] = np.ascontiguousarray(values)
            else:
                params[layer] = values
    return params


def published_network(arrays: Mapping[str, Stored], spec: Layout) -> str | None:
    """Returns the published network whose layers and widths a file's arrays have, by shapes alone.

    Args:
      arrays: what the file holds.
      spec: its layout.
    """
    network, names = _nearest(arrays, spec)
    place = spec.axes.index("o")
    for layer, (kernel, bias) in names.items():
        width = NETWORKS[network][layer]
        shapes = [arrays[key].shape for key in (kernel, bias) if key in arrays]
        if [len(shape) for shape in shapes] != [4, 1]:
            return None
        if (shapes[0][place], *shapes[1]) != (width, width):
            return None
    return network


def _nearest(arrays: Mapping[str, Stored], spec: Layout) -> tuple[str, dict[str, tuple[str, str]]]:
    """Returns the network of which most arrays are there, and its names of kernels and biases."""

    def names(network: str) -> dict[str, tuple[str, str]]:
        found = {}
        for place, layer in enumerate(NETWORKS[network]):
            block = int(layer[4])
            # In torchvision's `features`, a ReLU follows each convolution, a pool each block.
            places = {"block": block, "index": layer[6], "number": 2 * place + block - 1}
            kernel, bias = (spec.name.format(layer=layer, part=p, **places) for p in spec.parts)
            found[layer] = kernel, bias
        return found

    def share(network: str) -> tuple[int, float]:
        keys = [key for pair in names(network).values() for key in pair]
        count = sum(key in arrays for key in keys)
        return count, count / len(keys)

    network = max(NETWORKS, key=share)
    return network, names(network)


def _floats(values: NDArray[Any], key: str) -> NDArray[np.float32]:
    if values.dtype.kind != "f" and values.dtype != ml_dtypes.bfloat16:
        raise ValueError(f"{key} holds values of type {values.dtype}, not floats")
    with np.errstate(all="ignore"):
        return np.array(values, np.float32)


def check_finite(params: Params, name: str | Path) -> None:
    """Raises `FileFormatError` naming every array with a value that is not finite.

    Args:
      params: parameters in our own form.
      name: what to call them in the message, for example a file.
    """
    leaves = {"mean": params["mean"]}
    for layer, _ in vgg.network_widths(params):
        leaves |= {f"{layer}.{part}": params[layer][part] for part in ("kernel", "bias")}
    bad = [key for key, values in leaves.items() if not np.isfinite(values).all()]
    if bad:
        raise FileFormatError(f"{name}: not all values are finite in {', '.join(bad)}")


def _dims(shape: Iterable[int | None]) -> str:
    sizes = ["any" if size is None else str(size) for size in shape]
    return "x".join(sizes[:_MAX_RANK] + ["..."] * (len(sizes) > _MAX_RANK)) or "a scalar"
