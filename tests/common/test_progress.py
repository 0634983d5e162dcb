"""How far a run is, on a bar and by lines."""

import io
import re
import sys

import pytest

from jaxstyle._common import progress
from jaxstyle._common.progress import Steps

LONG = "tübingen-neckarfront--the-great-wave-off-kanagawa.png"


@pytest.fixture
def clock(monkeypatch):
    """Sets the time."""
    now = [0.0]
    monkeypatch.setattr(progress, "_now", lambda: now[0])

    def to(seconds):
        now[0] = seconds

    return to


@pytest.fixture
def terminal(monkeypatch):
    """Makes stderr a terminal of some columns; returns the last line that it shows."""

    def make(columns, encoding="utf-8"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        stream.isatty = lambda: True
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", "24")

        def line():
            stream.flush()
            return stream.buffer.getvalue().decode(encoding).rstrip().split("\r")[-1].rstrip()

        return line

    return make


@pytest.mark.parametrize("columns", [80, 100])
def test_the_bar_has_room(terminal, clock, columns):
    line = terminal(columns)
    with Steps(1000, LONG, quiet=False) as steps:
        for done in range(1, 501):
            clock(60 + 30 * done)
            steps.update(1, "style 99.9 %")
        steps._bar.refresh()
        assert len(line()) < columns
        pattern = r"tübingen-neckarfron…:  50%\|(█+ +)\| 500/1000, style 99.9 %, 4:10:00 left"
        assert len(re.fullmatch(pattern, line())[1]) >= 8


@pytest.mark.parametrize(("columns", "at_once"), [(80, False), (100, False), (80, True)])
def test_a_wait_says_what_it_is_for(terminal, clock, monkeypatch, columns, at_once):
    line = terminal(columns)
    steps = Steps(300, LONG, quiet=False, at_once=at_once)
    seconds = iter([2.0, 75.0])

    def pass_time(_):
        clock(next(seconds, 0))
        return len(seen) == 2

    seen = []
    monkeypatch.setattr(steps._started, "wait", pass_time)
    shown = steps._bar.set_postfix_str
    monkeypatch.setattr(
        steps._bar, "set_postfix_str", lambda text: (shown(text), seen.append(line()))
    )
    steps._wait()
    steps._bar.close()
    ends = [each.rpartition("| ")[2] for each in seen]
    said = "painting 1:15" if at_once else "compiling 1:15 (once for a size)"
    assert ends == ["0/300, preparing", f"0/300, {said}"]
    assert all(re.search(r"\| {8,}\|", each) and len(each) < columns for each in seen)


def test_compilation_is_no_part_of_what_is_left(clock, capsys):
    steps = Steps(100, "out.png", quiet=False)
    clock(500)
    steps.update(1)
    assert steps._left() == ""
    clock(502)
    steps.update(1)
    assert steps._left() == "3:16 left"
    clock(522)
    steps.update(10)
    clock(10_000)  # another program, or a lid that was closed
    steps.update(1)
    assert steps._left() == f"{progress._clock(87 * 2 * 1.8)} left"


def test_a_log_gets_a_line_now_and_then(clock, capsys):
    with Steps(40, "a\n\x1b[31m.png", quiet=False) as steps:
        for done in range(1, 41):
            clock(8 * done)
            steps.update(1, "style 50 %")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == r"jaxstyle: a\n\x1b[31m.png: 4/40, style 50 %, 4:48 left"
    assert [line.split(": ")[2].split(",")[0] for line in lines] == [
        f"{done}/40" for done in range(4, 41, 4)
    ]


def test_a_slow_run_is_not_told_of_step_by_step_in_a_log(clock, capsys):
    with Steps(40, "out.png", quiet=False) as steps:
        for done in range(1, 9):
            clock(100 * done)
            steps.update(1)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_quiet_is_quiet(clock, capsys, terminal):
    with Steps(2, "out.png", quiet=True) as steps:
        clock(100)
        steps.update(2)
    line = terminal(80)
    with Steps(2, "out.png", quiet=True) as steps:
        steps.update(2)
    assert (capsys.readouterr().err, line()) == ("", "")


def test_the_bar_shows_odd_names(terminal):
    line = terminal(80, "ascii")
    with Steps(2, "a\n\x1b[31mНочь.png", quiet=False) as steps:
        steps.update(2)
    assert line().startswith(r"a\n\x1b[31m\u041d\u043e\u0447")
    assert "2/2" in line()
