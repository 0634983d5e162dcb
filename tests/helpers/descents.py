"""A function to minimise, and how solvers are run on it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np


def rosenbrock(image):
    """A curved valley: slow for plain descent, and steps of one overshoot at first."""
    x, y = image[::2], image[1::2]
    value = jnp.sum(10.0 * (y - x**2) ** 2 + (1.0 - x) ** 2)
    return value, {"value": value}


@functools.cache
def compiled_step(solver, objective):
    return jax.jit(lambda state: solver.step(objective, state))


def run(solver, objective, image, num_steps):
    state, info = solver.init(objective, image)
    losses = [info.loss]
    step = compiled_step(solver, objective)
    for _ in range(num_steps):
        state, info = step(state)
        losses.append(info.loss)
    return state, info, np.array(losses)
