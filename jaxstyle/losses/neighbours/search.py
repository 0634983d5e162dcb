"""Finds the nearest of many keys for each of many rows, exactly and in little memory.

Similarities are matrix products of tiles of rows and tiles of keys, of which the best so far is
kept: no array of all rows by all keys ever exists. The search itself has no slope. `distance` has,
through the chosen matches alone.
"""

import dataclasses
import functools
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common.checks import check_choice, check_count

Metric = Literal["cosine", "euclidean"]

TILE = 1024
"""Rows, and keys, that are compared at once."""
_TINY = 1e-12  # a row with fewer squares than this has no direction: it is at right angles to all

_NOWHERE = 2**31 - 1


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Matches:
    """The nearest key of each row.

    Attributes:
      index: `[n]` or `[n, k]` int32, places among the keys. Of equal distances the lowest place
        wins.
      distance: of the same shape, float32: 1 − cosine in [0, 2], or the squared Euclidean
        distance, without bias and scale. Infinite where a row's region has no key; the place there
        is 0. A key with NaN or infinity in it is never found; a row with one is NaN or infinite.
    """

    index: Array
    distance: Array


def nearest(
    rows: Array,
    keys: Array,
    metric: Metric = "euclidean",
    *,
    bias: Array | None = None,
    scale: Array | None = None,
    regions: tuple[Array, Array] | None = None,
    tile: int = TILE,
) -> Matches:
    r"""Finds the nearest key of each row.

    .. math:: \arg\min_j \; s_j \, d(x_i, k_j) + b_j

    Args:
      rows: `[n, d]`.
      keys: `[m, d]`.
      metric: "euclidean" for squared distances, or "cosine" for one minus the cosine.
      bias: `[m]`, is added to each key's distances: what makes keys that are used often dearer.
      scale: `[m]`, greater than 0, multiplies each key's distances.
      regions: labels of the rows `[n]` and of the keys `[m]`, whole numbers. A row is matched with
        keys of its own label alone.
      tile: rows, and keys, that are compared at once. It changes memory and speed, not the result.

    Returns:
      `Matches`, `[n]`. It has no slope; see `distance`.

    Raises:
      ValueError: if the shapes do not fit, there is no key, or the metric is unknown.

    Example:
      >>> keys = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
      >>> nearest(jnp.array([[0.9, 0.1], [0.1, 1.8]]), keys).index.tolist()
      [1, 2]
    """
    return _first(_search(rows, keys, metric, bias, scale, regions, tile, count=1)[0])


def candidates(
    rows: Array,
    keys: Array,
    count: int,
    metric: Metric = "euclidean",
    *,
    bias: Array | None = None,
    scale: Array | None = None,
    regions: tuple[Array, Array] | None = None,
    tile: int = TILE,
) -> Matches:
    """Finds the few nearest keys of each row, the nearest first; see `nearest`.

    Args:
      rows: `[n, d]`.
      keys: `[m, d]`.
      count: how many keys for each row, at most m.
      metric: as for `nearest`.
      bias: as for `nearest`.
      scale: as for `nearest`.
      regions: as for `nearest`.
      tile: as for `nearest`.

    Returns:
      `Matches`, `[n, count]`.

    Example:
      >>> candidates(jnp.array([[0.6]]), jnp.array([[0.0], [1.0], [3.0]]), 2).index.tolist()
      [[1, 0]]
    """
    if check_count(count, "count") > len(keys):
        raise ValueError(f"count should be at most the {len(keys)} keys, got {count}")
    return _search(rows, keys, metric, bias, scale, regions, tile, count=count)[0]


def nearest_of_both(
    rows: Array,
    keys: Array,
    metric: Metric = "euclidean",
    *,
    bias: Array | None = None,
    scale: Array | None = None,
    regions: tuple[Array, Array] | None = None,
    tile: int = TILE,
) -> tuple[Matches, Matches]:
    """Finds the nearest key of each row and the nearest row of each key, in one sweep.

    Args:
      rows: `[n, d]`.
      keys: `[m, d]`.
      metric: as for `nearest`.
      bias: as for `nearest`. A key's own bias and scale do not change which row is nearest to it.
      scale: as for `nearest`.
      regions: as for `nearest`.
      tile: as for `nearest`.

    Returns:
      `Matches` of the rows `[n]`, and of the keys `[m]`.

    Example:
      >>> of_rows, of_keys = nearest_of_both(jnp.array([[0.6], [0.9]]), jnp.array([[0.0], [1.0]]))
      >>> of_rows.index.tolist(), of_keys.index.tolist()
      ([1, 1], [0, 1])
    """
    found, other = _search(rows, keys, metric, bias, scale, regions, tile, count=1, both=True)
    assert other is not None
    return _first(found), other


