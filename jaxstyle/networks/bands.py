"""Computes what an objective reads of a VGG network's feature maps, in bands of rows.

The maps of the first blocks are the largest, and are most of what an evaluation holds in memory.
Here they are computed in bands of rows, one after another, and computed again for the derivative.
Only the pooled output of a block is kept. An objective reads sums over a map's positions, and these
are summed over the bands too, so the whole map never exists. This takes a fraction of the memory.
On a CPU, whose caches hold a band but not a map, the first block also takes less time.

Nothing is approximated. A band begins with extra rows from its neighbours above and below, and
loses one row at each end with every convolution. Only the edges of the map are padded.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

from jaxstyle._common.checks import check_image
from jaxstyle.networks import vgg
from jaxstyle.networks.convolution import (
    Convolution,
    Edges,
    Padding,
    average_pool,
    choose_convolution,
    conv3x3,
    max_pool,
    transform_kernel,
)
from jaxstyle.networks.vgg import Params, Pooling, Widths

Bands = Literal["fast", "low"]

# A block whose maps take no more than `_KEPT` bytes needs no bands; the maps of a band take about
# `_BAND` bytes. The derivative and Winograd's transforms take a few times as much. Measured at 256
# to 1024 px.
_KEPT = {"fast": 3 * 2**23, "low": 2**26}
_BAND = 2**23
# The least width at which bands pay. It is that of Winograd's convolutions, because no other
# convolution is fast in a loop.
_WIDE = 32


class Reading(NamedTuple):
    """Something to compute from a feature map that is a sum over its positions.

    Attributes:
      layer: the name of the map.
      sums: `(rows of the map [r, w, c], rows of the data, share) -> sums`, a pytree of arrays.
        `share` is the fraction of the map's positions that lie in these rows.
      data: a pytree of arrays `[h, w, ...]` with something for every position.
    """

    layer: str
    sums: Callable[[Array, Any, float], Any]
    data: Any = None


class Stage(NamedTuple):
    """Consecutive layers that are computed together, and the bands in which they are computed.

    Attributes:
      layers: their names, no deeper than asked for.
      shape: height and width of their input.
      rows: the number of input rows in a band; all rows if the stage is computed at once.
    """

    layers: tuple[str, ...]
    shape: tuple[int, int]
    rows: int

    @property
    def bands(self) -> int:
        """The number of bands; the last one also takes the rows that are left over."""
        return self.shape[0] // self.rows

    @property
    def halo(self) -> int:
        """The number of rows that a band reads from each of its neighbours."""
        return _halo(self.layers)

    def shrink(self, layer: str) -> int:
        """Returns the number of input rows that one row of a layer stands for."""
        through = self.layers[: self.layers.index(layer) + 1]
        return 1 << sum(name.startswith("pool") for name in through)


def pay(params: Params, shape: Sequence[int], layers: Sequence[str]) -> bool:
    """Tells whether bands make an evaluation faster on this machine.

    Args:
      params: the network's parameters.
      shape: height and width of the image.
      layers: the feature maps that are read.
    """
    widths = vgg.network_widths(params)
    if jax.default_backend() != "cpu" or params[widths[0][0]]["kernel"].dtype != jnp.float32:
        return False
    stages = plan_stages(widths, shape, layers, "fast")
    return any(stage.bands > 1 for stage in stages)


def plan_stages(
    widths: Widths, shape: Sequence[int], layers: Sequence[str], bands: Bands = "low"
) -> list[Stage]:
    """Returns the stages that a set of layers needs, and the bands of each.

    A stage is a block of the network. The first two blocks are a single stage if both have bands,
    because the map between them would be the largest of all that are kept.

    Args:
      widths: the network's convolutions; see `jaxstyle.networks.vgg.network_widths`.
      shape: height and width of the image.
      layers: the feature maps asked for.
      bands: "low" for bands that take as little memory as possible, or "fast" for bands of the
        first block only, if that block is wide.

    Example:
      >>> stages = plan_stages(vgg.VGG19_WIDTHS, (1024, 1024), ["relu5_1"])
      >>> [(stage.layers[-1], stage.bands) for stage in stages]
      [('pool2', 42), ('pool3', 16), ('pool4', 8), ('relu5_1', 1)]
    """
    names = vgg.layer_names(widths)
    deepest = max((names.index(layer) for layer in layers), default=-1)
    groups: dict[str, tuple[str, ...]] = {}
    for name in names[: deepest + 1]:
        groups[name[4]] = (*groups.get(name[4], ()), name)
    h, w = shape[:2]
    stages: list[Stage] = []
    for block, group in groups.items():
        wide = block == "1" and min(width for name, width in widths if name in group) >= _WIDE
        if bands == "low" or wide:
            stages.append(_plan_stage(group, widths, (h, w), bands))
        else:
            stages.append(Stage(group, (h, w), h))
        if block == "2" and all(stage.bands > 1 for stage in stages):
            stages = [_plan_stage(groups["1"] + group, widths, (shape[0], shape[1]), bands)]
        h, w = h // 2, w // 2
    return stages


def _plan_stage(
    layers: tuple[str, ...], widths: Widths, shape: tuple[int, int], bands: Bands
) -> Stage:
    h, w = shape
    whole = Stage(layers, shape, h)
    # The bytes of all maps that belong to one row of the input.
    row = sum(4 * w * width // whole.shrink(name) ** 2 for name, width in widths if name in layers)
    if h * row <= _KEPT[bands]:
        return whole
    # A band has at least four times as many rows as its halo, so the rows that it reads from both
    # neighbours are at most half as many again.
    multiple = 2 * whole.shrink(layers[-1])
    least = -(-4 * whole.halo // multiple) * multiple
    most = max(least, _BAND // row // multiple * multiple)
    if 2 * most > h:
        return whole
    # The size that leaves the fewest rows over for the last band.
    sizes = range(most, max(least, most // 2) - 1, -multiple)
    return whole._replace(rows=min(sizes, key=lambda rows: h % rows))


def _halo(layers: Sequence[str]) -> int:
    rows = 0
    for layer in reversed(layers):
        if layer.startswith("conv"):
            rows += 1
        elif layer.startswith("pool"):
            rows *= 2
    return rows


def read_features(
    params: Params,
    image: Array,
    layers: Sequence[str],
    readings: Mapping[str, Reading] = MappingProxyType({}),
    *,
    pooling: Pooling = "max",
    padding: Padding = "zero",
    convolution: Convolution = "auto",
    dtype: Any = None,
    bands: Bands = "low",
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Computes some feature maps of one image, and sums over the positions of others.

    Args:
      params: the network's parameters.
      image: `[H, W, 3]`, RGB in [0, 1].
      layers: names of the maps to return, each of which takes its full memory.
      readings: the sums to compute, under any names.
      pooling: "max" or "average".
      padding: "zero", "reflect" or "replicate".
      convolution: as for `jaxstyle.networks.vgg.features`. For bands on a CPU in float32, "auto" is
        never "direct".
      dtype: as for `jaxstyle.networks.vgg.features`.
      bands: as for `plan_stages`.

    Returns:
      Two dictionaries, one from layer to map `[h, w, c]`, one from a reading's name to its sums.

    Raises:
      ValueError, TypeError: as `jaxstyle.networks.vgg.features` does.

    Example:
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4), ("conv2_1", 8)))
      >>> mean = Reading("relu1_1", lambda rows, _, share: share * rows.mean((0, 1)))
      >>> maps, sums = read_features(params, jnp.ones((9, 6, 3)), ["relu2_1"], {"mean": mean})
      >>> maps["relu2_1"].shape, sums["mean"].shape
      ((4, 3, 8), (4,))
    """
    widths = vgg.network_widths(params)
    wanted = (*layers, *(reading.layer for reading in readings.values()))
    vgg.check_layers(wanted, widths)
    check_image(image, "image")
    vgg.check_size(image.shape, wanted, padding)
    pool = max_pool if pooling == "max" else average_pool
    x = image - jnp.asarray(params["mean"])[None, None]
    maps: dict[str, Array] = {}
    sums: dict[str, Any] = {}
    for stage in plan_stages(widths, image.shape, wanted, bands):
        run = _Run(stage, params, tuple(layers), readings, pool, padding, convolution, dtype)
        x, found, read = run(x)
        maps |= found
        sums |= read
    return {layer: maps[layer] for layer in layers}, sums


