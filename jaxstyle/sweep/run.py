"""Running a sweep: what is missing is made, what ends is recorded."""

import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
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
        todo = _todo(planned, output, retry_failed)
        try:
            made = _run(studio, planned, todo, record, shard, _Pinned(output, width), quiet)
        except KeyboardInterrupt:
            done = len(_report(output, planned))
            raise KeyboardInterrupt(
                f"interrupted; {done} of {len(planned)} jobs of {output} have ended; "
                "the same command goes on"
            ) from None
        mine = _report(output, planned)
    done = sum(entry["status"] == "done" for entry in mine)
    return Summary(done, len(mine) - done, len(planned) - len(mine), made)


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


def plan_sweep(
    spec: Spec, output: Path, most: int | None = None, download: bool = True
) -> list[dict[str, Any]]:
    """What a sweep would do, for each compiled program: how many jobs, and the memory it takes.

    Args:
      spec: the sweep.
      output: its folder, which is not written.
      most: how many jobs may run at once; as many as fit by default.
      download: whether networks may be downloaded.
    """
    studio = Studio(download=download)
    good, _ = _group(studio, _plan(spec, output))
    plans = []
    for program, names in good.items():
        job = _job(names[0])
        width = studio.batch_width(program, [_job(name) for name in names], most)
        memory = studio.memory(program, job)
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
        job = jobs.make_job("stylize", point.content, point.style, output, parsed)
        settings = job.recipe.options
    except ValueError as reason:  # options that contradict each other
        error = str(reason)
    texts = {name.replace("_", "-"): options.as_text(v) for name, v in sorted(settings.items())}
    sources = [[path.name, digests.get(path)] for path in (point.content, point.style)]
    for other in (Path(str(settings.get(name, ""))) for name in ("init", "network")):
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
    pinned: "_Pinned",
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
        jobs.batches(groups, lambda program, group: pinned.width(studio, program, group))
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


class _Pinned:
    """What decides a program's batches and pictures, kept in the folder by who came first.

    All processes and reruns must make the same batches, with the same network.
    """

    def __init__(self, output: Path, width: int | None):
        self._path, self._width = output / "programs.json", width

    def width(self, studio: Studio, program: Program, group: Sequence[Job]) -> int:
        """How many lanes of a program run at once.

        Raises:
          ValueError: if another width was asked for, or another network was found.
        """
        recipe, network = studio.network(group[0])
        solver = [recipe.options.get(name) for name in ("preset", "solver", "history")]
        # A solver's own repr has addresses.
        key = repr([[part for part in program if part is not program.solver], solver])
        name = hashlib.sha256(key.encode()).hexdigest()[:12]
        numbers = hashlib.sha256()
        for leaf in jax.tree.leaves(network.params):
            numbers.update(np.asarray(leaf).tobytes())
        found = f"{network.name} {numbers.hexdigest()[:12]}"
        with (self._path.parent / ".lock-programs").open("a+") as file, manifest.locked(file):
            known = json.loads(self._path.read_text()) if self._path.exists() else {}
            if name not in known:
                width = studio.batch_width(program, group, self._width)
                known[name] = {"width": width, "network": found, "asked": self._width}
                with files.atomic_write(self._path) as partial:
                    partial.write_text(json.dumps(known, indent=2) + "\n")
        pinned = known[name]
        if self._width not in (None, pinned["asked"], pinned["width"]):
            raise ValueError(
                f"{self._path}: the sweep was begun with width {pinned['width']}, which decides "
                "its batches; leave --width out, or remove that file to go on with others"
            )
        if pinned["network"] != found:
            raise ValueError(
                f"{self._path}: the sweep was begun with the network {pinned['network']}, and this "
                f"is {found}; name the same one, or another folder"
            )
        return int(pinned["width"])


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
