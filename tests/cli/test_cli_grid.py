"""The command line on many pictures at once, its plans, and runs that go on."""

import itertools
import json
import operator
import os
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import STYLIZE, done, pixels, rows, write_picture
from PIL import Image

import jaxstyle.cli.pictures
from jaxstyle.pipeline import snapshot

pytestmark = pytest.mark.usefixtures("compile_faster")


def test_folders_and_patterns_make_a_grid(cli):
    for folder, names in (("photos", "ab"), ("paintings", "xy")):
        Path(folder).mkdir()
        for i, name in enumerate(names):
            write_picture(f"{folder}/{name}.png", 3 + i)
    Path("photos/notes.txt").write_text("no picture", encoding="utf-8")
    ran = done(cli("stylize photos paintings/*.png -o made", json=True))
    outputs = [json.loads(line)["output"] for line in ran.out.splitlines()]
    assert outputs == [f"made/{c}--{s}.png" for c in "ab" for s in "xy"]
    done(cli("stylize photos/b.png paintings/y.png -o alone.png"))
    assert (pixels("alone.png") == pixels("made/b--y.png")).all()
    done(cli("stylize photos/a.png paintings/x.png --content photos/b.png -o more"))
    assert sorted(os.listdir("more")) == ["a--x.png", "b--x.png", "contact_sheet.png"]
    done(cli("stylize photos/a.png paintings/y.png -o more"))
    assert len(os.listdir("more")) == 4
    with Image.open("made/contact_sheet.png") as sheet:
        assert sheet.size[0] == 8 + 3 * 200  # the photographs, and two paintings


@pytest.mark.slow
def test_photographs_of_several_sizes_in_wide_batches(cli):
    for i, size in enumerate([(48, 32), (32, 48), (48, 32)]):
        pixels_of = np.random.default_rng(i).integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels_of).save(f"photo{i}.png")
    done(cli("stylize photo*.png style.png -o one", width=1))
    done(cli("stylize photo*.png style.png -o two", width=2))
    for i in range(3):
        first, second = (pixels(f"{folder}/photo{i}--style.png") for folder in ("one", "two"))
        assert np.abs(first.astype(int) - second).max() <= 1


def test_several_paintings_make_several_pictures_and_that_is_said(cli, monkeypatch):
    monkeypatch.setattr("jaxstyle.cli.pictures.print_plan", lambda *_: 0)
    monkeypatch.setattr("jaxstyle.cli.pictures.Studio.plan", lambda *_, **__: [])
    write_picture("c.png", 5)
    os.mkdir("photos")
    write_picture("photos/d.png", 6)
    write_picture("photos/e.png", 7)
    blend = "; to blend paintings in one picture: --mix c.png=0.5"
    for words, says in (
        ("content.png style.png c.png", f"2 pictures, one for each painting{blend}\n"),
        ("photos style.png", "2 pictures, one for each photograph\n"),
        ("photos style.png c.png", f"4 pictures, one for each photograph and painting{blend}\n"),
        ("content.png photos", "2 pictures, one for each painting\n"),
    ):
        assert done(cli(f"stylize {words} -o made", dry_run=True)).out == says
    assert done(cli("stylize photos style.png -o made", dry_run=True, quiet=True)).out == ""
    ran = cli("stylize content.png style.png c.png -o out.png")
    assert (ran.status, ran.out) == (2, "")
    form = "a CONTENT--STYLE.png for each picture"
    assert f"out.png: OUT should be a folder here, which gets {form}{blend}" in ran.err


def test_a_folder_with_one_photograph_is_a_grid_of_one(cli):
    Path("photos").mkdir()
    write_picture("photos/a.png", 3)
    done(cli("stylize photos style.png -o made"))
    assert os.listdir("made") == ["a--style.png"]


@pytest.fixture
def holiday(cli):
    """A folder of photographs, of which some are broken."""
    folder = Path("holiday[1]")
    folder.mkdir()
    write_picture(folder / "a.png", 3)
    write_picture(folder / "z.png", 4)
    (folder / "b.jpg").write_text("This is a text, not a picture.")
    (folder / "c.png").write_bytes((folder / "a.png").read_bytes()[:2000])
    (folder / "d.png").symlink_to("nowhere.png")
    (folder / ".hidden.png").write_text("left over")
    (folder / "folder.png").mkdir()
    return folder


BROKEN = ["b.jpg: not an image", "c.png: damaged or incomplete", "d.png: no such file"]


@pytest.mark.parametrize("given", ["holiday[1]", "holiday[1]/*.*"])
def test_broken_pictures_are_told_at_the_end_and_the_others_are_made(cli, holiday, given):
    ran = cli(f"stylize {given} style.png content.png -o made")
    assert ran.status == 1
    lines = ran.err.splitlines()
    assert len(lines) == len(BROKEN)
    for line, says in zip(lines, BROKEN, strict=True):
        assert line.startswith(f"jaxstyle: error: {holiday}/{says}")
    made = [f"{c}--{s}.png" for c in "az" for s in ("content", "style")]
    assert sorted(os.listdir("made")) == sorted([*made, "contact_sheet.png"])


def no_compilation(*args, **options):
    raise AssertionError("compiles")


