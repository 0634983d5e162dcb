"""The README, the pages that it leads to, and docstrings; Sphinx checks links among the pages."""

import contextlib
import importlib
import inspect
import operator
import pkgutil
import re
from pathlib import Path

import pytest

import jaxstyle

ROOT = Path(__file__).parents[1]
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_lead_to_files(path):
    links = re.findall(r"\]\(([^)#]+)", path.read_text())
    files = [link for link in links if not link.startswith("https://")]
    assert [file for file in files if not (path.parent / file).is_file()] == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) <= 8000


def test_every_page_of_the_how_to_index_is_in_its_table_of_contents():
    index = (ROOT / "docs" / "how-to" / "index.md").read_text()
    linked = {link.removesuffix(".md") for link in re.findall(r"\]\(([\w-]+\.md)\)", index)}
    listed = set(index.partition("```{toctree}")[2].split()) - {":hidden:", "```"}
    assert linked == listed == {p.stem for p in (ROOT / "docs" / "how-to").glob("*.md")} - {"index"}


# Values of arguments that are also names of functions.
_WORDS = {"moments", "nearest"}


def public_docstrings():
    """Every public object with its docstring, and those of the members of classes."""
    for name in jaxstyle.__all__:
        public = getattr(jaxstyle, name)
        members = vars(public).items() if inspect.isclass(public) else ()
        yield name, public
        for member, value in members:
            if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                yield f"{name}.{member}", value


def own_names(of):
    """The functions and classes of the package that go by a bare name somewhere in it."""
    for module in pkgutil.walk_packages(jaxstyle.__path__, "jaxstyle."):
        if not module.name.startswith(("jaxstyle.cli", "jaxstyle.__main__")):
            found = vars(importlib.import_module(module.name))
            yield from (name for name, value in found.items() if of(value))


def reached(name):
    """Whether a dotted name of the package leads to something."""
    modules = [name.rsplit(".", i) for i in range(name.count(".") + 1)]
    for module, *rest in modules:
        with contextlib.suppress(ImportError, AttributeError):
            operator.attrgetter(".".join([*rest, "__class__"]))(importlib.import_module(module))
            return True
    return False


def test_docstrings_name_nothing_that_users_cannot_reach():
    ours = set(own_names(lambda value: inspect.isfunction(value) or inspect.isclass(value)))
    unreachable = []
    for name, public in public_docstrings():
        parameters = set()
        with contextlib.suppress(TypeError, ValueError):
            parameters = set(inspect.signature(public).parameters)
        text = inspect.getdoc(public) or ""
        for code in re.findall(r"`([A-Za-z_][\w.]*)(?:\([^`]*\))?`", text):
            if code.startswith("jaxstyle."):
                bad = not reached(code)
            else:  # in a module, its own names are at hand
                around = public if inspect.ismodule(public) else jaxstyle
                bad = code in ours - parameters - _WORDS and not hasattr(around, code)
            unreachable += [f"{name}: {code}"] if bad else []
    assert unreachable == []
