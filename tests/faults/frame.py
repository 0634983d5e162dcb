"""What the cases share: a folder for each, command lines in it, and the table of outcomes."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

# A small run: one shallow layer for each loss, few steps.
QUICK = "--network compact --size 48 --steps 6 --content-layers relu2_1 --style-layers relu1_1"
SWEEP = """content = "p.png"
style = "s.png"
[options]
network = "compact"
size = 48
steps = 6
content-layers = "relu2_1"
style-layers = "relu1_1"
"""
SILENT, FAILS, LET_IN = HEADINGS = (
    "Lost or wrong in silence",
    "Fails where it should not",
    "Must not be let in",
)
# What a program may take before it is told that there is no more; a quick run needs far less.
_MOST_MEMORY = 6 * 2**30
_PROGRAMS = "JAX_COMPILATION_CACHE_DIR"


class SkippedError(Exception):
    """The case cannot be tried here; says why."""


class Ran(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def plain(self) -> bool:
        """Whether what went wrong was told in one line, and not as a mistake of the program's."""
        lines = self.err.splitlines()
        return len(lines) == 1 and "Traceback" not in self.err and "(a bug;" not in self.err


class Place:
    """A folder with a photograph `p.png` and a painting `s.png`, where command lines run.

    Args:
      folder: an empty folder.
      package: the checkout whose package is tried.
      seconds: how long a command may take.
    """

    def __init__(self, folder: Path, package: Path, seconds: float):
        self.folder, self.seconds, self.package = folder, seconds, package
        self.environment = os.environ | {
            "PYTHONPATH": str(package),
            "JAX_PLATFORMS": "cpu",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
            "GLIBC_TUNABLES": "glibc.malloc.hugetlb=0",  # starts in one go
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        self.environment.pop("JAXSTYLE_PARAMS", None)
        self.environment.setdefault(_PROGRAMS, str(Path(tempfile.gettempdir(), "faults-programs")))
        self.environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        for seed, name in enumerate(("p.png", "s.png")):
            self.picture(name, seed)

    def picture(self, name: str | bytes, seed: int = 0, mode: str = "RGB") -> Path:
        """Writes a small picture of noise."""
        path = self.folder / os.fsdecode(name)
        shape = (32, 48, len(mode))
        pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
        Image.fromarray(pixels.squeeze()).save(path)
        return path

    def start(self, *words: str | bytes, **options: Any) -> subprocess.Popen[bytes]:
        """Starts a program, in a session of its own."""
        environment = self.environment | options.pop("env", {})
        for name in [name for name, value in environment.items() if value is None]:
            del environment[name]
        return subprocess.Popen(
            words,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_limit_memory,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
        )

    def run(self, *words: str | bytes, **options: Any) -> Ran:
        """Runs a program to its end."""
        return self.end(self.start(*words, **options))

    def end(self, process: subprocess.Popen[bytes]) -> Ran:
        """Waits for the end; a program that takes too long is killed, with all that it started."""
        try:
            out, err = process.communicate(timeout=self.seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        out, err = out or b"", err or b""
        return Ran(process.returncode, *(x.decode(errors="backslashreplace") for x in (out, err)))

    def cli(self, *words: str | bytes, **options: Any) -> Ran:
        """Runs a command line of the package."""
        return self.run(sys.executable, "-m", "jaxstyle", *words, **options)

    def stylize(self, *words: str | bytes, **options: Any) -> Ran:
        """Runs a quick `jaxstyle stylize`."""
        return self.cli("stylize", *words, *QUICK.split(), **options)

    def shell(self, line: str, *words: str, **options: Any) -> Ran:
        """Runs a line of the shell, in which `$0 -m jaxstyle "$@"` is the command."""
        return self.run("sh", "-c", line, sys.executable, *words, **options)

    def sweep(self, more: str = "", **options: Any) -> Ran:
        """Runs a quick `jaxstyle sweep` into the folder `out`."""
        (self.folder / "sweep.toml").write_text(SWEEP + more, encoding="utf-8")
        return self.cli("sweep", "sweep.toml", "-o", "out", **options)

    def path(self, name: str) -> Path:
        """Returns the path of a file of the folder."""
        return self.folder / name

    def whole(self, name: str) -> bool:
        """Tells whether a file is a picture that can be read to its end."""
        try:
            with Image.open(self.folder / name) as image:
                image.load()
        except (OSError, SyntaxError):
            return False
        return True

    @contextlib.contextmanager
    def disk(self, bytes_: int, free: int) -> Iterator[Path]:
        """Mounts a small disk at `disk`, and fills it until so many bytes are free."""
        if os.name != "posix" or os.geteuid() != 0:
            raise SkippedError("only root can mount a small disk")
        disk = self.folder / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={bytes_}", "tmpfs", str(disk)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            raise SkippedError("no right to mount a small disk")
        try:
            (disk / "FILL").write_bytes(bytes(bytes_ - free))
            yield disk
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)

    def wait_for(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Waits until a file is there, or the process has ended."""
        deadline = time.monotonic() + self.seconds
        while not (self.folder / name).exists() and process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
                raise subprocess.TimeoutExpired(process.args, self.seconds)
            time.sleep(0.02)


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))


class Case(NamedTuple):
    """Something that goes wrong, and what should become of it.

    Attributes:
      heading: the kind of fault.
      name: what is tried, and what is right.
      attempt: tries it; an `AssertionError` says what was lost.
    """

    heading: str
    name: str
    attempt: Callable[[Place], None]


CASES: list[Case] = []


def case(heading: str, name: str) -> Callable[[Callable[[Place], None]], Callable[[Place], None]]:
    """Adds a function to the table of cases."""

    def add(attempt: Callable[[Place], None]) -> Callable[[Place], None]:
        CASES.append(Case(heading, name, attempt))
        return attempt

    return add


def outcome(each: Case, package: Path, seconds: float = 300) -> str:
    """Tries a case; returns "ok", "lost: …", "hangs" or "skipped: …"."""
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        try:
            each.attempt(Place(Path(folder).resolve(), package, seconds))
        except AssertionError as error:
            return f"lost: {error}"
        except subprocess.TimeoutExpired:
            return "hangs"
        except SkippedError as error:
            return f"skipped: {error}"
    return "ok"


def print_table(
    packages: Mapping[str, Path], chosen: Sequence[Case], seconds: float, file: IO[str]
) -> bool:
    """Prints the outcomes as a table in Markdown; returns whether nothing was lost in the last."""
    heading, good = None, True
    for each in chosen:
        if each.heading != heading:
            heading = each.heading
            print(f"\n## {heading}\n\n| case | {' | '.join(packages)} |", file=file)
            print("| --- |" + " --- |" * len(packages), file=file)
        found = [outcome(each, package, seconds) for package in packages.values()]
        good &= found[-1].startswith(("ok", "skipped"))
        cells = [" ".join(text.replace("|", r"\|").split())[:160] for text in (each.name, *found)]
        print(f"| {' | '.join(cells)} |", file=file, flush=True)
    return good