def distance(rows: Array, keys: Array, index: Array, metric: Metric = "euclidean") -> Array:
    r"""Computes the distances of rows to chosen keys; this has a slope.

    .. math:: 1 - \cos(x_i, k_{j(i)}) \quad\text{or}\quad \|x_i - k_{j(i)}\|^2

    Args:
      rows: `[n, d]`.
      keys: `[m, d]`.
      index: `[n]` or `[n, k]`, the place of each row's key, as `nearest` finds it.
      metric: "euclidean" or "cosine".

    Returns:
      float32 of the shape of `index`.

    Example:
      >>> rows, keys = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 2.0]])
      >>> distance(rows, keys, jnp.array([0]), "cosine").item()
      1.0
    """
    check_choice("metric", metric, get_args(Metric))
    index = jnp.asarray(index)
    rows, chosen = jnp.asarray(rows, jnp.float32), jnp.asarray(keys, jnp.float32)[index]
    if index.ndim == 2:
        rows = rows[:, None]
    if metric == "euclidean":
        return jnp.sum(jnp.square(rows - chosen), axis=-1)
    return 1 - jnp.sum(unit(rows) * unit(chosen), axis=-1)


def unit(rows: Array) -> Array:
    """Returns rows `[..., d]` of length one; those of no length stay zero, and have no slope."""
    squares = jnp.sum(jnp.square(rows), axis=-1, keepdims=True)
    # A slope of a million at a place of no features would drown those of all other places.
    return jnp.where(squares <= _TINY, 0.0, rows * jax.lax.rsqrt(jnp.maximum(squares, _TINY)))


_Best = tuple[Array, Array]  # the least cost, and where it was found


class _Tiles(NamedTuple):
    """Rows or keys, cut into tiles; `[t, tile, ...]`."""

    values: Array
    offset: Array  # what the similarity loses for each; infinite for padding
    bias: Array
    scale: Array
    label: Array
    place: Array


def _search(
    rows: Array,
    keys: Array,
    metric: Metric,
    bias: Array | None,
    scale: Array | None,
    regions: tuple[Array, Array] | None,
    tile: int,
    *,
    count: int,
    both: bool = False,
) -> tuple[Matches, Matches | None]:
    rows, keys = jnp.asarray(rows, jnp.float32), jnp.asarray(keys, jnp.float32)
    bias, scale, regions = jax.tree.map(jnp.asarray, (bias, scale, regions), is_leaf=_is_list)
    _check(rows, keys, metric, bias, scale, regions)
    tile = check_count(tile, "tile")
    rows, keys, bias, scale = jax.lax.stop_gradient((rows, keys, bias, scale))
    plain = scale is None
    used = (bias is not None, regions is not None)
    row_labels, key_labels = (None, None) if regions is None else regions
    a, b, row_offset, key_offset = _operands(rows, keys, metric)
    ones = jnp.ones(keys.shape[0]) if scale is None else scale
    zeros = jnp.zeros(keys.shape[0]) if bias is None else bias
    row_tiles = _cut(a, row_offset, jnp.zeros_like(row_offset), row_offset, row_labels, tile)
    key_tiles = _cut(b, key_offset, zeros, ones, key_labels, tile)
    found, back = _sweep(row_tiles, key_tiles, plain, used, count, both)
    matches = _measured(rows, keys, found, count, metric)
    if not both:
        return matches, None
    others = _measured(keys, rows, back, 1, metric)
    return matches, _first(others)


def _is_list(given: Any) -> bool:
    return isinstance(given, list)


def _first(found: Matches) -> Matches:
    return Matches(found.index[:, 0], found.distance[:, 0])


def _operands(rows: Array, keys: Array, metric: Metric) -> tuple[Array, Array, Array, Array]:
    """Rows, keys and offsets such that distance = both offsets − 2 · product."""
    # A single NaN would hide all keys of its tile; so what has one is infinitely far from all.
    far = [jnp.where(jnp.isfinite(x).all(axis=1), 0.0, jnp.inf) for x in (rows, keys)]
    rows = jnp.where(far[0][:, None] == 0, rows, 0.0)
    keys = jnp.where(far[1][:, None] == 0, keys, 0.0)
    if metric == "cosine":
        return unit(rows) / 2, unit(keys), far[0], 1 + far[1]
    # Distances are the same from anywhere, and from the middle the least is lost to rounding.
    middle = jnp.mean(keys, axis=0)
    rows, keys = rows - middle, keys - middle
    squares = [jnp.sum(jnp.square(x), axis=1) for x in (rows, keys)]
    return rows, keys, far[0] + squares[0], far[1] + squares[1]


