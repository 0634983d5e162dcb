"""The method of optimisation: a solver changes the pixels until they fit their targets."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle.errors import OptionError, usage_errors
from jaxstyle.image import pixels
from jaxstyle.losses.spec import LossSpec
from jaxstyle.networks import vgg
from jaxstyle.networks.catalogue import COMPACT
from jaxstyle.networks.load import Network, load_network
from jaxstyle.networks.spec import VGGSpec
from jaxstyle.optimization import transfer
from jaxstyle.optimization.batch import Lane, choose_width
from jaxstyle.optimization.estimate import estimate_memory, target_forms
from jaxstyle.optimization.memory import MemoryPlan, plan_memory
from jaxstyle.optimization.multiscale import Scale, descend_scales, scale_at
from jaxstyle.optimization.presets import Preset, get_preset
from jaxstyle.optimization.sizes import scaled_shape
from jaxstyle.optimization.step import start_forms
from jaxstyle.optimization.strength import fade
from jaxstyle.pipeline.checks import check_pictures
from jaxstyle.pipeline.digests import digests
from jaxstyle.pipeline.file_options import Structure, structure
from jaxstyle.pipeline.method import Reports, Resume
from jaxstyle.pipeline.optimise_options import (
    make_solver,
    make_weights,
    strength_of,
)
from jaxstyle.pipeline.options import starts
from jaxstyle.pipeline.starts import start_of
from jaxstyle.solvers import Info, Solver, State

if TYPE_CHECKING:
    from jaxstyle.pipeline.job import Job
    from jaxstyle.pipeline.studio import Studio


class Program(NamedTuple):
    """What jobs must share to run in one compiled program.

    Attributes:
      network: the key of the network; see `Optimisation.network_key`.
      spec: what is compared.
      solver: the solver.
      solver_name: the settings that the solver was made from, as text.
      own_rate: whether the solver keeps its own learning rate.
      scales: the sizes on the way and the steps at each.
      shape: height and width of the pictures.
      structure: how many styles they mix, and whether by regions.
    """

    network: tuple[Any, ...]
    spec: LossSpec
    solver: Solver
    solver_name: str
    own_rate: bool
    scales: tuple[Scale, ...]
    shape: tuple[int, int]
    structure: Structure = Structure()

    @property
    def num_steps(self) -> int:
        """Steps of the solver over all scales."""
        return sum(scale.num_steps for scale in self.scales)

    @property
    def text(self) -> str:
        """A text that equal programs have in common in every process."""
        # A solver's own repr has addresses.
        return repr([part for part in self if part is not self.solver])

    @property
    def compiled(self) -> str:
        """A text that is the same for what is compiled alike, whatever the steps."""
        return self._replace(
            scales=tuple(scale._replace(num_steps=1) for scale in self.scales)
        ).text


@dataclasses.dataclass(frozen=True)
class Optimisation:
    """How a picture is optimised.

    Attributes:
      preset: the recipe that the options change.
      preset_given: whether the options name it.
      spec: what is compared.
      solver: the solver.
      solver_name: the settings that the solver was made from, as text.
      learning_rate: of the solver, or None for its own.
      scales: the sizes on the way and the steps at each; the last size is that of the picture.
      noise: standard deviation of the noise in the start, or None for the start's own.
    """

    preset: Preset
    preset_given: bool
    spec: LossSpec
    solver: Solver
    solver_name: str
    learning_rate: float | None
    scales: tuple[Scale, ...]
    noise: float | None

    @property
    def num_steps(self) -> int:
        """Steps of the solver over all scales."""
        return sum(scale.num_steps for scale in self.scales)

    @property
    def vgg(self) -> VGGSpec:
        """How the network is computed: options name no network of the user's own."""
        return cast(VGGSpec, self.spec.network)

    def network_key(self, options: Mapping[str, Any]) -> tuple[Any, ...]:
        """Returns what decides the network: jobs with equal keys share it."""
        return options["network"], self.preset.name, self.preset_given

    def program(self, job: "Job", shape: tuple[int, int]) -> Program:
        """Returns the program of a job whose picture has a height and width."""
        return Program(
            network=job.network_key,
            spec=self.spec,
            solver=self.solver,
            solver_name=self.solver_name,
            own_rate=self.learning_rate is None,
            scales=self.scales,
            shape=shape,
            structure=structure(job.recipe.options),
        )

    def find_network(
        self, options: Mapping[str, Any], images: Sequence[Array], *, download: bool
    ) -> Network:
        """Returns the network of a recipe, prepared as its preset feeds it.

        Args:
          options: of the recipe.
          images: a network other than Oxford's VGG-19 is normalised over these.
          download: whether it may be downloaded.

        Raises:
          OptionError: if there is no such network.
          FileNotFoundError, DownloadError, FileFormatError: as for `load_network`.
        """
        name, preset = options["network"], self.preset
        with usage_errors("network"):
            network = load_network(
                preset.network if name == "auto" else name,
                # A file of the user's is taken as it is, unless the recipe asks for more.
                normalized=preset.normalized or (False if name in ("auto", COMPACT) else None),
                images=images,
                fallback=COMPACT if name == "auto" else None,
                download=download,
            )
        params = preset.prepare(network.params, network.metadata["weights"])
        return network._replace(params=dict(params))

    def suit(
        self, options: dict[str, Any], network: Network
    ) -> tuple["Optimisation", dict[str, Any]]:
        """Returns the method and the options as they suit a network.

        The compact network has a recipe of its own, which it gets unless another is given. It is
        known by what its file says, not by its name: the file may be a copy.

        Raises:
          OptionError: if the network lacks a layer; the message lists its layers.
        """
        try:
            vgg.check_layers(self.spec.layers, vgg.network_widths(network.params))
        except ValueError as error:
            name = options["network"]
            raise OptionError("{} {name}: {error}", "network", name=name, error=error) from None
        if network.metadata["network"] != COMPACT or self.preset_given:
            return self, options
        preset = get_preset(COMPACT)
        options = options | {"preset": preset.name}
        solver, name = make_solver(preset, options)
        return dataclasses.replace(self, preset=preset, solver=solver, solver_name=name), options

    def settings(self, job: "Job") -> dict[str, Any]:
        """Returns the SHA-256 of all files that the picture is made from, by what they are."""
        named = {f"{role} {i}": path for i, (role, path) in enumerate(job.named_files, 1)}
        return {"sources": digests({"content": job.content, "painting": job.style, **named})}

    def check(self, job: "Job", studio: "Studio") -> None:
        """Reads all pictures and masks of a job, and looks at their sizes.

        Raises:
          UsageError: if a picture is too small for the layers, or cannot be a start.
          OSError, FileFormatError: if a picture or a mask cannot be read.
        """
        check_pictures(job, studio, self.spec, self.vgg.padding)

    def choose_width(self, studio: "Studio", job: "Job", shape: tuple[int, int]) -> int:
        """Returns how many jobs of a picture's size run best at once."""
        method, network = suited(studio, job)
        return choose_width(network.params, shape, spec=self.spec, solver=method.solver)

    def plan(
        self, studio: "Studio", job: "Job", shape: tuple[int, int], *, exact: bool
    ) -> MemoryPlan:
        """Returns the memory that jobs of a picture's size take; see `Method.plan`."""
        method, network = suited(studio, job)
        parts = structure(job.recipe.options)
        targets = target_forms(
            network.params, shape, self.spec, styles=parts.num_styles, guided=parts.guided,
            kept=parts.kept, protected=parts.protected,
        )  # fmt: skip
        find = plan_memory if exact else estimate_memory
        return find(network.params, shape, spec=self.spec, solver=method.solver, targets=targets)

    def run(
        self,
        studio: "Studio",
        program: Program,
        jobs: Sequence["Job"],
        width: int,
        every: int,
        *,
        resume: Resume | None = None,
        on_error: Callable[[int, Exception], None] | None = None,
        able: Callable[[int], bool] = lambda _: True,
    ) -> Iterator[Reports]:
        """Runs a batch to its last step, and reports its start and its progress.

        Args:
          studio: reads pictures and networks.
          program: of all the jobs.
          jobs: at most `width`.
          width: of the compiled program.
          every: steps between reports.
          resume: returns where to go on, given the forms of what is carried; for one job.
          on_error: is told the place of a job that cannot be prepared, and why. A copy of another
            job then takes its place, so that the others' pictures are what they would have been.
            By default the error is raised.
          able: whether the job of a place goes on to the next scale.
        """
        batch = _Batch(studio, program, jobs, on_error, able)
        first = batch.lanes_at(0, None)
        if not first:
            return
        method, network = suited(studio, jobs[batch.places[0]])
        solver, begun = method.solver, None
        if resume is not None:

            def forms(step: int) -> tuple[State, Info]:
                number, _ = scale_at(program.scales, step)
                image, targets, *_ = (batch.lanes_at(number, None) if number else first)[0]
                options: Any = {"spec": program.spec, "solver": solver}
                return start_forms(image, network.params, targets, **options)

            begun = resume(forms)
        if begun is None:
            yield Reports(0, {i: first[i].targets.seen(first[i].image) for i in batch.places}, {})
        several = jax.local_devices() if width > 1 and len(jax.local_devices()) > 1 else None
        for number, progress in descend_scales(
            network.params,
            program.scales,
            lambda number, images: batch.lanes_at(number, images) if number else first,
            width=width,
            devices=several,
            spec=program.spec,
            solver=solver,
            every=every,
            resume=begun,
        ):
            info = jax.device_get(progress.info)
            _, done = scale_at(program.scales, progress.step)
            # The start of a later scale was reported as the end of the one before.
            rows = slice(max(0, len(info.loss) - (progress.step - done)) if number else 0, None)
            yield Reports(
                progress.step,
                {i: progress.image[i] for i in batch.places},
                {i: jax.tree.map(lambda x, at=(rows, i): x[at], info) for i in batch.places},
                progress.progress,
            )


