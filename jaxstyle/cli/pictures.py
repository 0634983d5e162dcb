"""`jaxstyle stylize | texture | reconstruct`: from files to files."""

import contextlib
import dataclasses
import inspect
import json
import math
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle import files, io, solvers, transfer, vgg
from jaxstyle.cli.monitor import DivergedError, Monitor, Save, describe
from jaxstyle.cli.settings import settings_of
from jaxstyle.io import Picture
from jaxstyle.objective import LossSpec, LossWeights
from jaxstyle.presets import Preset, get_preset
from jaxstyle.registry import COMPACT
from jaxstyle.weights import Network, load_network

Arguments = dict[str, Any]


class _Job(NamedTuple):
    """One picture to make.

    Attributes:
      command: "stylize", "texture" or "reconstruct".
      content: the photograph's file, if the command takes one.
      style: the painting's file, if the command takes one.
      output: the file to write.
    """

    command: str
    content: Path | None
    style: Path | None
    output: Path


class _Pictures(NamedTuple):
    """The files of a job, read.

    Attributes:
      content: the photograph, if the command takes one.
      style: the painting, if the command takes one.
      init: a name, or the picture to start from.
      shape: height and width of the picture to make.
    """

    content: Picture | None
    style: Picture | None
    init: Any
    shape: tuple[int, int]


class _Plan(NamedTuple):
    """What the options come to, the same for every job of a run."""

    arguments: Arguments
    preset: Preset
    spec: LossSpec
    network: Network
    solver: solvers.Solver
    num_steps: int
    noise: float | None


def stylize(arguments: Arguments) -> int:
    """`jaxstyle stylize CONTENT STYLE [STYLE ...] -o OUT`."""
    content, output = Path(arguments["content"]), Path(arguments["output"])
    styles = [Path(style) for style in arguments["style"]]
    if len(styles) == 1:
        return _run([_Job("stylize", content, styles[0], output)], arguments)
    names = [f"{content.stem}--{style.stem}.png" for style in styles]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise ValueError(f"two styles would both be written to {double}; rename one of them")
    if output.is_file() or (output.suffix and not output.is_dir()):
        raise ValueError(
            f"{output}: with {len(styles)} styles OUT should be a folder; "
            "it gets a CONTENT--STYLE.png for each"
        )
    if "trace" in arguments:
        raise ValueError("--trace writes one file; give it with a single style")
    jobs = [_Job("stylize", content, s, output / n) for s, n in zip(styles, names, strict=True)]
    if output.is_dir():
        return _run(jobs, arguments)
    files.check_writable(output)
    output.mkdir()
    try:
        return _run(jobs, arguments)
    finally:
        with contextlib.suppress(OSError):  # it stays unless it is empty
            output.rmdir()


def texture(arguments: Arguments) -> int:
    """`jaxstyle texture STYLE -o OUT`."""
    style, output = Path(arguments["style"]), Path(arguments["output"])
    return _run([_Job("texture", None, style, output)], arguments)


def reconstruct(arguments: Arguments) -> int:
    """`jaxstyle reconstruct CONTENT -o OUT`."""
    content, output = Path(arguments["content"]), Path(arguments["output"])
    return _run([_Job("reconstruct", content, None, output)], arguments)


def _run(jobs: list[_Job], arguments: Arguments) -> int:
    for job in jobs:
        io.check_output_path(job.output)
    if "trace" in arguments:
        files.check_writable(arguments["trace"])
    command = jobs[0].command
    own_recipe = "preset" not in arguments
    preset = get_preset(arguments.setdefault("preset", "default"))
    spec = _make_spec(command, preset.spec, arguments)
    solver = _make_solver(preset, arguments)
    init = arguments.setdefault("init", preset.init if command == "stylize" else "noise")
    # Pictures before the network: a wrong file name should not wait for a download.
    pictures = [_load_pictures(job, arguments, spec) for job in jobs]
    network = _find_network(preset, arguments, pictures)
    if own_recipe and network.name == COMPACT:  # the same layers, steps and solver
        preset = get_preset(COMPACT)
        arguments["preset"] = preset.name
    vgg.check_layers(spec.layers, vgg.network_widths(network.params))
    steps = arguments.setdefault("steps", preset.num_steps)
    arguments.setdefault("seed", 0)
    noise = preset.noise if command == "stylize" and init == preset.init else None
    noise = arguments.get("init_noise", noise)
    plan = _Plan(arguments, preset, spec, network, solver, steps, noise)
    return max(_make(job, loaded, plan) for job, loaded in zip(jobs, pictures, strict=True))


