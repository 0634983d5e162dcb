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

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle._common.reading import sha256
from jaxstyle.errors import FileFormatError
from jaxstyle.networks import vgg
from jaxstyle.networks.collect import NETWORKS, Layout, Params, check_finite, collect
from jaxstyle.networks.formats.containers import Contents, open_container
from jaxstyle.networks.formats.stored import Stored, in_memory, shown

Metadata = dict[str, str]

FORMAT = "jaxstyle-params"
VERSION = "1"

# The axes of MatConvNet's kernels, as MATLAB indexes them. Its Caffe importer turns them into
# height × width × in × out unless an option says not to, and the published file was made without
# that option. Several TensorFlow programs swap height and width all the same, which transposes the
# filters.
MATCONVNET_AXES = "hwio"


_CAFFE = Layout(
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
        got = shown(notes["version"])
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
    params = _fold(collect(path, arrays, layout, spec), layout)
    check_finite(params, path)
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


def layout_by_names(contents: Contents) -> Layout | None:
    """Returns the layout of a file if its kind and the names of its arrays leave no other.

    Args:
      contents: of the file.
    """
    name = _by_names(contents.kind, contents.arrays)
    return None if name is None else _LAYOUTS[name]


def _by_names(kind: str, arrays: Mapping[str, Stored]) -> str | None:
    by_kind = {"HDF5": "keras", "MATLAB": "matconvnet", "Caffe": "caffe"}
    if kind in by_kind:
        return by_kind[kind]
    if "conv1_1.kernel" in arrays:
        return "jaxstyle"
    gatys = any(re.fullmatch(r"conv\d_\d\.(weight|bias)", key) for key in arrays)
    return "gatys" if gatys else None


def _guess(path: Path, kind: str, arrays: Mapping[str, Stored], digest: str) -> str:
    known = _by_names(kind, arrays)
    if known is not None:
        return known
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
    check_finite(collect(name, stored, "jaxstyle", _LAYOUTS["jaxstyle"]), name)


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
