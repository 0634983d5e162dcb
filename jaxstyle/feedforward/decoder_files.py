"""Files of decoders: safetensors whose arrays are named `STAGE.CONVOLUTION.PART`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from jaxstyle.errors import FileFormatError
from jaxstyle.feedforward.decoding import init_decoder
from jaxstyle.feedforward.files import check_shapes
from jaxstyle.networks.formats.containers import read_safetensors
from jaxstyle.networks.formats.stored import refusing
from jaxstyle.networks.save import write_tensors

FORMAT, VERSION = "jaxstyle-decoder", "1"
_flat: Any = traverse_util.flatten_dict
_nested: Any = traverse_util.unflatten_dict


class Decoder(NamedTuple):
    """A decoder, as its file holds it.

    Attributes:
      params: its parameters; see `jaxstyle.feedforward.decoding`.
      metadata: how it was trained, and its licence.
    """

    params: dict[str, Any]
    metadata: Mapping[str, str] = {}


def save_decoder(path: str | Path, decoder: Decoder, *, dtype: str = "float16") -> None:
    """Writes a decoder; the file appears whole or not at all.

    Args:
      path: the file to write; an existing one is replaced.
      decoder: the decoder.
      dtype: the type of the kernels in the file; they are float32 again when read.

    Raises:
      OSError: if the file cannot be written.
    """
    arrays = {
        name: np.ascontiguousarray(value, dtype if name.endswith("kernel") else "float32")
        for name, value in _flat(decoder.params, sep=".").items()
    }
    write_tensors(path, arrays, {**decoder.metadata, "format": FORMAT, "version": VERSION})


def load_decoder(path: str | Path, compact: Mapping[str, Any]) -> Decoder:
    """Reads a decoder from its file.

    Args:
      path: a file that `save_decoder` wrote.
      compact: parameters of the network whose maps it decodes.

    Raises:
      FileFormatError: if it is a file of another kind, damaged, or for another network.
      OSError: if it cannot be read.
    """
    stored, notes = read_safetensors(path)
    if notes.pop("format", None) != FORMAT:
        raise FileFormatError(
            f"{path}: holds no decoder of jaxstyle, which scripts.training.train_decoder writes"
        )
    notes.pop("version", None)
    drawn = jax.eval_shape(init_decoder, jax.random.key(0), compact)
    shapes = {name: leaf.shape for name, leaf in _flat(drawn, sep=".").items()}
    check_shapes(path, {name: tuple(each.shape) for name, each in stored.items()}, shapes)
    with refusing(path, "a decoder"):
        arrays = {name: each.read() for name, each in stored.items()}
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise FileFormatError(f"{path}: {name} has values that are not finite")
    params = {name: jnp.asarray(values, jnp.float32) for name, values in arrays.items()}
    return Decoder(_nested(params, sep="."), notes)
