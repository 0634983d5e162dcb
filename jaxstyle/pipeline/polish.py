"""Polish: a few steps of optimisation after a picture that was there at once.

The compact network judges, by the recipe `quick`. Pictures are extended by their reflection to
sides that are multiples of 32, so that a few programs serve all sizes.
"""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.arrays import to_device
from jaxstyle.losses.spec import LossSpec, LossWeights
from jaxstyle.losses.targets import Targets, content_targets, measure_style
from jaxstyle.networks.catalogue import COMPACT, find_params
from jaxstyle.networks.load import Network, load_network
from jaxstyle.optimization.descent import Progress, descend
from jaxstyle.optimization.estimate import estimate_memory
from jaxstyle.optimization.memory import MemoryPlan, plan_memory
from jaxstyle.optimization.presets import get_preset
from jaxstyle.optimization.step import start_forms
from jaxstyle.solvers import Info, Solver, State

_MULTIPLE = 32
_LARGE = 2**21  # pixels from where on memory matters more than time
# Pixels times steps up to which it takes longer to compile the step than to make the steps.
_BRIEF = 2**22


class Polisher(NamedTuple):
    """What judges the pictures.

    Attributes:
      network: the compact network.
      spec: what is compared.
      solver: the solver.
    """

    network: Network
    spec: LossSpec
    solver: Solver

    def spec_at(self, shape: tuple[int, int]) -> LossSpec:
        """Returns what is compared in pictures of a height and width: large ones in bands."""
        return self.spec.with_vgg(memory="low") if shape[0] * shape[1] > _LARGE else self.spec

    def weights(self, shape: tuple[int, int]) -> LossWeights:
        """Returns the weights for pictures of a height and width."""
        return get_preset("quick").weights(self.network.params, shape)


def polisher() -> Polisher:
    """Returns the judge, which ships with the package."""
    return _polisher(find_params(COMPACT))


@functools.lru_cache(maxsize=1)
def _polisher(path: Path | None) -> Polisher:
    preset = get_preset("quick")
    network = load_network(COMPACT if path is None else str(path), normalized=True)
    return Polisher(network._replace(name=COMPACT), preset.spec, preset.solver())


def measure_painting(painting: Array) -> dict[str, Any]:
    """Returns the statistics of a painting that `polish` brings a picture to.

    Args:
      painting: `[H, W, 3]`. One that is too small for the network is extended too.

    Returns:
      `{layer: [C, C]}`, Gram matrices.
    """
    judge, painting = polisher(), large_enough(painting)
    found: dict[str, Any] = measure_style(judge.network.params, painting, spec=judge.spec)
    return found


def measure_paintings(images: Sequence[Array]) -> dict[str, Any]:
    """Returns the statistics of paintings after which pictures are polished, `[N, C, C]` each."""
    measured = [measure_painting(image) for image in images]
    return {layer: np.stack([each[layer] for each in measured]) for layer in measured[0]}


def measure_mixture(paintings: Sequence[Array], shares: Sequence[float]) -> dict[str, Any]:
    """Returns the statistics of a mixture of paintings.

    Args:
      paintings: each `[H, W, 3]`.
      shares: how much each of them counts.
    """
    return mix_statistics(measure_paintings(paintings), shares)


def mix_statistics(known: Mapping[str, Any], shares: Sequence[float]) -> dict[str, Any]:
    """Returns weighted sums of the statistics `{layer: [N, C, C]}` of N paintings."""
    weights = np.asarray(shares, np.float32)
    return {
        layer: jnp.tensordot(weights, each, 1, precision="highest") for layer, each in known.items()
    }


def large_enough(painting: Array) -> Array:
    """Returns a painting, extended by its reflection if it is too small for the network."""
    return extend(painting, *enough(painting.shape[:2]))


def enough(shape: Sequence[int]) -> tuple[int, int]:
    """Returns a height and width, or what the network needs at least."""
    height, width = (max(side, _MULTIPLE) for side in shape)
    return height, width


