"""Narrows a VGG without training: it gets fewer filters, found by least squares.

Layer by layer, the filters that predict the others best are chosen. Their kernels are then solved
for over the narrow network's own inputs, which makes up for the errors of the layers before. This
takes far less time than training from random kernels, and is a much closer start for it.

Reference: the idea of choosing channels and solving for the next layer's kernel is that of He,
Zhang and Sun, "Channel pruning for accelerating very deep neural networks", ICCV 2017.
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from tqdm import tqdm

from jaxstyle._common import files
from jaxstyle.losses.spec import LossSpec
from jaxstyle.networks import vgg
from jaxstyle.networks.convolution import conv3x3, max_pool

PADDING = LossSpec().network.padding
Floats = NDArray[np.float32]
# One image in eight measures the errors.
FEWEST = 8


class Fit(NamedTuple):
    """Holds the narrow network, and which of the teacher's filters each of its filters is for."""

    params: dict[str, Any]
    channels: dict[str, NDArray[np.int64]]


def fit(
    teacher: vgg.Params,
    widths: vgg.Widths,
    images: Floats,
    rng: np.random.Generator,
    scales: Mapping[str, ArrayLike] | None = None,
    rows: int = 130,
    rounds: int = 8,
) -> Fit:
    """Chooses filters and solves for their kernels, layer by layer; see the module's docstring.

    Args:
      teacher: the network that is imitated.
      widths: how many filters each layer may have, at most the teacher's.
      images: `[n, side, side, 3]`; the last eighth of them measures the errors, which are printed.
      rng: chooses the positions of each feature map that are solved over.
      scales: `{"conv1_1": [c], ...}`, how much each of the teacher's filters counts when filters
        are chosen, such as the scale of its activations in the published network; by default all
        count the same.
      rows: how many positions of each map. Neighbours are much alike, so many images with few
        positions each are better than few images with many.
      rounds: the rounds of `solve_for_activations`.

    Returns:
      The narrow network, and which of the teacher's filters each of its filters is for.

    Raises:
      ValueError: if there are fewer than eight images, or a layer has more filters than the
        teacher's.
    """
    if len(images) < FEWEST:
        raise ValueError(f"at least {FEWEST} images are needed, got {len(images)}")
    theirs = dict(vgg.network_widths(teacher))
    for name, width in widths:
        if not 1 <= width <= theirs.get(name, 0):
            raise ValueError(f"{name} should have 1 to {theirs.get(name, 0)} filters, got {width}")
    convolutions = [name for name, _ in widths]
    places, targets = _sample(teacher, convolutions, images, rng, rows)
    params: dict[str, Any] = {"mean": np.asarray(teacher["mean"])}
    channels: dict[str, NDArray[np.int64]] = {}
    held = len(images) // FEWEST
    pooled = _pooled(convolutions)
    inputs = [image - params["mean"] for image in images]
    for i, (name, width) in enumerate(widths):
        # A layer's targets are dropped once they are used: all of them together take gigabytes.
        target = np.concatenate(targets.pop(0))
        active = np.maximum(target, 0).astype(np.float64)
        if scales is not None:
            active *= np.asarray(scales[name])
        channels[name] = select_columns(active.T @ active, width)
        target = target[..., channels[name]]
        seen = np.concatenate([patches(x, at) for x, at in zip(inputs, places[i], strict=True)])
        first = sum(len(at) for at in places[i][:-held])
        solution = solve_for_activations(seen[:first], target[:first], rounds)
        kernel = solution[:-1].reshape(3, 3, -1, width)
        params[name] = {"kernel": kernel, "bias": solution[-1]}
        wanted = np.maximum(target[first:], 0)
        got = np.maximum(seen[first:] @ solution, 0)
        scale = np.square(wanted).sum()  # zero if the layer is silent in these few images
        error = np.square(got - wanted).sum() / scale if scale else np.nan
        print(f"{name}: {width} filters, relative squared error {error:.4f}", flush=True)
        # In place, because the maps of two layers would take gigabytes.
        for j, x in enumerate(inputs):
            inputs[j] = _advance(params[name], x, pool=name in pooled)
    return Fit(params, channels)


def _sample(
    teacher: vgg.Params,
    convolutions: list[str],
    images: Floats,
    rng: np.random.Generator,
    rows: int,
) -> tuple[list[list[Any]], list[list[Floats]]]:
    """Returns positions in each layer's map of each image, and the teacher's outputs there."""

    @jax.jit
    def outputs(image: Array) -> list[Array]:
        maps = vgg.features(teacher, image, convolutions, padding=PADDING)
        return [maps[name] for name in convolutions]

    places: list[list[Any]] = [[] for _ in convolutions]
    targets: list[list[Floats]] = [[] for _ in convolutions]
    for image in tqdm(images, "teacher"):
        for i, output in enumerate(outputs(image)):
            flat = np.asarray(output).reshape(-1, output.shape[-1])
            some = rng.choice(len(flat), min(rows, len(flat)), replace=False)
            places[i].append(some)
            targets[i].append(flat[some])
    return places, targets


