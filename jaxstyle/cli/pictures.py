"""`jaxstyle stylize | texture | reconstruct`: from files to files."""

import contextlib
import functools
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from tqdm import tqdm

from jaxstyle._common import files
from jaxstyle.cli.plan import print_plan
from jaxstyle.image import io
from jaxstyle.image.animation import Animation, check_animation_path
from jaxstyle.networks.layouts import sha256
from jaxstyle.optimization import step
from jaxstyle.pipeline import file_options
from jaxstyle.pipeline.job import Job, Program, batches, group, make_job
from jaxstyle.pipeline.monitor import Monitor, describe, snapshot_path
from jaxstyle.pipeline.options import option_names
from jaxstyle.pipeline.snapshot import load_snapshot, save_snapshot
from jaxstyle.pipeline.studio import Studio

Arguments = dict[str, Any]


def stylize(arguments: Arguments) -> int:
    """`jaxstyle stylize CONTENT STYLE [STYLE ...] -o OUT`."""
    given = [arguments["content"], *arguments.get("more_contents", [])]
    contents, styles = files.find_pictures(given), files.find_pictures(arguments["style"])
    output, options = Path(arguments["output"]), _recipe_options("stylize", arguments)
    named = [*contents, *styles] == [Path(name) for name in (*given, *arguments["style"])]
    if len(contents) == len(styles) == 1 and named and not output.is_dir():
        return _run([make_job("stylize", contents[0], styles[0], output, options)], arguments)
    pairs = [(content, style) for content in contents for style in styles]
    names = [f"{content.stem}--{style.stem}.png" for content, style in pairs]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise ValueError(f"two pictures would both be written to {double}; rename one of the files")
    if output.is_file() or (output.suffix and not output.is_dir()):
        raise ValueError(
            f"{output}: for {len(names)} pictures OUT should be a folder; "
            "it gets a CONTENT--STYLE.png for each"
        )
    for option in ("trace", "resume", "animate"):
        if option in arguments and len(names) > 1:
            raise ValueError(f"--{option} is for a single picture; give one content and one style")
    make = functools.partial(make_job, "stylize", options=options)
    listed = [make(*pair, output / name) for pair, name in zip(pairs, names, strict=True)]
    if output.is_dir():
        return _run(listed, arguments)
    files.check_writable(output)
    output.mkdir()
    try:
        return _run(listed, arguments)
    finally:
        with contextlib.suppress(OSError):  # it stays unless it is empty
            output.rmdir()


def texture(arguments: Arguments) -> int:
    """`jaxstyle texture STYLE -o OUT`."""
    style, output = Path(arguments["style"]), Path(arguments["output"])
    options = _recipe_options("texture", arguments)
    return _run([make_job("texture", None, style, output, options)], arguments)


def reconstruct(arguments: Arguments) -> int:
    """`jaxstyle reconstruct CONTENT -o OUT`."""
    content, output = Path(arguments["content"]), Path(arguments["output"])
    options = _recipe_options("reconstruct", arguments)
    return _run([make_job("reconstruct", content, None, output, options)], arguments)


def _recipe_options(command: str, arguments: Arguments) -> Arguments:
    names = {name.replace("-", "_") for name in option_names(command)}
    return {name: value for name, value in arguments.items() if name in names}


