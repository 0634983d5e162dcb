"""Reads VGG-19 and VGG-16 from the file layouts in which they are commonly distributed.

Whatever axes, channel order and input range a file has, the result is the same plain dictionary,
`{"mean": [3], "conv1_1": {"kernel": [3, 3, ci, co], "bias": [co]}, ...}`. It is for a network that
takes an RGB image in [0, 1] and computes `conv(image - mean)`. Channel order and scale are folded
into the kernel of conv1_1. The mean is not folded into the bias: zeros are padded after the mean is
subtracted, so folding it would change the picture's edges.

Each layout comes in certain files, and its kernels expect a certain input:

`keras`, `.h5`
  BGR, 0 to 255, minus the Caffe mean.

`caffe`, `.caffemodel`
  The same.

`gatys`, `.pth` with `conv1_1.weight`
  The same.

`neural-style-pt`, `.pth` with `features.0.weight`
  The same.

`matconvnet`, `.mat`
  RGB, 0 to 255, minus the file's average image.

`torchvision`, `.pth` or `.safetensors` with `features.0.weight`
  RGB, 0 to 1, minus a mean and divided by a standard deviation.

`jaxstyle`, `.safetensors`
  RGB, 0 to 1, minus the file's mean.

The names of its arrays tell which of the two networks a file holds. Widths are free, as long as
each layer takes what the one before it gives, so that a compact network can use the same layer
names.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from jaxstyle.errors import FileFormatError
from jaxstyle.networks import vgg
from jaxstyle.networks.formats.containers import in_memory, open_container
from jaxstyle.networks.formats.stored import Stored, refusing

Params = dict[str, Any]
Metadata = dict[str, str]

NETWORKS = {"vgg19": dict(vgg.VGG19_WIDTHS), "vgg16": dict(vgg.VGG16_WIDTHS)}
TITLES = {"vgg19": "VGG-19", "vgg16": "VGG-16"}
FORMAT = "jaxstyle-params"
VERSION = "1"

# With this limit, a crafted file can make the reader allocate at most 16 layers of this width.
_MAX_WIDTH = 2048
_MAX_LISTED = 32  # extra arrays that a message names, if the file holds another network

# The axes of MatConvNet's kernels, as MATLAB indexes them. Its Caffe importer turns them into
# height × width × in × out unless an option says not to, and the published file was made without
# that option. Several TensorFlow programs swap height and width all the same, which transposes the
# filters.
MATCONVNET_AXES = "hwio"


class _Layout(NamedTuple):
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


_CAFFE = _Layout(
    containers=("Caffe",),
    name="{layer}.{part}",
    parts=("weight", "bias"),
    axes="oihw",
    mean=(123.68 / 255, 116.779 / 255, 103.939 / 255),
    scale=(255, 255, 255),
    bgr=True,
    weights="oxford",
)
_NUMBERED = _CAFFE._replace(containers=("PyTorch", "safetensors"), name="features.{number}.{part}")
_LAYOUTS = {
    "keras": _CAFFE._replace(
        containers=("HDF5",),
        name="block{block}_conv{index}/{part}",
        parts=("kernel", "bias"),
        axes="hwio",
    ),
    "matconvnet": _CAFFE._replace(
        containers=("MATLAB",), axes=MATCONVNET_AXES, mean=None, bgr=False
    ),
    "torchvision": _NUMBERED._replace(
        mean=(0.485, 0.456, 0.406),
        scale=(1 / 0.229, 1 / 0.224, 1 / 0.225),
        bgr=False,
        weights="torchvision",
    ),
    "neural-style-pt": _NUMBERED,
    "gatys": _CAFFE._replace(containers=("PyTorch", "safetensors")),
    "caffe": _CAFFE,
    "jaxstyle": _CAFFE._replace(
        containers=("safetensors",),
        parts=("kernel", "bias"),
        axes="hwio",
        mean=None,
        scale=(1, 1, 1),
        bgr=False,
        weights="unknown",
    ),
}
LAYOUTS = tuple(_LAYOUTS)

# Files with torchvision's names but Caffe's input. They are recognised by their name, or by the
# beginning of their SHA-256, which is part of the names of two. The third is a pruned VGG-16.
_CAFFE_TRAINED = re.compile("vgg19-d01eb7cb|vgg16-00b39a1b|channel_pruning")
_CAFFE_TRAINED_SHA256 = ("d01eb7cb", "00b39a1b")
# What style transfer does not need: fully connected layers under all their names, and leftovers of
# training.
_IGNORED = re.compile(
    r"(^|/)(classifier|pre_logits|head|fc\d?|predictions|flatten|prob|optimizer_weights)([./_]|$)"
)


def convert(path: str | Path, layout: str = "auto") -> tuple[Params, Metadata]:
    """Reads a file in any known layout.

    Args:
      path: the file. Its contents decide how it is read, not its name.
      layout: one of `LAYOUTS`, or `"auto"`. The layouts torchvision and neural-style-pt have the
        same keys and differ only in the input that they expect. `"auto"` takes neural-style-pt only
        for the published files, which it knows by their names or checksums.

    Returns:
      The parameters in our own form, as float32 NumPy arrays, and what is known about them. These
      metadata are `layout`, `network` ("vgg19", "vgg16", or "custom" for other widths), `weights`
      ("oxford", "torchvision" or "unknown"), `normalized`, `source`, `source_sha256`, `format` and
      `version`.

    Raises:
      ValueError: if `layout` is unknown.
      FileNotFoundError: if there is no such file.
      FileFormatError: if the file is damaged, of another kind or of another network; the message
        names every missing, extra and misshapen array.
    """
    return convert_any(path, layout)[:2]


def convert_any(path: str | Path, layout: str = "auto") -> tuple[Params, Metadata, str]:
    """Reads a file like `convert`, and also returns the layout of the file itself.

    The metadata name another layout if this project wrote the file: the one from which the
    parameters came.

    Args:
      path: the file.
      layout: one of `LAYOUTS`, or `"auto"`.

    Returns:
      Parameters, metadata and the file's own layout.

    Raises:
      ValueError: if `layout` is unknown.
      FileNotFoundError: if there is no such file.
      FileFormatError: as for `convert`.
    """
    if layout != "auto" and layout not in _LAYOUTS:
        raise ValueError(f"layout should be auto or one of {', '.join(LAYOUTS)}, got {layout!r}")
    path = Path(path)
    kind, arrays, notes = open_container(path)
    own = notes.get("format") == FORMAT or "conv1_1.kernel" in arrays
    if own and notes.get("version", VERSION) != VERSION:
        got = _printable(notes["version"])
        raise FileFormatError(
            f"{path}: it has version {got} of the format, but this release reads version {VERSION}"
        )
    digest = "" if own else sha256(path)
    if layout == "auto":
        layout = "jaxstyle" if own else _guess(path, kind, arrays, digest)
    spec = _LAYOUTS[layout]
    if kind not in spec.containers:
        wanted = " or ".join(spec.containers)
        raise FileFormatError(f"{path}: the {layout} layout needs a {wanted} file, this is {kind}")
    params = _fold(_collect(path, arrays, layout), layout)
    _check_finite(params, path)
    network = network_name(params)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "network": network or "custom",
        "weights": spec.weights if network else "unknown",
        "layout": layout,
        "normalized": "false",
        "source": path.name,
        "source_sha256": digest,
    }
    return params, metadata | (notes if own else {}), layout


def _guess(path: Path, kind: str, arrays: Mapping[str, Stored], digest: str) -> str:
    by_kind = {"HDF5": "keras", "MATLAB": "matconvnet", "Caffe": "caffe"}
    if kind in by_kind:
        return by_kind[kind]
    if any(re.fullmatch(r"conv\d_\d\.(weight|bias)", key) for key in arrays):
        return "gatys"
    caffe = _CAFFE_TRAINED.search(path.name) or digest.startswith(_CAFFE_TRAINED_SHA256)
    return "neural-style-pt" if caffe else "torchvision"


def _fold(raw: Params, layout: str) -> Params:
    """Folds the range and channel order of the layout's input into conv1_1's kernel."""
    spec = _LAYOUTS[layout]
    mean = np.array(raw.pop("mean") if spec.mean is None else spec.mean, np.float32)
    if layout == "matconvnet":
        mean /= 255
    kernel = raw["conv1_1"]["kernel"][:, :, :: -1 if spec.bgr else 1]
    with np.errstate(all="ignore"):  # values that are not finite are reported later, by name
        scaled = (kernel * np.array(spec.scale)[:, None]).astype(np.float32)
    return {"mean": mean, **raw, "conv1_1": {**raw["conv1_1"], "kernel": scaled}}


def check_params(params: Mapping[str, Any], name: str | Path) -> None:
    """Checks that a dictionary holds a whole network with VGG-19's or VGG-16's layers.

    Args:
      params: parameters in our own form.
      name: what to call them in the message, for example a file.

    Raises:
      FileFormatError: naming every missing, extra, misshapen and non-finite array.

    Example:
      >>> check_params({"mean": [0.5, 0.5]}, "mine")
      Traceback (most recent call last):
      jaxstyle.errors.FileFormatError: mine: not VGG-19 or VGG-16 in the jaxstyle layout; ...
    """
    stored: dict[str, Stored] = {}
    for key, value in params.items():
        parts = value if isinstance(value, Mapping) else {"": value}
        for part, array in parts.items():
            stored[f"{key}.{part}".rstrip(".")] = in_memory(np.asarray(array))
    _check_finite(_collect(name, stored, "jaxstyle"), name)


def widths(params: Mapping[str, Any]) -> dict[str, int]:
    """Returns the number of output channels of each layer.

    Args:
      params: parameters in our own form.

    Returns:
      A dictionary from layer to number.
    """
    return dict(vgg.network_widths(params))


def network_name(params: Mapping[str, Any]) -> str | None:
    """Returns the published network that has the same layers and widths.

    Args:
      params: parameters in our own form.

    Returns:
      "vgg19", "vgg16", or None for other widths.
    """
    return next((name for name, w in NETWORKS.items() if w == widths(params)), None)


def sha256(path: str | Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal.

    Args:
      path: the file.

    Returns:
      64 hexadecimal digits.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _collect(name: str | Path, arrays: Mapping[str, Stored], layout: str) -> Params:
    """Reads the arrays, with kernels in the order h, w, in, out; reports all faults at once."""
    spec = _LAYOUTS[layout]
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
            wrong.append(f"{_printable(key)} is {_dims(shape)} instead of {_dims(expected)}")
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
    extra = [_printable(key) for key in arrays if key not in keys and not _IGNORED.search(key)]
    if len(extra) > _MAX_LISTED:
        extra[_MAX_LISTED:] = [f"{len(extra) - _MAX_LISTED} more"]
    faults = {"missing": missing, "extra": extra, "misshapen": wrong}
    if any(faults.values()):
        listed = "; ".join(f"{what}: {', '.join(keys)}" for what, keys in faults.items() if keys)
        raise FileFormatError(
            f"{name}: not {' or '.join(TITLES.values())} in the {layout} layout; "
            f"for {TITLES[network]}, {listed}"
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


def _nearest(arrays: Mapping[str, Stored], spec: _Layout) -> tuple[str, dict[str, tuple[str, str]]]:
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


def _check_finite(params: Params, name: str | Path) -> None:
    leaves = {"mean": params["mean"]}
    for layer in widths(params):
        leaves |= {f"{layer}.{part}": params[layer][part] for part in ("kernel", "bias")}
    bad = [key for key, values in leaves.items() if not np.isfinite(values).all()]
    if bad:
        raise FileFormatError(f"{name}: not all values are finite in {', '.join(bad)}")


def _printable(key: str) -> str:
    return key if key.isprintable() and len(key) <= 80 else ascii(key[:80])


def _dims(shape: Iterable[int | None]) -> str:
    return "x".join("any" if size is None else str(size) for size in shape) or "a scalar"