class _Batch:
    """The lanes of a batch from scale to scale.

    Attributes:
      places: those of the jobs that have a lane of their own; copies stand in for the others.
    """

    def __init__(
        self,
        studio: "Studio",
        program: Program,
        jobs: Sequence["Job"],
        on_error: Callable[[int, Exception], None] | None,
        able: Callable[[int], bool],
    ):
        self.places = list(range(len(jobs)))
        self._studio, self._program, self._jobs = studio, program, jobs
        self._on_error, self._able = on_error, able

    def lanes_at(self, number: int, images: Array | None) -> list[Lane]:
        """Returns the lanes at a scale, from the images before, if there are any."""
        lanes: dict[int, Lane] = {}
        for i in filter(self._able, self.places):
            try:
                lanes[i] = self._lane(number, i, images)
            except Exception as error:
                if self._on_error is None:
                    raise
                self._on_error(i, error)
        self.places = list(lanes)
        stand_in = next(iter(lanes.values()), None)
        return [] if stand_in is None else [lanes.get(i, stand_in) for i in range(len(self._jobs))]

    def _lane(self, number: int, i: int, images: Array | None) -> Lane:
        scales, job = self._program.scales, self._jobs[i]
        if number + 1 < len(scales):
            job = _at(job, scales[number], self._program.shape)
        lane = prepare(self._studio, job)
        if images is None:
            return lane
        image = pixels.resize(images[i], self._studio.shape(job))
        return lane._replace(image=self._studio.lay_out(image))


