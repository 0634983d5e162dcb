"""Every kind of file that is written, on a disk that has no room for it.

Pictures are in tests/image/test_io_writing.py.
"""

import errno
import os

import numpy as np
import pytest
from helpers import network_files
from helpers.disks import BLOCK
from PIL import Image

from jaxstyle.image.animation import Animation
from jaxstyle.image.contact_sheet import save_page
from jaxstyle.networks.save import save_params
from jaxstyle.optimization.descent import Progress
from jaxstyle.pipeline.snapshot import save_snapshot
from jaxstyle.pipeline.track import Track
from jaxstyle.sweep import report

NOISE = np.random.default_rng(0).random((90, 120, 3), np.float32)


def write_film(path):
    film = Animation()
    film(0, NOISE)
    film(1, NOISE[::-1])
    film.write(path)


def write_sheet(path):
    save_page(path, Image.fromarray(np.uint8(255 * NOISE)))


def write_network(path):
    save_params(path, network_files.random_params())


def write_trace(path):
    track = Track(None, 4000)
    track.rows = [{"step": step, "loss": 1 / (1 + step)} for step in range(4000)]
    track.good_steps = len(track.rows)
    track.write_trace(path)


def write_snapshot(path):
    save_snapshot(path, Progress(1, {"image": NOISE}, {"loss": NOISE[:1]}), [], {})


def write_summary(path):
    entry = {"id": "0", "status": "done", "content": "c.png", "style": "s.png", "file": None,
             "options": {"note": "x" * 9 * BLOCK}}  # fmt: skip
    report.write(path.parent, [entry, entry | {"options": {}}])


@pytest.mark.parametrize(("blocks", "old"), [(1, True), (4, False)])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.gif", write_film),
        ("a.webp", write_film),
        ("frames", write_film),
        ("sheet.png", write_sheet),
        ("a.safetensors", write_network),
        ("a.csv", write_trace),
        ("a.snapshot", write_snapshot),
        ("summary.csv", write_summary),
    ],
)
def test_a_full_disk_leaves_what_was_there_and_is_named(
    small_disk, capfd, name, write, blocks, old
):
    path = small_disk(blocks * BLOCK) / name
    if old and name != "frames":
        path.write_bytes(b"old")
    before = os.listdir(path.parent)
    with pytest.raises(OSError, match="no space left on device; make room") as caught:
        write(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(path.parent) == before
    assert not before or path.read_bytes() == b"old"
    assert capfd.readouterr() == ("", "")
    assert ".jaxstyle-" not in str(caught.value)
