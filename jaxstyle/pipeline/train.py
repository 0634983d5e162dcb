"""Trains a network that paints in one pass, from paintings and photographs to its file.

What is reached is written whatever ends the training. A checkpoint lies beside the network's file
until the training is done, and a training that goes on from it ends with the same bits.
"""

import dataclasses
import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from jaxstyle._common import interrupts
from jaxstyle.errors import UsageError, usage_errors
from jaxstyle.feedforward.files import FastNetwork, save_network
from jaxstyle.feedforward.photographs import Photographs
from jaxstyle.feedforward.trainer import PICTURES, Lesson, Schedule, Stage, Trainer, read_checkpoint
from jaxstyle.feedforward.training import Teacher, make_teacher
from jaxstyle.image.io import load_picture
from jaxstyle.networks import vgg
from jaxstyle.networks.catalogue import COMPACT
from jaxstyle.networks.load import Network
from jaxstyle.optimization.presets import get_preset
from jaxstyle.pipeline.optimise_options import make_spec, make_weights
from jaxstyle.pipeline.train_start import Start, begin
from jaxstyle.pipeline.trained import describe_network
from jaxstyle.video.training import MovingPhotographs

_log = logging.getLogger("jaxstyle")

CONTENT = 4.0
"""How many times the optimiser's weight the photograph has, unless another is asked for."""
PAINTING_SIDE = 256
_MOST_LOST = 50  # steps without a finite loss, after which nothing is learned any more
_TRIAL = 4  # steps that are timed to know how many fit into some minutes


class Plan(NamedTuple):
    """What a training is given.

    Attributes:
      paintings: their files.
      photographs: what the network paints while it learns.
      output: the file of the network.
      judge: the loss network.
      side: of the squares, in pixels.
      steps: how many; None for as many as fit into `minutes`.
      minutes: see `steps`.
      content_weight: a factor of the photograph's weight.
      seed: decides all that is random.
      origin: the network to begin with, or None.
      only_new: whether the paintings are added to the styles of `origin`, and nothing else of it
        changes.
      resume: whether to go on from the checkpoint.
      architecture: of a network that begins anew; see
        `jaxstyle.feedforward.architecture.ARCHITECTURES`.
      batch: photographs per step.
      rate: the highest learning rate.
      options: what is compared, as for a picture: layers, statistic and weights.
      trim: whether even frames are cut off the paintings.
      temporal: the weight of the temporal loss of a network for video, which takes the picture of
        the frame before; None for pictures.
    """

    paintings: Sequence[Path]
    photographs: Photographs
    output: Path
    judge: Network
    side: int = 192
    steps: int | None = None
    minutes: float = 30.0
    content_weight: float = 1.0
    seed: int = 0
    origin: FastNetwork | None = None
    only_new: bool = False
    resume: bool = False
    architecture: str = "small"
    batch: int = 1
    rate: float = 1e-3
    options: Mapping[str, Any] = {}
    trim: bool = True
    temporal: float | None = None


def read_paintings(paintings: Sequence[Path], *, trim: bool) -> list[Array]:
    """Reads paintings at the size of a training, each `[H, W, 3]`.

    Args:
      paintings: their files.
      trim: whether even frames are cut off.
    """
    read = (load_picture(path, size=PAINTING_SIDE, trim=trim) for path in paintings)
    return [jnp.asarray(picture.image) for picture in read]


class Moment(NamedTuple):
    """What is known of a training on the way.

    Attributes:
      step: steps done.
      steps: steps in all.
      report: of the last step: a named tuple of scalars, the `loss` among them.
    """

    step: int
    steps: int
    report: Any


def train(plan: Plan, watch: Callable[[Moment], None], *, every: float = 60.0) -> FastNetwork:
    """Trains a network, and writes it.

    Args:
      plan: what is given.
      watch: is told of every step; it may raise `KeyboardInterrupt` to stop.
      every: seconds between checkpoints.

    Returns:
      The network, as it was written.

    Raises:
      KeyboardInterrupt: on Ctrl-C, after the network and the checkpoint were written.
      UsageError: if the checkpoint is of another training, is missing beside a finished network,
        or would be forgotten; or if the loss is never finite, and nothing can be learned.
      FileFormatError: if a file is damaged.
      OSError: if a file cannot be read, or the network cannot be written at the end. What cannot be
        written on the way is a warning.
    """
    checkpoint = checkpoint_of(plan.output)
    _check_resume(plan, checkpoint)  # before anything is computed
    images = read_paintings(plan.paintings, trim=plan.trim)
    start = begin(
        [path.stem for path in plan.paintings], images, plan.origin, only_new=plan.only_new,
        for_video=plan.temporal is not None, architecture=plan.architecture, seed=plan.seed,
    )  # fmt: skip
    settings = _settings(plan)
    before = read_checkpoint(checkpoint) if plan.resume and checkpoint.exists() else None
    if before is not None:
        before.check(settings if plan.steps is None else settings | {"steps": plan.steps})
        steps = int(before.settings["steps"])
    else:
        steps = plan.steps or _steps_that_fit(plan, start, images)
    trainer = _trainer(plan, start, images, steps)
    if before is not None:
        trainer.go_on(before)

    def save() -> FastNetwork:
        average = trainer.state.average
        network = _network(plan, start, average, trainer.step)
        save_network(plan.output, network)
        return network

    saved, lost = time.monotonic(), 0
    try:
        for step, report in trainer.run():
            watch(Moment(step, steps, report))
            interrupts.check()
            lost = 0 if np.isfinite(report.loss) else lost + 1
            if lost >= min(_MOST_LOST, steps):
                raise UsageError(
                    f"the loss has not been finite for {lost} steps; try a smaller learning rate, "
                    "and weights that are neither zero nor huge"
                )
            if time.monotonic() - saved >= every:
                try:
                    trainer.save(checkpoint, settings | {"steps": steps})
                    save()
                except OSError as error:  # a full disk may have room again at the end
                    _log.warning("warning: %s; the training goes on", error)
                saved = time.monotonic()
    except KeyboardInterrupt:
        if trainer.step:
            with interrupts.held():
                trainer.save(checkpoint, settings | {"steps": steps})
                save()
        raise
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(trainer.state.average)):
        raise UsageError("the network is not finite; try a smaller learning rate")
    network = save()
    checkpoint.unlink(missing_ok=True)
    return network