def map_shape(widths: Widths, shape: Sequence[int], layer: str) -> tuple[int, int, int]:
    """Returns the shape `(h, w, c)` of a feature map of an image of shape `(H, W, ...)`.

    Example:
      >>> map_shape(vgg.VGG19_WIDTHS, (512, 300, 3), "relu4_2")
      (64, 37, 512)
    """
    names = vgg.layer_names(widths)
    convolutions = [name for name in names[: names.index(layer) + 1] if name.startswith("conv")]
    shrink = int(layer[4]) - (not layer.startswith("pool"))
    return shape[0] >> shrink, shape[1] >> shrink, dict(widths)[convolutions[-1]]


def prepare_params(
    params: Params,
    shape: Sequence[int],
    layers: Sequence[str],
    *,
    convolution: Convolution,
    bands: Bands = "low",
) -> dict[str, Any]:
    """Adds Winograd's transforms to the parameters, for the kernels that need one.

    Args:
      params: the network's parameters.
      shape: height and width of the images.
      layers: the feature maps that will be read.
      convolution: as for `read_features`.
      bands: as for `plan_stages`.

    Returns:
      Parameters as `jaxstyle.networks.vgg.prepare_params` returns them.
    """
    result = dict(params)
    for stage in plan_stages(vgg.network_widths(params), shape, layers, bands):
        for name in stage.layers:
            if name.startswith("conv") and "transformed" not in params[name]:
                kernel = params[name]["kernel"]
                x = jax.ShapeDtypeStruct((*stage.shape, kernel.shape[2]), kernel.dtype)  # type: ignore[no-untyped-call]
                if _choose(convolution, x, kernel, stage, prepared=True) == "winograd":
                    result[name] = {**params[name], "transformed": transform_kernel(kernel)}
    return result


