"""Checks of arguments that several modules share; each failure is one line that says what to do."""

import math
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

# Pictures in [0, 1] never reach this, even where their colours or a filter overshoot.
_TOO_BRIGHT = 10.0


def check_image(image: Array, name: str) -> None:
    """Raises `ValueError` or `TypeError` unless `image` is `[H, W, 3]` floating point."""
    if not hasattr(image, "dtype"):
        raise TypeError(f"{name} should be an array [H, W, 3], got {describe(image)}")
    shape = jnp.shape(image)
    if len(shape) != 3 or shape[2] != 3:
        hint = "; for batches use jax.vmap" if len(shape) == 4 else ""
        raise ValueError(f"{name} should have shape [H, W, 3], got {list(shape)}{hint}")
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(
            f"{name} should be floating point in [0, 1], got {image.dtype}; "
            "divide 8-bit values by 255"
        )


def check_picture(image: Array, name: str) -> None:
    """Raises as `check_image`, and `ValueError` where known values are 0 to 255 or not finite."""
    check_image(image, name)
    if isinstance(image, jax.core.Tracer) or not getattr(image, "is_fully_addressable", True):
        return
    largest = float(np.max(np.abs(jax.device_get(image)), initial=0.0))
    if not math.isfinite(largest):
        raise ValueError(f"{name} should be in [0, 1], got values that are not finite")
    if largest > _TOO_BRIGHT:
        raise ValueError(f"{name} should be in [0, 1], got values up to {largest:g}; divide by 255")


def check_choice(name: str, value: str, valid: Sequence[str]) -> None:
    """Raises `ValueError` with the valid values if `value` is not one of them."""
    if value not in valid:
        raise ValueError(f"unknown {name} {value!r}; valid: {', '.join(valid)}")


def check_names(names: Any, name: str) -> tuple[str, ...]:
    """Returns a sequence of names as a tuple; raises `TypeError` for a string, a set and others."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise TypeError(f"{name} should be a sequence of names, got {describe(names)}")
    for each in names:
        if not isinstance(each, str):
            raise TypeError(f"{name} should be a sequence of names, got {describe(each)} in it")
    return tuple(names)


def check_kind(value: Any, kind: type, name: str, example: str) -> None:
    """Raises `TypeError` unless `value` is of a kind; `example` is what would be right."""
    if not isinstance(value, kind):
        raise TypeError(
            f"{name} should be a {kind.__name__}, got {describe(value)}; write {example}"
        )


def check_key(key: Any, name: str, *, many: bool = False) -> Array:
    """Returns a key of either kind; raises `TypeError` for anything else, such as a number.

    Args:
      key: of `jax.random.key` or `jax.random.PRNGKey`.
      name: the argument's name.
      many: whether an array of keys is right too.

    Raises:
      TypeError: if it is none.
      ValueError: if it is an array of keys, where one is wanted.
    """
    dtype = getattr(key, "dtype", None)
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    # Keys of the older kind are two words, or four for some generators.
    if not typed and (dtype != jnp.uint32 or jnp.ndim(key) == 0 or key.shape[-1] not in (2, 4)):
        seed = key if isinstance(key, int) else 0
        raise TypeError(
            f"{name} should be a key, got {describe(key)}; write {name}=jax.random.key({seed})"
        )
    if not many and key.ndim > (0 if typed else 1):
        raise ValueError(f"{name} should be one key, got {describe(key)}; for several use jax.vmap")
    valid: Array = key
    return valid


def check_count(value: int, name: str, least: int = 1) -> int:
    """Returns a whole number; raises `TypeError` or `ValueError` unless it is at least `least`."""
    try:
        if isinstance(value, bool | jax.core.Tracer):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} should be a whole number, got {describe(value)}") from None
    if count < least:
        raise ValueError(f"{name} should be at least {least}, got {count}")
    return count


def check_shape(shape: Any, name: str) -> tuple[int, int]:
    """Returns a height and a width; raises unless they are two whole numbers of at least one."""
    if isinstance(shape, str) or not hasattr(shape, "__len__") or len(shape) != 2:
        raise TypeError(f"{name} should be a height and a width, got {describe(shape)}")
    height, width = (check_count(side, f"each side of {name}", least=-(2**31)) for side in shape)
    if min(height, width) < 1:
        raise ValueError(f"{name} should be at least 1×1, got {height}×{width}")
    return height, width


def check_amount(value: Any, name: str, *, zero: bool = True) -> None:
    """Raises `TypeError` or `ValueError` unless known numbers are finite and not negative.

    Args:
      value: a number or an array. What is traced is not looked at.
      name: the argument's name.
      zero: whether zero is right too.
    """
    if isinstance(value, jax.core.Tracer):
        return
    try:
        if isinstance(value, bool):
            raise TypeError
        numbers = np.asarray(jax.device_get(value), np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} should be a number, got {describe(value)}") from None
    except OverflowError:
        raise ValueError(f"{name} should be finite, got a number that no float holds") from None
    if not (numbers >= 0 if zero else numbers > 0).all():
        least = "at least 0" if zero else "greater than 0"
        raise ValueError(f"{name} should be {least}, got {value}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} should be finite, got {value}")


def describe(value: Any) -> str:
    """Returns how a message names a value of the wrong kind: briefly, and in one line."""
    kind = type(value).__name__
    if isinstance(value, jax.core.Tracer):
        return f"a traced array of shape {list(value.shape)}"
    if isinstance(value, Array | np.ndarray):
        return f"an array of {value.dtype} and shape {list(value.shape)}"
    if isinstance(value, str | bytes | int | float | complex) or value is None:
        return repr(value) if len(repr(value)) <= 40 else kind
    if callable(value) and not isinstance(value, type):
        return f"the function {getattr(value, '__name__', kind)}"
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {kind}"
