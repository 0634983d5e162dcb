"""Tells how far a run is: by a bar where somebody watches, by lines now and then elsewhere."""

import sys
import threading
import time
from typing import Any, Self

from jaxstyle._common.terminal import Stream, watched
from jaxstyle._common.text import printable

_LINE_SECONDS, _LINE_SHARE = 30.0, 0.1  # between lines, both of them
_WIDEST_NAME = 20  # characters; with all that may stand beside it, 80 columns still have a bar
_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix}"
_LONG = 3.0  # seconds after which a wait is not for reading files any more
_NEWEST = 0.2  # how much the newest step counts in what a step takes
_FAR = 5.0  # times what a step takes: a step that takes longer has compiled, or the machine slept


class Steps:
    """Counts steps. What comes before the first one, mostly compilation, tells nothing of the rest.

    Args:
      total: how many steps there are, or None if that is not known yet.
      name: what they are for.
      quiet: whether nothing is shown.
      at_once: whether one step is all the work, so that the wait for it is no preparation.

    Example:
      >>> with Steps(3, "out.png", quiet=True) as steps:
      ...     steps.update(1, "style 20 %")
    """

    def __init__(self, total: int | None, name: str, *, quiet: bool, at_once: bool = False):
        self.total, self._name = total, printable(name)
        self._done, self._each, self._at_once = 0, 0.0, at_once
        self._begun = self._last = self._told = _now()
        self._told_of = 0
        self._started = threading.Event()
        self._waiting: threading.Thread | None = None
        notebook = "ipykernel" in sys.modules
        self._bar = None if quiet or not (watched() or notebook) else _bar(total, self._name)
        self._lines = not quiet and self._bar is None

    def __enter__(self) -> Self:
        """Shows that the run prepares, until the first step is done."""
        if self._bar is not None:
            self._waiting = threading.Thread(target=self._wait, daemon=True)
            self._waiting.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves what is shown as it is."""
        self._end_wait()
        if self._bar is not None:
            self._bar.close()

    def update(self, steps: int, note: str = "") -> None:
        """Counts steps that were done, and shows a note beside them."""
        if not steps:
            return
        now = _now()
        if self._done:
            took = (now - self._last) / steps
            usual = self._each or took
            self._each = usual + _NEWEST * (min(took, _FAR * usual) - usual)
        self._last = now
        self._done += steps
        self._end_wait()
        said = ", ".join(filter(None, [note, self._left()]))
        if self._bar is not None:
            self._bar.total = self.total
            self._bar.set_postfix_str(said, refresh=False)
            self._bar.update(steps)
        elif self._lines and self._is_due(now):
            self._told, self._told_of = now, self._done
            count = f"{self._done}/{self.total}"
            line = ", ".join(filter(None, [count, said]))
            print(f"jaxstyle: {self._name}: {line}", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Makes room for a line of another kind."""
        if self._bar is not None:
            self._bar.clear()

    def _left(self) -> str:
        if not (self._each and self.total and self._done < self.total):
            return ""
        return f"{_clock(self._each * (self.total - self._done))} left"

    def _is_due(self, now: float) -> bool:
        steps = self._done - self._told_of
        enough = self.total is not None and steps >= _LINE_SHARE * self.total
        return enough and now - self._told >= _LINE_SECONDS

    def _wait(self) -> None:
        """Tells every second for how long the first step has been waited for."""
        assert self._bar is not None
        while not self._started.wait(1.0):
            waited = _now() - self._begun
            what = "painting" if self._at_once else "compiling"
            what = f"{what} {_clock(waited)}{'' if self._at_once else ' (once for a size)'}"
            self._bar.set_postfix_str(what if waited > _LONG else "preparing")

    def _end_wait(self) -> None:
        self._started.set()
        if self._waiting is not None:
            self._waiting.join()
            self._waiting = None


def _bar(total: int | None, name: str) -> Any:
    """Returns a bar of tqdm: on stderr, or in the page of a notebook."""
    short = name if len(name) <= _WIDEST_NAME else f"{name[: _WIDEST_NAME - 1]}…"
    options: dict[str, Any] = {"file": Stream(sys.stderr), "dynamic_ncols": True}
    if "ipykernel" in sys.modules:
        from tqdm.auto import tqdm

        options = {}
    else:
        from tqdm import tqdm
    return tqdm(total=total, desc=f"{short}:", bar_format=_FORMAT, postfix="preparing", **options)


def _clock(seconds: float) -> str:
    """Returns a time as clocks show it.

    Example:
      >>> _clock(61.4), _clock(3723)
      ('1:01', '1:02:03')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


_now = time.monotonic
