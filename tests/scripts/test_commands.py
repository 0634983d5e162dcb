"""Every script says how to start it, and every command in a text starts a script."""

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "scripts").rglob("*.py"))
SCRIPTS = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in SOURCES
    if '__name__ == "__main__"' in path.read_text()
]
TEXTS = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "params" / "README.md"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_shows_how_to_start_the_script(name, monkeypatch, capsys):
    script = importlib.import_module(name)
    assert f"python -m {name}" in script.__doc__
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as stopped:
        script.main()
    assert stopped.value.code == 0
    assert script.__doc__.splitlines()[0].split()[0] in capsys.readouterr().out


def test_every_command_in_a_text_starts_a_script():
    texts = "\n".join(path.read_text() for path in (*SOURCES, *TEXTS))
    named = re.findall(r"python\s+-m\s+(scripts\.[\w.]+\w)", texts)
    assert set(SCRIPTS) <= set(named)
    assert set(named) <= set(SCRIPTS)
