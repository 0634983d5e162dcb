"""The way down: a solver's steps on one image or on many, in compiled chunks.

The loop over chunks runs on the host, so that progress, snapshots and interruption work between
them; what is inside a chunk is one program. Lanes of a batch never mix: each has its own image,
targets, weights and solver state, and only the network is shared.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from jaxstyle import solvers
from jaxstyle.checks import check_image
from jaxstyle.objective import objective
from jaxstyle.solvers import Info, Solver, State
from jaxstyle.spec import LossSpec, LossWeights, prepare_params, suit_spec
from jaxstyle.targets import Targets, compute_targets
from jaxstyle.vgg import Params

Callback = Callable[[int, Array, Info], None]


class Result(NamedTuple):
    """The outcome of an optimisation.

    Attributes:
      image: `[H, W, 3]` float32; in [0, 1] within rounding where the weights keep the range,
        otherwise to be clipped.
      info: `Info` of the start and of every step: each leaf is `[num_steps + 1]`. Where a loss
        was not finite, `info.finite` is False from that step on, and `image`, loss and terms stay
        those of the last good step.
    """

    image: Array
    info: Info


class Progress(NamedTuple):
    """How far a descent has come: all that is needed to go on from here.

    The picture is `targets.seen(state.image)`.

    Attributes:
      step: steps done.
      state: the solver's state, with the image. For lanes, every leaf has a leading axis.
      info: `Info` of the steps since the last report, the first time also that of the start:
        leaves `[n]`, for lanes `[n, lanes]`.
    """

    step: int
    state: State
    info: Info


def optimize(
    image: Array,
    params: Params,
    targets: Targets,
    *,
    spec: LossSpec = LossSpec(),
    weights: LossWeights = LossWeights(),
    solver: Solver | None = None,
    learning_rate: ArrayLike | None = None,
    num_steps: int = 300,
    callback: Callback | None = None,
    callback_every: int = 10,
) -> Result:
    """Minimises the objective over the pixels of an image.

    A step whose loss is not finite is undone, and the image stays as it was: under `vmap` the
    other lanes go on.

    Args:
      image: `[H, W, 3]`, where to start.
      params: the network's parameters.
      targets: from `compute_targets` with the same `spec`.
      spec: what is compared; static.
      weights: how much each part of the objective counts.
      solver: from `jaxstyle.solvers`; `lbfgs()` by default.
      learning_rate: in place of the solver's own, for solvers that have one; an array, so that
        another value compiles nothing.
      num_steps: steps of the solver, at least one; static.
      callback: called with the number of steps done, the image and the `Info` of the steps since
        the last call (the first time also that of the start). It may raise to stop early. Not
        possible inside `jit` or `vmap`.
      callback_every: steps between calls.

    Returns:
      `Result(image, info)`.

    Raises:
      ValueError: if an argument does not fit, or `num_steps` or `callback_every` is less than one.
    """
    if callback_every < 1:
        raise ValueError(f"callback_every should be at least 1, got {callback_every}")
    check_image(image, "image")
    infos = []
    for progress in descend(
        image, params, targets, spec=spec, weights=weights, solver=solver,
        learning_rate=learning_rate, num_steps=num_steps,
        every=num_steps if callback is None else callback_every,
    ):  # fmt: skip
        infos.append(progress.info)
        if callback is not None:
            callback(progress.step, targets.seen(progress.state.image), progress.info)
    return Result(targets.seen(progress.state.image), _concatenate(infos))


def descend(
    image: Array,
    params: Params,
    targets: Targets,
    *,
    spec: LossSpec = LossSpec(),
    weights: LossWeights = LossWeights(),
    solver: Solver | None = None,
    learning_rate: ArrayLike | None = None,
    num_steps: int = 300,
    every: int = 10,
    resume: Progress | None = None,
) -> Iterator[Progress]:
    """The optimisation of `optimize` as an iterator, for one image or for lanes of images.

    Args:
      image: `[H, W, 3]`, or lanes `[N, H, W, 3]`. If it lies on several devices, by rows or by
        lanes, so does everything of its size.
      params: the network's parameters.
      targets: from `compute_targets`; for lanes, with a leading axis on every leaf.
      spec: what is compared; static.
      weights: as for `optimize`; for lanes, resolved and with a leading axis on every leaf.
      solver: from `jaxstyle.solvers`; `lbfgs()` by default.
      learning_rate: a scalar, for lanes `[N]`; see `optimize`.
      num_steps: steps of the solver, at least one; static.
      every: steps between reports, at least one.
      resume: go on from this report of a descent that was begun with the same arguments. Its end
        is, bit for bit on the same device, that of a descent which was never interrupted.

    Yields:
      `Progress` after every `every` steps and after the last one.

    Raises:
      ValueError: if `num_steps` or `every` is less than one, or the solver has no learning rate.

    Example:
      >>> from jaxstyle import compute_targets, vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=())
      >>> targets = compute_targets(params, jnp.ones((8, 8, 3)), None, spec)
      >>> for progress in descend(jnp.zeros((8, 8, 3)), params, targets, spec=spec, num_steps=20):
      ...     print(progress.step, progress.info.loss.shape)
      10 (11,)
      20 (10,)
    """
    for name, value in (("num_steps", num_steps), ("every", every)):
        if value < 1:
            raise ValueError(f"{name} should be at least 1, got {value}")
    image = jnp.asarray(image, jnp.float32)
    lanes = image.ndim == 4
    solver = solvers.lbfgs() if solver is None else solver
    spec = suit_spec(spec, image)
    problem = _Problem(spec, solver, lanes, _sharding_of(image))
    params = prepare_params(params, image.shape[-3:-1], spec)
    arrays = (params, targets, weights if lanes else weights.resolve(spec))
    rate = None if learning_rate is None else jnp.asarray(learning_rate, jnp.float32)
    steps_per_call = _steps_per_call(num_steps)
    infos = []
    if resume is None:
        by_step = steps_per_call == 1 and rate is None and solver.begin is not None
        # A step that moves nothing has no derivative: the norm of its pair is the root of zero.
        if by_step and not _is_traced((image, arrays)):
            state, info = _start_by_step(image, arrays, problem)
        else:
            state, info = _start(image, arrays, rate, problem=problem)
        infos.append(jax.tree.map(lambda leaf: leaf[None], info))
        done = 0
    else:
        done, state = resume.step, resume.state
        info = jax.tree.map(lambda leaf: leaf[-1], resume.info)
    while done < num_steps:
        # As if it had never stopped: the same chunks give the same bits.
        length = min(steps_per_call, num_steps - done, every - done % every)
        state, info, steps = _advance(state, info, arrays, problem=problem, length=length)
        infos.append(steps)
        done += length
        if not isinstance(info.loss, jax.core.Tracer):
            # Steps dispatched ahead would each hold a history of their own.
            info.loss.block_until_ready()
        if done % every == 0 or done == num_steps:
            yield Progress(done, state, _concatenate(infos))
            infos = []


def start_forms(
    image: Array, params: Params, targets: Targets, *, spec: LossSpec, solver: Solver
) -> tuple[State, Info]:
    """The shapes and types of what a descent of one image carries, without running anything.

    Args:
      image: `[H, W, 3]`.
      params: the network's parameters.
      targets: from `compute_targets`.
      spec: what is compared.
      solver: from `jaxstyle.solvers`.
    """
    problem = _Problem(spec, solver, False, None)
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
    solver: Solver | None = None,
    lanes: int | None = None,
) -> Any:
    """The program that `descend` spends its time in, compiled without running or allocating.

    Args:
      params: the network's parameters.
      shape: height and width of the image.
      spec: what is compared.
      solver: from `jaxstyle.solvers`; `lbfgs()` by default.
      lanes: how many images at once; None for one without a leading axis.

    Returns:
      A `jax.stages.Compiled`, whose `memory_analysis()` and `cost_analysis()` tell what it takes.
    """
    solver = solvers.lbfgs() if solver is None else solver
    problem = _Problem(spec, solver, lanes is not None, None)
    image = jax.eval_shape(lambda: jnp.zeros((*shape, 3)))
    targets = jax.eval_shape(functools.partial(compute_targets, spec=spec), params, image, image)
    params = jax.eval_shape(lambda params: prepare_params(params, shape, spec), params)
    weights = jax.eval_shape(lambda: LossWeights().resolve(spec))
    if lanes is not None:
        image, targets, weights = jax.eval_shape(
            functools.partial(jax.tree.map, lambda leaf: jnp.stack([leaf] * lanes)),
            (image, targets, weights),
        )
    arrays = (params, targets, weights)
    state, info = jax.eval_shape(functools.partial(_start, problem=problem), image, arrays, None)
    length = _steps_per_call(10**9)
    return _advance.lower(state, info, arrays, problem=problem, length=length).compile()


def _steps_per_call(num_steps: int) -> int:
    """How many steps go into one compiled program."""
    if isinstance(jnp.zeros(()) + 0, jax.core.Tracer):
        return num_steps  # inside jit: all of them are part of the caller's program
    # XLA's CPU compiler gives convolutions inside loops a slow kernel (jax-ml/jax issue 12868),
    # a third of the speed here; accelerators gain from fewer launches.
    return 1 if jax.default_backend() == "cpu" else 10


class _Problem(NamedTuple):
    """The static half of an optimisation: which program is compiled."""

    spec: LossSpec
    solver: Solver
    lanes: bool
    sharding: NamedSharding | None

    def objective(self, arrays: tuple[Params, Targets, LossWeights]) -> solvers.Objective:
        params, targets, weights = arrays
        return lambda image: objective(image, params, targets, weights, spec=self.spec)

    def map(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of (state, arrays, another), over lanes if there are any."""
        if not self.lanes:
            return function
        arrays = (None, 0, 0)  # the network is everyone's
        return jax.vmap(function, in_axes=(0, arrays, 0))

    def place(self, state: State) -> State:
        """Lays everything of the image's size over the devices as the image is."""
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


