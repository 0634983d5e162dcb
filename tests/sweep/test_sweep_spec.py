"""What the description of a sweep comes to, and what of it is refused."""

import numpy as np
import pytest

from jaxstyle.pipeline.options import option_texts
from jaxstyle.sweep import make_spec


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"content": []}, "content should be a file"),
        ({"content": "none*.png"}, "no pictures there"),
        ({"styles": "a.png"}, "the sweep has no 'styles'; valid: content, style"),
        ({"combine": "all"}, "unknown combine 'all'; valid: grid, zip, random"),
        ({"combine": "random"}, "needs count, the number of jobs"),
        ({"count": 3}, 'count is for combine = "random"'),
        ({"seed": -1}, "seed should be"),
        (
            {"options": {"style-wait": 1}},
            "unknown option 'style-wait'; valid: color, content-layers",
        ),
        ({"options": {"steps": [10, 0]}}, "steps: should be a whole number"),
        ({"options": {"steps": []}}, "steps has no values"),
        ({"options": {"tv-weight": {"from": 0, "to": 1}}}, "tv-weight needs count"),
        ({"options": {"tv-weight": {"from": 0, "count": 3}}}, "needs from and to, both numbers"),
        ({"options": {"tv-weight": {"from": 0, "to": 1, "count": 3, "scale": "log"}}}, "greater"),
        ({"options": {"tv-weight": {"low": 0, "to": 1}}}, "has no 'to'; valid: low, high"),
        ({"combine": "zip", "options": {"seed": [1, 2], "steps": [1, 2, 3]}}, "as many values of"),
        ({"output": "elsewhere"}, "the sweep has no 'output'"),
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
