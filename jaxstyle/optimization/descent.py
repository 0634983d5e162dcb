"""The descent: a solver's steps on one image or on many, in compiled chunks.

A chunk of steps is one program. The loop over chunks runs on the host, so that progress, snapshots
and interruption work between them. Lanes of a batch never mix: each has its own image, targets,
weights and solver state, and they share the network alone.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle import solvers
from jaxstyle._common.arrays import is_traced, is_tracing, to_device
from jaxstyle._common.checks import check_amount, check_count, check_image, describe
from jaxstyle._common.sharding import beside, on_any_mesh
from jaxstyle.losses.features import prepare_params, settle
from jaxstyle.losses.spec import LossSpec, LossWeights, resolve_weights
from jaxstyle.losses.targets import Targets
from jaxstyle.networks.vgg import Params
from jaxstyle.optimization.step import (
    Problem,
    advance,
    sharding_of,
    start,
    steps_per_call,
)
from jaxstyle.solvers import Info, SolverLike, State

Callback = Callable[[int, Array, Info], None]


class Result(NamedTuple):
    """The outcome of an optimisation.

    Attributes:
      image: `[H, W, 3]` float32, the one with the least loss; in [0, 1] within rounding where the
        weights keep the range, otherwise to be clipped.
      info: `jaxstyle.solvers.Info` of the start and of every step: each leaf is `[num_steps + 1]`.
        Loss and terms are those of the best image so far, so `info.loss[-1]` is the loss of
        `image`. Where a loss was not finite, `info.finite` is False from that step on, and nothing
        changes any more.
    """

    image: Array
    info: Info

    def __repr__(self) -> str:
        """Returns the size of the image, the steps and the loss, and no arrays."""
        return f"Result(image {list(self.image.shape)}, {brief_info(self.info)})"


class Progress(NamedTuple):
    """How far a descent has come, with all that is needed to go on from there.

    The picture is `targets.seen(state.image)`.

    Attributes:
      step: steps done.
      state: the best image so far, and in `inner` the solver's state. For lanes, every leaf has a
        leading axis.
      info: `jaxstyle.solvers.Info` of the steps since the last report, the first time also that of
        the start: leaves `[n]`, for lanes `[n, lanes]`.
    """

    step: int
    state: State
    info: Info

    def __repr__(self) -> str:
        """Returns the steps, the size of the image and the loss, and no arrays."""
        image = list(self.state.image.shape)
        return f"Progress(step {self.step}, image {image}, {brief_info(self.info)})"


def brief_info(info: Info) -> str:
    """Returns how the loss went: "300 steps, loss 1.2e+06 to 8.7e+03" for a single picture."""
    shape = list(info.loss.shape)
    known = isinstance(info.loss, Array | np.ndarray) and not is_traced(info)
    if not known or len(shape) != 1 or not getattr(info.loss, "is_fully_addressable", True):
        return f"loss {shape}"
    loss, finite = jax.device_get((info.loss, info.finite))
    ends = f"loss {loss[0]:.3g} to {loss[-1]:.3g}"
    return f"{len(loss) - 1} steps, {ends}{'' if finite[-1] else ', which ceased to be finite'}"


@on_any_mesh
def optimize(
    image: Array,
    params: Params,
    targets: Targets,
    *,
    spec: LossSpec = LossSpec(),
    weights: LossWeights = LossWeights(),
    solver: SolverLike | None = None,
    learning_rate: ArrayLike | None = None,
    num_steps: int = 300,
    callback: Callback | None = None,
    callback_every: int = 10,
) -> Result:
    """Minimises the objective over the pixels of an image.

    The image with the least loss is kept, whatever the solver's last step is. After a loss that is
    not finite nothing changes any more; under `vmap` the other lanes go on.

    Args:
      image: `[H, W, 3]`, where to start.
      params: the network's parameters.
      targets: from `compute_targets` with the same `spec`.
      spec: what is compared; static.
      weights: how much each part of the objective counts.
      solver: from `jaxstyle.solvers`, a solver's name, or an optax transformation;
        `jaxstyle.solvers.lbfgs()` by default.
      learning_rate: replaces the solver's own, for solvers that have one. It is an array, so
        another value compiles nothing.
      num_steps: steps of the solver, at least one; static.
      callback: is called with the number of steps done, the best image and the
        `jaxstyle.solvers.Info` of the steps since the last call (the first time also that of the
        start). It may raise to stop early. It cannot be used inside `jit` or `vmap`.
      callback_every: steps between calls.

    Returns:
      `Result(image, info)`.

    Raises:
      ValueError: if an argument does not fit, or `num_steps` or `callback_every` is less than one.
    """
    check_image(image, "image")
    check_callback(callback, callback_every, (image, params, targets, weights, learning_rate))
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


def check_callback(callback: Callback | None, every: int, arrays: Any) -> None:
    """Raises `TypeError` or `ValueError` unless a callback can be called between steps.

    Args:
      callback: what is called, or None.
      every: steps between calls.
      arrays: what the run computes with.
    """
    check_count(every, "callback_every")
    if callback is None:
        return
    if not callable(callback):
        raise TypeError(
            f"callback should be a function (step, image, info), got {describe(callback)}"
        )
    if is_tracing() or is_traced(arrays):
        raise ValueError(
            "callback cannot be called inside jit, vmap or grad, where the steps are one program; "
            "leave it out there, or call the function without them"
        )


def descend(
    image: Array,
    params: Params,
    targets: Targets,
    *,
    spec: LossSpec = LossSpec(),
    weights: LossWeights = LossWeights(),
    solver: SolverLike | None = None,
    learning_rate: ArrayLike | None = None,
    num_steps: int = 300,
    every: int = 10,
    resume: Progress | None = None,
    brief: bool = False,
) -> Iterator[Progress]:
    """Runs the optimisation of `optimize` as an iterator, for one image or for lanes of images.

    Args:
      image: `[H, W, 3]`, or lanes `[N, H, W, 3]`. If it lies on several devices, by rows or by
        lanes, everything of its size does too.
      params: the network's parameters.
      targets: from `compute_targets`; for lanes, with a leading axis on every leaf.
      spec: what is compared; static.
      weights: as for `optimize`; for lanes, resolved and with a leading axis on every leaf.
      solver: from `jaxstyle.solvers`, a solver's name, or an optax transformation;
        `jaxstyle.solvers.lbfgs()` by default.
      learning_rate: a scalar, for lanes `[N]`; see `optimize`.
      num_steps: steps of the solver, at least one; static.
      every: steps between reports, at least one.
      resume: a report of a descent that was begun with the same arguments; the descent goes on
        from it. On the same device it ends with the same bits as one that was never interrupted.
      brief: whether there are so few steps that a CPU's program should be compiled sooner rather
        than run faster; static.

    Yields:
      `jaxstyle.optimization.descent.Progress` after every `every` steps and after the last one.

    Raises:
      ValueError: if `num_steps` or `every` is less than one, or the solver has no learning rate.

    Example:
      >>> from jaxstyle import compute_targets
      >>> from jaxstyle.networks import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=())
      >>> targets = compute_targets(params, jnp.ones((8, 8, 3)), None, spec)
      >>> for progress in descend(jnp.zeros((8, 8, 3)), params, targets, spec=spec, num_steps=20):
      ...     print(progress.step, progress.info.loss.shape)
      10 (11,)
      20 (10,)
    """
    image = to_device(image)
    return descend_resolved(
        image, params, targets, spec=spec, solver=solver, learning_rate=learning_rate,
        weights=weights if image.ndim == 4 else resolve_weights(weights, spec),
        num_steps=num_steps, every=every, resume=resume, brief=brief,
    )  # fmt: skip


def descend_resolved(
    image: Array,
    params: Params,
    targets: Targets,
    *,
    spec: LossSpec,
    weights: LossWeights,
    solver: SolverLike | None,
    learning_rate: ArrayLike | None,
    num_steps: int,
    every: int,
    resume: Progress | None = None,
    brief: bool = False,
) -> Iterator[Progress]:
    """Runs `descend` for a float32 image and weights that are resolved already."""
    num_steps, every = check_count(num_steps, "num_steps"), check_count(every, "every")
    lanes = image.ndim == 4
    solver = solvers.as_solver(solver)
    spec = settle(spec, image)
    problem = Problem(spec, solver, lanes, sharding_of(image), brief)
    params, weights = beside((params, weights), image)
    params = prepare_params(params, image.shape[-3:-1], spec)
    arrays = (params, targets, weights)
    per_call = steps_per_call(num_steps)
    infos = []
    if resume is None:
        lanes_shape = image.shape[:1] if lanes else ()
        rate = None if learning_rate is None else _learning_rate(learning_rate, lanes_shape)
        state, info = start(image, arrays, rate, problem, by_step=per_call == 1)
        infos.append(_as_row(info))
        done = 0
    else:
        done, state = resume.step, _copied(resume.state)
        info = jax.tree.map(lambda leaf: jnp.asarray(leaf)[-1], resume.info)
    while done < num_steps:
        # As if it had never stopped: the same chunks give the same bits.
        length = min(per_call, num_steps - done, every - done % every)
        state, info, steps = advance(state, info, arrays, problem=problem, length=length)
        infos.append(steps)
        done += length
        if not isinstance(info.loss, jax.core.Tracer):
            # Steps dispatched ahead would each hold a history of their own.
            info.loss.block_until_ready()
        if done % every == 0 or done == num_steps:
            yield Progress(
                done, state if done == num_steps else _copied(state), _concatenate(infos)
            )
            infos = []


def _copied(state: State) -> State:
    """Returns a copy, which stays when the next step gives up what the state was."""
    if is_traced(state):
        return state
    copies: State = jax.tree.map(
        lambda leaf: jax.device_put(leaf, getattr(leaf, "sharding", None), may_alias=False), state
    )
    return copies


def _as_row(info: Info) -> Info:
    """Returns the `Info` of one moment as that of a list of moments."""
    # Not jnp, as below.
    row: Info = jax.tree.map(
        lambda leaf: leaf[None], info if is_traced(info) else jax.device_get(info)
    )
    return row


def _concatenate(infos: list[Info]) -> Info:
    if is_traced(infos):
        joined: Info = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *infos)
        return joined
    # Not jnp: it would compile a program for every number of parts.
    host = jax.tree.map(lambda *leaves: np.concatenate(leaves), *jax.device_get(infos))
    whole: Info = jax.device_put(host)
    return whole


def _learning_rate(rate: ArrayLike, shape: tuple[int, ...]) -> Array:
    if callable(rate):
        raise TypeError(
            f"learning_rate should be a number or an array, got {describe(rate)}; "
            "for a schedule use solver=optax.adam(schedule)"
        )
    # What is on the device may be traced, and to look at it would wait for it.
    if not isinstance(rate, Array):
        check_amount(rate, "learning_rate", zero=False)
    placed = to_device(rate)
    if placed.shape != shape:
        wanted = f"of shape {list(shape)}, one per lane" if shape else "a scalar"
        raise ValueError(f"learning_rate should be {wanted}, got shape {list(placed.shape)}")
    return placed
