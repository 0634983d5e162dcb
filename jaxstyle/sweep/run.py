"""Runs sweeps: makes what is missing, and records what ends."""

import contextlib
import errno
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import jax

from jaxstyle._common import files, locks
from jaxstyle._common.progress import Steps
from jaxstyle.errors import OptionError
from jaxstyle.pipeline.job import Batch, Job, group, make_batches
from jaxstyle.pipeline.options import option_texts
from jaxstyle.pipeline.run import Outcome, run_batch
from jaxstyle.pipeline.sinks import PictureFile, ProgressBar, Sink, TraceFile, WhenDone
from jaxstyle.pipeline.studio import Studio
from jaxstyle.sweep import manifest, report, results
from jaxstyle.sweep.manifest import Entry
from jaxstyle.sweep.pinned import Pinned
from jaxstyle.sweep.plan import Planned, plan
from jaxstyle.sweep.spec import Spec, make_spec, read_spec

_log = logging.getLogger("jaxstyle")


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
      UsageError: if the description is wrong, see `make_spec`, if no job can run, or if the sweep
        would overwrite a file that it reads.
      FileFormatError: if the folder's records are damaged; the message names the line.
      OSError: if the folder cannot be written. The same call goes on once it can.

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
    planned, studio = _open(spec, output, download)
    record = output / "manifest.jsonl"
    todo = _todo(planned, output, retry_failed)
    for folder in (output / "pictures", output / "traces"):
        folder.mkdir(parents=True, exist_ok=True)
        files.remove_leftovers([folder, output])
    with _says_how_to_go_on(output, planned):
        pinned = Pinned(studio, output, width)
        batches, failures = _share(studio, planned, todo, shard, pinned)
        made = _run(studio, batches, failures, _wanted(planned, todo), record, quiet)
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
    exact: bool = False,
) -> tuple[list[dict[str, Any]], list[str]]:
    """What `run_sweep` would do with the same arguments; nothing is written.

    With `exact` the compiler tells the memory, in place of a formula.

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
    return studio.plan(runnable, exact=exact), errors


def _open(spec: Spec, output: Path, download: bool) -> tuple[dict[str, Planned], Studio]:
    planned = plan(spec, output)
    all_jobs = [each.job for each in planned.values() if each.job is not None]
    return planned, Studio(all_jobs, download=download)


def _todo(planned: dict[str, Planned], output: Path, retry_failed: bool) -> set[str]:
    """The jobs that did not end yet, or whose files are gone or damaged."""
    before = manifest.read(output / "manifest.jsonl")

    def ended(name: str) -> bool:
        entry = before.get(name)
        if entry is None or (retry_failed and entry["status"] == "failed"):
            return False
        bad = results.bad_file(entry, output)
        if bad is not None and bad.exists():
            _log.warning("%s: is damaged; its job is to do again", bad)
        return bad is None

    return {name for name in planned if not ended(name)}


def _report(output: Path, planned: dict[str, Planned]) -> list[Entry]:
    """Writes what people look at; returns the entries of the jobs that ended, in their order.

    The pictures of other runs into the same folder, with other settings, stand before them.
    """
    with (output / ".lock-report").open("a+b") as file, locks.locked(file):
        entries = manifest.read(output / "manifest.jsonl")
        # What is damaged is another process's to make again.
        whole = {
            n: entry for n, entry in entries.items() if results.bad_file(entry, output) is None
        }
        mine = [whole[name] for name in planned if name in whole]
        report.write(output, [*(whole[n] for n in whole if n not in planned), *mine])
    return mine


def _wanted(planned: dict[str, Planned], todo: set[str]) -> dict[Path, Entry]:
    """Returns the entries of the jobs to do, by the files that they write."""
    jobs = ((planned[name].job, planned[name].entry) for name in planned if name in todo)
    return {job.output: entry for job, entry in jobs if job is not None}


def _share(
    studio: Studio,
    planned: dict[str, Planned],
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
    failures = [_failure(each.entry, each.error) for each in planned.values() if each.job is None]
    shapeless: list[tuple[Job, Exception]] = []
    jobs = [each.job for each in planned.values() if each.job is not None]
    groups = group(studio.shape, jobs, lambda *job_and_error: shapeless.append(job_and_error))
    mine = []
    for place, (program, members) in enumerate(groups.items()):
        own = make_batches(program, members, pinned.width(program, members))
        # Dealt out program by program: a program whose network cannot be had has no width either,
        # and that must not shift the batches of the others.
        for batch in own[(index - place) % count :: count]:
            if any(entries[job.output]["id"] in todo for job in batch.jobs):
                mine.append(batch)
    failures += [
        _failure(_as_it_suits(studio, job, entries[job.output]), _reason(error))
        for job, error in shapeless
    ]
    return mine, [each for each in failures if each["id"] in todo] if index == 0 else []


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
    with Steps(steps, record.parent.name, quiet=quiet) as bar:
        for batch in batches:
            entries, stop = _run_batch(studio, batch, wanted, bar)
            manifest.append(record, entries)
            made += len(entries)
            if stop is not None:
                raise stop
    return made


def _run_batch(
    studio: Studio, batch: Batch, wanted: dict[Path, Entry], bar: Steps
) -> tuple[list[Entry], OSError | None]:
    """Runs a batch and writes what is wanted of it.

    Returns:
      The lines for the manifest; and what is wrong with the disk, which no job is to blame for.
    """

    def sinks_of(job: Job) -> Sequence[Sink]:
        if job.output not in wanted:  # it is done, and only keeps its place in the batch
            return [ProgressBar(bar)]
        trace = job.output.parents[1] / "traces" / f"{wanted[job.output]['id']}.csv"
        written: list[Sink] = [PictureFile(studio), TraceFile(trace)]
        return [ProgressBar(bar), *map(WhenDone, written)]

    ours = [
        (job, _as_it_suits(studio, job, wanted[job.output]))
        for job in batch.jobs
        if job.output in wanted
    ]
    try:
        outcomes = run_batch(studio, batch, sinks_of, tolerant=True)
    except Exception as error:  # out of memory, say: the other batches may do better
        if _is_of_the_disk(error):
            raise
        return [_failure(entry, _reason(error)) for _, entry in ours], None
    by_output = {outcome.job.output: outcome for outcome in outcomes}
    entries, stop = [], None
    for job, entry in ours:
        outcome = by_output[job.output]
        unwritten = (each.error for each in outcome.failures)
        full = next((error for error in unwritten if _is_of_the_disk(error, errno.EIO)), None)
        if full is None:
            entries.append(_entry(studio, entry, outcome))
        stop = stop or full
    return entries, stop


def _is_of_the_disk(error: Exception, *others: int) -> TypeGuard[OSError]:
    """Tells whether nothing more can be written, whatever the job."""
    numbers = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, *others)
    return isinstance(error, OSError) and error.errno in numbers


def _as_it_suits(studio: Studio, job: Job, entry: Entry) -> Entry:
    """Returns a job's line with the options as they suit its network, where that was found."""
    return {**entry, "options": option_texts("stylize", studio.options(job))}


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
def _says_how_to_go_on(output: Path, planned: dict[str, Planned]) -> Iterator[None]:
    """Ends a sweep that was interrupted, or whose disk is full, with what it came to."""

    def state() -> str:
        ended = manifest.read(output / "manifest.jsonl").keys() & planned.keys()
        return (
            f"{len(ended)} of {len(planned)} jobs of {output} have ended; the same command goes on"
        )

    try:
        yield
    except KeyboardInterrupt:
        # A second interrupt spares the report: the next run writes it.
        with contextlib.suppress(KeyboardInterrupt, OSError):
            _report(output, planned)
        raise KeyboardInterrupt(f"interrupted; {state()}") from None
    except OSError as error:
        if not _is_of_the_disk(error, errno.EIO):
            raise
        named = error.strerror and f"{error.filename or output}: {error.strerror.lower()}"
        raise OSError(f"{named or error}; {state()}") from error
