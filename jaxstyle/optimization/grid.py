"""Grids: every photograph in every style with every setting, and what belongs to each picture."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common import sharding
from jaxstyle._common.arrays import is_traced, to_device
from jaxstyle._common.checks import check_amount, check_choice, check_key
from jaxstyle._common.sharding import on_any_mesh
from jaxstyle.losses.spec import LossSpec, LossWeights, check_spec, resolve_weights
from jaxstyle.networks.vgg import Params
from jaxstyle.optimization import batch, descent, transfer
from jaxstyle.optimization.batch import Lane, choose_width, split
from jaxstyle.optimization.compact import as_it_suits
from jaxstyle.optimization.pairs import pair_targets
from jaxstyle.solvers import Info, SolverLike

Combine = Literal["zip", "grid"]
Several = ArrayLike | Sequence[float]
Images = Array | Sequence[Array] | Mapping[str, Array]


class Cell(NamedTuple):
    """One picture of a grid, and what belongs to it.

    Attributes:
      content: the name of its photograph.
      style: the name of its painting.
      settings: its settings by name: "weights", and those of "noise", "key" and "learning_rate"
        that were given.
      image: `[H, W, 3]`.
      info: `jaxstyle.solvers.Info` of the start and of every step; leaves `[num_steps + 1]`.
    """

    content: str
    style: str
    settings: dict[str, Any]
    image: Array
    info: Info

    def __repr__(self) -> str:
        """Returns the names and the settings, and how the loss went."""
        settings = ", ".join(f"{name} {value!r}" for name, value in self.settings.items())
        return f"Cell({self.content} in {self.style}, {settings}, {descent.brief_info(self.info)})"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Grid:
    """The pictures of a grid.

    Attributes:
      image: `[C, S, K, H, W, 3]`.
      info: `jaxstyle.solvers.Info` of the start and of every step; its leaves are
        `[C, S, K, num_steps + 1]`.
      settings: the K settings, each a dictionary by name; see `jaxstyle.optimization.grid.Cell`.
      contents: the C names of the photographs, "0", "1" and so on where they were given none.
      styles: the S names of the paintings, in the same way.
    """

    image: Array
    info: Info
    settings: tuple[dict[str, Any], ...]
    contents: tuple[str, ...] = dataclasses.field(metadata={"static": True})
    styles: tuple[str, ...] = dataclasses.field(metadata={"static": True})

    def cells(self) -> Iterator[Cell]:
        """Yields every picture with what belongs to it: settings count up first."""
        places = itertools.product(
            enumerate(self.contents), enumerate(self.styles), enumerate(self.settings)
        )
        for (c, content), (s, style), (k, settings) in places:
            info = jax.tree.map(lambda leaf, at=(c, s, k): leaf[at], self.info)
            yield Cell(content, style, settings, self.image[c, s, k], info)

    def __repr__(self) -> str:
        """Returns the names and sizes, and no arrays."""
        named = f"contents {', '.join(self.contents)}; styles {', '.join(self.styles)}"
        return f"Grid({named}; {len(self.settings)} settings; image {list(self.image.shape)})"


@on_any_mesh
def stylize_grid(
    params: Params,
    contents: Images,
    styles: Images,
    weights: LossWeights | Sequence[LossWeights] | None = None,
    *,
    spec: LossSpec = LossSpec(),
    init: transfer.Init = "content",
    noise: Several | None = None,
    key: Array | None = None,
    learning_rate: Several | None = None,
    combine: Combine = "zip",
    keep: Array | None = None,
    protect: Array | None = None,
    calm: ArrayLike = 0.0,
    solver: SolverLike | None = None,
    num_steps: int = 300,
    width: int | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Grid:
    """Every photograph in every style with every setting.

    The targets of each photograph and of each painting are computed once. The K settings are made
    of `weights`, `noise`, `key` and `learning_rate`, each of which is given once for all or several
    times. They are arrays: other values compile nothing. Weights and solver that are left out are
    those of `jaxstyle.stylize`.

    Args:
      params: the network's parameters.
      contents: `[C, H, W, 3]` in [0, 1], a sequence of images of one size, or a mapping from name
        to image.
      styles: S images in the same way, each of any size.
      weights: for all settings, or a sequence.
      spec: the layers compared, and how the network pools and pads.
      init: where to start: "content", "matched", "rearranged", "noise", "white-noise" or "style";
        see `jaxstyle.optimization.transfer.initial_image`.
      noise: standard deviation of Gaussian noise in the start, a scalar or several.
      key: a `jax.random.key` for the noise, or several; `key(0)` by default. A key belongs to a
        setting, so a picture does not depend on the rest of the grid.
      learning_rate: in place of the solver's own, a scalar or several.
      combine: "zip" lets parts that are given several times count up together, K times each;
        "grid" makes their product, of which the last part counts up first.
      keep: what stays untouched of the photographs, `[H, W]` for all or `[C, H, W]`; see
        `jaxstyle.stylize`.
      protect: what stays recognisable of them, `[H, W]` or `[C, H, W]`.
      calm: how calm their flat areas stay, from 0 to 1.
      solver: from `jaxstyle.solvers`.
      num_steps: steps of the solver.
      width: how many lanes run at once; `jaxstyle.optimization.batch.choose_width` by default, and
        inside `jit` all.
      devices: those over which lanes are spread; all local ones by default.

    Returns:
      `jaxstyle.Grid`, with the best image of each lane, and the names and settings that belong to
      it. A lane whose loss is not finite keeps its own, and says so in `info.finite`; the others go
      on.

    Raises:
      ValueError: if images, settings or an option do not fit.

    Example:
      >>> from jaxstyle.networks import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=("relu1_1",))
      >>> contents = jax.random.uniform(jax.random.key(1), (2, 8, 8, 3))
      >>> styles = {"snow": jnp.ones((8, 8, 3)), "night": jnp.zeros((6, 9, 3))}
      >>> weights = [LossWeights(style=weight) for weight in (1.0, 10.0, 100.0)]
      >>> grid = stylize_grid(params, contents, styles, weights, spec=spec, num_steps=2)
      >>> grid.image.shape, grid.info.loss.shape
      ((2, 2, 3, 8, 8, 3), (2, 2, 3, 3))
      >>> last = list(grid.cells())[-1]
      >>> last.content, last.style, last.settings
      ('1', 'night', {'weights': LossWeights(style=100.0)})
    """
    check_spec(spec)
    check_choice("combine", combine, get_args(Combine))
    (content_names, contents), (style_names, styles) = _named(contents), _named(styles)
    given: dict[str, Any] = {"weights": weights, "solver": solver}
    weights, solver = (as_it_suits(params, given)[name] for name in given)
    weights = LossWeights() if weights is None else weights
    if not contents or not styles:
        raise ValueError("a grid needs at least one content image and one style image")
    for content in contents:
        for style in styles:
            transfer.check_pictures(params, spec, content=content, style=style)
    if len({content.shape for content in contents}) > 1:
        shapes = ", ".join("×".join(map(str, content.shape[:2])) for content in contents)
        raise ValueError(f"the content images of a grid should have one size, got {shapes}")
    settings = _settings(weights, noise, key, learning_rate, combine)
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
        [end] = batch.descend_lanes(
            params, [lane(index) for index in part], width=width, devices=devices, spec=spec,
            solver=solver, num_steps=num_steps, every=num_steps,
        )  # fmt: skip
        images.append(end.image)
        infos.append(end.info)
    info = jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1).T, *infos)
    image, info = jax.tree.map(
        lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), (jnp.concatenate(images), info)
    )
    known = tuple(
        {name: value for name, value in setting._asdict().items() if value is not None}
        for setting in settings
    )
    return Grid(image, info, known, content_names, style_names)


class _Setting(NamedTuple):
    weights: LossWeights
    noise: ArrayLike | None
    key: Array | None
    learning_rate: Array | None


def _each(name: str, value: Several | None, *, zero: bool = True) -> list[Any]:
    """Returns the K values of a part of the settings, or the only one."""
    if value is None:
        return [None]
    if not isinstance(value, Array):
        check_amount(value, name, zero=zero)
        value = to_device(np.asarray(value))
    if value.ndim > 1:
        raise ValueError(f"{name} should be a scalar or [K], got shape {value.shape}")
    return [value] if value.ndim == 0 else list(value)


def _typed(keys: Array) -> Array:
    """Returns keys of `jax.random.key`, whose shape does not count the words of a key."""
    typed = jnp.issubdtype(keys.dtype, jax.dtypes.prng_key)
    return keys if typed else jax.random.wrap_key_data(keys)


def _named(images: Images) -> tuple[tuple[str, ...], list[Array]]:
    """Returns images and their names."""
    if isinstance(images, Mapping):
        return tuple(map(str, images)), list(images.values())
    listed = list(images)
    return tuple(map(str, range(len(listed)))), listed


def _settings(
    weights: LossWeights | Sequence[LossWeights],
    noise: Several | None,
    key: Array | None,
    learning_rate: Several | None,
    combine: Combine,
) -> list[_Setting]:
    """Returns the K settings, from parts that are given once or several times."""
    keys = [None] if key is None else _each("key", _typed(check_key(key, "key", many=True)))
    parts: dict[str, list[Any]] = {
        "weights": list(weights) if isinstance(weights, Sequence) else [weights],
        "noise": _each("noise", noise),
        "key": keys,
        "learning_rate": _each("learning_rate", learning_rate, zero=False),
    }
    lengths = {name: len(values) for name, values in parts.items()}
    count = max(lengths.values())
    given = ", ".join(f"{length} {name}" for name, length in lengths.items())
    if 0 in lengths.values():
        raise ValueError(f"each part of the settings needs a value: got {given}")
    if combine == "grid":
        return [_Setting(*row) for row in itertools.product(*parts.values())]
    if any(length not in (1, count) for length in lengths.values()):
        raise ValueError(
            f"settings count up together, each part once or as often: got {given}; "
            'combine="grid" makes their product'
        )
    columns = [values * (count // len(values)) for values in parts.values()]
    return [_Setting(*row) for row in zip(*columns, strict=True)]
