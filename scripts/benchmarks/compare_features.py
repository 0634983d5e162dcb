"""Compares a pass of AdaIN with the same network in PyTorch, in one run.

    python -m scripts.benchmarks.compare_features [--sizes 512,1024] [--level 4]

The compact network encodes, its maps get mean and deviation of a painting's, and a decoder makes
pixels of them. PyTorch runs at its best: channels last, in inference mode, as it is and compiled.
Both sides paint the same picture, which is checked first. They take turns; the table has the median
of the rounds and how many times as fast jaxstyle is.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.feedforward.decoding import (
    LEVELS,
    decode,
    encode,
    init_decoder,
    measure_levels,
    transform_maps,
)
from jaxstyle.networks.load import load_network
from scripts.benchmarks.alternating import beside_torch, print_ratios, waiting_for
from scripts.command_line import make_parser

# The variance below which maps count as flat.
_ROUNDING = 1e-6


def torch_network(decoder: Any, compact: Any, known: Any, level: int) -> Any:
    """Returns the whole pass as a module of PyTorch.

    Args:
      decoder: parameters of the decoder.
      compact: parameters of the compact network.
      known: mean and covariance of the painting's maps.
      level: that is transformed.
    """
    import torch
    from torch import nn

    def tensor(values: Any) -> Any:
        return torch.from_numpy(np.array(values, np.float32))

    def convolution(layer: Any) -> Any:
        kernel = tensor(layer["kernel"]).permute(3, 2, 0, 1)
        module = nn.Conv2d(*kernel.shape[1::-1], 3, padding=1, padding_mode="reflect")
        module.weight.data = kernel.contiguous()
        module.bias.data = tensor(layer["bias"])
        return module

    class Network(nn.Module):
        """Encodes, transforms and decodes."""

        def __init__(self) -> None:
            super().__init__()
            last = f"conv{level}_1"
            names = [name for name in compact if name != "mean" and name <= last]
            self.blocks = nn.ModuleList(
                nn.ModuleList(convolution(compact[n]) for n in sorted(names) if n[4] == block)
                for block in sorted({name[4] for name in names})
            )
            self.stages = nn.ModuleList(
                nn.ModuleList(convolution(decoder[f"stage{k}"][part]) for part in parts)
                for k in range(level, 0, -1)
                for parts in [("a", "up", "b") if k > 1 else ("a", "b")]
            )
            deviation = jnp.sqrt(jnp.diag(known["covariance"]))
            self.known = [tensor(each)[:, None, None] for each in (known["mean"], deviation)]
            self.mean = tensor(compact["mean"])[:, None, None]

        def forward(self, image: Any) -> Any:
            x = image - self.mean
            for i, block in enumerate(self.blocks):
                x = nn.functional.avg_pool2d(x, 2) if i else x
                for layer in block:
                    x = torch.relu(layer(x))
            mean, deviation = self.known
            variance, own = torch.var_mean(x, (-2, -1), correction=0, keepdim=True)
            scale = deviation * torch.rsqrt(variance.clamp_min(_ROUNDING))
            x = (x - own) * torch.where(variance < _ROUNDING, 0.0, scale) + mean
            for i, (first, *up, second) in enumerate(self.stages):
                x = torch.relu(first(x))
                if up:
                    x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
                    x = torch.relu(up[0](x))
                x = second(x)
                x = torch.relu(x) if i + 1 < len(self.stages) else x
            return x

    return Network().eval().to(memory_format=torch.channels_last)


def sides(size: int, level: int, compiled: bool) -> dict[str, Callable[[], Any]]:
    """Returns the runs to time at a size, after they were found to paint the same picture.

    Args:
      size: the longer side; the shorter is three quarters of it. Both are multiples of eight.
      level: that is transformed.
      compiled: whether PyTorch also runs compiled.
    """
    compact = load_network("compact").params
    decoder, layer = init_decoder(jax.random.key(0), compact), LEVELS[level]
    shape = (2, 3 * size // 4, size, 3)
    image, painting = np.random.default_rng(0).uniform(size=shape).astype("float32")
    known = measure_levels(compact, jnp.asarray(painting), (level,))[layer]

    @jax.jit
    def painted(image: Any) -> Any:
        maps = transform_maps(encode(compact, image, (level,))[layer], **known, transform="adain")
        return decode(decoder, maps, level)

    network = torch_network(decoder, compact, known, level)
    ours = waiting_for(painted, jnp.asarray(image))
    return beside_torch(ours, network, image, compiled=compiled)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.benchmarks.compare_features", __doc__)
    parser.add_argument("--level", type=int, choices=LEVELS, default=4, help="of the maps")
    parser.add_argument("--sizes", default="512,1024", help="longer sides, multiples of 32")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    options: argparse.Namespace = parser.parse_args(arguments)
    print_ratios(
        lambda size: sides(size, options.level, not options.no_compile),
        [int(size) for size in options.sizes.split(",")],
        options.rounds,
    )


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
