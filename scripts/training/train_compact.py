"""Trains params/compact.safetensors, a narrow VGG-19 that computes a part of VGG-19's features.

    python -m scripts.training.train_compact --data DATA --network vgg19 --work WORK

DATA holds the folders `photos` and `style`. The teacher is the normalised VGG-19. Each filter of
the student stands for one filter of the same layer of the teacher, so that the student's feature
maps and Gram matrices are approximately parts of the teacher's. There are three stages. WORK keeps
what each has reached, and another run goes on from there.

1. The fit chooses, layer by layer, the filters that predict the others best, where each counts for
   as much as it does in the published network. Their kernels are solved for by least squares over
   the student's own inputs, which makes up for the errors of the layers before.
2. The distillation trains all layers at once with Adam, on feature maps and Gram matrices. Half of
   its pictures are photographs and paintings, some with noise. The others come from the middle of
   the student's own optimisations, because an optimiser finds what a student is blind to: pictures
   that look well stylised to the student and not to the teacher. Kernels are trained in coordinates
   in which their inputs are uncorrelated. In plain coordinates, hundreds of steps only raised the
   errors that the first stage had left.
3. At the end, activations are rescaled to a mean of one, kernels are rounded to half precision, and
   the file and its entry in the manifest are written.

`--begin FILE` goes on from a network that an earlier run has written, for example with a larger
`--gram`. Training takes up to 13 GB of memory on a CPU. It runs on a GPU where there is one; more
training is then affordable, for example `--steps 40000 --batch 16`.
"""

import argparse
import json
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from jaxstyle._common import files
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle._common.reading import sha256
from jaxstyle.cli.networks import central_square
from jaxstyle.networks import load, rescaling, vgg
from jaxstyle.networks.catalogue import shipped
from scripts.command_line import add_data_option, make_parser
from scripts.training.distillation import HELPING, STAGES, Distillation
from scripts.training.narrowing import FEWEST, Fit, fit, load_fit, save_fit
from scripts.training.training_pictures import HELD_OUT, crops, load_sources

WIDTHS = "16,16 48,64 96,96,96,96 192,192,192,192 384,48,48,48"
# The packages that the result depends on.
PACKAGES = ("jax", "jaxlib", "flax", "optax", "jaxopt", "numpy", "scipy", "pillow")
# The least values of options; VGG reads pictures from 32 px on.
LEAST = {
    "seed": 0, "fit_images": FEWEST, "fit_side": 32, "steps": 0, "batch": 1, "side": 32,
    "whiten": 1, "refresh": 1, "pool": len(STAGES), "every": 1,
}  # fmt: skip


def parse_widths(text: str) -> vgg.Widths:
    """Reads the numbers of filters from "16,16 64,96 ...", with a word for each block.

    Raises:
      ValueError: if there is not one number for each of VGG-19's layers.
    """
    try:
        blocks = [[int(width) for width in block.split(",")] for block in text.split()]
    except ValueError:
        blocks = []
    widths = tuple(
        (f"conv{block}_{i}", width)
        for block, widths in enumerate(blocks, 1)
        for i, width in enumerate(widths, 1)
    )
    if [name for name, _ in widths] != [name for name, _ in vgg.VGG19_WIDTHS]:
        raise ValueError(
            f"widths should be a word for each block of 2, 2, 4, 4 and 4 numbers, such as "
            f"{WIDTHS!r}, got {text!r}"
        )
    return widths


def begun(path: Path, widths: vgg.Widths) -> Fit:
    """Returns what the first stage would, from a network that this script has written.

    Raises:
      ValueError: if it has other widths, or does not say which filters its own stand for.
    """
    network = load.load_network(path)
    if vgg.network_widths(network.params) != widths or "channels" not in network.metadata:
        raise ValueError(f"{path}: not a network of this script with the widths of --widths")
    channels = json.loads(network.metadata["channels"])
    return Fit(
        jax.tree.map(np.asarray, dict(network.params)),
        {name: np.asarray(chosen) for name, chosen in channels.items()},
    )


def finish(params: vgg.Params, photos: Iterable[Path]) -> dict[str, Any]:
    """Returns the network as it ships, with mean activations of one over some photographs."""
    return rescaling.normalize_params(params, map(central_square, photos))


def add_to_manifest(path: Path, name: str) -> None:
    """Writes the file's checksum, source and licence into the manifest beside it."""
    manifest = path.with_name("manifest.json")
    content = json.loads(manifest.read_text(encoding="utf-8"))
    entry = {
        "name": name,
        "file": path.name,
        "sha256": sha256(path),
        "source": "trained by scripts/training/train_compact.py",
        "licence": "CC BY 4.0, distilled from the VGG-19 of Simonyan and Zisserman (CC BY 4.0)",
    }
    # An entry of another name for this file would tell the checksum of what it was.
    others = [e for e in content["files"] if name != e["name"] and path.name != e["file"]]
    content["files"] = [*others, entry]
    with files.atomic_write(manifest) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def check_settings(work: Path, settings: Mapping[str, Any]) -> None:
    """Checks that a folder's checkpoints, if there are any, are made with the same settings.

    Raises:
      ValueError: if they are made with others.
    """
    path = work / "settings.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else settings
    changed = [f"{k} was {before.get(k)}" for k, v in settings.items() if before.get(k) != v]
    if changed:
        raise ValueError(f"{work}: begun otherwise ({', '.join(changed)}); use another --work")


