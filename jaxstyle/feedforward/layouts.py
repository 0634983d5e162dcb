"""The layouts of published networks that paint in one pass, and their conversion.

Each layout is a `Layout`: it names the variables of every layer as their authors do, and says what
their input and output are. Ours are RGB in [0, 1], so networks that take 0 to 255 get the factor in
their first and last kernel.
"""

from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from jaxstyle.errors import FileFormatError
from jaxstyle.feedforward.architecture import PASTICHE, Architecture
from jaxstyle.networks.formats.containers import open_container
from jaxstyle.networks.formats.stored import Stored, refusing, shown

_Array = NDArray[Any]


class Layout(NamedTuple):
    """How the files of one author hold a network.

    Attributes:
      name: what it is called by.
      description: one line, for messages.
      architecture: of the network.
      variables: the name of each of a layer's parts in the file, by layer and part.
      to_hwio: turns the kernel of a layer, named first, into `[h, w, c_in, c_out]`.
      largest: the greatest value of a pixel, 1 or 255.
      scales_output: whether the last layer gives pixels of that range, and not the argument of a
        squashing function.
    """

    name: str
    description: str
    architecture: Architecture
    variables: Mapping[str, Mapping[str, str]]
    to_hwio: Callable[[str, _Array], _Array]
    largest: float = 1.0
    scales_output: bool = False


def _layers(form: Architecture) -> list[str]:
    """Returns the names of a network's layers, first to last."""
    blocks = [f"residual{i}_{j}" for i in range(1, form.blocks + 1) for j in (1, 2)]
    return ["contract1", "contract2", "contract3", *blocks, "expand1", "expand2", "output"]


def _magenta() -> Layout:
    """Dumoulin et al.'s network of many styles: variables as TensorFlow names them."""
    places = {
        **{f"contract{i}": f"contract/conv{i}" for i in (1, 2, 3)},
        **{f"residual{i}_{j}": f"residual/residual{i}/conv{j}"
           for i in range(1, PASTICHE.blocks + 1) for j in (1, 2)},
        **{f"expand{i}": f"expand/conv{i}/conv" for i in (1, 2)},
        "output": "expand/conv3/conv",
    }  # fmt: skip
    parts = {"kernel": "weights", "scale": "InstanceNorm/gamma", "shift": "InstanceNorm/beta"}
    variables = {
        layer: {part: f"transformer/{place}/{name}" for part, name in parts.items()}
        for layer, place in places.items()
    }
    return Layout("magenta", "Magenta's network of many styles", PASTICHE, variables,
                  lambda _, kernel: kernel)  # fmt: skip


def _lengstrom() -> Layout:
    """Johnson et al.'s network as lengstrom's fast-style-transfer and ml5 store it.

    Its variables have no names but their numbers: for each layer a kernel, shifts, scales.
    """
    form = Architecture(
        upsampling="transposed", output="tanh", normalize_output=True, padding="zero", epsilon=1e-3
    )
    names = [f"Variable_{i}" if i else "Variable" for i in range(3 * len(_layers(form)))]
    variables = {
        layer: dict(zip(("kernel", "shift", "scale"), names[3 * i : 3 * i + 3], strict=True))
        for i, layer in enumerate(_layers(form))
    }

    def to_hwio(layer: str, kernel: _Array) -> _Array:
        # TensorFlow's transposed convolution is the gradient of one with this kernel.
        return kernel[::-1, ::-1].transpose(0, 1, 3, 2) if layer.startswith("expand") else kernel

    return Layout("lengstrom", "lengstrom's fast-style-transfer, also ml5's", form, variables,
                  to_hwio, largest=255.0)  # fmt: skip


def _torch() -> Layout:
    """Johnson et al.'s network as PyTorch's example fast_neural_style stores it.

    What its convolutions add before a map is normalised has no effect and is left out.
    """
    form = Architecture(output="linear")
    modules = {
        **{f"contract{i}": (f"conv{i}", f"in{i}") for i in (1, 2, 3)},
        **{f"residual{i}_{j}": (f"res{i}.conv{j}", f"res{i}.in{j}")
           for i in range(1, form.blocks + 1) for j in (1, 2)},
        **{f"expand{i}": (f"deconv{i}", f"in{i + 3}") for i in (1, 2)},
    }  # fmt: skip
    variables: dict[str, dict[str, str]] = {
        layer: {
            "kernel": f"{convolution}.conv2d.weight",
            "scale": f"{norm}.weight",
            "shift": f"{norm}.bias",
        }
        for layer, (convolution, norm) in modules.items()
    }
    variables["output"] = {"kernel": "deconv3.conv2d.weight", "bias": "deconv3.conv2d.bias"}
    return Layout("pytorch", "PyTorch's example fast_neural_style", form, variables,
                  lambda _, kernel: kernel.transpose(2, 3, 1, 0),
                  largest=255.0, scales_output=True)  # fmt: skip


LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout for layout in (_magenta(), _lengstrom(), _torch())
}
"""Every layout by name."""


def read_published(path: str | Path) -> tuple[Layout, dict[str, Any]]:
    """Reads a published network, whose layout is found by the names of its variables.

    Args:
      path: a `.pth` file, or a safetensors file of the variables.

    Returns:
      The layout, and the parameters as `jaxstyle.feedforward.network.paint` takes them.

    Raises:
      FileFormatError: if the file is damaged, in no layout that is known, or of other shapes.
      OSError: if it cannot be read.

    References: Dumoulin et al., ICLR 2017 (magenta); Johnson et al., ECCV 2016 (lengstrom and
    pytorch), with the normalisation of Ulyanov et al., 2016.
    """
    stored = open_container(path).arrays
    layout = layout_of(stored)
    if layout is None:
        described = "; ".join(each.description for each in LAYOUTS.values())
        raise FileFormatError(f"{path}: in no layout that is known; give one of: {described}")
    wanted = [name for parts in layout.variables.values() for name in parts.values()]
    missing = [name for name in wanted if name not in stored]
    if missing:
        raise FileFormatError(f"{path}: has no {missing[0]}, which {layout.description} has")
    with refusing(path, layout.description):
        return layout, _converted(path, layout, stored)


def layout_of(names: Container[str]) -> Layout | None:
    """Returns the layout whose variables have these names, or None.

    Args:
      names: of the variables in a file.
    """
    for layout in LAYOUTS.values():
        if layout.variables["contract1"]["kernel"] in names:
            return layout
    return None


def _converted(path: str | Path, layout: Layout, stored: Mapping[str, Stored]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for layer, parts in layout.variables.items():
        params[layer] = {}
        for part, name in parts.items():
            wanted = 4 if part == "kernel" else (1, 2)
            if len(stored[name].shape) not in np.atleast_1d(wanted):
                raise FileFormatError(
                    f"{path}: {shown(name)} has the shape {list(stored[name].shape)}, which is "
                    f"that of no {part}"
                )
            value = np.asarray(stored[name].read(), np.float32)
            if part == "kernel":
                value = np.ascontiguousarray(layout.to_hwio(layer, value))
            elif part != "bias":
                value = np.atleast_2d(value)  # one style
            params[layer][part] = jnp.asarray(value)
    first, last = params["contract1"], params["output"]
    first["kernel"] = first["kernel"] * layout.largest
    if layout.scales_output:
        for part in ("kernel", "bias"):
            last[part] = last[part] / layout.largest
    return params
