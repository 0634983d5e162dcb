"""The settings inside pictures: read beside typed options, trusted with no file and download."""

import numpy as np
import pytest

from jaxstyle import save_image
from jaxstyle.errors import FileFormatError, OptionError, UsageError
from jaxstyle.networks.load import Network
from jaxstyle.pipeline.metadata import add_options_of, settings_of
from jaxstyle.pipeline.options import check_options
from jaxstyle.pipeline.recipe import make_recipe


@pytest.fixture
def picture(tmp_path):
    """Writes a picture with the settings that options give."""
    path = str(tmp_path / "out.png")

    def write(command="stylize", **given):
        options = {name.replace("_", "-"): value for name, value in given.items()}
        recipe = make_recipe(command, check_options(command, options))
        settings = settings_of(recipe, None, None, Network({}, "net", tmp_path, {}))
        save_image(path, np.zeros((2, 2, 3)), settings=settings)
        return path

    return write


def beside(path, command="stylize", **typed):
    """The shaping options of a command with these typed beside the picture."""
    typed = {name.replace("_", "-"): value for name, value in typed.items()}
    checked = check_options(command, typed)
    found = add_options_of(path, command, checked)
    assert ("no-download" in found) == ("network" not in typed)
    return {name: value for name, value in found.items() if name != "no-download"}


def test_what_was_given_is_taken_and_what_was_filled_in_is_not(picture):
    assert beside(picture()) == {}
    assert beside(picture(seed=3, tv_weight=0.5)) == {"seed": 3, "tv-weight": 0.5}
    assert beside(picture(seed=3), seed=4, steps=9) == {"seed": 4, "steps": 9}
    assert beside(picture("texture", output_size="9x8"), "texture") == {"output-size": (8, 9)}


@pytest.mark.parametrize(
    ("stored", "typed", "left"),
    [
        ({}, {"scales": "16,32", "scale-steps": "3,2"}, {}),
        ({}, {"preset": "d2l"}, {}),
        ({"steps": 9}, {"scales": "16,32", "scale-steps": "3,2"}, {}),
        ({"size": 64}, {"scales": "16,32"}, {}),
        ({"scales": "16,32", "scale-steps": "3,2", "seed": 1}, {"size": 64}, {"seed": 1}),
        ({"scales": "16,32", "scale-steps": "3,2"}, {"scales": "8,16,32"}, {}),
        ({"mix": "b.png=0.5", "mix-by": "targets"}, {"regions": "m.png;rest"}, {}),
        ({"regions": "m.png;rest", "guides": "inside"}, {"fine-style": "b.png"}, {}),
        ({"style-size": 9}, {"style-scale": 2}, {}),
        ({"solver": "adam", "learning-rate": 0.1}, {"solver": "lbfgs"}, {}),
        (
            {"solver": "adam", "learning-rate": 0.1},
            {"solver": "gradient-descent"},
            {"learning-rate": 0.1},
        ),
        ({"precision": "bfloat16"}, {"convolution": "winograd"}, {}),
    ],
)
def test_typed_options_win_over_those_that_they_contradict(picture, stored, typed, left):
    path = picture(**stored)
    assert beside(path, **typed) == check_options("stylize", left | typed)


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("network", "/dev/zero", "/dev/zero"),
        ("init", "/etc/passwd", "/etc/passwd"),
        ("keep", "secret.png", "secret.png"),
        ("fine-style", "secret.png", "secret.png"),
        ("mix", '"a b;.png"=0.5', """'"a b;.png"=0.5'"""),
        ("regions", "m.png;rest", "'m.png;rest'"),
    ],
)
def test_a_strangers_picture_opens_no_file_that_is_not_typed(picture, name, text, shown):
    path = picture(**{name: text})
    with pytest.raises(OptionError) as caught:
        beside(path)
    assert caught.value.spelled(lambda name: f"--{name}") == (
        f"{path}: its settings name a file; to allow that, type --{name} {shown}"
    )
    assert set(beside(path, **{name: text})) == {name}  # the same picture again
    if name == "mix":
        assert set(beside(path, regions="m.png;rest")) == {"regions"}


def test_names_that_are_no_files_are_taken(picture):
    assert beside(picture(init="noise", network="vgg16")) == {"init": "noise", "network": "vgg16"}


def test_settings_of_another_command_are_refused(tmp_path):
    path = str(tmp_path / "out.png")
    for given, says in ((["steps"], "do not name"), ("seed", "do not name"), ([3], "do not name")):
        settings = {"command": "texture", "options": {"seed": "3"}, "given": given}
        save_image(path, np.zeros((2, 2, 3)), settings=settings)
        with pytest.raises(FileFormatError, match=says):
            add_options_of(path, "texture", {})
    with pytest.raises(UsageError, match="was made by jaxstyle texture"):
        add_options_of(path, "stylize", {})
