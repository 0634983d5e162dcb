"""Trains decoders, which make pixels of the compact network's maps.

    python -m scripts.training.train_decoder --data DATA --work WORK [--style]

DATA holds the folders `photos` and `style`. A decoder learns to give back the pixels and maps of
photographs and of what stands for paintings, from each level. With `--style` it goes on, to make
pictures like paintings of the maps of level 4 that have been given their means and deviations
(AdaIN). WORK keeps a checkpoint, the loss curve and a sheet, and another run goes on from there.
`--output` writes the decoder.
"""

import argparse
import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

import jaxstyle
from jaxstyle._common.files import atomic_write, find_pictures
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.feedforward.decoder_files import Decoder, save_decoder
from jaxstyle.feedforward.decoding import (
    LEVELS,
    decode,
    encode,
    init_decoder,
    measure_levels,
    transfer,
    transform_maps,
)
from jaxstyle.feedforward.photographs import Photographs
from jaxstyle.feedforward.trainer import Schedule, Stage, read_checkpoint
from jaxstyle.feedforward.training import Report
from jaxstyle.networks.catalogue import COMPACT
from jaxstyle.networks.load import load_network
from scripts.command_line import add_data_option, make_parser
from scripts.training.recording import add_recorded_options, run_command, run_recorded
from scripts.training.train_any_painting import KEPT_OUT, SIDE, make_bank
from scripts.training.train_network import load_held

_SIDE = 128
_PIXELS = 50.0  # the weight of squared pixel errors; those of maps are relative to their variance
_STYLE = 10.0  # as in AdaIN's paper
_PAINTINGS = 0.4  # the share of what stands for paintings, among what is given back
_DEEPEST = max(LEVELS)


def restore_loss(params: Any, compact: Any, image: Array) -> tuple[Array, Report]:
    """Returns how far what is decoded from each level is from an image, in pixels and in maps."""
    wanted = encode(compact, image, tuple(LEVELS))
    pixels, maps = jnp.float32(0), jnp.float32(0)
    for level in LEVELS:
        found = decode(params, wanted[LEVELS[level]], level)
        pixels += jnp.mean((found - image) ** 2)
        maps += _map_error(encode(compact, found, (level,)), wanted, level)
    loss = _PIXELS * pixels + maps
    return loss, Report(jnp.log(loss), maps, pixels)


def style_loss(params: Any, compact: Any, image: Array, known: Any) -> tuple[Array, Report]:
    """Returns AdaIN's loss of a picture that is decoded from maps with a painting's deviations."""
    deepest = LEVELS[_DEEPEST]
    maps = encode(compact, image, (_DEEPEST,))[deepest]
    wanted = transform_maps(maps, **known[deepest], transform="adain")
    found = encode(compact, decode(params, wanted, _DEEPEST), tuple(LEVELS))
    content = _map_error(found, {deepest: wanted}, _DEEPEST)
    style = jnp.float32(0)
    for layer in LEVELS.values():
        mean, deviation = (f(found[layer], (0, 1)) for f in (jnp.mean, jnp.std))
        theirs = jnp.sqrt(jnp.diag(known[layer]["covariance"]))
        scale = jnp.mean(jnp.diag(known[layer]["covariance"]))
        style += jnp.mean((mean - known[layer]["mean"]) ** 2) / scale
        style += jnp.mean((deviation - theirs) ** 2) / scale
    loss = content + _STYLE * style
    return loss, Report(jnp.log(loss), content, style)


def _map_error(found: dict[str, Array], wanted: dict[str, Array], level: int) -> Array:
    layer = LEVELS[level]
    return jnp.mean((found[layer] - wanted[layer]) ** 2) / (jnp.var(wanted[layer]) + 1e-6)


