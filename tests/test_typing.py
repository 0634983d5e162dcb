"""The lines of README, pages and docstrings, as type checkers see them in a user's program."""

import doctest
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import jaxstyle

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# What the lines of a page take as given.
BEFORE = """
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
import jaxstyle
from jaxstyle import LossSpec, LossWeights, OwnLoss, VGGSpec, samples, solvers
params = jaxstyle.load_params("compact")
content = jaxstyle.load_image(samples.LAKE, size=64)
style = jaxstyle.load_image(samples.SWIRLS, size=48)
mask = content[..., 0]
result = jaxstyle.stylize(params, content, style)
module = nn.Dense(3)
"""
BEFORE_EXAMPLE = """
import jax
import jax.numpy as jnp
import numpy as np
from jaxstyle import *
from jaxstyle.networks import vgg
"""
# `def network(params, image, layers)` stays as short as it is on the page.
MYPY = [
    f"--config-file={ROOT / 'pyproject.toml'}",
    "--strict",
    "--allow-untyped-defs",
    "--allow-untyped-calls",
    "--no-error-summary",
    "--no-pretty",
]


def lines_of(text):
    """The Python of a text: its examples with a prompt, and its fenced blocks without one."""
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    plain = [block for block in blocks if ">>>" not in block]
    examples = [example.source for example in doctest.DocTestParser().get_examples(text)]
    return "".join(examples + plain)


def programs():
    """A program for each page that has Python, and for each docstring with an example."""
    for page in PAGES:
        if lines := lines_of(page.read_text()):
            name = "_".join(page.relative_to(ROOT).with_suffix("").parts).replace("-", "_")
            yield name, BEFORE + lines
    for name in jaxstyle.__all__:
        thing = getattr(jaxstyle, name)
        if (lines := lines_of(thing.__doc__ or "")) and not hasattr(thing, "__path__"):
            module = sys.modules[getattr(thing, "__module__", thing.__name__)]
            yield f"doc_{name}", f"{BEFORE_EXAMPLE}from {module.__name__} import *\n{lines}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    for name, program in programs():
        (folder / f"{name}.py").write_text(program)
    return folder


def test_the_readme_has_a_program(folder):
    assert "jaxstyle.stylize(" in (folder / "README.py").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("mypy"), reason="mypy is not installed")
def test_mypy_is_content_with_what_users_read(folder, tmp_path):
    command = [sys.executable, "-m", "mypy", *MYPY, f"--cache-dir={tmp_path}", str(folder)]
    # Not in the checkout, whose own package would be checked by the flags for users too.
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pyright"), reason="pyright is not installed")
def test_pyright_is_content_with_what_users_read(folder):
    # optax says of `apply_updates` that it may return any tree.
    (folder / "docs_how_to_own_optimiser.py").unlink()
    done = subprocess.run(
        ["pyright", f"--pythonpath={sys.executable}", str(folder)],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
