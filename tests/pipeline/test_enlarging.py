"""From a finished picture to the job of a larger one: files, sizes, and what is refused."""

import hashlib
import logging
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import write_picture

from jaxstyle import save_image
from jaxstyle.errors import FileFormatError, OptionError, UsageError
from jaxstyle.pipeline.enlarging import make_larger
from jaxstyle.pipeline.file_options import Share

SETTINGS = {
    "command": "stylize",
    "options": {"size": "48", "seed": "7", "steps": "60", "network": "auto", "preset": "default"},
    "given": ["seed", "size", "steps"],
    "content": "content.png",
    "style": "style.png",
    "network": {"name": "compact"},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that holds a photograph of 48×32 pixels, a painting and a mask."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("content", "style", "wave", "mask")):
        write_picture(f"{name}.png", seed)
    return tmp_path


def digest(name):
    return hashlib.sha256(Path(name).read_bytes()).hexdigest()


def finished(name="out.png", shape=(32, 48), **settings):
    """Writes a finished picture; options are given in `given`, by name."""
    given = settings.pop("given", {})
    whole = SETTINGS | settings
    whole["options"] = whole["options"] | given
    whole["given"] = [*whole["given"], *given]
    save_image(name, np.zeros((*shape, 3)), settings=whole)
    return name


def larger(picture="out.png", **typed):
    return make_larger(picture, Path("big.png"), {"times": 2.0, **typed})


def test_the_larger_picture_starts_from_the_finished_one(folder):
    job = larger(finished())
    options = job.recipe.options
    assert (job.content, job.style) == (Path("content.png"), Path("style.png"))
    assert (options["init"], options["size"], options["steps"]) == ("out.png", 96, 20)
    assert options["network"] == "compact"  # what `auto` came to then
    assert "preset" not in job.recipe.given
    assert options["seed"] == 7


def test_sizes_at_most_double_and_the_painting_grows_with_the_picture(folder):
    finished(given={"style-size": "30", "scales": "24,48", "scale-steps": "9,9", "init": "noise"})
    options = larger(times=4.0, steps=5).recipe.options
    assert options["scales"] == (96, 192)
    assert options["scale-steps"] == (5, 5)
    assert options["style-size"] == 120
    finished(given={"strokes": "2"})
    assert larger().style_size == 2 * 96  # a multiple of the picture's size stays


def test_a_texture_keeps_the_ratio_of_painting_and_picture(folder):
    options = {"output-size": "60x40", "size": "48"}
    finished(shape=(40, 60), command="texture", content=None, given=options)
    made = larger().recipe.options
    assert (made["output-size"], made["size"]) == ((80, 120), 96)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"painting": "style.png"}, {"preset": "quick", "network": "compact", "size": 96}),
        ({"painting": "style.png", "style-size": "30"}, {"style-size": 60}),
        ({"painting": "style.png", "color": "luminance"}, {"color": "luminance"}),
        (
            {"painting": "style.png", "mix": "wave.png=0.25"},
            {"mix-by": "targets", "mix": (Share(None, 0.75), Share("wave.png", 0.25))},
        ),
        ({"painting": "style.png", "fast-network": "any.net"}, {"style-size": 512}),
    ],
)
def test_a_quick_picture_is_optimised_after_its_painting(folder, given, expected):
    settings = {"command": "apply", "content": "content.png", "options": given, "given": [*given]}
    save_image("out.png", np.zeros((32, 48, 3)), settings=settings)
    job = larger()
    assert (job.recipe.command, job.style) == ("stylize", Path("style.png"))
    assert expected.items() <= job.recipe.options.items()


def test_what_a_network_painted_is_polished_after_the_paintings_it_knows(folder):
    settings = {"command": "apply", "content": "content.png", "given": ["style"],
                "options": {"style": "great-wave", "fast-network": "paintbox"}}  # fmt: skip
    save_image("out.png", np.zeros((32, 48, 3)), settings=settings)
    options = larger(steps=7).recipe.options
    assert {"init": "out.png", "polish": 7, "size": 96, "style": "great-wave"}.items() <= (
        options.items()
    )
    job = larger(style="wave.png")  # a painting that is given after all
    assert (job.recipe.command, job.style, job.style_size) == ("stylize", Path("wave.png"), 512)
    assert larger(resume=True).recipe.command == "apply"  # a polish goes on from a snapshot too


