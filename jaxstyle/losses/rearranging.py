"""Rearranges a painting after a photograph: targets that are made of the painting's own features.

This is the first stage of NNST. Each place of the photograph is matched once with the piece of the
painting that is most like it. The targets are the painting's features at these pieces, and they
stay, so a few steps of L-BFGS are enough.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array

from jaxstyle._common.checks import check_amount, check_picture
from jaxstyle._common.kept import kept
from jaxstyle._common.sharding import on_any_mesh
from jaxstyle.losses.neighbours.search import unit
from jaxstyle.losses.neighbours.use import nearest_by_use
from jaxstyle.losses.pieces import sample
from jaxstyle.losses.spec import LossSpec, check_spec
from jaxstyle.losses.targets import Targets, content_targets

_STRIDE = 4  # pixels from one place to the next, at least
_MOST_PLACES = 2**14
_CURRENT = 0.25  # how much the picture so far counts in what is matched
REARRANGED = LossSpec(
    content_layers=(
        "relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3", "relu4_1",
    ),
    style_layers=(),
)  # fmt: skip
"""What `rearranged_targets` compares by default."""


@on_any_mesh
def rearranged_targets(
    params: Any,
    content: Array,
    style: Array,
    spec: LossSpec = REARRANGED,
    *,
    use_penalty: float = 0.05,
    current: Array | None = None,
    turned: bool = False,
) -> Targets:
    r"""Returns targets for `jaxstyle.optimize` that are a painting, rearranged after a photograph.

    Each place of the photograph is matched with a place of the painting. Places are four pixels
    apart, in large pictures as many as leave no more than 16,384 of them:

    .. math:: j(i) = \arg\max_j \cos(F_i - \bar F, A_j - \bar A) - b \, u_j / \bar u

    F and A are hypercolumns, in which each layer has the same weight, and :math:`u_j` is how often
    a piece would be taken without the last part. The target at a layer is what the painting has
    around the matched place.

    Departures from the paper: the layers have equal lengths, and features are compared by their
    squared difference in place of cosines.

    Args:
      params: the network's parameters.
      content: `[H, W, 3]` in [0, 1], at least 4×4.
      style: `[H', W', 3]` in [0, 1], at least 4×4.
      spec: its content layers are matched and compared; it should have no style layers.
      use_penalty: b, which keeps a few pieces from being everywhere.
      current: `[H, W, 3]`, the picture so far, whose features count for a quarter of those that are
        matched; None for the photograph alone.
      turned: whether the painting turned by 90, 180 and 270 degrees has pieces too. The search then
        takes four times as long.

    Returns:
      The `Targets`.

    Raises:
      ValueError: if `spec` has no content layers, has style layers, or compares no features.

    Example:
      >>> import jax
      >>> from jaxstyle.networks import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=())
      >>> content, style = jax.random.uniform(jax.random.key(1), (2, 16, 16, 3))
      >>> rearranged_targets(params, content, style, spec).content["relu1_1"].shape
      (16, 16, 4)

    Reference: Kolkin et al., "Neural neighbor style transfer", 2022, section 3; the part for use is
    that of Zhou et al., "Neural texture synthesis with guided correspondence", CVPR 2023, eq. 4.
    """
    check_spec(spec)
    check_amount(use_penalty, "use_penalty")
    current = content if current is None else current
    for name, image in (("content", content), ("style", style), ("current", current)):
        check_picture(image, name)
        if min(image.shape[:2]) < _STRIDE:
            raise ValueError(
                f"{name} should be at least {_STRIDE}×{_STRIDE}, got {list(image.shape)}"
            )
    if spec.style_layers or not spec.content_layers or spec.content_loss != "features":
        raise ValueError(
            "spec should have content layers, whose features are compared, and no style layers; "
            'write LossSpec(content_layers=["relu3_1"], style_layers=[])'
        )
    if current.shape != content.shape:
        raise ValueError(
            f"current should be {list(content.shape)} like content, got {list(current.shape)}"
        )
    # Programs of their own, which pictures of one size share.
    seen, begun = (content_targets(params, image, spec).content for image in (content, current))
    turns = range(4 if turned else 1)
    keys = [content_targets(params, jnp.rot90(style, k), spec).content for k in turns]
    shapes = _height_and_width(content), _height_and_width(style)
    found = _rearrange(seen, begun, keys, use_penalty, shapes=shapes)
    return Targets(content=found, style={})


def _height_and_width(image: Array) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


@functools.partial(kept, static_argnames="shapes")
def _rearrange(
    seen: dict[str, Array],
    begun: dict[str, Array],
    keys: list[dict[str, Array]],
    use_penalty: Array,
    *,
    shapes: tuple[tuple[int, int], tuple[int, int]],
) -> dict[str, Array]:
    """Returns what each layer's positions have, from maps of the turned paintings `keys`."""
    shape, source = shapes
    turned = [source[::-1] if turns % 2 else source for turns in range(len(keys))]
    maps = {layer: (1 - _CURRENT) * seen[layer] + _CURRENT * begun[layer] for layer in seen}
    sources = [_grid(each) for each in turned]
    pieces = [_columns(each, places) for each, places in zip(keys, sources, strict=True)]
    index = nearest_by_use(
        _directions(_columns(maps, _grid(shape))),
        _directions([jnp.concatenate(each) for each in zip(*pieces, strict=True)]),
        penalty=use_penalty,
    ).index
    matched, turns = jnp.concatenate(sources)[index], index // len(sources[0])
    found = {}
    for layer, own in seen.items():
        parts = [
            _taken(each[layer], matched, turns == k, shape, turned[k], own)
            for k, each in enumerate(keys)
        ]
        found[layer] = sum(parts[1:], start=parts[0])
    return found


