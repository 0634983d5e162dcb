"""`jaxstyle stylize | reconstruct`: from arguments to jobs, and what all commands say of them."""

import collections
import contextlib
import dataclasses
import functools
import itertools
import shlex
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm.contrib.logging import logging_redirect_tqdm

from jaxstyle._common import files
from jaxstyle._common.progress import Steps
from jaxstyle._common.terminal import passing
from jaxstyle.cli.plan import is_exact, print_plan
from jaxstyle.cli.printing import complain, say
from jaxstyle.cli.reports import interrupted, report, report_unmade
from jaxstyle.errors import FileFormatError, OptionError, UsageError, naming, usage_errors
from jaxstyle.image import io
from jaxstyle.image.animation import SIZE, Animation, check_animation_path
from jaxstyle.pipeline import sheets
from jaxstyle.pipeline.choices import PIECES
from jaxstyle.pipeline.file_options import exclusive
from jaxstyle.pipeline.frames import FRAMES
from jaxstyle.pipeline.job import Batch, Job, group, make_batches, make_job
from jaxstyle.pipeline.optimise import Optimisation
from jaxstyle.pipeline.options import color_of, picture_options
from jaxstyle.pipeline.outputs import (
    Output,
    check_outputs,
    check_results_are_not_taken,
    pictures_on_the_way,
    snapshot_of,
)
from jaxstyle.pipeline.painting import Painting
from jaxstyle.pipeline.run import Outcome, interrupted_outcomes, run_batch
from jaxstyle.pipeline.sinks import (
    Film,
    PictureFile,
    PicturesOnTheWay,
    ProgressBar,
    Sink,
    SnapshotFile,
    TraceFile,
)
from jaxstyle.pipeline.studio import Studio
from jaxstyle.pipeline.traces import check_trace_name

Arguments = dict[str, Any]

_PREVIEW = max(max(frame) for frame in FRAMES)  # pixels of the longer side


def stylize(arguments: Arguments) -> int:
    """`jaxstyle stylize CONTENT STYLE [STYLE ...] -o OUT`."""
    given = [arguments["contents"], *arguments.get("more contents", [])]
    contents, styles = files.find_pictures(given), files.find_pictures(arguments["styles"])
    output, options = Path(arguments["output"]), options_among("stylize", arguments)
    named = [*contents, *styles] == [Path(name) for name in (*given, *arguments["styles"])]
    if len(contents) == len(styles) == 1 and named and not output.is_dir():
        job = make_job("stylize", contents[0], styles[0], output, options)
        if "preview" in arguments and "dry-run" not in arguments:
            _check([job], arguments)
            status = run_jobs([_preview_of(job, Path(arguments["preview"]))], _quietly(arguments))
            if status:
                return status
        return run_jobs([job], arguments)
    asked = {Path(name) for name in (*given, *arguments["styles"])}
    for path in (*contents, *styles):
        if path in asked and not path.exists():
            raise FileNotFoundError(f"{path}: no such file")
    pairs = [(content, style) for content in contents for style in styles]
    names = [f"{content.stem}--{style.stem}.png" for content, style in pairs]
    blend = ""
    if len(arguments["styles"]) > 1:
        other = shlex.quote(f"{arguments['styles'][1]}=0.5")
        blend = f"; to blend paintings in one picture: --mix {other}"
    check_folder(output, names, f"CONTENT--STYLE.png for each picture{blend}")
    for option in ("trace", "resume", "animate", "preview"):
        if option in arguments and (len(names) > 1 or option == "preview"):
            raise OptionError("{} is for a single picture; give one content and one style", option)
    make = functools.partial(make_job, "stylize", options=options)
    jobs = [make(*pair, output / name) for pair, name in zip(pairs, names, strict=True)]
    results = [*(job.output for job in jobs), *sheets.sheet_files(output)]
    check_results_are_not_taken([*given, *arguments["styles"]], Path(), results)
    check_outputs([Output("output", path) for path in results], [*contents, *styles])
    found = {"photograph": contents, "painting": styles}
    several = " and ".join(noun for noun, paths in found.items() if len(paths) > 1)
    intro = f"{len(jobs)} pictures, one for each {several}{blend}" if several else None
    with folder_for_results(output):
        status = run_jobs(jobs, arguments, intro=intro)
        if several and "dry-run" not in arguments:
            _write_sheets(output, contents, styles, arguments)
    return status


