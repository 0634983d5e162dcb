"""Interrupts: which signals are one, and blocks that end before they are heard."""

import gc
import signal
import subprocess
import sys
import threading

import pytest

from jaxstyle._common import interrupts

SIGNALS = [signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def own_signals(monkeypatch):
    """Begins as a process does, and puts back what the tests' own process had."""
    monkeypatch.setattr(interrupts, "_caught", [])
    numbers = [signal.SIGINT, *SIGNALS]
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, signal.default_int_handler if number == 2 else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def own_hook(monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_ends_a_process_is_an_interrupt(number):
    assert interrupts.status() == 130
    interrupts.end_as_by_ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert interrupts.status() == 128 + number


@pytest.mark.parametrize("number", [signal.SIGINT, *SIGNALS])
def test_one_that_python_drops_is_heard_at_the_next_check(number, capsys):
    class Deleted:
        def __del__(self):
            signal.raise_signal(number)

    interrupts.end_as_by_ctrl_c()
    interrupts.check()
    Deleted()
    with pytest.raises(KeyboardInterrupt):
        interrupts.check()
    assert capsys.readouterr().err == ""


def test_one_that_comes_while_garbage_is_collected_is_heard_and_prints_nothing(capsys):
    def collected(phase, _):
        if phase == "start" and not interrupts._caught:
            signal.raise_signal(signal.SIGTERM)

    interrupts.end_as_by_ctrl_c()
    gc.callbacks.append(collected)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(collected)
    with pytest.raises(KeyboardInterrupt):
        interrupts.check()
    assert capsys.readouterr().err == ""


def test_another_dropped_exception_is_shown(capsys):
    class Deleted:
        def __del__(self):
            raise OSError("lost")

    interrupts.end_as_by_ctrl_c()
    Deleted()
    assert "OSError: lost" in capsys.readouterr().err


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    interrupts.end_as_by_ctrl_c()
    signal.raise_signal(signal.SIGHUP)


@pytest.mark.parametrize("number", [signal.SIGINT, *SIGNALS])
def test_a_block_ends_before_an_interrupt_is_heard(number):
    interrupts.end_as_by_ctrl_c()
    done = []

    def work():
        with interrupts.held():
            signal.raise_signal(number)
            signal.raise_signal(number)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done
    assert interrupts.status() == 128 + number
    with pytest.raises(KeyboardInterrupt):  # as before
        signal.raise_signal(number)


def test_an_error_of_the_block_is_kept_beside_the_interrupt():
    def work():
        with interrupts.held():
            signal.raise_signal(signal.SIGINT)
            raise OSError

    with pytest.raises(KeyboardInterrupt) as caught:
        work()
    assert isinstance(caught.value.__context__, OSError)


def test_handlers_that_a_block_replaces_come_back():
    interrupts.end_as_by_ctrl_c()
    with interrupts.handlers_kept():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_other_threads_hear_of_nothing():
    done = []

    def work():
        with interrupts.held(), interrupts.handlers_kept():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done


def test_an_interrupted_process_ends_before_python_takes_it_down():
    """What JAX leaves behind may crash then."""
    program = """
import atexit, os
from jaxstyle._common import interrupts

class Left:
    def __del__(self, end=os.abort):
        end()

interrupts.end_as_by_ctrl_c()
atexit.register(print, "cleaned up")
left = Left()
interrupts.leave_with(130)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "cleaned up\n", "")
