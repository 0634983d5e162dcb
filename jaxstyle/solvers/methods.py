"""Makes solvers of L-BFGS and of jaxopt's and optax's methods, behind one protocol.

The functions that make solvers are cached: equal settings give the same `Solver`, so its compiled
programs are reused. This module alone uses optax, and `jaxstyle.solvers.quasi_newton` alone uses
jaxopt, which is imported at the first use of a solver that needs it.
"""

import functools
import inspect
import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jaxstyle._common.arrays import is_traced
from jaxstyle._common.checks import check_amount, check_count, check_kind, describe
from jaxstyle.solvers.base import Info, Objective, Solver, State
from jaxstyle.solvers.preconditioning import precondition
from jaxstyle.solvers.quasi_newton import guarded_step, searching_step

P = ParamSpec("P")


def _cached(factory: Callable[P, Solver]) -> Callable[P, Solver]:
    """Caches a factory by its settings, whether they are given by place, by name or by default."""
    signature = inspect.signature(factory)

    @functools.cache
    def build(*settings: Any) -> Solver:
        return factory(*settings)._replace(made_by=(cached, settings))  # type: ignore[call-arg]

    @functools.wraps(factory)
    def cached(*args: P.args, **kwargs: P.kwargs) -> Solver:
        settings = signature.bind(*args, **kwargs)
        settings.apply_defaults()
        return build(*itertools.starmap(_known_number, settings.arguments.items()))

    return cached


