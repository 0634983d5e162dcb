"""Scans that an interrupt ends."""

import functools

import jax
import jax.numpy as jnp
import pytest

from jaxstyle._common import interrupts
from jaxstyle.pieces.rows import over_rows


@functools.partial(jax.jit, static_argnames="times")
def step(constant, carry, row, *, times):
    carry = carry + times * constant * row
    return carry, carry


def test_a_loop_equals_the_scan_within_jit():
    carry, rows = over_rows(step, jnp.float32(2), jnp.float32(1), 3, times=3)
    inside = jax.jit(lambda x: over_rows(step, x, jnp.float32(1), 3, times=3))(jnp.float32(2))
    assert (float(carry), rows.tolist()) == (19, [1, 7, 19])
    assert (float(inside[0]), inside[1].tolist()) == (19, [1, 7, 19])


def test_an_interrupt_is_heard_between_rows(monkeypatch):
    done = []

    def check():
        done.append(True)
        if len(done) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(interrupts, "check", check)
    with pytest.raises(KeyboardInterrupt):
        over_rows(step, jnp.float32(2), jnp.float32(1), 5, times=1)
    assert len(done) == 2
