"""How far a picture is, in words."""

from pathlib import Path

import pytest

from jaxstyle.pipeline.job import make_job
from jaxstyle.pipeline.nearness import describe, in_percent, shares_gone
from jaxstyle.pipeline.track import Track

START = {"content/relu4_2": 0.0, "style/relu1_1": 600.0, "style/relu2_1": 400.0}
END = {"content/relu4_2": 50.0, "style/relu1_1": 10.0, "style/relu2_1": 30.0}


def track(start=START, end=END, command="stylize", **options):
    given = {name.replace("_", "-"): value for name, value in options.items()}
    content = None if command == "texture" else Path("a.jpg")
    style = None if command in ("reconstruct", "apply") else Path("b.jpg")
    made = Track(make_job(command, content, style, Path("o.png"), given), 1)
    made.rows = [
        {"step": i, "evaluations": i, "loss": sum(terms.values()), **terms}
        for i, terms in enumerate((start, end))
    ]
    made.step = made.good_steps = 1
    return made


def test_the_share_of_the_style_loss_that_is_gone():
    assert shares_gone(track()) == {"style": pytest.approx(1 - 40 / 1000)}
    assert describe(track()) == "style 96 % there"
    own = {"style/relu1_1": 0.1, "own/darkness": 5.0, "total_variation": 3.0}
    assert shares_gone(track(START, own)) == {"style": pytest.approx(0.9999)}


def test_what_a_start_has_already_is_left_out():
    grey = START | {"content/relu4_2": 200.0}
    for init, says in (
        ("content", "style 96 % there"),
        ("matched", "style 96 % there, from the photograph in the painting's colours"),
        ("style", "content 75 % there, from the painting"),
        ("noise", "style 96 %, content 75 % there, from noise"),
        ("white-noise", "style 96 %, content 75 % there, from noise"),
        ("sketch.png", "style 96 %, content 75 % there, from its start"),
    ):
        assert describe(track(grey, init=init)) == says
    assert describe(track(init="noise")) == "style 96 % there, from noise"


def test_what_has_risen_is_not_there_at_all():
    assert describe(track(END, START)) == "style 0 % there"
    assert describe(track(START, START)) == "style 0 % there"


def test_other_commands_tell_of_what_they_compare():
    style = {"style/relu1_1": 100.0}, {"style/relu1_1": 0.2}
    content = {"content/relu4_2": 10.0}, {"content/relu4_2": 1.5}
    assert describe(track(*style, command="texture")) == "style 99.8 % there, from noise"
    assert describe(track(*content, command="reconstruct")) == "content 85 % there, from noise"
    assert describe(track(*content, command="reconstruct", init="content")) == ""
    apply = {"command": "apply", "painting": "b.jpg"}
    assert describe(track(*style, **apply)) == "style 99.8 % there, from the first picture"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0"), (0.005, "0"), (0.9899, "98"), (0.99, "99.0"), (0.9999, "99.9"), (1.0, "100")],
)
def test_percents_promise_no_more_than_there_is(share, text):
    assert in_percent({"style": share}) == f"style {text} %"
