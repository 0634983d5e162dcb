"""Compares what could stand in for VGG-19 where its weights are not to be had.

    python scripts/compare_representations.py --data DATA -o PICTURES

Each candidate makes pictures of the benchmark's own pairs, and VGG-19 judges them as in
judge_networks.py. Besides the compact network: its shape with random kernels, chosen layer by
layer; and two kinds of filters that nobody trained, with which textures come close to VGG's. These
have no layer that sees objects, so a blurred copy of the photograph is their content.

References: He, Wang and Hopcroft, "A powerful generative model using random weights for the deep
image representation", NIPS 2016; Ustyuzhaninov, Brendel, Gatys and Bethge, "What does it take to
generate natural textures?", ICLR 2017; Brochard, Zhang and Mallat, "Generalized rectifier wavelet
covariance models for texture synthesis", ICLR 2022.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from judge_networks import Judge
from pairs import PAIRS, PHOTOGRAPHS

import jaxstyle
from jaxstyle import images, losses, solvers, vgg
from jaxstyle.objective import LossWeights
from jaxstyle.pages import restart_with_huge_pages
from jaxstyle.weights import load_network

Maps = Callable[[Array], list[Array]]
SCALES = 5


def rectified_wavelets(shape: tuple[int, int], orientations: int = 4) -> Maps:
    """Colour images through oriented wavelets of five octaves, shifted in phase and rectified.

    Args:
      shape: height and width.
      orientations: in half a turn.
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
    """One layer of random filters on each level of an image pyramid, rectified.

    Args:
      key: draws the filters.
      count: filters a level.
      side: of a filter, in pixels of its level.
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
            level = halve(level)
        return found

    return maps


def random_network(widths: vgg.Widths, squares: list[Array], candidates: int = 8) -> vgg.Params:
    """Random kernels chosen layer by layer: those from whose output the input is best predicted.

    Args:
      widths: the shape of the network.
      squares: pictures to choose and to normalise over.
      candidates: how many kernels are tried for each layer.
    """
    params: dict[str, Any] = {"mean": jnp.full(3, 0.5)}
    inputs = [square - 0.5 for square in squares]
    for layer, (name, width) in enumerate(widths):
        if layer and name[4] != widths[layer - 1][0][4]:
            inputs = [halve(x, jnp.max) for x in inputs]
        channels = inputs[0].shape[-1]
        best: tuple[float, Array, list[Array]] | None = None
        for i in range(candidates):
            key = jax.random.fold_in(jax.random.key(layer), i)
            scale = np.sqrt(2 / (9 * channels))
            kernel = scale * jax.random.normal(key, (3, 3, channels, width))
            outputs = [convolve(x, kernel) for x in inputs]
            error = unexplained(inputs, outputs)
            if best is None or error < best[0]:
                best = error, kernel, outputs
        assert best is not None
        params[name] = {"kernel": best[1], "bias": jnp.zeros(width)}
        inputs = best[2]
    return vgg.normalize_params(params, squares)


def unexplained(inputs: list[Array], outputs: list[Array]) -> float:
    """The share of the inputs' variance that a linear map of the outputs leaves."""
    x, y = (
        np.concatenate([np.asarray(m).reshape(-1, m.shape[-1]) for m in maps])
        for maps in (outputs, inputs)
    )
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    moments = x.T @ x + 1e-4 * np.trace(x.T @ x) / x.shape[1] * np.eye(x.shape[1])
    rest = y - x @ np.linalg.solve(moments, x.T @ y)
    return float(np.square(rest).sum() / np.square(y).sum())


