"""The command line in processes of its own: interrupts, kills, terminals, pipes."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import LAYERS, STYLIZE, pixels, rows

from jaxstyle.cli import main
from jaxstyle.io import read_settings


def process(line: str, network: Path, **streams) -> subprocess.Popen:
    root = str(Path(__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": root, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    layers = f"{LAYERS['stylize']} --size 32 --network {network}" if "stylize" in line else ""
    args = [sys.executable, "-m", "jaxstyle", *line.split(), *layers.split()]
    return subprocess.Popen(args, env=environment, text=True, **streams)


def test_version_in_a_process(network):
    with process("--version", network, stdout=subprocess.PIPE) as run:
        assert re.fullmatch(r"jaxstyle \S.*\n", run.communicate()[0])
    assert run.returncode == 0


@pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
    reason="interrupts are ignored here, as in a background job of a script",
)
def test_interrupt_keeps_the_last_picture(cli, network):
    line = f"{STYLIZE} --steps 1000000 --save-every 5 --trace trace.csv"
    with process(line, network, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        for _ in range(600):
            if Path("out-000005.png").exists() or run.poll() is not None:
                break
            time.sleep(0.1)
        run.send_signal(signal.SIGINT)
        try:
            out, err = run.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            run.kill()
            raise
    assert run.returncode == 130
    assert out == ""
    told = re.fullmatch(r"jaxstyle: interrupted; out.png holds step (\d+) of 1000000\n", err)
    step = int(told[1])
    assert step >= 5
    assert read_settings("out.png")["step"] == step
    assert len(rows()) == step + 1
    assert not [name for name in os.listdir() if name.startswith(".")]


@pytest.mark.parametrize(
    ("line", "status"),  # argparse ignores that nobody reads its help
    [(f"{STYLIZE} --steps 1", 1), ("weights list", 1), ("stylize --help", 0)],
)
def test_nobody_reads_the_output(cli, network, line, status):
    reader, writer = os.pipe()
    os.close(reader)
    with process(line, network, stdout=writer, stderr=subprocess.PIPE) as run:
        os.close(writer)
        err = run.communicate()[1]
    assert (run.returncode, err) == (status, "")
    assert Path("out.png").exists() == ("-o" in line)


def test_progress_bar_in_a_terminal(cli, network):
    terminal, stderr = pty.openpty()
    fcntl.ioctl(stderr, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 160, 0, 0))
    with process(f"{STYLIZE} --steps 9", network, stdout=subprocess.PIPE, stderr=stderr) as run:
        os.close(stderr)
        shown = b""
        try:
            while chunk := os.read(terminal, 4096):
                shown += chunk
        except OSError:  # how Linux says that the other end was closed
            pass
        assert "9 steps" in run.communicate()[0]
    os.close(terminal)
    last = shown.decode().split("\r")[-2]
    assert re.search(r"out.png: 100%.* 9/9 \[\d\d:\d\d<\d\d:\d\d, .*step", last)
    assert re.search(r"loss=\S+, content=\S+, .*style=", last)


def test_a_killed_run_resumes(cli, network):
    line = (
        f"{STYLIZE} --content-layers relu2_1 --style-layers relu1_1 --size 32 --network {network}"
    )
    line += " --steps 400 --resume --snapshot-every 1 --quiet --trace trace.csv"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "jaxstyle", *line.split()]
    process = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 120
    while not Path("out.png.snapshot").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not Path("out.png").exists()
    with np.load("out.png.snapshot") as archive:
        before = json.loads(archive["arr_0"].tobytes())["rows"]
    assert len(before) < 400
    assert main(line.split()) == 0
    assert len(rows()) == 401
    assert rows()[: len(before)] == before
    assert pixels("out.png").shape == (21, 32, 3)
