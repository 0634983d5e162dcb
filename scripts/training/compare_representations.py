"""Compares what could stand in for VGG-19 where its weights are not available.

    python -m scripts.training.compare_representations --data DATA -o PICTURES

Each candidate makes pictures of the benchmarks' pairs, and VGG-19 judges them as in
judge_networks.py. The candidates, besides VGG-19 itself, are these:

- compact is the compact network.
- blocks is VGG-19's first three blocks, which are exact but shallow.
- random has the compact network's shape, and random kernels that are chosen layer by layer.
- wavelets and shallow are two kinds of filters that nobody trained. Their textures are said to come
  close to VGG's. They have no layer that sees objects, so their content is a blurred copy of the
  photograph.

References: He, Wang and Hopcroft, "A powerful generative model using random weights for the deep
image representation", NIPS 2016; Ustyuzhaninov, Brendel, Gatys and Bethge, "What does it take to
generate natural textures?", ICLR 2017; Brochard, Zhang and Mallat, "Generalized rectifier wavelet
covariance models for texture synthesis", ICLR 2022.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxstyle
from jaxstyle import LossSpec, solvers
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.losses import functional
from jaxstyle.networks import vgg
from jaxstyle.networks.convolution import average_pool, conv3x3, max_pool
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.presets import get_preset
from scripts.command_line import add_data_option, make_parser
from scripts.pairs import PHOTOGRAPHS
from scripts.reproduction.sheets import Sheets, digest, pairs
from scripts.training.judge_networks import (
    Candidate,
    judge_candidates,
    network_candidate,
    rescale_by_layer,
    summary,
)

Maps = Callable[[Array], list[Array]]
SCALES = 5
PADDING = LossSpec().network.padding
# What can be compared with VGG-19's first three blocks.
BLOCKS = LossSpec(("relu3_3",), ("relu1_1", "relu2_1", "relu3_1", "relu3_4"))


def rectified_wavelets(shape: tuple[int, int], orientations: int = 4) -> Maps:
    """Returns a function that filters images with oriented wavelets of five octaves.

    The results are shifted in phase and rectified.

    Args:
      shape: the images' height and width.
      orientations: the number of orientations in half a turn.
    """
    y, x = jnp.meshgrid(*(2 * jnp.pi * jnp.fft.fftfreq(n) for n in shape), indexing="ij")
    radius, angle = jnp.hypot(y, x), jnp.arctan2(y, x)
    filters = []
    for scale in range(SCALES):
        octaves = jnp.log2(jnp.maximum(radius, 1e-6) / (0.75 * jnp.pi / 2**scale))
        band = jnp.where(jnp.abs(octaves) < 1, jnp.cos(jnp.pi / 2 * octaves), 0.0)
        for i in range(orientations):
            turn = jnp.cos(angle - jnp.pi * i / orientations)
            filters.append(band * jnp.maximum(turn, 0) ** (orientations - 1))
    bank = jnp.stack(filters)
    phases = jnp.exp(0.5j * jnp.pi * jnp.arange(4))

    def maps(image: Array) -> list[Array]:
        spectrum = jnp.fft.fft2(image, axes=(0, 1))
        waves = jnp.fft.ifft2(
            spectrum[..., None] * bank.transpose(1, 2, 0)[:, :, None], axes=(0, 1)
        )
        shifted = jax.nn.relu((waves[..., None] * phases).real)
        low = jnp.concatenate([image, jnp.ones((*shape, 1))], axis=-1)
        return [jnp.concatenate([shifted.reshape(*shape, -1), low], axis=-1)]

    return maps


def shallow_filters(key: Array, count: int = 96, side: int = 11) -> Maps:
    """Returns a function that filters each level of an image pyramid with random filters.

    The results are rectified.

    Args:
      key: draws the filters.
      count: the number of filters per level.
      side: a filter's side, in pixels of its level.
    """
    keys = jax.random.split(key, SCALES)
    kernels = []
    for each in keys:
        kernel = jax.random.normal(each, (side, side, 3, count))
        kernel = kernel - kernel.mean(axis=(0, 1), keepdims=True)
        kernels.append(kernel / jnp.linalg.norm(kernel.reshape(-1, count), axis=0))

    def maps(image: Array) -> list[Array]:
        found, level = [], image
        for kernel in kernels:
            pad = side // 2
            padded = jnp.pad(level, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
            out = jax.lax.conv_general_dilated(
                padded[None], kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )[0]
            found.append(jnp.concatenate([jax.nn.relu(out), level], axis=-1))
            level = average_pool(level)
        return found

    return maps


def chosen_network(widths: vgg.Widths, squares: list[Array], candidates: int = 8) -> vgg.Params:
    """Chooses random kernels layer by layer: those whose output predicts the input best.

    Args:
      widths: the shape of the network.
      squares: the pictures over which kernels are chosen and rescaled.
      candidates: how many kernels are tried for each layer.
    """
    params: dict[str, Any] = {"mean": jnp.full(3, 0.5)}
    inputs = [square - 0.5 for square in squares]
    for layer, (name, width) in enumerate(widths):
        if layer and name[4] != widths[layer - 1][0][4]:
            inputs = [max_pool(x) for x in inputs]
        channels = inputs[0].shape[-1]
        best: tuple[float, Array, list[Array]] | None = None
        for i in range(candidates):
            key = jax.random.fold_in(jax.random.key(layer), i)
            scale = np.sqrt(2 / (9 * channels))
            kernel = scale * jax.random.normal(key, (3, 3, channels, width))
            outputs = [
                jax.nn.relu(conv3x3(x, kernel, jnp.zeros(width), padding=PADDING)) for x in inputs
            ]
            error = unexplained(inputs, outputs)
            if best is None or error < best[0]:
                best = error, kernel, outputs
        assert best is not None
        params[name] = {"kernel": best[1], "bias": jnp.zeros(width)}
        inputs = best[2]
    return rescale_by_layer(params, squares)


def unexplained(inputs: list[Array], outputs: list[Array]) -> float:
    """Returns the share of the inputs' variance that a linear map of the outputs leaves."""
    x, y = (
        np.concatenate([np.asarray(m).reshape(-1, m.shape[-1]) for m in maps])
        for maps in (outputs, inputs)
    )
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    moments = x.T @ x + 1e-4 * np.trace(x.T @ x) / x.shape[1] * np.eye(x.shape[1])
    rest = y - x @ np.linalg.solve(moments, x.T @ y)
    return float(np.square(rest).sum() / np.square(y).sum())


