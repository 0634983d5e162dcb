"""Damaged files of every kind that is read: each is read, or refused by one line, and soon.

The damage is chosen by a seed, so that what fails once fails again.
"""

import json
import shutil
import time

import numpy as np
import pytest
from helpers import network_files

from jaxstyle._common.text import printable
from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.image.io import read_settings, save_image
from jaxstyle.networks.layouts import check_params, convert
from jaxstyle.optimization.descent import Progress
from jaxstyle.pipeline.metadata import read_options
from jaxstyle.pipeline.snapshot import load_snapshot, save_snapshot
from jaxstyle.solvers import Info, State
from jaxstyle.sweep import manifest

SECONDS = 10  # for one file, on a machine that does other work too
ODD = [b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f", b"\x80", b"[" * 99, b"\x1b[2J", b"-", b"9" * 9]


def damaged(data, rng):
    """Changes, removes, repeats or inserts a few bytes, mostly near the ends, where indices are."""
    wrong = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        near = int(rng.integers(min(len(wrong), 2000) + 1))
        place = int(rng.choice([near, len(wrong) - near, rng.integers(len(wrong) + 1)]))
        piece = ODD[rng.integers(len(ODD))]
        match rng.integers(6):
            case 0 | 1:
                wrong[place : place + len(piece)] = piece
            case 2:
                wrong[place : place + 1] = bytes([rng.integers(256)])
            case 3:
                del wrong[place : place + int(rng.integers(1, 9))]
            case 4:
                wrong[place:place] = wrong[place : place + int(rng.integers(1, 99))]
            case 5:
                wrong[place:place] = piece
    return bytes(wrong[: rng.integers(len(wrong) + 1)] if rng.random() < 0.1 else wrong)


def fuzz(path, read, count, errors=FileFormatError):
    """Reads `count` damaged copies of a file, which may be right, or one line of complaint."""
    data = path.read_bytes()
    rng = np.random.default_rng(28)
    for number in range(count):
        path.write_bytes(damaged(data, rng))
        begin = time.monotonic()
        try:
            read(path)
        except errors as error:
            message = str(error)
            assert str(path) in message, (number, message)
            assert printable(message) == message, (number, message)
        except Exception as error:
            kept = shutil.copy(path, f"{path}.{number}")
            raise AssertionError(f"{kept}: {type(error).__name__}: {error}") from error
        assert time.monotonic() - begin < SECONDS, number


@pytest.mark.slow
@pytest.mark.parametrize("name", network_files.WRITERS)
def test_networks(name, tmp_path):
    path = network_files.write(name, tmp_path / name, network_files.params_for(name))

    def read(path):
        check_params(convert(path)[0], "params")

    fuzz(path, read, 100)


SETTINGS = {"command": "stylize", "options": {"steps": "3", "size": "32"}, "content": None}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
def test_settings_in_pictures(kind, tmp_path):
    path = tmp_path / f"picture.{kind}"
    save_image(path, np.full((4, 4, 3), 0.5, np.float32), settings=SETTINGS)
    assert read_settings(path) == SETTINGS
    fuzz(path, lambda path: read_options(str(path), "stylize"), 400, (FileFormatError, UsageError))


@pytest.mark.slow
def test_texts_of_settings(tmp_path):
    """The settings themselves are damaged, and the picture that carries them is whole."""
    text, picture = tmp_path / "settings.json", tmp_path / "settings.json.png"
    text.write_text(json.dumps(SETTINGS | {"options": {"layer": "relu1_1", "size": "1e9"}}))

    def read(path):
        try:
            found = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            return
        save_image(picture, np.full((4, 4, 3), 0.5, np.float32), settings=found)
        read_options(str(picture), "stylize")

    fuzz(text, read, 500, (FileFormatError, UsageError))


@pytest.mark.slow
def test_snapshots(tmp_path):
    state = State(np.ones((2, 2, 3), np.float32), (np.ones(3, np.float32), np.int32(1)))
    one = np.ones(1, np.float32)
    info = Info(one, {"style": one}, np.ones(1, np.int32), np.ones(1, bool))
    rows = [{"step": 0, "loss": 1.0}, {"step": 1, "loss": 0.5}]
    save_snapshot(tmp_path / "a.snapshot", Progress(1, state, info), rows, {"options": {}})
    like = (state, Info(np.float32(1), {"style": np.float32(1)}, np.int32(1), np.bool_(1)))
    fuzz(
        tmp_path / "a.snapshot",
        lambda path: load_snapshot(path, lambda step: like, {"options": {}}, 9),
        1000,
        (FileFormatError, UsageError),
    )


@pytest.mark.slow
def test_manifests(tmp_path):
    entry = {"status": "done", "content": "a.jpg", "style": "b.jpg", "options": {"steps": "3"}}
    entry |= {"file": "pictures/a.png", "error": None, "terms": {"style": 1.5}, "loss": 2.5}
    entry |= {"steps": 3, "evaluations": 4}
    lines = [json.dumps(entry | {"id": f"job-{i}"}) for i in range(3)]
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    assert len(manifest.read(tmp_path / "manifest.jsonl")) == 3
    fuzz(tmp_path / "manifest.jsonl", manifest.read, 2000)
