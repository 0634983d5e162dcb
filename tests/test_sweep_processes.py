"""Sweeps in processes of their own: killed at any moment, several at once."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import files_of, pixels, write_toml

ROOT = Path(__file__).parents[1]


def process(line: str) -> subprocess.Popen:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    return subprocess.Popen([sys.executable, "-m", "jaxstyle", *line.split()], env=environment)


def finished(folder: Path) -> int:
    path = folder / "manifest.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def survives(kills: int, count: int, start, network) -> None:
    """Kills a sweep at random instants, and compares what it ends with with one left alone."""
    write_toml(network, count=count)
    process("sweep sweep.toml -o alone --quiet").wait()
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
    for each in start():
        assert each.wait() == 0
    assert process("sweep sweep.toml -o out --quiet").wait() == 0
    assert files_of(Path("out")) == files_of(Path("alone"))
    names = [json.loads(x)["id"] for x in Path("out/manifest.jsonl").read_text().splitlines()]
    assert len(names) == len(set(names)) == count


def test_a_sweep_survives_kills(folder, network):
    survives(2, 40, lambda: [process("sweep sweep.toml -o out --quiet")], network)


@pytest.mark.slow
def test_a_sweep_of_200_survives_20_kills(folder, network):
    survives(20, 200, lambda: [process("sweep sweep.toml -o out --quiet")], network)


@pytest.mark.slow
def test_a_sweep_of_two_processes_survives_the_loss_of_one(folder, network):
    def start():
        return [process(f"sweep sweep.toml -o out --quiet --shard {i}/2") for i in range(2)]

    survives(3, 60, start, network)


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_that_jax_knows(folder, network, count):
    write_toml(network, count=5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = f"sweep sweep.toml -o out --quiet --distributed --coordinator 127.0.0.1:{port}"
    running = [process(f"{line} --processes {count} --process-id {i}") for i in range(count)]
    assert [each.wait(timeout=300) for each in running] == [0] * count
    process("sweep sweep.toml -o alone --quiet").wait()
    assert finished(Path("out")) == 5
    assert files_of(Path("out")) == files_of(Path("alone"))
