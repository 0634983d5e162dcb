"""Importing the package is quiet and changes nothing; its namespace is what `__all__` says."""

import ast
import importlib
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest

import jaxstyle

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
jaxstyle.stylize  # imports all that is public
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


@pytest.mark.parametrize("module", ["jaxstyle", "jaxstyle.cli"])
def test_what_the_command_imports_first_leaves_jax_for_later(module):
    done = python(f"import sys, {module}; print({{'jax', 'numpy', 'PIL'}} & set(sys.modules))")
    assert (done.returncode, done.stdout, done.stderr) == (0, "set()\n", "")


def test_import_leaves_jax_configured_as_it_was(imported):
    assert imported["same_config"]


def test_import_writes_no_file_and_opens_no_socket(imported):
    assert imported["written"] == []


def test_import_reads_only_modules(imported):
    assert any("jaxstyle" in path for path in imported["read"])
    assert [path for path in imported["read"] if not path.endswith((".py", ".pyc", ".so"))] == []


def public(namespace):
    return {name for name in vars(namespace) if not name.startswith("_")}


def test_the_namespace_holds_what_it_exports_and_modules():
    exported = set(jaxstyle.__all__)
    assert len(exported) == len(jaxstyle.__all__)
    assert dir(jaxstyle) == sorted(exported)
    for name in exported:
        getattr(jaxstyle, name)  # those that are imported when they are first used too
    rest = public(jaxstyle) - exported
    modules = {name for name in rest if isinstance(getattr(jaxstyle, name), types.ModuleType)}
    assert rest - modules <= {"Any", "ModuleSpec", "TYPE_CHECKING"}


@pytest.mark.parametrize("name", jaxstyle.__all__)
def test_every_exported_name_resolves_to_something_documented(name):
    exported = getattr(jaxstyle, name)
    assert exported.__name__.split(".")[-1].removeprefix("huge_") == name
    assert exported.__doc__


@pytest.mark.parametrize("name", ["animation", "color", "pages", "presets", "statistics"])
def test_modules_have_the_short_names_of_the_documentation(name):
    short = importlib.import_module(f"jaxstyle.{name}")
    assert short is getattr(jaxstyle, name)
    assert importlib.import_module(short.__name__) is short


def test_the_objective_is_a_function_and_no_module():
    assert callable(jaxstyle.objective)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("jaxstyle.objective")


def test_rooms_import_each_other_in_one_direction():
    """A room, by what its modules import of the package, directly or inside functions."""
    allowed = {
        "errors": set(),
        "samples": set(),
        "_common": {"errors"},
        "image": {"_common", "errors"},
        "networks": {"_common", "errors", "image"},
        "losses": {"_common", "errors", "image", "networks"},
        "solvers": {"_common", "image"},
        "feedforward": {"_common", "errors", "image", "networks", "losses"},
        "optimization": {"_common", "errors", "image", "networks", "losses", "solvers"},
        "video": {
            "_common", "errors", "image", "networks", "losses", "optimization", "feedforward",
        },
        "pieces": {"_common", "errors", "image", "losses"},
        "evaluate": {"_common", "errors", "image", "networks", "losses"},
    }  # fmt: skip
    core = set(allowed)
    allowed["pipeline"] = core
    allowed["sweep"] = allowed["cli"] = core | {"pipeline", "samples"}
    allowed["web"] = core | {"pipeline"}
    allowed["cli"] = allowed["cli"] | {"sweep", "web"}
    root = Path(jaxstyle.__file__).parent
    for path in root.rglob("*.py"):
        room = path.relative_to(root).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__", "_public"):
            continue
        imported = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jaxstyle."):
                imported.add(node.module.split(".")[1])
            elif isinstance(node, ast.ImportFrom) and node.module == "jaxstyle":
                imported |= {alias.name for alias in node.names}
        assert imported - {room} <= allowed[room], path


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'jaxstyle' has no attribute 'stylise'"):
        _ = jaxstyle.stylise
