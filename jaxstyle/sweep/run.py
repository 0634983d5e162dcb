"""Running a sweep: what is missing is made, what ends is recorded."""

import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
from tqdm import tqdm

from jaxstyle._common import files
from jaxstyle.networks.layouts import sha256
from jaxstyle.pipeline import file_options, options
from jaxstyle.pipeline.job import Job, Program, group, make_job
from jaxstyle.pipeline.job import batches as make_batches
from jaxstyle.pipeline.monitor import Monitor
from jaxstyle.pipeline.studio import Studio
from jaxstyle.sweep import manifest, report
from jaxstyle.sweep.manifest import Entry
from jaxstyle.sweep.pinned import Pinned
from jaxstyle.sweep.spec import Point, Spec, make_spec, read_spec


class Summary(NamedTuple):
    """What has become of a sweep's jobs.

    Attributes:
      done: how many are done, in this run or before.
      failed: how many failed, in this run or before.
      missing: how many are still to do, by other processes or another run.
      made: how many ended in this run.
    """

    done: int
    failed: int
    missing: int
    made: int


class _Planned(NamedTuple):
    """A job of a sweep and what is written of it.

    Attributes:
      job: the job, or None if its options contradict each other.
      entry: the part of its line in the manifest that is known beforehand.
      error: why it cannot run, if it cannot.
    """

    job: Job | None
    entry: Entry
    error: str | None = None


class _Batch(NamedTuple):
    """Jobs that run together.

    Attributes:
      program: theirs.
      jobs: the jobs; some may be done already.
      width: of the compiled program.
    """

    program: Program
    jobs: list[_Planned]
    width: int


def run_sweep(
    spec: Spec | Mapping[str, Any] | str | Path,
    output: str | Path,
    *,
    retry_failed: bool = False,
    shard: tuple[int, int] = (0, 1),
    width: int | None = None,
    download: bool = True,
    quiet: bool = False,
) -> Summary:
    """Makes every picture of a sweep that is not made yet.

    The folder gets `pictures`, `traces` (loss terms of every step), `manifest.jsonl` (a line for
    each job that ended), `summary.csv`, `contact_sheet.png`, and with matplotlib `losses.png`.

    Jobs that share a program run in batches. Which jobs make up a batch depends on the sweep
    alone, so that a run that was killed and begun again ends with the same files, bit for bit on
    the same kind of device. A kill loses the batch that was under way. A job that fails is
    recorded with its error, and the others go on.

    A network whose mean activations nobody published is normalised over the pictures of all jobs
    that use it, at their sizes. Such a sweep cannot get other pictures later: the network would be
    another. `jaxstyle weights convert --normalize` makes one that stays.

    Args:
      spec: the sweep; a mapping as `jaxstyle.sweep.make_spec` takes it, or the name of a TOML
        file.
      output: the folder; made if need be.
      retry_failed: whether to run jobs again that failed before.
      shard: `(i, n)`: make only the batches i, i + n, i + 2n, …, for n processes that share the
        folder.
      width: how many jobs run at once; by default as many as fit in the devices' memory, on a CPU
        one a device.
      download: whether networks may be downloaded.
      quiet: no progress bar.

    Returns:
      `Summary`.

    Raises:
      ValueError: if the description is wrong; see `make_spec`.
      OSError: if the folder cannot be written.

    Example:
      >>> import tempfile
      >>> from jaxstyle import samples
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     run_sweep({
      ...         "content": str(samples.LAKE), "style": str(samples.SWIRLS),
      ...         "options": {"network": "compact", "size": 32, "steps": 2, "seed": [0, 1],
      ...                     "content-layers": "relu2_1", "style-layers": "relu1_1"},
      ...     }, folder, quiet=True)
      Summary(done=2, failed=0, missing=0, made=2)
    """
    if isinstance(spec, str | Path):
        spec = read_spec(Path(spec))
    elif not isinstance(spec, Spec):
        spec = make_spec(spec)
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(f"a shard is I/N with I from 0 to N - 1, got {index}/{count}")
    output = Path(output)
    for folder in (output / "pictures", output / "traces"):
        folder.mkdir(parents=True, exist_ok=True)
    planned, studio = _open(spec, output, download)
    record = output / "manifest.jsonl"
    with _remove_what_was_killed(output):
        todo = _todo(planned, output, retry_failed)
        try:
            pinned = Pinned(studio, output, width)
            batches, failures = _share(studio, planned, todo, shard, pinned)
            made = _run(studio, batches, failures, todo, record, quiet)
        except KeyboardInterrupt:
            done = len(_report(output, planned))
            raise KeyboardInterrupt(
                f"interrupted; {done} of {len(planned)} jobs of {output} have ended; "
                "the same command goes on"
            ) from None
        mine = _report(output, planned)
    done = sum(entry["status"] == "done" for entry in mine)
    return Summary(done, len(mine) - done, len(planned) - len(mine), made)


