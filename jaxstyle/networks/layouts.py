"""Reads VGG-19 and VGG-16 from the layouts in which the field passes them around.

Whatever the file's axes, channel order and input range, the result is the same plain dictionary:
`{"mean": [3], "conv1_1": {"kernel": [3, 3, ci, co], "bias": [co]}, ...}` for a network that takes
an RGB image in [0, 1] and computes `conv(image - mean)`. Channel order and scale are folded into
conv1_1's kernel. The mean is not: zero padding follows its subtraction, so that folding it into
the bias would change the picture's edges.

| layout | files | input that the file's kernels expect |
| --- | --- | --- |
| `keras` | `.h5` | BGR, 0 to 255, minus the Caffe mean |
| `caffe` | `.caffemodel` | the same |
| `gatys` | `.pth` with `conv1_1.weight` | the same |
| `neural-style-pt` | `.pth` with `features.0.weight` | the same |
| `matconvnet` | `.mat` | RGB, 0 to 255, minus the file's average image |
| `torchvision` | `.pth`, `.safetensors` with `features.0.weight` | RGB, 0 to 1, mean and std |
| `jaxstyle` | `.safetensors` | RGB, 0 to 1, minus the file's mean |

Which of the two networks a file holds is told by the names of its arrays. Widths are free, as long
as each layer takes what the one before gives: a compact network uses the same layer names.
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

# A crafted file cannot make the reader allocate more than 16 such layers.
_MAX_WIDTH = 2048
_MAX_LISTED = 32  # of the names that some other network has

# The axes of MatConvNet's kernels, as MATLAB indexes them: its Caffe importer turns them into
# height × width × in × out unless told not to, and the published file was made without that
# option. Several TensorFlow programs swap height and width nonetheless, and so transpose the
# filters.
MATCONVNET_AXES = "hwio"


class _Layout(NamedTuple):
    """How a layout names and stores what the network needs.

    Attributes:
      containers: the kinds of file that it comes in.
      name: the key of an array, with `{layer}`, `{block}`, `{index}`, `{number}` and `{part}`.
      parts: what the layout calls kernel and bias.
      axes: the order in which a kernel's axes are stored.
      mean: of the input, RGB in [0, 1]; None where the file holds it.
      scale: factor from [0, 1] to the input's range, for each channel.
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

# Files with torchvision's names and Caffe's input, by name and by the beginning of their SHA-256,
# after which two of them are named. The third is a pruned VGG-16.
_CAFFE_TRAINED = re.compile("vgg19-d01eb7cb|vgg16-00b39a1b|channel_pruning")
_CAFFE_TRAINED_SHA256 = ("d01eb7cb", "00b39a1b")
# What style transfer leaves out: fully connected layers under every name, and training leftovers.
_IGNORED = re.compile(
    r"(^|/)(classifier|pre_logits|head|fc\d?|predictions|flatten|prob|optimizer_weights)([./_]|$)"
)


def convert(path: str | Path, layout: str = "auto") -> tuple[Params, Metadata]:
    """Reads a file in any known layout.

    Args:
      path: the file. Its contents decide how it is read, not its name.
      layout: one of `LAYOUTS`, or `"auto"`. The torchvision and neural-style-pt layouts have the
        same keys and differ only in the input they expect; `"auto"` takes the second only for the
        published files, which it knows by their names or checksums.

    Returns:
      The canonical parameters, float32 NumPy arrays, and what is known about them: `layout`,
      `network` ("vgg19", "vgg16", or "custom" for other widths), `weights` ("oxford",
      "torchvision" or "unknown"), `normalized`, `source`, `source_sha256`, `format` and `version`.

    Raises:
      ValueError: if `layout` is unknown.
      FileNotFoundError: if there is no such file.
      FileFormatError: if the file is damaged, of another kind or of another network; the message
        names every missing, extra and misshapen array.
    """
    return convert_any(path, layout)[:2]


def convert_any(path: str | Path, layout: str = "auto") -> tuple[Params, Metadata, str]:
    """As `convert`, and says in which layout the file itself is.

    They differ for a file that this project wrote: its metadata name the layout it came from.

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
        raise FileFormatError(f"{path}: version {got} of the format; this release reads {VERSION}")
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
    """Moves range and channel order of the layout's input into conv1_1's kernel."""
    spec = _LAYOUTS[layout]
    mean = np.array(raw.pop("mean") if spec.mean is None else spec.mean, np.float32)
    if layout == "matconvnet":
        mean /= 255
    kernel = raw["conv1_1"]["kernel"][:, :, :: -1 if spec.bgr else 1]
    with np.errstate(all="ignore"):  # what is not finite is reported later, by name
        scaled = (kernel * np.array(spec.scale)[:, None]).astype(np.float32)
    return {"mean": mean, **raw, "conv1_1": {**raw["conv1_1"], "kernel": scaled}}


def check_params(params: Mapping[str, Any], name: str | Path) -> None:
    """Checks that a dictionary holds a whole network with VGG-19's or VGG-16's layers.

    Args:
      params: canonical parameters.
      name: what to call them in the message, a file for instance.

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
    """The output channels of each layer.

    Args:
      params: canonical parameters.

    Returns:
      A dictionary such as `{"conv1_1": 64, ...}`.
    """
    return dict(vgg.network_widths(params))


def network_name(params: Mapping[str, Any]) -> str | None:
    """The published network that has a network's layers and widths.

    Args:
      params: canonical parameters.

    Returns:
      "vgg19", "vgg16", or None for other widths.
    """
    return next((name for name, w in NETWORKS.items() if w == widths(params)), None)


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Args:
      path: the file.

    Returns:
      64 hexadecimal digits.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _collect(name: str | Path, arrays: Mapping[str, Stored], layout: str) -> Params:
    """Reads the arrays, kernels in the order h, w, in, out; says all that is wrong at once."""
    spec = _LAYOUTS[layout]
    network, names = _nearest(arrays, spec)
    missing: list[str] = []
    wrong: list[str] = []

    def check(key: str, *expected: int | None) -> tuple[int, ...]:
        """Notes what is wrong with one array, None being any size; returns its shape."""
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
    """The network of which most is there, and what its kernels and biases are called."""

    def names(network: str) -> dict[str, tuple[str, str]]:
        found = {}
        for place, layer in enumerate(NETWORKS[network]):
            block = int(layer[4])
            # In torchvision's `features` each convolution has a ReLU after it, each block a pool.
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
        raise ValueError(f"{key} is of type {values.dtype}, not of floats")
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
