"""What a killed process left is removed, and what another is writing is not."""

import os
import subprocess
import sys

import pytest

from jaxstyle._common import files, locks

pytest.importorskip("fcntl")
# Begins a file and a folder, and waits to be killed.
WRITER = """
import sys
from jaxstyle._common import files, locks
with files.atomic_write("trace.csv") as file, files.atomic_folder("film"):
    file.write_text("step")
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    run = [sys.executable, "-c", WRITER]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    own = [".jaxstyle-settings", ".jaxstyle-0123456789abcdef-link", "trace.csv"]
    for name in own:
        (tmp_path / name).touch()
    (tmp_path / own[1]).unlink()
    os.symlink("trace.csv", tmp_path / own[1])
    with subprocess.Popen(run, cwd=tmp_path, **streams) as writer:
        assert writer.stdout.readline() == b"ready\n"
        begun = set(os.listdir(tmp_path)) - set(own)
        assert len(begun) == 2
        files.remove_leftovers([tmp_path])
        assert set(os.listdir(tmp_path)) == {*own, *begun}
        writer.kill()
    files.remove_leftovers([tmp_path, tmp_path])
    assert sorted(os.listdir(tmp_path)) == sorted(own)


def test_disks_without_locks_keep_what_they_have(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError

    left = tmp_path / ".jaxstyle-0123456789abcdef.png"
    left.touch()
    monkeypatch.setattr("fcntl.flock", no_locks)
    files.remove_leftovers([tmp_path])
    with files.atomic_write(tmp_path / "trace.csv") as file:
        file.write_text("step")
    assert sorted(os.listdir(tmp_path)) == [left.name, "trace.csv"]


def test_what_another_process_removes_too_early_is_created_again(tmp_path, monkeypatch):
    """Between its creation and its mark a new file looks like one that was left."""
    create, removed = files._create_beside, []

    def created_and_removed(*arguments):
        temporary = create(*arguments)
        if len(removed) < 2:
            removed.append(temporary)
            files.remove_leftovers([tmp_path])
            assert not temporary.exists()
        return temporary

    monkeypatch.setattr(files, "_create_beside", created_and_removed)
    files.write_bytes(tmp_path / "trace.csv", b"step")
    assert len(removed) == 2
    assert (tmp_path / "trace.csv").read_bytes() == b"step"
    removed.clear()
    files.check_writable(tmp_path / "trace.csv")
    files.check_new_folder(tmp_path / "film")
    assert os.listdir(tmp_path) == ["trace.csv"]


def test_writers_and_removers_side_by_side(tmp_path):
    """The right value: nobody meets an error, and everything is written."""
    writes = "files.write_bytes(f'{i % 5}.txt', b'x'); files.check_writable('y')"
    program = f"""
from pathlib import Path
from jaxstyle._common import files, locks
for i in range(300):
    files.remove_leftovers([Path()])
    {writes}
"""
    run = [sys.executable, "-c", program]
    running = [subprocess.Popen(run, cwd=tmp_path) for _ in range(3)]
    assert [each.wait(timeout=60) for each in running] == [0, 0, 0]
    assert sorted(os.listdir(tmp_path)) == [f"{i}.txt" for i in range(5)]


def test_what_another_process_holds(tmp_path):
    with locks.held(tmp_path) as mine, locks.held(tmp_path) as other:
        assert mine
        assert not other
    with locks.held(tmp_path) as mine:
        assert mine
