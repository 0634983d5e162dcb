"""The README and the pages that it leads to; Sphinx checks the links among the pages."""

import re
from pathlib import Path

import pytest

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