def _cut(
    values: Array, offset: Array, bias: Array, scale: Array, label: Array | None, tile: int
) -> _Tiles:
    n = values.shape[0]
    tile = min(tile, n)
    whole = -(-n // tile) * tile
    if label is None:
        label = jnp.zeros(n, jnp.int32)

    def cut(leaf: Array, fill: float) -> Array:
        padding = ((0, whole - n),) + ((0, 0),) * (leaf.ndim - 1)
        return jnp.pad(leaf, padding, constant_values=fill).reshape(-1, tile, *leaf.shape[1:])

    # Padding is infinitely far from everything, so it is never found.
    return _Tiles(
        cut(values, 0), cut(offset, jnp.inf), cut(bias, 0), cut(scale, 1),
        cut(label, 0), cut(jnp.arange(n, dtype=jnp.int32), 0),
    )  # fmt: skip


def _sweep(
    rows: _Tiles, keys: _Tiles, plain: bool, used: tuple[bool, bool], count: int, both: bool
) -> tuple[_Best, _Best]:
    """Compares all tiles; returns the best of rows `[t, tile, count]` and of keys `[t', tile']`."""
    best_of_keys = jnp.full(keys.offset.shape, jnp.inf), jnp.zeros(keys.place.shape, jnp.int32)
    key_tile = functools.partial(_compare, plain=plain, used=used, count=count, both=both)

    def row_tile(best_of_keys: Any, row: _Tiles) -> Any:
        least = jnp.full((row.offset.shape[0], count), jnp.inf)
        start = least, jnp.zeros(least.shape, jnp.int32)
        best, columns = jax.lax.scan(functools.partial(key_tile, row), start, keys)
        if both:
            best_of_keys = _lesser(best_of_keys, columns)
        return best_of_keys, best

    best_of_keys, best = jax.lax.scan(row_tile, best_of_keys, rows)
    return best, best_of_keys


def _compare(
    row: _Tiles,
    best: _Best,
    key: _Tiles,
    *,
    plain: bool,
    used: tuple[bool, bool],
    count: int,
    both: bool,
) -> Any:
    """Compares a tile of rows with one of keys; keeps the nearest keys and returns the rows'."""
    product = jnp.matmul(row.values, key.values.T, precision=jax.lax.Precision.HIGHEST)
    cost = key.offset[None] - 2 * product
    if not plain:
        cost = key.scale[None] * (row.offset[:, None] + cost)
    if used[0]:
        cost = cost + key.bias[None]
    apart = row.label[:, None] != key.label[None]
    if used[1]:
        cost = jnp.where(apart, jnp.inf, cost)
    if count == 1:
        found = _least(cost, key.place, axis=1)
        best = _lesser(best, jax.tree.map(lambda leaf: leaf[:, None], found))
    else:
        best = _several(best, cost, key.place, count)
    if not both:
        return best, None
    back = row.offset[:, None] - 2 * product
    return best, _least(jnp.where(apart, jnp.inf, back) if used[1] else back, row.place, axis=0)


def _least(cost: Array, place: Array, axis: int) -> _Best:
    least = jnp.min(cost, axis=axis, keepdims=True)
    # Not argmin, which XLA's CPU compiler does not vectorise.
    places = place[None] if axis == 1 else place[:, None]
    index = jnp.min(jnp.where(cost == least, places, _NOWHERE), axis=axis)
    least = jnp.squeeze(least, axis)
    return least, jnp.where(jnp.isfinite(least), index, 0)


def _lesser(a: _Best, b: _Best) -> _Best:
    """Of two costs with their places the lesser; of equal ones the first: its places are lower."""
    better = b[0] < a[0]
    return jnp.where(better, b[0], a[0]), jnp.where(better, b[1], a[1])


def _several(best: _Best, cost: Array, place: Array, count: int) -> _Best:
    costs = jnp.concatenate([best[0], cost], axis=1)
    places = jnp.concatenate([best[1], jnp.broadcast_to(place[None], cost.shape)], axis=1)
    closeness, order = jax.lax.top_k(-costs, count)  # of equal ones the first
    return -closeness, jnp.take_along_axis(places, order, axis=1)


def _measured(rows: Array, keys: Array, best: _Best, count: int, metric: Metric) -> Matches:
    """Measures the distances once more, exactly, of what was found; drops padding."""
    cost, index = (leaf.reshape(-1, count)[: rows.shape[0]] for leaf in best)
    # One column at a time: together their keys would take several times the memory of the rows.
    measure = functools.partial(distance, rows, keys, metric=metric)
    found = jnp.stack([measure(column) for column in index.T], axis=1)
    return Matches(index, jnp.where(jnp.isfinite(cost), found, jnp.inf))


def _check(
    rows: Array,
    keys: Array,
    metric: str,
    bias: Array | None,
    scale: Array | None,
    regions: tuple[Array, Array] | None,
) -> None:
    check_choice("metric", metric, get_args(Metric))
    if rows.ndim != 2 or keys.ndim != 2 or rows.shape[1] != keys.shape[1]:
        raise ValueError(
            "rows and keys should be [n, d] and [m, d], got "
            f"{list(rows.shape)} and {list(keys.shape)}"
        )
    if not rows.shape[0] or not keys.shape[0]:
        raise ValueError("there should be at least one row and one key, got none")
    labels = (None, None) if regions is None else regions
    for name, given, count in (
        ("bias", bias, keys), ("scale", scale, keys),
        ("the labels of rows", labels[0], rows), ("the labels of keys", labels[1], keys),
    ):  # fmt: skip
        if given is not None and given.shape != count.shape[:1]:
            raise ValueError(
                f"{name} should have shape {[count.shape[0]]}, got {list(given.shape)}"
            )
