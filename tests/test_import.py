"""Importing the package is quiet and changes nothing; its namespace is what `__all__` says."""

import json
import subprocess
import sys

import pytest

import jaxstyle

NAMES = [
    "Grid",
    "Kept",
    "LossSpec",
    "LossWeights",
    "MemoryPlan",
    "Mixture",
    "ObjectiveValue",
    "OwnLoss",
    "Region",
    "Result",
    "Targets",
    "blend_styles",
    "color",
    "compute_targets",
    "content_loss",
    "descend",
    "features",
    "gram_matrix",
    "guided_targets",
    "init_params",
    "load_image",
    "load_params",
    "make_scales",
    "mix_styles",
    "normalize_params",
    "objective",
    "objective_and_gradient",
    "optimize",
    "plan_memory",
    "quantize",
    "reconstruct_content",
    "resize",
    "save_image",
    "shard_rows",
    "solvers",
    "style_loss",
    "stylize",
    "stylize_coarse_to_fine",
    "stylize_grid",
    "synthesize_texture",
]

PROBE = """
import json, os, sys
import flax, flax.linen, jax, jax.numpy, numpy, optax
before = dict(jax.config.values)
read, written = [], []
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate")

def watch(event, args):
    if event == "open":
        (written if args[2] & WRITING else read).append(str(args[0]))
    elif event in CHANGES or event.startswith("socket."):
        written.append(f"{event} {args}")

sys.addaudithook(watch)
import jaxstyle
print(json.dumps({
    "modules": sorted(sys.modules),
    "same_config": dict(jax.config.values) == before,
    "read": read,
    "written": written,
}))
"""


def python(code):
    """Runs code in a fresh interpreter where every warning is an error."""
    command = [sys.executable, "-B", "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def imported():
    """What a fresh interpreter saw while it imported the package."""
    done = python(PROBE)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_import_prints_nothing_and_warns_of_nothing():
    done = python("import jaxstyle")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["PIL", "jaxopt", "h5py", "safetensors", "pooch", "tqdm"])
def test_import_leaves_what_few_need_for_later(imported, name):
    assert "jaxstyle" in imported["modules"]
    assert name not in imported["modules"]


def test_import_leaves_jax_configured_as_it_was(imported):
    assert imported["same_config"]


def test_import_writes_no_file_and_opens_no_socket(imported):
    assert imported["written"] == []


def test_import_reads_only_modules(imported):
    assert any("jaxstyle" in path for path in imported["read"])
    assert [path for path in imported["read"] if not path.endswith((".py", ".pyc", ".so"))] == []


def test_exported_names_are_these():
    assert jaxstyle.__all__ == NAMES


def test_dir_lists_the_exported_names():
    assert dir(jaxstyle) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_exported_name_resolves_to_something_documented(name):
    exported = getattr(jaxstyle, name)
    assert exported.__name__.split(".")[-1] == name
    assert exported.__doc__


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'jaxstyle' has no attribute 'stylise'"):
        _ = jaxstyle.stylise