def plan_sweep(
    spec: Spec,
    output: Path,
    *,
    retry_failed: bool = False,
    shard: tuple[int, int] = (0, 1),
    width: int | None = None,
    download: bool = True,
) -> tuple[list[dict[str, Any]], list[str]]:
    """What `run_sweep` would do with the same arguments; nothing is written.

    Returns:
      What is to be made with each compiled program, see `Studio.plan`; and why
      other jobs cannot run.
    """
    planned, studio = _open(spec, output, download)
    todo = _todo(planned, output, retry_failed)
    pinned = Pinned(studio, output, width, keep=False)
    batches, failures = _share(studio, planned, todo, shard, pinned)
    errors, runnable = [str(entry["error"]) for entry in failures], []
    for program, batch, lanes in batches:
        good = []
        for job in (_job(each) for each in batch if each.entry["id"] in todo):
            try:
                studio.check(job)
                studio.network(job)
                good.append(job)
            except Exception as error:
                errors.append(_reason(error))
        if good:
            runnable.append((program, good, lanes))
    return studio.plan(runnable), errors


def _open(spec: Spec, output: Path, download: bool) -> tuple[dict[str, _Planned], Studio]:
    planned = _plan(spec, output)
    all_jobs = [each.job for each in planned.values() if each.job is not None]
    return planned, Studio(all_jobs, download=download)


def _todo(planned: dict[str, _Planned], output: Path, retry_failed: bool) -> set[str]:
    """The jobs that did not end yet, or whose files are gone."""
    before = manifest.read(output / "manifest.jsonl")

    def ended(name: str) -> bool:
        entry = before.get(name)
        if entry is None or (retry_failed and entry["status"] == "failed"):
            return False
        trace = output / "traces" / f"{name}.csv"
        return entry["file"] is None or ((output / entry["file"]).is_file() and trace.is_file())

    return {name for name in planned if not ended(name)}


def _report(output: Path, planned: dict[str, _Planned]) -> list[Entry]:
    """Writes what people look at; returns the entries of the jobs that ended, in their order."""
    with (output / ".lock-report").open("a+") as file, manifest.locked(file):
        entries = manifest.read(output / "manifest.jsonl")
        mine = [entries[name] for name in planned if name in entries]
        report.write(output, mine)
    return mine


def _plan(spec: Spec, output: Path) -> dict[str, _Planned]:
    """The jobs by id; a point that is given twice is one job."""
    planned: dict[str, _Planned] = {}
    digests: dict[Path, str] = {}
    for point in spec.points():
        for path in (point.content, point.style):
            if path not in digests:
                with contextlib.suppress(OSError):  # the job itself will say what is wrong
                    digests[path] = sha256(path)
        each = _plan_point(point, digests, output)
        planned.setdefault(each.entry["id"], each)
    return planned


def _plan_point(point: Point, digests: dict[Path, str], output: Path) -> _Planned:
    parsed = options.parse("stylize", point.options)
    error, job, settings = None, None, parsed
    try:
        job = make_job("stylize", point.content, point.style, output, parsed)
        settings = job.recipe.options
    except ValueError as reason:  # options that contradict each other
        error = str(reason)
    texts = {name.replace("_", "-"): options.as_text(v) for name, v in sorted(settings.items())}
    sources = [[path.name, digests.get(path)] for path in (point.content, point.style)]
    for other in file_options.files_named(settings):
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
    return _Planned(job and job._replace(output=output / picture), entry, error)


def _share(
    studio: Studio,
    planned: dict[str, _Planned],
    todo: set[str],
    shard: tuple[int, int],
    pinned: Pinned,
) -> tuple[list[_Batch], list[Entry]]:
    """A shard's batches in which something is to do, and its failures that have no batch.

    All processes must come to the same batches. So what decides them is what all can know: the
    description and the bytes of the photographs, both in the jobs' ids, and the widths kept in
    the folder. Whatever else may be wrong with a job, a painting or a network that cannot be had
    here, is found when its turn comes, and is its own matter.
    """
    if not todo:
        return [], []
    index, count = shard
    by_output = {each.job.output: each for each in planned.values() if each.job is not None}
    bad = [_failure(each.entry, each.error) for each in planned.values() if each.job is None]

    def fail(job: Job, error: Exception) -> None:
        bad.append(_failure(by_output[job.output].entry, _reason(error)))

    jobs = (_job(each) for each in by_output.values())
    groups = group(studio.shape, jobs, fail)
    mine = []
    for place, program in enumerate(groups):
        own = list(make_batches({program: groups[program]}, pinned.width))
        # Dealt out program by program: without its network, a width is not to be had either, and
        # that must not shift the batches of the others.
        for _, batch, width in own[(index - place) % count :: count]:
            each_planned = [by_output[job.output] for job in batch]
            if any(each.entry["id"] in todo for each in each_planned):
                mine.append(_Batch(program, each_planned, width))
    failures = [entry for entry in bad if entry["id"] in todo]
    return mine, failures if index == 0 else []


