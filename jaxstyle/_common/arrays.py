"""Arrays and keys that the package itself puts on a device, by JAX's strictest rules.

`jax.transfer_guard("disallow")` forbids transfers that nobody asked for. A Python number in an
operation outside `jit` is one, `jax.device_put` is not.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike, DTypeLike


def to_device(value: ArrayLike, dtype: DTypeLike = jnp.float32) -> Array:
    """Returns a number or a host's array as an uncommitted array; a JAX array is only cast."""
    if isinstance(value, Array):
        return value.astype(dtype)
    placed: Array = jax.device_put(np.asarray(value, dtype))
    return placed


def stack(scalars: Sequence[Array]) -> Array:
    """Returns scalars as a vector; compiles nothing where none is traced or bound to a device."""
    if any(isinstance(each, jax.core.Tracer) or each.committed for each in scalars):
        return jnp.stack(scalars)
    return to_device(np.stack(jax.device_get(list(scalars))))


@jax.jit
def default_key() -> Array:
    """Returns the key that is used where none is given."""
    return jax.random.key(0)


def is_traced(tree: Any) -> bool:
    """Tells whether any array is a tracer: inside `jit`, `vmap` or `grad`."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def is_tracing() -> bool:
    """Tells whether the caller is inside `jit`, even if none of its arrays depends on that."""
    return isinstance(jax.device_put(np.float32(0)), jax.core.Tracer)


def numeral(value: Any) -> str:
    """Returns a number for people, or the shape of more or less than one that is known.

    Example:
      >>> numeral(jnp.float32(1234.5)), numeral(jnp.zeros((2, 3)))
      ('1.23e+03', '[2, 3]')
    """
    if is_traced(value) or np.ndim(value):
        return str(list(np.shape(value)))
    return f"{float(jax.device_get(value)):.3g}"
