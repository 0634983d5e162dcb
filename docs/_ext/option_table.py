"""Sphinx extension: the directive `option-table`, which lists the command line's options.

The options come from the package itself, `jaxstyle.pipeline.options.OPTIONS`, so that the page has
what `--help` has. Each group of them becomes a section with a table.
"""

from collections.abc import Sequence
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from jaxstyle.pipeline.option import Option
from jaxstyle.pipeline.options import OPTIONS

_TITLES = {
    "picture": "The picture",
    "style": "The style",
    "colour": "Colours",
    "regions": "Regions",
    "method": "Recipe, network and solver",
    "expert": "For experts",
    "output": "What is written",
    "machine": "Machine and memory",
}
_HEADINGS = ("Option", "Meaning", "Commands")
_WIDTHS = (30, 50, 20)


class OptionTable(SphinxDirective):
    """Sections with a table of options each, in the order of the package's own table."""

    def run(self) -> list[nodes.Node]:
        """Builds the sections."""
        groups = dict.fromkeys(option.group for option in OPTIONS)
        return [self._section(group) for group in groups]

    def _section(self, group: str) -> nodes.section:
        title = _TITLES.get(group, group.capitalize())
        section = nodes.section("", nodes.title("", title), ids=[f"options-{group}"])
        section += self._table([option for option in OPTIONS if option.group == group])
        return section

    def _table(self, options: Sequence[Option]) -> nodes.table:
        head = nodes.row("", *(nodes.entry("", nodes.paragraph("", h)) for h in _HEADINGS))
        body = nodes.tbody("", *(self._row(option) for option in options))
        columns = [nodes.colspec(colwidth=width) for width in _WIDTHS]
        group = nodes.tgroup("", *columns, nodes.thead("", head), body, cols=len(columns))
        return nodes.table("", group, classes=["colwidths-given"], width="100%")

    def _row(self, option: Option) -> nodes.row:
        flag = nodes.literal("", f"--{option.name} {option.metavar}".rstrip())
        meaning = nodes.paragraph("", f"{option.help[0].upper()}{option.help[1:]}.")
        if option.choices:
            meaning += [nodes.Text(" One of "), *_listed(option.choices), nodes.Text(".")]
        if option.default:
            meaning += nodes.Text(f" Default: {option.default}.")
        commands = nodes.paragraph("", "", *_listed(option.commands))
        cells = (nodes.paragraph("", "", flag), meaning, commands)
        return nodes.row("", *(nodes.entry("", cell) for cell in cells))


def _listed(names: Sequence[str]) -> list[nodes.Node]:
    """Names as code, with commas between them."""
    parts: list[nodes.Node] = []
    for name in names:
        parts += [nodes.Text(", "), nodes.literal("", name)]
    return parts[1:]


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the directive."""
    app.add_directive("option-table", OptionTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