def _taken(
    keys: Array,
    matched: Array,
    own: Array,
    shape: Sequence[int],
    source: Sequence[int],
    like: Array,
) -> Array:
    """Returns what one copy of the painting has at the matched places that are its own."""
    places, cell = _move(matched, shape, source, like.shape)
    return jnp.where(own[cell][:, None], sample(keys, places), 0.0).reshape(like.shape)


def _grid(shape: Sequence[int]) -> Array:
    return _centres(_grid_shape(shape))


def _grid_shape(shape: Sequence[int]) -> tuple[int, int]:
    stride = _STRIDE
    while math.prod(side // stride for side in shape[:2]) > _MOST_PLACES:
        stride += 1
    return max(1, shape[0] // stride), max(1, shape[1] // stride)


def _centres(shape: Sequence[int]) -> Array:
    """Returns the middles of the cells of a grid, as fractions, `[h · w, 2]`."""
    axes = [(jnp.arange(side, dtype=jnp.float32) + 0.5) / side for side in shape[:2]]
    return jnp.stack(jnp.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)


def _columns(maps: dict[str, Array], places: Array) -> list[Array]:
    return [sample(each, places) for each in maps.values()]


def _directions(columns: Sequence[Array]) -> Array:
    """Returns hypercolumns less their mean, each layer with a length of one, `[n, d]`."""
    return jnp.concatenate([unit(each - jnp.mean(each, axis=0)) for each in columns], axis=1)


def _move(
    matched: Array, shape: Sequence[int], source: Sequence[int], layer: Sequence[int]
) -> tuple[Array, Array]:
    """Returns where in the painting a layer's positions are taken from, and their cells."""
    grid = _grid_shape(shape)
    here = _centres(layer)
    down, across = (
        jnp.minimum((here[:, axis] * grid[axis]).astype(jnp.int32), grid[axis] - 1)
        for axis in (0, 1)
    )
    cell = down * grid[1] + across
    # A pixel beside the middle of its place takes the pixel beside the middle of the piece.
    scale = jnp.array([shape[0] / source[0], shape[1] / source[1]])
    return jnp.clip(matched[cell] + (here - _centres(grid)[cell]) * scale, 0.0, 1.0), cell
