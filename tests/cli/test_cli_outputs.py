"""No command overwrites what it reads, or writes one file twice: refused before work begins."""

import os
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import RECONSTRUCT, STYLIZE, TEXTURE, write_network, write_picture

from jaxstyle import samples, save_image


@pytest.fixture
def refused(cli, monkeypatch):
    """Runs a command that must be refused before it reads a network, and leaves all as it was."""
    for name in ("other.png", "mask.png", "deep.png"):
        write_picture(name, 5)
    os.link("content.png", "hard.png")
    os.symlink("content.png", "soft.png")
    os.symlink("new.png", "to-new.png")

    def files():
        return {p: p.is_file() and p.read_bytes() for p in Path().rglob("*")}

    def run(line, *says, **options):
        before = files()
        ran = cli(line, **options)
        assert (ran.status, ran.out) == (2, ""), ran.err
        assert ran.err.count("\n") == 1
        for each in says:
            assert each in ran.err
        assert files() == before

    return run


@pytest.mark.parametrize("name", ["content.png", "./content.png", "hard.png", "soft.png"])
def test_a_file_is_known_whatever_it_is_called(refused, name):
    says = [f"--output {Path(name)}: would overwrite ", "content.png, which is read; name another"]
    refused(f"stylize content.png style.png -o {name}", *says)
    refused(f"stylize style.png content.png -o {name}", *says)
    refused(f"stylize soft.png style.png -o {name}", "would overwrite soft.png")
    refused(f"reconstruct content.png -o {name}", *says)
    refused(f"texture content.png -o {name}", *says)
    refused(f"{STYLIZE} --trace {name}", "--trace", "would overwrite content.png")


@pytest.mark.parametrize(
    "option",
    [
        "--init=other.png",
        "--keep=other.png",
        "--fine-style=other.png",
        "--mix=other.png=0.5",
        "--regions=other.png;rest",
        "--regions=mask.png,style=other.png;rest",
        "--regions=mask.png,style-mask=other.png;rest",
        "--network=other.png",
        "--settings-from=first.png",
    ],
)
def test_every_file_that_is_read_is_safe(refused, option):
    settings = {"command": "stylize", "options": {}}
    save_image("first.png", np.zeros((32, 48, 3)), settings=settings)
    name = option.split("=")[1] if option[-9:] == "first.png" else "other.png"
    options = {"network": None} if "--network" in option else {}
    line = f"stylize content.png style.png -o {name} {option}"
    refused(line, f"--output {name}: would overwrite {name}, which is read", **options)


def test_a_network_that_is_found_by_its_name_is_safe(refused, tmp_path):
    (tmp_path / "cache").mkdir()
    os.link(write_network(tmp_path / "cache" / "compact.safetensors"), "trace.csv")
    says = "--trace trace.csv: would overwrite"
    refused(f"{STYLIZE} --trace trace.csv", says, network="compact")


def test_whatever_is_written_beside_the_picture_is_looked_at(refused):
    os.link("content.png", "out-000002.png")
    os.link("content.png", "out.png.snapshot")
    write_picture("made.gif", 6)
    refused(STYLIZE, "--save-every out-000002.png: would overwrite content.png", save_every=1)
    refused(STYLIZE, "--save-every out-000002.png", save_every=2, steps=10**9)
    refused(STYLIZE, "--resume out.png.snapshot: would overwrite content.png", resume=True)
    refused(TEXTURE.replace("style.png", "made.gif"), "--animate made.gif", animate="made.gif")


def test_no_file_is_written_twice(refused):
    new = STYLIZE.replace("out.png", "new.png")
    refused(new, "--trace new.png and --output new.png are one file", trace="new.png")
    refused(new, "--trace to-new.png and --output new.png are one file", trace="to-new.png")
    refused(new, "--animate made.gif and --trace made.gif", trace="made.gif", animate="made.gif")
    refused(new, "--resume new.png.snapshot and --trace", trace="new.png.snapshot", resume=True)
    refused(new, "--save-every new-000002.png and --trace", trace="new-000002.png", save_every=1)
    refused(f"{RECONSTRUCT} --trace film/t.csv --animate film", "film")
    Path("film").mkdir()
    says = ["--trace film/t.csv lies in the folder of --animate film"]
    refused(RECONSTRUCT, *says, trace="film/t.csv", animate="film")


def test_pictures_of_the_same_step_of_two_photographs(refused):
    """a-000002.png is a photograph's result here, and another's on the way."""
    for name in ("a.png", "a--style-000002.png"):
        write_picture(name, 7)
    write_picture("p.png", 8)
    os.rename("style.png", "b.png")
    os.rename("p.png", "b-000002.png")
    Path("made").mkdir()
    line = "stylize a.png b.png b-000002.png -o made"
    refused(line, "--save-every made/a--b-000002.png and --output", save_every=1)


def test_brackets_in_a_folder_are_letters_and_stars_match_no_folder_too(refused):
    Path("b[1]/made").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        write_picture(f"b[1]/{name}", 9)
    for given, output in (
        ("b[1]/*.png", "b[1]"),
        ("b[1]/**/*.png", "b[1]"),
        ("b[1]/**", "b[1]/made"),
    ):
        refused(
            f"stylize content.png {given} -o {output}", f"{given}: would take in content--a.png"
        )
    refused(
        "stylize content.png b[1]/*.png -o b[1]/made", "lost.png: no such file", keep="lost.png"
    )


def test_a_folder_that_is_read_is_not_written_into(refused):
    Path("photos/made").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        write_picture(f"photos/{name}", 9)
    os.symlink("photos", "link")
    for given, output in (
        ("photos", "photos"), ("photos/", "link"), ("link", "photos"), ("photos/*.png", "photos"),
        ("photos/**/*.png", "photos/made"), ("photos/*--style.*", "photos"),
    ):  # fmt: skip
        if "--" in given:
            write_picture("photos/c--style.png", 9)
        refused(f"stylize {given} style.png -o {output}", f"{given}: would take in ", "--style.png")
        refused(f"stylize content.png {given} -o {output}", given)
    # This far it comes where nothing is taken in.
    for given, output in (("photos/*.png", "photos/made"), ("photos/a.png", "photos")):
        refused(f"stylize {given} style.png -o {output}", "lost.png: no such file", keep="lost.png")


def test_the_demo_and_converted_networks(refused, network, monkeypatch, tmp_path):
    lake = tmp_path / "lake.jpg"
    lake.write_bytes(samples.LAKE.read_bytes())
    monkeypatch.setattr(samples, "LAKE", lake)
    refused(f"demo -o {lake}", f"--output {lake}: would overwrite {lake}")
    os.symlink(lake, "first-side-by-side.png")
    refused("demo -o first.png", "first-side-by-side.png: would overwrite")
    os.link(network, "net.safetensors")
    refused(f"weights convert {network} -o net.safetensors", "--output net.safetensors: would over")
    os.link("content.png", "unit.safetensors")
    line = f"weights convert {network} -o unit.safetensors --normalize content.png"
    refused(line, "would overwrite content.png")


def test_names_that_differ_in_case_alone(refused, monkeypatch):
    monkeypatch.setattr("jaxstyle.pipeline.outputs._ignores_case", lambda _: True)
    refused(f"{RECONSTRUCT} -o new.png --trace NEW.png", "--trace NEW.png and --output new.png are")
