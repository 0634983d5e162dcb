"""Checks of arguments that several modules share; each failure is one line that says what to do."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array


def check_image(image: Array, name: str) -> None:
    """Raises `ValueError` or `TypeError` unless `image` is `[H, W, 3]` floating point."""
    shape = jnp.shape(image)
    if len(shape) != 3 or shape[2] != 3:
        hint = "; for batches use jax.vmap" if len(shape) == 4 else ""
        raise ValueError(f"{name} should have shape [H, W, 3], got {list(shape)}{hint}")
    if not jnp.issubdtype(jnp.result_type(image), jnp.floating):
        raise TypeError(
            f"{name} should be floating point in [0, 1], got {jnp.result_type(image)}; "
            "divide 8-bit values by 255"
        )


def check_choice(name: str, value: str, valid: Sequence[str]) -> None:
    """Raises `ValueError` with the valid values if `value` is not one of them."""
    if value not in valid:
        raise ValueError(f"unknown {name} {value!r}; valid: {', '.join(valid)}")
