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

from jaxstyle import descent, files, io, jobs
from jaxstyle.animation import Animation, check_animation_path
from jaxstyle.convert import sha256
from jaxstyle.jobs import Job, Program, Studio
from jaxstyle.monitor import Monitor, describe, snapshot_path
from jaxstyle.options import option_names
from jaxstyle.snapshot import load_snapshot, save_snapshot

Arguments = dict[str, Any]


def stylize(arguments: Arguments) -> int:
    """`jaxstyle stylize CONTENT STYLE [STYLE ...] -o OUT`."""
    given = [arguments["content"], *arguments.get("more_contents", [])]
    contents, styles = files.find_pictures(given), files.find_pictures(arguments["style"])
    output, options = Path(arguments["output"]), _recipe_options("stylize", arguments)
    named = [*contents, *styles] == [Path(name) for name in (*given, *arguments["style"])]
    if len(contents) == len(styles) == 1 and named and not output.is_dir():
        return _run([jobs.make_job("stylize", contents[0], styles[0], output, options)], arguments)
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
    make = functools.partial(jobs.make_job, "stylize", options=options)
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
    return _run([jobs.make_job("texture", None, style, output, options)], arguments)


def reconstruct(arguments: Arguments) -> int:
    """`jaxstyle reconstruct CONTENT -o OUT`."""
    content, output = Path(arguments["content"]), Path(arguments["output"])
    options = _recipe_options("reconstruct", arguments)
    return _run([jobs.make_job("reconstruct", content, None, output, options)], arguments)


def _recipe_options(command: str, arguments: Arguments) -> Arguments:
    names = {name.replace("-", "_") for name in option_names(command)}
    return {name: value for name, value in arguments.items() if name in names}


def _run(listed: list[Job], arguments: Arguments) -> int:
    if "split_rows" in arguments and arguments.get("width", 1) > 1:
        raise ValueError("--split-rows is for one picture at a time; leave --width out")
    for option in ("split_rows", "animate"):
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
    studio = Studio(download="no_download" not in arguments, split_rows="split_rows" in arguments)
    # Pictures before the network: a wrong file name should not wait for a download.
    groups = jobs.group(studio, listed)
    studio.network(listed[0], listed[1:])
    most = arguments.get("width")
    batches = list(jobs.batches(groups, lambda *each: studio.batch_width(each[0], each[1], most)))
    if "dry_run" in arguments:
        _print_plan(studio, batches, arguments)
        return 0
    bar = _progress_bar(listed, arguments)
    statuses: list[int] = []
    with bar:
        for program, batch, width in batches:
            statuses += _make(studio, program, batch, width, bar, arguments, len(listed))
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
    total: int,
) -> Iterator[int]:
    """Makes the pictures of one batch and writes them; yields the exit status of each."""
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
        _keep(studio, batch, monitors, animation, arguments)
        if "resume" in arguments and monitors[0].finite:
            _snapshot_of(batch[0]).unlink(missing_ok=True)
    except KeyboardInterrupt:
        kept = _keep(studio, batch, monitors, animation, arguments)
        raise KeyboardInterrupt(_interrupted(batch, monitors, kept, total)) from None
    seconds = (time.monotonic() - start) / len(batch)
    for job, monitor in zip(batch, monitors, strict=True):
        bar.clear()
        _report(studio, program, job, monitor, seconds, arguments)
        yield 0 if monitor.finite else 1


def _encoding(arguments: Arguments) -> dict[str, int]:
    return {name: arguments[name] for name in ("quality", "bit_depth") if name in arguments}


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
        "pictures": [path and sha256(path) for path in (job.content, job.style)],
    }
    if path.exists():
        lane, (_, network) = studio.lane(job), studio.network(job)
        forms = descent.start_forms(
            lane.image, network.params, lane.targets, spec=program.spec, solver=program.solver
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
) -> list[Job]:
    """Writes the last good images, trace and animation if there should be; returns which."""
    kept = []
    for job, monitor in zip(batch, monitors, strict=True):
        if monitor.good_steps:
            assert monitor.image is not None
            studio.save(job, monitor.image, monitor.good_steps, job.output, **_encoding(arguments))
            if "trace" in arguments:
                monitor.write_trace(Path(arguments["trace"]))
            if animation is not None:
                animation(monitor.good_steps, studio.finish(job, monitor.image))
                animation.write(arguments["animate"])
            kept.append(job)
    return kept


def _interrupted(batch: list[Job], monitors: list[Monitor], kept: list[Job], total: int) -> str:
    job, monitor = batch[0], monitors[0]
    if not kept:
        return f"interrupted before the first step; {job.output} was not written"
    if total == 1:
        step = f"step {monitor.good_steps} of {monitor.num_steps}"
        return f"interrupted; {job.output} holds {step}"
    names = ", ".join(str(job.output) for job in kept)
    return f"interrupted; step {monitor.good_steps} of {monitor.num_steps} in {names}"


def _print_plan(
    studio: Studio, batches: list[tuple[Program, list[Job], int]], arguments: Arguments
) -> None:
    """What would be done, and how much memory it would take."""
    programs = list(dict.fromkeys(program for program, _, _ in batches))
    for program in programs:
        mine = [(batch, width) for each, batch, width in batches if each == program]
        width, job = mine[0][1], mine[0][0][0]
        plan = studio.memory(program, job)
        height, columns = program.shape
        facts = {
            "pictures": sum(len(batch) for batch, _ in mine),
            "width": columns,
            "height": height,
            "steps": program.num_steps,
            "network": studio.network(job)[1].name,
            "lanes": width,
            "bytes": plan.total(width),
            "bytes_per_lane": plan.per_lane,
            "devices": len(jax.local_devices()),
        }
        if "json" in arguments:
            print(json.dumps(facts))
        else:
            print(
                f"{facts['pictures']} of {columns}×{height} pixels, {program.num_steps} steps with "
                f"{facts['network']}, {width} at once: {plan.total(width) / 2**20:.0f} MiB, "
                f"{plan.per_lane / 2**20:.0f} MiB for each more"
            )


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
