"""Snapshots come back bit for bit; what is no snapshot of the run is refused before it is read."""

import json
import os
import zipfile
from io import BytesIO

import jax
import numpy as np
import pytest

from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.optimization.descent import Progress
from jaxstyle.pipeline.snapshot import load_snapshot, save_snapshot
from jaxstyle.solvers import Info, State

STATE = State(
    np.arange(12, dtype=np.float32).reshape(2, 2, 3), (np.int32(4), np.ones((3, 1), np.float32))
)
INFO = Info(
    np.ones(2, np.float32),
    {"style": np.ones(2, np.float32)},
    np.array([1, 2], np.int32),
    np.ones(2, bool),
)
FORMS = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf), np.asarray(leaf).dtype),
    (STATE, jax.tree.map(lambda leaf: leaf[-1], INFO)),
)
ROWS = [{"step": i, "evaluations": i + 1, "loss": 2.0 - i} for i in range(4)]
SETTINGS = {"options": {"steps": "9"}}


@pytest.fixture
def path(tmp_path):
    save_snapshot(tmp_path / "a.snapshot", Progress(3, STATE, INFO), ROWS, SETTINGS)
    return tmp_path / "a.snapshot"


def load(path, settings=SETTINGS):
    return load_snapshot(path, lambda _: FORMS, settings, 9)


def rewritten(path, index=0, data=None, compress=zipfile.ZIP_STORED, **notes):
    """Replaces an array of the archive, or some of its notes."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with np.load(path) as arrays:
        old = json.loads(arrays["arr_0"].tobytes())
    if data is None:
        data = npy(np.frombuffer(json.dumps(old | notes).encode(), np.uint8))
    members[f"arr_{index}.npy"] = data
    with zipfile.ZipFile(path, "w", compress) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy(array):
    file = BytesIO()
    np.save(file, array)
    return file.getvalue()


def declared(shape, kind="<f4"):
    """The head of an array of any shape, and a few bytes."""
    file = BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"shape": shape, "descr": kind, "fortran_order": False}
    )
    return file.getvalue() + bytes(48)


def test_a_snapshot_comes_back_bit_for_bit(path):
    progress, rows = load(path)
    assert (progress.step, rows) == (3, ROWS)
    got, expected = jax.tree.leaves(progress.state), jax.tree.leaves(STATE)
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    assert progress.info.evaluations.tolist() == [2]


def test_other_settings_are_named(path):
    words = r"a\.snapshot: was begun with other settings \(options\); give the same ones"
    with pytest.raises(UsageError, match=words):
        load(path, {"options": {"steps": "8"}})
    with pytest.raises(UsageError, match=r"settings \(\\x1b\[2J\)"):
        load(rewritten(path, settings=SETTINGS | {"\x1b[2J": 1}))


DAMAGES = {
    "a shape of 9e11": lambda path: rewritten(path, 1, declared((900_000_000_000,))),
    "a shape of 9e11 zeros": lambda path: rewritten(path, 1, declared((0, 900_000_000_000))),
    "notes of 9e11": lambda path: rewritten(path, 0, declared((900_000_000_000,), "|u1")),
    "another type": lambda path: rewritten(path, 1, npy(STATE.image.astype(np.int32))),
    "a pickle": lambda path: rewritten(path, 1, npy(np.array([{}], object))),
    "compressed": lambda path: rewritten(path, compress=zipfile.ZIP_DEFLATED),
    "an array less": lambda path: rewritten(path, 1, b""),
    "a step beyond the end": lambda path: rewritten(path, step=10**9, rows=ROWS),
    "a step before the start": lambda path: rewritten(path, step=-1, rows=[]),
    "a step that is no number": lambda path: rewritten(path, step="3"),
    "a step that is a truth": lambda path: rewritten(path, step=True, rows=ROWS[:2]),
    "rows missing": lambda path: rewritten(path, rows=ROWS[:2]),
    "rows of text": lambda path: rewritten(path, rows=["a", "b", "c", "d"]),
    "rows of tables of text": lambda path: rewritten(path, rows=[{"loss": "a"}] * 4),
    "rows of other terms": lambda path: rewritten(path, rows=[*ROWS[:3], {"loss": 1.0}]),
    "settings of text": lambda path: rewritten(path, settings="abc"),
    "notes in brackets": lambda path: rewritten(
        path, 0, npy(np.frombuffer(b"[" * 100_000, np.uint8))
    ),
    "notes that are no text": lambda path: rewritten(path, 0, npy(np.full(9, 255, np.uint8))),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_does_not_fit_is_refused(damage, path):
    DAMAGES[damage](path)
    with pytest.raises(FileFormatError) as caught:
        load(path)
    words = "no snapshot of jaxstyle's that fits this run; remove it to begin again"
    assert str(caught.value) == f"{path}: {words}"


def test_pipes_and_files_beyond_any_snapshot_are_refused_at_once(tmp_path, path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileFormatError, match="pipe: is a pipe or device"):
        load(tmp_path / "pipe")
    with path.open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(FileFormatError, match="has more than 68 MB, which no such file needs"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent")
