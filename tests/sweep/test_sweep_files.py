"""What befalls the files of a sweep: damage, full disks, interrupts, and files that it reads."""

import errno
import os
from pathlib import Path
from unittest.mock import Mock

import pytest
from helpers.command_line import files_of, write_picture

from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.networks.catalogue import COMPACT
from jaxstyle.networks.load import read_params, save_params
from jaxstyle.pipeline.studio import Studio
from jaxstyle.pipeline.track import Track
from jaxstyle.sweep import manifest, report, results, run, run_sweep

pytestmark = pytest.mark.usefixtures("compile_faster")


def test_a_sweep_overwrites_nothing_that_it_reads(describe, folder):
    Path("out/pictures").mkdir(parents=True)
    Path("out/sweep.toml").write_text(
        'content = "../content.png"\nstyle = "../style.png"\n', encoding="utf-8"
    )
    for name in ("summary.csv", "manifest.jsonl", "programs.json"):
        os.link("out/sweep.toml", f"out/{name}")
        with pytest.raises(UsageError, match=f"out/{name}: would overwrite out/sweep.toml"):
            run_sweep("out/sweep.toml", "out")
        os.unlink(f"out/{name}")
    os.link("content.png", "out/contact_sheet-2.png")
    with pytest.raises(UsageError, match=r"contact_sheet-2.png: would overwrite .*content.png"):
        run_sweep(describe(), "out")
    for given in ("out/pictures", "out/pictures/*.png", "out/**/*.png", "out"):
        write_picture("out/pictures/a.png", 1)
        write_picture("out/b.png", 1)
        with pytest.raises(UsageError, match=r"would take in .*\.png and other results"):
            run_sweep(describe(content=["content.png", given]), "out")
    assert not Path("out/traces").exists()


def test_damaged_results_are_made_again_and_named(describe, folder, caplog):
    description = describe(options={"seed": [0, 1, 2, 3], "init": "noise"})
    run_sweep(description, "out", quiet=True, width=1)
    first = files_of(folder / "out")
    pictures, traces = (
        sorted((folder / "out" / name).iterdir()) for name in ("pictures", "traces")
    )
    good = pictures[0].read_bytes()
    damages = [
        (pictures[0], b""),
        (pictures[0], good[: len(good) // 2]),
        (pictures[0], good[:-99] + bytes(99)),
        (pictures[0], b"no picture"),
        (traces[1], b""),
        (traces[1], traces[1].read_bytes()[:-30]),
        (traces[1], b"step,loss\n0,\0\n"),
        (traces[1], b"\xff\xfe"),
    ]
    entries = manifest.read(folder / "out/manifest.jsonl").values()
    for path, content in damages:
        before = path.read_bytes()
        path.write_bytes(content)
        bad = [results.bad_file(entry, folder / "out") for entry in entries]
        assert [each for each in bad if each is not None] == [path]
        path.write_bytes(before)
    for path in (pictures[0], traces[1]):
        path.write_bytes(path.read_bytes()[:-50])
    assert run_sweep(description, "out", quiet=True).made == 2
    for path in (pictures[0], traces[1]):
        assert f"{path.relative_to(folder)}: is damaged; its job is to do again" in caplog.text
    assert files_of(folder / "out") == first
    # While it is for another process to make again, the report is made without it.
    pictures[0].write_bytes(b"")
    parts = [run_sweep(description, "out", quiet=True, shard=(i, 2), width=1) for i in (1, 0)]
    assert parts in ([(3, 0, 1, 0), (4, 0, 0, 1)], [(4, 0, 0, 1), (4, 0, 0, 0)])
    assert files_of(folder / "out") == first


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("what", ["picture", "trace", "manifest"])
def test_a_full_disk_is_no_failure_of_a_job(describe, folder, monkeypatch, number, what):
    description = describe(options={"seed": [0, 1, 2], "init": "noise"})
    places = {
        "picture": (Studio, "save"), "trace": (Track, "write_trace"), "manifest": (os, "fsync"),
    }  # fmt: skip
    owner, name = places[what]
    keep, calls = getattr(owner, name), []

    def full(*arguments, **options):
        calls.append(arguments)
        if len(calls) >= 2:
            raise OSError(number, os.strerror(number), "out/some.file")
        return keep(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, full)
        says = (
            rf"out/some.file: {os.strerror(number).lower()}; \d of 3 jobs of out have ended; the s"
        )
        with pytest.raises(OSError, match=says):
            run_sweep(description, "out", quiet=True, width=1)
    entries = manifest.read(folder / "out/manifest.jsonl").values()
    assert all(entry["status"] == "done" for entry in entries)
    assert run_sweep(description, "out", quiet=True, width=1)[:3] == (3, 0, 0)


def test_a_second_interrupt_spares_the_report_and_tells_the_truth(describe, folder, monkeypatch):
    keep = manifest.append

    def interrupted(*_):
        raise KeyboardInterrupt

    def append(*arguments):
        keep(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(manifest, "append", append)
    monkeypatch.setattr(report, "write", interrupted)
    with pytest.raises(KeyboardInterrupt, match="interrupted; 1 of 2 jobs of out have ended"):
        run_sweep(describe(options={"seed": [0, 1]}), "out", quiet=True, width=1)


def test_the_manifest_says_which_preset_ran(folder, describe, network, monkeypatch):
    monkeypatch.setattr(run, "run_batch", Mock(side_effect=RuntimeError("not now")))
    save_params(
        "copy.safetensors", read_params(network)[0], {"network": COMPACT, "normalized": "true"}
    )
    options = {"network": "copy.safetensors"}
    description = describe(content=["content.png", "text.png"], options=options)
    Path("text.png").write_text("no picture", encoding="utf-8")
    assert run_sweep(description, "out", quiet=True).failed == 2
    entries = manifest.read(folder / "out/manifest.jsonl").values()
    assert {entry["options"]["preset"] for entry in entries} == {"compact"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"programs.json, line 1: is not JSON; restore the file, or remove it to go on"),
        ("{\n{", r"programs.json, line 2: is not JSON"),
        ("[" * 10**5, r"programs.json: is not JSON"),
        (b"\xff\xff", r"programs.json: is not JSON"),
        ("[]", "should hold a width, a network and the width asked for of each"),
        ('{"NAME": 3}', "should hold a width"),
        ('{"NAME": {"width": 2, "network": "n"}}', "should hold a width"),
        ('{"NAME": {"width": "2", "network": "n", "asked": null}}', "should hold a width"),
        ('{"NAME": {"width": 0, "network": "n", "asked": null}}', "should hold a width"),
        ('{"NAME": {"width": true, "network": "n", "asked": null}}', "should hold a width"),
        ('{"NAME": {"width": 2, "network": "n", "asked": 0}}', "should hold a width"),
    ],
)
def test_damaged_programs_json(describe, folder, text, says):
    Path("out").mkdir()
    Path("out/programs.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FileFormatError, match=says):
        run_sweep(describe(), "out", quiet=True)


def test_no_width_in_a_file_fills_the_memory(describe, folder):
    description = describe(options={"seed": [0, 1, 2], "init": "noise"})
    run_sweep(description, "out", quiet=True, shard=(1, 2), width=3)
    programs = Path("out/programs.json")
    programs.write_text(
        programs.read_text(encoding="utf-8").replace('"width": 3', '"width": 1000000000'),
        encoding="utf-8",
    )
    assert run_sweep(description, "out", quiet=True).done == 3