def _write_sheets(
    folder: Path, contents: Sequence[Path], styles: Sequence[Path], arguments: Arguments
) -> None:
    """Puts all pictures of a folder on a page; a page that cannot be written is a warning."""
    try:
        sheets.write_sheets(folder, sheets.read_folder(folder, contents, styles))
    except OSError as error:
        complain(f"warning: {error}; the pictures are there")
    else:
        if not {"json", "quiet"} & arguments.keys():
            say(f"look at {folder / sheets.NAME}")


def _preview_of(job: Job, output: Path) -> Job:
    """Returns the job of a quick first picture of another one's photograph and painting."""
    kept = job.recipe.options
    size = min(kept["size"], _PREVIEW)
    options = {"painting": str(job.style), "method": "quick", "size": size}
    if job.style_size != kept["size"]:
        assert job.style_size is not None
        options["style-size"] = max(1, round(job.style_size * size / kept["size"]))
    if color_of(kept) == "luminance":
        options["color"] = "luminance"
    preview = make_job("apply", job.content, None, output, options)
    if size < _PREVIEW:
        return preview
    assert isinstance(preview.recipe.method, Painting)
    # In a size for which programs were compiled once for ever.
    method = dataclasses.replace(preview.recipe.method, framed=True)
    return preview._replace(recipe=preview.recipe._replace(method=method))


def _quietly(arguments: Arguments) -> Arguments:
    """Returns the arguments that also hold for a preview."""
    return {name: arguments[name] for name in ("quality", "json", "quiet") if name in arguments}


def reconstruct(arguments: Arguments) -> int:
    """`jaxstyle reconstruct CONTENT -o OUT`."""
    content, output = Path(arguments["content"]), Path(arguments["output"])
    options = options_among("reconstruct", arguments)
    return run_jobs([make_job("reconstruct", content, None, output, options)], arguments)


def check_folder(output: Path, names: list[str], form: str) -> None:
    """Raises `UsageError` unless pictures can be written under names into a folder.

    Args:
      output: the folder, which need not exist.
      names: of the files in it.
      form: how they are named, for the message.
    """
    double, count = collections.Counter(names).most_common(1)[0]
    if count > 1:
        raise UsageError(f"two pictures would both be written to {double}; rename one of the files")
    if output.is_file() or (output.suffix and not output.is_dir()):
        remedy = "" if output.exists() else "; make it first if its name has a dot"
        raise UsageError(f"{output}: OUT should be a folder here, which gets a {form}{remedy}")


@contextlib.contextmanager
def folder_for_results(folder: Path) -> Iterator[None]:
    """Makes a folder if it is not there, and removes it again if nothing was put into it."""
    if folder.is_dir():
        yield
        return
    files.check_folder(folder, "picture")
    folder.mkdir(exist_ok=True)  # another process may have made it meanwhile
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # it stays unless it is empty
            folder.rmdir()


def options_among(command: str, arguments: Arguments) -> Arguments:
    """Returns those of a command's arguments that shape its pictures."""
    return {name: arguments[name] for name in picture_options(command) if name in arguments}


