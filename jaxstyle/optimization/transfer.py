"""Style transfer, content reconstruction and texture synthesis of one image.

All three minimise `jaxstyle.objective.objective` over the pixels; they differ in what is compared
and where they start. They compose with `jax.jit`, `jax.vmap` and, with a solver that has no line
search, `jax.grad`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict, Unpack, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.arrays import default_key, to_device
from jaxstyle._common.checks import (
    check_amount,
    check_choice,
    check_image,
    check_key,
    check_picture,
    check_shape,
)
from jaxstyle._common.sharding import on_any_mesh
from jaxstyle.image import pixels
from jaxstyle.image.matching import match_distribution
from jaxstyle.losses.guidance import Region, guided_targets
from jaxstyle.losses.spec import LossSpec, LossWeights, check_spec
from jaxstyle.losses.targets import Targets, compute_targets
from jaxstyle.networks import vgg
from jaxstyle.networks.spec import VGGSpec
from jaxstyle.networks.vgg import Params
from jaxstyle.optimization.compact import as_it_suits
from jaxstyle.optimization.descent import Callback, Result, optimize
from jaxstyle.optimization.rearranging import rearrange
from jaxstyle.solvers import SolverLike

Init = Literal["content", "matched", "rearranged", "noise", "style", "white-noise"]


class OptimizeOptions(TypedDict, total=False):
    """The keyword arguments of `optimize` that its callers pass on."""

    weights: LossWeights
    solver: SolverLike | None
    learning_rate: ArrayLike | None
    num_steps: int
    callback: Callback | None
    callback_every: int


class StylizeOptions(OptimizeOptions, total=False):
    """The keyword arguments of `stylize`, and of the functions beside it.

    A type checker knows the kinds of what a dictionary of this type holds.

    Example:
      >>> quick: StylizeOptions = {"spec": LossSpec(style_layers=["relu1_1"]), "num_steps": 3}
    """

    spec: LossSpec
    init: Init | Array
    noise: ArrayLike | None
    key: Array | None
    keep: Array | None
    protect: Array | None
    calm: ArrayLike


@on_any_mesh
def stylize(
    params: Params,
    content: Array,
    style: Array,
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
    """A photograph in the style of a painting.

    `weights` and `solver` that are left out are those of `optimize`, and with the compact network
    those of its own recipe, which it is known for by its layers and widths.

    Args:
      params: the network's parameters.
      content: `[H, W, 3]` in [0, 1].
      style: `[H', W', 3]` in [0, 1]; its scale decides the size of the strokes.
      spec: the layers compared, and how the network pools and pads.
      init: where to start: "content", "matched", "rearranged", "noise", "white-noise", "style", or
        an image `[H, W, 3]`; see `jaxstyle.optimization.transfer.initial_image`.
      noise: standard deviation of Gaussian noise in the start, in [0, 1] units.
      key: a `jax.random.key` for the noise; `key(0)` by default.
      keep: `[H, W]`, 1 where the photograph stays untouched, 0 where it is painted, and between for
        soft edges; None paints everything. `1 - mask` paints only what is in a mask.
      protect: `[H, W]`, 1 where the photograph stays recognisable, such as a face.
      calm: from 0 to 1, how calm the photograph's flat areas stay; see `jaxstyle.losses.calm`.
      **options: those of `optimize`: `weights`, `solver`, `learning_rate`, `num_steps`, `callback`,
        `callback_every`.

    Returns:
      `Result(image, info)`, the image `[H, W, 3]`.

    Raises:
      ValueError: if an argument does not fit: shapes, layers, weights, number of steps.

    Example:
      >>> from jaxstyle.networks import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4), ("conv2_1", 4)))
      >>> spec = LossSpec(content_layers=("relu2_1",), style_layers=("relu1_1",))
      >>> content, style = jax.random.uniform(jax.random.key(1), (2, 16, 16, 3))
      >>> result = stylize(params, content, style, spec=spec, num_steps=5)
      >>> result.image.shape, result.info.loss.shape
      ((16, 16, 3), (6,))
      >>> bool(result.info.loss[-1] < result.info.loss[0])
      True

    Reference: Gatys et al., CVPR 2016, eq. 7 and section 3.
    """
    check_pictures(params, spec, content=content, style=style)
    start = start_image(init, params, content, style, noise=noise, key=key)
    targets = whole_targets(params, content, style, spec, keep=keep, protect=protect, calm=calm)
    return optimize(start, params, targets, spec=spec, **as_it_suits(params, options))


def whole_targets(
    params: Params,
    content: Array,
    style: Array,
    spec: LossSpec,
    *,
    keep: Array | None = None,
    protect: Array | None = None,
    calm: ArrayLike = 0.0,
) -> Targets:
    """Returns the targets of `stylize`, whose arguments these are."""
    plain = isinstance(calm, int | float) and calm == 0
    if keep is None and protect is None and plain:
        return compute_targets(params, content, style, spec)
    everywhere = Region(jnp.ones(_height_and_width(content)), style, name="of the whole picture")
    return guided_targets(
        params, content, [everywhere], spec, keep=keep, protect=protect, calm=calm
    )


@on_any_mesh
def reconstruct_content(
    params: Params,
    content: Array,
    layer: str = "relu4_2",
    *,
    spec: LossSpec = LossSpec(),
    init: Init | Array = "noise",
    noise: ArrayLike | None = None,
    key: Array | None = None,
    **options: Unpack[OptimizeOptions],
) -> Result:
    """An image with the features of a photograph at one layer, by default from noise.

    It shows what the layer keeps of its input. The compact network has weights and a solver of its
    own; see `stylize`.

    Args:
      params: the network's parameters.
      content: `[H, W, 3]` in [0, 1].
      layer: the layer whose features are matched; it replaces the layers of `spec`.
      spec: how the network pools and pads.
      init: "noise", "white-noise", "content" or an image `[H, W, 3]`; see
        `jaxstyle.optimization.transfer.initial_image`.
      noise: standard deviation of Gaussian noise in the start, in [0, 1] units.
      key: a `jax.random.key` for the noise; `key(0)` by default.
      **options: those of `optimize`: `weights`, `solver`, `learning_rate`, `num_steps`, `callback`,
        `callback_every`.

    Returns:
      `Result(image, info)`, the image `[H, W, 3]`.

    Raises:
      ValueError: if an argument does not fit.

    Reference: Gatys et al., CVPR 2016, section 2.1 and figure 1.
    """
    check_spec(spec)
    spec = dataclasses.replace(spec, content_layers=(layer,), style_layers=())
    check_pictures(params, spec, content=content)
    start = start_image(init, params, content, None, noise=noise, key=key)
    targets = compute_targets(params, content, None, spec)
    return optimize(start, params, targets, spec=spec, **as_it_suits(params, options))


@on_any_mesh
def synthesize_texture(
    params: Params,
    style: Array,
    layers: Sequence[str] | None = None,
    *,
    shape: Sequence[int] | None = None,
    spec: LossSpec = LossSpec(),
    init: Init | Array = "noise",
    noise: ArrayLike | None = None,
    key: Array | None = None,
    **options: Unpack[OptimizeOptions],
) -> Result:
    """A texture with the style of a painting, by default from noise.

    The compact network has weights and a solver of its own; see `stylize`.

    Args:
      params: the network's parameters.
      style: `[H, W, 3]` in [0, 1].
      layers: the layers whose statistics are matched; the style layers of `spec` by default.
      shape: height and width of the texture; those of the style image by default.
      spec: how the network pools and pads.
      init: "noise", "white-noise", "style" or an image `[*shape, 3]`; see
        `jaxstyle.optimization.transfer.initial_image`.
      noise: standard deviation of Gaussian noise in the start, in [0, 1] units.
      key: a `jax.random.key` for the noise; `key(0)` by default.
      **options: those of `optimize`: `weights`, `solver`, `learning_rate`, `num_steps`, `callback`,
        `callback_every`.

    Returns:
      `Result(image, info)`, the image `[*shape, 3]`.

    Raises:
      ValueError: if an argument does not fit.

    Reference: Gatys et al., NIPS 2015; CVPR 2016, section 2.2 and figure 1.
    """
    check_spec(spec)
    layers = spec.style_layers if layers is None else layers
    spec = dataclasses.replace(spec, content_layers=(), style_layers=layers)
    check_pictures(params, spec, style=style)
    shape = _height_and_width(style) if shape is None else check_shape(shape, "shape")
    start = initial_image(init, shape, params, style=style, noise=noise, key=key)
    targets = compute_targets(params, None, style, spec)
    return optimize(start, params, targets, spec=spec, **as_it_suits(params, options))


def start_image(
    init: Init | Array,
    params: Params,
    content: Array,
    style: Array | None,
    *,
    noise: ArrayLike | None = None,
    key: Array | None = None,
) -> Array:
    """Returns `initial_image` at the size of the content image, and on its devices."""
    shape = _height_and_width(content)
    image = initial_image(init, shape, params, content=content, style=style, noise=noise, key=key)
    if isinstance(content, jax.core.Tracer) or isinstance(image, jax.core.Tracer):
        return image
    # Where nobody has said on which device the content image is, nothing is said of the start.
    return (
        jax.device_put(image, content.sharding) if getattr(content, "committed", False) else image
    )


def initial_image(
    init: Init | Array,
    shape: Sequence[int],
    params: Params,
    *,
    content: Array | None = None,
    style: Array | None = None,
    noise: ArrayLike | None = None,
    key: Array | None = None,
) -> Array:
    """The image that an optimisation starts from.

    Args:
      init: "content"; "matched", the content image in the colours of the style image, by
        `jaxstyle.image.matching.match_distribution`; "rearranged", the content image painted with
        pieces of the style image, by `jaxstyle.optimization.rearranging.rearrange`, which takes
        some steps; "style", resized to `shape`; "noise", noise with the spectrum of natural images
        around the network's mean colour; "white-noise", as in the paper, which leaves a fine
        chequered pattern; or an image `[*shape, 3]`.
      shape: height and width.
      params: the network's parameters, for their mean colour.
      content: the content image, if there is one.
      style: the style image, if there is one.
      noise: standard deviation of the noise, in [0, 1] units. By default 60/255 for "noise" and
        "white-noise", and none for the others, to which noise as of "noise" is added.
      key: a `jax.random.key` for the noise; `key(0)` by default.

    Returns:
      `[*shape, 3]` float32.

    Raises:
      ValueError: if `init` is unknown, names an image that there is not, or has another shape.

    Example:
      >>> import jax.numpy as jnp
      >>> content = jnp.ones((4, 4, 3))
      >>> initial_image("content", (4, 4), {}, content=content, noise=0.1).shape
      (4, 4, 3)
    """
    key = default_key() if key is None else check_key(key, "key")
    if noise is not None:
        check_amount(noise, "noise")
    if isinstance(init, str):
        check_choice("init", init, get_args(Init))
        if init in ("noise", "white-noise"):
            draw = pixels.natural_noise if init == "noise" else pixels.white_noise
            # A network of the user's own may have no mean colour.
            mean = params.get("mean", 0.5) if isinstance(params, Mapping) else 0.5
            scale = pixels.NOISE_SCALE if noise is None else noise
            return draw(key, shape, mean=mean, scale=scale)
        image = _start_from(init, shape, params, content, style)
    else:
        check_picture(init, "init")
        image = init
    check_image(image, "init")
    if image.shape[:2] != tuple(shape):
        raise ValueError(
            f"init should be of {shape[0]}×{shape[1]} pixels like the result, "
            f"got {image.shape[0]}×{image.shape[1]}"
        )
    image = to_device(image)
    return image if noise is None else pixels.natural_noise(key, shape, mean=image, scale=noise)


def _start_from(
    init: Init, shape: Sequence[int], params: Params, content: Array | None, style: Array | None
) -> Array:
    """Returns the start that is made of the photograph, of the painting, or of both."""

    def needed(name: str, image: Array | None) -> Array:
        if image is None:
            raise ValueError(f"init {init!r} needs a {name} image; there is none here")
        return image

    if init == "content":
        return needed("content", content)
    painting = needed("style", style)
    if init == "style":
        return pixels.resize(painting, shape)
    photograph = needed("content", content)
    if init == "rearranged":
        return rearrange(params, photograph, painting)
    return jnp.clip(match_distribution(photograph, painting), 0.0, 1.0)


def check_pictures(params: Params, spec: LossSpec, **pictures: Array) -> None:
    """Raises before anything is traced, where errors would come with a page about tracebacks.

    Args:
      params: the network's parameters.
      spec: what is compared.
      **pictures: `content` or `style`, images.

    Raises:
      ValueError: if a layer is unknown, or an image has another shape or is too small.
    """
    check_spec(spec)
    for name, picture in pictures.items():
        check_picture(picture, name)
    if not isinstance(spec.network, VGGSpec):
        return
    vgg.check_layers(spec.layers, vgg.network_widths(params))
    for name, picture in pictures.items():
        layers = spec.layers if name == "content" else spec.style_layers
        vgg.check_size(picture.shape, layers, spec.network.padding)


def _height_and_width(image: Array) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
