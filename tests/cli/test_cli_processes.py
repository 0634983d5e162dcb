"""The command line in processes of its own: interrupts, kills, terminals, pipes."""

import contextlib
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
from helpers.command_line import LAYERS, STYLIZE, done, environment, pixels, rows

from jaxstyle.image.io import read_settings

pytestmark = pytest.mark.usefixtures("compile_faster")


def process(line: str, network: Path, **streams) -> subprocess.Popen:
    layers = f"{LAYERS['stylize']} --size 32 --network {network}" if "stylize" in line else ""
    args = [sys.executable, "-m", "jaxstyle", *line.split(), *layers.split()]
    return subprocess.Popen(args, env=environment(), text=True, **streams)


def test_version_in_a_process(network):
    with process("--version", network, stdout=subprocess.PIPE) as run:
        assert re.fullmatch(r"jaxstyle \S.*\n", run.communicate()[0])
    assert run.returncode == 0


@pytest.mark.skipif(
    signal.SIG_IGN in (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGHUP)),
    reason="interrupts are ignored here, as in a background job of a script",
)
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        signal.SIGTERM,
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_interrupt_keeps_the_last_picture(cli, network, number):
    Path(".jaxstyle-0123456789abcdef.png").touch()  # left by a run that was killed
    line = f"{STYLIZE} --steps 1000000 --save-every 5 --trace trace.csv"
    with process(line, network, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        for _ in range(600):
            if Path("out-000005.png").exists() or run.poll() is not None:
                break
            time.sleep(0.1)
        run.send_signal(number)
        try:
            out, err = run.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            run.kill()
            raise
    assert run.returncode == 128 + number
    assert out == ""
    told = re.fullmatch(r"jaxstyle: interrupted; out.png holds step (\d+) of 1000000\n", err)
    step = int(told[1])
    assert step >= 5
    assert read_settings("out.png")["step"] == step
    assert len(rows()) == step + 1
    assert not [name for name in os.listdir() if name.startswith(".")]


@pytest.mark.parametrize("line", ["weights list", "stylize --help"])
def test_nobody_reads_the_output(cli, network, line):
    reader, writer = os.pipe()
    os.close(reader)
    with process(line, network, stdout=writer, stderr=subprocess.PIPE) as run:
        os.close(writer)
        err = run.communicate()[1]
    assert (run.returncode, err) == (1, "")


def test_nobody_reads_the_summary_of_a_picture(cli, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert cli(STYLIZE)[::2] == (0, "")
    assert Path("out.png").exists()


def test_progress_bar_in_a_terminal(cli, monkeypatch):
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 160, 0, 0))
    with open(end, "w", encoding="utf-8") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        assert "9 steps" in cli(STYLIZE, steps=9).out
    shown = b""
    try:
        while chunk := os.read(terminal, 4096):
            shown += chunk
    except OSError:  # how Linux says that the other end was closed
        pass
    os.close(terminal)
    last = shown.decode().rstrip().split("\r")[-1]
    assert re.fullmatch(r"out.png: 100%\|█+\| 9/9, style \d+(\.\d)? %", last)


@pytest.mark.slow
def test_a_killed_run_resumes(cli, network):
    line = f"{STYLIZE} --steps 150 --resume --snapshot-every 1 --quiet --trace trace.csv"
    running = process(line, network)
    deadline = time.monotonic() + 120
    while not Path("out.png.snapshot").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    running.kill()
    running.wait()
    assert not Path("out.png").exists()
    with np.load("out.png.snapshot") as archive:
        before = json.loads(archive["arr_0"].tobytes())["rows"]
    assert len(before) < 150
    done(cli(line, steps=150))
    assert len(rows()) == 151
    assert rows()[: len(before)] == before
    assert pixels("out.png").shape == (21, 32, 3)


@pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
    reason="interrupts are ignored here, as in a background job of a script",
)
@pytest.mark.parametrize(
    "ending",
    ["pass", "raise ImportError('half loaded') from None"],
    ids=["python goes on", "another error"],
)
def test_a_terminal_sees_a_sign_of_life_and_an_interrupt_before_jax_is_there(tmp_path, ending):
    # In JAX's place, an import that takes long, and drops what interrupts it.
    (tmp_path / "jax.py").write_text(
        "import time\ntry:\n    open('begun', 'w').close()\n    time.sleep(60)\n"
        f"except KeyboardInterrupt:\n    {ending}\n"
    )
    root = environment()["PYTHONPATH"]
    paths = os.pathsep.join([str(tmp_path), root])
    reader, writer = pty.openpty()
    command = [sys.executable, "-m", "jaxstyle", *STYLIZE.split()]
    with subprocess.Popen(
        command, env=environment() | {"PYTHONPATH": paths}, stderr=writer, cwd=tmp_path
    ) as run:
        os.close(writer)
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        shown = os.read(reader, 1000)
        run.send_signal(signal.SIGINT)
        assert shown == b"starting\r"
        with contextlib.suppress(OSError):  # where Linux has nothing more to read
            while more := os.read(reader, 1000):
                shown += more
    os.close(reader)
    assert run.returncode == 130
    assert shown == b"starting\r        \rjaxstyle: interrupted; nothing was written\r\n"
