"""Writes parameters in the project's own form: safetensors, with one array per part of a layer."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from jaxstyle._common import files
from jaxstyle.errors import FileFormatError
from jaxstyle.networks.layouts import FORMAT, VERSION, check_params, widths


def save_params(
    path: str | Path,
    params: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
    *,
    dtype: DTypeLike = np.float32,
) -> None:
    """Writes parameters as safetensors; the file appears whole or not at all.

    Args:
      path: the file to write; an existing one is replaced.
      params: parameters in our own form.
      metadata: notes to keep with them; `format` and `version` are added.
      dtype: the type of the kernels in the file; `float16` halves its size. They are float32 again
        when read.

    Raises:
      FileFormatError: if the parameters are not a whole network, or a kernel's values are out of
        the type's range.
      OSError: if the file cannot be written.

    Example:
      >>> import tempfile
      >>> from jaxstyle.networks.collect import NETWORKS
      >>> from jaxstyle.networks.layouts import convert
      >>> params, before = {"mean": np.zeros(3)}, 3
      >>> for layer in NETWORKS["vgg19"]:
      ...     kernel = np.zeros((3, 3, before, 2))
      ...     params[layer], before = {"kernel": kernel, "bias": np.zeros(2)}, 2
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = Path(folder, "tiny.safetensors")
      ...     save_params(path, params, {"network": "tiny"})
      ...     convert(path)[1]["network"]
      'tiny'
    """
    check_params(params, "params")
    arrays: dict[str, NDArray[Any]] = {"mean": np.asarray(params["mean"], np.float32)}
    for layer in widths(params):
        with np.errstate(over="ignore"):  # reported below
            kernel = np.ascontiguousarray(params[layer]["kernel"], dtype)
        if not np.isfinite(kernel).all():
            raise FileFormatError(f"{layer}.kernel: its values do not fit {kernel.dtype}")
        arrays[f"{layer}.kernel"] = kernel
        arrays[f"{layer}.bias"] = np.ascontiguousarray(params[layer]["bias"], np.float32)
    write_tensors(path, arrays, {**(metadata or {}), "format": FORMAT, "version": VERSION})


def write_tensors(
    path: str | Path, arrays: Mapping[str, NDArray[Any]], notes: Mapping[str, str]
) -> None:
    """Writes arrays as safetensors; equal ones give equal bytes.

    Args:
      path: the file to write; it appears whole or not at all.
      arrays: by name.
      notes: the file's metadata.

    Raises:
      OSError: if the file cannot be written.
    """
    from safetensors.numpy import save

    data = memoryview(save(dict(arrays), metadata=dict(notes)))
    end = 8 + int.from_bytes(data[:8], "little")
    with files.atomic_write(path) as partial, partial.open("wb") as file:
        file.write(_sorted_header(bytes(data[8:end])))
        file.write(data[end:])


def _sorted_header(header: bytes) -> bytes:
    """Sorts the header and prepends its length; safetensors shuffles metadata at each call."""
    text = json.dumps(json.loads(header), sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # keeps the arrays aligned
    return len(text).to_bytes(8, "little") + text