def run_jobs(
    jobs: list[Job], arguments: Arguments, *, several: bool = False, intro: str | None = None
) -> int:
    """Makes the pictures of jobs, or says what would be made.

    Args:
      jobs: the pictures to make.
      arguments: of the command.
      several: whether more pictures were asked for, of which these are left to do. A picture that
        cannot be made then stops no other.
      intro: what is said of the jobs, once they are known to be right.

    Returns:
      The exit status.
    """
    several = several or len(jobs) > 1
    _check(jobs, arguments)
    studio = Studio(
        jobs, download="no-download" not in arguments, split_rows="split-rows" in arguments
    )
    with passing("reading", quiet="quiet" in arguments):
        # Pictures before the network: a wrong file name should not wait for a download.
        jobs, unmade = _readable(studio, jobs)
        _, network = studio.suited(jobs[0])
    check_outputs(_outputs(jobs, arguments), [network.path] if network.name else [])
    batches = [
        batch
        for program, members in group(studio.shape, jobs).items()
        for batch in make_batches(
            program, members, studio.width(program, members, arguments.get("width"))
        )
    ]
    if intro is not None and not {"json", "quiet"} & arguments.keys():
        say(intro)
    if "dry-run" in arguments:
        facts = studio.plan(batches, exact=is_exact(arguments))
        optimised = any(isinstance(job.recipe.method, Optimisation) for job in jobs)
        status = print_plan(facts, "json" in arguments, optimised)
        return max(status, report_unmade(unmade))
    files.remove_leftovers(output.path.parent for output in _outputs(jobs, arguments))
    outcomes = _make(studio, jobs, batches, arguments, tolerant=several)
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    unmade += [outcome.error for outcome in outcomes if outcome.error is not None]
    unwritten = [each.error for each in failures if each.sink.needed]
    status = report_unmade([*unmade, *unwritten[1:]])
    if unwritten:
        raise unwritten[0]
    # Snapshots only serve to go on; what else failed was asked for.
    missing = any(not isinstance(each.sink, SnapshotFile) for each in failures)
    return 1 if missing or not all(outcome.track.finite for outcome in outcomes) else status


def _make(
    studio: Studio,
    jobs: list[Job],
    batches: list[Batch],
    arguments: Arguments,
    *,
    tolerant: bool,
) -> list[Outcome]:
    """Makes the pictures and reports each when it is done.

    Raises:
      KeyboardInterrupt: with a sentence on what is left.
    """
    outcomes: list[Outcome] = []
    bar = Steps(
        sum(job.recipe.num_steps for job in jobs),
        jobs[0].output.name if len(jobs) == 1 else f"{len(jobs)} pictures",
        quiet="quiet" in arguments,
        at_once=all(job.recipe.options.get("method") in PIECES for job in jobs),
    )
    sinks_of = functools.partial(_sinks, studio, bar, arguments)
    waiting: list[tuple[Batch, list[Outcome], Future[None] | None]] = []

    def report_written(most: int) -> None:
        """Reports what is written, and waits until at most so many batches are not."""
        while len(waiting) > most:
            batch, made, written = waiting.pop(0)
            if written is not None:
                written.result()
            bar.clear()
            for outcome in made:
                report(studio, batch, outcome, arguments)

    try:
        with ThreadPoolExecutor(1) as writer, bar, logging_redirect_tqdm():
            for batch, following in itertools.zip_longest(batches, batches[1:]):
                studio.prefetch(following.jobs[:1] if following else [])
                # A picture of one pass takes as long to encode as to paint: both go on at once.
                later = _Later(writer) if batch.program.num_steps == 1 else _Now()
                made = run_batch(studio, batch, sinks_of, tolerant=tolerant, closing=later)
                outcomes += made
                waiting.append((batch, made, later.written))
                report_written(1 if following and later.written else 0)
    except KeyboardInterrupt as stop:
        outcomes += interrupted_outcomes(stop)
        raise KeyboardInterrupt(interrupted(jobs, outcomes)) from None
    return outcomes


class _Now:
    """Does at once what is given."""

    written: Future[None] | None = None

    def __call__(self, close: Callable[[], None]) -> None:
        close()


class _Later(_Now):
    """Leaves what is given to another thread, and keeps what will tell of its end."""

    def __init__(self, writer: Executor):
        self._writer = writer

    def __call__(self, close: Callable[[], None]) -> None:
        self.written = self._writer.submit(close)


