"""`jaxstyle show`: the settings of a picture, readably, and the line that makes it again."""

import json

import numpy as np
import pytest
from helpers.command_line import done

from jaxstyle import save_image

SETTINGS = {
    "command": "stylize",
    "options": {"init": "content", "seed": "7", "steps": "300"},
    "given": ["seed"],
    "content": "lake view.jpg",
    "style": "night.jpg",
    "network": {"name": "vgg19", "weights": "oxford", "normalized": "true"},
    "versions": {"jax": "0.9.1", "jaxopt": "0.8.5"},
    "step": 300,
}
SHOWN = """\
out.png: made by jaxstyle stylize
  photograph: lake view.jpg
  painting: night.jpg
  network: vgg19 (Oxford's weights, normalised)
  steps: 300
  versions: jax 0.9.1, jaxopt 0.8.5
  options given:
    seed 7
  options filled in:
    init content
    steps 300
this line makes it again:
jaxstyle stylize 'lake view.jpg' night.jpg -o out.png --seed 7
"""


def kept(settings, name="out.png"):
    save_image(name, np.zeros((2, 2, 3)), settings=settings)


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.webp", "out.tif"])
def test_settings_are_shown(cli, name):
    kept(SETTINGS, name)
    assert done(cli(f"show {name}")).out == SHOWN.replace("out.png", name)
    assert json.loads(done(cli(f"show {name} --json")).out) == SETTINGS


def test_what_an_odd_picture_says_is_shown_as_far_as_it_goes(cli):
    odd = {"network": ["net"], "versions": "new", "content": None, "step": 3, "given": []}
    kept({"command": "of\x1btomorrow", "options": {"steps": 5}} | odd)
    out = done(cli("show out.png")).out
    assert out.splitlines() == [
        r"out.png: made by jaxstyle of\x1btomorrow", "  steps: 3 of 5", "  options filled in:",
        "    steps 5", "this line makes it again:",
        r"jaxstyle 'of\x1btomorrow' -o out.png --steps 3",
    ]  # fmt: skip


def test_a_picture_without_settings_is_one_line(cli):
    ran = cli("show content.png")
    message = "content.png: holds no jaxstyle settings; give a picture jaxstyle wrote"
    assert ran == (1, "", f"jaxstyle: error: {message}\n")
    kept({"steps": 3})  # of a program of the user's own
    ran = cli("show out.png")
    assert (ran.status, ran.out) == (1, "")
    assert "out.png: its settings name no options" in ran.err
    assert json.loads(done(cli("show out.png --json")).out) == {"steps": 3}
    assert cli("show lost.png").status == 2


def test_a_first_look_is_not_made_again_by_options(cli):
    kept(SETTINGS | {"framed": True})
    assert "this line makes one about like this first look:\n" in done(cli("show out.png")).out