def _known_number(name: str, value: Any) -> float:
    """Returns a solver's setting as a Python number; raises `TypeError` for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    known = isinstance(value, np.generic | np.ndarray | Array) and not is_traced(value)
    if known and value.ndim == 0 and np.issubdtype(value.dtype, np.number):
        number: float = jax.device_get(value).item()
        return number
    hint = ""
    if name == "learning_rate" and isinstance(value, Array):
        hint = "; give arrays to the run instead, as in stylize(..., learning_rate=rate)"
    elif name == "learning_rate" and callable(value):
        hint = "; for a schedule make the solver with from_optax(optax.adam(schedule))"
    raise TypeError(f"{name} should be a number, got {describe(value)}{hint}")


PRECONDITIONING = 0.35
"""The default preconditioning of `lbfgs` and `lbfgs_zoom`; see `precondition`."""


@_cached
def lbfgs(
    history: int = 30,
    first_step: float = 1 / 255,
    preconditioning: float = PRECONDITIONING,
    max_rise: float = 0.5,
) -> Solver:
    """Makes an L-BFGS solver with a step size of one: one evaluation per step, safe under vmap.

    Its steps are those of `jaxopt.LBFGS` in the coordinates of `precondition`, computed with two
    products over all pairs in place of a loop over them. Three departures are what style transfer
    needs:

    - A pair (s, y) with s·y ≤ 0 is dropped, as PyTorch does. jaxopt keeps it, and from a noise
      start this turns the next directions uphill.
    - The first step changes pixels by `first_step` on average. A step of 1/‖g‖₁, as in PyTorch,
      moves pixels by about 1e-8. The first pair is then rounding noise, and the second step leaps.
    - A step that raises the loss too far is taken back, and the next one is shorter. It costs the
      evaluation that it took.

    Args:
      history: number of pairs (s, y) kept; each takes two images of memory.
      first_step: mean absolute change of a pixel in the first step, in [0, 1] units, before
        preconditioning.
      preconditioning: how strongly low spatial frequencies are favoured; see `precondition`. 0
        moves plain pixels, as the published systems do.
      max_rise: how far a step's loss may be above the least one so far, as a fraction of it. 0
        lets no step raise the loss; infinity takes every step.

    Returns:
      A `Solver`.

    Raises:
      ValueError: if `history` is less than one, `first_step` is not positive, or `preconditioning`
        or `max_rise` is negative.

    Example:
      >>> lbfgs(history=10) is lbfgs(10)
      True

    Reference: Nocedal and Wright, Numerical Optimization, 2nd ed., algorithm 7.5; the products are
    after Byrd, Nocedal and Schnabel, Mathematical Programming 63, 1994.
    """
    check_count(history, "history")
    check_amount(first_step, "first_step", zero=False)
    check_amount(preconditioning, "preconditioning")
    if max_rise != math.inf:
        check_amount(max_rise, "max_rise")
    plain = guarded_step(history, first_step, max_rise)
    return precondition(plain, preconditioning)


@_cached
def lbfgs_zoom(
    history: int = 30,
    first_step: float = 1 / 255,
    max_linesearch: int = 20,
    preconditioning: float = PRECONDITIONING,
) -> Solver:
    """Makes an L-BFGS solver with jaxopt's zoom line search, for the strong Wolfe conditions.

    The loss never rises, but a step takes several evaluations. Under vmap, every lane pays for the
    longest search of the batch.

    Args:
      history: number of pairs (s, y) kept.
      first_step: mean absolute change of a pixel at the first trial point, in [0, 1] units.
      max_linesearch: the most evaluations in one search.
      preconditioning: as for `lbfgs`.

    Returns:
      A `Solver`.

    Raises:
      ValueError: if a setting is not positive, or `preconditioning` is negative.

    Reference: Nocedal and Wright, Numerical Optimization, 2nd ed., algorithms 3.5 and 3.6.
    """
    check_count(history, "history")
    check_count(max_linesearch, "max_linesearch")
    check_amount(first_step, "first_step", zero=False)
    check_amount(preconditioning, "preconditioning")
    plain = searching_step(history, first_step, max_linesearch)
    return precondition(plain, preconditioning)


@_cached
def optax_lbfgs(history: int = 30) -> Solver:
    """Makes a solver of `optax.lbfgs` with its own zoom line search.

    Args:
      history: number of pairs (s, y) kept.

    Returns:
      A `Solver`.

    Raises:
      ValueError: if `history` is less than one.
    """
    check_count(history, "history")
    return from_optax(optax.lbfgs(memory_size=history))


@_cached
def adam(learning_rate: float = 0.02, b1: float = 0.9, b2: float = 0.999) -> Solver:
    """Makes an Adam solver: slower than L-BFGS here, but differentiable and insensitive to noise.

    Args:
      learning_rate: in [0, 1] units of pixels: 0.02 is about 5 of 255.
      b1: decay of the mean gradient.
      b2: decay of the mean squared gradient.

    Returns:
      A `Solver`.

    Raises:
      ValueError: if `learning_rate` is not positive, or a decay is not in [0, 1).

    Reference: Kingma and Ba, ICLR 2015, algorithm 1.
    """
    check_amount(learning_rate, "learning_rate", zero=False)
    for name, decay in (("b1", b1), ("b2", b2)):
        _check_decay(name, decay)
    make = optax.inject_hyperparams(optax.adam, static_args=("b1", "b2"))
    return from_optax(make(learning_rate, b1=b1, b2=b2))


@_cached
def gradient_descent(learning_rate: float = 0.005, momentum: float = 0.0) -> Solver:
    """Makes a solver of plain gradient descent with a fixed step.

    The gradient's size depends on the network and the weights, so the step is given by its effect.
    The first step changes pixels by `learning_rate` on average, and the later ones use the same
    factor.

    Args:
      learning_rate: mean absolute change of a pixel in the first step, in [0, 1] units.
      momentum: decay of the accumulated gradient; 0 means no momentum.

    Returns:
      A `Solver`.

    Raises:
      ValueError: if `learning_rate` is not positive, or `momentum` is not in [0, 1).
    """
    check_amount(learning_rate, "learning_rate", zero=False)
    _check_decay("momentum", momentum)
    sgd = optax.inject_hyperparams(optax.sgd, static_args="momentum")(
        learning_rate, momentum=momentum or None
    )
    return from_optax(optax.chain(_scale_by_first_gradient(), sgd))


def from_optax(transformation: optax.GradientTransformation) -> Solver:
    """Makes a solver of any optax gradient transformation.

    Transformations that do a line search get the loss, the gradient and the function as optax's
    extra arguments. A transformation that is built again is a new solver and compiles again, so
    build it once and keep it.

    Args:
      transformation: for example `optax.adabelief(0.01)`; learning rates are in [0, 1] units.

    Returns:
      A `Solver`. A step takes one evaluation, and those of its line search if it has one.

    Example:
      >>> solver = from_optax(optax.sgd(0.5))
      >>> square = lambda image: (jnp.sum(image**2), {})
      >>> state, info = solver.init(square, jnp.ones((1, 1, 3)))
      >>> state, info = solver.step(square, state)
      >>> float(info.loss), int(info.evaluations)
      (0.0, 2)
    """
    check_kind(transformation, optax.GradientTransformation, "transformation", "optax.adam(0.02)")
    return _from_optax(transformation)


@functools.cache
def _from_optax(transformation: optax.GradientTransformation) -> Solver:
    update = optax.with_extra_args_support(transformation).update

    def init(objective: Objective, image: Array) -> tuple[State, Info]:
        (loss, terms), gradient = jax.value_and_grad(objective, has_aux=True)(image)
        info = Info(loss, terms, jnp.int32(1), jnp.isfinite(loss))
        return State(image, (transformation.init(image), loss, gradient, info.evaluations)), info

    def step(objective: Objective, state: State) -> tuple[State, Info]:
        inner, loss, gradient, evaluations = state.inner
        # Many of optax's transformations raise a float to the power of a whole number.
        with jax.numpy_dtype_promotion("standard"):
            updates, inner = update(
                gradient,
                inner,
                state.image,
                value=loss,
                grad=gradient,
                value_fn=lambda image: objective(image)[0],
            )
        image = optax.apply_updates(state.image, updates)
        (loss, terms), gradient = jax.value_and_grad(objective, has_aux=True)(image)
        searched = optax.tree.get(inner, "num_linesearch_steps", 0)
        evaluations = jnp.asarray(evaluations + 1 + searched, jnp.int32)
        info = Info(loss, terms, evaluations, jnp.isfinite(loss))
        return State(image, (inner, loss, gradient, evaluations)), info

    return Solver(init, step, made_by=(from_optax, (transformation,)))


def set_learning_rate(state: State, learning_rate: Array) -> State:
    """Returns a state whose next steps have another learning rate, which may be traced.

    Works with `adam`, `gradient_descent`, and transformations of `optax.inject_hyperparams`.

    Args:
      state: from the solver's `init` or `step`.
      learning_rate: scalar, in [0, 1] units of pixels.

    Returns:
      The same state with that learning rate.

    Raises:
      ValueError: if the solver has no learning rate.
    """
    if not optax.tree.get_all_with_path(state.inner, "learning_rate"):
        raise ValueError("the solver has no learning rate; use adam or gradient_descent")
    return state._replace(inner=optax.tree.set(state.inner, learning_rate=learning_rate))


SOLVERS: dict[str, Callable[..., Solver]] = {
    "lbfgs": lbfgs,
    "lbfgs-zoom": lbfgs_zoom,
    "optax-lbfgs": optax_lbfgs,
    "adam": adam,
    "gradient-descent": gradient_descent,
}
"""The functions that make solvers, by the solver's name."""