def _run(listed: list[Job], arguments: Arguments) -> int:
    if "split_rows" in arguments and arguments.get("width", 1) > 1:
        raise ValueError("--split-rows is for one picture at a time; leave --width out")
    for option in ("split_rows", "animate", "scales"):
        if option in arguments and "resume" in arguments:
            flag = f"--{option.replace('_', '-')}"
            raise ValueError(f"--resume and {flag} exclude each other; give one of them")
    if "animate_every" in arguments and "animate" not in arguments:
        raise ValueError("--animate-every needs --animate beside it")
    for job in listed:
        io.check_output_path(job.output, arguments.get("bit_depth", 8))
    if "trace" in arguments:
        files.check_writable(arguments["trace"])
    if "animate" in arguments:
        check_animation_path(arguments["animate"])
        arguments.setdefault("animate_every", max(1, round(listed[0].recipe.num_steps / 50)))
    studio = Studio(
        listed, download="no_download" not in arguments, split_rows="split_rows" in arguments
    )
    # Pictures before the network: a wrong file name should not wait for a download.
    for job in listed:
        studio.check(job)
    studio.network(listed[0])
    width_of = functools.partial(studio.width, most=arguments.get("width"))
    planned = list(batches(group(studio.shape, listed), width_of))
    if "dry_run" in arguments:
        print_plan(studio.plan(planned), "json" in arguments)
        return 0
    bar = _progress_bar(listed, arguments)
    statuses: list[int] = []
    written: dict[Path, Monitor] = {}
    try:
        with bar:
            for program, batch, width in planned:
                statuses += _make(studio, program, batch, width, bar, arguments, written)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_interrupted(listed, written)) from None
    return max(statuses)


def _progress_bar(listed: list[Job], arguments: Arguments) -> Any:
    # disable=None: silent where stderr is not a terminal.
    return tqdm(
        total=sum(job.recipe.num_steps for job in listed),
        desc=listed[0].output.name if len(listed) == 1 else f"{len(listed)} pictures",
        unit="step",
        file=sys.stderr,
        disable=True if "quiet" in arguments else None,
        dynamic_ncols=True,
    )


def _make(
    studio: Studio,
    program: Program,
    batch: list[Job],
    width: int,
    bar: Any,
    arguments: Arguments,
    written: dict[Path, Monitor],
) -> Iterator[int]:
    """Makes the pictures of one batch and writes them; yields the exit status of each.

    `written` gets the files, whole or interrupted, and their monitors.
    """
    encoding = _encoding(arguments)
    animation = Animation() if "animate" in arguments else None

    def monitor_of(job: Job) -> Monitor:
        return Monitor(
            program.num_steps,
            bar=bar,
            save=lambda image, step: studio.save(
                job, image, step, snapshot_path(job.output, step), **encoding
            ),
            save_every=arguments.get("save_every"),
            film=animation and (lambda step, image: animation(step, studio.finish(job, image))),
            film_every=arguments.get("animate_every", 1),
        )

    monitors = [monitor_of(job) for job in batch]
    start = time.monotonic()
    try:
        if animation is not None:
            animation(0, studio.finish(batch[0], studio.lane(batch[0]).image))
        if "resume" in arguments:
            _run_resumable(studio, program, batch[0], monitors[0], arguments)
        else:
            studio.run(program, batch, width, monitors, _every(arguments))
        written |= _keep(studio, batch, monitors, animation, arguments)
        if "resume" in arguments and monitors[0].finite:
            _snapshot_of(batch[0]).unlink(missing_ok=True)
    except KeyboardInterrupt:
        written |= _keep(studio, batch, monitors, animation, arguments)
        raise
    seconds = (time.monotonic() - start) / len(batch)
    for job, monitor in zip(batch, monitors, strict=True):
        bar.clear()
        _report(studio, program, job, monitor, seconds, arguments)
        yield 0 if monitor.finite else 1


def _encoding(arguments: Arguments) -> dict[str, int]:
    return {name: arguments[name] for name in ("quality", "bit_depth") if name in arguments}


def _files(job: Job) -> list[Path]:
    """The files that a picture is made from, its network aside."""
    named = [job.content, job.style, *file_options.files_named(job.recipe.options)]
    return [path for path in named if path is not None and path.is_file()]


def _snapshot_of(job: Job) -> Path:
    return job.output.with_name(f"{job.output.name}.snapshot")


def _every(arguments: Arguments) -> int:
    """Steps between reports: on a CPU a step takes long enough to be worth one each."""
    every = 1 if jax.default_backend() == "cpu" else 10
    return math.gcd(
        *(arguments.get(name, every) for name in ("save_every", "animate_every")), every
    )


