"""The settings inside pictures: read beside typed options, trusted with no file and download."""

from pathlib import Path

import numpy as np
import pytest

from jaxstyle import save_image
from jaxstyle.errors import FileFormatError, OptionError, UsageError
from jaxstyle.networks.load import Network
from jaxstyle.pipeline.metadata import (
    add_options_of,
    names_alone,
    published,
    read_options,
    read_settings,
    settings_of,
)
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


def test_a_picture_names_no_folder_of_its_authors_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = "/home/ann"
    given = {
        "network": f"{home}/nets/mine.h5",
        "init": f"{tmp_path}/made/first.png",
        "mix": f"{home}/a.jpg=0.3;made/deep/b.jpg=0.2",
    }
    recipe = make_recipe("stylize", check_options("stylize", given))
    reason = f"put its file into {home}/.cache"
    network = Network({}, "mine", tmp_path, {"weights": "oxford", "fallback_reason": reason})
    pictures = Path(home, "lake.jpg"), Path("made/night.jpg")
    kept = settings_of(recipe, *pictures, network, Path("made"))
    assert home not in str(kept)
    assert str(tmp_path) not in str(kept)
    assert (kept["content"], kept["style"]) == ("lake.jpg", "night.jpg")
    options = {name: kept["options"][name] for name in given}
    mix = "a.jpg=0.3;deep/b.jpg=0.2"
    assert options == {"network": "mine.h5", "init": "first.png", "mix": mix}
    assert kept["network"] == {"name": "mine", "weights": "oxford"}
    assert settings_of(recipe, *pictures, network)["content"] == f"{home}/lake.jpg"


def test_regions_of_a_networks_styles_keep_the_names_of_styles():
    regions = "/home/ann/sky.png,style=waves;rest,style=/home/ann/night.jpg"
    options = check_options("apply", {"regions": regions})
    assert names_alone("apply", options)["regions"] == "sky.png,style=waves;rest,style=night.jpg"


def test_a_name_is_relative_to_the_pictures_folder_or_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, folder, expected in (
        ("a.jpg", "", "a.jpg"),
        ("photos/a.jpg", "", "photos/a.jpg"),
        ("photos/a.jpg", "made", "a.jpg"),
        ("made/../made/x/a.jpg", "made", "x/a.jpg"),
        ("made2/a.jpg", "made", "a.jpg"),
        ("../a.jpg", "", "a.jpg"),
    ):
        assert published(name, Path(folder)) == expected


def test_a_file_to_type_is_looked_for_beside_the_picture(picture, tmp_path):
    path = picture(keep="mask.png")
    (tmp_path / "mask.png").touch()
    with pytest.raises(OptionError, match=f"type keep {tmp_path}/mask.png"):
        beside(path)


def test_pictures_of_older_releases_are_read(tmp_path):
    """They name files as they were typed, and may not tell what was given."""
    path = str(tmp_path / "out.png")
    options = {"seed": "3", "network": "/home/ann/net.h5"}
    old = {"command": "stylize", "options": options, "content": "/home/ann/lake.jpg"}
    save_image(path, np.zeros((2, 2, 3)), settings=old)
    assert read_options(path, "stylize") == {"seed": 3, "network": "/home/ann/net.h5"}
    assert read_settings(path) == old | {"given": ["seed", "network"]}


def test_settings_of_another_command_are_refused(tmp_path):
    path = str(tmp_path / "out.png")
    for given, says in ((["steps"], "do not name"), ("seed", "do not name"), ([3], "do not name")):
        settings = {"command": "texture", "options": {"seed": "3"}, "given": given}
        save_image(path, np.zeros((2, 2, 3)), settings=settings)
        with pytest.raises(FileFormatError, match=says):
            add_options_of(path, "texture", {})
    save_image(path, np.zeros((2, 2, 3)), settings=settings | {"given": []})
    with pytest.raises(UsageError, match="was made by jaxstyle texture"):
        add_options_of(path, "stylize", {})
