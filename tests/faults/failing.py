"""What must not fail: reports, users without a home, caches, odd files."""

import os
import struct
import sys
import zlib

from PIL import Image

from .frame import FAILS, QUICK, SWEEP, Place, SkippedError, case

ODD = b"caf\xe9.png"  # Latin-1: no UTF-8, but a name like any other


# ---- Printing ------------------------------------------------------------------------------------
def batch(place: Place, **options: object) -> None:
    """Two pictures, whose reports nobody need be able to print."""
    place.picture("t.png", 2)
    ran = place.stylize("p.png", "s.png", "t.png", "-o", "out", **options)
    made = len(list(place.path("out").glob("*.png"))) if place.path("out").exists() else 0
    assert (ran.status, made) == (0, 2), f"{made} of 2 pictures, status {ran.status}; {ran.err}"


@case(FAILS, "a batch in cp1251")
def in_cp1251(place: Place) -> None:
    batch(place, env={"PYTHONIOENCODING": "cp1251"})


@case(FAILS, "a batch in ASCII")
def in_ascii(place: Place) -> None:
    batch(place, env={"PYTHONIOENCODING": "ascii"})


@case(FAILS, "a batch whose stdout is full")
def to_full(place: Place) -> None:
    with open("/dev/full", "wb") as full:
        batch(place, stdout=full)


@case(FAILS, "a batch whose reader has gone")
def to_nobody(place: Place) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as stdout:
        batch(place, stdout=stdout)


@case(FAILS, "closed streams (<&- >&- 2>&-)")
def closed_streams(place: Place) -> None:
    line = f"stylize p.png s.png -o o.png {QUICK}"
    ran = place.shell('exec "$0" -m jaxstyle "$@" <&- >&- 2>&-', *line.split())
    assert (ran.status, place.whole("o.png")) == (0, True), f"status {ran.status}"


@case(FAILS, "--help in cp1251, cp437 and ASCII")
def help_in_encodings(place: Place) -> None:
    for encoding in ("cp1251", "cp437", "ascii"):
        ran = place.cli("stylize", "--help", env={"PYTHONIOENCODING": encoding})
        assert (ran.status, "--size" in ran.out) == (0, True), f"the help, in {encoding}"


@case(FAILS, "a Latin-1 name under strict UTF-8, in a batch and in a sweep's table")
def latin_name(place: Place) -> None:
    place.picture(ODD)
    strict = {"PYTHONIOENCODING": "utf-8:strict"}
    ran = place.stylize(ODD, "s.png", "-o", b"o-" + ODD, env=strict)
    assert (ran.status, place.whole(os.fsdecode(b"o-" + ODD))) == (0, True), ran.err
    place.path("styles").mkdir()
    for name in ("s.png", os.fsdecode(ODD)):
        place.path(name).rename(place.path("styles") / name)
    toml = SWEEP.replace('"s.png"', '["styles"]')
    place.path("odd.toml").write_text(toml, encoding="utf-8")
    ran = place.cli("sweep", "odd.toml", "-o", "out", env=strict)
    assert ran.status == 0, ran.err
    table = place.path("out/summary.csv").read_text(encoding="utf-8")
    assert table.count("done") == 2, table


# ---- Users and caches ----------------------------------------------------------------------------
@case(FAILS, "an unknown user without HOME")
def unknown_user(place: Place) -> None:
    place.folder.chmod(0o777)
    nobody = ("unshare", "-U", "--map-user=12345")
    if place.run(*nobody, "true").status:
        raise SkippedError("no right to user namespaces")
    without = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"))
    code = "import jaxstyle; jaxstyle.load_params('compact')"
    ran = place.run(*nobody, sys.executable, "-c", code, env=without)
    assert ran.status == 0, ran.err.strip().rpartition("\n")[2]
    line = f"stylize p.png s.png -o o.png {QUICK}"
    ran = place.run(*nobody, sys.executable, "-m", "jaxstyle", *line.split(), env=without)
    assert (ran.status, len(ran.err.splitlines()) < 2) == (0, True), ran.err


