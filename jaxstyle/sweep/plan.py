"""What a description comes to: the jobs of a sweep, each with an id that depends on it alone."""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxstyle._common.reading import sha256
from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.pipeline.job import Job, make_job
from jaxstyle.pipeline.options import option_texts
from jaxstyle.pipeline.outputs import Output, check_outputs, check_results_are_not_taken
from jaxstyle.sweep import report
from jaxstyle.sweep.manifest import Entry
from jaxstyle.sweep.spec import Point, Spec


class Planned(NamedTuple):
    """A job of a sweep, and what is written about it.

    Attributes:
      job: the job, or None if its options contradict each other.
      entry: the part of its line in the manifest that is known beforehand.
      error: why it cannot run, if it cannot.
    """

    job: Job | None
    entry: Entry
    error: str | None = None


def plan(spec: Spec, output: Path) -> dict[str, Planned]:
    """Returns the jobs of a sweep by id; a point that is given twice is one job.

    Args:
      spec: the sweep.
      output: its folder.

    Raises:
      UsageError: if the options of every job contradict each other, or the sweep would overwrite a
        file that it reads.
    """
    planned: dict[str, Planned] = {}
    digests: dict[Path, str] = {}
    for point in spec.points():
        for path in (point.content, point.style):
            if path not in digests:
                # The job itself will say what is wrong.
                with contextlib.suppress(OSError, FileFormatError):
                    digests[path] = sha256(path)
        each = _plan_point(point, digests, output)
        planned.setdefault(each.entry["id"], each)
    jobs = [each.job for each in planned.values() if each.job is not None]
    if not jobs:
        error = next(iter(planned.values())).error
        raise UsageError(f"{spec.file or output}: no job of the sweep can run: {error}")
    _check_files(spec, jobs, output)
    return planned


def _plan_point(point: Point, digests: dict[Path, str], output: Path) -> Planned:
    error, job, settings = None, None, point.options
    try:
        job = make_job("stylize", point.content, point.style, output, point.options)
        settings = job.recipe.options
    except UsageError as reason:  # options that contradict each other
        error = str(reason)
    texts = option_texts("stylize", settings)
    sources = [[path.name, digests.get(path)] for path in (point.content, point.style)]
    for _, other in job.named_files if job is not None else ():
        if other.is_file():
            digests[other] = digests.get(other) or sha256(other)
            sources.append([other.name, digests[other]])
    name = hashlib.sha256(json.dumps([sources, texts]).encode()).hexdigest()[:12]
    picture = f"pictures/{point.content.stem}--{point.style.stem}--{name}.png"
    entry = {
        "id": name,
        "content": str(point.content),
        "style": str(point.style),
        "options": texts,
        "file": picture,
    }
    return Planned(job and job._replace(output=output / picture), entry, error)


def _check_files(spec: Spec, jobs: Sequence[Job], output: Path) -> None:
    """Raises `UsageError` if the sweep would overwrite what it reads, or read what it writes."""
    reports = report.files_of(output)
    pictures = [*reports, *(job.output for job in jobs)]
    check_results_are_not_taken(spec.given, spec.root, pictures)
    inputs = {path for job in jobs for path in job.files}
    inputs |= {spec.file} if spec.file is not None else set()
    written = [*reports, *(output / name for name in ("manifest.jsonl", "programs.json"))]
    written += [job.output for job in jobs if job.output.exists()]
    check_outputs([Output("output", path) for path in written], inputs)