def suited(studio: "Studio", job: "Job") -> tuple[Optimisation, Network]:
    """Returns the method of an optimised job as it suits the network, and the network."""
    recipe, network = studio.suited(job)
    assert isinstance(recipe.method, Optimisation)
    return recipe.method, network


def prepare(studio: "Studio", job: "Job") -> Lane:
    """Returns the job as a lane of a batch: its start, targets and weights.

    Raises:
      UsageError: if a picture or a mask of the job does not fit.
    """
    studio.check(job)
    method, network = suited(studio, job)
    shape = studio.shape(job)
    content, style = studio.sources.pictures(job)
    options = job.recipe.options
    key = jax.random.key(options["seed"])
    begun = start_of(studio, job, shape, content, style)
    start = transfer.initial_image(
        begun, shape, network.params, content=content, style=style, noise=method.noise, key=key,
    )  # fmt: skip
    strength = strength_of(method.preset, options)
    if strength is not None and strength.fade and options["init"] in starts(job.recipe.command):
        # A picture of the user's is where to go on from, as it is.
        start = fade(start, strength.fade, network.params, key)
    weights = make_weights(method.preset, method.spec, options, network.params, shape)
    rate = method.learning_rate
    return Lane(
        studio.lay_out(start),
        studio.targets(job, method.spec, shape),
        weights,
        None if rate is None else jnp.float32(rate),
    )


def _at(job: "Job", scale: Scale, shape: tuple[int, int]) -> "Job":
    """Returns a job at one of its scales, whose last one has a height and width."""
    options = job.recipe.options
    ratio = scale.size / options["size"]
    options = options | {"size": scale.size, "steps": scale.num_steps}
    if "style-size" in options:
        options["style-size"] = max(1, round(options["style-size"] * ratio))
    assert isinstance(job.recipe.method, Optimisation)
    method = dataclasses.replace(job.recipe.method, scales=(scale,))
    return job._replace(
        recipe=job.recipe._replace(options=options, method=method),
        shape=scaled_shape(shape, max(1, round(max(shape) * ratio))),
    )
