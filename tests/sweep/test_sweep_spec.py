"""What the description of a sweep comes to, and what of it is refused."""

import functools
import os
from pathlib import Path

import numpy as np
import pytest

from jaxstyle.errors import FileFormatError
from jaxstyle.pipeline.options import option_texts, picture_options
from jaxstyle.sweep import make_spec, read_spec


@pytest.mark.parametrize(
    ("change", "count", "values"),
    [
        ({"options": {"seed": [3, 4, 5]}}, 3, [3, 4, 5]),
        ({"options": {"seed": [3, 4], "tv-weight": [0.1, 0.2]}}, 4, [3, 3, 4, 4]),
        ({"options": {"seed": [3, 4]}, "style": ["style.png", "paint.png"]}, 4, [3, 4, 3, 4]),
        ({"options": {"seed": [3, 4]}, "style": ["style.png", "paint.png"], "combine": "zip"}, 2,
         [3, 4]),
        ({"options": {"seed": {"from": 2, "to": 10, "count": 5, "whole": True}}}, 5,
         [2, 4, 6, 8, 10]),
        ({"options": {"seed": {"from": 1, "to": 100, "count": 3, "scale": "log", "whole": True}}},
         3, [1, 10, 100]),
        ({"options": {"seed": {"from": 100, "to": 1, "count": 3, "scale": "log", "whole": True}}},
         3, [100, 10, 1]),
        ({"content": "*.png", "options": {"seed": 7}}, 4, [7, 7, 7, 7]),
    ],
)  # fmt: skip
def test_points(describe, change, count, values):
    points = make_spec(describe(**change)).points()
    assert len(points) == count
    assert [point.options["seed"] for point in points] == values


def test_random_points(describe):
    options = {
        "style-weight": {"low": 0.1, "high": 10.0, "scale": "log"},
        "seed": {"low": 0, "high": 1000, "whole": True},
        "init": ["content", "noise"],
    }
    spec = make_spec(describe(options=options, combine="random", count=200, seed=1))
    points = spec.points()
    assert points == spec.points()
    weights = np.array([point.options["style-weight"] for point in points])
    assert weights.min() >= 0.1
    assert weights.max() <= 10
    assert 0.35 < np.mean(weights < 1) < 0.65, "half of the draws below the geometric mean"
    assert {point.options["init"] for point in points} == {"content", "noise"}
    assert all(isinstance(point.options["seed"], int) for point in points)
    other = make_spec(describe(options=options, combine="random", count=200, seed=2))
    assert other.points() != points
    drawn = {"tv-weight": {"low": 0.0, "high": 1.0, "count": 4}}
    grid = make_spec(describe(options=drawn)).points()
    assert len({point.options["tv-weight"] for point in grid}) == 4


NESTED = functools.reduce(lambda inside, _: {"a": inside}, range(10**5), 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"content": []}, "content should be a file"),
        ({"content": "none*.png"}, "no pictures there"),
        ({"styles": "a.png"}, "the sweep has no 'styles'; valid: content, style"),
        ({"steps": [1, 2]}, r"steps is an option; write it below \[options\]"),
        ({"combine": "all"}, "unknown combine 'all'; valid: grid, zip, random"),
        ({"combine": "random"}, "needs count, the number of jobs"),
        ({"count": 3}, 'count is for combine = "random"'),
        ({"seed": -1}, "seed should be"),
        (
            {"options": {"style-wait": 1}},
            "unknown option 'style-wait'; did you mean style-weight?",
        ),
        ({"options": {"steps": [10, 0]}}, "steps: should be a whole number"),
        ({"options": {"steps": []}}, "steps has no values"),
        ({"options": {"tv-weight": {"from": 0, "to": 1}}}, "tv-weight needs count"),
        ({"options": {"tv-weight": {"from": 0, "count": 3}}}, "needs from and to, both numbers"),
        ({"options": {"tv-weight": {"from": 0, "to": 1, "count": 3, "scale": "log"}}}, "greater"),
        ({"options": {"tv-weight": {"low": 0, "to": 1}}}, "has no 'to'; valid: low, high"),
        ({"combine": "zip", "options": {"seed": [1, 2], "steps": [1, 2, 3]}}, "as many values of"),
        ({"output": "elsewhere"}, "the sweep has no 'output'"),
        ({"content": ""}, "content: should not be empty"),
        ({"style": ["style.png", ""]}, "style: should not be empty"),
        ({"content": "a\0b"}, "content: should hold no NUL"),
        ({"options": {"keep": ["", "m.png"]}}, "keep: should not be empty"),
        ({"count": True, "combine": "random"}, "needs count, the number of jobs, got True"),
        ({"seed": True}, "seed should be a whole number of at least 0, got True"),
        ({"options": {"seed": {"from": 0, "to": 9, "count": True}}}, "seed needs count.* got True"),
        ({"options": {"seed": {"from": False, "to": 9, "count": 3}}}, "needs from and to, both n"),
        ({"options": {"seed": {"from": 0, "to": 9, "count": 3, "whole": 1}}}, "whole of seed shou"),
        (
            {
                "options": {"seed": {"low": 0, "high": 9, "count": "x"}},
                "combine": "random",
                "count": 3,
            },
            "seed needs count, the number of its values, got 'x'",
        ),
        (
            {"options": {"seed": {"from": 0, "to": 9, "count": 10**8}}},
            "seed has more than 100000 v",
        ),
        ({"options": {"seed": list(range(10**6))}}, "seed has more than 100000 values"),
        ({"count": 10**400, "combine": "random"}, "the sweep has more than 100000 jobs"),
        (
            {"options": {"seed": list(range(4000)), "tv-weight": list(range(2500))}},
            "the sweep has more than 100000 jobs, the most that a sweep can have; divide it",
        ),
        ({"combine": NESTED}, "nested too deeply"),
        ({"options": {"steps": NESTED}}, r"steps: should be a whole number .*, got \{'a': \{'a'"),
    ],
)
def test_wrong_descriptions_are_refused(describe, change, message):
    with pytest.raises(ValueError, match=message):
        make_spec(describe(**change))


