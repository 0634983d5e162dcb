"""Finding pictures by folder and pattern, and files that appear whole or not at all."""

import errno
import os
from pathlib import Path

import pytest
from helpers.disks import BLOCK
from PIL import Image

from jaxstyle._common import files
from jaxstyle.errors import UsageError
from jaxstyle.image.io.opening import READABLE


@pytest.fixture
def pictures(tmp_path):
    """A folder with all that a folder of photographs may hold."""
    for name in ("b.JPG", "a.png", "c.jfif", "d.jpe", "e.HEIC", "f.pgm"):
        (tmp_path / name).touch()
    for name in (".a.png", "._a.png", ".jaxstyle-0123456789abcdef.png", "notes.txt", "a.csv"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    return tmp_path


SHOWN = ["a.png", "b.JPG", "c.jfif", "d.jpe", "e.HEIC", "f.pgm", "gone.png"]


def names(paths):
    return [path.name for path in paths]


def test_a_folder_holds_every_kind_of_picture_that_is_read():
    Image.init()
    known = {name for name, kind in Image.registered_extensions().items() if kind in READABLE}
    assert known <= files._PICTURES


def test_a_folder_holds_the_files_that_are_pictures_and_not_hidden(pictures):
    assert names(files.find_pictures([pictures])) == SHOWN


def test_a_pattern_finds_what_a_shell_would(pictures):
    assert names(files.find_pictures(["*.jp*"], pictures)) == ["d.jpe"]
    assert names(files.find_pictures([f"{pictures}/*.png", "b.*"], pictures)) == [
        "a.png", "gone.png", "b.JPG",
    ]  # fmt: skip
    assert names(files.find_pictures(["[ab].*g"], pictures)) == ["a.png"]
    with pytest.raises(UsageError, match=r"\*\.gif: no pictures there; give a file, a folder or"):
        files.find_pictures(["*.gif"], pictures)


@pytest.mark.parametrize("folder", ["Rome [2023]", "[a]", "what?", "**", "x*[1"])
def test_brackets_in_the_name_of_a_folder_are_no_pattern(tmp_path, folder):
    place = tmp_path / folder / "in [b]"
    place.mkdir(parents=True)
    (place / "a.png").touch()
    for pattern in (f"{folder}/in [b]/*.png", f"{folder}/*/a.png", f"{folder}/in*/[a-c].png"):
        assert files.find_pictures([pattern], tmp_path) == [place / "a.png"]
        assert files.find_pictures([str(tmp_path / pattern)]) == [place / "a.png"]


def test_a_pattern_may_look_into_all_folders(pictures):
    (pictures / "folder.jpg" / "deep").mkdir()
    (pictures / "folder.jpg" / "deep" / "z.png").touch()
    (pictures / ".cache").mkdir()
    (pictures / ".cache" / "y.png").touch()
    assert names(files.find_pictures(["**/*.png"], pictures)) == ["a.png", "z.png", "gone.png"]


def test_what_is_no_pattern_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="no pictures there"):
        files.find_pictures(["**x/a.png"], tmp_path)
    long = "n" * 300
    assert files.find_pictures([long], tmp_path) == [tmp_path / long]  # whoever reads it says so
    with pytest.raises(UsageError, match="no pictures there"):
        files.find_pictures([f"{long}/*.png"], tmp_path)


@pytest.mark.parametrize(
    "write",
    [files.check_writable, files.check_new_folder, lambda path: files.write_bytes(path, b"")],
)
def test_a_name_that_is_too_long_is_found_before_hours_of_work(tmp_path, write):
    for name in ("n" * 300 + ".png", "n" * 300 + "/out.png"):
        with pytest.raises(
            UsageError, match=f"{name}: this name is too long; choose a shorter one"
        ):
            write(tmp_path / name)
    longest = tmp_path / ("n" * 251 + ".csv")
    files.write_bytes(longest, b"fits")
    assert longest.read_bytes() == b"fits"
    assert os.listdir(tmp_path) == [longest.name]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on device; make room"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk quota exceeded; make room"),
        (OSError(errno.EIO, "Input/output error"), "input/output error; write elsewhere"),
        (PermissionError(errno.EACCES, "Permission denied"), "permission denied; write elsewhere"),
    ],
)
def test_an_error_of_the_disk_names_the_file_and_keeps_its_number(tmp_path, error, says):
    path = tmp_path / "a.csv"
    with pytest.raises(type(error)) as caught, files.atomic_write(path):
        raise error
    assert str(caught.value).startswith(f"{path}: {says}")
    assert caught.value.errno == error.errno
    assert os.listdir(tmp_path) == []


def test_contents_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    told = []
    sync, replace = os.fsync, os.replace

    def watch_sync(number):
        told.append(("sync", Path(os.readlink(f"/proc/self/fd/{number}")).name))
        sync(number)

    def watch_replace(source, target):
        told.append(("name", Path(target).name))
        replace(source, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("/proc says which file a number stands for")
    monkeypatch.setattr(os, "fsync", watch_sync)
    monkeypatch.setattr(os, "replace", watch_replace)
    files.write_bytes(tmp_path / "a.csv", b"1")
    (_, temporary), *rest = told
    assert temporary.startswith(".jaxstyle-")
    assert rest == [("name", "a.csv"), ("sync", tmp_path.name)]
    told.clear()
    with files.atomic_folder(tmp_path / "frames") as folder:
        (folder / "0000.png").touch()
    assert [kind for kind, _ in told] == ["sync", "sync", "name", "sync"]
    assert told[0] == ("sync", "0000.png")


@pytest.mark.parametrize("blocks", [1, 3])
def test_a_full_disk_leaves_the_old_file(small_disk, blocks):
    path = small_disk(blocks * BLOCK) / "a.csv"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="no space left on device") as caught:
        files.write_bytes(path, bytes(4 * BLOCK))
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["a.csv"]


def test_a_folder_goes_at_once(tmp_path, monkeypatch):
    folder = tmp_path / "reel"
    folder.mkdir()
    (folder / "1.png").touch()

    def killed(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(files.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            files.remove_folder(folder)
    assert not folder.exists()
    files.remove_leftovers([tmp_path])
    assert list(tmp_path.iterdir()) == []
    files.remove_folder(folder)
