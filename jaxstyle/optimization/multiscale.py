"""Coarse to fine: large pictures with large strokes, from a small picture that is enlarged.

The network sees at most some 150 pixels, so at large sizes it can match no larger pattern. A start
that already has them, from a smaller size, keeps them, and most steps are cheap ones.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.checks import check_image
from jaxstyle.image import pixels
from jaxstyle.losses.spec import LossSpec
from jaxstyle.networks.vgg import Params
from jaxstyle.optimization import transfer
from jaxstyle.optimization.descent import Callback, Result
from jaxstyle.optimization.transfer import Init, OptimizeOptions

SMALLEST = 128
"""Longer side of the first of the automatic sizes."""


class Scale(NamedTuple):
    """A size on the way.

    Attributes:
      size: longer side in pixels.
      num_steps: steps of the solver there.
    """

    size: int
    num_steps: int


def automatic_sizes(size: int, smallest: int = SMALLEST) -> tuple[int, ...]:
    """Longer sides from coarse to fine, each about √2 of the one before.

    Args:
      size: the last one.
      smallest: the least that the first one may have, where `size` is not less.

    Example:
      >>> automatic_sizes(512)
      (128, 181, 256, 362, 512)
      >>> automatic_sizes(100)
      (100,)

    Reference: the schedule of crowsonkb/style-transfer-pytorch.
    """
    count = max(0, math.floor(2 * math.log2(size / smallest) + 1e-9))
    return tuple(round(size / math.sqrt(2) ** i) for i in range(count, -1, -1))


def make_scales(sizes: Sequence[int], num_steps: int | Sequence[int]) -> tuple[Scale, ...]:
    """Sizes with their steps.

    Args:
      sizes: longer sides in pixels, rising.
      num_steps: steps for each, or one number: that many for the first, half of it for each other,
        which begins near its end.

    Raises:
      ValueError: if sizes do not rise, or there is another number of steps.

    Example:
      >>> make_scales([256, 512], 300)
      (Scale(size=256, num_steps=300), Scale(size=512, num_steps=150))
    """
    sizes = tuple(sizes)
    if not sizes or sizes[0] < 1 or any(a >= b for a, b in itertools.pairwise(sizes)):
        raise ValueError(f"scales should be sizes that rise, got {', '.join(map(str, sizes))}")
    if isinstance(num_steps, int):
        num_steps = [num_steps] + [max(1, num_steps // 2)] * (len(sizes) - 1)
    if len(num_steps) != len(sizes):
        raise ValueError(f"{len(sizes)} scales need as many numbers of steps, got {len(num_steps)}")
    return tuple(Scale(*each) for each in zip(sizes, num_steps, strict=True))


def scaled_shape(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """Height and width with a longer side of `size`, at least one pixel each.

    Example:
      >>> scaled_shape((300, 400), 200)
      (150, 200)
    """
    factor = size / max(shape)
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def stylize_coarse_to_fine(
    params: Params,
    content: Array,
    style: Array,
    scales: Sequence[Scale],
    *,
    spec: LossSpec = LossSpec(),
    init: Init | Array = "content",
    noise: ArrayLike | None = None,
    key: Array | None = None,
    **options: Unpack[OptimizeOptions],
) -> Result:
    """`jaxstyle.stylize` at one size after the other, each from the enlarged result before.

    The solver begins anew at each size: curvature, momentum and step sizes of a smaller picture
    say little about a larger one. The style image keeps its size relative to the content image.

    Args:
      params: the network's parameters.
      content: `[H, W, 3]` in [0, 1].
      style: `[H', W', 3]` in [0, 1].
      scales: from `make_scales`; the last size is that of the result.
      spec: what is compared.
      init: where to start, at the first size; see `jaxstyle.stylize`. An image is resized.
      noise: standard deviation of Gaussian noise in the start.
      key: a `jax.random.key` for the noise.
      **options: as for `jaxstyle.stylize`, but `num_steps`, which the scales have. A callback
        counts steps over all sizes.

    Returns:
      `Result(image, info)`; `info` has the start and every step of each size in turn, leaves
      `[total steps + number of scales]`.

    Raises:
      ValueError: if there is no scale, `num_steps` is given, or an argument does not fit.

    Example:
      >>> from jaxstyle.networks import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=("relu1_1",))
      >>> content, style = jax.random.uniform(jax.random.key(1), (2, 24, 32, 3))
      >>> scales = make_scales([16, 32], [4, 2])
      >>> stylize_coarse_to_fine(params, content, style, scales, spec=spec).image.shape
      (24, 32, 3)

    Reference: Gatys et al., CVPR 2017, section 6.1.
    """
    if not scales:
        raise ValueError("scales is empty; make_scales makes them from sizes")
    if "num_steps" in options:
        raise ValueError("num_steps belongs to the scales; leave it out")
    check_image(content, "content")
    check_image(style, "style")
    image: Array | None = None
    infos, done = [], 0
    rest: dict[str, Any] = dict(options)
    callback = rest.pop("callback", None)
    for size, num_steps in scales:
        shape = scaled_shape(_height_and_width(content), size)
        ratio = size / max(content.shape[:2])
        style_shape = scaled_shape(_height_and_width(style), round(max(style.shape[:2]) * ratio))
        if image is not None:
            init, noise = image, None
        if not isinstance(init, str):
            init = pixels.resize(init, shape)
        result = transfer.stylize(
            params, pixels.resize(content, shape), pixels.resize(style, style_shape), spec=spec,
            init=init, noise=noise, key=key, num_steps=num_steps,
            callback=callback and _counting_from(done, callback), **rest,
        )  # fmt: skip
        image, done = result.image, done + num_steps
        infos.append(result.info)
    assert image is not None
    return Result(image, jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *infos))


def _counting_from(done: int, callback: Callback) -> Callback:
    return lambda step, image, info: callback(done + step, image, info)


def _height_and_width(image: Array) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