def convolve(maps: Array, kernel: Array) -> Array:
    """A rectified 3×3 convolution with reflected borders."""
    padded = jnp.pad(maps, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.nn.relu(
        jax.lax.conv_general_dilated(
            padded[None], kernel, (1, 1), "VALID", dimension_numbers=numbers
        )
    )[0]


def halve(maps: Array, pool: Callable[..., Array] = jnp.mean) -> Array:
    """Blocks of 2×2 pooled; an odd last row or column is left out."""
    height, width = maps.shape[0] // 2, maps.shape[1] // 2
    blocks = maps[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1)
    return pool(blocks, axis=(1, 3))


def stylize_with(maps: Maps, content: Array, style_maps: Maps, style: Array, weight: float,
                 steps: int) -> Array:  # fmt: skip
    """Gram matrices of the style, a blurred copy of the photograph as content."""
    targets = [losses.gram_matrix(m) for m in style_maps(style)]
    energies = [jnp.mean(jnp.square(gram)) for gram in targets]
    blurred = halve(halve(halve(content)))

    def objective(image: Array) -> tuple[Array, dict[str, Array]]:
        found = [losses.gram_matrix(m) for m in maps(image)]
        styled = sum(
            losses.style_loss(gram, target) / energy
            for gram, target, energy in zip(found, targets, energies, strict=True)
        )
        likeness = jnp.mean(jnp.square(halve(halve(halve(image))) - blurred))
        outside = 1e3 * losses.range_penalty(image)
        return styled + weight * likeness + outside, {}

    solver = solvers.lbfgs()
    step = jax.jit(lambda state: solver.step(objective, state))
    state, _ = jax.jit(lambda image: solver.init(objective, image))(content)
    for _ in range(steps):
        state, info = step(state)
        if not bool(jnp.isfinite(info.loss)):
            break
    return state.image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, default=Path("../shared/data"))
    add("--judge", default="vgg19", help="VGG-19, or a file of it")
    add("--compact", default="compact", help="the compact network, or a file")
    add("--candidates", nargs="*", default=["compact", "random", "wavelets", "shallow"])
    add("--content-weight", type=float, default=3.0, help="of the filters that nobody trained")
    add("--size", type=int, default=256, help="longer side in pixels")
    add("--steps", type=int, default=200)
    add("--pairs", type=int, default=2, help="how many of the benchmark's own pairs")
    add("-o", "--output", type=Path, help="folder for the pictures")
    arguments = parser.parse_args()
    judge = load_network(arguments.judge, normalized=False).params
    params = load_network(arguments.compact).params
    networks = {"compact": params}
    if "random" in arguments.candidates:
        squares = [
            jaxstyle.load_image(arguments.data / "content" / name, 256) for name in PHOTOGRAPHS
        ]
        networks["random"] = random_network(vgg.network_widths(params), squares)

    for content_name, style_name in PAIRS[: arguments.pairs]:
        content, style = (
            jaxstyle.load_image(arguments.data / folder / name, arguments.size)
            for folder, name in (("content", content_name), ("style", style_name))
        )
        judged = Judge(judge, content, style)
        for name in arguments.candidates:
            if name in networks:
                image = jaxstyle.stylize(
                    networks[name], content, style, weights=LossWeights(), num_steps=arguments.steps
                ).image
            else:
                shapes = [(picture.shape[0], picture.shape[1]) for picture in (content, style)]
                if name == "wavelets":
                    maps, style_maps = (rectified_wavelets(shape) for shape in shapes)
                else:
                    maps = style_maps = shallow_filters(jax.random.key(0))
                image = stylize_with(
                    maps, content, style_maps, style, arguments.content_weight, arguments.steps
                )
            image = images.quantize(image)
            left, content_loss = judged(image)
            case = {
                "candidate": name,
                "content": content_name,
                "style": style_name,
                "left": [round(x, 4) for x in left],
                "mean": round(float(np.mean(left)), 4),
                "content_loss": round(content_loss),
            }
            print(json.dumps(case), flush=True)
            if arguments.output:
                arguments.output.mkdir(parents=True, exist_ok=True)
                stem = f"{Path(content_name).stem}--{Path(style_name).stem}--{name}"
                jaxstyle.save_image(arguments.output / f"{stem}.png", image)


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
