"""Runs sweeps: makes what is missing, and records what ends."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxstyle._common import files
from jaxstyle._common.terminal import progress_bar
from jaxstyle.errors import OptionError, UsageError
from jaxstyle.networks.layouts import sha256
from jaxstyle.pipeline.job import Batch, Job, group, make_batches, make_job
from jaxstyle.pipeline.options import option_texts
from jaxstyle.pipeline.run import Outcome, run_batch
from jaxstyle.pipeline.sinks import PictureFile, ProgressBar, Sink, TraceFile, WhenDone
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
    """A job of a sweep, and what is written about it.

    Attributes:
      job: the job, or None if its options contradict each other.
      entry: the part of its line in the manifest that is known beforehand.
      error: why it cannot run, if it cannot.
    """

    job: Job | None
    entry: Entry
    error: str | None = None


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
    that use it, at their sizes. Such a sweep cannot get other pictures later, because the network
    would change with them. `jaxstyle weights convert` makes a normalised network that stays.

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
      UsageError: if the description is wrong; see `make_spec`.
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
        raise OptionError(
            "{} should be I/N with I from 0 to N - 1, got {index}/{count}",
            "shard", index=index, count=count,
        )  # fmt: skip
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
            made = _run(studio, batches, failures, _wanted(planned, todo), record, quiet)
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
    errors = [str(entry["error"]) for entry in failures]
    runnable: list[Batch] = []
    wanted = _wanted(planned, todo)
    for program, jobs, lanes in batches:
        good = []
        for job in (job for job in jobs if job.output in wanted):
            try:
                studio.check(job)
                studio.suited(job)
                good.append(job)
            except Exception as error:
                errors.append(_reason(error))
        if good:
            runnable.append(Batch(program, good, lanes))
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
    with (output / ".lock-report").open("a+b") as file, manifest.locked(file):
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
    return _Planned(job and job._replace(output=output / picture), entry, error)


def _wanted(planned: dict[str, _Planned], todo: set[str]) -> dict[Path, Entry]:
    """Returns the entries of the jobs to do, by the files that they write."""
    jobs = ((planned[name].job, planned[name].entry) for name in planned if name in todo)
    return {job.output: entry for job, entry in jobs if job is not None}


def _share(
    studio: Studio,
    planned: dict[str, _Planned],
    todo: set[str],
    shard: tuple[int, int],
    pinned: Pinned,
) -> tuple[list[Batch], list[Entry]]:
    """Returns a shard's batches in which something is to do, and its failures without a batch.

    All processes must come to the same batches. So batches depend on what every process can know:
    the description and the bytes of the photographs, both of which are in the jobs' ids, and the
    widths kept in the folder. Whatever else may be wrong with a job, such as a painting or a
    network that this machine lacks, is found when the job is run, and concerns that job alone.
    """
    if not todo:
        return [], []
    index, count = shard
    entries = {each.job.output: each.entry for each in planned.values() if each.job is not None}
    bad = [_failure(each.entry, each.error) for each in planned.values() if each.job is None]

    def fail(job: Job, error: Exception) -> None:
        bad.append(_failure(entries[job.output], _reason(error)))

    jobs = [each.job for each in planned.values() if each.job is not None]
    groups = group(studio.shape, jobs, fail)
    mine = []
    for place, (program, members) in enumerate(groups.items()):
        own = make_batches(program, members, pinned.width(program, members))
        # Dealt out program by program: a program whose network cannot be had has no width either,
        # and that must not shift the batches of the others.
        for batch in own[(index - place) % count :: count]:
            if any(entries[job.output]["id"] in todo for job in batch.jobs):
                mine.append(batch)
    failures = [entry for entry in bad if entry["id"] in todo]
    return mine, failures if index == 0 else []


def _run(
    studio: Studio,
    batches: list[Batch],
    failures: list[Entry],
    wanted: dict[Path, Entry],
    record: Path,
    quiet: bool,
) -> int:
    """Records failures and runs batches; returns how many jobs ended."""
    if failures:
        manifest.append(record, failures)
    made = len(failures)
    steps = sum(len(batch.jobs) * batch.program.num_steps for batch in batches)
    with progress_bar(steps, record.parent.name, quiet=quiet) as bar:
        for batch in batches:
            entries = _run_batch(studio, batch, wanted, bar)
            manifest.append(record, entries)
            made += len(entries)
    return made


def _run_batch(studio: Studio, batch: Batch, wanted: dict[Path, Entry], bar: Any) -> list[Entry]:
    """Runs a batch and writes what is wanted of it; returns the lines for the manifest."""

    def sinks_of(job: Job) -> Sequence[Sink]:
        if job.output not in wanted:  # it is done, and only keeps its place in the batch
            return [ProgressBar(bar)]
        trace = job.output.parents[1] / "traces" / f"{wanted[job.output]['id']}.csv"
        written: list[Sink] = [PictureFile(studio), TraceFile(trace)]
        return [ProgressBar(bar), *map(WhenDone, written)]

    ours = [(job, wanted[job.output]) for job in batch.jobs if job.output in wanted]
    try:
        outcomes = run_batch(studio, batch, sinks_of, tolerant=True)
    except Exception as error:  # out of memory, say: the other batches may do better
        return [_failure(entry, _reason(error)) for _, entry in ours]
    by_output = {outcome.job.output: outcome for outcome in outcomes}
    return [_entry(studio, entry, by_output[job.output]) for job, entry in ours]


def _entry(studio: Studio, entry: Entry, outcome: Outcome) -> Entry:
    """Returns the line of a job that ended."""
    error = outcome.error or next((failure.error for failure in outcome.failures), None)
    if error is not None:
        return _failure(entry, _reason(error))
    track = outcome.track
    reason = None if track.finite else f"the loss is not finite after step {track.good_steps}"
    last = track.rows[track.good_steps]
    return {
        **entry,
        "file": entry["file"] if track.good_steps else None,
        "status": "done" if track.finite else "failed",
        "error": reason,
        "network": studio.suited(outcome.job)[1].name,
        "loss": last["loss"],
        "terms": track.terms(),
        "steps": track.good_steps,
        "evaluations": last["evaluations"],
        "seconds": round(outcome.seconds, 3),
        "device": jax.devices()[0].device_kind,
    }


def _failure(entry: Entry, error: str | None) -> Entry:
    return {**entry, "file": None, "status": "failed", "error": error}


def _reason(error: Exception) -> str:
    return " ".join(f"{error}".split())[:500] or type(error).__name__


@contextlib.contextmanager
def _remove_what_was_killed(output: Path) -> Iterator[None]:
    """Removes files that a killed process left half-written, unless another is at work."""
    with (output / ".lock").open("a+b") as lock:
        if manifest.lock(lock, wait=False):
            for folder in (output, output / "pictures", output / "traces"):
                for partial in folder.glob(f"{files.PARTIAL}*"):
                    partial.unlink(missing_ok=True)
        manifest.lock(lock, shared=True)
        yield
