"""Solvers in other coordinates of the image: a change of variables that evens out its spectrum.

In natural images, and in the changes that style transfer makes to them, low spatial frequencies
are the larger ones. In coordinates where all are about as large, a solver moves forms and colours
as readily as single pixels: it needs fewer steps, and leaves less noise that the network hardly
sees.
"""

import functools

from jax import Array

from jaxstyle.image.spectrum import keep_variance, power_law, scale_spectrum
from jaxstyle.solvers.base import Info, Objective, Solver, State


@functools.cache
def precondition(solver: Solver, power: float) -> Solver:
    r"""A solver that works on z, where the image is z with its spectrum scaled by :math:`f^{-p}`.

    f is the spatial frequency in cycles a pixel, that of the image's mean the lowest which fits
    into it; the scale keeps the variance of white noise.

    Args:
      solver: any; its first state's image is z.
      power: the exponent p; 0 changes nothing, 1 makes the spectrum of natural images flat.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxstyle import solvers
      >>> solver = precondition(solvers.adam(), 0.35)
      >>> square = lambda image: (jnp.sum(image**2), {})
      >>> state, info = solver.init(square, jnp.ones((4, 6, 3)))
      >>> state.image.shape, round(float(info.loss))
      ((4, 6, 3), 72)

    Reference: Olah, Mordvintsev and Schubert, "Feature visualization", Distill 2017,
    "preconditioning and parameterization", with p = 1 and another solver.
    """
    if power == 0:
        return solver

    def seen_by(objective: Objective, scale: Array) -> Objective:
        return lambda z: objective(scale_spectrum(z, scale))

    def init(objective: Objective, image: Array) -> tuple[State, Info]:
        scale = scale_of(image)
        return finish(*solver.init(seen_by(objective, scale), scale_spectrum(image, 1 / scale)))

    def step(objective: Objective, state: State) -> tuple[State, Info]:
        scale = scale_of(state.image)
        return finish(*solver.step(seen_by(objective, scale), state.inner))

    def begin(state: State) -> tuple[State, Info]:
        assert solver.begin is not None
        inner, info = solver.begin(state.inner)
        return State(state.image, inner), info

    def finish(inner: State, info: Info) -> tuple[State, Info]:
        return State(scale_spectrum(inner.image, scale_of(inner.image)), inner), info

    def scale_of(image: Array) -> Array:
        height, width, _ = image.shape
        return keep_variance(power_law((height, width), power), width)

    return Solver(init, step, solver.begin and begin)
