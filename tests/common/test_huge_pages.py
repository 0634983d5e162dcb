"""Huge memory pages: asked for once, where they are to be had."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from jaxstyle import samples
from jaxstyle._common import huge_pages

RESTART = """
import os, sys
from jaxstyle._common.huge_pages import restart_with_huge_pages
print("begun", flush=True)
restart_with_huge_pages()
print(os.environ["GLIBC_TUNABLES"], sys.argv[1:])
"""


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Makes it seem another system: its kernel's setting and its C library."""

    def seem(enabled="always [madvise] never", library=("glibc", "2.36")):
        (tmp_path / "enabled").write_text(f"{enabled}\n")
        monkeypatch.setattr(huge_pages, "_KERNEL", tmp_path / "enabled")
        monkeypatch.setattr(platform, "libc_ver", lambda: library)

    return seem


def test_asks_beside_what_was_asked_already(system):
    system()
    assert huge_pages.with_huge_pages({"A": "1"}) == {
        "A": "1", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"
    }  # fmt: skip
    asked = huge_pages.with_huge_pages({"GLIBC_TUNABLES": "glibc.malloc.check=0"})
    assert asked == {"GLIBC_TUNABLES": "glibc.malloc.check=0:glibc.malloc.hugetlb=1"}


@pytest.mark.parametrize("value", ["0", "1", "2"])
def test_leaves_what_the_user_said(system, value):
    system()
    assert huge_pages.with_huge_pages({"GLIBC_TUNABLES": f"glibc.malloc.hugetlb={value}"}) is None


@pytest.mark.parametrize(
    "another",
    [
        {"enabled": "[always] madvise never"},
        {"enabled": "always madvise [never]"},
        {"library": ("glibc", "2.34")},
        {"library": ("", "")},
    ],
)
def test_asks_only_where_it_helps(system, another):
    system(**another)
    assert huge_pages.with_huge_pages({}) is None


def test_a_system_without_the_setting(system, tmp_path):
    system()
    (tmp_path / "enabled").unlink()
    assert huge_pages.with_huge_pages({}) is None


def run(*command, **changes):
    environment = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES"} | changes
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, *command], env=environment, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def here():
    if huge_pages.with_huge_pages({}) is None:
        pytest.skip("this system gives huge pages to every program or to none")


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_starts_anew_once_with_the_same_arguments():
    lines = run("-c", RESTART, "a b", "--c").splitlines()
    assert lines == ["begun", "begun", "glibc.malloc.hugetlb=1 ['a b', '--c']"]


@pytest.mark.usefixtures("here")
@pytest.mark.slow
def test_the_command_starts_anew_to_make_pictures_only(tmp_path):
    trace = (
        "import sys; sys.addaudithook(lambda e, _: e == 'os.exec' and print('anew', flush=True))"
    )
    code = f"{trace}\nfrom jaxstyle.cli import command\nsys.exit(command())"
    line = f"stylize {samples.LAKE} {samples.SWIRLS} -o {tmp_path}/out.png --network compact "
    line += "--size 32 --content-layers relu2_1 --style-layers relu1_1 --dry-run=exact"
    assert run("-c", code, *line.split()).count("anew") == 1
    assert (
        run("-c", code, *line.split(), GLIBC_TUNABLES="glibc.malloc.hugetlb=0").count("anew") == 0
    )
    assert run("-c", code, "weights", "list", XDG_CACHE_HOME=str(tmp_path)).count("anew") == 0
