"""Many pictures in one program: contents × styles × settings, in batches that fit in memory.

A batch is made of lanes. Each lane has its own image, targets, weights, learning rate and solver
state; all of them share the network. A lane gives the picture that it would give alone, up to the
rounding of another program.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common import sharding
from jaxstyle._common.arrays import is_traced, to_device
from jaxstyle._common.checks import check_amount, check_key
from jaxstyle._common.sharding import on_any_mesh
from jaxstyle.losses.spec import LossSpec, LossWeights, check_spec, resolve_weights
from jaxstyle.losses.targets import Targets
from jaxstyle.networks.vgg import Params
from jaxstyle.optimization import descent, transfer
from jaxstyle.optimization.descent import Progress
from jaxstyle.optimization.memory import free_memory, plan_memory
from jaxstyle.optimization.pairs import pair_targets
from jaxstyle.solvers import Info, SolverLike

# A batch of this width keeps a device busy, and a killed sweep loses no more pictures than that.
WIDEST = 32
# The rest is for targets, pictures and what the allocator wastes.
_SHARE_OF_MEMORY = 0.8


class Grid(NamedTuple):
    """The pictures of a grid.

    Attributes:
      image: `[C, S, K, H, W, 3]`.
      info: `Info` of the start and of every step; leaves `[C, S, K, num_steps + 1]`.
    """

    image: Array
    info: Info


class BatchProgress(NamedTuple):
    """How far a batch has come.

    Attributes:
      step: steps done.
      image: `[lanes, H, W, 3]`, the best so far.
      info: `Info` of the steps since the last report, the first time also that of the start:
        leaves `[n, lanes]`.
      progress: the descent's own report, from which `descend_lanes` can go on.
    """

    step: int
    image: Array
    info: Info
    progress: Progress


class Lane(NamedTuple):
    """One optimisation of a batch.

    Attributes:
      image: `[H, W, 3]`, where it starts.
      targets: what it is compared with.
      weights: how much each part counts, resolved; see `LossWeights.resolve`.
      learning_rate: scalar, or None for the solver's own.
    """

    image: Array
    targets: Targets
    weights: LossWeights
    learning_rate: Array | None = None


@on_any_mesh
def stylize_grid(
    params: Params,
    contents: Array | Sequence[Array],
    styles: Array | Sequence[Array],
    weights: LossWeights | Sequence[LossWeights] = LossWeights(),
    *,
    spec: LossSpec = LossSpec(),
    init: transfer.Init = "content",
    noise: ArrayLike | None = None,
    keys: Array | None = None,
    learning_rates: ArrayLike | None = None,
    keep: Array | None = None,
    protect: Array | None = None,
    calm: ArrayLike = 0.0,
    solver: SolverLike | None = None,
    num_steps: int = 300,
    width: int | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Grid:
    """Every photograph in every style with every setting.

    The targets of each photograph and of each painting are computed once. The K settings are the
    elements of `weights`, `noise`, `keys` and `learning_rates`, which count up together; what has
    no axis serves all of them. They are arrays: other values compile nothing.

    Args:
      params: the network's parameters.
      contents: `[C, H, W, 3]` in [0, 1], or a sequence of images of one size.
      styles: a sequence of S images, each of any size, or an array of them.
      weights: for all settings, or a sequence of K.
      spec: the layers compared, and how the network pools and pads.
      init: where to start: "content", "matched", "noise", "white-noise" or "style"; see
        `jaxstyle.optimization.transfer.initial_image`.
      noise: standard deviation of Gaussian noise in the start, a scalar or `[K]`.
      keys: `jax.random.key`s for the noise, a scalar or `[K]`; `key(0)` by default. A key belongs
        to a setting, so a picture does not depend on the rest of the grid.
      learning_rates: in place of the solver's own, a scalar or `[K]`.
      keep: what stays untouched of the photographs, `[H, W]` for all or `[C, H, W]`; see
        `jaxstyle.stylize`.
      protect: what stays recognisable of them, `[H, W]` or `[C, H, W]`.
      calm: how calm their flat areas stay, from 0 to 1.
      solver: from `jaxstyle.solvers`; `lbfgs()` by default.
      num_steps: steps of the solver.
      width: how many lanes run at once; `choose_width` by default, and inside `jit` all.
      devices: those over which lanes are spread; all local ones by default.

    Returns:
      `Grid(image, info)`, with the best image of each lane. A lane whose loss is not finite keeps
      its own, and says so in `info.finite`; the others go on.

    Raises:
      ValueError: if images, settings or an option do not fit.

    Example:
      >>> from jaxstyle.networks import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=("relu1_1",))
      >>> contents = jax.random.uniform(jax.random.key(1), (2, 8, 8, 3))
      >>> styles = [jnp.ones((8, 8, 3)), jnp.zeros((6, 9, 3))]
      >>> weights = [LossWeights(style=weight) for weight in (1.0, 10.0, 100.0)]
      >>> grid = stylize_grid(params, contents, styles, weights, spec=spec, num_steps=2)
      >>> grid.image.shape, grid.info.loss.shape
      ((2, 2, 3, 8, 8, 3), (2, 2, 3, 3))
    """
    check_spec(spec)
    contents, styles = list(contents), list(styles)
    if not contents or not styles:
        raise ValueError("a grid needs at least one content image and one style image")
    for content in contents:
        for style in styles:
            transfer.check_pictures(params, spec, content=content, style=style)
    if len({content.shape for content in contents}) > 1:
        shapes = ", ".join("×".join(map(str, content.shape[:2])) for content in contents)
        raise ValueError(f"the content images of a grid should have one size, got {shapes}")
    settings = _settings(weights, noise, keys, learning_rates)
    resolved = [resolve_weights(setting.weights, spec) for setting in settings]
    masks = {"keep": keep, "protect": protect}
    targets = pair_targets(params, contents, styles, spec, masks, calm)
    shape = (len(contents), len(styles), len(settings))
    count = math.prod(shape)
    height_and_width = contents[0].shape[0], contents[0].shape[1]

    def lane(index: int) -> Lane:
        rest, k = divmod(index, shape[2])
        c, s = divmod(rest, shape[1])
        image = transfer.initial_image(
            init, height_and_width, params, content=contents[c], style=styles[s],
            noise=settings[k].noise, key=settings[k].key,
        )  # fmt: skip
        return Lane(image, targets[c][s], resolved[k], settings[k].learning_rate)

    placed = sharding.is_placed((params, contents, styles))
    if devices is None and not placed and len(jax.local_devices()) > 1:
        devices = jax.local_devices()
    if is_traced((targets, settings)):
        # Inside jit, where to lay arrays is the caller's to say.
        width, devices = width or count, None
    elif width is None:
        own = jax.local_devices()[:1] if placed and devices is None else devices
        width = choose_width(params, height_and_width, spec=spec, solver=solver, devices=own)
    images, infos = [], []
    width, parts = split(count, width, 1 if devices is None else len(devices))
    for part in parts:
        [end] = descend_lanes(
            params, [lane(index) for index in part], width=width, devices=devices, spec=spec,
            solver=solver, num_steps=num_steps, every=num_steps,
        )  # fmt: skip
        images.append(end.image)
        infos.append(end.info)
    info = jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1).T, *infos)
    grid = Grid(jnp.concatenate(images), info)
    folded: Grid = jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), grid)
    return folded


def descend_lanes(
    params: Params,
    lanes: Sequence[Lane],
    *,
    width: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    spec: LossSpec = LossSpec(),
    solver: SolverLike | None = None,
    num_steps: int = 300,
    every: int = 10,
    resume: Progress | None = None,
) -> Iterator[BatchProgress]:
    """Runs one batch, as an iterator over its steps; see `jaxstyle.descend`.

    Args:
      params: the network's parameters.
      lanes: the batch, its images of one size.
      width: of the compiled program. Where there are fewer lanes, copies of the last one fill it
        up. A width of one is the program of a single picture.
      devices: over which the lanes are spread: the largest number of them that divides the width.
      spec: what is compared.
      solver: from `jaxstyle.solvers`; `lbfgs()` by default.
      num_steps: steps of the solver.
      every: steps between reports.
      resume: where to go on: the `progress` of a report of the same batch.

    Yields:
      `BatchProgress` after every `every` steps and after the last one.

    Raises:
      ValueError: if there are no lanes or more than `width`, or an argument does not fit.
    """
    width = len(lanes) if width is None else width
    if not 1 <= len(lanes) <= width:
        raise ValueError(f"a batch of width {width} takes 1 to {width} lanes, got {len(lanes)}")
    options: Any = {"spec": spec, "solver": solver, "num_steps": num_steps, "every": every}
    if width == 1:
        image, targets, weights, rate = lanes[0]
        if devices is not None:
            params = jax.device_put(params, devices[0])
            image, targets, weights, rate = jax.device_put(lanes[0], devices[0])
        for progress in descent.descend_resolved(
            image, params, targets, weights=weights, learning_rate=rate, resume=resume, **options
        ):
            info = jax.tree.map(lambda leaf: jnp.expand_dims(leaf, 1), progress.info)
            picture = targets.seen(progress.state.image)[None]
            yield BatchProgress(progress.step, picture, info, progress)
        return
    full = [*lanes, *[lanes[-1]] * (width - len(lanes))]
    batch: Lane = jax.tree.map(lambda *leaves: jnp.stack(leaves), *full)
    if devices is not None:
        number = max(n for n in range(1, len(devices) + 1) if width % n == 0)
        params = jax.device_put(params, sharding.everywhere(devices[:number]))
        batch = jax.device_put(batch, sharding.over("lanes", devices[:number]))
    for progress in descent.descend_resolved(
        batch.image, params, batch.targets, weights=batch.weights,
        learning_rate=batch.learning_rate, resume=resume, **options,
    ):  # fmt: skip
        info = jax.tree.map(lambda leaf: _first(leaf, len(lanes), axis=1), progress.info)
        image = _first(batch.targets.seen(progress.state.image), len(lanes))
        yield BatchProgress(progress.step, image, info, progress)


def _first(array: Array, count: int, axis: int = 0) -> Array:
    # Not an index, whose bounds would be sent to the device.
    return jax.lax.slice_in_dim(array, 0, count, axis=axis)


def split(count: int, most: int, devices: int = 1) -> tuple[int, list[range]]:
    """Divides lanes into batches of one width.

    Args:
      count: the number of lanes.
      most: the greatest width.
      devices: their number; the width is a multiple of it where the greatest admits that.

    Returns:
      The width, and the lanes of each batch; the last may have fewer.

    Example:
      >>> split(10, 4)
      (4, [range(0, 4), range(4, 8), range(8, 10)])
      >>> split(9, 8, devices=2)
      (6, [range(0, 6), range(6, 9)])
    """
    if most < 1:
        raise ValueError(f"the width of a batch should be at least 1, got {most}")
    if most > devices:
        most -= most % devices
    width = math.ceil(count / math.ceil(count / most))
    if width > 1 and devices <= most:
        width = math.ceil(width / devices) * devices
    return width, [range(i, min(i + width, count)) for i in range(0, count, width)]


def choose_width(
    params: Params,
    shape: Sequence[int],
    *,
    spec: LossSpec = LossSpec(),
    solver: SolverLike | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> int:
    """How many lanes to run at once: as many as fit in the free memory, at most 32 a device.

    On CPUs it is one a device, where a batch is no faster than one lane after another.

    Args:
      params: the network's parameters.
      shape: height and width of the pictures.
      spec: what is compared.
      solver: from `jaxstyle.solvers`; `lbfgs()` by default.
      devices: over which lanes are spread; all local ones by default.
    """
    devices = jax.local_devices() if devices is None else devices
    if devices[0].platform == "cpu":
        return len(devices)
    available = [free for device in devices if (free := free_memory(device)) is not None]
    if not available:
        return len(devices)
    plan = plan_memory(params, shape, spec=spec, solver=solver)
    lanes = plan.max_lanes(int(_SHARE_OF_MEMORY * min(available)))
    return len(devices) * min(max(lanes, 1), WIDEST)


class _Setting(NamedTuple):
    weights: LossWeights
    noise: ArrayLike | None
    key: Array | None
    learning_rate: Array | None


def _each(name: str, value: Array | ArrayLike | None, *, zero: bool = True) -> list[Any]:
    """Returns the K values of a part of the settings, or the only one."""
    if value is None:
        return [None]
    if not isinstance(value, Array):
        check_amount(value, name, zero=zero)
        value = to_device(value)
    if value.ndim > 1:
        raise ValueError(f"{name} should be a scalar or [K], got shape {value.shape}")
    return [value] if value.ndim == 0 else list(value)


def _typed(keys: Array) -> Array:
    """Returns keys of `jax.random.key`, whose shape does not count the words of a key."""
    typed = jnp.issubdtype(keys.dtype, jax.dtypes.prng_key)
    return keys if typed else jax.random.wrap_key_data(keys)


def _settings(
    weights: LossWeights | Sequence[LossWeights],
    noise: ArrayLike | None,
    keys: Array | None,
    learning_rates: ArrayLike | None,
) -> list[_Setting]:
    """The K settings, from parts that are given once or K times."""
    parts: dict[str, list[Any]] = {}
    parts["weights"] = list(weights) if isinstance(weights, Sequence) else [weights]
    parts["noise"] = _each("noise", noise)
    parts["keys"] = (
        [None] if keys is None else _each("keys", _typed(check_key(keys, "keys", many=True)))
    )
    parts["learning_rates"] = _each("learning_rates", learning_rates, zero=False)
    lengths = {name: len(values) for name, values in parts.items()}
    count = max(lengths.values())
    if 0 in lengths.values() or any(length not in (1, count) for length in lengths.values()):
        given = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise ValueError(f"settings count up together, each part once or as often: got {given}")
    columns = [values * (count // len(values)) for values in parts.values()]
    return [_Setting(*row) for row in zip(*columns, strict=True)]