@case(FAILS, "damaged compiled programs are made again in silence, in a folder of mode 0700")
def damaged_programs(place: Place) -> None:
    own = {"JAX_COMPILATION_CACHE_DIR": None, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": None}
    words = ("p.png", "s.png", "-o", "o.png", "--quiet")
    assert place.stylize(*words, env=own).status == 0
    programs = place.path("cache/jaxstyle/programs")
    kept = sorted(programs.rglob("*-cache"))
    if not kept:
        raise SkippedError("nothing took long enough to compile")
    for entry in kept:
        entry.write_bytes(entry.read_bytes()[:50])
    ran = place.stylize(*words, env=own)
    assert (ran.status, ran.err) == (0, ""), ran.err
    # What compiles faster the second time is not kept again.
    left = [entry for entry in kept if entry.exists() and entry.stat().st_size <= 50]
    assert not left, "the damaged entries stay"
    assert programs.stat().st_mode & 0o777 == 0o700, oct(programs.stat().st_mode)


# ---- Folders and files ---------------------------------------------------------------------------
@case(FAILS, "a folder with hidden, odd and broken files: the rest is made")
def mixed_folder(place: Place) -> None:
    photos = place.path("photos")
    (photos / "folder.jpg").mkdir(parents=True)
    place.path("p.png").rename(photos / "p.png")
    Image.new("RGB", (48, 32), "teal").save(photos / "phone.jfif", "JPEG")
    for name in ("._p.png", ".jaxstyle-0123456789abcdef.png", "broken.png"):
        (photos / name).write_bytes(b"no picture")
    ran = place.stylize("photos", "s.png", "-o", "out")
    made = sorted(path.name for path in place.path("out").glob("*"))
    assert made == ["p--s.png", "phone--s.png"], f"made {made}; {ran.err}"
    assert (ran.status, "broken.png" in ran.err) == (1, True), ran.err


@case(FAILS, "a pattern in a folder whose name has brackets")
def brackets(place: Place) -> None:
    place.path("a[1]").mkdir()
    place.path("p.png").rename(place.path("a[1]/p.png"))
    ran = place.stylize("a[1]/*.png", "s.png", "-o", "out")
    assert (ran.status, place.whole("out/p--s.png")) == (0, True), ran.err


def png_with(place: Place, kind: bytes, data: bytes) -> None:
    """Adds a chunk to `p.png`, after its header."""
    raw = place.path("p.png").read_bytes()
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    place.path("p.png").write_bytes(raw[:33] + chunk + raw[33:])


@case(FAILS, "a PNG with a text of 3 MB")
def large_text(place: Place) -> None:
    png_with(place, b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3_000_000)))
    ran = place.stylize("p.png", "s.png", "-o", "o.png")
    assert ran.status == 0, ran.err


@case(FAILS, "a PNG that says its gamma is shown as a browser shows it")
def gamma(place: Place) -> None:
    Image.new("RGB", (48, 32), (128, 128, 128)).save(place.path("p.png"))
    png_with(place, b"gAMA", struct.pack(">I", 100_000))  # linear light
    code = "import jaxstyle; print(float(jaxstyle.load_image('p.png').mean()))"
    ran = place.run(sys.executable, "-c", code)
    assert abs(float(ran.out) - 188 / 255) < 0.01, f"a grey of {float(ran.out):.3f}"


@case(FAILS, "a sweep's TOML with a byte order mark")
def byte_order_mark(place: Place) -> None:
    toml = b'\xef\xbb\xbfcontent = "p.png"\nstyle = "s.png"\n[options]\nnetwork = "compact"\n'
    place.path("bom.toml").write_bytes(toml)
    ran = place.cli("sweep", "bom.toml", "-o", "out", "--dry-run")
    assert ran.status == 0, ran.err