def _sharding_of(image: Array) -> NamedSharding | None:
    """How an image lies on several devices; None for one, and inside `jit`."""
    if isinstance(image, jax.core.Tracer):
        return None
    sharding = image.sharding
    if isinstance(sharding, NamedSharding) and not sharding.is_fully_replicated:
        return sharding
    return None


@functools.partial(jax.jit, static_argnames="problem")
def _start(
    image: Array,
    arrays: tuple[Params, Targets, LossWeights],
    learning_rate: Array | None,
    *,
    problem: _Problem,
) -> tuple[State, Info]:
    def start(image: Array, arrays: Any, learning_rate: Array | None) -> tuple[State, Info]:
        state, info = problem.solver.init(problem.objective(arrays), image)
        if learning_rate is not None:
            state = solvers.set_learning_rate(state, learning_rate)
        return state, info

    state, info = problem.map(start)(image, arrays, learning_rate)
    return problem.place(state), info


def _start_by_step(
    image: Array, arrays: tuple[Params, Targets, LossWeights], problem: _Problem
) -> tuple[State, Info]:
    """What `_start` returns, by the program of the steps: half of what there is to compile."""

    def evaluate(image: Array, arrays: Any, _: None) -> Any:
        return problem.objective(arrays)(image)

    forms = jax.eval_shape(problem.map(evaluate), image, arrays, None)
    state, info = _rest(image, jax.tree.map(jnp.zeros_like, forms), problem=problem)
    state, _, _ = _advance(state, info, arrays, problem=problem, length=1)
    started: tuple[State, Info] = _begin(state, problem=problem)
    return started


