"""Trains a network that paints like any painting, from that painting's statistics.

    python -m scripts.training.train_any_painting --data DATA --network vgg19 --work WORK

DATA holds the folders `photos` and `style`. The network learns from squares of the paintings in
`style` but for those that are kept out, from textures that this program draws, and from photographs
that stand for paintings; VGG-19 judges. It begins with the filters of a network of some styles.
WORK keeps a checkpoint, the loss curve and a sheet of what the network makes of the paintings that
it never sees, and another run goes on from there. `--output` writes the network; a run that has
nothing left to do writes it at once.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

import jaxstyle
from jaxstyle._common.files import find_pictures
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.feedforward.files import load_network as load_fast
from jaxstyle.feedforward.files import save_network
from jaxstyle.feedforward.palette import measure_colors
from jaxstyle.feedforward.photographs import Photographs
from jaxstyle.feedforward.prediction import init_predictor, know_paintings, measure_condition
from jaxstyle.feedforward.trainer import Trainer, make_schedule
from jaxstyle.networks.catalogue import COMPACT, find_fast_network
from jaxstyle.networks.load import load_network
from jaxstyle.pipeline.train import teacher_for
from jaxstyle.pipeline.trained import describe_network, paint_sheet
from scripts.command_line import add_data_option, make_parser
from scripts.training.recording import add_recorded_options, run_command, run_recorded
from scripts.training.textures import draw_texture
from scripts.training.train_network import LICENCE, load_held

KEPT_OUT = ("great-wave", "the-scream", "water-lilies")
STAGES = (("vgg19", 128, 0.75), ("vgg19", 192, 0.25))
SIDE = 256  # of what stands for paintings
SQUARES, TEXTURES, PHOTOGRAPHS = 18, 60, 28  # squares of each painting
_LEAST = 0.5  # of the shorter side that a square of a painting has


def make_bank(paintings: Sequence[Path], photographs: Photographs, seed: int) -> list[np.ndarray]:
    """Returns what the network learns styles from, `[SIDE, SIDE, 3]` each in [0, 1].

    Args:
      paintings: their files.
      photographs: some of them stand for paintings too.
      seed: decides all that is random.
    """
    rng = np.random.default_rng([seed, 27])
    whole = [np.asarray(jaxstyle.load_image(path)) for path in paintings]
    bank = [_square(rng, picture, i) for picture in whole for i in range(SQUARES)]
    palettes = [picture[::8, ::8] for picture in whole]
    palettes += [photographs.square(rng, 128, 192) / 255.0 for _ in range(40)]
    bank += [draw_texture(rng, SIDE, palettes).astype(np.float32) for _ in range(TEXTURES)]
    bank += [
        (photographs.square(rng, SIDE, SIDE) / 255.0).astype(np.float32) for _ in range(PHOTOGRAPHS)
    ]
    return bank


def _square(rng: np.random.Generator, picture: np.ndarray, number: int) -> np.ndarray:
    """Returns a random square of a painting; those of odd numbers in other colours."""
    side = round(min(picture.shape[:2]) * rng.uniform(_LEAST, 1))
    top, left = (rng.integers(length - side + 1) for length in picture.shape[:2])
    cut = picture[top : top + side, left : left + side]
    pixels = Image.fromarray(np.round(255 * cut).astype(np.uint8))
    square = np.float32(pixels.resize((SIDE, SIDE), Image.Resampling.LANCZOS)) / 255
    square = square[:, :: rng.choice([1, -1])]
    return square[..., rng.permutation(3)] if number % 2 else square


def train(options: argparse.Namespace) -> None:
    """Trains from where it was left."""
    options.work.mkdir(parents=True, exist_ok=True)
    paintings = {path.stem: path for path in find_pictures([options.data / "style"])}
    shown = [jaxstyle.load_image(paintings[name], size=SIDE) for name in KEPT_OUT]
    photographs = Photographs(find_pictures([options.data / "photos"]))
    seen = [path for name, path in paintings.items() if name not in KEPT_OUT]
    bank = [jnp.asarray(each) for each in make_bank(seen, photographs, options.seed)]
    compact = load_network(COMPACT).params
    measure = jax.jit(measure_condition)
    conditions = jnp.stack([measure(compact, each) for each in bank])
    origin = load_fast(find_fast_network(options.origin))
    begun = init_predictor(jax.random.key(options.seed), origin.params, conditions)
    colors = jax.tree.map(lambda *rows: jnp.stack(rows), *map(measure_colors, bank))
    params = {**begun, "conditions": {"known": conditions}, "colors": colors}
    judge = load_network(options.network, normalized=True)
    settings = {
        "paintings": [path.name for path in seen], "steps": options.steps, "rate": options.rate,
        "seed": options.seed, "content": options.content, "stages": STAGES,
        "photographs": len(photographs.pictures),
    }  # fmt: skip
    schedule = make_schedule(options.steps, STAGES, rate=options.rate, seed=options.seed)
    trainer = Trainer(
        params, origin.architecture, photographs,
        lambda stage: teacher_for(judge, bank, stage.side, options.content), schedule,
    )  # fmt: skip
    held = load_held(options.data)

    def draw_sheet(path: Path) -> None:
        known = know_paintings(_kept(trainer), compact, shown)
        sheet = paint_sheet(origin.architecture, known, held)
        jaxstyle.save_image(path, np.clip(sheet, 0, 1))

    run_recorded(trainer, options.work, settings, options.every, draw_sheet)
    if options.output is not None:
        metadata = {
            "source": "trained by scripts/training/train_any_painting.py",
            "licence": LICENCE,
            "steps": str(trainer.step),
            "judge": "vgg19",
            "content_weight": f"{options.content:g}",
            "photographs": str(len(photographs.pictures)),
            "paintings": ", ".join(path.stem for path in seen),
            "sides": ", ".join(str(side) for _, side, _ in STAGES),
        }
        save_network(
            options.output,
            describe_network(origin.architecture, _kept(trainer), (), {}, metadata),
        )


def _kept(trainer: Trainer) -> dict[str, object]:
    """Returns the network without the paintings that it learned from."""
    dropped = ("conditions", "colors")
    return {name: leaf for name, leaf in trainer.state.average.items() if name not in dropped}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.training.train_any_painting", __doc__)
    add = parser.add_argument
    add_data_option(parser, "photos and style")
    add("--network", default="vgg19", help="Oxford's VGG-19, or a file of it")
    add("--origin", default="paintbox", help="the network of styles whose filters it begins with")
    add("--content", type=float, default=4.0,
        help="how many times the optimiser's weight the content has")  # fmt: skip
    add_recorded_options(parser, steps=60000)
    run_command(parser, arguments, train)


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