def make_solver(name: str, **options: float) -> Solver:
    """Makes a solver by its name on the command line.

    Args:
      name: a key of `SOLVERS`.
      **options: arguments of the function under that key.

    Returns:
      A `Solver`.

    Raises:
      ValueError: if the name is unknown (the message lists the valid ones) or the solver has no
        such option.

    Example:
      >>> make_solver("adam", learning_rate=0.05) is adam(0.05)
      True
    """
    if name not in SOLVERS:
        raise ValueError(f"unknown solver {name!r}; valid: {', '.join(SOLVERS)}")
    valid = inspect.signature(SOLVERS[name]).parameters
    for option in options:
        if option not in valid:
            raise ValueError(
                f"solver {name} has no option {option!r}; its options: {', '.join(valid)}"
            )
    return SOLVERS[name](**options)


SolverLike: TypeAlias = Solver | str | optax.GradientTransformation
"""What may be given as `solver`: a solver, its name, or an optax transformation."""


def as_solver(solver: Any) -> Solver:
    """Returns the solver that an argument `solver` stands for; `lbfgs()` for None.

    Args:
      solver: a `SolverLike` or None: a `Solver`; a key of `SOLVERS`, for that solver with its
        default settings; or an optax gradient transformation.

    Returns:
      A `Solver`.

    Raises:
      ValueError: if the name is unknown.
      TypeError: if it is something else.

    Example:
      >>> as_solver("adam") is adam()
      True
    """
    if solver is None:
        return lbfgs()
    if isinstance(solver, Solver):
        return solver
    if isinstance(solver, str):
        return make_solver(solver)
    if isinstance(solver, optax.GradientTransformation):
        return from_optax(solver)
    factory = callable(solver) and not isinstance(solver, type)
    hint = "call it" if factory else "write solver=solvers.adam(0.02)"
    raise TypeError(
        f"solver should be a Solver, a name or an optax transformation, got {describe(solver)}; "
        f"{hint}"
    )


class _FirstGradientState(NamedTuple):
    factor: Array


def _scale_by_first_gradient() -> optax.GradientTransformation:
    """Divides every update by the mean absolute value of the first one."""

    def init(image: Array) -> _FirstGradientState:
        return _FirstGradientState(jnp.zeros((), image.dtype))

    def update(
        gradient: Array, state: _FirstGradientState, image: Array | None = None
    ) -> tuple[Array, _FirstGradientState]:
        size = jnp.mean(jnp.abs(gradient))
        first = jnp.where(size > 0, 1 / size, 1.0)
        factor = jnp.where(state.factor == 0, first, state.factor)
        return factor * gradient, _FirstGradientState(factor)

    return optax.GradientTransformation(init, update)


def _check_decay(name: str, decay: float) -> None:
    if not 0 <= decay < 1:
        raise ValueError(f"{name} should be at least 0 and less than 1, got {decay}")
