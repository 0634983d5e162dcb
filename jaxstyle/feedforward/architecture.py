"""The architectures of networks that paint in one pass, as static settings.

All of them shrink the photograph twice by two, change it in residual blocks, and enlarge it again
(Johnson et al., ECCV 2016, supplementary material, table 1). They differ in widths, in how they
enlarge and pad, and in what their last layer stands for. Maps are normalised one by one (instance
normalisation), which is the one departure from the paper, where batches are.
"""

import dataclasses
from typing import Literal, get_args

from jaxstyle._common.checks import check_choice

Upsampling = Literal["nearest", "transposed"]
Output = Literal["residual", "sigmoid", "tanh", "linear"]
Edge = Literal["reflect", "zero"]


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What decides the program of a network, besides the picture's size; hashable.

    Attributes:
      widths: channels at full, half and quarter size on the way down.
      blocks: residual blocks at a quarter of the size, of the last width.
      expansion: channels at half and full size on the way up; None for those of the way down.
      kernels: sides of the first and of the last kernel.
      upsampling: "nearest" enlarges and then convolves, which leaves no chequers; "transposed" is
        the transposed convolution of the paper.
      output: what the last layer gives. "residual" is squeezed into ±1 and added to the photograph
        in the painting's colours; "sigmoid" is squeezed into [0, 1]; "tanh" into 0.5 ± 150/255, as
        the paper scales it; "linear" is the picture itself.
      normalize_output: whether the last layer is normalised too, and not given a bias.
      padding: what surrounds every map: its reflection, or zeros as TensorFlow's "SAME" puts them.
      epsilon: added to the variance when a map is normalised.
      previous: whether the network also takes the picture of the frame before; see
        `jaxstyle.feedforward.previous`.

    Raises:
      ValueError: if a setting is unknown or out of range.

    Example:
      >>> JOHNSON.widths, SMALL.widths
      ((32, 64, 128), (16, 32, 64))

    References: Johnson, Alahi and Fei-Fei, ECCV 2016; Ulyanov, Vedaldi and Lempitsky, 2016, for
    instance normalisation; Dumoulin, Shlens and Kudlur, ICLR 2017, for enlargement by nearest
    neighbours.
    """

    widths: tuple[int, int, int] = (32, 64, 128)
    blocks: int = 5
    expansion: tuple[int, int] | None = None
    kernels: tuple[int, int] = (9, 9)
    upsampling: Upsampling = "nearest"
    output: Output = "residual"
    normalize_output: bool = False
    padding: Edge = "reflect"
    epsilon: float = 1e-5
    previous: bool = False

    def __post_init__(self) -> None:
        check_choice("upsampling", self.upsampling, get_args(Upsampling))
        check_choice("output", self.output, get_args(Output))
        check_choice("padding", self.padding, get_args(Edge))
        if len(self.widths) != 3 or min(self.widths) < 1:
            raise ValueError(f"widths should be three positive numbers, got {self.widths}")
        if self.blocks < 0:
            raise ValueError(f"blocks should be at least 0, got {self.blocks}")
        if any(side < 1 or side % 2 == 0 for side in self.kernels):
            raise ValueError(f"kernels should be two odd numbers, got {self.kernels}")

    @property
    def expanded(self) -> tuple[int, int]:
        """Channels at half and at full size on the way up."""
        return self.expansion or (self.widths[1], self.widths[0])


JOHNSON = Architecture(upsampling="transposed", output="tanh", normalize_output=True)
"""The network of Johnson et al. 2016, but for its normalisation."""

DUMOULIN = Architecture(output="sigmoid", normalize_output=True)
"""The network of Dumoulin et al. 2017."""

PASTICHE = Architecture((32, 32, 32), 6, (8, 4), output="sigmoid", normalize_output=True)
"""The narrow network of many styles that Magenta published."""

SMALL = Architecture(widths=(16, 32, 64), kernels=(9, 3))
"""Half as wide as published; it adds to the photograph in the painting's colours."""

LARGE = Architecture()
"""As wide as published; it adds to the photograph in the painting's colours."""

ARCHITECTURES = {
    "small": SMALL, "large": LARGE, "johnson": JOHNSON, "dumoulin": DUMOULIN, "pastiche": PASTICHE,
}  # fmt: skip
"""The architectures by name."""