def _run(
    studio: Studio,
    batches: list[_Batch],
    failures: list[Entry],
    todo: set[str],
    record: Path,
    quiet: bool,
) -> int:
    """Records failures and runs batches; returns how many jobs ended."""
    if failures:
        manifest.append(record, failures)
    made = len(failures)
    with tqdm(
        total=sum(len(batch.jobs) * batch.program.num_steps for batch in batches),
        desc=record.parent.name, unit="step", file=sys.stderr,
        disable=True if quiet else None, dynamic_ncols=True,
    ) as bar:  # fmt: skip
        for batch in batches:
            entries = _run_batch(studio, batch, todo, bar)
            manifest.append(record, entries)
            made += len(entries)
    return made


def _run_batch(studio: Studio, batch: _Batch, todo: set[str], bar: Any) -> list[Entry]:
    """Runs a batch and writes what is to do of it; returns the lines for the manifest."""
    start = time.monotonic()
    monitors = [Monitor(batch.program.num_steps, bar=bar) for _ in batch.jobs]
    every = 1 if jax.default_backend() == "cpu" else 10
    reasons: dict[Path, str] = {}

    def fail(job: Job, error: Exception) -> None:
        reasons.setdefault(job.output, _reason(error))

    jobs = [_job(each) for each in batch.jobs]
    try:
        studio.run(batch.program, jobs, batch.width, monitors, every, fail)
    except Exception as error:  # out of memory, say: the other batches may do better
        for job in jobs:
            fail(job, error)
    seconds = (time.monotonic() - start) / len(jobs)
    entries = []
    for each, job, monitor in zip(batch.jobs, jobs, monitors, strict=True):
        if each.entry["id"] not in todo:
            continue
        if job.output not in reasons:
            try:
                entries.append(_write(studio, each, monitor, seconds))
            except (ValueError, OSError) as error:
                fail(job, error)
        if job.output in reasons:
            entries.append(_failure(each.entry, reasons[job.output]))
    return entries


def _write(studio: Studio, each: _Planned, monitor: Monitor, seconds: float) -> Entry:
    job, entry = _job(each), each.entry
    if monitor.good_steps:
        assert monitor.image is not None
        studio.save(job, monitor.image, monitor.good_steps, job.output)
    trace = job.output.parents[1] / "traces" / f"{entry['id']}.csv"
    monitor.write_trace(trace)
    last = monitor.rows[monitor.good_steps]
    error = None
    if not monitor.finite:
        error = f"the loss is not finite after step {monitor.good_steps}"
    return {
        **entry,
        "file": entry["file"] if monitor.good_steps else None,
        "status": "done" if monitor.finite else "failed",
        "error": error,
        "network": studio.network(job)[1].name,
        "loss": last["loss"],
        "terms": {k: v for k, v in last.items() if k not in ("step", "evaluations", "loss")},
        "steps": monitor.good_steps,
        "evaluations": last["evaluations"],
        "seconds": round(seconds, 3),
        "device": jax.devices()[0].device_kind,
    }


def _failure(entry: Entry, error: str | None) -> Entry:
    return {**entry, "file": None, "status": "failed", "error": error}


def _reason(error: Exception) -> str:
    return " ".join(f"{error}".split())[:500] or type(error).__name__


def _job(planned: _Planned) -> Job:
    assert planned.job is not None
    return planned.job


@contextlib.contextmanager
def _remove_what_was_killed(output: Path) -> Iterator[None]:
    """Removes files that a killed process left half-written, unless another one is at work."""
    with (output / ".lock").open("a+") as lock:
        if manifest.lock(lock, wait=False):
            for folder in (output, output / "pictures", output / "traces"):
                for partial in folder.glob(f"{files.PARTIAL}*"):
                    partial.unlink(missing_ok=True)
        manifest.lock(lock, shared=True)
        yield
