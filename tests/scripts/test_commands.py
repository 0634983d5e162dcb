"""Every script says how to start it, and every command in a text starts a script."""

import argparse
import importlib
import re
import sys
from pathlib import Path

import pytest

from scripts.reproduction.rerun import read_commands

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


class Parsed(BaseException):
    """Raised once a command line was understood, in place of what the script would do."""


@pytest.fixture
def stops_when_parsed(monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(self, *args, **kwargs):
        parse(self, *args, **kwargs)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)


COMMANDS = [
    pytest.param(command.words, id=f"{path.stem}-{number}-{command.words[0].split('.')[-1]}")
    for path in TEXTS
    for number, command in enumerate(read_commands(path.read_text()))
]


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_in_texts_are_understood(words, monkeypatch, stops_when_parsed):
    assert "\N{HORIZONTAL ELLIPSIS}" not in words
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(Parsed):
        importlib.import_module(words[0]).main()


def test_a_command_that_is_not_understood_is_seen(monkeypatch, stops_when_parsed, capsys):
    monkeypatch.setattr(sys, "argv", ["scripts.benchmarks.compiling", "--round", "2", "--sizes"])
    with pytest.raises(SystemExit):
        importlib.import_module("scripts.benchmarks.compiling").main()
    assert "--sizes" in capsys.readouterr().err
