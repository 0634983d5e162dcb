"""From files to files: a `Studio` reads what jobs need, each thing once, and runs batches of them.

Who watches is told by `Monitor`s. What jobs and batches are, `jaxstyle.pipeline.job` says.
"""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common import sharding
from jaxstyle.image import io, pixels
from jaxstyle.image.io import Picture
from jaxstyle.losses.spec import LossSpec
from jaxstyle.networks import vgg
from jaxstyle.networks.load import Network
from jaxstyle.optimization import descent, transfer
from jaxstyle.optimization.batch import Lane, choose_width, descend_lanes, split
from jaxstyle.optimization.descent import Progress
from jaxstyle.optimization.memory import plan_memory
from jaxstyle.pipeline import recolor
from jaxstyle.pipeline.job import Batch, Job, OnError, Program
from jaxstyle.pipeline.metadata import settings_of
from jaxstyle.pipeline.monitor import Monitor
from jaxstyle.pipeline.options import INITS
from jaxstyle.pipeline.recipe import Recipe, check_layers, find_network, make_weights, with_preset
from jaxstyle.pipeline.sources import Aims


class Studio:
    """Reads pictures and networks, and makes lanes of jobs.

    Args:
      jobs: all that are to be made. A network whose mean activations nobody published is normalised
        over the pictures of all those that use it, whichever of them run first, or here.
      download: whether networks may be downloaded.
      split_rows: whether the rows of each picture are spread over all local devices.
    """

    def __init__(self, jobs: Iterable[Job], *, download: bool = True, split_rows: bool = False):
        self._jobs, self._download, self._split_rows = list(jobs), download, split_rows
        self._networks: dict[tuple[Any, ...], tuple[Recipe, Network]] = {}
        self._failed: dict[tuple[Any, ...], Exception] = {}
        self._shapes = functools.cache(self._measure)
        # Enough for the pictures of some batches: jobs come ordered by content, then style.
        self._load = functools.lru_cache(maxsize=64)(io.load_picture)
        self._aims = Aims(
            self._load, lambda key: self._networks[key][1].params, split_rows=split_rows
        )

    def shape(self, job: Job) -> tuple[int, int]:
        """Height and width of the picture to make: nothing but its photograph is read for them."""
        if job.shape is not None:
            return job.shape
        path, size = job.sources[0]
        given: tuple[int, int] | None = job.recipe.options.get("output_size")
        return given or self._shapes(path, size)[0]

    def check(self, job: Job) -> None:
        """Reads a job's pictures.

        Raises:
          ValueError: if one is too small, or there is no such start; what reading them raises.
        """
        spec = job.recipe.spec
        for path, size in job.sources:
            layers = spec.layers if path == job.content else spec.style_layers
            _check_size(*self._shapes(path, size), spec, layers, path)
        height, width = shape = self.shape(job)
        try:
            vgg.check_size(shape, spec.layers, spec.padding)
        except ValueError as error:
            raise ValueError(f"--output-size {width}x{height}: {error}") from None
        self._start(job, shape)

    def network(self, job: Job) -> tuple[Recipe, Network]:
        """The network of a job, found once, and the job's recipe as it suits that network."""
        key = job.network_key
        if key in self._failed:
            raise self._failed[key]
        if key not in self._networks:
            sharing = [each for each in self._jobs if each.network_key == key]
            named = dict.fromkeys(source for each in sharing or [job] for source in each.sources)
            try:
                self._networks[key] = find_network(
                    job.recipe, _Pictures(self, list(named)), download=self._download
                )
            except Exception as error:
                self._failed[key] = error  # not tried again for every job of a sweep
                raise
        suited, network = self._networks[key]
        check_layers(job.recipe, network)
        return with_preset(job.recipe, suited.preset), network

    def lane(self, job: Job) -> Lane:
        """The job as a lane of a batch: its start, targets and weights."""
        self.check(job)
        recipe, network = self.network(job)
        shape = self.shape(job)
        content, style = self._aims.pictures(job)
        start = transfer.initial_image(
            self._start(job, shape), shape, network.params, content=content, style=style,
            noise=recipe.noise, key=jax.random.key(recipe.options["seed"]),
        )  # fmt: skip
        if self._split_rows:
            start = sharding.shard_rows(start)
        targets = self._aims.targets(job, shape)
        weights = make_weights(recipe, network.params, shape)
        rate = recipe.learning_rate
        return Lane(start, targets, weights, None if rate is None else jnp.float32(rate))

    def settings(self, job: Job) -> dict[str, Any]:
        """What is kept inside the picture."""
        recipe, network = self.network(job)
        return settings_of(recipe.command, recipe.options, job.content, job.style, network)

    def finish(self, job: Job, image: Array) -> Array:
        """The picture to show of what the optimisation has made.

        Its colours are as the job asks, and its size is that of the last scale.
        """
        shape = self.shape(job)
        if image.shape[:2] != shape:
            image = pixels.resize(image, shape)
        return recolor.finish(image, self._content(job), job.recipe.options)

    def save(self, job: Job, image: Array, step: int, path: Path, **encoding: int) -> None:
        """Writes a picture of the job, with the settings that made it.

        Args:
          job: the job.
          image: `[H, W, 3]`.
          step: how many steps it has had.
          path: the file.
          **encoding: `quality` and `bit_depth`, as `jaxstyle.image.io.save_image` takes them.
        """
        content = self._content(job)
        try:
            io.save_image(
                path,
                self.finish(job, image),
                alpha=content and content.alpha,
                settings=self.settings(job) | {"step": step},
                **encoding,
            )
        except OSError as error:
            if error.errno is None:
                raise
            raise OSError(error.errno, error.strerror, str(path)) from error

    def width(self, program: Program, jobs: Sequence[Job], most: int | None = None) -> int:
        """The width that divides jobs of a program best, at most what fits or `most`."""
        if most is None and self._split_rows:
            most = 1
        if most is None:
            recipe, network = self.network(jobs[0])
            most = choose_width(
                network.params, program.shape, spec=program.spec, solver=recipe.solver
            )
        return split(len(jobs), most, len(jax.local_devices()))[0]

    def plan(self, batches: Iterable[Batch]) -> list[dict[str, Any]]:
        """What batches come to: of each program, how many pictures, and the memory they take."""
        programs: dict[tuple[Program, int], list[Job]] = {}
        for program, jobs, width in batches:
            programs.setdefault((program, width), []).extend(jobs)
        facts = []
        for (program, width), jobs in programs.items():
            recipe, network = self.network(jobs[0])
            memory = plan_memory(
                network.params, program.shape, spec=program.spec, solver=recipe.solver
            )
            facts.append({
                "pictures": len(jobs),
                "width": program.shape[1],
                "height": program.shape[0],
                "steps": program.num_steps,
                "network": network.name,
                "lanes": width,
                "bytes": memory.total(width),
                "bytes_per_lane": memory.per_lane,
                "devices": len(jax.local_devices()),
            })  # fmt: skip
        return facts

    def run(
        self,
        program: Program,
        jobs: Sequence[Job],
        width: int,
        monitors: Sequence[Monitor],
        every: int,
        on_error: OnError | None = None,
    ) -> None:
        """Runs one batch, until its last step or until no lane's loss is finite.

        Args:
          program: of all the jobs.
          jobs: the lanes, at most `width`.
          width: of the compiled program.
          monitors: one for each job; each is told of its lane's progress.
          every: steps between reports.
          on_error: told of a job that has no lane, and why; a copy of another lane stands in for
            it, so that the others' pictures are what they would have been. By default the error
            is raised.
        """
        ends: Array | None = None
        able = dict(enumerate(jobs))
        for number in range(len(program.scales)):
            lanes: dict[int, Lane] = {}
            for i, job in able.items():
                try:
                    lanes[i] = self._lane_at(
                        job, program, number, None if ends is None else ends[i]
                    )
                except Exception as error:
                    if on_error is None:
                        raise
                    on_error(job, error)
            if not lanes:
                return
            suited = self.network(jobs[next(iter(lanes))])
            ends = self._run_scale(suited, program, number, lanes, width, monitors, every)
            # Who failed or diverged at one scale has no part in the next.
            able = {i: able[i] for i in lanes if monitors[i].finite}

    def _run_scale(
        self,
        suited: tuple[Recipe, Network],
        program: Program,
        number: int,
        lanes: dict[int, Lane],
        width: int,
        monitors: Sequence[Monitor],
        every: int,
    ) -> Array:
        """Runs a batch at one of its program's scales; returns the images, `[jobs, H, W, 3]`."""
        recipe, network = suited
        stand_in = next(iter(lanes.values()))
        several = jax.local_devices() if width > 1 and len(jax.local_devices()) > 1 else None
        done = sum(scale.num_steps for scale in program.scales[:number])
        for progress in descend_lanes(
            network.params, [lanes.get(i, stand_in) for i in range(len(monitors))], width=width,
            devices=several, spec=program.spec, solver=recipe.solver,
            num_steps=program.scales[number].num_steps, every=every,
        ):  # fmt: skip
            info = jax.device_get(progress.info)
            # The start is the end of the scale before, which was reported.
            rows = slice(max(0, len(info.loss) - progress.step) if number else 0, None)
            for i in lanes:
                monitors[i](
                    done + progress.step,
                    progress.image[i],
                    jax.tree.map(lambda leaf, of=(rows, i): leaf[of], info),
                )
            if not any(monitors[i].finite for i in lanes):
                break
        return progress.image

    def _lane_at(self, job: Job, program: Program, number: int, start: Array | None) -> Lane:
        """The job's lane at one of its program's scales, from the image before, if there is one."""
        last = number + 1 == len(program.scales)
        job = job if last else job.at(program.scales[number], program.shape)
        lane = self.lane(job)
        if start is None:
            return lane
        # The solver begins anew: what it knew of a smaller picture says little.
        image = pixels.resize(start, self.shape(job))
        return lane._replace(image=sharding.shard_rows(image) if self._split_rows else image)

    def run_one(
        self,
        program: Program,
        job: Job,
        monitor: Monitor,
        every: int,
        resume: Progress | None = None,
    ) -> Iterator[Progress]:
        """Runs one job; as an iterator, for who wants to keep more than the monitor does.

        Args:
          program: the job's.
          job: the job.
          monitor: is told of the progress.
          every: steps between reports.
          resume: where to go on; see `jaxstyle.descend`.
        """
        recipe, network = self.network(job)
        lane = self.lane(job)
        for progress in descent.descend(
            lane.image, network.params, lane.targets, weights=lane.weights,
            learning_rate=lane.learning_rate, spec=program.spec, solver=recipe.solver,
            num_steps=program.num_steps, every=every, resume=resume,
        ):  # fmt: skip
            monitor(progress.step, lane.targets.seen(progress.state.image), progress.info)
            yield progress
            if not monitor.finite:
                return

    def _content(self, job: Job) -> Picture | None:
        return None if job.content is None else self._load(job.content, size=job.size)

    def _start(self, job: Job, shape: tuple[int, int]) -> Any:
        """What the optimisation starts from, as `initial_image` takes it."""
        init, names = job.recipe.options["init"], INITS[job.recipe.command]
        if init in names:
            return init
        if init in get_args(transfer.Init) or not Path(init).exists():
            raise ValueError(f"--init {init}: no such file; use {', '.join(names)} or a picture")
        return jnp.asarray(self._load(Path(init), shape=shape).image)

    def _measure(self, path: Path, size: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Height and width of a picture at a size, and of its file."""
        picture = self._load(path, size=size)
        return (picture.image.shape[0], picture.image.shape[1]), picture.source_shape


class _Pictures(Sequence[Array]):
    """The pictures that can be read of those named, each read when it is its turn.

    A sweep may have thousands, and most networks ask for none of them.
    """

    def __init__(self, studio: Studio, named: list[tuple[Path, int]]):
        self._studio, self._named = studio, named

    def __bool__(self) -> bool:
        return bool(self._named)

    def __len__(self) -> int:
        return len(self._readable)

    def __getitem__(self, index: Any) -> Any:
        path, size = self._readable[index]
        return jnp.asarray(self._studio._load(path, size=size).image)

    @functools.cached_property
    def _readable(self) -> list[tuple[Path, int]]:
        readable = []
        for source in self._named:
            # Whose job it is will say so.
            with contextlib.suppress(OSError, ValueError):
                self._studio._shapes(*source)
                readable.append(source)
        return readable


def _check_size(
    shape: tuple[int, int],
    source: tuple[int, int],
    spec: LossSpec,
    layers: tuple[str, ...],
    path: Path,
) -> None:
    """Refuses a picture too small for the layers, also one that only enlarging made big enough."""
    remedies = {
        source: "use a larger picture, or layers of earlier blocks",
        shape: "use a larger --size, or layers of earlier blocks",
    }
    for each, remedy in remedies.items():
        try:
            vgg.check_size(each, layers, spec.padding)
        except ValueError as error:
            raise ValueError(f"{path}: {error}; {remedy}") from None
