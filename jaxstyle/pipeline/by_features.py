"""First pictures whose features have a painting's statistics, or are its own patches."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from jaxstyle._common.arrays import to_device
from jaxstyle._common.kept import kept, once
from jaxstyle.feedforward.decoding import NUM_PATCHES, PATCH, Transform, measure_levels, transfer
from jaxstyle.feedforward.layers import BAND, number_of_bands, pays
from jaxstyle.image.io import load_picture
from jaxstyle.networks import vgg
from jaxstyle.networks.bands import map_shape
from jaxstyle.networks.convolution import choose_convolution
from jaxstyle.networks.load import Network
from jaxstyle.optimization.memory import peak_memory
from jaxstyle.pipeline.file_options import RegionOption
from jaxstyle.pipeline.first import Painted, Rows, rows_of_paintings
from jaxstyle.pipeline.one_pass import round_up
from jaxstyle.pipeline.polish import enough, extend, large_enough, polisher

# How often the compiler holds a band, as fits eight cases from 256 to 1024 px within a fifth.
_BANDS = 1.4


@dataclasses.dataclass(frozen=True)
class Features:
    """Maps of the compact network get the statistics or the patches of paintings', and are decoded.

    Attributes:
      decoder: the network that makes pixels of maps.
      transform: which statistics, and how, or "swap" for patches.
      levels: in their order, each with how much of the transformed maps is taken, 0 to 1.
    """

    decoder: Network
    transform: Transform
    levels: Mapping[int, float]

    def weigh(self, options: Mapping[str, Any], regions: Sequence[RegionOption] | None) -> Rows:
        """Returns rows of weights, in which each painting is a style."""
        return rows_of_paintings(options, regions)

    def side(self, options: Mapping[str, Any], side: int) -> int:
        """Returns the side of a polish: strokes grow with the painting."""
        return side

    def plan(self, shape: tuple[int, int], weights: tuple[int, ...], *, exact: bool) -> int:
        """Returns the peak memory, in bytes, for a height and width."""
        levels, compact = tuple(self.levels), polisher().network.params
        if not exact and jax.default_backend() == "cpu":
            return self._estimate(enough(round_up(shape)), weights)

        def known() -> Any:
            return jax.vmap(lambda one: measure_levels(compact, one, levels, self.transform))(
                jnp.zeros((weights[-1], 32, 32, 3))
            )

        sides = enough(round_up(shape))
        weighed = (*sides, weights[-1]) if len(weights) > 1 else weights
        image, told = jax.eval_shape(lambda: (jnp.zeros((*sides, 3)), jnp.zeros(weighed)))
        lowered = _paint.lower(
            self.decoder.params, compact, image, jax.eval_shape(known), told, self._strengths,
            levels=levels, transform=self.transform,
        )  # fmt: skip
        return peak_memory(lowered.compile())

    def paint(
        self, program: tuple[int, int], photograph: NDArray[np.float32], like: Painted
    ) -> Array:
        """Returns the picture, clipped.

        The photograph is extended by its reflection to the size of the program.
        """
        levels, sides = tuple(self.levels), enough(program)
        seen = [
            _seen(path, like.side, like.trim, path.stat().st_mtime_ns, levels, self.transform)
            for path in like.paths
        ]
        known = jax.tree.map(lambda *rows: jnp.stack(rows), *seen)
        height, width = photograph.shape[:2]
        weights = like.weights if like.weights.ndim == 1 else extend(like.weights, *sides)
        painted: Array = _paint(
            self.decoder.params, polisher().network.params, extend(photograph, *sides),
            known, to_device(weights), self._strengths,
            levels=levels, transform=self.transform,
        )  # fmt: skip
        return painted[:height, :width]

    def _estimate(self, shape: tuple[int, int], weights: tuple[int, ...]) -> int:
        """Returns about the bytes that the compiler finds, from the largest maps on the way."""
        compact = polisher().network.params
        names = [name for name, _ in vgg.network_widths(compact)]
        through = names[: names.index(f"conv{max(self.levels)}_1") + 1]
        maps = {name: map_shape(vgg.network_widths(compact), shape, name) for name in through}
        encoded = max(_held_by(compact[name]["kernel"], maps[name]) for name in through)
        moved = max(math.prod(maps[f"conv{level}_1"]) for level in self.levels)
        # A map of level 2 or more is enlarged, in four parts that are then put together.
        decoded = (4 if max(self.levels) > 1 else 3) * math.prod(maps["conv1_1"])
        changed = (2 * weights[-1] + 1) * moved
        if self.transform == "swap":
            # Patches and those of unit length, and what the picture's patches were and become.
            widest, count = max(maps[f"conv{level}_1"][2] for level in self.levels), weights[-1]
            changed = PATCH**2 * (2 * count * NUM_PATCHES * widest + (count + 1) * moved)
        peak = max(encoded, decoded, changed)
        # The compiler gives every loop over bands memory of its own.
        peak += _BANDS * sum(_in_bands(maps, level) for level in self.levels)
        image = 3 * math.prod(shape)
        stages = [f"stage{level}" for level in range(1, max(self.levels) + 1)]
        used = [compact[name] for name in through], [self.decoder.params[name] for name in stages]
        held = sum(leaf.size for leaf in jax.tree.leaves(used))
        return int(4 * (held + math.prod(weights) + 2 * image + peak + 2 * image))

    @property
    def _strengths(self) -> Array:
        return to_device(np.array(tuple(self.levels.values())))


def _in_bands(maps: Mapping[str, tuple[int, int, int]], level: int) -> int:
    """Returns the values of a band before and after every convolution in bands of a decoder."""
    values = 0
    for k in range(level, 0, -1):
        (height, width, wide), narrow = maps[f"conv{k}_1"], 3
        used = [(1, wide, wide)]
        if k > 1:
            narrow = maps[f"conv{k - 1}_1"][2]
            used += [(1, wide, 4 * narrow), (2, narrow, narrow)]
        for larger, inside, outside in used:
            x, kernel = (
                jax.ShapeDtypeStruct(shape, jnp.float32)  # type: ignore[no-untyped-call]
                for shape in ((larger * height, larger * width, inside), (3, 3, inside, outside))
            )
            if pays(x, kernel) and number_of_bands(x) > 1:
                values += (inside + outside) * BAND
    return values


def _held_by(kernel: Array, shape: tuple[int, int, int]) -> float:
    """Returns the values that a convolution holds, of which `shape` is the output.

    Winograd's method transforms input and output, to 36 values for each 16.
    """
    height, width, channels = shape
    entering = jax.ShapeDtypeStruct((height, width, kernel.shape[2]), kernel.dtype)  # type: ignore[no-untyped-call]
    transformed = choose_convolution(entering, kernel) == "winograd"
    return (3.25 if transformed else 1) * height * width * (kernel.shape[2] + channels)


@functools.partial(kept, static_argnames=("levels", "transform"))
def _paint(
    decoder: Any,
    compact: Any,
    photograph: Array,
    known: Mapping[str, Any],
    weights: Array,
    strengths: Array,
    *,
    levels: tuple[int, ...],
    transform: Transform,
) -> Array:
    painted = transfer(
        decoder, compact, photograph, known, weights,
        levels=levels, transform=transform, strength=strengths,
    )  # fmt: skip
    return jnp.clip(painted, 0, 1)


@functools.lru_cache(maxsize=64)
def _seen(
    path: Path,
    side: int,
    trim: bool,
    changed: int,
    levels: tuple[int, ...],
    transform: Transform,
) -> dict[str, Any]:
    """Returns what is to be known of a painting; one is measured once for a folder."""
    image = large_enough(to_device(load_picture(path, size=side, trim=trim).image))
    known: dict[str, Any] = _measure(
        polisher().network.params, image, levels=levels,
        transform="swap" if transform == "swap" else "wct",
    )  # fmt: skip
    return known


_measure = kept(measure_levels, static_argnames=("levels", "transform"), hurry=once(1))