def _check_resume(plan: Plan, checkpoint: Path) -> None:
    """Raises `UsageError` if a training would go on from nothing, or forget a stopped one."""
    if plan.resume and plan.output.exists() and not checkpoint.exists():
        raise UsageError(
            f"{plan.output} is there without {checkpoint.name}, so its training is done; "
            "leave resume out to train anew"
        )
    if checkpoint.exists() and not plan.resume:
        raise UsageError(
            f"{checkpoint} is there, from a training that was stopped; resume it, or remove that "
            "file"
        )


def checkpoint_of(output: Path) -> Path:
    """Returns the file that keeps the checkpoint of a training."""
    return output.with_name(f"{output.name}.checkpoint")


def teacher_for(
    judge: Network,
    images: Sequence[Array],
    side: int,
    content_weight: float = CONTENT,
    first: int = 0,
    options: Mapping[str, Any] = {},
) -> Teacher:
    """Returns what judges a training: the recipe that suits a loss network, changed by options.

    Args:
      judge: the loss network.
      images: the paintings.
      side: of the squares.
      content_weight: a factor of the photograph's weight in the recipe.
      first: the number of the first painting among the network's styles.
      options: as for a picture: `style-layers`, `statistic` and so on.

    Raises:
      OptionError: if the network lacks a layer.
    """
    preset = get_preset(COMPACT if judge.metadata["network"] == COMPACT else "default")
    spec = make_spec("stylize", preset.spec, options)
    with usage_errors("network"):
        vgg.check_layers(spec.layers, vgg.network_widths(judge.params))
    weights: Any = make_weights(preset, spec, options, judge.params, (side, side))
    weights = dataclasses.replace(weights, content=content_weight * weights.content)
    return make_teacher(judge.params, images, side, spec=spec, weights=weights, first=first)


def _trainer(plan: Plan, start: Start, images: Sequence[Array], steps: int) -> Trainer:
    schedule = Schedule(
        (Stage(plan.judge.name, plan.side, steps),),
        batch=plan.batch, rate=plan.rate, seed=plan.seed,
    )  # fmt: skip
    first = len(plan.origin.styles) if plan.origin is not None and plan.only_new else 0

    def teacher(stage: Stage) -> Teacher:
        weight = CONTENT * plan.content_weight
        return teacher_for(plan.judge, images, stage.side, weight, first, plan.options)

    lesson: Lesson = PICTURES if plan.temporal is None else MovingPhotographs(plan.temporal)
    return Trainer(
        start.params, start.architecture, plan.photographs, teacher, schedule, start.mask, lesson
    )


def _steps_that_fit(plan: Plan, start: Start, images: Sequence[Array]) -> int:
    """Returns how many steps fit into the minutes, from the time that some of them take."""
    times = []
    for step, _ in _trainer(plan, start, images, 10**6).run():
        times.append(time.monotonic())
        if step > _TRIAL:  # the first ones compile
            break
    seconds = (times[-1] - times[1]) / (len(times) - 2)
    return max(100, round(60 * plan.minutes / max(seconds, 1e-4)))


def _network(plan: Plan, start: Start, params: Any, steps: int) -> FastNetwork:
    before = {} if plan.origin is None else dict(plan.origin.metadata)
    # What it goes on from was made in another way, which is not its own.
    origin = f", from a network {before['source']}" if "source" in before else ""
    metadata = before | {
        "source": f"trained by jaxstyle train{origin}",
        "steps": str(steps),
        "judge": plan.judge.name,
        "content_weight": f"{CONTENT * plan.content_weight:g}",
        "photographs": str(len(plan.photographs.pictures)),
        "side": str(plan.side),
    }
    if plan.temporal is not None:
        metadata["temporal_weight"] = f"{plan.temporal:g}"
    return describe_network(start.architecture, params, start.styles, start.statistics, metadata)


def _settings(plan: Plan) -> dict[str, Any]:
    """Returns what has to be the same for a training to go on."""
    return {
        "paintings": [str(path) for path in plan.paintings],
        "photographs": _digest_of(plan.photographs.pictures),
        "judge": plan.judge.name,
        "side": plan.side,
        "content_weight": plan.content_weight,
        "seed": plan.seed,
        "origin": None if plan.origin is None else [style.name for style in plan.origin.styles],
        "only_new": plan.only_new,
        "architecture": plan.architecture,
        "batch": plan.batch,
        "rate": plan.rate,
        "trim": plan.trim,
        "temporal": plan.temporal,
        "options": {name: str(value) for name, value in sorted(plan.options.items())},
    }


def _digest_of(pictures: Sequence[NDArray[np.uint8]]) -> str:
    """Returns a short text that differs where the photographs do."""
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(picture.tobytes())
    return f"{len(pictures)}, {digest.hexdigest()[:16]}"