def _run_resumable(
    studio: Studio, program: Program, job: Job, monitor: Monitor, arguments: Arguments
) -> None:
    """Runs a job from its snapshot, if there is one, and keeps one on the way."""
    path, resume = _snapshot_of(job), None
    often = arguments.get("snapshot_every", 50)
    every = math.gcd(_every(arguments), often)
    # Other chunks of steps, or other pictures under the same names, would not give the same bits.
    settings = studio.settings(job) | {
        "steps between reports": every,
        "pictures": [sha256(path) for path in _files(job)],
    }
    if path.exists():
        lane, (recipe, network) = studio.lane(job), studio.network(job)
        forms = step.start_forms(
            lane.image, network.params, lane.targets, spec=program.spec, solver=recipe.solver
        )
        resume, rows = load_snapshot(path, forms, settings)
        monitor.go_on(resume.step, resume.state.image, rows)
    progress = None
    try:
        for progress in studio.run_one(program, job, monitor, every, resume):
            if progress.step % often == 0 and progress.step < program.num_steps and monitor.finite:
                save_snapshot(path, progress, monitor.rows, settings)
    except KeyboardInterrupt:
        # The monitor may have been told of a step more.
        if progress is not None and monitor.finite and progress.step == monitor.step:
            save_snapshot(path, progress, monitor.rows, settings)
        raise


def _keep(
    studio: Studio,
    batch: list[Job],
    monitors: list[Monitor],
    animation: Animation | None,
    arguments: Arguments,
) -> dict[Path, Monitor]:
    """Writes the last good images, trace and animation if there should be; returns which."""
    kept = {}
    for job, monitor in zip(batch, monitors, strict=True):
        if monitor.good_steps:
            assert monitor.image is not None
            studio.save(job, monitor.image, monitor.good_steps, job.output, **_encoding(arguments))
            if "trace" in arguments:
                monitor.write_trace(Path(arguments["trace"]))
            if animation is not None:
                animation(monitor.good_steps, studio.finish(job, monitor.image))
                animation.write(arguments["animate"])
            kept[job.output] = monitor
    return kept


def _interrupted(listed: list[Job], written: dict[Path, Monitor]) -> str:
    """What an interrupted run leaves."""
    if len(listed) == 1:
        output = listed[0].output
        if output not in written:
            return f"interrupted before the first step; {output} was not written"
        step = f"step {written[output].good_steps} of {written[output].num_steps}"
        return f"interrupted; {output} holds {step}"
    steps: dict[str, list[str]] = {}
    for output, monitor in written.items():
        if monitor.finite and monitor.step < monitor.num_steps:
            step = f"step {monitor.good_steps} of {monitor.num_steps}"
            steps.setdefault(step, []).append(str(output))
    done = len(written) - sum(map(len, steps.values()))
    unfinished = [f"{step} in {', '.join(names)}" for step, names in steps.items()]
    return "; ".join([f"interrupted; {done} of {len(listed)} pictures are done", *unfinished])


def _report(
    studio: Studio,
    program: Program,
    job: Job,
    monitor: Monitor,
    seconds: float,
    arguments: Arguments,
) -> None:
    last, (height, width) = monitor.rows[-1], program.shape
    if not monitor.finite:
        step = monitor.good_steps
        where = f"the picture is from step {step}" if step else "it was not written"
        print(
            f"jaxstyle: error: {job.output}: the loss is not finite after step {step}; {where}; "
            "try smaller weights, another --solver or another --network",
            file=sys.stderr,
        )
        if not step:
            return
    if "json" in arguments:
        terms = {k: v for k, v in last.items() if k not in ("step", "evaluations", "loss")}
        summary = {
            "output": str(job.output),
            "width": width,
            "height": height,
            "loss": last["loss"],
            "terms": terms,
            "steps": monitor.good_steps,
            "evaluations": last["evaluations"],
            "seconds": round(seconds, 3),
            "finite": monitor.finite,
            "device": jax.devices()[0].device_kind,
            **studio.settings(job),
        }
        print(json.dumps(summary), flush=True)
    elif "quiet" not in arguments:
        print(
            f"{job.output}: {width}×{height} pixels, {monitor.good_steps} steps in "
            f"{seconds:.0f} s with {studio.network(job)[1].name}, {describe(monitor.summary())}",
            flush=True,
        )
