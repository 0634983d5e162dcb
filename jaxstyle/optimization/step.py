"""The compiled programs of a descent, for one image or for lanes of images.

What a descent carries is a `State`: its image is the best one so far, and its `inner` is the state
of the solver, which may be elsewhere.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import NamedSharding, PartitionSpec

from jaxstyle import solvers
from jaxstyle._common.arrays import is_traced, is_tracing
from jaxstyle._common.kept import always, kept, once
from jaxstyle.losses.features import prepare_params
from jaxstyle.losses.objective import objective_of_resolved
from jaxstyle.losses.spec import LossSpec, LossWeights
from jaxstyle.losses.targets import Targets, compute_targets
from jaxstyle.networks.vgg import Params
from jaxstyle.solvers import Info, Solver, SolverLike, State

Arrays = tuple[Params, Targets, LossWeights]


class Problem(NamedTuple):
    """The static part of an optimisation, which decides which program is compiled.

    Attributes:
      spec: what is compared.
      solver: the solver.
      lanes: whether there are lanes of images.
      sharding: how an image lies on several devices.
      brief: whether there are so few steps that compiling takes longer.
    """

    spec: LossSpec
    solver: Solver
    lanes: bool
    sharding: NamedSharding | None
    brief: bool = False

    def objective(self, arrays: Arrays) -> solvers.Objective:
        """Returns what a solver minimises over one image."""
        params, targets, weights = arrays
        return lambda image: objective_of_resolved(image, params, targets, weights, spec=self.spec)

    def map(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Maps a function of (state, arrays, another) over the lanes, if there are any."""
        if not self.lanes:
            return function
        arrays = (None, 0, 0)  # all lanes share the network
        return jax.vmap(function, in_axes=(0, arrays, 0))

    def place(self, state: State) -> State:
        """Spreads every array of the image's size over the devices in the same way as the image."""
        if self.sharding is None:
            return state
        mesh, spec = self.sharding.mesh, tuple(self.sharding.spec)

        def constrain(leaf: Array) -> Array:
            parts: tuple[Any, ...] = ()
            if self.lanes:
                parts = spec[: min(1, leaf.ndim)]
            elif leaf.shape[-3:] == state.image.shape:
                parts = (None,) * (leaf.ndim - 3) + spec
            sharding = NamedSharding(mesh, PartitionSpec(*parts))  # type: ignore[no-untyped-call]
            return jax.lax.with_sharding_constraint(leaf, sharding)  # type: ignore[no-any-return, no-untyped-call]

        placed: State = jax.tree.map(constrain, state)
        return placed


def sharding_of(image: Array) -> NamedSharding | None:
    """Returns how an image lies on several devices; None if it is on one, and inside `jit`."""
    if isinstance(image, jax.core.Tracer):
        return None
    sharding = image.sharding
    if isinstance(sharding, NamedSharding) and not sharding.is_fully_replicated:
        return sharding
    return None


def start(
    image: Array,
    arrays: Arrays,
    learning_rate: Array | None,
    problem: Problem,
    *,
    by_step: bool,
) -> tuple[State, Info]:
    """Starts a descent: returns what it carries, and the `Info` of the image as it is.

    Args:
      image: `[H, W, 3]`, or lanes `[N, H, W, 3]`.
      arrays: the network's parameters, targets and weights.
      learning_rate: in place of the solver's own; a scalar, or `[N]` for lanes.
      problem: what is compiled.
      by_step: whether to use the program of the steps where that is possible, which halves what has
        to be compiled.

    Returns:
      What a descent carries, see `advance`, and the `Info`.
    """
    by_step = by_step and learning_rate is None and problem.solver.begin is not None
    # A step that moves nothing has no derivative, because the norm of its pair is the root of zero.
    if by_step and not is_traced((image, arrays)):
        return _start_by_step(image, arrays, problem)
    started: tuple[State, Info] = _start(image, arrays, learning_rate, problem=problem)
    return started


def start_forms(
    image: Array, params: Params, targets: Targets, *, spec: LossSpec, solver: Solver
) -> tuple[State, Info]:
    """Returns the shapes and types of what a descent of one image carries, and runs nothing.

    Args:
      image: `[H, W, 3]`.
      params: the network's parameters.
      targets: from `compute_targets`.
      spec: what is compared.
      solver: from `jaxstyle.solvers`.

    Returns:
      The forms of what it carries, see `advance`, and of the `Info`.
    """
    problem = Problem(spec, solver, False, None)
    arrays = (params, targets, LossWeights().resolve(spec))
    forms: tuple[State, Info] = jax.eval_shape(
        functools.partial(_start, problem=problem), image, arrays, None
    )
    return forms


def compile_step(
    params: Params,
    shape: tuple[int, int],
    *,
    spec: LossSpec = LossSpec(),
    solver: SolverLike | None = None,
    lanes: int | None = None,
    targets: Targets | None = None,
) -> Any:
    """Compiles the program in which `descend` spends its time, and runs and allocates nothing.

    Args:
      params: the network's parameters.
      shape: height and width of the image.
      spec: what is compared.
      solver: from `jaxstyle.solvers`; `lbfgs()` by default.
      lanes: how many images at once; None for one without a leading axis.
      targets: of one image, or their shapes and types; those of a single style by default.

    Returns:
      A `jax.stages.Compiled`, whose `memory_analysis()` and `cost_analysis()` tell what it costs.
    """
    solver = solvers.as_solver(solver)
    problem = Problem(spec, solver, lanes is not None, None)
    image = jax.eval_shape(lambda: jnp.zeros((*shape, 3)))
    if targets is None:
        measure = functools.partial(compute_targets, spec=spec)
        targets = jax.eval_shape(measure, params, image, image)
    params = jax.eval_shape(lambda params: prepare_params(params, shape, spec), params)
    weights = jax.eval_shape(lambda: LossWeights().resolve(spec))
    if lanes is not None:
        image, targets, weights = jax.eval_shape(
            functools.partial(jax.tree.map, lambda leaf: jnp.stack([leaf] * lanes)),
            (image, targets, weights),
        )
    arrays = (params, targets, weights)
    state, info = jax.eval_shape(functools.partial(_start, problem=problem), image, arrays, None)
    length = steps_per_call(10**9)
    return advance.lower(state, info, arrays, problem=problem, length=length).compile()


