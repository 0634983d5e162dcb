"""What files, servers and names from elsewhere must not do."""

import io
import json
import os
import zipfile

import h5py
import numpy as np

from tests.helpers import network_files

from .frame import LET_IN, Place, case


def refused(place: Place, line: str, *, naming: str) -> None:
    ran = place.cli(*line.split())
    assert ran.status in (1, 2), f"status {ran.status}"
    assert ran.plain, ran.err[:300]
    assert naming in ran.err, ran.err[:300]


@case(LET_IN, "an HDF5 file whose numbers lie in another file, or in a FIFO")
def external_storage(place: Place) -> None:
    network_files.write_keras(place.path("net.h5"), network_files.random_params())
    os.mkfifo(place.path("fifo"))
    found = []
    with h5py.File(place.path("net.h5")) as file:
        file.visititems(lambda name, item: found.append((name, getattr(item, "shape", None))))
    name, shape = next((name, shape) for name, shape in found if shape and len(shape) == 4)
    place.path("secret").write_bytes(np.ones(shape, np.float32).tobytes())
    for storage in ("secret", "fifo"):
        with h5py.File(place.path("net.h5"), "r+") as file:
            del file[name]
            outside = [(str(place.path(storage)), 0, 4 * int(np.prod(shape)))]
            file.create_dataset(name, shape, np.float32, external=outside)
        refused(place, "weights convert net.h5 -o out.safetensors", naming="net.h5")
        assert not place.path("out.safetensors").exists(), "the secret is in the network"


@case(LET_IN, "a .pth of a few hundred bytes whose key takes for ever to hash or to print")
def nested_tuples(place: Place) -> None:
    doubled = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(100))
    pickled = b"\x80\x02}" + b"K\x01" + doubled + b"K\x00s."
    with zipfile.ZipFile(place.path("net.pth"), "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
    refused(place, "weights verify net.pth", naming="net.pth")


@case(LET_IN, "a snapshot that says it holds 9e11 numbers")
def snapshot_bomb(place: Place) -> None:
    header = io.BytesIO()
    shape = {"descr": "<f4", "fortran_order": False, "shape": (900_000_000_000,)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(place.path("o.png.snapshot"), "w") as archive:
        archive.writestr("arr_0.npy", header.getvalue())
    ran = place.stylize("p.png", "s.png", "-o", "o.png", "--resume")
    assert (ran.status, ran.plain, "snapshot" in ran.err) == (1, True, True), ran.err[:300]


@case(LET_IN, "a dead proxy is named")
def dead_proxy(place: Place) -> None:
    proxy = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    ran = place.cli("weights", "fetch", "vgg19", env=proxy)
    assert (ran.status, ran.plain) == (1, True), ran.err[:300]
    assert "proxy" in ran.err.lower(), ran.err[:300]


@case(LET_IN, "a manifest with lines of other kinds")
def edited_manifest(place: Place) -> None:
    assert place.sweep().status == 0
    with place.path("out/manifest.jsonl").open("a", encoding="utf-8") as file:
        file.write('null\n17\n"text"\n{"id": "x"}\nno JSON\n')
    ran = place.sweep()
    told = ran.plain and "manifest.jsonl" in ran.err
    assert ran.status == 0 or told, f"status {ran.status}; {ran.err[:300]}"


@case(LET_IN, "a width of 1e9, or text, in programs.json")
def edited_programs(place: Place) -> None:
    assert place.sweep().status == 0
    path = place.path("out/programs.json")
    known = json.loads(path.read_text(encoding="utf-8"))
    wide = {name: each | {"width": 10**9} for name, each in known.items()}
    for text in (json.dumps(wide), '"text"', "no JSON"):
        path.write_text(text, encoding="utf-8")
        for picture in place.path("out/pictures").glob("*.png"):
            picture.unlink()
        ran = place.sweep()
        told = ran.plain and "programs.json" in ran.err
        assert ran.status == 0 or told, f"status {ran.status}; {ran.err[:300]}"


@case(LET_IN, "a sweep of 5,000 brackets, of 1e7 points, of a range of 1e8")
def large_sweeps(place: Place) -> None:
    for more in (
        f"seed = {'[' * 5000}{']' * 5000}\n",
        "".join(f"{name} = {{ from = 1, to = 9, count = 250 }}\n" for name in
                ("style-weight", "content-weight", "tv-weight")),
        "seed = { from = 0, to = 100000000, count = 100000000, whole = true }\n",
    ):  # fmt: skip
        ran = place.sweep(more)
        found = ran.status in (1, 2), ran.plain, "sweep.toml" in ran.err
        assert found == (True, True, True), ran.err[:300]


@case(LET_IN, "control characters of names do not reach the terminal")
def control_characters(place: Place) -> None:
    name = "a\x1b[31m\x07\x9b\u202e.png"
    ran = place.stylize(name, "s.png", "-o", "o.png")
    place.picture(name)
    made = place.stylize(name, "s.png", "-o", f"o-{name}")
    assert (ran.status, made.status) == (2, 0), made.err
    for text in (ran.out, ran.err, made.out, made.err):
        assert text.replace("\n", "").isprintable(), repr(text)


@case(LET_IN, "the settings of a stranger's picture open no file")
def strange_settings(place: Place) -> None:
    place.picture("mask.png", 3)
    assert place.stylize("p.png", "s.png", "-o", "made.png", "--keep=mask.png").status == 0
    words = "stylize p.png s.png -o o.png --settings-from made.png"
    ran = place.cli(*words.split())
    assert not place.path("o.png").exists(), "a file that was not named decides the picture"
    assert ran.plain, ran.err[:300]
