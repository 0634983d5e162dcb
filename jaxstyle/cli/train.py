"""`jaxstyle train`: a network of the user's own, which paints in one pass."""

import csv
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array

from jaxstyle import samples
from jaxstyle._common import files
from jaxstyle._common.progress import Steps
from jaxstyle.cli.printing import complain, say, say_json
from jaxstyle.errors import OptionError, UsageError, naming, usage_errors
from jaxstyle.feedforward.files import FastNetwork, load_network
from jaxstyle.feedforward.photographs import Photographs, check_number
from jaxstyle.image import io
from jaxstyle.networks import load
from jaxstyle.networks.catalogue import COMPACT, find_fast_network
from jaxstyle.optimization.presets import get_preset
from jaxstyle.pipeline import train as training
from jaxstyle.pipeline.outputs import Output, check_outputs
from jaxstyle.pipeline.traces import check_trace_name
from jaxstyle.pipeline.trained import write_sheet
from jaxstyle.video.training import TEMPORAL

_SHEET = (144, 192)
_EVERY = 30.0  # seconds between sheets
# What shapes a picture, and shapes what a network learns in the same way.
_COMPARED = (
    "content-layers", "style-layers", "style-weight", "statistic", "tv", "tv-weight", "pooling",
    "padding",
)  # fmt: skip
_ROW = 25  # steps that a row of the trace stands for


def train(arguments: dict[str, Any]) -> int:
    """`jaxstyle train PAINTING [PAINTING ...] --photos DIR -o NET`."""
    plan = _plan(arguments)
    watcher = _Watcher(plan, arguments)
    try:
        with watcher.bar:
            network = training.train(plan, watcher)
    except KeyboardInterrupt:
        watcher.close()
        if not watcher.step:
            raise
        raise KeyboardInterrupt(
            f"interrupted; {plan.output} holds step {watcher.step} of {watcher.steps}, and "
            "the same command with --resume goes on"
        ) from None
    watcher.close()
    names = [style.name for style in network.styles]
    if "json" in arguments:
        say_json({"output": str(plan.output), "styles": names, **network.metadata})
    elif "quiet" not in arguments:
        say(f"{plan.output}: paints {', '.join(names)} in one pass, after {watcher.steps} steps")
    return 0


def _plan(arguments: dict[str, Any]) -> training.Plan:
    """Returns what the arguments come to; reads all that the training needs."""
    output = Path(arguments["output"])
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: the file to write should end in .safetensors")
    if "new-styles-only" in arguments and "from" not in arguments:
        raise OptionError("{} needs {} beside it", "new-styles-only", "from")
    if "temporal-weight" in arguments and "for-video" not in arguments:
        raise OptionError("{} needs {} beside it", "temporal-weight", "for-video")
    if "architecture" in arguments and "from" in arguments:
        raise OptionError("{} and {} contradict each other; leave one out", "architecture", "from")
    if "steps" in arguments and "minutes" in arguments:
        raise OptionError("{} and {} contradict each other; leave one out", "steps", "minutes")
    paintings = files.find_pictures(arguments["paintings"])
    names = [path.stem for path in paintings]
    if len(set(names)) < len(names):
        raise UsageError("two paintings would both be called the same; rename one of the files")
    with naming("photos"):
        photographs = files.find_pictures([arguments["photos"]])
        check_number(photographs)
    outputs = [Output("output", output), Output("output", training.checkpoint_of(output))]
    outputs += [
        Output(name, Path(arguments[name])) for name in ("trace", "preview") if name in arguments
    ]
    origin = find_fast_network(arguments["from"]) if "from" in arguments else None
    check_outputs(outputs, [*paintings, *photographs, *([origin] if origin else [])])
    for each in outputs:
        with naming(each.option), usage_errors():
            files.check_writable(each.path)
    if "trace" in arguments:
        with naming("trace"):
            check_trace_name(arguments["trace"])
    if "preview" in arguments:
        with usage_errors("preview"):
            io.check_output_path(arguments["preview"])
    begun = None
    if origin is not None:
        with naming("from"):
            begun = load_network(origin)
            if begun.takes_paintings:
                raise UsageError(f"{origin}: paints like any painting; it has no styles to add to")
        _check_video(origin, begun, arguments)
    trim = "no-trim" not in arguments
    images = training.read_paintings(paintings, trim=trim)
    return training.Plan(
        paintings=paintings,
        photographs=Photographs(photographs),
        output=output,
        judge=_judge(arguments, images),
        side=arguments.get("size", 192),
        steps=arguments.get("steps"),
        minutes=arguments.get("minutes", 30.0),
        content_weight=arguments.get("content-weight", 1.0),
        seed=arguments.get("seed", 0),
        origin=begun,
        only_new="new-styles-only" in arguments,
        resume="resume" in arguments,
        architecture=arguments.get("architecture", "small"),
        batch=arguments.get("batch", len(jax.local_devices())),
        rate=arguments.get("learning-rate", 1e-3),
        options={name: arguments[name] for name in _COMPARED if name in arguments},
        trim=trim,
        temporal=arguments.get("temporal-weight", TEMPORAL) if "for-video" in arguments else None,
    )


