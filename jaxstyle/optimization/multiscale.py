"""Coarse to fine: large pictures with large strokes, from a small picture that is enlarged.

The network sees at most some 150 pixels, so in a large picture it cannot match larger patterns. A
small picture has them, and they stay when it is enlarged. Most steps are then cheap ones.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.checks import check_count, check_picture
from jaxstyle._common.sharding import on_any_mesh
from jaxstyle.image import pixels
from jaxstyle.losses.guides import check_mask
from jaxstyle.losses.spec import LossSpec, LossWeights, check_spec, resolve_weights
from jaxstyle.networks.vgg import Params
from jaxstyle.optimization import transfer
from jaxstyle.optimization.batch import BatchProgress, Lane, descend_lanes
from jaxstyle.optimization.compact import as_it_suits
from jaxstyle.optimization.descent import Progress, Result, check_callback
from jaxstyle.optimization.sizes import scaled_shape
from jaxstyle.optimization.transfer import Init, OptimizeOptions, StylizeOptions
from jaxstyle.solvers import SolverLike

SMALLEST = 128
"""Longer side of the first of the automatic sizes."""
ENLARGING_STEPS = 20
"""Steps at each size on the way from a finished picture to a larger one."""


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
    if isinstance(num_steps, Sequence):
        steps = [check_count(each, "each of num_steps") for each in num_steps]
    else:
        first = check_count(num_steps, "num_steps")
        steps = [first] + [max(1, first // 2)] * (len(sizes) - 1)
    if len(steps) != len(sizes):
        raise ValueError(f"{len(sizes)} scales need as many numbers of steps, got {len(steps)}")
    return tuple(Scale(*each) for each in zip(sizes, steps, strict=True))


def enlarging_scales(before: int, size: int, num_steps: int = ENLARGING_STEPS) -> tuple[Scale, ...]:
    """Sizes that lead from a finished picture to a larger one, each at most twice the one before.

    Args:
      before: longer side of the picture in pixels.
      size: longer side of the larger one.
      num_steps: steps at each size. Few will do, because each begins near its end.

    Raises:
      ValueError: if `size` is not more than `before`.

    Example:
      >>> [scale.size for scale in enlarging_scales(512, 2048)]
      [1024, 2048]
    """
    if size <= before:
        raise ValueError(f"size should be more than {before}, the picture's own, got {size}")
    count = math.ceil(math.log2(size / before) - 1e-9)
    sizes = [round(size * (before / size) ** (i / count)) for i in range(count - 1, -1, -1)]
    num_steps = check_count(num_steps, "num_steps")
    return tuple(Scale(each, num_steps) for each in sizes)


def scale_at(scales: Sequence[Scale], step: int) -> tuple[int, int]:
    """Returns the number of the scale that makes a step, and the steps of all scales before it.

    Example:
      >>> scales = make_scales([256, 512], 300)
      >>> scale_at(scales, 300), scale_at(scales, 301)
      ((0, 0), (1, 300))
    """
    done = 0
    for number, scale in enumerate(scales[:-1]):
        if step <= done + scale.num_steps:
            return number, done
        done += scale.num_steps
    return len(scales) - 1, done


def descend_scales(
    params: Params,
    scales: Sequence[Scale],
    lanes_at: Callable[[int, Array | None], Sequence[Lane]],
    *,
    width: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    spec: LossSpec = LossSpec(),
    solver: SolverLike | None = None,
    every: int | None = None,
    resume: Progress | None = None,
) -> Iterator[tuple[int, BatchProgress]]:
    """Runs a batch at one size after the other, each from the end of the one before.

    The solver begins again at each size: curvature, momentum and step sizes of a smaller picture
    say little about a larger one.

    Args:
      params: the network's parameters.
      scales: from `make_scales`.
      lanes_at: `(number, images) -> lanes`, the batch at the scale of that number. `images` are
        what the scale before ended with, `[lanes, H, W, 3]`, or None at the first. No lanes end
        the descent.
      width: see `jaxstyle.optimization.batch.descend_lanes`, as for the arguments that follow.
      devices: over which the lanes are spread.
      spec: what is compared.
      solver: from `jaxstyle.solvers`; `lbfgs()` by default.
      every: steps between reports; None reports the end of each scale alone.
      resume: where to go on: the `progress` of a report, for a batch of one lane.

    Yields:
      The number of the scale, and `BatchProgress` whose steps count over all scales, as do those
      of its `progress`.
    """
    first, done = (0, 0) if resume is None else scale_at(scales, resume.step)
    begun = None if resume is None else resume._replace(step=resume.step - done)
    images = None
    for number, scale in list(enumerate(scales))[first:]:
        lanes = lanes_at(number, images)
        if not lanes:
            return
        if begun is not None:  # no step of its scale may be left to report
            images = lanes[0].targets.seen(begun.state.image)[None]
        for progress in descend_lanes(
            params, lanes, width=width, devices=devices, spec=spec, solver=solver,
            num_steps=scale.num_steps, every=every or scale.num_steps, resume=begun,
        ):  # fmt: skip
            images, step = progress.image, done + progress.step
            overall = progress.progress._replace(step=step)
            yield number, progress._replace(step=step, progress=overall)
        done, begun = done + scale.num_steps, None


@on_any_mesh
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
    keep: Array | None = None,
    protect: Array | None = None,
    calm: ArrayLike = 0.0,
    **options: Unpack[OptimizeOptions],
) -> Result:
    """Runs `jaxstyle.stylize` at one size after the other, each from the enlarged result before.

    The solver begins again at each size. The style image keeps its size relative to the content
    image.

    Args:
      params: the network's parameters.
      content: `[H, W, 3]` in [0, 1].
      style: `[H', W', 3]` in [0, 1].
      scales: from `make_scales`; the last size is that of the result.
      spec: what is compared.
      init: where to start, at the first size; see `jaxstyle.stylize`. An image is resized.
      noise: standard deviation of Gaussian noise in the start.
      key: a `jax.random.key` for the noise.
      keep: `[H, W]`, what stays untouched, as for `jaxstyle.stylize`.
      protect: `[H, W]`, what stays recognisable.
      calm: from 0 to 1, how calm flat areas stay.
      **options: as for `jaxstyle.stylize`, without `num_steps`, which the scales have. A callback
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
    check_spec(spec)
    check_picture(content, "content")
    check_picture(style, "style")
    for name, mask in (("keep", keep), ("protect", protect)):
        if mask is not None:
            check_mask(mask, content.shape[:2], name)
    rest: dict[str, Any] = dict(as_it_suits(params, options))
    weights = resolve_weights(rest.pop("weights", LossWeights()), spec)
    callback, callback_every = rest.pop("callback", None), rest.pop("callback_every", 10)
    rate = rest.pop("learning_rate", None)
    check_callback(callback, callback_every, (params, content, style, weights, rate))

    def lanes_at(number: int, images: Array | None) -> list[Lane]:
        ratio = scales[number].size / max(content.shape[:2])
        small = pixels.resize(content, _scaled(content, ratio))
        painting = pixels.resize(style, _scaled(style, ratio))
        transfer.check_pictures(params, spec, content=small, style=painting)
        before = init if images is None else jnp.squeeze(images, 0)
        start = transfer.start_image(
            before if isinstance(before, str) else pixels.resize(before, _scaled(content, ratio)),
            params, small, painting, noise=noise if images is None else None, key=key,
        )  # fmt: skip
        kept, protected = (
            None if mask is None else pixels.resize_mask(mask, small.shape[:2])
            for mask in (keep, protect)
        )
        targets = transfer.whole_targets(
            params, small, painting, spec, keep=kept, protect=protected, calm=calm
        )
        return [Lane(start, targets, weights, rate)]

    infos = []
    for _, progress in descend_scales(
        params, scales, lanes_at, spec=spec, every=callback_every if callback else None, **rest
    ):
        info = jax.tree.map(lambda leaf: jnp.squeeze(leaf, 1), progress.info)
        infos.append(info)
        if callback is not None:
            callback(progress.step, jnp.squeeze(progress.image, 0), info)
    return Result(
        jnp.squeeze(progress.image, 0), jax.tree.map(lambda *x: jnp.concatenate(x), *infos)
    )