def blur(image: Array) -> Array:
    """Reduces the image to an eighth of its size, which holds forms and no texture."""
    return average_pool(average_pool(average_pool(image)))


def stylize_with(maps: Maps, content: Array, style_maps: Maps, style: Array, weight: float,
                 steps: int) -> Array:  # fmt: skip
    """Stylises by Gram matrices of the filters, with a blurred photograph as the content."""
    targets = [functional.gram_matrix(m) for m in style_maps(style)]
    energies = [jnp.mean(jnp.square(gram)) for gram in targets]
    blurred = blur(content)

    def objective(image: Array) -> tuple[Array, dict[str, Array]]:
        found = [functional.gram_matrix(m) for m in maps(image)]
        styled = sum(
            functional.style_loss(gram, target) / energy
            for gram, target, energy in zip(found, targets, energies, strict=True)
        )
        likeness = jnp.mean(jnp.square(blur(image) - blurred))
        outside = 1e3 * functional.range_penalty(image)
        return styled + weight * likeness + outside, {}

    solver = solvers.lbfgs()
    step = jax.jit(lambda state: solver.step(objective, state))
    state, _ = jax.jit(lambda image: solver.init(objective, image))(content)
    for _ in range(steps):
        state, info = step(state)
        if not bool(jnp.isfinite(info.loss)):
            break
    return state.image


def filters_candidate(name: str, weight: float, steps: int, size: int) -> Candidate:
    """Returns a candidate of filters that nobody trained."""

    def make(content: Array, style: Array) -> Array:
        if name == "wavelets":
            shapes = [(picture.shape[0], picture.shape[1]) for picture in (content, style)]
            maps, style_maps = (rectified_wavelets(shape) for shape in shapes)
        else:
            maps = style_maps = shallow_filters(jax.random.key(0))
        return stylize_with(maps, content, style_maps, style, weight, steps)

    return Candidate(name, digest(f"{weight} {steps} {size}"), make)


def make_candidates(options: argparse.Namespace) -> list[Candidate]:
    """Returns VGG-19, by which the others are measured, and then the candidates asked for."""
    full = load_network(options.judge, normalized=True).params
    narrow = load_network(options.compact).params
    squares = [jaxstyle.load_image(options.data / "content" / name, 256) for name in PHOTOGRAPHS]
    default, compact = get_preset("default"), get_preset("compact")
    size, steps = options.size, options.steps
    makers: dict[str, Callable[[], Candidate]] = {
        "compact": lambda: network_candidate("compact", narrow, compact, steps, size),
        "blocks": lambda: network_candidate("blocks", full, default, steps, size, spec=BLOCKS),
        "random": lambda: network_candidate(
            "random", chosen_network(vgg.network_widths(narrow), squares), default, steps, size
        ),
        "wavelets": lambda: filters_candidate("wavelets", options.content_weight, steps, size),
        "shallow": lambda: filters_candidate("shallow", options.content_weight, steps, size),
    }
    unknown = set(options.candidates) - set(makers)
    if unknown:
        raise ValueError(
            f"--candidates should be among {', '.join(makers)}, got {', '.join(sorted(unknown))}"
        )
    first = network_candidate("vgg19", full, default, steps, size)
    return [first, *(makers[name]() for name in options.candidates)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.training.compare_representations", __doc__)
    add = parser.add_argument
    add_data_option(parser)
    add("--judge", default="vgg19", help="VGG-19, or a file of it; it is also the first candidate")
    add("--compact", default="compact", help="the compact network, or a file of one")
    everyone = ["compact", "blocks", "random", "wavelets", "shallow"]
    add("--candidates", nargs="*", default=everyone, metavar="CANDIDATE",
        help=f"which of {', '.join(everyone)} (default: all)")  # fmt: skip
    add("--content-weight", type=float, default=0.03,
        help="weight of the content with the filters that nobody trained")  # fmt: skip
    add("--size", type=int, default=256, help="longer side in pixels")
    add("--steps", type=int, default=200, help="steps for each picture")
    add("--pairs", type=int, default=3, metavar="N", help="how many of the benchmarks' pairs")
    add("-o", "--output", type=Path, help="folder for the pictures and their lines of JSON")
    options = parser.parse_args(arguments)
    try:
        candidates = make_candidates(options)
        judge = load_network(options.judge, normalized=False).params
        taken = pairs(options.data, options.size, options.pairs)
        judged = judge_candidates(candidates, judge, taken, Sheets(options.output))
        cases = [case for found in judged for case, _ in found]
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(json.dumps(summary(cases, [candidate.name for candidate in candidates]), indent=2))


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
