"""Compiled programs kept between runs of the command."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from PIL import Image

from jaxstyle import samples
from jaxstyle.cli import programs
from jaxstyle.networks import catalogue

# Counts the programs that are compiled, and not read from where they were kept.
COUNT = """
import sys, jax, jax.monitoring
compiled = 0
def count(event, **_):
    global compiled
    compiled += event.endswith("compile_requests_use_cache") - event.endswith("cache_hits")
jax.monitoring.register_event_listener(count)
from jaxstyle._common import kept
save = kept._save
def count_and_save(path, program):
    global compiled
    compiled += 1
    save(path, program)
kept._save = count_and_save
from jaxstyle.cli import command
status = command()
print(compiled)
sys.exit(status)
"""


def run(tmp_path: Path, **changes: str) -> int:
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    root = str(Path(__file__).parents[2])
    environment |= {"PYTHONPATH": root, "XDG_CACHE_HOME": str(tmp_path / "cache")} | changes
    line = (
        f"stylize {samples.LAKE} {samples.SWIRLS} -o out.png --network compact --size 32 --steps 2 "
        "--content-layers relu2_1 --style-layers relu2_1 --quiet"
    )
    command = [sys.executable, "-c", COUNT, *line.split()]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return int(done.stdout)


@pytest.mark.slow
def test_a_second_start_compiles_nothing(tmp_path):
    def kept() -> list[Path]:
        return sorted((tmp_path / "cache/jaxstyle/programs").rglob("*-cache"))

    assert run(tmp_path) == len(kept()) > 0
    first = (tmp_path / "out.png").read_bytes()
    assert run(tmp_path) == 0
    assert (tmp_path / "out.png").read_bytes() == first
    for i, entry in enumerate(kept()):  # a disk that was full, a page that was lost, an attack
        data = entry.read_bytes()
        entry.write_bytes((b"", data[: len(data) // 2], bytes(len(data)))[i % 3])
    assert run(tmp_path) == len(kept())
    assert run(tmp_path) == 0
    assert (tmp_path / "out.png").read_bytes() == first


@pytest.mark.slow
def test_a_folder_that_is_named_keeps_what_need_not_be_traced(tmp_path):
    named = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "named")}
    assert run(tmp_path, **named) > 0
    kept = list((tmp_path / "named/jaxstyle").rglob("*-cache"))
    assert any(entry.name.startswith("jaxstyle.optimization.step.advance-") for entry in kept)
    assert not (tmp_path / "cache").exists()
    times = {entry: entry.stat().st_mtime_ns for entry in kept}
    run(tmp_path, **named)  # JAX does not keep what compiles in less than a second
    assert {entry.stat().st_mtime_ns > time for entry, time in times.items()} == {True}


def test_a_bucket_keeps_nothing_of_the_package():
    assert programs._programs_within("gs://bucket/programs") is None


@pytest.mark.slow
def test_nothing_is_kept_where_it_cannot_be_or_should_not(tmp_path):
    (tmp_path / "file").touch()
    for changes in (
        {"XDG_CACHE_HOME": str(tmp_path / "file")},
        {"JAX_ENABLE_COMPILATION_CACHE": "false"},
    ):
        run(tmp_path, **changes)
    assert not (tmp_path / "cache").exists()


@pytest.fixture
def mender(tmp_path):
    with warnings.catch_warnings():
        mender = programs._Mender(tmp_path)
        mender.listen()
        yield mender


def trouble(doing: str, program: str, reason: str) -> None:
    """What JAX warns of; see `jax._src.compiler`."""
    text = f"Error {doing} persistent compilation cache entry for '{program}': {reason}"
    warnings.warn(text, stacklevel=1)


def test_an_entry_that_cannot_be_read_is_removed_in_silence(mender, tmp_path, capsys):
    for name in ("jit_step-1-cache", "jit_step-2-cache", "jit_steps-1-cache"):
        (tmp_path / name).touch()
    for _ in range(2):
        trouble("reading", "jit_step", "error: Error -5 while decompressing data")
    assert [path.name for path in tmp_path.iterdir()] == ["jit_steps-1-cache"]
    assert capsys.readouterr() == ("", "")


def test_a_full_cache_is_told_once_and_leaves_no_half_entry(mender, tmp_path, capsys):
    (tmp_path / "jit_step-1-cache").touch()
    for _ in range(3):
        trouble("writing", "jit_step", "OSError: [Errno 28] No space left on device")
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == (
        f"jaxstyle: warning: compiled programs cannot be kept in {tmp_path}: "
        "OSError: [Errno 28] No space left on device\n"
    )


def test_the_reason_is_whole_where_it_names_a_file(mender, capsys):
    trouble("writing", "jit_step", "OSError: [Errno 30] Read-only file system: '/a/x-cache'")
    assert capsys.readouterr().err.endswith(
        "OSError: [Errno 30] Read-only file system: '/a/x-cache'\n"
    )


def test_other_warnings_are_shown_as_ever(tmp_path, monkeypatch):
    shown = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", lambda *a: shown.append(str(a[0])))
        programs._Mender(tmp_path).listen()
        warnings.warn("something else", stacklevel=1)
    assert shown == ["something else"]


def test_the_folder_belongs_to_its_user_alone(tmp_path, monkeypatch):
    folder = tmp_path / "cache" / "programs"
    folder.mkdir(parents=True, mode=0o777)
    assert programs._own(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    owner = folder.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    assert not programs._own(folder)  # another user could put a program there
    (tmp_path / "file").touch()
    assert not programs._own(tmp_path / "file" / "programs")


def test_what_was_not_used_for_longest_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_LIMIT", 250)
    for age, name in enumerate(["new", "old", "older", "oldest"]):
        entry = tmp_path / "processor" / f"{name}-cache"
        entry.parent.mkdir(exist_ok=True)
        entry.write_bytes(bytes(100))
        os.utime(entry, (1e9 - age, 1e9 - 2 * age))
    programs._remove_least_used(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*-cache")) == ["new-cache", "old-cache"]


def test_a_user_without_a_home_keeps_nothing(monkeypatch):
    def no_home(_):
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("pooch.os_cache", no_home)
    assert catalogue.cache() is None
    monkeypatch.setattr("pooch.os_cache", lambda name: Path("~/.cache") / name)  # older versions
    assert catalogue.cache() is None
    assert catalogue.find_params("vgg19-torchvision") is None


PREVIEW = """
import sys
from pathlib import Path
from jaxstyle.cli import pictures, programs
from jaxstyle.pipeline.job import make_job
programs.keep_programs()
for content, style in zip(sys.argv[1::2], sys.argv[2::2]):
    job = make_job("stylize", Path(content), Path(style), Path("out.png"), {})
    preview = pictures._preview_of(job, Path("first.png"))
    assert pictures.run_jobs([preview], {"quiet": True}) == 0
"""


@pytest.mark.slow
def test_previews_of_all_proportions_share_their_programs(tmp_path):
    for name, size in {"a": (300, 200), "b": (240, 180), "c": (400, 225)}.items():
        Image.effect_noise(size, 60).convert("RGB").save(tmp_path / f"{name}.png")
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment |= {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }

    def preview(*names: str) -> set[str]:
        subprocess.run(
            [sys.executable, "-c", PREVIEW, *names], cwd=tmp_path, env=environment, check=True
        )
        return {path.name for path in (tmp_path / "cache").rglob("*-cache")}

    first = preview("a.png", "b.png")
    assert preview("b.png", "c.png", "c.png", "a.png") == first != set()
    with Image.open(tmp_path / "first.png") as made:
        assert made.size == (192, 108)
