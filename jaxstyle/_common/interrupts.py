"""Interrupts: Ctrl-C, and the signals by which a system ends a process."""

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

# A cluster or a container sends the second, and a lost connection the third, which Windows lacks.
_NUMBERS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_caught: list[int] = []
_statuses: list[int] = []


def end_as_by_ctrl_c() -> None:
    """Lets SIGTERM and SIGHUP raise `KeyboardInterrupt` too; for a process of the command's own.

    What is ignored stays ignored, as `nohup` wants it. An interrupt that Python drops, because it
    came while an object was deleted or garbage was collected, prints nothing: `check` hears it.
    """
    sys.unraisablehook = _show_unraisable
    atexit.register(_leave)  # first, so that it is the last to be called
    for number in _NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def check() -> None:
    """Raises `KeyboardInterrupt` if a signal has come and its exception was lost.

    Python drops an exception that a signal raises while an object is being deleted, or while a
    library is told that garbage is collected. Loops that take long ask here.
    """
    if _caught:
        raise KeyboardInterrupt


def status() -> int:
    """Returns the exit status of an interrupted process, by which a shell tells the signal."""
    return 128 + (_caught[0] if _caught else signal.SIGINT)


def leave_with(status: int) -> None:
    """Lets the process end with a status, once it has cleaned up, before Python takes it down.

    JAX, interrupted while it traces, can leave objects whose deletion then crashes the process.
    """
    _statuses.append(status)


@contextlib.contextmanager
def handlers_kept() -> Iterator[None]:
    """Puts back the handlers of these signals that a block replaces, as JAX does of SIGTERM."""
    if threading.current_thread() is not threading.main_thread():  # only that one may set them
        yield
        return
    handlers = {number: signal.getsignal(number) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler is not None:  # one that Python does not know
                signal.signal(number, handler)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Lets a block end before an interrupt is heard. It is for what takes moments, like a write.

    Example:
      >>> with held():
      ...     pass
    """
    heard: list[int] = []
    try:
        with handlers_kept():
            if threading.current_thread() is threading.main_thread():
                for number in _NUMBERS:
                    if callable(signal.getsignal(number)):
                        signal.signal(number, lambda number, _: heard.append(number))
            yield
    finally:
        for number in heard[:1]:
            signal.raise_signal(number)


def _interrupt(number: int, _: Any) -> None:
    _caught.append(number)
    raise KeyboardInterrupt


def _leave() -> None:
    if _statuses:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(_statuses[0])


def _show_unraisable(dropped: "sys.UnraisableHookArgs") -> None:
    if not (_caught and isinstance(dropped.exc_value, KeyboardInterrupt)):
        sys.__unraisablehook__(dropped)
