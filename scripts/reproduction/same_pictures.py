"""Takes fingerprints of the pictures that every command, preset and control makes.

    python -m scripts.reproduction.same_pictures -o before.txt
    ... change the code ...
    python -m scripts.reproduction.same_pictures --against before.txt

Each line is the name of a case and a digest of what it wrote: the pixels of pictures and films, and
the text of traces and tables. A change of the code that keeps the results keeps every line, on the
same machine and with the same versions of JAX and its compiler. The cases run the command in this
process, on the package's own sample pictures and its compact network. With `JAXSTYLE_PARAMS` set to
a file of VGG-19, a few cases run on that network too.
"""

import argparse
import contextlib
import csv
import hashlib
import io
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image, ImageSequence

import jaxstyle
from jaxstyle import samples
from jaxstyle.cli import main as run_command

QUICK = "--size 64 --steps 4"
STYLIZE = f"stylize lake.png swirls.png -o out.png {QUICK}"
VARIANTS = {
    "preset": (
        "default compact gatys2016 gatys-notebook gatys-normalised neural-style anishathalye d2l "
        "gordic pystiche tensorflow-tutorial"
    ),
    "solver": "lbfgs lbfgs-zoom optax-lbfgs adam gradient-descent",
    "statistic": "gram covariance wasserstein moments histogram sliced",
    "color": "style luminance match-cholesky match-pca match-symmetric histogram",
    "init": "content noise white-noise style other.png",
    "tv": "squared l1 isotropic power",
    "pooling": "max average",
    "padding": "zero reflect replicate",
    "convolution": "auto direct im2col winograd",
    "memory": "auto plain low",
    "precision": "float32 bfloat16",
}
CONTROLS = {
    "content-weight": "--content-weight 3",
    "style-weight": "--style-weight 0.1",
    "tv-weight": "--tv-weight 1e5 --tv l1",
    "range-weight": "--range-weight 0",
    "content-layers": "--content-layers relu3_1=0.5,relu4_2",
    "style-layers": "--style-layers relu1_1,relu2_1=2,pool3",
    "style-size": "--style-size 40",
    "style-scale": "--style-scale 0.7",
    "init-noise": "--init-noise 0.1 --seed 7",
    "history": "--solver lbfgs --history 3 --preconditioning 0.2",
    "learning-rate": "--solver adam --learning-rate 0.05",
    "mix": "--mix 'other.png=0.3;third.png=0.2'",
    "mix-by-targets": "--mix other.png=0.4 --mix-by targets",
    "mix-wasserstein": "--mix other.png=0.4 --statistic wasserstein",
    "fine-style": "--fine-style other.png",
    "regions": "--regions 'mask.png,style=other.png,weight=2;rest'",
    "regions-all": "--regions 'mask.png,style=other.png,style-mask=mask.png;rest' --guides all",
    "keep": "--keep mask.png",
    "keep-luminance": "--keep mask.png --color luminance",
    "scales": "--scales 40,64 --scale-steps 3,2",
    "scales-mix": "--scales 40,64 --mix other.png=0.3 --style-size 50",
    "content-start-tv": "--preset neural-style --init content",
}
LINES = {
    "demo": ["demo -o out.png --size 64 --steps 4"],
    "texture": [f"texture swirls.png -o out.png --output-size 70x50 {QUICK}"],
    "texture-scales": ["texture swirls.png -o out.png --scales 40,64 --steps 3 --init style"],
    "reconstruct": [f"reconstruct lake.png -o out.png --layer relu3_1 {QUICK}"],
    "reconstruct-average": [f"reconstruct lake.png -o out.png --pooling average {QUICK}"],
    "several": [f"stylize lake.png swirls.png other.png -o folder {QUICK}"],
    "several-batch": [f"stylize lake.png swirls.png other.png -o folder --width 2 {QUICK}"],
    "keeps-transparency": [f"stylize clear.png swirls.png -o out.png --bit-depth 16 {QUICK}"],
    "formats": [
        f"stylize lake.png swirls.png -o out.{kind} {QUICK}" for kind in ("jpg", "webp", "tif")
    ],
    "on-the-way": [
        f"{STYLIZE} --save-every 2 --trace trace.csv --animate film.gif --animate-every 1"
    ],
    "film-folder": [f"{STYLIZE} --animate film --init noise"],
    "settings-from": [
        f"{STYLIZE} --seed 3 --init noise --style-layers relu1_1=2,relu2_1 --scales 40,64",
        "stylize lake.png swirls.png -o again.png --settings-from out.png",
    ],
    "resume": [f"{STYLIZE} --resume --snapshot-every 2"],
    "normalised-over-pictures": [
        "weights convert net.safetensors -o plain.safetensors",
        f"{STYLIZE} --network plain.safetensors --preset default",
    ],
    "weights-convert": [
        "weights convert net.safetensors -o unit.safetensors --normalize lake.png swirls.png",
        f"stylize lake.png swirls.png -o out.png --network unit.safetensors {QUICK}",
    ],
    "sweep": ["sweep grid.toml -o swept"],
    "sweep-random": ["sweep random.toml -o swept --width 2"],
}
GRID = """
content = "lake.png"
style = ["swirls.png", "other.png"]
[options]
network = "compact"
size = 64
steps = 3
init = ["content", "noise"]
style-weight = { from = 0.1, to = 10, count = 2, scale = "log" }
style-layers = { relu1_1 = 1, relu2_1 = 0.5 }
regions = "mask.png,style=third.png;rest"
"""
RANDOM = """
content = ["lake.png", "other.png"]
style = "swirls.png"
combine = "random"
count = 4
seed = 5
[options]
network = "compact"
size = 48
steps = 3
seed = { low = 0, high = 99, whole = true }
tv-weight = { low = 0.0, high = 10.0 }
mix = ["other.png=0.5", "third.png=0.25"]
"""


