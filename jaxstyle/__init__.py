"""Neural style transfer as pure JAX functions.

An image is `[H, W, 3]`, float32, RGB in [0, 1]; functions take one image, and batches come from
`jax.vmap`.

Example:
  >>> import jax, jaxstyle
  >>> params = jaxstyle.init_params(jax.random.key(0), (("conv1_1", 4), ("conv2_1", 8)))
  >>> spec = jaxstyle.LossSpec(content_layers=("relu2_1",), style_layers=("relu1_1", "relu2_1"))
  >>> content, style = jax.random.uniform(jax.random.key(1), (2, 32, 32, 3))
  >>> jaxstyle.stylize(params, content, style, spec=spec, num_steps=10).image.shape
  (32, 32, 3)
"""

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from jaxstyle._public import *

# Modules that users import by short names, wherever they live; as `os.path` is one. A stub of the
# same name tells type checkers.
_SHORT_NAMES = {
    "jaxstyle.animation": "jaxstyle.image.animation",
    "jaxstyle.color": "jaxstyle.image.color",
    "jaxstyle.pages": "jaxstyle._common.huge_pages",
    "jaxstyle.presets": "jaxstyle.optimization.presets",
    "jaxstyle.statistics": "jaxstyle.losses.statistics",
}


class _ShortNames:
    """Finds and loads the module that a short name stands for."""

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Returns a spec for the short names alone."""
        return ModuleSpec(fullname, _ShortNames) if fullname in _SHORT_NAMES else None  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Leaves it to Python to make an empty module."""

    @staticmethod
    def exec_module(module: "ModuleType") -> None:
        """Puts the module that is meant in the place of an empty one."""
        name = module.__name__
        sys.modules[name] = importlib.import_module(_SHORT_NAMES[name])


sys.meta_path.append(_ShortNames)


# The command says that it has begun, and hears of an interrupt, before it imports JAX; so nothing
# above does.
def __getattr__(name: str) -> Any:
    if name.startswith("_") and name != "__all__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if importlib.util.find_spec(f"{__name__}.{name}") is not None:
        return importlib.import_module(f"{__name__}.{name}")
    public = importlib.import_module(f"{__name__}._public")
    try:
        return getattr(public, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted(__getattr__("__all__"))
