"""Texts that are printed."""

import os

import pytest

from jaxstyle._common.text import nearest, printable


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


def test_a_word_that_is_not_near_is_not_suggested():
    options = ["--style-weight", "--style-size", "--steps"]
    assert nearest("--style-wieght", options) == "--style-weight"
    assert nearest("--step", options) == "--steps"
    assert nearest("--nosuch", options) is None
    assert nearest("paint", ["train", "stylize"]) is None
    assert nearest("x", []) is None
