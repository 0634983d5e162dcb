"""Sphinx extension: the docstrings of jaxstyle, which are written to be read in the source.

- Code in single backticks becomes code, whatever colons are in it.
- A Markdown table in a docstring becomes a table.
- The name of something public in code, such as `jaxstyle.stylize`, becomes a link to it.
- Types in signatures have the short names that the source gives them.
- The attributes of a class stand under that name, not under Sphinx's "Variables".
- A public name that no page documents is a warning.
"""

import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from jax.typing import ArrayLike
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.typing import stringify_annotation

import jaxstyle
from jaxstyle.image.io import load_picture

_log = logging.getLogger(__name__)
_NAME = re.compile(r"jaxstyle(\.\w+)+")
# A role such as :math:`…`, code in double backticks, or (with a group) code in single ones.
_CODE = re.compile(r":\w+:`[^`]*`|``.+?``|`([^`]+)`")
# Aliases that Python forgets, and what they come to.
_ALIASES = {
    "ArrayLike": ArrayLike,
    "StrPath": load_picture.__annotations__["path"],
}


def to_restructured_text(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Turns Markdown's code and tables into those of reStructuredText, before napoleon parses."""
    lines[:] = [_CODE.sub(_double_backticks, line) for line in _with_list_tables(lines)]


def _double_backticks(match: re.Match[str]) -> str:
    return match[0] if match[1] is None else f"``{match[1]}``"


def _with_list_tables(lines: list[str]) -> Iterator[str]:
    rows: list[list[str]] = []
    for line in [*lines, ""]:
        if line.startswith("| ") and line.endswith(" |"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        if rows:
            yield from (".. list-table::", "   :header-rows: 1", "")
            for row in (rows[0], *rows[2:]):  # without the line of hyphens
                for i, cell in enumerate(row):
                    yield f"   {'* -' if i == 0 else '  -'} {cell}"
            yield ""
            rows = []
        yield line


def short_types(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str]:
    """Gives type aliases in a signature their names back."""
    return _shorten(signature), _shorten(returns)


def _shorten(text: str | None) -> Any:
    for alias, types in _ALIASES.items():
        for mode in ("smart", "fully-qualified-except-typing"):
            long = stringify_annotation(types, mode)  # type: ignore[arg-type]
            text = text and text.replace(long, alias)
    return text


class LinkNames(SphinxTransform):
    """Links code that is the full name of something, in docstrings and in pages alike."""

    default_priority = 700

    def apply(self, **kwargs: Any) -> None:
        """Wraps each such literal in a cross-reference, which stays code where nothing is found."""
        for literal in list(self.document.findall(nodes.literal)):
            name = literal.astext()
            inside = (nodes.reference, nodes.title, addnodes.pending_xref)
            if not _NAME.fullmatch(name) or isinstance(literal.parent, inside):
                continue
            link = addnodes.pending_xref(
                "", refdomain="py", reftype="obj", reftarget=name, refwarn=False, refexplicit=True
            )
            link["refdoc"] = self.env.docname
            literal.replace_self(link)
            link += literal


def check_complete(app: Sphinx, env: BuildEnvironment) -> None:
    """Warns of public names without a page."""
    documented = env.domains["py"].objects  # type: ignore[attr-defined]
    for name in jaxstyle.__all__:
        if f"jaxstyle.{name}" not in documented:
            _log.warning("jaxstyle.%s is public, and no page documents it", name)


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers what the module's docstring says."""
    app.connect("autodoc-process-docstring", to_restructured_text, priority=100)
    app.connect("autodoc-process-signature", short_types)
    app.connect("env-check-consistency", check_complete)
    app.add_transform(LinkNames)
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
