"""Compares one pass of a fast network with the same network in PyTorch, in one run.

    python -m scripts.benchmarks.compare_networks [--sizes 512,1024] [--network small]

PyTorch runs at its best: channels last, in inference mode, as it is and compiled. Both sides paint
the same picture, which is checked first. They take turns; the table has the median of the rounds
and how many times as fast jaxstyle is.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.feedforward.architecture import DUMOULIN, LARGE, PASTICHE, SMALL, Architecture
from jaxstyle.feedforward.network import init_network, paint
from scripts.benchmarks.alternating import beside_torch, print_ratios, waiting_for
from scripts.command_line import make_parser

FORMS = {"small": SMALL, "large": LARGE, "pastiche": PASTICHE, "dumoulin": DUMOULIN}
_paint = jax.jit(paint, static_argnames="architecture")


def torch_network(params: Any, form: Architecture, style: int) -> Any:
    """Returns a network that pads by reflection as a module of PyTorch, with one of its styles.

    Args:
      params: its parameters.
      form: its architecture.
      style: the number of the style.
    """
    import torch
    from torch import nn

    class Layer(nn.Module):
        """A convolution after its padding, and its normalisation."""

        def __init__(self, name: str, stride: int = 1, enlarge: bool = False):
            super().__init__()
            parts = {k: torch.from_numpy(np.array(v)) for k, v in params[name].items()}
            kernel = parts["kernel"].permute(3, 2, 0, 1)
            self.enlarge, self.edge = enlarge, kernel.shape[-1] // 2
            self.conv = nn.Conv2d(
                *kernel.shape[1::-1], kernel.shape[-1], stride, bias="bias" in parts
            )
            self.conv.weight.data = kernel.contiguous()
            self.norm: Any = nn.Identity()
            if "bias" in parts:
                self.conv.bias.data = parts["bias"]
            else:
                self.norm = nn.InstanceNorm2d(kernel.shape[0], form.epsilon, affine=True)
                self.norm.weight.data = parts["scale"][style]
                self.norm.bias.data = parts["shift"][style]

        def forward(self, x: Any) -> Any:
            if self.enlarge:
                x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = nn.functional.pad(x, (self.edge,) * 4, mode="reflect")
            return self.norm(self.conv(x))

    class Network(nn.Module):
        """The whole network."""

        def __init__(self) -> None:
            super().__init__()
            self.contract = nn.ModuleList(
                Layer(f"contract{i}", stride) for i, stride in enumerate((1, 2, 2), 1)
            )
            self.residual = nn.ModuleList(
                nn.ModuleList(Layer(f"residual{i}_{j}") for j in (1, 2))
                for i in range(1, form.blocks + 1)
            )
            self.expand = nn.ModuleList(Layer(f"expand{i}", enlarge=True) for i in (1, 2))
            self.output = Layer("output")

        def forward(self, image: Any) -> Any:
            x = image
            for layer in self.contract:
                x = torch.relu(layer(x))
            for first, second in self.residual:
                x = x + second(torch.relu(first(x)))
            for layer in self.expand:
                x = torch.relu(layer(x))
            return torch.sigmoid(self.output(x))

    return Network().eval().to(memory_format=torch.channels_last)


def sides(form: Architecture, size: int, compiled: bool) -> dict[str, Callable[[], Any]]:
    """Returns the runs to time at a size, after they were found to paint the same picture.

    Args:
      form: the architecture; the colours of the photograph are left out on both sides.
      size: the longer side; the shorter is three quarters of it.
      compiled: whether PyTorch also runs compiled.
    """
    params = init_network(jax.random.key(0), form)
    image = np.random.default_rng(0).uniform(size=(3 * size // 4, size, 3)).astype("float32")
    network = torch_network(params, form, 0)
    ours = waiting_for(lambda: _paint(params, jnp.asarray(image), jnp.ones(1), architecture=form))
    return beside_torch(ours, network, image, compiled=compiled)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.benchmarks.compare_networks", __doc__)
    parser.add_argument("--network", choices=FORMS, default="small", help="its architecture")
    parser.add_argument("--sizes", default="512,1024", help="longer sides")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    options: argparse.Namespace = parser.parse_args(arguments)
    # Both sides know sigmoid; the colour map, a small part of a pass, is jaxstyle's own.
    form = FORMS[options.network]
    form = Architecture(
        form.widths, form.blocks, form.expansion, form.kernels, output="sigmoid",
        normalize_output=form.normalize_output,
    )  # fmt: skip
    print_ratios(
        lambda size: sides(form, size, not options.no_compile),
        [int(size) for size in options.sizes.split(",")],
        options.rounds,
    )


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