def test_a_plan_without_a_run(cli, monkeypatch):
    monkeypatch.setattr("jaxstyle.optimization.step.compile_step", no_compilation)
    monkeypatch.setattr("jaxstyle.optimization.step.advance", no_compilation)
    ran = done(cli(STYLIZE.replace("stylize", "stylize --dry-run"), json=True))
    facts = json.loads(ran.out)
    assert (facts["pictures"], facts["lanes"], facts["steps"]) == (1, 1, 3)
    assert facts["bytes"] >= facts["bytes_per_lane"] > 1000
    assert done(cli(STYLIZE, dry_run=True)).out.endswith("MiB\n")
    with monkeypatch.context() as patch:
        patch.setattr("jaxstyle.cli.plan.free_memory", lambda device: 2**20)
        told = done(cli(STYLIZE, dry_run=True)).out
    assert told.endswith("more than the 1 MiB that are free: make --size smaller, or try --memory "
                         "low and a smaller --history\n")  # fmt: skip
    assert not Path("out.png").exists()
    write_picture("mask.png", 3)
    masked = json.loads(done(cli(STYLIZE, dry_run=True, json=True, keep="mask.png")).out)
    assert masked["bytes"] > facts["bytes"]
    for options, says in (
        ({"keep": "lost.png"}, "--keep lost.png"),
        ({"network": "lost.h5"}, "lost.h5"),
        ({"dry_run": "soon"}, "--dry-run: should be one of formula, exact, got 'soon'"),
    ):
        ran = cli(STYLIZE, **({"dry_run": True} | options))
        assert (ran.status, ran.err.count("\n")) == (2, 1)
        assert says in ran.err


@pytest.mark.slow
def test_an_exact_plan_is_near_the_formula(cli):
    exact, near = (
        json.loads(done(cli(STYLIZE, dry_run=how, json=True)).out) for how in ("exact", "formula")
    )
    assert near["bytes"] == pytest.approx(exact["bytes"], rel=0.15)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("stylize nothing*.png style.png -o made", "nothing*.png: no pictures there"),
        ("stylize content.png style.png other/style.png -o made", "both be written to content--"),
        ("stylize content.png style.png --content style.png -o out.png", "OUT should be a folder"),
        ("stylize content.png style.png --content style.png -o made --trace t.csv", "--trace is"),
        ("stylize content.png style.png --content style.png -o made --resume", "--resume is"),
        ("stylize content.png style.png -o made.png --resume --split-rows", "exclude each other"),
        ("stylize content.png style.png -o made.png --split-rows --width 2", "leave --width out"),
    ],
)
def test_wrong_grids_are_refused(cli, line, says):
    Path("other").mkdir()
    write_picture("other/style.png", 5)
    ran = cli(line)
    assert ran.status == 2
    assert says in ran.err
    assert not Path("made").exists()


@pytest.mark.parametrize("solver", ["lbfgs", pytest.param("adam", marks=pytest.mark.slow)])
def test_a_resumed_run_ends_bit_for_bit_as_one_that_was_never_stopped(cli, monkeypatch, solver):
    options = {"solver": solver, "steps": 9, "init": "noise", "snapshot_every": 2}
    done(cli(STYLIZE, **options, trace="whole.csv"))
    whole, curve = Path("out.png").read_bytes(), rows("whole.csv")
    keep = snapshot.save_snapshot

    def killed_after_step_six(path, progress, *rest):
        keep(path, progress, *rest)
        if progress.step == 6:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("jaxstyle.pipeline.sinks.save_snapshot", killed_after_step_six)
        assert cli(STYLIZE, **options, resume=True).status == 130
    assert Path("out.png.snapshot").exists()
    assert Path("out.png").read_bytes() != whole
    ran = cli(STYLIZE, **(options | {"steps": 8}), resume=True)
    assert ran.status == 2
    assert "out.png.snapshot: was begun with other settings (options)" in ran.err
    done(cli(STYLIZE, **options, resume=True, trace="rest.csv"))
    assert Path("out.png").read_bytes() == whole
    assert rows("rest.csv") == curve
    assert not Path("out.png.snapshot").exists()


def test_a_damaged_snapshot_is_refused(cli):
    Path("out.png.snapshot").write_bytes(b"PK\x03\x04 not really")
    ran = cli(STYLIZE, resume=True)
    assert ran.status == 1
    assert (
        "out.png.snapshot: no snapshot of jaxstyle's that fits this run; remove it to begin again"
        in ran.err
    )


@pytest.mark.parametrize(
    ("where", "call", "says"),
    [
        ("pipeline.optimise.prepare", 1, "0 of 3 pictures are done"),
        ("cli.pictures.report", 1, "1 of 3 pictures are done"),
        (
            "pipeline.track.Track.take",
            5,
            "1 of 3 pictures are done; step 1 of 3 in made/content--b.png",
        ),
        ("cli.pictures.run_batch", 3, "2 of 3 pictures are done"),
    ],
)
def test_an_interrupted_grid_says_what_is_there(cli, monkeypatch, where, call, says):
    for name in "abc":
        write_picture(f"{name}.png", 3)
    original = operator.attrgetter(where)(jaxstyle)
    calls = itertools.count(1)

    def interrupted(*arguments, **options):
        if next(calls) == call:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(f"jaxstyle.{where}", interrupted)
    ran = cli("stylize content.png a.png b.png c.png -o made", width=1)
    assert (ran.status, ran.err) == (130, f"jaxstyle: interrupted; {says}\n")
    count = len(os.listdir("made")) if Path("made").exists() else 0
    assert count == int(says[0]) + ("step" in says)
