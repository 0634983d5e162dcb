"""Trains networks that paint in one pass, by the losses that optimisation minimises.

A step is a pure function of the state and a few pictures. What is random in it depends on the seed
and on the number of the step alone, so a training that was interrupted ends with the same bits as
one that was not.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.network import count_styles, paint
from jaxstyle.feedforward.prediction import predict_styles, row_of
from jaxstyle.losses.features import prepare_params
from jaxstyle.losses.objective import objective
from jaxstyle.losses.spec import LossSpec, LossWeights
from jaxstyle.losses.targets import Targets, content_targets, measure_style

Params = Mapping[str, Any]

_MEASURED = ("colors", "conditions", "standard")
_CLIP = 20.0
_MOST_LOST = 1000  # steps in a row, after which the training is beyond help


class Teacher(NamedTuple):
    """What judges the pictures of a stage of training.

    Attributes:
      params: the loss network's parameters.
      spec: what is compared; static.
      weights: how much each part of the objective counts.
      styles: the statistics of the paintings; every leaf has a leading axis, one entry per style.
      first: the number that the first of them has among the network's styles.
    """

    params: Params
    spec: LossSpec
    weights: LossWeights
    styles: Mapping[str, Any]
    first: int = 0


class TrainState(NamedTuple):
    """What training carries from step to step.

    Attributes:
      step: steps done.
      params: the network's parameters.
      average: their exponential moving average, which is the network that is kept.
      optimizer: the state of optax.
    """

    step: Array
    params: Any
    average: Any
    optimizer: Any


class Report(NamedTuple):
    """What is known of a step.

    Attributes:
      loss: the mean logarithm of the objective.
      content: the sum of its content terms, as they are weighed.
      style: the sum of its style terms, likewise.
    """

    loss: Array
    content: Array
    style: Array


def make_teacher(
    params: Params,
    paintings: Sequence[Array],
    side: int,
    *,
    spec: LossSpec,
    weights: LossWeights,
    first: int = 0,
) -> Teacher:
    """Returns a teacher of several paintings.

    Args:
      params: the loss network's parameters.
      paintings: `[H, W, 3]`, of any sizes.
      side: of the crops that it will judge.
      spec: what is compared.
      weights: how much each part counts.
      first: the number of the first painting among the network's styles.
    """
    measured = [measure_style(params, painting, spec=spec) for painting in paintings]
    styles = jax.tree.map(lambda *leaves: jnp.stack(leaves), *measured)
    prepared = prepare_params(params, (side, side), spec)
    return Teacher(prepared, spec, weights.resolve(spec), styles, first)


@functools.cache  # one object for the same values, so that `update` is compiled once for them
def make_optimizer(rate: float, steps: int) -> optax.GradientTransformation:
    """Returns Adam on clipped gradients; a gradient that is not finite changes nothing.

    Args:
      rate: the highest learning rate. It rises over the first hundredth of the steps, and falls
        along a cosine to nothing.
      steps: of the whole training.
    """
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, steps // 100, steps)
    adam = optax.chain(optax.clip_by_global_norm(_CLIP), optax.adam(schedule))
    return optax.apply_if_finite(adam, max_consecutive_errors=_MOST_LOST)


def begin(params: Params, optimizer: optax.GradientTransformation) -> TrainState:
    """Returns the state before the first step.

    Args:
      params: the network to begin with.
      optimizer: of the training.
    """
    learned, _ = split_measured(params)
    # Copies, because a step takes over the memory of the state that it is given.
    params, average = (jax.tree.map(jnp.array, params) for _ in range(2))
    return TrainState(jnp.int32(0), params, average, optimizer.init(learned))


def loss_and_gradient(
    params: Params,
    photograph: Array,
    style: Array,
    teacher: Teacher,
    *,
    architecture: Architecture,
) -> tuple[Report, Any]:
    """Returns what a teacher says of one picture, and the gradient for the network.

    The loss is the logarithm of the objective: it gives an image that is hard and one that is easy
    the same influence, and a strong style and a weak one.

    Args:
      params: the network's parameters.
      photograph: `[H, W, 3]` in [0, 1].
      style: the number of the style in the network.
      teacher: the judge.
      architecture: of the network.
    """
    learned, fixed = split_measured(params)
    targets = content_targets(teacher.params, photograph, teacher.spec)
    targets = targets._replace(
        style=jax.tree.map(lambda leaf: leaf[style - teacher.first], teacher.styles)
    )

    def loss(learned: Any) -> tuple[Array, Report]:
        image = _paint_style({**learned, **fixed}, photograph, style, architecture)
        total, content, painted = judge(image, teacher, targets)
        logarithm = jnp.log(total)
        return logarithm, Report(logarithm, content, painted)

    gradient, report = jax.grad(loss, has_aux=True)(learned)
    return report, gradient


def judge(image: Array, teacher: Teacher, targets: Targets) -> tuple[Array, Array, Array]:
    """Returns the objective of a picture, the sum of its content terms and that of its style terms.

    Args:
      image: `[H, W, 3]`.
      teacher: the judge.
      targets: what the picture is compared with.
    """
    value = objective(image, teacher.params, targets, teacher.weights, spec=teacher.spec)
    terms: dict[str, Array] = {"content": jnp.float32(0), "style": jnp.float32(0)}
    for name, term in value.terms.items():
        kind = name.partition("/")[0]
        if kind in terms:
            terms[kind] = terms[kind] + term
    return value.total, terms["content"], terms["style"]


def _paint_style(params: Params, photograph: Array, style: Array, form: Architecture) -> Array:
    """Paints in the style of a number, or like the painting of that number."""
    if "predictor" not in params:
        chosen = jax.nn.one_hot(style, count_styles(params))
        return paint(params, photograph, chosen, architecture=form)
    condition = params["conditions"]["known"][style][None]
    own = {name: leaf for name, leaf in params.items() if name not in ("conditions", "colors")}
    predicted = predict_styles(own, condition, row_of(params["colors"], style))
    return paint(predicted, photograph, jnp.ones(1), architecture=form)


@functools.partial(jax.jit, static_argnames=("architecture", "spec"))
def batch_gradient(
    params: Params,
    photographs: Array,
    styles: Array,
    teacher: tuple[Any, ...],
    *,
    architecture: Architecture,
    spec: LossSpec,
) -> tuple[Report, Any]:
    """Returns the mean of `loss_and_gradient` over a few pictures.

    Args:
      params: the network's parameters.
      photographs: `[B, H, W, 3]` uint8.
      styles: `[B]`, the number of the style of each.
      teacher: a `Teacher` without its spec: parameters, weights, styles and the first's number.
      architecture: of the network.
      spec: of the teacher.
    """
    judged, weights, measured, first = teacher

    def one(photograph: Array, style: Array) -> tuple[Report, Any]:
        image = photograph.astype(jnp.float32) / 255
        whole = Teacher(judged, spec, weights, measured, first)
        return loss_and_gradient(params, image, style, whole, architecture=architecture)

    found: tuple[Report, Any] = mean_gradient(one, photographs, styles)
    return found


def mean_gradient(one: Callable[[Any, Array], Any], examples: Any, styles: Array) -> Any:
    """Returns the mean of a function over a few examples.

    Args:
      one: the function, of an example and the number of a style.
      examples: arrays with a leading axis, one entry per example.
      styles: `[B]`, the number of the style of each.
    """
    if len(styles) == 1:  # without an axis that costs time on a CPU
        return one(jax.tree.map(lambda leaf: leaf[0], examples), styles[0])
    found = jax.vmap(one)(examples, styles)
    return jax.tree.map(lambda leaf: jnp.mean(leaf, 0), found)


@functools.partial(jax.jit, donate_argnums=0, static_argnames="optimizer")
def update(
    state: TrainState,
    gradient: Any,
    decay: Array,
    mask: Any = None,
    *,
    optimizer: optax.GradientTransformation,
) -> TrainState:
    """Returns the state after a step along a gradient.

    Args:
      state: before the step; its memory is used again.
      gradient: of the parameters without the colours.
      decay: of the moving average.
      mask: what may change: one there and zero elsewhere, for each layer; None for everything.
      optimizer: the one that the state was begun with; static.
    """
    learned, fixed = split_measured(state.params)
    if mask is not None:
        gradient = jax.tree.map(jnp.multiply, gradient, mask)
    updates, inner = optimizer.update(gradient, state.optimizer, learned)
    learned = optax.apply_updates(learned, updates)
    before, _ = split_measured(state.average)
    average = optax.incremental_update(learned, before, 1 - decay)
    if mask is not None:  # what may not change keeps its bits, which a mean of equals may not
        average = jax.tree.map(
            lambda free, new, old: jnp.where(free, new, old), mask, average, before
        )
    return TrainState(state.step + 1, {**learned, **fixed}, {**average, **fixed}, inner)


def split_measured(params: Params) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns what is learned, and what is measured: the colours and conditions of paintings."""
    learned = {name: leaf for name, leaf in params.items() if name not in _MEASURED}
    return learned, {name: leaf for name, leaf in params.items() if name in _MEASURED}