def keep_settings(work: Path, settings: Mapping[str, Any]) -> None:
    """Notes in a folder what its checkpoints are made with."""
    with files.atomic_write(work / "settings.json") as partial:
        partial.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.training.train_compact", __doc__)
    add = parser.add_argument
    add_data_option(parser, "photos and style")
    add("--network", default="vgg19", help="Oxford's VGG-19, or a file of it")
    add("--work", type=Path, required=True, help="folder for checkpoints and the loss curve")
    output = shipped() / "compact.safetensors"
    add("-o", "--output", type=Path, default=output, help="file to write")
    add("--name", default="compact", help="what its metadata and the manifest call the network")
    add("--seed", type=int, default=0, help="decides all that is random")
    add("--widths", default=WIDTHS, help="filters of each convolution")
    add("--fit-images", type=int, default=1500, help="crops that the first stage solves over")
    add("--fit-side", type=int, default=192, help="side of these crops in pixels")
    add("--begin", type=Path, metavar="FILE",
        help="go on from a network of this script in place of the first stage")  # fmt: skip
    add("--steps", type=int, default=4800, help="steps of the second stage; 0 leaves it out")
    add("--batch", type=int, default=4,
        help="pictures per step, half of them from the student's own optimisations")  # fmt: skip
    add("--side", type=int, default=192, help="side of these pictures in pixels")
    add("--learning-rate", type=float, default=3e-4, help="the highest rate of Adam")
    add("--gram", type=float, default=3.0,
        help="how much errors of Gram matrices count beside those of feature maps, most of which "
             "they average out")  # fmt: skip
    add("--whiten", type=int, default=300,
        help="crops over which the second stage's coordinates are computed")  # fmt: skip
    add("--refresh", type=int, default=1200,
        help="steps after which the pictures of these optimisations are made again")  # fmt: skip
    add("--pool", type=int, default=120, help="how many of these pictures there are")
    add("--every", type=int, default=250, help="steps between checkpoints")
    options = parser.parse_args(arguments)
    # Whatever is wrong should be said before a folder is bound to it, or hours are spent.
    for name, value in vars(options).items():
        option = f"--{name.replace('_', '-')}"
        if name in LEAST and value < LEAST[name]:
            parser.error(f"{option} should be at least {LEAST[name]}, got {value}")
        if isinstance(value, float) and not 0 <= value < math.inf:
            parser.error(f"{option} should be a number from 0 on, got {value}")
    try:
        train(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))


def train(options: argparse.Namespace) -> None:
    """Runs all three stages, from where they were left."""
    widths = parse_widths(options.widths)
    network = load.load_network(options.network, normalized=True)
    teacher = jax.tree.map(np.asarray, network.params)
    sources = load_sources(options.data)
    # Where things lie and how often they are kept does not decide the result.
    aside = ("data", "network", "work", "output", "name", "every")
    settings = {k: v for k, v in vars(options).items() if k not in aside}
    settings["begin"] = options.begin and sha256(options.begin)
    settings |= {"helping": HELPING, "stages": list(STAGES)}
    origin = {
        "teacher_sha256": network.metadata["source_sha256"] or sha256(network.path),
        "data_sha256": sources.checksum,
    }
    found = begun(options.begin, widths) if options.begin else None
    check_settings(options.work, settings | origin)
    options.work.mkdir(parents=True, exist_ok=True)
    solved = options.work / "fit.npz"
    if found is None and solved.exists():
        found = load_fit(solved)
    if fits := found is None:
        rng = np.random.default_rng([options.seed, 2**31 + 1])
        images = crops(rng, sources, options.fit_images, options.fit_side)
        # Filters count as in the published network, because it judges the pictures.
        scales = load.published_activation_means()
        found = fit(teacher, widths, images, rng, scales)
        del images
    # Not before, so that nothing is kept of what cannot begin.
    keep_settings(options.work, settings | origin)
    if fits:
        save_fit(solved, found)
    params = found.params
    if options.steps:
        training = Distillation(teacher, found, sources, options)
        training.run(options.work)
        params = training.params()
    photos = sources.files[: len(sources.photos)]
    params = finish(params, tqdm(photos[::4], "means"))
    versions = [f"{name} {version(name)}" for name in PACKAGES]
    notes = origin | {
        "network": options.name,
        "normalized": "true",
        "source": "scripts/training/train_compact.py",
        "settings": json.dumps(settings),
        "data": json.dumps([f"{path.parent.name}/{path.name}" for path in sources.files]),
        "held_out": ", ".join(HELD_OUT),
        "channels": json.dumps({name: c.tolist() for name, c in found.channels.items()}),
        "versions": ", ".join([f"python {platform.python_version()}", *versions]),
        "device": jax.devices()[0].device_kind,
    }
    load.save_params(options.output, params, notes, dtype=np.float16)
    if options.output.parent == shipped():
        add_to_manifest(options.output, options.name)
    print(f"{options.output}: {options.output.stat().st_size} bytes")


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
