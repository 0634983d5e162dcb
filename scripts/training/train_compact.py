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

Training takes up to 13 GB of memory on a CPU. It runs on a GPU where there is one; more training
is then affordable, for example `--steps 40000 --batch 16`.
"""

import argparse
import csv
import json
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState
from jax import Array
from tqdm import tqdm, trange

import jaxstyle
from jaxstyle._common import files
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle._common.reading import sha256
from jaxstyle.cli.networks import central_square
from jaxstyle.losses import functional
from jaxstyle.losses.spec import LossSpec
from jaxstyle.networks import load, rescaling, vgg
from jaxstyle.networks.catalogue import shipped
from jaxstyle.networks.convolution import Convolution
from jaxstyle.optimization.presets import get_preset
from jaxstyle.solvers.base import Info
from scripts.command_line import add_data_option, make_parser
from scripts.training.narrowing import PADDING, Fit, Floats, fit, load_fit, save_fit, whitenings
from scripts.training.training_pictures import HELD_OUT, Sources, crops, load_sources, square

WIDTHS = "16,16 48,64 96,96,96,96 192,192,192,192 384,48,48,48"
# The layers that the default objective compares have to be right. The others get this weight.
HELPING = 0.05
# Gram matrices average out most of a feature map's errors, so the errors that are left count more.
GRAM = 3.0
# The steps of an optimisation after which its picture is kept for training.
STAGES = (20, 60, 120)
# The packages that the result depends on.
PACKAGES = ("jax", "jaxlib", "flax", "optax", "jaxopt", "numpy", "scipy", "pillow")


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
            return sum(maps, start=GRAM * sum(errors["gram"].values())), errors

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


def finish(params: vgg.Params, photos: Iterable[Path]) -> dict[str, Any]:
    """Returns the network as it ships, with mean activations of one over some photographs."""
    return rescaling.normalize_params(params, map(central_square, photos))


def add_to_manifest(path: Path) -> None:
    """Writes the file's checksum, source and licence into the manifest beside it."""
    manifest = path.with_name("manifest.json")
    content = json.loads(manifest.read_text(encoding="utf-8"))
    entry = {
        "name": "compact",
        "file": path.name,
        "sha256": sha256(path),
        "source": "trained by scripts/training/train_compact.py",
        "licence": "CC BY 4.0, distilled from the VGG-19 of Simonyan and Zisserman (CC BY 4.0)",
    }
    content["files"] = [e for e in content["files"] if e["name"] != entry["name"]] + [entry]
    with files.atomic_write(manifest) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def keep_settings(work: Path, settings: Mapping[str, Any]) -> None:
    """Notes in a folder what its checkpoints are made with.

    Raises:
      ValueError: if the folder holds checkpoints made with other settings.
    """
    work.mkdir(parents=True, exist_ok=True)
    path = work / "settings.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else settings
    changed = [f"{k} was {before.get(k)}" for k, v in settings.items() if before.get(k) != v]
    if changed:
        raise ValueError(f"{work}: begun otherwise ({', '.join(changed)}); use another --work")
    with files.atomic_write(path) as partial:
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
    add("--seed", type=int, default=0, help="decides all that is random")
    add("--widths", default=WIDTHS, help="filters of each convolution")
    add("--fit-images", type=int, default=1500, help="crops that the first stage solves over")
    add("--fit-side", type=int, default=192, help="side of these crops in pixels")
    add("--steps", type=int, default=4800, help="steps of the second stage; 0 leaves it out")
    add("--batch", type=int, default=4,
        help="pictures per step, half of them from the student's own optimisations")  # fmt: skip
    add("--side", type=int, default=192, help="side of these pictures in pixels")
    add("--learning-rate", type=float, default=3e-4, help="the highest rate of Adam")
    add("--whiten", type=int, default=300,
        help="crops over which the second stage's coordinates are computed")  # fmt: skip
    add("--refresh", type=int, default=1200,
        help="steps after which the pictures of these optimisations are made again")  # fmt: skip
    add("--pool", type=int, default=120, help="how many of these pictures there are")
    add("--every", type=int, default=250, help="steps between checkpoints")
    options = parser.parse_args(arguments)
    if options.pool < len(STAGES):
        parser.error(f"--pool should be at least {len(STAGES)}, the pictures of one descent")
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
    aside = ("data", "network", "work", "output", "every")
    settings = {k: v for k, v in vars(options).items() if k not in aside}
    settings |= {"gram": GRAM, "helping": HELPING, "stages": list(STAGES)}
    origin = {
        "teacher_sha256": network.metadata["source_sha256"] or sha256(network.path),
        "data_sha256": sources.checksum,
    }
    keep_settings(options.work, settings | origin)
    solved = options.work / "fit.npz"
    if not solved.exists():
        rng = np.random.default_rng([options.seed, 2**31 + 1])
        images = crops(rng, sources, options.fit_images, options.fit_side)
        # Filters count as in the published network, because it judges the pictures.
        scales = load.published_activation_means()
        save_fit(solved, fit(teacher, widths, images, rng, scales))
        del images
    found = load_fit(solved)
    params = found.params
    if options.steps:
        training = Distillation(teacher, found, sources, options)
        training.run(options.work)
        params = training.params()
    photos = sources.files[: len(sources.photos)]
    params = finish(params, tqdm(photos[::4], "means"))
    versions = [f"{name} {version(name)}" for name in PACKAGES]
    notes = origin | {
        "network": "compact",
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
        add_to_manifest(options.output)
    print(f"{options.output}: {options.output.stat().st_size} bytes")


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
