"""Narrows a VGG without training: fewer filters, each solved for by least squares.

Layer by layer, the filters that predict the others best are chosen. Their kernels are solved for
over the narrow network's own inputs, which makes up for the errors of the layers before. Where
training from random kernels takes hours, this takes minutes and starts it off much closer.

Reference: the idea of choosing channels and solving for the next layer's kernel is that of He,
Zhang and Sun, "Channel pruning for accelerating very deep neural networks", ICCV 2017.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from tqdm import tqdm

from jaxstyle import files, vgg
from jaxstyle.objective import LossSpec

PADDING = LossSpec().padding
Floats = NDArray[np.float32]


class Fit(NamedTuple):
    """What the first stage found: the student, and which of the teacher's filters it stands for."""

    params: dict[str, Any]
    channels: dict[str, NDArray[np.int64]]


def fit(
    teacher: vgg.Params,
    widths: vgg.Widths,
    images: Floats,
    rng: np.random.Generator,
    scales: Mapping[str, ArrayLike] | None = None,
    rows: int = 500,
    rounds: int = 8,
) -> Fit:
    """Chooses filters and solves for their kernels, layer by layer; see the module's docstring.

    Args:
      teacher: the network that is imitated.
      widths: how many filters each layer may have, at most the teacher's.
      images: `[n, side, side, 3]`; the last eighth measures the errors, which are printed.
      rng: chooses the positions of each feature map that are solved over.
      scales: `{"conv1_1": [c], ...}`, how much each of the teacher's filters counts when some are
        chosen, such as the scale that its activations have in the published network; ones by
        default.
      rows: how many of them.
      rounds: of `solve_for_activations`.
    """
    convolutions = [name for name, _ in widths]

    @jax.jit
    def outputs(image: Array) -> list[Array]:
        maps = vgg.features(teacher, image, convolutions, padding=PADDING)
        return [maps[name] for name in convolutions]

    # Of every map a few positions are kept: the teacher's outputs there are what is solved for.
    places: list[list[Any]] = [[] for _ in widths]
    targets: list[list[Floats]] = [[] for _ in widths]
    for image in tqdm(images, "teacher"):
        for i, output in enumerate(outputs(image)):
            flat = np.asarray(output).reshape(-1, output.shape[-1])
            some = rng.choice(len(flat), min(rows, len(flat)), replace=False)
            places[i].append(some)
            targets[i].append(flat[some])

    params: dict[str, Any] = {"mean": np.asarray(teacher["mean"])}
    channels: dict[str, NDArray[np.int64]] = {}
    held = len(images) // 8
    for i, (name, width) in enumerate(widths):
        target = np.stack(targets[i])
        active = np.maximum(target, 0).reshape(-1, target.shape[-1]).astype(np.float64)
        if scales is not None:
            active *= np.asarray(scales[name])
        channels[name] = select_columns(active.T @ active, width)
        target = target[..., channels[name]]
        gather = jax.jit(lambda params, image, at, name=name: patches(params, image, at, name))
        inputs = np.stack(
            [
                np.asarray(gather(params, image, at))
                for image, at in zip(images, places[i], strict=True)
            ]
        )
        train, test = (
            (x.reshape(-1, x.shape[-1]), y.reshape(-1, width))
            for x, y in ((inputs[:-held], target[:-held]), (inputs[-held:], target[-held:]))
        )
        solution = solve_for_activations(*train, rounds)
        kernel = solution[:-1].reshape(3, 3, -1, width)
        params[name] = {"kernel": kernel, "bias": solution[-1]}
        wanted = np.maximum(test[1], 0)
        error = (
            np.square(np.maximum(test[0] @ solution, 0) - wanted).sum() / np.square(wanted).sum()
        )
        print(f"{name}: {width} filters, relative squared error {error:.4f}", flush=True)
    return Fit(params, channels)


def patches(params: dict[str, Any], image: Array, places: Array, name: str) -> Array:
    """What a convolution's kernel sees at some positions, `[n, 9 c + 1]`, the last column ones.

    Args:
      params: the convolutions before it.
      image: `[H, W, 3]`.
      places: positions in its output, counted row by row.
      name: the convolution, such as "conv2_1".
    """
    if len(params) > 1:
        last, _ = vgg.network_widths(params)[-1]
        layer = f"relu{last[4:]}" if last[4] == name[4] else f"pool{last[4]}"
        maps = vgg.features(params, image, [layer], padding=PADDING)[layer]
    else:
        maps = image - params["mean"]
    maps = jnp.pad(maps, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    row, column = jnp.divmod(places, maps.shape[1] - 2)
    taps = [maps[row + i, column + j] for i in range(3) for j in range(3)]
    return jnp.concatenate([*taps, jnp.ones((len(places), 1))], axis=1)


def select_columns(moments: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The columns of a matrix from which the others are best predicted, greedily.

    Args:
      moments: the matrix' second moments, `XᵀX`.
      count: how many to choose.
    """
    rest, chosen = moments / np.trace(moments), []
    for _ in range(count):
        left = np.diag(rest)
        gain = np.square(rest).sum(axis=0) / np.maximum(left, 1e-12)
        gain[left < 1e-10] = 0  # nothing of it is left to explain
        gain[chosen] = -1
        best = int(np.argmax(gain))
        chosen.append(best)
        rest = rest - np.outer(rest[:, best], rest[best]) / max(rest[best, best], 1e-12)
    return np.sort(np.array(chosen))


def solve_for_activations(
    inputs: Floats, target: Floats, rounds: int, ridge: float = 1e-4
) -> Floats:
    """Least squares where a negative target asks only for a negative output, as under a ReLU.

    Alternates between the linear problem and its targets: where the wanted output is negative, any
    negative one will do.
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
    arrays = {"mean": found.params["mean"]}
    for name, chosen in found.channels.items():
        arrays |= {f"{name}.{part}": value for part, value in found.params[name].items()}
        arrays[f"{name}.channels"] = chosen
    with files.atomic_write(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def load_fit(path: Path) -> Fit:
    arrays = dict(np.load(path))
    found = Fit({"mean": arrays.pop("mean")}, {})
    for key, value in arrays.items():
        name, part = key.split(".")
        if part == "channels":
            found.channels[name] = value
        else:
            found.params.setdefault(name, {})[part] = value
    return found
