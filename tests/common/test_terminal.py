"""Printing that never ends the work."""

import io
import json
import os
import subprocess
import sys

import pytest

from jaxstyle._common import terminal
from jaxstyle._common.progress import Steps
from jaxstyle._common.terminal import Stream, safe_streams
from jaxstyle.cli.printing import answered, complain, say, say_json

NAME = "Ночь 星月夜 " + os.fsdecode(b"caf\xe9") + ".png"


def encoded(encoding):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


def shown(stream):
    stream.flush()
    return stream.buffer.getvalue().decode(stream.encoding)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", r"Ночь 星月夜 caf\xe9.png: 48×32…"),
        ("cp1251", r"Ночь \u661f\u6708\u591c caf\xe9.png: 48x32…"),
        ("cp437", r"\u041d\u043e\u0447\u044c \u661f\u6708\u591c caf\xe9.png: 48x32..."),
        ("ascii", r"\u041d\u043e\u0447\u044c \u661f\u6708\u591c caf\xe9.png: 48x32..."),
    ],
)
def test_every_encoding_shows_every_name(encoding, text):
    stream = encoded(encoding)
    Stream(stream).write(f"{NAME}: 48×32…\n")
    assert shown(stream) == f"{text}\n"


def test_a_progress_bar_may_go_back_to_the_start_of_its_line():
    stream = encoded("utf-8")
    Stream(stream).write("\r50%\x1b[2J\t\r\n")
    assert shown(stream) == "\r50%\\x1b[2J\t\r\n"


class Broken(io.StringIO):
    def write(self, text):
        raise OSError(28, "No space left on device")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, Broken(), closed()])
def test_a_stream_that_takes_nothing_ends_nothing(stream, monkeypatch):
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    with safe_streams() as streams:
        for _ in range(2):
            say(NAME)
            complain(NAME)
        with Steps(3, NAME, quiet=False) as bar:
            bar.update(3)
        assert answered() == 1
    assert all(each.error is not None for each in streams)
    assert sys.stdout is stream


def test_what_waits_for_a_full_disk_is_gone_at_exit():
    code = "from jaxstyle._common.terminal import *; import sys\n"
    code += "with safe_streams(): print('x' * 100000)\nprint('y')"
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_line_stays_a_line(capsys):
    say("a\nb\x1b[1m")
    complain("a\rjaxstyle: done\u202e")
    ran = capsys.readouterr()
    assert ran.out == "a\\nb\\x1b[1m\n"
    assert ran.err == "jaxstyle: a\\rjaxstyle: done\\u202e\n"


def test_json_stays_json(capsys):
    facts = {"output": f"\x1b\x7f\n\u202e{NAME}"}
    with safe_streams():
        say_json(facts)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == facts


def test_closed_descriptors_are_taken_before_a_file_takes_them(tmp_path):
    code = (
        "import os, sys\nfrom jaxstyle._common import terminal\n"
        "terminal.open_standard_descriptors()\n"
        "file = open(sys.argv[1], 'w')\nsys.exit(file.fileno() < 3)"
    )
    command = f'exec {sys.executable} -c "$1" "$2" <&- >&- 2>&-'
    done = subprocess.run(
        ["sh", "-c", command, "sh", code, str(tmp_path / "file")],
        env=os.environ | {"PYTHONPATH": str(terminal.__file__).rpartition("/jaxstyle/")[0]},
        check=False,
    )
    assert done.returncode == 0
