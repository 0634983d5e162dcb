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

from jaxstyle import files, jobs, options
from jaxstyle.convert import sha256
from jaxstyle.jobs import Job, Program, Studio
from jaxstyle.monitor import Monitor
from jaxstyle.sweep import manifest, report
from jaxstyle.sweep.manifest import Entry
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
    studio = Studio(download=download)
    planned = _plan(spec, output)
    record = output / "manifest.jsonl"
    with _remove_what_was_killed(output):
        before = manifest.read(record)
        todo = {
            name
            for name in planned
            if name not in before or (retry_failed and before[name]["status"] == "failed")
        }
        made = _run(studio, planned, todo, record, shard, _Widths(output, width), quiet)
    entries = manifest.read(record)
    mine = [entries[name] for name in planned if name in entries]
    report.write(output, mine)
    done = sum(entry["status"] == "done" for entry in mine)
    return Summary(done, len(mine) - done, len(planned) - len(mine), made)


def plan_sweep(spec: Spec, output: Path, download: bool = True) -> list[dict[str, Any]]:
    """What a sweep would do, for each compiled program: how many jobs, and the memory it takes.

    Args:
      spec: the sweep.
      output: its folder, which is not written.
      download: whether networks may be downloaded.
    """
    studio = Studio(download=download)
    good, _ = _group(studio, _plan(spec, output))
    plans = []
    for program, names in good.items():
        job = _job(names[0])
        width, memory = studio.width(program, job), studio.memory(program, job)
        plans.append({
            "pictures": len(names),
            "height": program.shape[0],
            "width": program.shape[1],
            "steps": program.num_steps,
            "network": studio.network(job)[1].name,
            "lanes": width,
            "bytes": memory.total(width),
            "bytes_per_lane": memory.per_lane,
        })  # fmt: skip
    return plans


def _plan(spec: Spec, output: Path) -> dict[str, _Planned]:
    """The jobs by id; a point that is given twice is one job."""
    planned: dict[str, _Planned] = {}
    digests: dict[Path, str | None] = {}
    for point in spec.points():
        for path in (point.content, point.style):
            if path not in digests:
                digests[path] = sha256(path) if path.is_file() else None
        each = _plan_point(point, digests, output)
        planned.setdefault(each.entry["id"], each)
    return planned


def _plan_point(point: Point, digests: dict[Path, str | None], output: Path) -> _Planned:
    parsed = options.parse("stylize", point.options)
    error, job, settings = None, None, parsed
    try:
        job = jobs.make_job("stylize", point.content, point.style, output, parsed)
        settings = job.recipe.options
    except ValueError as reason:  # options that contradict each other
        error = str(reason)
    texts = {name.replace("_", "-"): options.as_text(v) for name, v in sorted(settings.items())}
    sources = [[path.name, digests[path]] for path in (point.content, point.style)]
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


def _group(
    studio: Studio, planned: dict[str, _Planned]
) -> tuple[dict[Program, list[_Planned]], list[_Planned]]:
    """The jobs of each program, and those that cannot run, with the reason."""
    good: dict[Program, list[_Planned]] = {}
    bad: list[_Planned] = []
    for each in planned.values():
        if each.job is None:
            bad.append(each)
            continue
        try:
            program = studio.program(each.job)
            studio.network(each.job)
        except Exception as error:
            bad.append(each._replace(error=_reason(error)))
        else:
            good.setdefault(program, []).append(each)
    return good, bad


def _run(
    studio: Studio,
    planned: dict[str, _Planned],
    todo: set[str],
    record: Path,
    shard: tuple[int, int],
    widths: "_Widths",
    quiet: bool,
) -> int:
    """Runs a shard's batches in which something is to do; returns how many jobs ended."""
    if not todo:
        return 0
    index, count = shard
    good, bad = _group(studio, planned)
    failures = [_failure(each.entry, each.error) for each in bad if each.entry["id"] in todo]
    if index == 0 and failures:
        manifest.append(record, failures)
    by_job = {id(each.job): each for group in good.values() for each in group}
    groups = {program: [_job(each) for each in group] for program, group in good.items()}
    every_batch = list(
        jobs.batches(studio, groups, lambda program, job: widths.of(studio, program, job))
    )
    mine = [
        (program, [by_job[id(job)] for job in batch], width)
        for program, batch, width in every_batch[index::count]
        if any(by_job[id(job)].entry["id"] in todo for job in batch)
    ]
    made = len(failures) if index == 0 else 0
    steps = sum(len(batch) * program.num_steps for program, batch, _ in mine)
    with tqdm(
        total=steps, desc=record.parent.name, unit="step", file=sys.stderr,
        disable=True if quiet else None, dynamic_ncols=True,
    ) as bar:  # fmt: skip
        for program, batch, width in mine:
            wanted = [each for each in batch if each.entry["id"] in todo]
            manifest.append(record, _run_batch(studio, program, batch, wanted, width, bar))
            made += len(wanted)
    return made


def _run_batch(
    studio: Studio,
    program: Program,
    batch: list[_Planned],
    wanted: list[_Planned],
    width: int,
    bar: Any,
) -> list[Entry]:
    """Runs a batch and writes what is wanted of it; returns the lines for the manifest."""
    start = time.monotonic()
    monitors = [Monitor(program.num_steps, bar=bar) for _ in batch]
    every = 1 if jax.default_backend() == "cpu" else 10
    try:
        studio.run(program, [_job(each) for each in batch], width, monitors, every)
    except Exception as error:  # out of memory, say: the other batches may do better
        return [_failure(each.entry, _reason(error)) for each in wanted]
    seconds = (time.monotonic() - start) / len(batch)
    entries = []
    for each, monitor in zip(batch, monitors, strict=True):
        if each not in wanted:
            continue
        try:
            entries.append(_write(studio, each, monitor, seconds))
        except (ValueError, OSError) as error:
            entries.append(_failure(each.entry, _reason(error)))
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


class _Widths:
    """The width of each program, kept in the folder: all processes must make the same batches."""

    def __init__(self, output: Path, width: int | None):
        self._path, self._width = output / "widths.json", width

    def of(self, studio: Studio, program: Program, job: Job) -> int:
        """How many lanes of a program run at once: what was written first."""
        solver = [job.recipe.options.get(name) for name in ("preset", "solver", "history")]
        # A solver's own repr has addresses.
        key = repr([[part for part in program if part is not program.solver], solver])
        name = hashlib.sha256(key.encode()).hexdigest()[:12]
        with self._path.open("a+") as file, manifest.locked(file):
            file.seek(0)
            known: dict[str, int] = json.loads(file.read() or "{}")
            if name not in known:
                known[name] = self._width or studio.width(program, job)
                file.truncate(0)
                file.write(json.dumps(known) + "\n")
            return known[name]


@contextlib.contextmanager
def _remove_what_was_killed(output: Path) -> Iterator[None]:
    """Removes files that a killed process left half-written, unless another one is at work."""
    with (output / ".lock").open("w") as lock:
        if manifest.lock(lock, alone=True):
            for folder in (output, output / "pictures", output / "traces"):
                for partial in folder.glob(f"{files.PARTIAL}*"):
                    partial.unlink(missing_ok=True)
        manifest.lock(lock, alone=False)
        yield
