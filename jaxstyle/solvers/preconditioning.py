"""Lets solvers work in other coordinates of the image, in which its spectrum is more even.

In natural images, and in the changes that style transfer makes to them, low spatial frequencies are
the largest. In coordinates where all frequencies are about equally large, a solver moves forms and
colours as readily as single pixels. It needs fewer steps, and leaves less of the noise that the
network hardly sees.
"""

import functools
from typing import Any, NamedTuple

from jax import Array

from jaxstyle.image.spectrum import cosine_power_law, scale_cosines
from jaxstyle.solvers.base import Info, Objective, Solver, State


class _Scaled(NamedTuple):
    """What a preconditioned solver carries beside the image.

    Attributes:
      state: the solver's own, whose image is z.
      scale: `[H, W]`, of the cosines. XLA would compute its powers anew wherever they are used.
    """

    state: State
    scale: Array


@functools.cache
def precondition(solver: Solver, power: float) -> Solver:
    """Makes a solver work on z, where the image is z with its spectrum scaled by :math:`f^{-p}`.

    f is the spatial frequency in cycles per pixel. Frequencies below one cycle along the longer
    side, such as that of the image's mean, count as that. The scale keeps the variance of white
    noise. The spectrum is that of cosines: in Fourier's, opposite edges are neighbours, and what
    one of them needs would show as a rim at the other.

    Args:
      solver: any solver; the image in its own state is z.
      power: the exponent p; 0 changes nothing, 1 makes the spectrum of natural images flat.

    Returns:
      A `Solver`.

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
        def of_z(z: Array) -> tuple[Array, Any]:
            image = scale_cosines(z, scale)
            total, terms = objective(image)
            # The image is kept beside the terms, so that it is not computed again.
            return total, (terms, image)

        return of_z

    def init(objective: Objective, image: Array) -> tuple[State, Info]:
        height, width, _ = image.shape
        scale = cosine_power_law((height, width), power)
        z = scale_cosines(image, 1 / scale)
        return finish(*solver.init(seen_by(objective, scale), z), scale)

    def step(objective: Objective, state: State) -> tuple[State, Info]:
        inner, scale = state.inner
        return finish(*solver.step(seen_by(objective, scale), inner), scale)

    def begin(state: State) -> tuple[State, Info]:
        assert solver.begin is not None
        inner, scale = state.inner
        return finish(*solver.begin(inner), scale)

    def finish(inner: State, info: Info, scale: Array) -> tuple[State, Info]:
        terms, image = info.terms
        return State(image, _Scaled(inner, scale)), info._replace(terms=terms)

    made_by = (precondition, (solver, power))
    return Solver(init, step, solver.begin and begin, made_by)