def plan_polish(shape: tuple[int, int], *, exact: bool) -> MemoryPlan:
    """Returns the memory that `polish` takes.

    Args:
      shape: height and width of the picture.
      exact: whether to ask the compiler, in place of a formula.
    """
    judge, find = polisher(), plan_memory if exact else estimate_memory
    return find(
        judge.network.params, _extended(shape), spec=judge.spec_at(shape), solver=judge.solver
    )


class Polish(NamedTuple):
    """The polish of one picture: what is compared, and with what.

    Attributes:
      shape: height and width of the picture.
      spec: what is compared.
      targets: the features of the photograph, and the statistics of the painting.
      weights: how much each part counts.
    """

    shape: tuple[int, int]
    spec: LossSpec
    targets: Targets
    weights: LossWeights

    def run(
        self, image: Array, num_steps: int, resume: Progress | None = None
    ) -> Iterator[Progress]:
        """Makes steps, and yields a report after each.

        Args:
          image: `[H, W, 3]`, the picture to begin with.
          num_steps: steps of the solver in all.
          resume: a report of an earlier run of the same polish, to go on from with the same bits.
            The image is not looked at then.
        """
        judge = polisher()
        begun = self._extend(image) if resume is None else resume.state.image
        return descend(
            begun, judge.network.params, self.targets, spec=self.spec, weights=self.weights,
            solver=judge.solver, num_steps=num_steps, every=1, resume=resume,
            brief=is_brief(self.shape, num_steps),
        )  # fmt: skip

    def forms(self) -> tuple[State, Info]:
        """Returns the shapes and types of what a run carries after any number of steps."""
        judge = polisher()
        image = jnp.zeros((*_extended(self.shape), 3))
        return start_forms(
            image, judge.network.params, self.targets, spec=self.spec, solver=judge.solver
        )

    def picture(self, image: Array) -> Array:
        """Returns the picture `[H, W, 3]` of the image that a run carries, clipped."""
        height, width = self.shape
        return jnp.clip(image[:height, :width], 0, 1)

    def _extend(self, image: ArrayLike) -> Array:
        return extend(image, *_extended(self.shape))


def is_brief(shape: tuple[int, int], num_steps: int) -> bool:
    """Tells whether a polish has so few steps that to compile its program takes longer."""
    return num_steps * math.prod(_extended(shape)) <= _BRIEF


def make_polish(photograph: Array, style: Mapping[str, Any]) -> Polish:
    """Returns the polish towards the style of a painting and a photograph's content.

    Args:
      photograph: `[H, W, 3]`.
      style: from `measure_painting`.
    """
    judge = polisher()
    shape = (photograph.shape[0], photograph.shape[1])
    spec = judge.spec_at(shape)
    content = extend(photograph, *_extended(shape))
    targets = content_targets(judge.network.params, content, spec)._replace(style=dict(style))
    return Polish(shape, spec, targets, judge.weights(_extended(shape)))


def polish(
    image: Array, photograph: Array, style: Mapping[str, Any], num_steps: int
) -> Iterator[tuple[Array, Info]]:
    """Makes steps from a picture towards the style of a painting and a photograph's content.

    Args:
      image: `[H, W, 3]`, the picture to begin with.
      photograph: `[H, W, 3]`.
      style: from `measure_painting`.
      num_steps: steps of the solver.

    Yields:
      The picture after each step, clipped, and `Info` of the step; the first time also of the
      start.
    """
    made = make_polish(photograph, style)
    for progress in made.run(image, num_steps):
        yield made.picture(progress.state.image), jax.device_get(progress.info)


def extend(image: ArrayLike, rows: int, columns: int) -> Array:
    """Returns an image that goes on as its reflection to a height and width."""
    image = np.asarray(image)
    around = ((0, rows - image.shape[0]), (0, columns - image.shape[1]), (0, 0))
    return to_device(np.pad(image, around, mode="symmetric"))


def _extended(shape: tuple[int, int]) -> tuple[int, int]:
    height, width = (-(-side // _MULTIPLE) * _MULTIPLE for side in shape)
    return height, width