def _load_pictures(job: _Job, arguments: Arguments, spec: LossSpec) -> _Pictures:
    size = arguments.setdefault("size", 512)
    content = style = None
    if job.content is not None:
        content = io.load_picture(job.content, size=size)
        _check_size(content, spec, spec.layers, job.content)
    if job.style is not None:
        style = io.load_picture(job.style, size=arguments.get("style_size", size))
        _check_size(style, spec, spec.style_layers, job.style)
    first = content or style
    assert first is not None
    height, width = arguments.get("output_size", first.image.shape[:2])
    try:
        vgg.check_size((height, width), spec.layers, spec.padding)
    except ValueError as error:
        raise ValueError(f"--output-size {width}x{height}: {error}") from None
    init = _load_init(arguments["init"], job, (height, width))
    return _Pictures(content, style, init, (height, width))


def _check_size(picture: Picture, spec: LossSpec, layers: tuple[str, ...], path: Path) -> None:
    """Refuses a picture too small for the layers, also one that only enlarging made big enough."""
    remedies = {
        picture.source_shape: "use a larger picture, or layers of earlier blocks",
        picture.image.shape: "use a larger --size, or layers of earlier blocks",
    }
    for shape, remedy in remedies.items():
        try:
            vgg.check_size(shape, layers, spec.padding)
        except ValueError as error:
            raise ValueError(f"{path}: {error}; {remedy}") from None


def _load_init(init: str, job: _Job, shape: tuple[int, int]) -> Any:
    """What the optimisation starts from, as `jaxstyle.transfer.initial_image` takes it."""
    names = [name for name in ("content", "noise", "style") if getattr(job, name, True)]
    if init in names:
        return init
    if init in get_args(transfer.Init) or not Path(init).exists():
        raise ValueError(f"--init {init}: no such file; use {', '.join(names)} or a picture")
    return jnp.asarray(io.load_picture(init, shape=shape).image)


def _make_solver(preset: Preset, arguments: Arguments) -> solvers.Solver:
    given = [name for name in ("history", "learning_rate") if name in arguments]
    options = [f"--{name.replace('_', '-')}" for name in given]
    if "solver" not in arguments:
        if given:
            raise ValueError(f"{options[0]} needs --solver beside it")
        return preset.solver()
    name = arguments["solver"]
    valid = inspect.signature(solvers.SOLVERS[name]).parameters
    for option, setting in zip(options, given, strict=True):
        if setting not in valid:
            raise ValueError(f"{option} is not for --solver {name}; leave it out")
    return solvers.make_solver(name, **{setting: arguments[setting] for setting in given})


def _make_spec(command: str, spec: LossSpec, arguments: Arguments) -> LossSpec:
    changes: Arguments = {
        name: arguments[name] for name in ("pooling", "padding") if name in arguments
    }
    if "tv" in arguments:
        changes["total_variation"] = arguments["tv"]
    for name in ("content_layers", "style_layers"):
        if name in arguments:
            changes[name] = tuple(arguments[name])
    if command == "texture":
        changes["content_layers"] = ()
    if command == "reconstruct":
        layer = arguments.setdefault("layer", "relu4_2")
        changes |= {"content_layers": (layer,), "style_layers": ()}
    return dataclasses.replace(spec, **changes)


def _find_network(preset: Preset, arguments: Arguments, pictures: list[_Pictures]) -> Network:
    name = arguments.setdefault("network", "auto")
    known = [p for loaded in pictures for p in (loaded.content, loaded.style) if p is not None]
    network = load_network(
        preset.network if name == "auto" else name,
        # A file of the user's is taken as it is, where the recipe does not ask for more.
        normalized=preset.normalized or (False if name in ("auto", COMPACT) else None),
        # What a network other than Oxford's is normalised over, for want of photographs.
        images=[jnp.asarray(picture.image) for picture in known],
        fallback=COMPACT if name == "auto" else None,
        download="no_download" not in arguments,
    )
    return network._replace(params=dict(preset.prepare(network.params)))