def _check_video(path: Path, origin: FastNetwork, arguments: dict[str, Any]) -> None:
    """Raises `OptionError` if a network to begin with, and what it is to be, do not go together."""
    takes = origin.architecture.previous
    if takes and "for-video" not in arguments:
        raise OptionError(
            "{} {name} is a network for video, and forgets that otherwise; give {} too",
            "from", "for-video", name=path.name,
        )  # fmt: skip
    if "for-video" in arguments and "new-styles-only" in arguments and not takes:
        raise OptionError(
            "{} changes all of {name}, which paints each picture by itself; leave {} out",
            "for-video", "new-styles-only", name=path.name,
        )  # fmt: skip


def _judge(arguments: dict[str, Any], images: Sequence[Array]) -> load.Network:
    """Returns the loss network; one that is not normalised yet is, over the paintings."""
    name = arguments.get("network", "auto")
    preset = get_preset("default")
    with usage_errors("network"):
        return load.load_network(
            preset.network if name == "auto" else name,
            normalized=preset.normalized,
            images=images,
            fallback=COMPACT if name == "auto" else None,
            download="no-download" not in arguments,
        )


class _Watcher:
    """Follows a training: a progress bar, the trace and the sheet.

    Attributes:
      bar: the progress bar, a context manager.
      step: steps done.
      steps: steps in all.
    """

    def __init__(self, plan: training.Plan, arguments: dict[str, Any]):
        self._plan = plan
        self._quiet = "quiet" in arguments
        self._trace, self._preview = arguments.get("trace"), arguments.get("preview")
        self._rows: list[list[float]] = []
        self._columns: tuple[str, ...] = ()
        self._recent: list[Any] = []
        self._drawn, self._begun = time.monotonic(), time.time()
        self.bar = Steps(None, plan.output.name, quiet=self._quiet)
        self.step = self.steps = 0

    def __call__(self, moment: training.Moment) -> None:
        """Is told of a step."""
        if not self.step:
            self.bar.total = moment.steps
        self.bar.update(moment.step - self.step, f"loss {float(moment.report.loss):.3f}")
        self.step, self.steps = moment.step, moment.steps
        self._columns = moment.report._fields
        self._recent.append(moment.report)
        if len(self._recent) == _ROW or moment.step == moment.steps:
            self._rows.append([moment.step, *np.mean(np.asarray(self._recent), axis=0)])
            self._recent.clear()
        if time.monotonic() - self._drawn > _EVERY:
            self.close()
            self._drawn = time.monotonic()

    def close(self) -> None:
        """Writes the trace and the sheet of what is on the disk; what cannot be is named."""
        try:
            if self._trace and self._rows:
                self._write_trace(Path(self._trace))
            if self._preview and self._is_written():
                photograph = io.load_image(samples.LAKE, shape=_SHEET)
                write_sheet(Path(self._preview), load_network(self._plan.output), [photograph])
        except OSError as error:
            complain(f"warning: {error.filename or self._trace}: {error.strerror or error}")

    def _is_written(self) -> bool:
        """Tells whether this training has written its network: another may be there before."""
        output = self._plan.output
        return output.exists() and output.stat().st_mtime >= self._begun

    def _write_trace(self, path: Path) -> None:
        with (
            files.atomic_write(path) as partial,
            partial.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["step", *self._columns])
            writer.writerows(self._rows)
