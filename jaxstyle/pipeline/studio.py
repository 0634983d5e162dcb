"""The studio: reads pictures and networks for jobs, each once, and writes what is made of them."""

import contextlib
import functools
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common import sharding
from jaxstyle._common.reading import sha256
from jaxstyle.errors import UsageError
from jaxstyle.image import io, pixels
from jaxstyle.networks.load import Network
from jaxstyle.networks.vgg import Params
from jaxstyle.optimization.batch import split
from jaxstyle.pipeline.job import Batch, Job
from jaxstyle.pipeline.job_targets import JobTargets
from jaxstyle.pipeline.metadata import settings_of
from jaxstyle.pipeline.method import Program
from jaxstyle.pipeline.recipe import Recipe
from jaxstyle.pipeline.sources import Sources


class Studio:
    """Reads what jobs need, and writes their pictures.

    Args:
      jobs: all that are to be made. A network whose mean activations nobody published is normalised
        over the pictures of all jobs that use it, whichever of them run first, or here.
      download: whether networks may be downloaded.
      split_rows: whether the rows of each picture are spread over all local devices.
      sources: reads pictures and masks; its own by default.

    Attributes:
      sources: as given.
      targets: makes the targets of jobs.
      split_rows: as given.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        *,
        download: bool = True,
        split_rows: bool = False,
        sources: Sources | None = None,
    ):
        self.sources, self.split_rows = sources or Sources(), split_rows
        self.targets = JobTargets(self.sources, self._params, self.lay_out)
        self._jobs, self._download = list(jobs), download
        self._networks: dict[tuple[Any, ...], Network] = {}
        self._failed: dict[tuple[Any, ...], Exception] = {}
        self._checked: set[tuple[Any, ...]] = set()
        self._reader = ThreadPoolExecutor(1)

    def shape(self, job: Job) -> tuple[int, int]:
        """Returns height and width of the picture to make, from its photograph's header."""
        if job.shape is not None:
            return job.shape
        path, size = job.sources[0]
        given: tuple[int, int] | None = job.recipe.options.get("output-size")
        return given or self.sources.shape(path, size)

    def check(self, job: Job) -> None:
        """Reads a job's pictures and finds what can be known to be wrong before anything is made.

        What was found right once is not looked at again.

        Raises:
          UsageError: if a picture is too small, or there is no such start.
          OSError, FileFormatError: if a picture cannot be read.
        """
        recipe, shape = job.recipe, self.shape(job)
        key = job.content, *job.sources, shape, recipe.options.get("init"), recipe.method
        if key not in self._checked:
            recipe.method.check(job, self)
            self._checked.add(key)

    def suited(self, job: Job) -> tuple[Recipe, Network]:
        """Returns the job's recipe as it suits its network, and the network, which is found once.

        Raises:
          OptionError: if there is no such network, or it lacks a layer.
          OSError, FileFormatError: if it cannot be had.
        """
        recipe = job.recipe
        network = self._network(job)
        method, options = recipe.method.suit(recipe.options, network)
        return recipe._replace(method=method, options=options), network

    def options(self, job: Job) -> dict[str, Any]:
        """Returns the job's options, as they suit its network where that was found already."""
        if job.network_key in self._networks:
            with contextlib.suppress(UsageError):  # they do not suit it at all
                return self.suited(job)[0].options
        return job.recipe.options

    def settings(self, job: Job, folder: Path | None = None) -> dict[str, Any]:
        """Returns the settings of the job's picture, as a picture in a folder keeps them."""
        recipe, network = self.suited(job)
        return settings_of(recipe, job.content, job.style, network, folder)

    def made_by(self, job: Job) -> dict[str, Any]:
        """Returns what has to be the same for a run of the job to go on from a snapshot."""
        settings = self.settings(job)
        del settings["given"]  # it does not matter whether a default was typed
        return settings | {"pictures": [sha256(path) for path in job.files]}

    def finish(self, job: Job, image: Array) -> Array:
        """Returns the picture to show of an image that the method has made.

        Its colours are as the job asks, and its size is that of the last scale.
        """
        shape = self.shape(job)
        if image.shape[:2] != shape:
            image = pixels.resize(image, shape)
        return self.sources.finish(job, image)

    def save(self, job: Job, image: Array, step: int, path: Path, **encoding: int) -> None:
        """Writes a picture of the job, with the settings that made it.

        Args:
          job: the job.
          image: `[H, W, 3]`.
          step: how many steps it has had.
          path: the file.
          **encoding: `quality` and `bit_depth`, as `jaxstyle.save_image` takes them.
        """
        content = None if job.content is None else self.sources.load(job.content, job.size)
        own = job.recipe.method.settings(job)
        if own and encoding:
            own["encoding"] = encoding
        end: dict[str, Any] = {"step": step} | own
        io.save_image(
            path,
            self.finish(job, image),
            alpha=content and content.alpha,
            settings=self.settings(job, path.parent) | end,
            **encoding,
        )

    def prefetch(self, jobs: Iterable[Job]) -> None:
        """Begins to read the photographs of jobs that come next, beside what is made now."""
        for job in jobs:
            if job.content is not None:
                self._reader.submit(self._read_early, job)

    def _read_early(self, job: Job) -> None:
        assert job.content is not None
        with contextlib.suppress(OSError, ValueError):  # whoever needs it will say so
            self.sources.load(job.content, job.shape or job.size)

    def lay_out(self, image: Array) -> Array:
        """Spreads the rows of an image over all devices, if the studio does that."""
        return sharding.shard_rows(image) if self.split_rows else image

    def width(self, program: Program, jobs: Sequence[Job], most: int | None = None) -> int:
        """Returns the width that divides jobs of a program best, at most what fits or `most`."""
        if most is None and self.split_rows:
            most = 1
        if most is None:
            most = jobs[0].recipe.method.choose_width(self, jobs[0], program.shape)
        return split(len(jobs), most, len(jax.local_devices()))[0]

    def plan(self, batches: Iterable[Batch], *, exact: bool = False) -> list[dict[str, Any]]:
        """Returns what batches come to: how many pictures each program makes, in which memory.

        Args:
          batches: the batches.
          exact: whether to ask the compiler for the memory, in place of a formula.
        """
        programs: dict[tuple[Program, int], list[Job]] = {}
        for program, jobs, width in batches:
            programs.setdefault((program, width), []).extend(jobs)
        facts = []
        for (program, lanes), jobs in programs.items():
            _, network = self.suited(jobs[0])
            memory = jobs[0].recipe.method.plan(self, jobs[0], program.shape, exact=exact)
            sizes = {self.shape(job) for job in jobs}
            height, width = sizes.pop() if len(sizes) == 1 else program.shape
            facts.append({
                "pictures": len(jobs),
                "width": width,
                "height": height,
                "steps": program.num_steps,
                "network": network.name,
                "lanes": lanes,
                "bytes": memory.total(lanes),
                "bytes_per_lane": memory.per_lane,
                "devices": len(jax.local_devices()),
            })  # fmt: skip
        return facts

    def _params(self, key: tuple[Any, ...]) -> Params:
        return self._networks[key].params

    def _network(self, job: Job) -> Network:
        key = job.network_key
        if key in self._failed:
            raise self._failed[key]
        if key not in self._networks:
            sharing = [each for each in self._jobs if each.network_key == key]
            named = dict.fromkeys(source for each in sharing or [job] for source in each.sources)
            try:
                self._networks[key] = job.recipe.method.find_network(
                    job.recipe.options,
                    _Pictures(self.sources, list(named)),
                    download=self._download,
                )
            except Exception as error:
                self._failed[key] = error  # not tried again for every job of a sweep
                raise
        return self._networks[key]


class _Pictures(Sequence[Array]):
    """The pictures that can be read of those named, each read when it is its turn.

    A sweep may have thousands, and most networks ask for none of them.
    """

    def __init__(self, sources: Sources, named: list[tuple[Path, int | None]]):
        self._sources, self._named = sources, named

    def __bool__(self) -> bool:
        return bool(self._named)

    def __len__(self) -> int:
        return len(self._readable)

    def __getitem__(self, index: Any) -> Any:
        return jnp.asarray(self._sources.load(*self._readable[index]).image)

    @functools.cached_property
    def _readable(self) -> list[tuple[Path, int | None]]:
        readable = []
        for source in self._named:
            # The job that the picture belongs to will say so.
            with contextlib.suppress(OSError, ValueError):
                self._sources.shapes(*source)
                readable.append(source)
        return readable
