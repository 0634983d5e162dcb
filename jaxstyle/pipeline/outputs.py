"""The files that a run writes: none of them may be a file that it reads, or another that it writes.

Two names may stand for one file: links do, and on some disks names that differ in case alone. So
files are told apart by what the file system says of them.
"""

import functools
import os
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxstyle._common.files import probe, would_find
from jaxstyle.errors import OptionError, UsageError
from jaxstyle.pipeline.job import Job

_NUMBERED = re.compile(r"(.*)-(\d{6,12})(\.[^.]*)", re.DOTALL)


class Output(NamedTuple):
    """A file that a run writes.

    Attributes:
      option: the option that asks for it.
      path: the file, or the folder of a film.
    """

    option: str
    path: Path


def picture_on_the_way(output: Path, step: int) -> Path:
    """Returns the file of a picture that is written on the way to another.

    Example:
      >>> picture_on_the_way(Path("out.png"), 50).name
      'out-000050.png'
    """
    return output.with_name(f"{output.stem}-{step:06d}{output.suffix}")


def snapshot_of(output: Path) -> Path:
    """Returns the file that keeps the snapshot of a picture."""
    return output.with_name(f"{output.name}.snapshot")


def check_outputs(outputs: Sequence[Output], inputs: Iterable[Path]) -> None:
    """Raises `OptionError` if an output is an input, or another output.

    Args:
      outputs: what is written. Their folders exist.
      inputs: what is read.
    """
    read = {_identity(path): path for path in inputs}
    written: dict[Hashable, Output] = {}
    for output in outputs:
        option, path = output
        key = _identity(path)
        if key in read:
            raise OptionError(
                "{} {path}: would overwrite {source}, which is read; name another file",
                option, path=path, source=read[key],
            )  # fmt: skip
        if key in written:
            other = written[key]
            raise OptionError(
                "{} {path} and {} {other} are one file; name another",
                option, other.option, path=path, other=other.path,
            )  # fmt: skip
        written[key] = output
    for option, path in outputs:
        folder = written.get(_identity(path.parent))
        if folder is not None:
            raise OptionError(
                "{} {path} lies in the folder of {} {folder}; name another",
                option, folder.option, path=path, folder=folder.path,
            )  # fmt: skip


def pictures_on_the_way(
    jobs: Sequence[Job], every: int, others: Sequence[Output]
) -> Iterator[Output]:
    """Yields the pictures on the way that could be a file of another's.

    These are the ones that exist already, or have the name of another output. There may be too many
    to list them all.

    Args:
      jobs: those that write them.
      every: steps between them.
      others: the other outputs.
    """
    by_name = {
        (job.output.parent, job.output.stem.casefold(), job.output.suffix.casefold()): job
        for job in jobs
    }
    taken = {output.path.name for output in others}
    for folder in {job.output.parent for job in jobs}:
        for name in {*os.listdir(folder), *taken}:
            match = _NUMBERED.fullmatch(name)
            job = match and by_name.get((folder, match[1].casefold(), match[3].casefold()))
            if match and job and int(match[2]) in range(every, job.recipe.num_steps, every):
                yield Output("save-every", picture_on_the_way(job.output, int(match[2])))


def check_results_are_not_taken(given: Iterable[str], root: Path, results: Sequence[Path]) -> None:
    """Raises `UsageError` if a folder or a pattern of pictures would take in results.

    Otherwise a second run would take the results of the first for photographs.

    Args:
      given: the names of pictures, as `jaxstyle._common.files.find_pictures` takes them.
      root: the folder that they are relative to.
      results: pictures that the run writes.
    """
    real = [os.path.realpath(path) for path in results]
    for name in given:
        place = os.path.realpath(root / name)
        if os.path.isdir(place):
            takes = functools.partial(_lies_in, place)
        elif os.path.exists(place):  # a file, whatever its name looks like
            continue
        else:
            takes = functools.partial(would_find, name, root)
        for path, result in zip(results, real, strict=True):
            if takes(result):
                raise UsageError(
                    f"{name}: would take in {path.name} and other results of this run, "
                    f"which go into {path.parent}; write into another folder"
                )


def _lies_in(folder: str, result: str) -> bool:
    return os.path.dirname(result) == folder


def _identity(path: Path) -> Hashable:
    """Returns what the names of one file have in common."""
    target = os.path.realpath(path)
    if os.path.exists(target):
        status = os.stat(target)
        return status.st_dev, status.st_ino
    folder, name = os.path.split(target)
    place = _identity(Path(folder)) if os.path.exists(folder) else folder
    return place, name.casefold() if _ignores_case(folder) else name


@functools.lru_cache(maxsize=64)
def _ignores_case(folder: str) -> bool:
    """Tells whether names in a folder that differ in case alone are one file's."""
    try:
        with probe(Path(folder)) as file:
            return file.with_name(file.name.upper()).exists()
    except OSError:  # what is wrong with the folder is found elsewhere
        return False
