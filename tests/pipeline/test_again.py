"""The command line that makes a picture again."""

import shlex

import pytest

from jaxstyle.pipeline.again import command_line, steps_of


def settings(command="stylize", options=(), **others):
    known = {"command": command, "options": dict(options), "given": sorted(dict(options))}
    return known | {"content": "a.jpg", "style": "b.jpg"} | others


@pytest.mark.parametrize(
    ("kept", "line"),
    [
        (settings(), "stylize a.jpg b.jpg -o out.png"),
        (settings("texture"), "texture b.jpg -o out.png"),
        (settings("reconstruct"), "reconstruct a.jpg -o out.png"),
        (settings("apply", {"style": "night"}), "apply a.jpg -o out.png --style night"),
        (settings(options={"seed": "1", "steps": "9"}, given=["seed"], step=9),
         "stylize a.jpg b.jpg -o out.png --seed 1"),
        (settings("apply", {"polish": "9"}, given=["polish"], step=5, style=None),
         "apply a.jpg -o out.png --polish 5"),
        (settings(options={"steps": "9"}, given=[], step=5),
         "stylize a.jpg b.jpg -o out.png --steps 5"),
        (settings(options={"steps": "9", "scales": "8,16"}, given=["scales"], step=14),
         "stylize a.jpg b.jpg -o out.png --scales 8,16"),
        (settings(options={"mix": 'c d.jpg=0.3;"e;f.jpg"=0.2'}),
         "stylize a.jpg b.jpg -o out.png --mix 'c d.jpg=0.3' --mix '\"e;f.jpg\"=0.2'"),
        (settings("apply", encoding={"quality": 90, "bit_depth": 8}),
         "apply a.jpg -o out.png --quality 90 --bit-depth 8"),
    ],
)  # fmt: skip
def test_what_was_given_is_there_and_what_was_filled_in_is_not(kept, line):
    assert command_line(kept, "out.png") == f"jaxstyle {line}"


def test_words_from_a_stranger_are_quoted_and_begin_no_option():
    kept = settings(
        options={"network": "x; rm -rf ~", "of the future": "$(id)", "init": "-n.png"},
        content="--trace=stolen.csv",
        style="it's.jpg",
    )
    words = shlex.split(command_line(kept, "-out.png"))
    assert words == [
        "jaxstyle", "stylize", "./--trace=stolen.csv", "it's.jpg", "-o", "./-out.png",
        "--init=-n.png", "--network", "x; rm -rf ~", "--of the future", "$(id)",
    ]  # fmt: skip


def test_pictures_are_named_where_they_lie_beside_the_picture(tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("photos/a.jpg", "m;1.png"):
        (tmp_path / name).touch()
    options = {"regions": '"m;1.png",style=far.jpg;rest'}
    line = command_line(settings(options=options, content="photos/a.jpg"), f"{tmp_path}/out.png")
    words = shlex.split(line)
    assert words[2:4] == [f"{tmp_path}/photos/a.jpg", "b.jpg"]
    assert words[-1] == f'"{tmp_path}/m;1.png",style=far.jpg;rest'


def test_steps_that_were_not_made():
    assert steps_of(settings(options={"steps": "9"}, step=9)) == (9, None)
    assert steps_of(settings(options={"steps": "9"}, step=4)) == (4, "9")
    assert steps_of(settings("apply", {"polish": "0"}, step=1)) == (1, None)
    assert steps_of(settings("apply", {"polish": "9"}, step=4)) == (4, "9")
    assert steps_of(settings()) == (None, None)
