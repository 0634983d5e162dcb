"""Scans whose steps take long, so that Ctrl-C ends them."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxstyle._common import interrupts
from jaxstyle._common.arrays import is_traced, is_tracing, to_device

Carry = TypeVar("Carry")


def over_rows(
    step: Callable[..., tuple[Carry, Any]],
    constants: Any,
    carry: Carry,
    count: int,
    first: int = 0,
    **static: Any,
) -> tuple[Carry, Any]:
    """Does a step for each row of a picture, each from what the row before has left.

    Within `jit` and `vmap` it is `jax.lax.scan`. Outside, each step is a program of its own: an
    interrupt is heard between two of them, and not only when the last is done.

    Args:
      step: compiled; returns what the next row takes over and a result, from `constants`, what the
        row before has left, the row's number and `static`.
      constants: what all rows share.
      carry: what the first row takes over.
      count: how many rows.
      first: the number of the first row.
      **static: given to each step.

    Returns:
      What the last row has left, and the results of all rows, stacked.
    """
    rows = np.arange(first, first + count)
    if is_traced((constants, carry)) or is_tracing():
        return jax.lax.scan(
            lambda carry, row: step(constants, carry, row, **static), carry, jnp.asarray(rows)
        )
    results = []
    for row in rows:
        carry, result = step(constants, carry, to_device(row, jnp.int32), **static)
        jax.block_until_ready(carry)  # type: ignore[no-untyped-call]
        interrupts.check()
        results.append(result)
    return carry, _stacked(results)


def _stacked(results: list[Any]) -> Any:
    def stack(*leaves: Array) -> Array:
        return to_device(np.stack(jax.device_get(leaves)), leaves[0].dtype)

    return jax.tree.map(stack, *results)