def _readable(studio: Studio, jobs: list[Job]) -> tuple[list[Job], list[Exception]]:
    """Returns the jobs whose pictures can be read, and what is wrong with those of others.

    Raises:
      OSError, FileFormatError, UsageError: if no job is left.
    """
    readable: list[Job] = []
    errors: dict[str, Exception] = {}
    for job in jobs:
        try:
            studio.check(job)
            readable.append(job)
        except (OSError, FileFormatError, UsageError) as error:
            errors.setdefault(str(error), error)  # a file may be that of many jobs
    if not readable:
        raise next(iter(errors.values()))
    return readable, list(errors.values())


def _check(jobs: list[Job], arguments: Arguments) -> None:
    """Raises what can be known to be wrong before any picture is read."""
    if "split-rows" in arguments and arguments.get("width", 1) > 1:
        raise OptionError("{} is for one picture at a time; leave {} out", "split-rows", "width")
    for option in ("split-rows", "animate"):
        if option in arguments and "resume" in arguments:
            raise exclusive("resume", option)
    for option in ("animate-every", "animate-size"):
        if option in arguments and "animate" not in arguments:
            raise OptionError("{} needs {} beside it", option, "animate")
    with usage_errors():
        for job in jobs:
            io.check_output_path(job.output, encoding_of(arguments).get("bit_depth", 8))
    if "trace" in arguments:
        with naming("trace"), usage_errors():
            files.check_writable(arguments["trace"])
    if "preview" in arguments:
        with naming("preview"), usage_errors("preview"):
            io.check_output_path(arguments["preview"])
    if "animate" in arguments:
        with naming("animate"), usage_errors():
            check_animation_path(arguments["animate"])
    inputs = [path for job in jobs for path in job.files]
    if "settings-from" in arguments:
        inputs.append(Path(arguments["settings-from"]))
    check_outputs(_outputs(jobs, arguments), inputs)
    if "trace" in arguments:
        with naming("trace"):
            check_trace_name(arguments["trace"])


def _outputs(jobs: list[Job], arguments: Arguments) -> list[Output]:
    """Returns the files that a run writes, those on the way only where they may be another."""
    outputs = [Output("output", job.output) for job in jobs]
    outputs += [
        Output(name, Path(arguments[name]))
        for name in ("trace", "animate", "preview")
        if name in arguments
    ]
    if "resume" in arguments:
        outputs += [Output("resume", snapshot_of(job.output)) for job in jobs]
    if "save-every" in arguments:
        outputs += pictures_on_the_way(jobs, arguments["save-every"], outputs)
    return outputs


def _sinks(studio: Studio, bar: Steps, arguments: Arguments, job: Job) -> Sequence[Sink]:
    """Returns what becomes of a job's picture, in the order in which it is written."""
    encoding = encoding_of(arguments)
    sinks: list[Sink] = [ProgressBar(bar), PictureFile(studio, **encoding)]
    if "save-every" in arguments:
        sinks.append(PicturesOnTheWay(studio, arguments["save-every"], **encoding))
    if "trace" in arguments:
        sinks.append(TraceFile(Path(arguments["trace"])))
    if "animate" in arguments:
        often = arguments.get("animate-every", max(1, round(job.recipe.num_steps / 50)))
        film = Animation(arguments.get("animate-size", SIZE))
        sinks.append(Film(studio, Path(arguments["animate"]), often, film))
    if "resume" in arguments:
        often = arguments.get("snapshot-every", 50)
        made_by = functools.partial(studio.made_by, job)
        sinks.append(SnapshotFile(snapshot_of(job.output), often, made_by))
    return sinks


def encoding_of(arguments: Arguments) -> dict[str, int]:
    """Returns how pictures are written, as `jaxstyle.save_image` takes it."""
    named = {"quality": "quality", "bit-depth": "bit_depth"}
    return {named[name]: int(arguments[name]) for name in named if name in arguments}
