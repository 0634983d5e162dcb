"""Fixtures that several test modules use."""

import contextlib
import gc
import importlib.metadata
import os
from pathlib import Path

import jax
import pytest
from helpers import disks
from helpers.command_line import COMMANDS, LAYERS, Ran, write_network, write_picture

from jaxstyle.cli import main
from jaxstyle.networks import catalogue
from jaxstyle.networks import load as loading

# XLA reads its flags at the first use of a device. Without its newer emitters of fused loops it
# compiles for CPUs in half the time. A version that does not know the flag would refuse to start.
_EMITTERS = "--xla_cpu_use_fusion_emitters=false"
if importlib.metadata.version("jaxlib").startswith(("0.8.", "0.9.", "0.10.")):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_EMITTERS}".strip()

_MAPPINGS = 30_000

# Examples that compile for seconds, as those of the pages do. CI runs them.
_SLOW_EXAMPLES = {
    "jaxstyle",
    "jaxstyle.evaluate.compute_reference",
    "jaxstyle.evaluate.evaluate",
    "jaxstyle.evaluate.structural_similarity",
    "jaxstyle.feedforward.network.paint",
    "jaxstyle.image.color.match_color",
    "jaxstyle.losses.guidance.guided_targets",
    "jaxstyle.losses.objective.objective",
    "jaxstyle.networks.bands.read_features",
    "jaxstyle.networks.vgg.features",
    "jaxstyle.networks.vgg.init_params",
    "jaxstyle.networks.vgg.network_widths",
    "jaxstyle.optimization.grid.stylize_grid",
    "jaxstyle.optimization.descent.descend",
    "jaxstyle.optimization.memory.plan_memory",
    "jaxstyle.optimization.multiscale.enlarge",
    "jaxstyle.optimization.multiscale.stylize_coarse_to_fine",
    "jaxstyle.optimization.transfer.stylize",
    "jaxstyle.pieces.analogies.analogy",
    "jaxstyle.pieces.analogies.analogy_transfer",
    "jaxstyle.pieces.quilting.quilt_transfer",
    "jaxstyle.pieces.voting.patch_analogy",
    "jaxstyle.pieces.voting.patch_texture",
    "jaxstyle.pieces.voting.patch_transfer",
    "jaxstyle.sweep.run.run_sweep",
}

# What JAX keeps of a thousand programs is much to look through, and little of it is garbage.
gc.set_threshold(100_000, 50, 100)

SMALL = {
    "size": 32,
    "steps": 3,
    "content-layers": "relu2_1",
    "style-layers": "relu1_1",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the examples that take long, and every page of the documentation, as slow."""
    pages = config.rootpath / "docs"
    for item in items:
        if item.name in _SLOW_EXAMPLES or item.path.is_relative_to(pages):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="module")
def not_too_many_programs():
    """Forgets compiled programs in time: each has mappings of memory, and Linux allows 65,530."""
    yield
    mappings = Path("/proc/self/maps")
    if mappings.exists() and mappings.read_bytes().count(b"\n") > _MAPPINGS:
        jax.clear_caches()


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    return write_network(tmp_path_factory.mktemp("network") / "net.safetensors")


@pytest.fixture(scope="module")
def compile_faster():
    """For modules that compile much and run little."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture
def small_disk(tmp_path):
    """Makes a disk with so many bytes of room, and returns its folder."""
    with contextlib.ExitStack() as mounted:
        yield lambda room: mounted.enter_context(disks.small_disk(tmp_path / "disk", room))


_shipped = catalogue.shipped


@pytest.fixture
def with_shipped(cli, monkeypatch):
    """`cli` beside the networks that the package ships."""
    for module in (catalogue, loading):
        monkeypatch.setattr(module, "shipped", _shipped)
    return cli


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys, network):
    """Runs a command line in a folder of its own, which holds a photograph and a painting."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.delenv("JAXSTYLE_PARAMS", raising=False)
    for module in (catalogue, loading):
        for place in ("shipped", "cache"):
            monkeypatch.setattr(module, place, lambda place=place: tmp_path / place)
    write_picture(work / "content.png", 1)
    write_picture(work / "style.png", 2)

    def run(line: str, **options: object) -> Ran:
        args = line.split()
        if args and args[0] in COMMANDS:
            options = {"network": network, "size": 32, "steps": 3} | options
            if not {"content_layers", "style_layers", "layer", "settings_from"} & set(options):
                args += LAYERS[args[0]].split()
        args += [
            f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
            for name, value in options.items()
            if value is not None
        ]
        capsys.readouterr()
        status = main(args)
        return Ran(status, *capsys.readouterr())

    return run


@pytest.fixture
def folder(cli):
    """The folder of the command line's tests, with two photographs and two paintings."""
    write_picture("other.png", 3)
    write_picture("paint.png", 4)
    return Path.cwd()


@pytest.fixture
def describe(folder, network):
    def describe(**changes):
        options = SMALL | {"network": str(network)} | changes.pop("options", {})
        return {"content": "content.png", "style": "style.png", "options": options} | changes

    return describe
