"""The pages of docs/controls.md, drawn of pictures that stand for those of the command."""

import re
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import write_picture
from PIL import Image

from jaxstyle.cli.parser import build_parser
from jaxstyle.pipeline.options import picture_options
from jaxstyle.pipeline.recipe import make_recipe
from scripts.reproduction import figures_2017, gallery
from scripts.reproduction.figure_pictures import NIGHT, PHOTOGRAPH


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the script where the command only notes its line; returns the lines."""
    lines = []

    def command(line):
        lines.append(line)
        write_picture(line[line.index("-o") + 1], len(lines))
        return 0

    monkeypatch.setattr(gallery, "run_command", command)
    for kind, names in (("content", (PHOTOGRAPH,)), ("style", (NIGHT, *gallery.PAINTINGS))):
        (tmp_path / kind).mkdir()
        for seed, name in enumerate(names):
            write_picture(tmp_path / kind / name, seed)

    def run(*more):
        lines.clear()
        places = [f"--data={tmp_path}", f"--work={tmp_path / 'work'}", f"-o={tmp_path / 'pages'}"]
        gallery.main([*places, "--size=64", *more])
        return list(lines)

    return run


def test_every_page_is_drawn_and_every_picture_made_once(run, tmp_path, capsys):
    lines = run()
    assert {path.stem for path in (tmp_path / "pages").iterdir()} == set(gallery.PAGES)
    outputs = [line[line.index("-o") + 1] for line in lines]
    assert len(set(outputs)) == len(outputs)
    assert capsys.readouterr().out.endswith(f"all have {len(outputs)} pictures\n")
    with Image.open(tmp_path / "pages" / "weights.jpg") as page:
        assert page.width > 3 * 200
    assert run("--pages", "color") == []
    assert len(run("--pages", "color", "--steps=7")) == 6
    assert len(run("--pages", "weights", "--steps=7")) == 2  # the one without options is there


def test_every_line_is_one_that_the_command_takes(run):
    for line in run():
        given = vars(build_parser().parse_args(line))
        shape = picture_options("stylize").keys() & given.keys()
        make_recipe("stylize", {name: given[name] for name in shape})


@pytest.mark.parametrize(
    ("name", "pages"), [("artists.md", gallery.ARTISTS), ("controls.md", gallery.CONTROLS)]
)
def test_the_text_shows_every_page(name, pages):
    text = (Path(__file__).parents[3] / "docs" / name).read_text()
    assert re.findall(r"\(controls/([\w-]+)\.jpg\)", text) == list(pages)


def test_a_failure_ends_it_with_the_line(run, monkeypatch):
    monkeypatch.setattr(gallery, "run_command", lambda line: 1)
    with pytest.raises(SystemExit, match="this failed: jaxstyle stylize"):
        run()


def test_options_are_broken_into_lines():
    assert gallery.wrap("") == ["no options"]
    assert gallery.wrap("--init noise --scales 128,256", 20) == ["--init noise", "--scales 128,256"]
    assert gallery.wrap("--regions 'a.png;rest,style=b.jpg'", 20) == [
        "--regions 'a.png;",
        "rest,style=b.jpg'",
    ]
    assert gallery.wrap("--mix a_long_name.jpg=0.5", 20) == ["--mix", "a_long_name.jpg=0.5"]
    assert gallery.wrap("style=a_long_name.jpg", 20) == ["style=", "a_long_name.jpg"]


def test_the_sky_is_above():
    sky = np.asarray(figures_2017.sky_mask((60, 90)))
    assert sky[0].min() > 0.99
    assert sky[-1].max() < 0.01
