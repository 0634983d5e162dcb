"""jaxopt's L-BFGS as this package runs it: with a guarded step of one, or with a line search."""

import functools
import importlib
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxstyle.solvers.base import Info, Objective, Solver, State


class _Memory(NamedTuple):
    """jaxopt's state, field by field.

    It is a class of our own so that a compiled program that carries it can be loaded without
    jaxopt, whose import takes as long as JAX's.
    """

    iter_num: Any
    value: Any
    grad: Any
    stepsize: Any
    error: Any
    s_history: Any
    y_history: Any
    rho_history: Any
    gamma: Any
    aux: Any
    failed_linesearch: Any
    num_fun_eval: Any
    num_grad_eval: Any
    num_linesearch_iter: Any


class _Guarded(NamedTuple):
    """What the guarded step carries beside the image.

    Attributes:
      memory: jaxopt's state: the pairs, the loss and gradient at the image, the next step's size.
      least: scalar, the least loss so far.
    """

    memory: _Memory
    least: Array


def guarded_step(history: int, first_step: float, max_rise: float) -> Solver:
    """Makes L-BFGS with a step size of one, which takes a step back that raises the loss too far.

    The step that is taken back costs its evaluation and no more. The next one is half as long, and
    after a step that stands the next may be twice as long again, up to one. The pair of a step
    taken back stays in the memory, because it says how much the loss curves. It is forgotten if the
    loss was more than ten times the least: it curves so much up there that the memory would allow
    only tiny steps from then on.

    Args:
      history: number of pairs (s, y) kept.
      first_step: mean absolute change of an entry of the image in the first step.
      max_rise: how far the loss may be above the least one so far, as a fraction of it.

    Returns:
      A `Solver`. Where a step is taken back, `Info` has the loss and the terms of the image kept.
    """

    def init(objective: Objective, image: Array) -> tuple[State, Info]:
        jaxopt_solver = _jaxopt_lbfgs(objective, history, stepsize=_ONE)
        return start(image, _Memory(*jaxopt_solver.init_state(image)))

    def step(objective: Objective, state: State) -> tuple[State, Info]:
        before, least = state.inner
        # jaxopt does no line search if the step size is a function.
        jaxopt_solver = _jaxopt_lbfgs(objective, history, stepsize=lambda _: before.stepsize)
        image, updated = jaxopt_solver.update(state.image, before)
        trial = _Memory(*updated)
        rise = (trial.value - least) / jnp.maximum(jnp.abs(least), _TINY)
        # Without a gradient nothing moves, and there is nothing to take back.
        taken_back = jnp.any(image != state.image) & ~(rise <= max_rise)

        def keep(old: Any, new: Any) -> Any:
            return jax.tree.map(lambda old, new: jnp.where(taken_back, old, new), old, new)

        memory = _remember(
            trial, before, image - state.image, forgotten=taken_back & ~(rise <= _FAR)
        )
        memory = memory._replace(
            stepsize=keep(before.stepsize * _SHORTER, jnp.minimum(before.stepsize * _LONGER, 1.0)),
            **{name: keep(getattr(before, name), getattr(trial, name)) for name in _AT_THE_IMAGE},
        )
        # From a gradient that is not finite, no shorter step leads anywhere.
        finite = jnp.isfinite(jnp.sum(image))
        guarded = _Guarded(memory, jnp.minimum(least, memory.value))
        return State(keep(state.image, image), guarded), _info(memory, finite)

    def begin(state: State) -> tuple[State, Info]:
        # The step had no gradient, so it moved nothing and its pair was dropped.
        memory = state.inner.memory
        once = {name: jnp.ones_like(getattr(memory, name)) for name in _COUNTS}
        return start(state.image, memory._replace(iter_num=jnp.asarray(0), **once))

    def start(image: Array, memory: _Memory) -> tuple[State, Info]:
        memory = _scale_first_step(memory, first_step)
        return State(image, _Guarded(memory, memory.value)), _info(memory)

    return Solver(init, step, begin)


