"""Measures how long `jaxstyle stylize` lets people wait, with an empty cache and with a filled one.

    python -m scripts.benchmarks.waits PHOTO PAINTING [--judge FILE] [--package CHECKOUT]

Every run is a process of its own, on a terminal. For each network and cache, a line of JSON has the
seconds from the command to the first sign of life, to the preview, to the first step (until its
picture is on the disk) and to the finished picture; of several rounds, the medians. The cache is a
new folder in each round. It is empty for the first run of each kind, and filled for the second.
"""

import argparse
import contextlib
import json
import os
import pty
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.command_line import make_parser

_LOOK = 0.01  # seconds between looks for files
_OWN = Path(__file__).parents[2]
Times = dict[str, float]


def watch(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    files: Mapping[str, str],
    *,
    until: str | None = None,
) -> Times:
    """Runs a command on a terminal, and returns when what was waited for was there, in seconds.

    Args:
      command: the program and its arguments.
      environment: its variables.
      folder: where it runs.
      files: what it writes, by the names of the times.
      until: one of these names: once it is there, the command is ended. None waits for its end.

    Returns:
      `sign_of_life`, which is the first output on stderr; what `files` names; and `finished`, if
      the command was left to end.

    Raises:
      subprocess.CalledProcessError: if the command fails.
    """
    reader, writer = pty.openpty()
    times: Times = {}
    begin = time.monotonic()

    def note(name: str) -> None:
        times.setdefault(name, time.monotonic() - begin)

    with subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=writer
    ) as run:
        os.close(writer)
        while run.poll() is None:
            if select.select([reader], [], [], _LOOK)[0]:
                with contextlib.suppress(OSError):  # how Linux says that the other end was closed
                    if os.read(reader, 65536):
                        note("sign_of_life")
            for name, file in files.items():
                if (folder / file).exists():
                    note(name)
            if until in times:
                run.kill()
                break
        else:
            note("finished")
    os.close(reader)
    if "finished" in times and run.returncode:
        raise subprocess.CalledProcessError(run.returncode, command)
    return times


def measure(options: argparse.Namespace, network: str) -> list[tuple[str, Times]]:
    """Returns the times of one round, by what is in the cache: "empty" or "filled"."""
    found: dict[str, Times] = {"empty": {}, "filled": {}}
    with tempfile.TemporaryDirectory() as place:
        environment = _environment(options.package, Path(place, "cache"))
        for cache, times in found.items():
            for kind in ("preview", "picture"):
                folder = Path(place, f"{cache}-{kind}")
                folder.mkdir()
                line = [
                    sys.executable, "-m", "jaxstyle", "stylize",
                    str(options.photograph.resolve()), str(options.painting.resolve()),
                    "-o", "out.png", "--network", network, "--size", str(options.size),
                    "--steps", str(options.steps), *options.more,
                ]  # fmt: skip
                if kind == "preview":
                    files, line = {"preview": "first.png"}, [*line, "--preview", "first.png"]
                else:
                    files, line = {"first_step": "out-000001.png"}, [*line, "--save-every", "1"]
                until = "preview" if kind == "preview" else None
                times |= watch(line, environment, folder, files, until=until)
    return list(found.items())


def _environment(package: Path, cache: Path) -> dict[str, str]:
    """Returns the variables of a process that keeps its programs in a folder, and in no other."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMP")}
    return kept | {"PYTHONPATH": str(package.resolve()), "XDG_CACHE_HOME": str(cache)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.benchmarks.waits", __doc__)
    add = parser.add_argument
    add("photograph", type=Path)
    add("painting", type=Path)
    add("--judge", type=Path, help="the file of a network to measure beside the compact one")
    add("--package", type=Path, default=_OWN, help="the checkout whose command is measured")
    add("--size", type=int, default=512, help="longer side in pixels")
    add("--steps", type=int, default=30, help="steps of the solver, at least 2")
    add("--rounds", type=int, default=1, help="how often everything is measured")
    add("--more", action="append", default=[], help="another option of the command, with --more=")
    options = parser.parse_args(arguments)
    networks = ["compact", *([str(options.judge.resolve())] if options.judge else [])]
    for network in networks:
        rounds = [measure(options, network) for _ in range(options.rounds)]
        for cells in zip(*rounds, strict=True):
            times = [each for _, each in cells]
            seconds = {
                name: round(statistics.median(each[name] for each in times), 2) for name in times[0]
            }
            case = {"network": Path(network).stem, "size": options.size, "cache": cells[0][0]}
            print(json.dumps({**case, **seconds}), flush=True)


if __name__ == "__main__":
    main()
