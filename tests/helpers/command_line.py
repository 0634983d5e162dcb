"""What the tests of the command line share; their fixtures are in conftest.py."""

import csv
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from helpers import network_files
from jaxstyle.networks import load

STYLIZE = "stylize content.png style.png -o out.png"
TEXTURE = "texture style.png -o out.png"
RECONSTRUCT = "reconstruct content.png -o out.png"
# The first layers alone: they compile in a second or two.
LAYERS = {
    "stylize": "--content-layers relu2_1 --style-layers relu1_1",
    "texture": "--style-layers relu1_1",
    "reconstruct": "--layer relu2_1",
}
COMMANDS = {"stylize": STYLIZE, "texture": TEXTURE, "reconstruct": RECONSTRUCT}
TOML = """
content = "content.png"
style = "style.png"
[options]
network = "{network}"
size = 32
steps = {steps}
init = "noise"
content-layers = "relu2_1"
style-layers = "relu1_1"
seed = {{ from = 0, to = {last}, count = {count}, whole = true }}
"""


# Processes share what they compile.
_PROGRAMS = tempfile.TemporaryDirectory()


def environment() -> dict[str, str]:
    """For a process of the command: this checkout, on the CPU, quick to compile."""
    return os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_COMPILATION_CACHE_DIR": _PROGRAMS.name,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=0",  # starts in one go
    }


class Ran(NamedTuple):
    status: int
    out: str
    err: str


def write_network(
    path: Path, scale: float = 1.0, layers: Sequence[str] = network_files.LAYERS
) -> Path:
    """A narrow random network whose activations keep their size from layer to layer."""
    params = network_files.random_params(layers=layers)
    for layer in layers:
        params[layer]["kernel"] *= scale * np.sqrt(2 / (9 * params[layer]["kernel"].shape[2]))
        params[layer]["bias"] *= 0.1
    load.save_params(path, params, {"normalized": "true"})
    return path


def write_picture(
    path: Path | str, seed: int, mode: str = "RGB", *, size: tuple[int, int] = (48, 32)
) -> None:
    shape = (*size[::-1], len(mode))
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8)).save(path)


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def rows(path: str = "trace.csv") -> list[dict[str, float]]:
    with open(path, encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def done(ran: Ran) -> Ran:
    assert (ran.status, ran.err) == (0, "")
    return ran


def start(cli, line: str = STYLIZE, **options: object) -> dict[str, float]:
    """Loss terms of the picture that a run starts from."""
    done(cli(line, trace="trace.csv", steps=1, **options))
    return rows()[0]


def write_toml(network, steps=3, count=4):
    text = TOML.format(network=network, steps=steps, last=count - 1, count=count)
    Path("sweep.toml").write_text(text, encoding="utf-8")


def table_of(path: str | Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files_of(folder: Path) -> dict[str, bytes]:
    """All that must be the same however often a sweep was killed: all but times and places."""
    found = {}
    for path in sorted(folder.rglob("*")):
        record = path.name.startswith(".lock") or path.name in ("manifest.jsonl", "programs.json")
        if path.is_file() and not record:
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found