class DecoderTrainer:
    """Trains a decoder one step after another; as `jaxstyle.feedforward.trainer.Trainer` does.

    Args:
      params: of the decoder to begin with.
      compact: of the network whose maps it decodes.
      photographs: what it learns from.
      bank: what stands for paintings.
      options: steps, rate, seed and style.
    """

    def __init__(
        self,
        params: Any,
        compact: Any,
        photographs: Photographs,
        bank: Sequence[np.ndarray],
        options: argparse.Namespace,
    ):
        self.schedule = Schedule((Stage(COMPACT, _SIDE, options.steps),), seed=options.seed)
        rate = optax.warmup_cosine_decay_schedule(
            0.0, options.rate, options.steps // 100, options.steps
        )
        self._optimizer = optax.chain(optax.clip_by_global_norm(5.0), optax.adam(rate))
        self._state = (jnp.int32(0), params, params, self._optimizer.init(params))
        self._compact, self._photographs, self._bank = compact, photographs, bank
        self._known: Any = None
        if options.style:
            measure = functools.partial(measure_levels, levels=tuple(LEVELS))
            known = [jax.jit(measure)(compact, jnp.asarray(each)) for each in bank]
            self._known = jax.tree.map(lambda *rows: jnp.stack(rows), *known)

    @property
    def average(self) -> Any:
        """The moving average of the parameters, which is what is kept."""
        return self._state[2]

    def run(self) -> Iterator[tuple[int, Report]]:
        """Makes the steps that are left, and yields the number and the report of each."""
        for step in range(int(self._state[0]), self.schedule.steps):
            rng = np.random.default_rng([self.schedule.seed, step])
            number = int(rng.integers(len(self._bank)))
            if self._known is None and rng.random() < _PAINTINGS:
                top, left = rng.integers(SIDE - _SIDE + 1, size=2)
                square = self._bank[number][top : top + _SIDE, left : left + _SIDE]
            else:
                cut = self._photographs.square(rng, _SIDE, self.schedule.smallest)
                square = np.float32(cut) / 255
            known = (
                None if self._known is None else jax.tree.map(lambda x, n=number: x[n], self._known)
            )
            self._state, report = self._step(self._state, self._compact, square, known)
            yield step + 1, jax.device_get(report)

    @functools.partial(jax.jit, static_argnums=0)
    def _step(self, state: Any, compact: Any, image: Array, known: Any) -> Any:
        count, params, average, inner = state

        def loss(params: Any) -> Any:
            if known is None:
                return restore_loss(params, compact, image)
            return style_loss(params, compact, image, known)

        gradient, report = jax.grad(loss, has_aux=True)(params)
        updates, inner = self._optimizer.update(gradient, inner, params)
        params = optax.apply_updates(params, updates)
        decay = jnp.minimum(self.schedule.decay, (1 + count) / (10 + count))
        average = optax.incremental_update(params, average, 1 - decay)
        return (count + 1, params, average, inner), report

    def save(self, path: Path, settings: Any) -> None:
        """Writes all that is needed to go on from here."""
        state = flax.serialization.to_state_dict(jax.device_get(self._state))
        data = flax.serialization.msgpack_serialize(
            {"settings": json.dumps(settings, sort_keys=True), "state": state}
        )
        with atomic_write(path) as partial:
            partial.write_bytes(data)

    def go_on(self, checkpoint: Any) -> None:
        """Takes over what an interrupted training has reached."""
        found = flax.serialization.from_state_dict(self._state, checkpoint.state)
        self._state = jax.tree.map(jnp.asarray, found)


def train(options: argparse.Namespace) -> None:
    """Trains from where it was left."""
    options.work.mkdir(parents=True, exist_ok=True)
    paintings = {path.stem: path for path in find_pictures([options.data / "style"])}
    shown = [jaxstyle.load_image(paintings[name], size=SIDE) for name in KEPT_OUT]
    photographs = Photographs(find_pictures([options.data / "photos"]))
    seen = [path for name, path in paintings.items() if name not in KEPT_OUT]
    bank = make_bank(seen, photographs, options.seed)
    compact = load_network(COMPACT).params
    params = init_decoder(jax.random.key(options.seed), compact)
    if options.origin is not None:
        state = read_checkpoint(options.origin).state
        params = jax.tree.map(jnp.asarray, flax.serialization.from_state_dict(params, state["2"]))
    trainer = DecoderTrainer(params, compact, photographs, bank, options)
    settings = {"steps": options.steps, "rate": options.rate, "seed": options.seed,
                "style": options.style}  # fmt: skip
    held = load_held(options.data)

    def draw_sheet(path: Path) -> None:
        rows = [np.concatenate([_restored(trainer.average, compact, each) for each in held], 1)]
        levels, transform = ((4,), "adain") if options.style else ((4, 3, 2), "wct")
        for painting in shown:
            known = measure_levels(compact, painting, levels)
            one = jax.tree.map(lambda leaf: leaf[None], known)
            made: list[Any] = [
                transfer(trainer.average, compact, each, one, levels=levels, transform=transform)
                for each in held
            ]
            rows.append(np.concatenate(made, axis=1))
        jaxstyle.save_image(path, np.clip(np.concatenate(rows), 0, 1))

    run_recorded(trainer, options.work, settings, options.every, draw_sheet)
    if options.output is not None:
        metadata = {
            "source": "trained by scripts/training/train_decoder.py",
            "licence": "Apache-2.0",
            "steps": str(options.steps),
            "photographs": str(len(photographs.pictures)),
            "paintings": ", ".join(path.stem for path in seen),
        }
        save_decoder(options.output, Decoder(jax.device_get(trainer.average), metadata))


def _restored(params: Any, compact: Any, image: Array) -> np.ndarray:
    """Returns an image that is decoded from the deepest level's maps of another."""
    maps = encode(compact, image, (_DEEPEST,))[LEVELS[_DEEPEST]]
    return np.asarray(decode(params, maps, _DEEPEST))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.training.train_decoder", __doc__)
    add = parser.add_argument
    add_data_option(parser, "photos and style")
    add("--origin", type=Path, help="begin with the decoder of this checkpoint")
    add("--style", action="store_true", help="train it to make pictures like paintings, as AdaIN")
    add_recorded_options(parser, steps=20000)
    run_command(parser, arguments, train)


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
