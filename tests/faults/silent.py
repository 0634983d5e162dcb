"""What must not be lost or wrong in silence."""

import os
import signal
import sys

import numpy as np
from PIL import Image

from .frame import QUICK, SILENT, Place, case


# ---- Disks ---------------------------------------------------------------------------------------
@case(SILENT, "a full disk leaves the older JPEG, says so, and fails")
def full_disk_jpeg(place: Place) -> None:
    with place.disk(204_800, free=8_192) as disk:
        Image.new("RGB", (8, 6)).save(disk / "o.jpg")
        before = (disk / "o.jpg").read_bytes()
        ran = place.stylize("p.png", "s.png", "-o", "disk/o.jpg", "--size=128", "--quality=100")
        assert (disk / "o.jpg").read_bytes() == before, f"the older picture; status {ran.status}"
    assert ran.status == 1, f"status {ran.status}"
    assert ran.plain, ran.err
    assert "o.jpg" in ran.err, ran.err


@case(SILENT, "a full disk is the reason given for a TIFF, in one line")
def full_disk_tiff(place: Place) -> None:
    with place.disk(204_800, free=4_096):
        ran = place.stylize("p.png", "s.png", "-o", "disk/o.tif", "--size=128")
        assert not place.path("disk/o.tif").exists(), "a cut file under the final name"
    assert ran.status == 1, f"status {ran.status}"
    assert ran.plain, ran.err
    assert "space" in ran.err.lower(), ran.err


@case(SILENT, "a snapshot that does not fit costs a warning, not the picture")
def full_disk_snapshot(place: Place) -> None:
    with place.disk(204_800, free=20_480):
        ran = place.stylize("p.png", "s.png", "-o", "disk/o.png", "--resume", "--snapshot-every=2")
        assert place.whole("disk/o.png"), f"the picture; {ran.err}"
    assert ran.err.count(".snapshot") == 1, ran.err


@case(SILENT, "a trace and a film that do not fit cost warnings, not the picture")
def full_disk_trace(place: Place) -> None:
    with place.disk(204_800, free=0):
        side = ("--trace=disk/t.csv", "--animate=disk/a.gif")
        ran = place.stylize("p.png", "s.png", "-o", "o.png", *side)
        assert place.whole("o.png"), f"the picture; {ran.err}"
        for name in ("t.csv", "a.gif"):
            assert name in ran.err, ran.err
            assert not (place.path("disk") / name).exists()


@case(SILENT, "a sweep stops at a full disk, and the same command goes on")
def full_disk_sweep(place: Place) -> None:
    with place.disk(1_048_576, free=20_480) as disk:
        place.path("out").symlink_to(disk)
        first = place.sweep("seed = [0, 1, 2]\n")
        assert first.status == 1, f"status {first.status}"
        (disk / "FILL").unlink()
        again = place.sweep("seed = [0, 1, 2]\n", env={"PYTHONIOENCODING": "utf-8"})
        made = list((disk / "pictures").glob("*.png"))
        assert (again.status, len(made)) == (0, 3), f"{len(made)} of 3 pictures; {again.err}"


# ---- Files that are overwritten ------------------------------------------------------------------
def unchanged(place: Place, name: str, *words: str) -> None:
    before = place.path(name).read_bytes()
    ran = place.stylize(*words)
    assert place.path(name).read_bytes() == before, f"{name} itself"
    assert ran.status == 2, f"status {ran.status}"


@case(SILENT, "OUT is the photograph")
def out_is_content(place: Place) -> None:
    unchanged(place, "p.png", "p.png", "s.png", "-o", "p.png")


@case(SILENT, "OUT is another name of the painting")
def out_is_style(place: Place) -> None:
    os.link(place.path("s.png"), place.path("link.png"))
    unchanged(place, "s.png", "p.png", "s.png", "-o", "link.png")
    place.path("soft.png").symlink_to("s.png")
    unchanged(place, "s.png", "p.png", "s.png", "-o", "soft.png")


@case(SILENT, "a picture on the way would hit the painting")
def save_every_hits_style(place: Place) -> None:
    place.path("s.png").rename(place.path("o-000002.png"))
    unchanged(place, "o-000002.png", "p.png", "o-000002.png", "-o", "o.png", "--save-every=2")