def steps_per_call(num_steps: int) -> int:
    """Returns how many steps go into one compiled program."""
    if is_tracing():
        return num_steps  # inside jit, all steps are part of the caller's program
    # XLA's CPU compiler makes convolutions inside loops slow (jax-ml/jax issue 12868): a third of
    # the speed here. Accelerators gain from fewer launches.
    return 1 if jax.default_backend() == "cpu" else 10


def _carry(state: State, info: Info) -> tuple[State, Info]:
    """Returns what a descent carries at its start, where the best image is that of the solver."""
    return State(state.image, state), info


@functools.partial(kept, static_argnames="problem", hurry=once(0))
def _start(
    image: Array,
    arrays: Arrays,
    learning_rate: Array | None,
    *,
    problem: Problem,
) -> tuple[State, Info]:
    def start(image: Array, arrays: Any, learning_rate: Array | None) -> tuple[State, Info]:
        state, info = problem.solver.init(problem.objective(arrays), image)
        if learning_rate is not None:
            state = solvers.set_learning_rate(state, learning_rate)
        return _carry(state, info)

    state, info = problem.map(start)(image, arrays, learning_rate)
    return problem.place(state), info


def _start_by_step(image: Array, arrays: Arrays, problem: Problem) -> tuple[State, Info]:
    """Returns what `_start` returns, by the program of the steps, which halves what is compiled."""
    state, info = _rest(image, arrays, problem=problem)
    state, _, _ = advance(state, info, arrays, problem=problem, length=1)
    started: tuple[State, Info] = _begin(state, problem=problem)
    return started


@functools.partial(kept, static_argnames="problem", hurry=always)
def _rest(image: Array, arrays: Arrays, *, problem: Problem) -> tuple[State, Info]:
    """Returns the start of a descent whose objective is zero everywhere."""

    def evaluate(image: Array, arrays: Any, _: None) -> Any:
        return problem.objective(arrays)(image)

    forms = jax.eval_shape(problem.map(evaluate), image, arrays, None)
    value = jax.tree.map(lambda form: jnp.zeros(form.shape, form.dtype), forms)

    def rest(image: Array, value: Any) -> tuple[State, Info]:
        return _carry(*problem.solver.init(lambda _: value, image))

    state, info = (jax.vmap(rest) if problem.lanes else rest)(image, value)
    return problem.place(state), info


@functools.partial(kept, static_argnames="problem", hurry=always)
def _begin(state: State, *, problem: Problem) -> tuple[State, Info]:
    def begin(state: State) -> tuple[State, Info]:
        assert problem.solver.begin is not None
        return _carry(*problem.solver.begin(state.inner))

    state, info = (jax.vmap(begin) if problem.lanes else begin)(state)
    return problem.place(state), info


@functools.partial(
    kept,
    static_argnames=("problem", "length"),
    donated=(0,),  # what a solver remembers is most of what a step holds, and need not be copied
    hurry=lambda _, static: static["problem"].brief,
)
def advance(
    state: State,
    info: Info,
    arrays: Arrays,
    *,
    problem: Problem,
    length: int,
) -> tuple[State, Info, Info]:
    """Takes some steps of the solver, and keeps the best image.

    A step whose loss is not below the least so far leaves image, loss and terms as they were; the
    solver itself goes on from where the step led. After a loss that is not finite the image never
    changes again.

    Args:
      state: the best image, and in `inner` the solver's state; for lanes, every leaf has a leading
        axis. It is given up: its arrays are no more.
      info: the `Info` of the step before, with the loss and the terms of the best image.
      arrays: the network's parameters, targets and weights.
      problem: what is compiled; static.
      length: how many steps; static.

    Returns:
      The state and `Info` after the last step, and the `Info` of each step. The leaves of the
      latter are `[length]`, or `[length, lanes]` for lanes.
    """

    def step_one(state: State, arrays: Any, info: Info) -> tuple[State, Info]:
        solver_state, new = problem.solver.step(problem.objective(arrays), state.inner)
        finite = jnp.isfinite(new.loss) & new.finite & info.finite
        better = finite & (new.loss < info.loss)
        image, loss, terms = jax.tree.map(
            lambda new, old: jnp.where(better, new, old),
            (solver_state.image, new.loss, new.terms),
            (state.image, info.loss, info.terms),
        )
        return State(image, solver_state), Info(loss, terms, new.evaluations, finite)

    def step(carry: tuple[State, Info], _: None) -> tuple[tuple[State, Info], Info]:
        state, info = problem.map(step_one)(carry[0], arrays, carry[1])
        return (problem.place(state), info), info

    if length == 1:
        (state, info), _ = step((state, info), None)
        return state, info, jax.tree.map(lambda leaf: leaf[None], info)
    (state, info), steps = jax.lax.scan(step, (state, info), length=length)
    return state, info, steps
