"""What a network learns from photographs that move: to paint, and to go on from frame to frame.

The network paints a short sequence and is given its own pictures. The last two frames teach it: the
one is compared with the other along the true flow (Huang et al., 2017), and the last with the first
of the sequence, so that pictures do not change little by little. One of the two, at random, is
judged as a picture is, which costs half of judging both and is the same in the mean. Some sequences
begin with the last two frames, so that it also learns to paint a first frame.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.network import count_styles, paint
from jaxstyle.feedforward.photographs import Photographs
from jaxstyle.feedforward.previous import Previous
from jaxstyle.feedforward.training import Teacher, judge, mean_gradient, split_measured
from jaxstyle.losses.spec import LossSpec
from jaxstyle.losses.targets import content_targets
from jaxstyle.video.disturbing import disturb
from jaxstyle.video.motion import MARGIN, chain, move_photograph
from jaxstyle.video.warping import temporal_loss, warp

Params = Mapping[str, Any]

TEMPORAL = 0.3
"""How much the temporal loss counts, unless another weight is asked for."""

_FRAMES = 6  # four to go on from, and two to learn from
_FIRST = 1 / 3  # of the sequences begin with the last two frames
_UNSEEN = 1e-4  # a mean squared difference that nobody sees, which is two and a half of 255
_WRONG = 0.3  # pixels by which flow that is given is off, as estimated flow is
_COARSE = 8  # pixels over which it is off in the same way


class VideoReport(NamedTuple):
    """What is known of a step.

    Attributes:
      loss: the mean of what is minimised.
      content: the sum of the content terms, as they are weighed.
      style: the sum of the style terms, likewise.
      temporal: the mean squared difference of a frame and the one before, along the flow.
    """

    loss: Array
    content: Array
    style: Array
    temporal: Array


@dataclasses.dataclass(frozen=True)
class MovingPhotographs:
    """Lets a `Trainer` train a network for video; see `jaxstyle.feedforward.trainer.Lesson`.

    Attributes:
      weight: how much the temporal loss counts: halving it is worth as much as making the
        objective of the picture `2 ** weight` times as small.
    """

    weight: float = TEMPORAL

    def cut(
        self, photographs: Photographs, rng: np.random.Generator, side: int, smallest: int
    ) -> dict[str, Any]:
        """Returns two squares to make frames of, and the seed of their motion."""
        wide = round(MARGIN * side)
        pair = [photographs.square(rng, wide, smallest) for _ in range(2)]
        return {"photographs": np.stack(pair), "seed": rng.integers(2**32, dtype=np.uint32)}

    def gradient(
        self,
        params: Params,
        examples: Mapping[str, Array],
        styles: Array,
        teacher: tuple[Any, ...],
        *,
        architecture: Architecture,
        spec: LossSpec,
    ) -> tuple[VideoReport, Any]:
        """Returns the mean report and gradient over a few sequences, by one program."""
        found: tuple[VideoReport, Any] = _batch_gradient(
            params, examples, styles, teacher, np.float32(self.weight),
            architecture=architecture, spec=spec,
        )  # fmt: skip
        return found


@functools.partial(jax.jit, static_argnames=("architecture", "spec"))
def _batch_gradient(
    params: Params,
    examples: Mapping[str, Array],
    styles: Array,
    teacher: tuple[Any, ...],
    weight: Array,
    *,
    architecture: Architecture,
    spec: LossSpec,
) -> tuple[VideoReport, Any]:
    judged, weights, measured, first = teacher
    whole = Teacher(judged, spec, weights, measured, first)

    def one(example: Mapping[str, Array], style: Array) -> tuple[VideoReport, Any]:
        pair = example["photographs"].astype(jnp.float32) / 255
        key = jax.random.key(example["seed"])
        return loss_and_gradient(params, key, pair, style, whole, weight, architecture=architecture)

    found: tuple[VideoReport, Any] = mean_gradient(one, examples, styles)
    return found


def loss_and_gradient(
    params: Params,
    key: Array,
    pair: Array,
    style: Array,
    teacher: Teacher,
    weight: Array,
    *,
    architecture: Architecture,
) -> tuple[VideoReport, Any]:
    r"""Returns what is said of one sequence, and the gradient for the network.

    .. math:: \log L(x_t) + \frac{w}{2} \sum_{j \in \{1, 5\}} \log (T_j + \epsilon)

    with the objective L, and the temporal loss :math:`T_j` of the picture and the one j frames
    before, carried onto it, over the pixels that were seen then. Departure:
    logarithms, so that sequences that move much and little have the same influence, and a weight
    means the same for all styles.

    Args:
      params: the network's parameters.
      key: decides motion and disturbances.
      pair: `[2, S, S, 3]` in [0, 1], photographs a quarter larger than the frames.
      style: the number of the style in the network.
      teacher: judges pictures.
      weight: w.
      architecture: of a network that takes the previous picture.

    References: Huang et al., CVPR 2017, eq. 5; Ruder, Dosovitskiy and Brox, IJCV 2018, section 5.
    """
    learned, fixed = split_measured(params)
    chosen = jax.nn.one_hot(style, count_styles(params))
    moving, disturbing, flowing, starting, choosing = jax.random.split(key, 5)
    side = round(pair.shape[1] / MARGIN)
    motion = move_photograph(moving, pair[0], pair[1], side, _FRAMES)
    frames = jax.vmap(disturb)(jax.random.split(disturbing, _FRAMES), motion.frames)
    flows = motion.flows + _draw_errors(flowing, motion.flows)
    goes_on = 1 - jax.random.bernoulli(starting, _FIRST).astype(jnp.float32)
    last_counts = jax.random.bernoulli(choosing)

    def next_one(params: Params, picture: Array, number: int | Array, goes_on: Array) -> Array:
        """Paints a frame after the picture of the one before."""
        carried = warp(jnp.clip(picture, 0, 1), flows[number - 1], sharp=True)
        before = Previous(jnp.clip(carried, 0, 1), goes_on * motion.masks[number - 1])
        return paint(params, frames[number], chosen, architecture=architecture, previous=before)

    def go_on(picture: Array, number: Array) -> tuple[Array, None]:
        return next_one(params, picture, number, jnp.float32(1)), None

    first = paint(params, frames[0], chosen, architecture=architecture)
    far = chain(motion.flows, motion.masks)
    picture, _ = jax.lax.scan(go_on, first, jnp.arange(1, _FRAMES - 2))

    targets = content_targets(
        teacher.params, motion.frames[_FRAMES - 2 + last_counts.astype(int)], teacher.spec
    )
    targets = targets._replace(
        style=jax.tree.map(lambda leaf: leaf[style - teacher.first], teacher.styles)
    )

    def loss(learned: Any) -> tuple[Array, VideoReport]:
        params = {**learned, **fixed}
        early = next_one(params, picture, _FRAMES - 2, goes_on)
        late = next_one(params, early, _FRAMES - 1, jnp.float32(1))
        total, content, painted = judge(jnp.where(last_counts, late, early), teacher, targets)
        temporal = temporal_error(early, late, motion.flows[-1], motion.masks[-1])
        drift = temporal_error(first, late, *far)
        # A sequence that begins with the last two frames has no picture from further back.
        parts = (1 - goes_on / 2) * jnp.log(temporal + _UNSEEN)
        parts += goes_on / 2 * jnp.log(drift + _UNSEEN)
        value = jnp.log(total) + weight * parts
        return value, VideoReport(value, content, painted, temporal)

    gradient, report = jax.grad(loss, has_aux=True)(learned)
    return report, gradient


def temporal_error(early: Array, late: Array, flow: Array, mask: Array) -> Array:
    """Returns the mean squared difference of two pictures where the pixel was seen.

    Args:
      early: `[H, W, 3]`, the earlier picture.
      late: `[H, W, 3]`, the later one.
      flow: `[H, W, 2]`, from the later one to the earlier.
      mask: `[H, W]`, 1 where that is known.
    """
    return temporal_loss(late, warp(early, flow), mask) / jnp.maximum(jnp.mean(mask), 1e-3)


def _draw_errors(key: Array, flows: Array) -> Array:
    """Draws smooth errors of flows."""
    count, height, width, _ = flows.shape
    coarse = (count, -(-height // _COARSE) + 1, -(-width // _COARSE) + 1, 2)
    drawn = _WRONG * jax.random.normal(key, coarse)
    errors: Array = jax.image.resize(drawn, flows.shape, "linear")
    return errors
