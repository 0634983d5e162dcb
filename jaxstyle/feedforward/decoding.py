"""Any painting by way of features: maps are given the painting's statistics and made pixels again.

The compact network, with average pooling, turns a photograph into maps; its layers `relu1_1` to
`relu4_1` are levels 1 to 4. A transform gives the maps of a level mean and deviation of the
painting's (AdaIN, Huang and Belongie, ICCV 2017), or their mean and covariance (WCT, Li et al.,
NIPS 2017), or puts them together from the painting's own patches (style swap, Chen and Schmidt,
2016). A decoder makes an image of them. `transfer` goes through some levels, coarse to fine.

A decoder is a chain of stages. Stage k makes maps of level k - 1 from those of level k, and stage 1
makes pixels. Its parameters have the entries `stage4` to `stage1`, each with `kernel` and `bias` of
its convolutions `a`, `up` (at twice the size) and `b`; stage 1 has `a` and `b`.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.checks import check_choice, check_image
from jaxstyle.feedforward.layers import convolution3x3, enlarged
from jaxstyle.feedforward.palette import measure_colors, move_colors
from jaxstyle.image.matching import moments, transport_map
from jaxstyle.losses.matching import take_patches
from jaxstyle.losses.neighbours import describe, gather, nearest, vote
from jaxstyle.losses.pieces import draw
from jaxstyle.networks import vgg
from jaxstyle.networks.bands import read_features

Params = Mapping[str, Any]
Transform = Literal["adain", "wct", "transport", "swap"]

LEVELS = {level: f"relu{level}_1" for level in (1, 2, 3, 4)}
"""The layer of each level."""

PATCH = 3
"""Side of the patches that are swapped."""
NUM_PATCHES = 4096
"""Number of patches of a painting that are kept."""
_MULTIPLE = 8  # of sides that shrink by two three times without a rest
# Of the largest eigenvalue; directions that are flatter are left out, as in the paper.
_FLOOR = 1e-5
# The variance below which maps are nothing but rounding, which would become blotches on the picture
# of a single colour. That of decoded maps is up to 1e-9, and the least noise of a photograph 1e-4.
_ROUNDING = 1e-6


def encode(compact: Params, image: Array, levels: Sequence[int]) -> dict[str, Array]:
    """Returns the maps of an image at some levels, `{layer: [h, w, C]}`.

    Args:
      compact: parameters of the compact network.
      image: `[H, W, 3]` in [0, 1].
      levels: from 1 to 4.
    """
    layers = [LEVELS[level] for level in levels]
    if jax.default_backend() != "cpu":
        return vgg.features(compact, image, layers, pooling="average", padding="reflect")
    # In bands, because a CPU's caches hold no map of a large picture.
    return read_features(compact, image, layers, pooling="average", padding="reflect")[0]


def init_decoder(key: Array, compact: Params) -> dict[str, Any]:
    """Draws the parameters of a decoder that has learned nothing yet.

    Args:
      key: a `jax.random.key`.
      compact: parameters of the network whose maps it decodes.
    """
    widths = {k: compact[f"conv{k}_1"]["kernel"].shape[-1] for k in LEVELS} | {0: 3}
    keys = iter(jax.random.split(key, 11))

    def draw(inside: int, outside: int) -> dict[str, Array]:
        kernel = nn.initializers.he_normal()(next(keys), (3, 3, inside, outside))
        return {"kernel": kernel, "bias": jnp.zeros(outside)}

    params: dict[str, Any] = {}
    for k, layer in ((k, f"stage{k}") for k in LEVELS):
        wide, narrow = widths[k], widths[k - 1]
        params[layer] = {"a": draw(wide, wide), "b": draw(wide if k == 1 else narrow, narrow)}
        if k > 1:
            params[layer]["up"] = draw(wide, narrow)
    return params


def decode(params: Params, maps: Array, level: int) -> Array:
    """Makes an image of the maps of a level.

    Args:
      params: of the decoder.
      maps: `[h, w, C]`.
      level: that they belong to; static.

    Returns:
      `[h * 2**(level - 1), w * 2**(level - 1), 3]`, not clipped.
    """
    x = maps
    for k in range(level, 0, -1):
        stage = params[f"stage{k}"]
        x = nn.relu(_convolved(x, stage["a"]))
        if k > 1:
            x = nn.relu(enlarged(x, stage["up"]["kernel"], "reflect", None) + stage["up"]["bias"])
        x = _convolved(x, stage["b"])
        x = x if k == 1 else nn.relu(x)
    return x


def _convolved(x: Array, layer: Mapping[str, Array]) -> Array:
    return convolution3x3(x, layer["kernel"], "reflect") + layer["bias"]


def measure_levels(
    compact: Params, painting: Array, levels: Sequence[int], transform: Transform = "wct"
) -> dict[str, Any]:
    """Returns what `transfer` needs to know of a painting.

    Args:
      compact: parameters of the compact network.
      painting: `[H, W, 3]` in [0, 1].
      levels: from 1 to 4.
      transform: what it is for; static.

    Returns:
      Mean `[C]` and covariance `[C, C]` by layer, for "swap" patches `[4096, 9 · C]`, and mean and
      covariance of the colours as `colors`.

    Raises:
      ValueError: if `painting` is no image, or too small for a level.
    """
    check_image(painting, "painting")
    maps = encode(compact, painting, levels)
    known: dict[str, Any] = {}
    for layer, each in maps.items():
        if transform == "swap":
            places = draw(jax.random.key(0), NUM_PATCHES)
            known[layer] = {"patches": take_patches(each, places)}
        else:
            known[layer] = dict(zip(("mean", "covariance"), moments(each), strict=True))
    return {**known, "colors": measure_colors(painting)}


def transform_maps(
    maps: Array, mean: Array, covariance: Array, transform: Transform = "wct"
) -> Array:
    r"""Gives maps the mean of others, and their deviations or their covariance.

    - "adain": :math:`\sigma_t (x - \mu) / \sigma + \mu_t` for each channel by itself;
    - "wct": whitened by :math:`\Sigma^{-1/2}`, without directions that are flat, and coloured by
      :math:`\Sigma_t^{1/2}`;
    - "transport": the linear map to :math:`\Sigma_t` that moves vectors least.

    Args:
      maps: `[h, w, C]`.
      mean: `[C]`, of the others.
      covariance: `[C, C]`, of the others.
      transform: one of the three; static.

    Returns:
      `[h, w, C]`.

    Example:
      >>> maps, others = jax.random.normal(jax.random.key(0), (2, 9, 9, 3))
      >>> found = transform_maps(maps, *moments(2 * others + 1), "wct")
      >>> bool(jnp.allclose(moments(found)[1], moments(2 * others)[1], atol=1e-3))
      True
    """
    check_choice("transform", transform, get_args(Transform)[:3])
    own, spread = moments(maps)
    if transform == "adain":
        variance = jnp.diag(spread)
        ratio = jnp.diag(covariance) / jnp.maximum(variance, _ROUNDING)
        return (maps - own) * jnp.where(variance < _ROUNDING, 0, jnp.sqrt(ratio)) + mean
    if transform == "transport":
        matrix = transport_map(spread, covariance, _ROUNDING)
    else:
        matrix = _root(covariance) @ _root(spread, inverse=True)
    return jnp.matmul(maps - own, matrix.T, precision="highest") + mean


def swap_maps(maps: Array, patches: Array) -> Array:
    r"""Puts maps together from the patches of others: each patch becomes the one most like it.

    .. math:: P_i \to A_{j(i)}, \quad j(i) = \arg\max_j \cos(P_i, A_j)

    Where patches of 3×3 overlap, the mean counts.

    Args:
      maps: `[h, w, C]`, at least 3×3.
      patches: `[m, 9 · C]`, of the others; see `jaxstyle.losses.matching.take_patches`.

    Returns:
      `[h, w, C]`.

    Example:
      >>> maps = jax.random.uniform(jax.random.key(0), (5, 6, 2))
      >>> bool(jnp.allclose(swap_maps(maps, describe([maps], patch=3)), maps, atol=1e-6))
      True

    Reference: Chen and Schmidt, "Fast patch-based style transfer of arbitrary style", 2016, eq. 1.
    """
    found = nearest(describe([maps], patch=PATCH), patches, "cosine")
    return vote(gather(patches, found.index), maps.shape[:2], patch=PATCH)


def _root(covariance: Array, *, inverse: bool = False) -> Array:
    """Returns the square root of a covariance, or its inverse where it is not flat."""
    values, vectors = jnp.linalg.eigh(covariance)
    least = jnp.maximum(_FLOOR * values[-1], _ROUNDING)
    roots = jnp.sqrt(jnp.maximum(values, least))
    factors = jnp.where(values > least, 1 / roots if inverse else roots, 0)
    return jnp.matmul(vectors * factors, vectors.T, precision="highest")


def transfer(
    params: Params,
    compact: Params,
    image: Array,
    paintings: Mapping[str, Any],
    weights: ArrayLike | None = None,
    *,
    levels: tuple[int, ...] = (4, 3, 2),
    transform: Transform = "wct",
    strength: ArrayLike = 1.0,
) -> Array:
    """Paints an image like paintings, in one pass for each level.

    The colours of the result get mean and covariance of the paintings' at last.

    Args:
      params: of the decoder.
      compact: parameters of the compact network.
      image: `[H, W, 3]` in [0, 1], of any size from 16 pixels.
      paintings: from `measure_levels`; every leaf has a leading axis, one entry for each of N.
      weights: how much each painting counts: `[N]`, or `[H, W, N]` for each pixel by itself, of
        sum one; None for the same of each.
      levels: in the order in which they are gone through; static.
      transform: see `transform_maps` and `swap_maps`; static.
      strength: how much of the transformed maps is taken, from 0 to 1: one number, or one for each
        level.

    Returns:
      `[H, W, 3]`, not clipped.

    Raises:
      ValueError: if the image is none or too small, or a level or transform is unknown.

    Example:
      >>> widths = (("conv1_1", 2), ("conv2_1", 3), ("conv3_1", 3), ("conv4_1", 4))
      >>> compact = vgg.init_params(jax.random.key(0), widths)
      >>> image, painting = jax.random.uniform(jax.random.key(1), (2, 17, 20, 3))
      >>> known = measure_levels(compact, painting, (2,))
      >>> one = jax.tree.map(lambda leaf: leaf[None], known)
      >>> transfer(init_decoder(jax.random.key(2), compact), compact, image, one, levels=(2,)).shape
      (17, 20, 3)

    References: Li et al., NIPS 2017, section 3; Huang and Belongie, ICCV 2017, eq. 8 and 14; Chen
    and Schmidt, 2016, section 3.
    """
    check_image(image, "image")
    check_choice("transform", transform, get_args(Transform))
    if not levels or set(levels) - LEVELS.keys():
        raise ValueError(f"levels should be among 4, 3, 2 and 1, got {levels}")
    count = len(paintings["colors"]["mean"])
    weights = jnp.full(count, 1 / count) if weights is None else jnp.asarray(weights, image.dtype)
    shares = jnp.broadcast_to(jnp.asarray(strength, image.dtype), (len(levels),))
    result: Array = _transfer(
        params, compact, image, paintings, weights, shares, levels=levels, transform=transform
    )
    return result


# What follows is compiled. The function above checks what it is given, because errors from inside a
# program come with a page about tracebacks.


@functools.partial(jax.jit, static_argnames=("levels", "transform"))
def _transfer(
    params: Params,
    compact: Params,
    image: Array,
    paintings: Mapping[str, Any],
    weights: Array,
    shares: Array,
    *,
    levels: tuple[int, ...],
    transform: Transform,
) -> Array:
    height, width, _ = image.shape
    rows, columns = (-side % _MULTIPLE for side in (height, width))
    x = jnp.pad(image, ((0, rows), (0, columns), (0, 0)), mode="symmetric")
    for level, share in zip(levels, shares, strict=True):
        layer = LEVELS[level]
        maps = encode(compact, x, [level])[layer]
        move = functools.partial(_moved, maps, transform=transform)
        moved = jax.vmap(move)(paintings[layer])
        blended = _blended(moved, weights, (rows, columns))
        x = decode(params, maps + share * (blended - maps), level)
    return move_colors(x[:height, :width], paintings["colors"], weights)


def _moved(maps: Array, known: Mapping[str, Array], *, transform: Transform) -> Array:
    if transform == "swap":
        return swap_maps(maps, **known)
    return transform_maps(maps, **known, transform=transform)


def _blended(moved: Array, weights: Array, beside: tuple[int, int]) -> Array:
    """Returns the mean of maps `[N, h, w, C]`, weighed everywhere or in each pixel."""
    if weights.ndim == 1:
        return jnp.einsum("n,nhwc->hwc", weights, moved, precision="highest")
    rows, columns = beside
    whole = jnp.pad(weights, ((0, rows), (0, columns), (0, 0)), mode="edge")
    shape = (*moved.shape[1:3], weights.shape[-1])
    resized = jax.image.resize(whole, shape, "linear")
    return jnp.einsum("hwn,nhwc->hwc", resized, moved, precision="highest")
