"""Remembers what was made last, within a number of bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """A function that remembers its last results. Several threads may call it.

    Args:
      function: its arguments are hashable.
      size: returns the bytes that a result takes.
      most: how many bytes to remember. The last result is remembered whatever it takes.

    Example:
      >>> double = Recent(lambda text: 2 * text, len, most=6)
      >>> double("ab"), double("ab"), double("abc")
      ('abab', 'abab', 'abcabc')
      >>> len(double)
      1
    """

    def __init__(
        self, function: Callable[..., Value], size: Callable[[Value], int], most: int
    ) -> None:
        self._function, self._size, self._most = function, size, most
        self._kept: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, *args: Any, **options: Any) -> Value:
        """Returns what the function returns, or has returned for the same arguments."""
        key = args, tuple(sorted(options.items()))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = self._function(*args, **options)
        with self._lock:
            self._kept[key] = value
            taken = sum(map(self._size, self._kept.values()))
            while taken > self._most and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                taken -= self._size(oldest)
        return value

    def __len__(self) -> int:
        return len(self._kept)
