"""What people look at of a sweep: the contact sheet, the table and the plot of losses."""

import os
from pathlib import Path

import pytest
from helpers.command_line import table_of
from PIL import Image

from jaxstyle.sweep import report, run_sweep

pytestmark = pytest.mark.usefixtures("compile_faster")


def test_another_sweep_into_the_same_folder_adds_to_what_people_look_at(describe, folder):
    run_sweep(describe(options={"seed": [0, 1], "init": "noise"}), "out", quiet=True)
    with Image.open("out/contact_sheet.png") as sheet:
        assert sheet.size[0] == 8 + 2 * 200
    more = describe(options={"seed": [1, 2, 3], "init": "noise"})
    assert run_sweep(more, "out", quiet=True) == (3, 0, 0, 2)
    assert [row["seed"] for row in table_of("out/summary.csv")] == ["0", "1", "2", "3"]
    with Image.open("out/contact_sheet.png") as sheet:
        assert sheet.size[0] == 8 + 4 * 200


@pytest.mark.slow
def test_what_people_look_at(describe, folder):
    description = describe(
        style=["style.png", "paint.png"],
        options={"style-weight": [0.1, 1, 10], "seed": [0, 1], "init": "noise"},
    )
    run_sweep(description, "out", quiet=True)
    with Image.open("out/contact_sheet.png") as sheet:
        assert sheet.size[0] == 8 + 2 * 200  # a column for each painting
        assert sheet.size[1] > 6 * 40
        assert len(sheet.getcolors(1 << 24)) > 100
    table = table_of("out/summary.csv")
    assert [row["style"] for row in table] == ["style"] * 6 + ["paint"] * 6
    assert {row["style-weight"] for row in table} == {"0.1", "1.0", "10.0"}
    assert all(float(row["loss"]) > 0 for row in table)
    assert [row["steps"] for row in table] == ["3"] * 12
    many = describe(options={"seed": list(range(25)), "tv-weight": [0, 1], "steps": 1})
    run_sweep(many, "many", quiet=True)
    pages = sorted(path.name for path in Path("many").glob("contact_sheet*.png"))
    assert pages == [f"contact_sheet{i}.png" for i in ("-2", "-3", "")]
    drawn = {"seed": {"low": 0, "high": 9999, "whole": True}, "tv-weight": {"low": 0, "high": 1}}
    scattered = describe(options=drawn | {"steps": 1}, combine="random", count=7)
    run_sweep(scattered, "scattered", quiet=True)
    with Image.open("scattered/contact_sheet.png") as sheet:
        assert sheet.size[0] == 8 + 5 * 200


def test_the_losses_are_plotted_where_matplotlib_is(describe):
    pytest.importorskip("matplotlib")
    run_sweep(describe(options={"seed": [0, 1], "init": "noise"}), "out", quiet=True)
    with Image.open("out/losses.png") as plot:
        assert plot.size[0] > 500


ODD_NAMES = [os.fsdecode(b"caf\xe9"), "$x^$", "_星月夜", "a\n\x1b[31m", "=1"]


def odd_entries(folder):
    """What the manifest holds of a finished sweep over paintings with odd names."""
    for part in ("pictures", "traces"):
        (folder / part).mkdir(parents=True)
    entries = []
    for i, name in enumerate(ODD_NAMES):
        Image.new("RGB", (8, 6)).save(folder / f"pictures/{i}.png")
        (folder / f"traces/{i}.csv").write_text("step,loss\n0,2\n1,1\n", encoding="utf-8")
        files = {"content": "lake.png", "style": f"{name}.png", "file": f"pictures/{i}.png"}
        entries.append({"id": str(i), "status": "done", "options": {}, "loss": 1.0, **files})
    return entries


def test_odd_names_in_what_people_look_at(tmp_path):
    entries = odd_entries(tmp_path / "out")
    report.write(tmp_path / "out", entries)
    styles = [row["style"] for row in table_of(tmp_path / "out" / "summary.csv")]
    assert styles == [r"caf\xe9", "$x^$", "_星月夜", r"a\n\x1b[31m", "=1"]
    with Image.open(tmp_path / "out" / "contact_sheet.png") as sheet:
        assert sheet.size[0] == 8 + 5 * 200