def searching_step(history: int, first_step: float, max_linesearch: int) -> Solver:
    """Makes L-BFGS with jaxopt's zoom line search.

    Args:
      history: number of pairs (s, y) kept.
      first_step: mean absolute change of an entry of the image at the first trial point.
      max_linesearch: the most evaluations in one search.

    Returns:
      A `Solver`.
    """

    def jaxopt_solver(objective: Objective) -> Any:
        return _jaxopt_lbfgs(objective, history, linesearch="zoom", maxls=max_linesearch)

    def init(objective: Objective, image: Array) -> tuple[State, Info]:
        memory = _Memory(*jaxopt_solver(objective).init_state(image))
        memory = _scale_first_step(memory, first_step)
        return State(image, memory), _info(memory)

    def step(objective: Objective, state: State) -> tuple[State, Info]:
        image, updated = jaxopt_solver(objective).update(state.image, state.inner)
        memory = _Memory(*updated)
        return State(image, memory), _info(memory)

    return Solver(init, step)


def _remember(trial: _Memory, before: _Memory, s: Array, forgotten: Array) -> _Memory:
    """Returns a trial's memory, without its pair (s, y) if that has no curvature or is forgotten.

    Without a pair, gamma stays as before. The pairs are jaxopt's. They are written here because
    there is one write for each array then, and it depends on all that is read of the array before.
    So the compiler writes in place where it may, and copies no history.
    """
    slot = before.iter_num % before.rho_history.shape[0]
    y = trial.grad - before.grad
    curved = has_curvature(s, y)
    # Of other pairs nothing is kept, and their derivatives should be finite all the same.
    product, squares = (jnp.where(curved, x, 1.0) for x in (jnp.vdot(s, y), jnp.vdot(y, y)))

    def write(new: Array, history: Array) -> Array:
        pair = jnp.where(curved, new, 0)
        return history.at[slot].set(jnp.where(forgotten, history[slot], pair))

    return trial._replace(
        iter_num=jnp.where(forgotten, before.iter_num, trial.iter_num),
        s_history=write(s, before.s_history),
        y_history=write(y, before.y_history),
        rho_history=write(1 / product, before.rho_history),
        gamma=jnp.where(curved & ~forgotten, product / squares, before.gamma),
    )


def has_curvature(s: Array, y: Array) -> Array:
    """Tells whether s·y > 0 beyond rounding."""
    norms = jnp.linalg.norm(s.ravel()) * jnp.linalg.norm(y.ravel())
    curved: Array = jnp.vdot(s, y) > _ROUNDING * norms
    return curved


@functools.cache
def _jaxopt() -> Any:
    with warnings.catch_warnings():
        # jaxopt warns at import that it is no longer developed; users cannot act on that.
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("jaxopt")


def _jaxopt_lbfgs(objective: Objective, history: int, **options: Any) -> Any:
    # With implicit_diff=False alone, jaxopt unrolls the line search; under vmap that multiplied the
    # evaluations by 25.
    return _jaxopt().LBFGS(
        objective,
        has_aux=True,
        history_size=history,
        implicit_diff=False,
        unroll=False,
        **options,
    )


def _scale_first_step(memory: _Memory, first_step: float) -> _Memory:
    # With an empty history the direction is gamma times the gradient, so gamma sets the first step.
    size = jnp.mean(jnp.abs(memory.grad))
    gamma = jnp.where(size > 0, first_step / size, 1.0).astype(memory.grad.dtype)
    return memory._replace(gamma=gamma)


def _info(memory: _Memory, finite: Array | bool = True) -> Info:
    evaluations = jnp.asarray(memory.num_fun_eval, jnp.int32)
    return Info(memory.value, memory.aux, evaluations, jnp.isfinite(memory.value) & finite)


_ONE: Callable[[Any], float] = lambda _: 1.0  # noqa: E731
_SHORTER, _LONGER = 0.5, 2.0
_FAR = 9.0  # ten times the least loss, as a rise above it
_AT_THE_IMAGE = ("value", "grad", "aux", "error")
_COUNTS = ("num_fun_eval", "num_grad_eval")
_ROUNDING = float(np.finfo(np.float32).eps)
_TINY = float(np.finfo(np.float32).tiny)