def test_files_are_found_beside_the_description(describe, tmp_path):
    (tmp_path / "a.png").touch()
    place = str(tmp_path / "a.png")
    description = describe(content=place, style=place)
    for name, text, expected in (
        ("mix", "a.png=0.5; b.png=0.1", f"{place}=0.5;b.png=0.1"),
        ("regions", "a.png,style=a.png,weight=2;rest", f"{place},style={place},weight=2;rest"),
        ("keep", ["a.png", "b.png"], [place, "b.png"]),
        ("init", "a.png", place),
    ):
        options = description["options"] | {name: text}
        points = make_spec(description | {"options": options}, root=tmp_path).points()
        texts = [option_texts("stylize", point.options)[name] for point in points]
        assert texts == ([expected] if isinstance(expected, str) else expected)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"seed = " + b"[" * 5000, "its brackets are nested too deeply"),
        (b"seed = " + b"{a=" * 5000, "its brackets are nested too deeply"),
        (b"seed = " + b"9" * 5000, "not TOML"),
        (b"seed = 1979-99-99", "not TOML"),
        (b"content = '\xff'", "not TOML"),
        (b"#" * (2**24 + 1), "has more than 17 MB, which no such file needs"),
    ],
)
def test_files_that_describe_no_sweep(tmp_path, text, says):
    path = tmp_path / "sweep.toml"
    path.write_bytes(text)
    with pytest.raises(FileFormatError, match=rf"sweep\.toml: {says}"):
        read_spec(path)


def test_a_byte_order_mark_is_no_part_of_the_text(describe, tmp_path):
    text = 'content = "content.png"\nstyle = "style.png"\n'
    Path("sweep.toml").write_text(text, encoding="utf-8-sig")
    assert len(read_spec(Path("sweep.toml")).points()) == 1


@pytest.mark.parametrize("name", sorted(set(picture_options("stylize")) - {"no-trim"}))
def test_true_is_no_number_and_no_text(name):
    kind = picture_options("stylize")[name].kind
    for value in (True, [True], {"relu1_1": True}):
        with pytest.raises(ValueError, match=r"should be|takes"):
            kind.check(value)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "sweep.toml")
    with pytest.raises(FileFormatError, match="is a pipe or device"):
        read_spec(tmp_path / "sweep.toml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"a" + b".a" * 20_000 + b" = 1", "a key of more than 100 parts"),
        (b"x = {a" + b' . "a"' * 200 + b" = 1}", "a key of more than 100 parts"),
        ("content = 'a.png'".encode("utf-16"), "not TOML, which is UTF-8; save it as that"),
    ],
    ids=["dots", "dots in a table", "utf-16"],
)
def test_texts_that_take_for_ever_or_are_no_text(tmp_path, text, says):
    (tmp_path / "sweep.toml").write_bytes(text)
    with pytest.raises(FileFormatError, match=says):
        read_spec(tmp_path / "sweep.toml")