def test_files_are_found_beside_the_picture_and_here(folder):
    Path("made").mkdir()
    Path("made/photos").mkdir()
    Path("content.png").rename("made/photos/content.png")
    finished("made/out.png", content="photos/content.png", given={"keep": "mask.png"})
    job = larger("made/out.png")
    assert job.content == Path("made/photos/content.png")
    assert job.style == Path("style.png")
    assert job.recipe.options["keep"] == "mask.png"
    Path("mask.png").rename("moved.png")
    with pytest.raises(
        OptionError, match=r"was made from mask\.png, which is neither beside"
    ) as why:
        larger("made/out.png")
    assert "give it with --keep MASK" in why.value.spelled(lambda name: f"--{name}")
    assert larger("made/out.png", keep="moved.png").recipe.options["keep"] == "moved.png"


@pytest.mark.parametrize("name", ["/etc/secret.png", "../secret.png", "a/../../secret.png"])
def test_a_picture_leads_to_no_other_folder(folder, monkeypatch, name):
    (folder / "work").mkdir()
    write_picture("secret.png", 5)
    monkeypatch.chdir("work")
    finished(content=name.replace("/etc", str(folder)))
    with pytest.raises(OptionError, match="neither beside it nor here"):
        larger()


def test_digests_tell_another_file_of_the_same_name(folder, caplog):
    sources = {"content": digest("content.png"), "painting": digest("style.png")}
    finished(sources=sources)
    with caplog.at_level(logging.INFO, "jaxstyle"):
        larger()
    assert not caplog.records
    write_picture("content.png", 9)
    with pytest.raises(OptionError, match=r"content\.png is another file than the content\.png"):
        larger()
    with caplog.at_level(logging.INFO, "jaxstyle"):
        assert larger(content="content.png").content == Path("content.png")
    assert "--content content.png is another file than out.png was made from" in caplog.text


def test_without_digests_it_is_said_that_nothing_is_checked(folder, caplog):
    with caplog.at_level(logging.INFO, "jaxstyle"):
        larger(finished())
    assert "out.png keeps no digests" in caplog.text


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"times": None}, "give size N, the longer side in pixels, or times X"),
        ({"size": 96}, "size and times exclude each other"),
        ({"times": None, "size": 40}, "size 40: out.png has 48×32 pixels already; give more than"),
        ({"content": "lost.png"}, "lost.png"),
        ({"content": "tall.png"}, "out.png has other proportions, 48×32; give the photograph"),
        ({"fast-network": "paintbox"}, "fast-network is not for out.png"),
    ],
)
def test_what_cannot_be_is_one_line(folder, typed, says):
    finished()
    write_picture("tall.png", 3, size=(20, 40))
    arguments = {name: value for name, value in ({"times": 2.0} | typed).items() if value}
    with pytest.raises((UsageError, FileNotFoundError), match=says) as why:
        make_larger("out.png", Path("big.png"), arguments)
    assert "\n" not in str(why.value)


def test_what_is_no_finished_picture_is_refused(folder):
    with pytest.raises(FileFormatError, match=r"content\.png: holds no jaxstyle settings"):
        larger("content.png")  # such as a contact sheet
    finished(given={"brush": "3"})  # of another version
    with pytest.raises(FileFormatError, match=r"out\.png: its settings name brush"):
        larger()
    save_image("laid.png", np.zeros((32, 48, 3)), settings={
        "command": "apply", "content": "content.png", "options": {"strength": "0.5"},
    })  # fmt: skip
    with pytest.raises(UsageError, match=r"laid\.png: is a painting laid over the photograph"):
        larger("laid.png")
    finished(command="dream")
    with pytest.raises(UsageError, match=r"out\.png: names no command that makes pictures"):
        larger()