def enlarge(
    params: Params,
    image: Array,
    content: Array,
    style: Array,
    size: int,
    **options: Unpack[StylizeOptions],
) -> Result:
    """Makes a larger picture with the composition of a finished one, and with strokes of its own.

    The finished picture is enlarged, to at most twice its size at a time, and optimised with a few
    steps each time. The style image keeps its size relative to the picture, so the strokes do too.

    Args:
      params: the network's parameters.
      image: `[h, w, 3]` in [0, 1], the finished picture.
      content: `[H, W, 3]` in [0, 1], the photograph that it was made from.
      style: `[H', W', 3]` in [0, 1], the painting at the size that goes with `content`: the two
        have the ratio that they had for the finished picture.
      size: the longer side of the larger picture.
      **options: as for `stylize`, without `init`. They should be those that the finished picture
        was made with, but for `num_steps`, the steps at each size, 20 by default.

    Returns:
      `Result(image, info)`, as from `stylize_coarse_to_fine`.

    Raises:
      ValueError: if `size` is not more than that of `image`, or an argument does not fit.

    Example:
      >>> from jaxstyle import resize
      >>> from jaxstyle.networks import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=("relu1_1",))
      >>> content, style = jax.random.uniform(jax.random.key(1), (2, 24, 32, 3))
      >>> small = resize(content, (12, 16))
      >>> enlarge(params, small, content, style, 32, num_steps=2, spec=spec).image.shape
      (24, 32, 3)
    """
    check_picture(image, "image")
    num_steps = options.pop("num_steps", ENLARGING_STEPS)
    scales = enlarging_scales(max(image.shape[:2]), size, num_steps)
    options["init"] = image
    return stylize_coarse_to_fine(params, content, style, scales, **options)


def _scaled(image: Array, ratio: float) -> tuple[int, int]:
    height, width = image.shape[:2]
    return scaled_shape((height, width), round(max(height, width) * ratio))
