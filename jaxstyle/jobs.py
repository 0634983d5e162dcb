"""From files to files: pictures to make, grouped into batches of one program.

A `Job` is one picture to make. A `Studio` reads what jobs need, each thing once, and runs batches
of them; who watches is told by `Monitor`s.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle import descent, io, recolor, sharding, transfer, vgg
from jaxstyle.batch import Lane, choose_width, descend_lanes, split
from jaxstyle.descent import Progress
from jaxstyle.io import Picture
from jaxstyle.memory import MemoryPlan, plan_memory
from jaxstyle.monitor import Monitor
from jaxstyle.objective import LossSpec, Targets
from jaxstyle.options import INITS
from jaxstyle.recipe import Recipe, find_network, make_recipe, make_weights
from jaxstyle.recolor import Seen
from jaxstyle.settings import settings_of
from jaxstyle.solvers import Solver
from jaxstyle.weights import Network


class Job(NamedTuple):
    """One picture to make.

    Attributes:
      content: the photograph's file, if the command takes one.
      style: the painting's file, if the command takes one.
      output: the file to write.
      recipe: how.
    """

    content: Path | None
    style: Path | None
    output: Path
    recipe: Recipe


class Program(NamedTuple):
    """What jobs must share to run in one compiled program.

    Attributes:
      network: the key of the network in its `Studio`.
      spec: what is compared.
      solver: the method.
      own_rate: whether the solver keeps its own learning rate.
      num_steps: steps of the solver.
      shape: height and width of the pictures.
    """

    network: tuple[Any, ...]
    spec: LossSpec
    solver: Solver
    own_rate: bool
    num_steps: int
    shape: tuple[int, int]


def make_job(
    command: str, content: Path | None, style: Path | None, output: Path, options: dict[str, Any]
) -> Job:
    """A job from parsed options; see `jaxstyle.recipe.make_recipe`."""
    return Job(content, style, output, make_recipe(command, options))


class Studio:
    """Reads pictures and networks, and makes lanes of jobs.

    Args:
      download: whether networks may be downloaded.
      split_rows: whether the rows of each picture are spread over all local devices.
    """

    def __init__(self, *, download: bool = True, split_rows: bool = False):
        self._download, self._split_rows = download, split_rows
        self._networks: dict[tuple[Any, ...], tuple[Recipe, Network]] = {}
        self._failed: dict[tuple[Any, ...], Exception] = {}
        self._shapes = functools.cache(self._measure)
        # Enough for the pictures of some batches: jobs come ordered by content, then style.
        self._load = functools.lru_cache(maxsize=64)(io.load_picture)
        self._see = functools.lru_cache(maxsize=4)(self._recolored)
        self._content_targets = functools.lru_cache(maxsize=8)(self._compute_content_targets)
        self._style_targets = functools.lru_cache(maxsize=256)(self._compute_style_targets)

    def check(self, job: Job) -> tuple[int, int]:
        """Reads a job's pictures, and returns height and width of the one to make.

        Raises:
          ValueError: if one is too small, or there is no such start; what reading them raises.
        """
        spec, options = job.recipe.spec, job.recipe.options
        shapes = []
        for path, size, layers in (
            (job.content, options["size"], spec.layers),
            (job.style, options.get("style_size", options["size"]), spec.style_layers),
        ):
            if path is not None:
                shapes.append(self._shapes(path, size))
                _check_size(*shapes[-1], spec, layers, path)
        height, width = options.get("output_size", shapes[0][0])
        try:
            vgg.check_size((height, width), spec.layers, spec.padding)
        except ValueError as error:
            raise ValueError(f"--output-size {width}x{height}: {error}") from None
        self._start(job, (height, width))
        return height, width

    def content(self, job: Job) -> Picture | None:
        """The job's photograph, if it has one."""
        if job.content is None:
            return None
        return self._load(job.content, size=job.recipe.options["size"])

    def style(self, job: Job) -> Picture | None:
        """The job's painting, if it has one."""
        if job.style is None:
            return None
        options = job.recipe.options
        return self._load(job.style, size=options.get("style_size", options["size"]))

    def network(self, job: Job, others: Iterable[Job] = ()) -> tuple[Recipe, Network]:
        """The network of a job, found once, and the job's recipe as it suits that network.

        Args:
          job: the job.
          others: whose pictures too a network may be normalised over.
        """
        key = _network_key(job.recipe)
        if key in self._failed:
            raise self._failed[key]
        if key not in self._networks:
            known = {
                id(picture): jnp.asarray(picture.image)
                for each in (job, *others)
                for picture in (self.content(each), self.style(each))
                if picture is not None
            }
            try:
                self._networks[key] = find_network(
                    job.recipe, list(known.values()), download=self._download
                )
            except Exception as error:
                self._failed[key] = error  # not tried again for every job of a sweep
                raise
        suited, network = self._networks[key]
        preset = suited.preset
        vgg.check_layers(job.recipe.spec.layers, vgg.network_widths(network.params))
        options = job.recipe.options | {"preset": preset.name}
        return job.recipe._replace(preset=preset, options=options), network

    def program(self, job: Job) -> Program:
        """Which compiled program the job runs in."""
        recipe = job.recipe
        return Program(
            network=_network_key(recipe),
            spec=recipe.spec,
            solver=recipe.solver,
            own_rate=recipe.learning_rate is None,
            num_steps=recipe.num_steps,
            shape=self.check(job),
        )

    def lane(self, job: Job) -> Lane:
        """The job as a lane of a batch: its start, targets and weights."""
        recipe, network = self.network(job)
        shape = self.check(job)
        options = recipe.options
        photograph = recolor.seen_content(job.content, options)
        painting = recolor.seen_style(job.style, job.content, options)
        content, style = self._see(photograph), self._see(painting)
        start = transfer.initial_image(
            self._start(job, shape), shape, network.params, content=content, style=style,
            noise=recipe.noise, key=jax.random.key(options["seed"]),
        )  # fmt: skip
        if self._split_rows:
            start = sharding.shard_rows(start)
        key, spec = _network_key(job.recipe), recipe.spec
        targets = Targets(
            self._content_targets(photograph, spec, key), self._style_targets(painting, spec, key)
        )
        weights = make_weights(recipe, network.params, shape)
        rate = recipe.learning_rate
        return Lane(start, targets, weights, None if rate is None else jnp.float32(rate))

    def settings(self, job: Job) -> dict[str, Any]:
        """What is kept inside the picture."""
        recipe, network = self.network(job)
        return settings_of(recipe.command, recipe.options, job.content, job.style, network)

    def finish(self, job: Job, image: Array) -> Array:
        """The picture to show of what the optimisation has made, its colours as the job asks."""
        return recolor.finish(image, self.content(job), job.recipe.options)

    def save(self, job: Job, image: Array, step: int, path: Path, **encoding: int) -> None:
        """Writes a picture of the job, with the settings that made it.

        Args:
          job: the job.
          image: `[H, W, 3]`.
          step: how many steps it has had.
          path: the file.
          **encoding: `quality` and `bit_depth`, as `jaxstyle.io.save_image` takes them.
        """
        content = self.content(job)
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

    def width(self, program: Program, job: Job) -> int:
        """How many lanes of a program run at once on the local devices."""
        if self._split_rows:
            return 1
        _, network = self.network(job)
        return choose_width(network.params, program.shape, spec=program.spec, solver=program.solver)

    def batch_width(self, program: Program, jobs: Sequence[Job], most: int | None = None) -> int:
        """The width that divides jobs of a program best, at most what fits or `most`."""
        return split(len(jobs), most or self.width(program, jobs[0]), len(jax.local_devices()))[0]

    def memory(self, program: Program, job: Job) -> MemoryPlan:
        """How much memory a program needs."""
        _, network = self.network(job)
        return plan_memory(network.params, program.shape, spec=program.spec, solver=program.solver)

    def run(
        self,
        program: Program,
        jobs: Sequence[Job],
        width: int,
        monitors: Sequence[Monitor],
        every: int,
    ) -> None:
        """Runs one batch, until its last step or until no lane's loss is finite.

        Args:
          program: of all the jobs.
          jobs: the lanes, at most `width`.
          width: of the compiled program.
          monitors: one for each job; each is told of its lane's progress.
          every: steps between reports.
        """
        if width == 1:
            for _ in self.run_one(program, jobs[0], monitors[0], every):
                pass
            return
        _, network = self.network(jobs[0])
        lanes = [self.lane(job) for job in jobs]
        several = jax.local_devices() if len(jax.local_devices()) > 1 else None
        for progress in descend_lanes(
            network.params, lanes, width=width, devices=several, spec=program.spec,
            solver=program.solver, num_steps=program.num_steps, every=every,
        ):  # fmt: skip
            info = jax.device_get(progress.info)
            for i, monitor in enumerate(monitors):
                monitor(
                    progress.step,
                    progress.image[i],
                    jax.tree.map(lambda leaf, lane=i: leaf[:, lane], info),
                )
            if not any(monitor.finite for monitor in monitors):
                break

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
        _, network = self.network(job)
        lane = self.lane(job)
        for progress in descent.descend(
            lane.image, network.params, lane.targets, weights=lane.weights,
            learning_rate=lane.learning_rate, spec=program.spec, solver=program.solver,
            num_steps=program.num_steps, every=every, resume=resume,
        ):  # fmt: skip
            monitor(progress.step, progress.state.image, progress.info)
            yield progress
            if not monitor.finite:
                return

    def _start(self, job: Job, shape: tuple[int, int]) -> Any:
        """What the optimisation starts from, as `jaxstyle.transfer.initial_image` takes it."""
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

    def _recolored(self, seen: Seen | None) -> Array | None:
        return recolor.see(seen, self._load)

    def _compute_content_targets(
        self, seen: Seen | None, spec: LossSpec, key: tuple[Any, ...]
    ) -> dict[str, Array]:
        image = self._see(seen)
        if image is None:
            return {}
        if self._split_rows:
            image = sharding.shard_rows(image)
        return transfer.content_targets(self._networks[key][1].params, image, spec)

    def _compute_style_targets(
        self, seen: Seen | None, spec: LossSpec, key: tuple[Any, ...]
    ) -> dict[str, Array]:
        image = self._see(seen)
        if image is None:
            return {}
        return transfer.style_targets(self._networks[key][1].params, image, spec)


def group(studio: Studio, jobs: Iterable[Job]) -> dict[Program, list[Job]]:
    """The jobs of each compiled program, in their order."""
    groups: dict[Program, list[Job]] = {}
    for job in jobs:
        groups.setdefault(studio.program(job), []).append(job)
    return groups


def batches(
    groups: dict[Program, list[Job]], width_of: Callable[[Program, list[Job]], int]
) -> Iterator[tuple[Program, list[Job], int]]:
    """The batches of all programs: which jobs, and the width that they are compiled for.

    Args:
      groups: from `group`.
      width_of: the width of a program's batches.
    """
    for program, jobs in groups.items():
        width = width_of(program, jobs)
        for start in range(0, len(jobs), width):
            yield program, jobs[start : start + width], width


def _network_key(recipe: Recipe) -> tuple[Any, ...]:
    return recipe.options["network"], recipe.preset.name, recipe.preset_given


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