def whitenings(
    params: vgg.Params, images: Floats, rng: np.random.Generator, rows: int = 130
) -> dict[str, Floats]:
    """Returns what makes the inputs of each convolution uncorrelated.

    These are the inverse roots of the inputs' moments. The patches that a kernel sees are so alike
    that a gradient step that suits what they share is far too small for how they differ. In
    coordinates `v` with `kernel = whitening @ v`, all directions are equal. This is one half of the
    preconditioning of Martens and Grosse, "Optimizing neural networks with Kronecker-factored
    approximate curvature", ICML 2015.

    Args:
      params: the network.
      images: `[n, side, side, 3]`.
      rng: chooses the positions of each feature map that are looked at.
      rows: how many positions of each map are looked at.

    Returns:
      `{"conv1_1": [9 c + 1, 9 c + 1], ...}`, for flattened kernels whose last row is the bias.
    """
    inputs = [np.asarray(image - params["mean"]) for image in images]
    result = {}
    names = [name for name, _ in vgg.network_widths(params)]
    pooled = _pooled(names)
    for name in names:
        moments = 0.0
        for j, x in enumerate(inputs):
            positions = x.shape[0] * x.shape[1]
            some = rng.choice(positions, min(rows, positions), replace=False)
            seen = patches(x, some)
            moments += seen.T @ seen / (len(some) * len(images))
            inputs[j] = _advance(params[name], x, pool=name in pooled)
        variances, directions = np.linalg.eigh(moments.astype(np.float64))
        variances = np.maximum(variances, 0) + 1e-3 * variances.mean()
        result[name] = (directions / np.sqrt(variances) @ directions.T).astype(np.float32)
    return result


def _pooled(convolutions: Sequence[str]) -> set[str]:
    """Returns the convolutions that a pool follows: the last one of each block but the last."""
    return {name for name, after in itertools.pairwise(convolutions) if name[4] != after[4]}


def _advance(layer: dict[str, Any], x: Floats, pool: bool) -> Floats:
    """Computes the next convolution's input from this one's."""
    return np.asarray(_layer(x, layer["kernel"], layer["bias"], pool=pool))


@functools.partial(jax.jit, static_argnames="pool")
def _layer(x: Array, kernel: Array, bias: Array, pool: bool) -> Array:
    x = jax.nn.relu(conv3x3(x, kernel, bias, padding=PADDING))
    return max_pool(x) if pool else x


def patches(x: Floats, places: NDArray[np.int64]) -> Floats:
    """Returns what a convolution's kernel sees at some positions.

    Args:
      x: the convolution's input, `[h, w, c]`.
      places: `[n]`, positions in its output, counted row by row.

    Returns:
      `[n, 9 c + 1]`, where the last column is ones, for the bias.
    """
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    row, column = np.divmod(places, x.shape[1])
    taps = [padded[row + i, column + j] for i in range(3) for j in range(3)]
    return np.concatenate([*taps, np.ones((len(places), 1), np.float32)], axis=1)


def select_columns(moments: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Chooses, one by one, the columns of a matrix that predict the others best.

    Args:
      moments: `[c, c]`, the second moments of the matrix, `XᵀX`.
      count: how many to choose, at most c.

    Returns:
      `[count]`, in ascending order.
    """
    rest, chosen = moments / np.trace(moments), []
    for _ in range(count):
        left = np.diag(rest)
        gain = np.square(rest).sum(axis=0) / np.maximum(left, 1e-12)
        gain[left < 1e-10] = 0  # nothing of these columns is left to explain
        gain[chosen] = -1
        best = int(np.argmax(gain))
        chosen.append(best)
        rest = rest - np.outer(rest[:, best], rest[best]) / max(rest[best, best], 1e-12)
    return np.sort(np.array(chosen))


def solve_for_activations(
    inputs: Floats, target: Floats, rounds: int, ridge: float = 1e-4
) -> Floats:
    """Solves least squares where a negative target asks only for a negative output.

    This is what counts before a ReLU. The function alternates between solving the linear problem
    and setting its targets: where the target is negative, any negative output will do.

    Args:
      inputs: `[n, p]`.
      target: `[n, c]`.
      rounds: how often the targets are set again; 0 is plain least squares.
      ridge: what is added to the inputs' moments, as a fraction of their mean.

    Returns:
      `[p, c]`, by which the inputs are to be multiplied.
    """
    moments = (inputs.T @ inputs).astype(np.float64)
    moments[np.diag_indices_from(moments)] += ridge * np.trace(moments) / len(moments)
    factor = cho_factor(moments)
    solution = cho_solve(factor, inputs.T @ target).astype(np.float32)
    for _ in range(rounds):
        wanted = np.where(target > 0, target, np.minimum(inputs @ solution, 0))
        solution = cho_solve(factor, inputs.T @ wanted).astype(np.float32)
    return solution


def save_fit(path: Path, found: Fit) -> None:
    """Writes what `fit` found into a file."""
    arrays = {"mean": found.params["mean"]}
    for name, chosen in found.channels.items():
        arrays |= {f"{name}.{part}": value for part, value in found.params[name].items()}
        arrays[f"{name}.channels"] = chosen
    with files.atomic_write(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def load_fit(path: Path) -> Fit:
    """Reads what `save_fit` wrote."""
    arrays = dict(np.load(path))
    found = Fit({"mean": arrays.pop("mean")}, {})
    for key, value in arrays.items():
        name, part = key.split(".")
        if part == "channels":
            found.channels[name] = value
        else:
            found.params.setdefault(name, {})[part] = value
    return found
