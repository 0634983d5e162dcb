"""Sweeps in processes of their own: killed at any moment, several at once."""

import json
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest
from helpers.command_line import environment, files_of, pixels, write_toml

from jaxstyle.cli import main

pytestmark = pytest.mark.usefixtures("like_the_processes")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def like_the_processes(compile_faster):
    """No programs that other tests compiled with more optimisations: they may round otherwise."""
    jax.clear_caches()


def process(line: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "jaxstyle", *line.split()], env=environment())


def run(line: str) -> int:
    return main(line.split())


def finished(folder: Path) -> int:
    path = folder / "manifest.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def alone(count: int) -> dict[str, bytes]:
    """What a sweep ends with that is left alone, in this process."""
    assert run("sweep sweep.toml -o alone --quiet") == 0
    assert finished(Path("alone")) == count
    return files_of(Path("alone"))


def survives(kills: int, count: int, start, network) -> None:
    """Kills a sweep at random instants, and compares what it ends with with one left alone."""
    write_toml(network, count=count)
    rng, before = random.Random(0), 0
    for _ in range(kills):
        running = start()
        deadline = time.monotonic() + 60
        # At a random moment of its work, not of its start.
        while finished(Path("out")) <= before and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.random() * 0.1)
        running[0].send_signal(signal.SIGKILL)
        for each in running:
            each.wait()
        after = finished(Path("out"))
        assert after > before
        before = after
        for path in Path("out/pictures").glob("*.png"):
            if not path.name.startswith("."):
                pixels(str(path))
    assert before < count
    wanted = alone(count)
    assert run("sweep sweep.toml -o out --quiet") == 0
    assert files_of(Path("out")) == wanted
    names = [
        json.loads(x)["id"]
        for x in Path("out/manifest.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert len(names) == len(set(names)) == count


@pytest.mark.slow
def test_a_sweep_survives_a_kill(folder, network):
    survives(1, 40, lambda: [process("sweep sweep.toml -o out --quiet")], network)


@pytest.mark.exhaustive
def test_a_sweep_of_200_survives_20_kills(folder, network):
    survives(20, 200, lambda: [process("sweep sweep.toml -o out --quiet")], network)


@pytest.mark.slow
def test_a_sweep_of_two_processes_survives_the_loss_of_one(folder, network):
    def start():
        return [process(f"sweep sweep.toml -o out --quiet --shard {i}/2") for i in range(2)]

    survives(3, 60, start, network)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_processes_that_jax_knows(folder, network, count):
    write_toml(network, count=5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = f"sweep sweep.toml -o out --quiet --distributed --coordinator 127.0.0.1:{port}"
    running = [process(f"{line} --processes {count} --process-id {i}") for i in range(count)]
    assert [each.wait(timeout=300) for each in running] == [0] * count
    assert finished(Path("out")) == 5
    assert files_of(Path("out")) == alone(5)
