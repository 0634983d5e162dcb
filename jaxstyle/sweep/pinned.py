"""What decides the batches and pictures of a sweep, kept in its folder by who came first."""

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import jax
import numpy as np

from jaxstyle._common import files, locks
from jaxstyle._common.reading import LARGEST, open_regular
from jaxstyle.errors import FileFormatError, OptionError, UsageError
from jaxstyle.pipeline.job import Job
from jaxstyle.pipeline.method import Program
from jaxstyle.pipeline.studio import Studio


class _Pin(TypedDict):
    """What is kept of a program: its width, its network, and the width that was asked for."""

    width: int
    network: str
    asked: int | None


class Pinned:
    """`programs.json`: for all processes and reruns the same widths, and the same networks.

    Args:
      studio: that has the networks.
      output: the sweep's folder.
      width: the greatest that is asked for, or None for as many lanes as fit.
      keep: whether to write what is not known yet.
    """

    def __init__(self, studio: Studio, output: Path, width: int | None, *, keep: bool = True):
        self._studio, self._path = studio, output / "programs.json"
        self._width, self._keep = width, keep
        self._found: dict[tuple[Any, ...], str] = {}

    def width(self, program: Program, jobs: Sequence[Job]) -> int:
        """How many lanes of a program run at once.

        Where nothing is kept and the network cannot be had, it is 1: the jobs will all fail.

        Args:
          program: the program.
          jobs: all of the sweep that run in it.

        Raises:
          UsageError: if another width was asked for, or another network was found.
          FileFormatError: if the file is damaged.
        """
        name = hashlib.sha256(program.text.encode()).hexdigest()[:12]
        pinned = self._read().get(name)
        # Lanes beyond the jobs hold copies only. No number in a file may ask for more of them.
        devices = len(jax.local_devices())
        most = math.ceil(len(jobs) / devices) * devices
        try:
            found = self._find(jobs[0])
            width = pinned["width"] if pinned else self._studio.width(program, jobs, self._width)
        except Exception:
            return min(pinned["width"], most) if pinned else 1
        if pinned is None:
            pinned = self._pin(name, {"width": width, "network": found, "asked": self._width})
        if self._width not in (None, pinned["asked"], pinned["width"]):
            raise OptionError(
                "{path}: the sweep was begun with width {width}, which decides its batches; leave "
                "{} out, or remove that file to go on with others",
                "width", path=self._path, width=pinned["width"],
            )  # fmt: skip
        if pinned["network"] != found:
            raise UsageError(
                f"{self._path}: the sweep was begun with the network {pinned['network']}, and this "
                f"is {found} (one normalised over a sweep's pictures changes with them); name the "
                "same one, or another folder"
            )
        return min(pinned["width"], most)

    def _find(self, job: Job) -> str:
        """Name and digest of a job's network."""
        _, network = self._studio.suited(job)
        if job.network_key not in self._found:
            numbers = hashlib.sha256()
            for leaf in jax.tree.leaves(network.params):
                numbers.update(np.asarray(leaf).tobytes())
            self._found[job.network_key] = f"{network.name} {numbers.hexdigest()[:12]}"
        return self._found[job.network_key]

    def _read(self) -> dict[str, _Pin]:
        if not self._path.exists():
            return {}
        try:
            with open_regular(self._path, LARGEST) as file:
                known: dict[str, _Pin] = json.load(file)
        except json.JSONDecodeError as error:
            raise self._damaged(f", line {error.lineno}: is not JSON") from None
        except FileFormatError:
            raise
        except (ValueError, RecursionError):
            raise self._damaged(": is not JSON") from None
        if not isinstance(known, dict) or not all(map(_is_pin, known.values())):
            raise self._damaged(": should hold a width, a network and the width asked for of each")
        return known

    def _damaged(self, what: str) -> FileFormatError:
        return FileFormatError(
            f"{self._path}{what}; restore the file, or remove it to go on with other batches"
        )

    def _pin(self, name: str, new: _Pin) -> _Pin:
        """Keeps what is new, unless another process was faster; returns what is kept."""
        if not self._keep:
            return new
        with (self._path.parent / ".lock-programs").open("a+b") as file, locks.locked(file):
            known = self._read()
            if name not in known:
                known[name] = new
                with files.atomic_write(self._path) as partial:
                    partial.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
        return known[name]


def _is_pin(value: Any) -> bool:
    """Tells whether a value of the file is what was written into it."""
    if not isinstance(value, dict) or value.keys() != _Pin.__annotations__.keys():
        return False
    numbers = [value["width"], *([] if value["asked"] is None else [value["asked"]])]
    whole = all(type(number) is int and number >= 1 for number in numbers)
    return whole and isinstance(value["network"], str)
