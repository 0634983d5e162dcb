"""Solvers in other coordinates of the image: a change of variables that evens out its spectrum.

In natural images, and in the changes that style transfer makes to them, low spatial frequencies
are the larger ones. In coordinates where all are about as large, a solver moves forms and colours
as readily as single pixels: it needs fewer steps, and leaves less noise that the network hardly
sees.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxstyle.protocol import Info, Objective, Solver, State


@functools.cache
def precondition(solver: Solver, power: float) -> Solver:
    r"""A solver that works on z, where the image is z with its spectrum scaled by :math:`f^{-p}`.

    f is the spatial frequency in cycles a pixel, that of the image's mean the lowest which fits
    into it; the scale keeps the variance of white noise.

    Args:
      solver: any; its first state's image is z.
      power: the exponent p; 0 changes nothing, 1 makes the spectrum of natural images flat.

    Example:
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
        scale = spectrum_scale((image.shape[0], image.shape[1]), power)
        return finish(*solver.init(seen_by(objective, scale), scale_spectrum(image, 1 / scale)))

    def step(objective: Objective, state: State) -> tuple[State, Info]:
        scale = spectrum_scale((state.image.shape[0], state.image.shape[1]), power)
        return finish(*solver.step(seen_by(objective, scale), state.inner))

    def begin(state: State) -> tuple[State, Info]:
        assert solver.begin is not None
        inner, info = solver.begin(state.inner)
        return State(state.image, inner), info

    def finish(inner: State, info: Info) -> tuple[State, Info]:
        scale = spectrum_scale((inner.image.shape[0], inner.image.shape[1]), power)
        return State(scale_spectrum(inner.image, scale), inner), info

    return Solver(init, step, solver.begin and begin)


def scale_spectrum(image: Array, scale: Array) -> Array:
    """Multiplies each frequency of an image by a number.

    Args:
      image: `[h, w, c]`.
      scale: `[h, w // 2 + 1]`, as `jnp.fft.rfft2` orders frequencies.
    """
    spectrum = jnp.fft.rfft2(image, axes=(0, 1)) * scale[..., None]
    return jnp.fft.irfft2(spectrum, s=image.shape[:2], axes=(0, 1)).astype(image.dtype)


def spectrum_scale(shape: tuple[int, int], power: float) -> Array:
    """What `precondition` multiplies frequencies by: `[h, w // 2 + 1]`, of mean square one.

    Args:
      shape: height and width of the image.
      power: the exponent p of f^-p.
    """
    height, width = shape
    # Traced, for a constant of a large picture's size takes the compiler long.
    vertical, horizontal = jnp.fft.fftfreq(height), jnp.fft.rfftfreq(width)
    frequency = jnp.hypot(vertical[:, None], horizontal)
    scale = jnp.maximum(frequency, 1 / max(shape)) ** -power
    # The real transform leaves out columns that mirror others.
    columns = np.full(width // 2 + 1, 2.0)
    columns[0] = 1.0
    if width % 2 == 0:
        columns[-1] = 1.0
    return scale / jnp.sqrt(jnp.sum(jnp.mean(jnp.square(scale), 0) * columns) / width)