@case(SILENT, "the trace would hit the photograph")
def trace_hits_content(place: Place) -> None:
    unchanged(place, "p.png", "p.png", "s.png", "-o", "o.png", "--trace=p.png")


@case(SILENT, "the folder of photographs is the folder of results")
def folder_is_both(place: Place) -> None:
    photos = place.path("photos")
    photos.mkdir()
    place.path("p.png").rename(photos / "p.png")
    for _ in range(2):
        ran = place.stylize("photos", "s.png", "-o", "photos")
    assert [path.name for path in photos.iterdir()] == ["p.png"], "results taken for photographs"
    assert ran.status == 2, f"status {ran.status}"


# ---- What a picture is made of -------------------------------------------------------------------
@case(SILENT, "what is transparent in a mask is outside")
def transparent_mask(place: Place) -> None:
    mask = np.full((32, 48, 4), 255, np.uint8)
    mask[:, 24:, 3] = 0
    Image.fromarray(mask).save(place.path("mask.png"))
    ran = place.stylize("p.png", "s.png", "-o", "o.png", "--keep=mask.png")
    assert ran.status == 0, ran.err
    before, after = (np.asarray(Image.open(place.path(name)), int) for name in ("p.png", "o.png"))
    moved = abs(after - before)
    assert moved[:, :16].max() <= 1, "the region to keep"
    assert moved[:, 32:].max() > 1, "the mask stands for everywhere"


@case(SILENT, "no step is far above the best loss so far (a style like an engraving)")
def engraving(place: Place) -> None:
    stripes = np.zeros((96, 128), np.uint8)
    stripes[(np.arange(96) // 4) % 2 == 1] = 255
    Image.fromarray(stripes).save(place.path("s.png"))
    lake = place.package / "jaxstyle" / "samples" / "lake.png"
    line = f"stylize {lake} s.png -o o.png --network compact --size 96 --steps 40 --trace t.csv"
    ran = place.cli(*line.split())
    assert ran.status == 0, ran.err
    lines = place.path("t.csv").read_text(encoding="utf-8").splitlines()
    column = lines[0].split(",").index("loss")
    losses = np.array([float(line.split(",")[column]) for line in lines[1:]])
    worst = (losses / np.minimum.accumulate(losses)).max()
    assert worst <= 1.5, f"a step {worst:.3g} times above the best before it"


@case(SILENT, "a damaged picture of a sweep is made again")
def damaged_result(place: Place) -> None:
    assert place.sweep("seed = [0, 1]\n").status == 0
    one, two = sorted(place.path("out/pictures").glob("*.png"))
    before = one.read_bytes(), two.read_bytes()
    one.write_bytes(b"")
    two.write_bytes(before[1][:300])
    ran = place.sweep("seed = [0, 1]\n")
    assert ran.status == 0, ran.err
    assert (one.read_bytes(), two.read_bytes()) == before, "the pictures"


@case(SILENT, "SIGTERM and SIGHUP keep what Ctrl-C keeps")
def terminated(place: Place) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        out = f"{number.name}.png"
        line = f"stylize p.png s.png -o {out} {QUICK} --steps 100000 --save-every 2"
        process = place.start(sys.executable, "-m", "jaxstyle", *line.split())
        place.wait_for(f"{number.name}-000002.png", process)
        process.send_signal(number)
        ran = place.end(process)
        assert place.whole(out), f"the picture, at {number.name}"
        assert "interrupted" in ran.err or "stopped" in ran.err, f"the reason, at {number.name}"


@case(SILENT, "temporary files of a killed run go at the next one")
def left_over(place: Place) -> None:
    code = (
        "import os; from jaxstyle._common import files\n"
        "with files.atomic_write('o.png'): os._exit(9)"
    )
    assert place.run(sys.executable, "-c", code).status == 9
    assert place.stylize("p.png", "s.png", "-o", "o.png").status == 0
    hidden = [path.name for path in place.folder.iterdir() if path.name.startswith(".")]
    assert hidden == [], hidden
