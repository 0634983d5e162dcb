"""L-BFGS with a guarded step of one, and jaxopt's with a line search."""

import functools
import importlib
import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxstyle.solvers.base import Info, Objective, Solver, State
from jaxstyle.solvers.limited_memory import Memory, empty, inverse_hessian_product, remember


class _Searching(NamedTuple):
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
      memory: the pairs, with their products with the gradient.
      value: scalar, the loss at the image.
      terms: the objective's terms there.
      gradient: `[H, W, 3]`, the gradient there.
      stepsize: scalar, the next step's size.
      least: scalar, the least loss so far.
      evaluations: scalar, how many there have been.
    """

    memory: Memory
    value: Array
    terms: Any
    gradient: Array
    stepsize: Array
    least: Array
    evaluations: Array


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
        (value, terms), gradient = jax.value_and_grad(objective, has_aux=True)(image)
        return start(image, value, terms, gradient, empty(image, history))

    def step(objective: Objective, state: State) -> tuple[State, Info]:
        before = state.inner
        direction = inverse_hessian_product(before.memory, before.gradient)
        image = state.image - before.stepsize * direction
        (value, terms), gradient = jax.value_and_grad(objective, has_aux=True)(image)
        rise = (value - before.least) / jnp.maximum(jnp.abs(before.least), _TINY)
        # Without a gradient nothing moves, and there is nothing to take back.
        taken_back = jnp.any(image != state.image) & ~(rise <= max_rise)

        def keep(old: Any, new: Any) -> Any:
            return jax.tree.map(lambda old, new: jnp.where(taken_back, old, new), old, new)

        memory = remember(
            before.memory,
            image - state.image,
            gradient - before.gradient,
            gradient,
            taken_back=taken_back,
            forgotten=taken_back & ~(rise <= _FAR),
        )
        after = _Guarded(
            memory=memory,
            value=keep(before.value, value),
            terms=keep(before.terms, terms),
            gradient=keep(before.gradient, gradient),
            stepsize=keep(before.stepsize * _SHORTER, jnp.minimum(before.stepsize * _LONGER, 1.0)),
            least=jnp.minimum(before.least, keep(before.value, value)),
            evaluations=before.evaluations + 1,
        )
        # From a gradient that is not finite, no shorter step leads anywhere.
        finite = jnp.isfinite(jnp.sum(image))
        return State(keep(state.image, image), after), info_of(after, finite)

    def begin(state: State) -> tuple[State, Info]:
        # The step had no gradient, so it moved nothing, and its pair is empty.
        inner = state.inner
        memory = inner.memory._replace(seen=jnp.zeros_like(inner.memory.seen))
        return start(state.image, inner.value, inner.terms, inner.gradient, memory)

    def start(
        image: Array, value: Array, terms: Any, gradient: Array, memory: Memory
    ) -> tuple[State, Info]:
        memory = memory._replace(gamma=_first_gamma(gradient, first_step))
        one = jnp.ones_like(memory.gamma)
        inner = _Guarded(memory, value, terms, gradient, one, value, jnp.asarray(1, jnp.int32))
        return State(image, inner), info_of(inner)

    def info_of(inner: _Guarded, finite: Array | bool = True) -> Info:
        finite = jnp.isfinite(inner.value) & finite
        return Info(inner.value, inner.terms, inner.evaluations, finite)

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
        memory = _Searching(*jaxopt_solver(objective).init_state(image))
        memory = memory._replace(gamma=_first_gamma(memory.grad, first_step))
        return State(image, memory), _info(memory)

    def step(objective: Objective, state: State) -> tuple[State, Info]:
        image, updated = jaxopt_solver(objective).update(state.image, state.inner)
        memory = _Searching(*updated)
        return State(image, memory), _info(memory)

    return Solver(init, step)


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


def _first_gamma(gradient: Array, first_step: float) -> Array:
    # With an empty history the direction is gamma times the gradient, so gamma sets the first step.
    size = jnp.mean(jnp.abs(gradient))
    return jnp.where(size > 0, first_step / size, 1.0).astype(gradient.dtype)


def _info(memory: _Searching) -> Info:
    evaluations = jnp.asarray(memory.num_fun_eval, jnp.int32)
    return Info(memory.value, memory.aux, evaluations, jnp.isfinite(memory.value))


_SHORTER, _LONGER = 0.5, 2.0
_FAR = 9.0  # ten times the least loss, as a rise above it
_TINY = float(np.finfo(np.float32).tiny)
