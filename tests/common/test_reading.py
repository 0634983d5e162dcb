"""Files are opened only if they lie on a disk, and read only as far as was agreed."""

import os
import zipfile

import pytest

from jaxstyle._common.reading import Bounded, open_regular
from jaxstyle.errors import FileFormatError


def test_a_file_is_opened_and_so_is_a_link_to_it(tmp_path):
    (tmp_path / "file").write_bytes(b"some bytes")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name in ("file", "link"):
        with open_regular(tmp_path / name, 10) as file:
            assert file.read() == b"some bytes"


def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(FileFormatError, match=f"{path}: is a pipe or device; give a file"):
            open_regular(path, 10)


def test_what_is_not_there_or_a_folder_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "absent", 10)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path, 10)


def test_a_file_larger_than_any_needs_to_be_is_refused(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(
        FileFormatError, match=r"sparse: has more than .* MB, which no such file needs"
    ):
        open_regular(tmp_path / "sparse", 2**30)


def test_only_so_many_bytes_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"one\ntwo\nthree")
    with (tmp_path / "file").open("rb") as file:
        bounded = Bounded(file, 8)
        assert (bounded.read(1), bounded.readline(), bounded.tell()) == (b"o", b"ne\n", 4)
        with pytest.raises(ValueError, match="more than"):
            bounded.read()
        with pytest.raises(ValueError, match="more than"):
            bounded.read(2**60)
        assert bounded.read(4) == b"two\n"
        with pytest.raises(ValueError, match="more than"):
            bounded.readline()
        bounded = Bounded(file, 13)
        bounded.seek(0)
        assert bounded.read() == b"one\ntwo\nthree"


def test_an_index_larger_than_agreed_is_not_parsed(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in range(500):
            archive.writestr(str(name), b"")
    with (tmp_path / "a.zip").open("rb") as file:
        assert len(zipfile.ZipFile(Bounded(file, 2**17)).namelist()) == 500
        with pytest.raises(ValueError, match="more than"):
            zipfile.ZipFile(Bounded(file, 2**14))
