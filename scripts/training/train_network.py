"""Trains the fast network that the package ships.

    python -m scripts.training.train_network --data DATA --network vgg19 --work WORK

DATA holds the folders `photos` and `style`. The compact network judges the pictures at first, and
VGG-19 for most of the time. WORK keeps a checkpoint, the loss curve and a sheet of what the network
paints, and another run goes on from there. `--output` writes the network as `jaxstyle apply` reads
it; a run that has nothing left to do writes it at once.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxstyle
from jaxstyle import samples
from jaxstyle._common.files import find_pictures
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.errors import UsageError
from jaxstyle.feedforward.architecture import SMALL, Architecture
from jaxstyle.feedforward.files import Style, save_network
from jaxstyle.feedforward.layouts import read_published
from jaxstyle.feedforward.network import init_network, paint
from jaxstyle.feedforward.palette import measure_colors
from jaxstyle.feedforward.photographs import Photographs
from jaxstyle.feedforward.trainer import Stage, Trainer, make_schedule
from jaxstyle.feedforward.training import Teacher
from jaxstyle.networks.catalogue import COMPACT
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.presets import get_preset
from jaxstyle.pipeline.polish import measure_paintings
from jaxstyle.pipeline.train import teacher_for
from jaxstyle.pipeline.trained import describe_network, paint_sheet
from scripts.command_line import add_data_option, make_parser
from scripts.training.recording import add_recorded_options, run_command, run_recorded

# The styles, and what is said of them in the network's file.
STYLES = {
    "starry-night": "Vincent van Gogh, The Starry Night, 1889; public domain",
    "great-wave": "Katsushika Hokusai, The Great Wave off Kanagawa, 1831; public domain",
    "the-scream": "Edvard Munch, The Scream, 1893; public domain",
    "kandinsky_composition_vii": "Wassily Kandinsky, Composition VII, 1913; public domain",
    "swirls": "drawn by jaxstyle",
}
LICENCE = (
    "Apache-2.0; the filters go on from those of Magenta's network of many styles (Apache-2.0), "
    "and the VGG-19 of Simonyan and Zisserman (CC BY 4.0) judged the pictures"
)
# The teacher, the side of the squares and the share of the steps of each stage.
STAGES = ((COMPACT, 128, 0.1), ("vgg19", 128, 0.6), ("vgg19", 192, 0.3))
PAINTING_SIDE = 256


def load_paintings(data: Path, names: Sequence[str]) -> list[jax.Array]:
    """Returns the paintings; "swirls" is the texture that the package ships."""
    paths = {path.stem: path for path in find_pictures([data / "style"])}
    paths["swirls"] = samples.SWIRLS
    unknown = set(names) - set(paths)
    if unknown:
        raise UsageError(f"--styles should be among {', '.join(paths)}, got {', '.join(unknown)}")
    return [jaxstyle.load_image(paths[name], size=PAINTING_SIDE) for name in names]


def teacher_of(
    options: argparse.Namespace, paintings: Sequence[jax.Array], stage: Stage
) -> Teacher:
    """Returns the teacher of a stage: a loss network with its own recipe."""
    network = load_network(
        COMPACT if stage.teacher == COMPACT else options.network, normalized=True
    )
    return teacher_for(network, paintings, stage.side, options.content)


def load_held(data: Path) -> list[jax.Array]:
    """Returns the photographs that no network is trained on, at one size, for sheets."""
    return [
        jaxstyle.resize(jaxstyle.load_image(path, size=256), (192, 256))
        for path in find_pictures([data / "content"])
    ]


def draw_sheet(
    form: Architecture, params: Any, photographs: Sequence[jax.Array], path: Path
) -> None:
    """Writes a sheet of what the network makes: a row per style, a column per photograph."""
    jaxstyle.save_image(path, np.clip(paint_sheet(form, params, photographs), 0, 1))


_paint = jax.jit(paint, static_argnames="architecture")


def begin(
    options: argparse.Namespace, paintings: Sequence[jax.Array]
) -> tuple[Architecture, dict[str, Any]]:
    """Returns the network to begin with, which adds next to nothing to the photograph yet.

    With `--filters` its filters are those of another network, and so are the scales and shifts: of
    the style there that a teacher finds most like the painting.
    """
    colors = [measure_colors(painting) for painting in paintings]
    measured = jax.tree.map(lambda *leaves: jnp.stack(leaves), *colors)
    if options.filters is None:
        params = init_network(jax.random.key(options.seed), SMALL, styles=len(paintings))
        return SMALL, params | {"colors": measured}
    layout, found = read_published(options.filters)
    form = layout.architecture
    rows = jnp.asarray(most_alike(form, found, paintings))
    params = {
        name: {part: leaf if part == "kernel" else leaf[rows] for part, leaf in layer.items()}
        for name, layer in found.items()
    }
    params["output"]["scale"] = jnp.full_like(params["output"]["scale"], 0.03)
    params["output"]["shift"] = jnp.zeros_like(params["output"]["shift"])
    return dataclasses.replace(form, output="residual"), params | {"colors": measured}


def most_alike(
    form: Architecture, params: dict[str, Any], paintings: Sequence[jax.Array]
) -> list[int]:
    """Returns, for each painting, the style of a network whose pictures are most like it."""
    preset = get_preset(COMPACT)
    loss_params = load_network(COMPACT).params
    photograph = jaxstyle.load_image(samples.LAKE, size=192)
    count = params["contract1"]["scale"].shape[0]
    pictures = [
        _paint(params, photograph, style, architecture=form) for style in np.eye(count, dtype="f")
    ]
    value = jax.jit(jaxstyle.objective, static_argnames="spec")
    weights = preset.weights(loss_params, photograph.shape[:2])
    found = []
    for painting in paintings:
        targets = jaxstyle.compute_targets(loss_params, photograph, painting, preset.spec)
        losses = [
            float(value(picture, loss_params, targets, weights, spec=preset.spec).total)
            for picture in pictures
        ]
        found.append(int(np.argmin(losses)))
    return found


def train(options: argparse.Namespace) -> None:
    """Trains from where it was left."""
    options.work.mkdir(parents=True, exist_ok=True)
    names = options.styles.split(",")
    paintings = load_paintings(options.data, names)
    photographs = Photographs(find_pictures([options.data / "photos"]))
    form, params = begin(options, paintings)
    schedule = make_schedule(options.steps, STAGES, rate=options.rate, seed=options.seed)
    settings = {
        "styles": names, "steps": options.steps, "rate": options.rate, "seed": options.seed,
        "content": options.content, "stages": STAGES, "filters": options.filters is not None,
    }  # fmt: skip
    trainer = Trainer(
        params, form, photographs, lambda stage: teacher_of(options, paintings, stage), schedule
    )
    held = load_held(options.data)
    run_recorded(
        trainer, options.work, settings, options.every,
        lambda path: draw_sheet(form, trainer.state.average, held, path),
    )  # fmt: skip
    if options.output is not None:
        metadata = {
            "source": "trained by scripts/training/train_network.py",
            "licence": LICENCE,
            "steps": str(trainer.step),
            "judge": "compact, then vgg19",
            "content_weight": f"{options.content:g}",
            "photographs": str(len(photographs.pictures)),
            "sides": ", ".join(str(side) for side in sorted({stage[1] for stage in STAGES})),
        }
        styles = tuple(Style(name.replace("_", "-"), STYLES.get(name, "")) for name in names)
        statistics = measure_paintings(paintings)
        save_network(
            options.output,
            describe_network(form, trainer.state.average, styles, statistics, metadata),
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.training.train_network", __doc__)
    add = parser.add_argument
    add_data_option(parser, "photos and style")
    add("--network", default="vgg19", help="Oxford's VGG-19, or a file of it")
    add("--filters", type=Path, help="Magenta's network of many styles, to begin with its filters")
    add("--styles", default=",".join(STYLES), help="names of paintings, with commas")
    add("--content", type=float, default=4.0,
        help="how many times the optimiser's weight the content has")  # fmt: skip
    add_recorded_options(parser, steps=60000)
    run_command(parser, arguments, train)


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
