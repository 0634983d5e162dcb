"""First pictures that are put together from pieces of a painting, without a network."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from jaxstyle._common.arrays import to_device
from jaxstyle.pieces.analogies import analogy_transfer
from jaxstyle.pieces.quilting import quilt_transfer
from jaxstyle.pieces.voting import FIDELITY, patch_transfer
from jaxstyle.pipeline.file_options import RegionOption
from jaxstyle.pipeline.first import Painted, Rows, rows_of_paintings
from jaxstyle.pipeline.pieced import check_block, estimate


@dataclasses.dataclass(frozen=True)
class Pieces:
    """The photograph, made of pieces of one painting.

    Attributes:
      method: "quilting", "neighbours" or "analogies".
      options: of the recipe.
    """

    method: str
    options: Mapping[str, Any]

    def weigh(self, options: Mapping[str, Any], regions: Sequence[RegionOption] | None) -> Rows:
        """Returns one row, in which the painting is the style."""
        return rows_of_paintings(options, regions)

    def side(self, options: Mapping[str, Any], side: int) -> int:
        """Returns the side of a polish: pieces grow with the painting."""
        return side

    def plan(self, shape: tuple[int, int], weights: tuple[int, ...], *, exact: bool) -> int:
        """Returns about the memory in bytes, for a painting as large as the picture."""
        return estimate(self.method, shape, shape)

    def paint(
        self, program: tuple[int, int], photograph: NDArray[np.float32], like: Painted
    ) -> Array:
        """Returns the picture, whose pixels are within the range of the painting's."""
        [path], options = like.paths, self.options
        painting, content = like.load(path, like.side), to_device(photograph)
        key = jax.random.key(options["seed"])
        if self.method == "analogies":
            return analogy_transfer(
                content, painting, coherence=options["coherence"], key=key
            ).image
        block, fidelity = options["block"], options["fidelity"]
        check_block(block, painting.shape, path, odd=self.method == "neighbours")
        if self.method == "quilting":
            return quilt_transfer(content, painting, block=block, fidelity=fidelity, key=key).image
        check_block(block, content.shape, "the photograph", odd=True)
        return patch_transfer(content, painting, patch=block, fidelity=FIDELITY * fidelity)
