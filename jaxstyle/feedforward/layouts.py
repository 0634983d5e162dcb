"""The layouts of published networks that paint in one pass."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp

from jaxstyle.errors import FileFormatError
from jaxstyle.feedforward.architecture import PASTICHE, Architecture
from jaxstyle.networks.formats.containers import read_safetensors

_PASTICHE_LAYERS = {
    **{f"contract{i}": f"contract/conv{i}" for i in (1, 2, 3)},
    **{f"residual{i}_{j}": f"residual/residual{i}/conv{j}" for i in range(1, 7) for j in (1, 2)},
    **{f"expand{i}": f"expand/conv{i}/conv" for i in (1, 2)},
    "output": "expand/conv3/conv",
}


def read_pastiche(path: Path) -> tuple[Architecture, dict[str, Any]]:
    """Returns the architecture and the parameters of Magenta's network of many styles.

    Args:
      path: a safetensors file of its variables, under their names in TensorFlow.

    Raises:
      FileFormatError: if a variable is missing.
      OSError: if the file cannot be read.
    """
    found = read_safetensors(path)[0]

    def variable(layer: str, part: str) -> Any:
        name = f"transformer/{layer}/{part}"
        if name not in found:
            raise FileFormatError(f"{path}: has no {name}; give Magenta's network of many styles")
        return jnp.asarray(found[name].read())

    parts = {"kernel": "weights", "scale": "InstanceNorm/gamma", "shift": "InstanceNorm/beta"}
    return PASTICHE, {
        ours: {name: variable(theirs, part) for name, part in parts.items()}
        for ours, theirs in _PASTICHE_LAYERS.items()
    }
