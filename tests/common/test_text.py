"""Texts that are printed."""

import ast
import os
from pathlib import Path

import pytest

from jaxstyle._common.text import printable


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\x1b[31m\x07", r"a\x1b[31m\x07"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x7f\x9b", r"\x7f\x9b"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("\u2066\u2028\u2029", r"\u2066\u2028\u2029"),
        (os.fsdecode(b"caf\xe9.png"), r"caf\xe9.png"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(raw, shown):
    assert printable(raw) == shown


@pytest.mark.parametrize(
    "text", ["", "Tübingen 48×64.png", "星月夜", "👩‍🎨", r"C:\new", "שלום\u200f"]
)
def test_every_other_text_stays_as_it_is(text):
    assert printable(text) == text


ROOT = Path(__file__).parents[2]
SOURCES = [path for folder in ("jaxstyle", "scripts") for path in (ROOT / folder).rglob("*.py")]


def opens_text(call: ast.Call) -> bool:
    """Whether a call opens a file as text; the mode is a constant wherever there is one."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name in ("read_text", "write_text"):
        return True
    others = ("os", "Image", "tarfile", "archive", "webbrowser")
    if name != "open" or getattr(getattr(function, "value", None), "id", "") in others:
        return False
    modes = [*call.args, *(each.value for each in call.keywords if each.arg == "mode")]
    return not any("b" in str(getattr(each, "value", "")) for each in modes)


def test_text_files_are_utf_8_whatever_the_locale():
    bare = [
        f"{path}:{each.lineno}"
        for path in SOURCES
        for each in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(each, ast.Call) and opens_text(each)
        if not any(word.arg == "encoding" for word in each.keywords)
    ]
    assert bare == []


def test_what_opens_text_is_found():
    def found(line):
        return opens_text(ast.parse(line).body[0].value)

    assert all(map(found, ["open(p)", "p.open()", "p.open('w')", "p.read_text()", "open(p, 'a')"]))
    assert not any(map(found, ["open(p, 'rb')", "p.open('wb')", "os.open(p, 0)", "Image.open(p)"]))