def _choose(
    convolution: Convolution,
    x: Array | jax.ShapeDtypeStruct,
    kernel: Array,
    stage: Stage,
    *,
    prepared: bool,
) -> Convolution:
    if convolution != "auto":
        return convolution
    return choose_convolution(x, kernel, prepared=prepared, in_loop=stage.bands > 1)


_Found = tuple[Array, dict[str, Array], dict[str, Any]]


class _Run(NamedTuple):
    """The computation of one stage: of its output, of whole maps and of sums."""

    stage: Stage
    params: Params
    layers: tuple[str, ...]
    readings: Mapping[str, Reading]
    pool: Callable[[Array], Array]
    padding: Padding
    convolution: Convolution
    dtype: Any

    def __call__(self, x: Array) -> _Found:
        stage = self.stage
        data = {
            name: reading.data
            for name, reading in self.readings.items()
            if reading.layer in stage.layers
        }
        if stage.bands == 1:
            return self.band(x, data, rows=stage.shape[0], edges=(True, True))
        rows, halo, inner = stage.rows, stage.halo, stage.bands - 2
        end = (inner + 1) * rows  # where the last band begins

        def band(x: Array, data: Any, rows: int, edges: Edges) -> _Found:
            one = functools.partial(self.band, rows=rows, edges=edges)
            found: _Found = jax.checkpoint(one)(x, data)
            return found

        parts = [band(x[: rows + halo], self.cut(data, 0, rows), rows, (True, False))]
        if inner:
            # Each band comes in two pieces, so that only the rows of the halo are stored twice.
            own = x[rows - halo : end - halo].reshape(inner, rows, *x.shape[1:])
            below = x[2 * rows - halo : end + rows - halo].reshape(inner, rows, *x.shape[1:])
            stacked = own, below[:, : 2 * halo], self.cut(data, rows, end - rows, inner)

            def step(each: tuple[Array, Array, Any]) -> _Found:
                own, below, data = each
                return band(jnp.concatenate([own, below]), data, rows, (False, False))

            *middle, sums = lax.map(step, stacked)
            y, maps = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), middle)
            parts.append((y, maps, jax.tree.map(lambda leaf: jnp.sum(leaf, 0), sums)))
        last = stage.shape[0] - end
        parts.append(band(x[end - halo :], self.cut(data, end, last), last, (False, True)))
        whole: tuple[Array, dict[str, Array]]
        whole = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *(p[:2] for p in parts))
        return *whole, jax.tree.map(lambda *leaves: sum(leaves), *(p[2] for p in parts))

    def cut(self, data: dict[str, Any], start: int, rows: int, bands: int | None = None) -> Any:
        """Cuts out the data of some input rows, stacked by band if there are several bands."""

        def one(leaf: Array, shrink: int) -> Array:
            leaf = leaf[start // shrink : (start + rows) // shrink]
            return leaf if bands is None else leaf.reshape(bands, -1, *leaf.shape[1:])

        found = {}
        for name, each in data.items():
            shrink = self.stage.shrink(self.readings[name].layer)
            found[name] = jax.tree.map(functools.partial(one, shrink=shrink), each)
        return found

    def band(self, x: Array, data: dict[str, Any], *, rows: int, edges: Edges) -> _Found:
        """Computes one band from its rows `x`, which include a halo at each end that is no edge."""
        above = 0 if edges[0] else self.stage.halo
        total = self.stage.shape[0]
        maps: dict[str, Array] = {}
        sums: dict[str, Any] = {}
        for layer in self.stage.layers:
            if layer.startswith("conv"):
                x = self.convolve(layer, x, edges)
                above = max(above - 1, 0)
            elif layer.startswith("relu"):
                x = nn.relu(x)
            else:
                x = self.pool(x)
                above, rows, total = above // 2, rows // 2, total // 2
            own = x[above : above + rows]
            if layer in self.layers:
                maps[layer] = own
            for name, reading in self.readings.items():
                if reading.layer == layer:
                    sums[name] = reading.sums(own, data[name], rows / total)
        return x, maps, sums

    def convolve(self, layer: str, x: Array, edges: Edges) -> Array:
        parameters = self.params[layer]
        kernel, bias = parameters["kernel"], parameters["bias"]
        transformed = parameters.get("transformed")
        if self.dtype is not None:
            x, kernel, bias = (each.astype(self.dtype) for each in (x, kernel, bias))
        prepared = transformed is not None
        return conv3x3(
            x, kernel, bias, padding=self.padding, edges=edges, transformed=transformed,
            convolution=_choose(self.convolution, x, kernel, self.stage, prepared=prepared),
        )  # fmt: skip
