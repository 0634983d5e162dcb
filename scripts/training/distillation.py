"""Distils a narrow VGG from a wide one: all its layers are trained at once, with Adam.

`scripts.training.train_compact` says what this stage is for.
"""

import argparse
import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState
from jax import Array
from tqdm import trange

import jaxstyle
from jaxstyle._common import files
from jaxstyle.losses import functional
from jaxstyle.losses.spec import LossSpec
from jaxstyle.networks import vgg
from jaxstyle.networks.convolution import Convolution
from jaxstyle.optimization.presets import get_preset
from jaxstyle.solvers.base import Info
from scripts.training.narrowing import PADDING, Fit, Floats, whitenings
from scripts.training.training_pictures import Sources, crops, square

# The layers that the default objective compares have to be right. The others get this weight.
HELPING = 0.05
# The steps of an optimisation after which its picture is kept for training.
STAGES = (20, 60, 120)


class Fixed(NamedTuple):
    """Holds what the second stage does not change."""

    teacher: vgg.Params
    start: vgg.Params
    whitenings: dict[str, Any]


class Distillation:
    """Runs the second stage: compiled steps over pictures, half of them the student's own."""

    def __init__(
        self, teacher: vgg.Params, found: Fit, sources: Sources, options: argparse.Namespace
    ):
        self.chosen = {f"relu{k[4:]}": jnp.asarray(c) for k, c in found.channels.items()}
        self.sources, self.options = sources, options
        self.layers = tuple(self.chosen)
        widths = vgg.network_widths(found.params)
        # On a CPU, a kernel's gradient takes six times as long by XLA's direct convolutions.
        convolution: Convolution = "winograd" if jax.default_backend() == "cpu" else "auto"
        self.model = vgg.VGG(self.layers, widths, padding=PADDING, convolution=convolution)
        rng = np.random.default_rng([options.seed, 2**31 + 2])
        images = crops(rng, sources, options.whiten, options.side)
        whitened = whitenings(found.params, images, rng)
        self.fixed: Fixed = jax.tree.map(jnp.asarray, Fixed(teacher, found.params, whitened))
        schedule = optax.warmup_cosine_decay_schedule(
            0.0, options.learning_rate, options.steps // 20, options.steps
        )
        self.state = TrainState.create(
            apply_fn=self.model.apply,
            params={name: jnp.zeros((len(whitened[name]), width)) for name, width in widths},
            tx=optax.adam(schedule, b2=0.99),
        )
        self.pool = np.zeros((0, options.side, options.side, 3), np.float32)
        self._step = jax.jit(self._train, donate_argnums=0)
        self._test = jax.jit(self.errors)

    def params(self) -> dict[str, Any]:
        """Returns the student so far."""
        return _student(self.fixed, self.state.params)

    def errors(
        self, params: vgg.Params, teacher: vgg.Params, image: Array
    ) -> dict[str, dict[str, Array]]:
        """Returns relative squared errors of the feature maps and the compared Gram matrices."""
        got = self.model.apply({"params": params}, image)
        wanted = vgg.features(teacher, image, self.layers, padding=PADDING)
        wanted = {layer: m[..., self.chosen[layer]] for layer, m in wanted.items()}
        return {
            "features": {layer: _relative(got[layer], wanted[layer]) for layer in self.layers},
            "gram": {
                layer: _relative(*(functional.gram_matrix(maps[layer]) for maps in (got, wanted)))
                for layer in LossSpec().style_layers
            },
        }

    def _train(
        self, state: TrainState, fixed: Fixed, images: Array
    ) -> tuple[TrainState, dict[str, dict[str, Array]]]:
        def loss(moved: vgg.Params) -> tuple[Array, dict[str, dict[str, Array]]]:
            params = _student(fixed, moved)
            # Images go one after another, so that only the maps of one image are in memory.
            errors = jax.lax.map(lambda image: self.errors(params, fixed.teacher, image), images)
            errors = jax.tree.map(jnp.mean, errors)
            compared = LossSpec().layers
            maps = [e if k in compared else HELPING * e for k, e in errors["features"].items()]
            grams = sum(errors["gram"].values())
            return sum(maps, start=self.options.gram * grams), errors

        gradient, errors = jax.grad(loss, has_aux=True)(state.params)
        return state.apply_gradients(grads=gradient), errors

    def batches(self) -> Iterator[tuple[int, Floats]]:
        """Yields the batch of every step that is left to do.

        Its random numbers depend on the seed and the step alone, so that an interrupted run goes on
        as it would have.
        """
        options = self.options
        for step in range(int(self.state.step), options.steps):
            rng = np.random.default_rng([options.seed, step])
            if step % options.refresh == 0:
                self.pool = self.under_optimisation(rng)
            images = crops(rng, self.sources, options.batch, options.side)
            hard = options.batch // 2
            images[:hard] = self.pool[rng.choice(len(self.pool), hard)]
            yield step, images

    def under_optimisation(self, rng: np.random.Generator) -> Floats:
        """Makes pictures with the student and its recipe, and keeps those of each at `STAGES`."""
        params, side = self.params(), self.options.side
        recipe = get_preset("compact").options(params, (side, side)) | {"num_steps": STAGES[-1]}
        found: list[Floats] = []

        def keep(step: int, image: Array, info: Info) -> None:
            if step in STAGES:
                found.append(np.clip(np.asarray(image), 0, 1))

        for _ in trange(self.options.pool // len(STAGES), desc="own pictures", leave=False):
            content, style = (square(rng, self.sources, side, paintings=p) for p in (0, 0.6))
            recipe["init"] = "noise" if rng.random() < 0.2 else "content"
            recipe["key"] = jax.random.key(int(rng.integers(2**31)))
            jaxstyle.stylize(
                params, jnp.asarray(content), jnp.asarray(style), **recipe,
                callback=keep, callback_every=STAGES[0],
            )  # fmt: skip
        return np.stack(found)

    def run(self, work: Path) -> None:
        """Trains to the last step and keeps a checkpoint and the loss curve in the folder.

        The curve has the errors of the current batch ("train") and those of the same few crops
        every time ("check"). Those crops are of the training pictures, so they show how the errors
        fall but not what was learned by heart. Only judging stylised pictures that were held out
        shows that.
        """
        checkpoint = work / "distil.msgpack"
        if checkpoint.exists():
            kept = flax.serialization.from_bytes(
                {"state": self.state, "pool": self.pool}, checkpoint.read_bytes()
            )
            self.state, self.pool = kept["state"], kept["pool"]
        _cut(work / "curve.csv", int(self.state.step))
        check = crops(
            np.random.default_rng([self.options.seed, 2**31]), self.sources, 16, self.options.side
        )
        bar = trange(self.options.steps, initial=int(self.state.step), desc="distil")
        for step, images in self.batches():
            self.state, errors = self._step(self.state, self.fixed, images)
            bar.update()
            if step % 10 == 0:
                maps = errors["features"]
                bar.set_postfix({k[4:]: f"{float(maps[k]):.3f}" for k in LossSpec().layers})
            if (step + 1) % self.options.every == 0 or step + 1 == self.options.steps:
                params = self.params()
                held = [self._test(params, self.fixed.teacher, image) for image in check]
                _append(work / "curve.csv", {"step": step + 1} | {
                    f"{kind}/{what}/{layer}": float(error)
                    for kind, found in (
                        ("train", errors),
                        ("check", jax.tree.map(lambda *e: np.mean(e), *held)),
                    )
                    for what, layers in found.items()
                    for layer, error in layers.items()
                })  # fmt: skip
                files.write_bytes(
                    checkpoint,
                    flax.serialization.to_bytes({"state": self.state, "pool": self.pool}),
                )
        bar.close()


def _student(fixed: Fixed, moved: vgg.Params) -> dict[str, Any]:
    """Returns the parameters, from how far each layer has moved in its whitened coordinates."""
    result = dict(fixed.start)
    for name, coordinates in moved.items():
        kernel, bias = fixed.start[name]["kernel"], fixed.start[name]["bias"]
        step = fixed.whitenings[name] @ coordinates
        kernel = kernel + step[:-1].reshape(kernel.shape)
        result[name] = {"kernel": kernel, "bias": bias + step[-1]}
    return result


def _relative(got: Array, wanted: Array) -> Array:
    # A flat crop has next to no activations, so its errors should not count as large.
    return jnp.mean(jnp.square(got - wanted)) / (jnp.mean(jnp.square(wanted)) + 0.1)


def _cut(path: Path, step: int) -> None:
    """Drops the rows after a step from a curve: an interrupted run does those steps again."""
    if not path.exists():
        return
    header, *rows = path.read_bytes().splitlines(keepends=True)
    kept = [row for row in rows if int(row.partition(b",")[0]) <= step]
    files.write_bytes(path, b"".join([header, *kept]))


def _append(path: Path, row: Mapping[str, Any]) -> None:
    """Adds a row to a curve."""
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)