@functools.partial(jax.jit, static_argnames="problem")
def _rest(image: Array, value: Any, *, problem: _Problem) -> tuple[State, Info]:
    def rest(image: Array, value: Any) -> tuple[State, Info]:
        return problem.solver.init(lambda _: value, image)

    state, info = (jax.vmap(rest) if problem.lanes else rest)(image, value)
    return problem.place(state), info


@functools.partial(jax.jit, static_argnames="problem")
def _begin(state: State, *, problem: _Problem) -> tuple[State, Info]:
    begin = problem.solver.begin
    assert begin is not None
    state, info = (jax.vmap(begin) if problem.lanes else begin)(state)
    return problem.place(state), info


@functools.partial(jax.jit, static_argnames=("problem", "length"))
def _advance(
    state: State,
    info: Info,
    arrays: tuple[Params, Targets, LossWeights],
    *,
    problem: _Problem,
    length: int,
) -> tuple[State, Info, Info]:
    def step_one(state: State, arrays: Any, info: Info) -> tuple[State, Info]:
        new_state, new_info = problem.solver.step(problem.objective(arrays), state)
        good = jnp.isfinite(new_info.loss) & info.finite
        # The solver's inner state may be spoilt from here on, but the image never moves again.
        image = jnp.where(good, new_state.image, state.image)
        loss, terms = jax.tree.map(
            lambda new, old: jnp.where(good, new, old),
            (new_info.loss, new_info.terms),
            (info.loss, info.terms),
        )
        new_info = Info(loss, terms, new_info.evaluations, good)
        return new_state._replace(image=image), new_info

    def step(carry: tuple[State, Info], _: None) -> tuple[tuple[State, Info], Info]:
        state, info = problem.map(step_one)(carry[0], arrays, carry[1])
        return (problem.place(state), info), info

    if length == 1:
        (state, info), _ = step((state, info), None)
        return state, info, jax.tree.map(lambda leaf: leaf[None], info)
    (state, info), steps = jax.lax.scan(step, (state, info), length=length)
    return state, info, steps


def _concatenate(infos: list[Info]) -> Info:
    if _is_traced(infos):
        joined: Info = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *infos)
        return joined
    # Not jnp: it would compile a program for every number of parts.
    host = jax.tree.map(lambda *leaves: np.concatenate(leaves), *infos)
    whole: Info = jax.device_put(host)
    return whole


def _is_traced(tree: Any) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))
