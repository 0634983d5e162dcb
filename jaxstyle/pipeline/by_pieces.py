"""First pictures that are put together from pieces of a painting, without a network."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from jaxstyle._common.arrays import to_device
from jaxstyle.pieces.quilting import quilt_transfer
from jaxstyle.pieces.voting import FIDELITY, patch_transfer
from jaxstyle.pipeline.file_options import RegionOption
from jaxstyle.pipeline.first import Painted, Rows, rows_of_paintings
from jaxstyle.pipeline.pieced import check_block, estimate


@dataclasses.dataclass(frozen=True)
class Pieces:
    """The photograph, made of pieces of one painting.

    Attributes:
      method: "quilting" or "neighbours".
      block: the side of blocks of the first pass, or of patches, in pixels.
      fidelity: how many times as much as usual the photograph counts.
      seed: draws.
    """

    method: str
    block: int
    fidelity: float
    seed: int

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
        [path] = like.paths
        painting, content = like.load(path, like.side), to_device(photograph)
        check_block(self.block, painting.shape, path)
        if self.method == "quilting":
            return quilt_transfer(
                content, painting, block=self.block, fidelity=self.fidelity,
                key=jax.random.key(self.seed),
            ).image  # fmt: skip
        check_block(self.block, content.shape, "the photograph")
        return patch_transfer(
            content, painting, patch=self.block, fidelity=FIDELITY * self.fidelity
        )
