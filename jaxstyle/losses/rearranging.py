"""Rearranges a painting after a photograph: targets that are made of the painting's own features.

This is the first stage of NNST. Each place of the photograph is matched once with the piece of the
painting that is most like it. The targets are the painting's features at these pieces, and they
stay, so a few steps of L-BFGS are enough.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common.checks import check_amount, check_picture
from jaxstyle._common.sharding import on_any_mesh
from jaxstyle.losses.features import features, settle
from jaxstyle.losses.neighbours.search import unit
from jaxstyle.losses.neighbours.use import nearest_by_use
from jaxstyle.losses.pieces import sample
from jaxstyle.losses.spec import LossSpec, check_spec
from jaxstyle.losses.targets import Targets

_STRIDE = 4  # pixels from one place to the next
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
) -> Targets:
    r"""Returns targets for `jaxstyle.optimize` that are a painting, rearranged after a photograph.

    Each place of the photograph, every fourth pixel, is matched with a place of the painting:

    .. math:: j(i) = \arg\max_j \cos(F_i - \bar F, A_j - \bar A) - b \, u_j / \bar u

    F and A are hypercolumns, in which each layer has the same weight, and :math:`u_j` is how often
    a piece would be taken without the last part. The target at a layer is what the painting has
    around the matched place.

    Departures from the paper: the painting is not turned, the layers have equal lengths, and
    features are compared by their squared difference in place of cosines.

    Args:
      params: the network's parameters.
      content: `[H, W, 3]` in [0, 1], at least 4×4.
      style: `[H', W', 3]` in [0, 1], at least 4×4.
      spec: its content layers are matched and compared; it should have no style layers.
      use_penalty: b, which keeps a few pieces from being everywhere.

    Returns:
      The `Targets`.

    Raises:
      ValueError: if `spec` has no content layers, has style layers, or compares no features.

    Example:
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
    for name, image in (("content", content), ("style", style)):
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
    found = _rearrange(params, content, style, use_penalty, spec=settle(spec, content))
    return Targets(content=found, style={})


@functools.partial(jax.jit, static_argnames="spec")
def _rearrange(
    params: Any, content: Array, style: Array, use_penalty: Array, *, spec: LossSpec
) -> dict[str, Array]:
    layers = spec.content_layers
    maps, keys = (features(params, image, spec, layers) for image in (content, style))
    places, sources = (_grid(image.shape) for image in (content, style))
    rows, pieces = _hypercolumns(maps, places), _hypercolumns(keys, sources)
    index = nearest_by_use(rows, pieces, penalty=use_penalty).index
    move = functools.partial(_move, sources[index], content.shape, style.shape)
    return {
        layer: sample(keys[layer], move(maps[layer].shape)).reshape(maps[layer].shape)
        for layer in layers
    }


def _grid(shape: Sequence[int]) -> Array:
    return _centres((shape[0] // _STRIDE, shape[1] // _STRIDE))


def _centres(shape: Sequence[int]) -> Array:
    """Returns the middles of the cells of a grid, as fractions, `[h · w, 2]`."""
    axes = [(jnp.arange(side, dtype=jnp.float32) + 0.5) / side for side in shape[:2]]
    return jnp.stack(jnp.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)


def _hypercolumns(maps: dict[str, Array], places: Array) -> Array:
    """Returns columns less their mean, each layer with a length of one, `[n, d]`."""
    columns = [sample(each, places) for each in maps.values()]
    columns = [unit(each - jnp.mean(each, axis=0)) for each in columns]
    return jnp.concatenate(columns, axis=1)


def _move(
    matched: Array, shape: Sequence[int], source: Sequence[int], layer: Sequence[int]
) -> Array:
    """Returns where in the painting each position of a layer has its features from."""
    grid = (shape[0] // _STRIDE, shape[1] // _STRIDE)
    here = _centres(layer)
    down, across = (
        jnp.minimum((here[:, axis] * grid[axis]).astype(jnp.int32), grid[axis] - 1)
        for axis in (0, 1)
    )
    cell = down * grid[1] + across
    # A pixel beside the middle of its place takes the pixel beside the middle of the piece.
    scale = jnp.array([shape[0] / source[0], shape[1] / source[1]])
    return jnp.clip(matched[cell] + (here - _centres(grid)[cell]) * scale, 0.0, 1.0)