def _make_weights(plan: _Plan, shape: tuple[int, int]) -> LossWeights:
    """The preset's weights, as the options change them."""
    weights = plan.preset.weights(plan.network.params, shape, plan.spec).resolve(plan.spec)
    changes: Arguments = {}
    for kind in ("content", "style"):
        layers = plan.arguments.get(f"{kind}_layers", {})
        factors = [layers.get(layer, 1.0) for layer in getattr(plan.spec, f"{kind}_layers")]
        factor = plan.arguments.get(f"{kind}_weight", 1.0) * jnp.asarray(factors, jnp.float32)
        changes[kind] = getattr(weights, kind) * factor
    if "tv_weight" in plan.arguments:
        changes["total_variation"] = plan.arguments["tv_weight"]
    if "range_weight" in plan.arguments:
        changes["out_of_range"] = plan.arguments["range_weight"]
    return dataclasses.replace(weights, **changes)


def _make(job: _Job, pictures: _Pictures, plan: _Plan) -> int:
    """Makes one picture and writes it; returns the exit status."""
    arguments = plan.arguments
    settings = _settings(job, plan)

    def save(path: Path, image: Array, step: int) -> None:
        try:
            io.save_image(
                path,
                image,
                alpha=pictures.content and pictures.content.alpha,
                settings=settings | {"step": step},
                quality=arguments.get("quality", 95),
            )
        except OSError as error:
            if error.errno is None:
                raise
            raise OSError(error.errno, error.strerror, str(path)) from error

    monitor = Monitor(
        job.output,
        plan.num_steps,
        save,
        quiet="quiet" in arguments,
        save_every=arguments.get("save_every"),
    )
    start = time.monotonic()
    try:
        with monitor, contextlib.suppress(DivergedError):
            _optimize(job, pictures, plan, monitor)
        if monitor.good_steps:
            _keep(monitor, job, plan, save)
    except KeyboardInterrupt:
        if not monitor.good_steps:
            message = f"interrupted before the first step; {job.output} was not written"
        else:
            _keep(monitor, job, plan, save)
            step = f"step {monitor.good_steps} of {plan.num_steps}"
            message = f"interrupted; {job.output} holds {step}"
        raise KeyboardInterrupt(message) from None
    _report(job, plan, monitor, time.monotonic() - start, pictures.shape)
    return 0 if monitor.finite else 1


def _optimize(job: _Job, pictures: _Pictures, plan: _Plan, monitor: Monitor) -> None:
    # On a CPU a step takes long enough to be worth a report each.
    every = 1 if jax.default_backend() == "cpu" else 10
    options: Any = {
        "spec": plan.spec,
        "init": pictures.init,
        "noise": plan.noise,
        "key": jax.random.key(plan.arguments["seed"]),
        "weights": _make_weights(plan, pictures.shape),
        "solver": plan.solver,
        "num_steps": plan.num_steps,
        "callback": monitor,
        "callback_every": math.gcd(every, plan.arguments.get("save_every", every)),
    }
    params = plan.network.params
    content, style = (p and jnp.asarray(p.image) for p in pictures[:2])
    if content is None:
        assert style is not None
        transfer.synthesize_texture(params, style, shape=pictures.shape, **options)
    elif style is None:
        transfer.reconstruct_content(params, content, plan.spec.content_layers[0], **options)
    else:
        transfer.stylize(params, content, style, **options)


def _keep(monitor: Monitor, job: _Job, plan: _Plan, save: Save) -> None:
    """Writes the last good image, and the trace if there should be one."""
    assert monitor.image is not None
    save(job.output, monitor.image, monitor.good_steps)
    if "trace" in plan.arguments:
        monitor.write_trace(Path(plan.arguments["trace"]))


def _settings(job: _Job, plan: _Plan) -> dict[str, Any]:
    return settings_of(job.command, plan.arguments, job.content, job.style, plan.network)


def _report(
    job: _Job, plan: _Plan, monitor: Monitor, seconds: float, shape: tuple[int, int]
) -> None:
    last = monitor.rows[-1]
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
    if "json" in plan.arguments:
        terms = {k: v for k, v in last.items() if k not in ("step", "evaluations", "loss")}
        summary = {
            "output": str(job.output),
            "width": shape[1],
            "height": shape[0],
            "loss": last["loss"],
            "terms": terms,
            "steps": monitor.good_steps,
            "evaluations": last["evaluations"],
            "seconds": round(seconds, 3),
            "finite": monitor.finite,
            "device": jax.devices()[0].device_kind,
            **_settings(job, plan),
        }
        print(json.dumps(summary), flush=True)
    elif "quiet" not in plan.arguments:
        print(
            f"{job.output}: {shape[1]}×{shape[0]} pixels, {monitor.good_steps} steps in "
            f"{seconds:.0f} s with {plan.network.name}, {describe(monitor.summary())}",
            flush=True,
        )