def prepare(folder: Path) -> None:
    """Puts the pictures, masks and sweeps that cases use into a folder."""
    lake, swirls = (Image.open(path).convert("RGB") for path in (samples.LAKE, samples.SWIRLS))
    lake.resize((96, 72)).save(folder / "lake.png")
    swirls.resize((80, 64)).save(folder / "swirls.png")
    swirls.rotate(90, expand=True).resize((64, 80)).save(folder / "other.png")
    Image.fromarray(255 - np.asarray(swirls)).resize((72, 72)).save(folder / "third.png")
    ramp = np.clip(np.linspace(-1, 2, 96), 0, 1)
    mask = Image.fromarray(np.uint8(np.broadcast_to(np.rint(255 * ramp), (72, 96))))
    mask.save(folder / "mask.png")
    clear = lake.resize((96, 72))
    clear.putalpha(mask)
    clear.save(folder / "clear.png")
    (folder / "grid.toml").write_text(GRID, encoding="utf-8")
    (folder / "random.toml").write_text(RANDOM, encoding="utf-8")
    widths = (("conv1_1", 6), ("conv1_2", 7), ("conv2_1", 8), ("conv2_2", 9))
    widths += tuple((f"conv{block}_{i}", 10) for block in (3, 4, 5) for i in (1, 2, 3, 4))
    write_network(folder / "net.safetensors", widths)


def write_network(path: Path, widths: tuple[tuple[str, int], ...]) -> None:
    """A random network that nobody normalised, in the package's own layout."""
    from safetensors.numpy import save_file

    params = jaxstyle.init_params(jax.random.key(0), widths)
    arrays = {"mean": np.asarray(params.pop("mean"))}
    for layer, parts in params.items():
        arrays |= {f"{layer}.{part}": np.asarray(array) for part, array in parts.items()}
    save_file(
        arrays,
        path,
        {
            "format": "jaxstyle-params",
            "version": "1",
            "network": "custom",
            "weights": "unknown",
            "normalized": "false",
            "layout": "jaxstyle",
        },
    )


def command_cases() -> Iterator[tuple[str, list[str]]]:
    """Names of cases, and the lines that each runs."""
    for option, values in VARIANTS.items():
        for value in values.split():
            line = f"{STYLIZE} --{option} {value}"
            yield f"{option}={value}", [line + (" --tv-weight 1e5" if option == "tv" else "")]
    for name, options in CONTROLS.items():
        yield name, [f"{STYLIZE} {options}"]
    yield from LINES.items()


def function_cases() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Names of cases, and functions that return the arrays to compare."""
    params = jaxstyle.load_params("compact")
    content = jaxstyle.load_image("lake.png", size=48)
    style, other = (jaxstyle.load_image(f"{name}.png", size=40) for name in ("swirls", "other"))
    few: dict[str, Any] = {"num_steps": 3}
    spec = jaxstyle.LossSpec(("relu2_1",), ("relu1_1", "relu2_1"))
    left = jax.numpy.zeros(content.shape[:2]).at[:, :20].set(1.0)

    def guided() -> Any:
        regions = [jaxstyle.Region(left, style), jaxstyle.Region(1 - left, other, weight=2.0)]
        targets = jaxstyle.guided_targets(params, content, regions, spec, mode="inside")
        return jaxstyle.optimize(content, params, targets, spec=spec, **few)

    def grid() -> Any:
        weights = [jaxstyle.LossWeights(style=weight) for weight in (1.0, 100.0)]
        return jaxstyle.stylize_grid(
            params, [content, content[::-1]], [style, other], weights, spec=spec, width=3,
            init="noise", **few,
        )  # fmt: skip

    def own() -> Any:
        darkness = jaxstyle.OwnLoss(
            "same", lambda maps, target: ((maps["image"].mean((0, 1)) - target) ** 2).sum(),
            measure=lambda maps: maps["image"].mean((0, 1)),
        )  # fmt: skip
        with_own = jaxstyle.LossSpec(("relu2_1",), ("relu1_1",), own_losses=[darkness])
        weights = jaxstyle.LossWeights(own=1e4)
        return jaxstyle.stylize(params, content, style, spec=with_own, weights=weights, **few)

    scales = jaxstyle.make_scales([24, 48], [3, 2])
    yield "stylize()", lambda: jaxstyle.stylize(params, content, style, **few)
    yield (
        "stylize() jitted",
        lambda: jax.jit(lambda image: jaxstyle.stylize(params, image, style, spec=spec, **few))(
            content
        ),
    )
    yield (
        "vmap",
        lambda: jax.vmap(
            lambda seed: jaxstyle.stylize(
                params, content, style, spec=spec, init="noise", key=jax.random.key(seed), **few
            )
        )(jax.numpy.arange(2)),
    )
    yield "grid", grid
    yield "guided", guided
    yield "own loss", own
    yield (
        "coarse to fine",
        lambda: jaxstyle.stylize_coarse_to_fine(params, content, style, scales, spec=spec),
    )
    yield "texture()", lambda: jaxstyle.synthesize_texture(params, style, spec=spec, **few)
    yield "reconstruct()", lambda: jaxstyle.reconstruct_content(params, content, "relu3_1", **few)
    yield (
        "objective",
        lambda: jaxstyle.objective_and_gradient(
            other[:24, :24],
            params,
            jaxstyle.compute_targets(params, other[:24, :24], style, spec),
            spec=spec,
        ),
    )


def written(folder: Path, before: set[Path]) -> str:
    """A digest of all that is new in a folder, times and places apart."""
    digest = hashlib.sha256()
    for path in sorted(set(folder.rglob("*")) - before):
        if path.suffix in (".png", ".jpg", ".webp", ".tif", ".gif"):
            digest.update(str(path.relative_to(folder)).encode())
            with Image.open(path) as image:
                for frame in ImageSequence.Iterator(image):
                    digest.update(f"{frame.mode}{frame.size}".encode() + frame.tobytes())
        elif path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.reader(file):
                    digest.update(repr(row).encode())
    return digest.hexdigest()[:16]


def run_lines(lines: list[str]) -> str:
    """Runs commands in a new folder; returns the digest of what they wrote."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        folder = Path(name)
        prepare(folder)
        before = set(folder.rglob("*"))
        for line in lines:
            words = shlex.split(line)
            if words[0] not in ("sweep", "weights", "demo") and "--network" not in words:
                words += ["--network", "compact"]
            quiet = [] if words[0] == "weights" else ["--quiet"]
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                status = run_command([*words, *quiet])
            if status:
                return f"status {status}: {said.getvalue().strip()}"
        return written(folder, before)


def run_function(function: Callable[[], Any]) -> str:
    """The digest of a pytree of arrays."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(function()):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()[:16]


def all_cases(only: str) -> Iterator[tuple[str, str]]:
    """Names and digests of the cases whose names match, one after the other."""
    for name, lines in command_cases():
        if fnmatch(name, only):
            yield name, run_lines(lines)
    if os.environ.get("JAXSTYLE_PARAMS"):
        for name in ("vgg19", "vgg19-normalized"):
            line = f"stylize lake.png swirls.png -o out.png --network {name} --size 64 --steps 3"
            if fnmatch(name, only):
                yield name, run_lines([line])
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        prepare(Path(name))
        for case, function in function_cases():
            if fnmatch(case, only):
                yield case, run_function(function)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="write the fingerprints here")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="cases to run")
    parser.add_argument("--against", type=Path, help="compare with fingerprints written before")
    arguments = parser.parse_args()
    known = {}
    if arguments.against:
        lines = arguments.against.read_text(encoding="utf-8").splitlines()
        known = dict(line.rsplit("\t", 1) for line in lines)
        known = {name: digest for name, digest in known.items() if fnmatch(name, arguments.only)}
    found, different = {}, []
    for name, digest in all_cases(arguments.only):
        found[name] = digest
        same = known.get(name, digest) == digest
        if not same:
            different.append(name)
        print(f"{name}\t{digest}" + ("" if same else f"\twas {known[name]}"), flush=True)
    if arguments.output:
        arguments.output.write_text(
            "".join(f"{n}\t{d}\n" for n, d in found.items()), encoding="utf-8"
        )
    if arguments.against:
        missing = sorted(set(known) - set(found))
        print(f"{len(found)} cases, {len(different)} different, {len(missing)} missing")
        sys.exit(1 if different or missing else 0)


if __name__ == "__main__":
    main()
