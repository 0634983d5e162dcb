"""Style transfer, content reconstruction and texture synthesis of one image.

All three minimise `jaxstyle.objective.objective` over the pixels; they differ in what is compared
and where they start. They compose with `jax.jit`, `jax.vmap` and, with a solver that has no line
search, `jax.grad`.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypedDict, Unpack, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle import images, solvers, vgg
from jaxstyle.checks import check_choice, check_image
from jaxstyle.objective import LossSpec, LossWeights, Targets, compute_targets, objective
from jaxstyle.solvers import Info, Solver, State
from jaxstyle.vgg import Params

Init = Literal["content", "noise", "style"]
Callback = Callable[[int, Array, Info], None]


class Result(NamedTuple):
    """The outcome of an optimisation.

    Attributes:
      image: `[H, W, 3]` float32; in [0, 1] within rounding where the weights keep the range,
        otherwise to be clipped.
      info: `Info` of the start and of every step: each leaf is `[num_steps + 1]`. Where a loss
        was not finite, `info.finite` is False from that step on, and `image`, loss and terms stay
        those of the last good step.
    """

    image: Array
    info: Info


class OptimizeOptions(TypedDict, total=False):
    """The keyword arguments of `optimize` that its callers pass on."""

    weights: LossWeights
    solver: Solver | None
    num_steps: int
    callback: Callback | None
    callback_every: int


def stylize(
    params: Params,
    content: Array,
    style: Array,
    *,
    spec: LossSpec = LossSpec(),
    init: Init | Array = "content",
    noise: ArrayLike | None = None,
    key: Array | None = None,
    **options: Unpack[OptimizeOptions],
) -> Result:
    """A photograph in the style of a painting.

    Args:
      params: the network's parameters.
      content: `[H, W, 3]` in [0, 1].
      style: `[H', W', 3]` in [0, 1]; its scale decides the size of the strokes.
      spec: the layers compared, and how the network pools and pads.
      init: where to start: "content", "noise", "style" (resized), or an image `[H, W, 3]`; see
        `initial_image`.
      noise: standard deviation of Gaussian noise in the start, in [0, 1] units.
      key: a `jax.random.key` for the noise; `key(0)` by default.
      **options: `weights`, `solver`, `num_steps`, `callback` and `callback_every` of `optimize`.

    Returns:
      `Result(image, info)`, the image `[H, W, 3]`.

    Raises:
      ValueError: if an argument does not fit: shapes, layers, weights, number of steps.

    Example:
      >>> from jaxstyle import vgg
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
    _check_pictures(params, spec, content=content, style=style)
    start = initial_image(
        init, _height_and_width(content), params, content=content, style=style, noise=noise, key=key
    )
    targets = _compiled_targets(params, content, style, spec=spec)
    return optimize(start, params, targets, spec=spec, **options)


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
    """An image with the features of a photograph at one layer, by default from white noise.

    It shows what the layer keeps of its input.

    Args:
      params: the network's parameters.
      content: `[H, W, 3]` in [0, 1].
      layer: the layer whose features are matched; it replaces the layers of `spec`.
      spec: how the network pools and pads.
      init: "noise", "content" or an image `[H, W, 3]`; see `initial_image`.
      noise: standard deviation of Gaussian noise in the start, in [0, 1] units.
      key: a `jax.random.key` for the noise; `key(0)` by default.
      **options: `weights`, `solver`, `num_steps`, `callback` and `callback_every` of `optimize`.

    Returns:
      `Result(image, info)`, the image `[H, W, 3]`.

    Raises:
      ValueError: if an argument does not fit.

    Reference: Gatys et al., CVPR 2016, section 2.1 and figure 1.
    """
    spec = dataclasses.replace(spec, content_layers=(layer,), style_layers=())
    _check_pictures(params, spec, content=content)
    start = initial_image(
        init, _height_and_width(content), params, content=content, noise=noise, key=key
    )
    targets = _compiled_targets(params, content, None, spec=spec)
    return optimize(start, params, targets, spec=spec, **options)


def synthesize_texture(
    params: Params,
    style: Array,
    layers: Sequence[str] | None = None,
    *,
    shape: tuple[int, int] | None = None,
    spec: LossSpec = LossSpec(),
    init: Init | Array = "noise",
    noise: ArrayLike | None = None,
    key: Array | None = None,
    **options: Unpack[OptimizeOptions],
) -> Result:
    """A texture with the style of a painting, by default from white noise.

    Args:
      params: the network's parameters.
      style: `[H, W, 3]` in [0, 1].
      layers: the layers whose statistics are matched; the style layers of `spec` by default.
      shape: height and width of the texture; those of the style image by default.
      spec: how the network pools and pads.
      init: "noise", "style" or an image `[*shape, 3]`; see `initial_image`.
      noise: standard deviation of Gaussian noise in the start, in [0, 1] units.
      key: a `jax.random.key` for the noise; `key(0)` by default.
      **options: `weights`, `solver`, `num_steps`, `callback` and `callback_every` of `optimize`.

    Returns:
      `Result(image, info)`, the image `[*shape, 3]`.

    Raises:
      ValueError: if an argument does not fit.

    Reference: Gatys et al., NIPS 2015; CVPR 2016, section 2.2 and figure 1.
    """
    layers = spec.style_layers if layers is None else tuple(layers)
    spec = dataclasses.replace(spec, content_layers=(), style_layers=layers)
    _check_pictures(params, spec, style=style)
    shape = _height_and_width(style) if shape is None else shape
    start = initial_image(init, shape, params, style=style, noise=noise, key=key)
    targets = _compiled_targets(params, None, style, spec=spec)
    return optimize(start, params, targets, spec=spec, **options)


def initial_image(
    init: Init | Array,
    shape: tuple[int, int],
    params: Params,
    *,
    content: Array | None = None,
    style: Array | None = None,
    noise: ArrayLike | None = None,
    key: Array | None = None,
) -> Array:
    """The image that an optimisation starts from.

    Args:
      init: "content"; "style", resized to `shape`; "noise", white noise around the network's mean
        colour; or an image `[*shape, 3]`.
      shape: height and width.
      params: the network's parameters, for their mean colour.
      content: the content image, if there is one.
      style: the style image, if there is one.
      noise: standard deviation of Gaussian noise, in [0, 1] units. By default 60/255 for "noise"
        and none for the others, to which it is added.
      key: a `jax.random.key` for the noise; `key(0)` by default.

    Returns:
      `[*shape, 3]` float32.

    Raises:
      ValueError: if `init` is unknown, names an image that there is not, or has another shape.

    Example:
      >>> content = jnp.ones((4, 4, 3))
      >>> initial_image("content", (4, 4), {}, content=content, noise=0.1).shape
      (4, 4, 3)
    """
    key = jax.random.key(0) if key is None else key
    if isinstance(init, str):
        check_choice("init", init, get_args(Init))
        if init == "noise":
            scale = images.WHITE_NOISE_SCALE if noise is None else noise
            return images.white_noise(key, shape, mean=params["mean"], scale=scale)
        image = content if init == "content" else style
        if image is None:
            raise ValueError(f"init {init!r} needs a {init} image; there is none here")
        if init == "style":
            image = images.resize(image, shape)
    else:
        image = init
    check_image(image, "init")
    if image.shape[:2] != tuple(shape):
        raise ValueError(
            f"init should be of {shape[0]}×{shape[1]} pixels like the result, "
            f"got {image.shape[0]}×{image.shape[1]}"
        )
    image = jnp.asarray(image, jnp.float32)
    return image if noise is None else images.white_noise(key, shape, mean=image, scale=noise)


def optimize(
    image: Array,
    params: Params,
    targets: Targets,
    *,
    spec: LossSpec = LossSpec(),
    weights: LossWeights = LossWeights(),
    solver: Solver | None = None,
    num_steps: int = 300,
    callback: Callback | None = None,
    callback_every: int = 10,
) -> Result:
    """Minimises the objective over the pixels of an image.

    A step whose loss is not finite is undone, and the image stays as it was: under `vmap` the
    other lanes go on.

    Args:
      image: `[H, W, 3]`, where to start.
      params: the network's parameters.
      targets: from `compute_targets` with the same `spec`.
      spec: what is compared; static.
      weights: how much each part of the objective counts.
      solver: from `jaxstyle.solvers`; `lbfgs()` by default.
      num_steps: steps of the solver, at least one; static.
      callback: called with the number of steps done, the image and the `Info` of the steps since
        the last call (the first time also that of the start). It may raise to stop early. Not
        possible inside `jit` or `vmap`.
      callback_every: steps between calls.

    Returns:
      `Result(image, info)`.

    Raises:
      ValueError: if an argument does not fit, or `num_steps` or `callback_every` is less than one.
    """
    for name, value in (("num_steps", num_steps), ("callback_every", callback_every)):
        if value < 1:
            raise ValueError(f"{name} should be at least 1, got {value}")
    check_image(image, "image")
    image = jnp.asarray(image, jnp.float32)
    problem = _Problem(spec, solvers.lbfgs() if solver is None else solver)
    arrays = (params, targets, weights.resolve(spec))
    steps_per_call = _steps_per_call(num_steps)
    state, info = _start(image, arrays, problem=problem)
    infos = [jax.tree.map(lambda leaf: leaf[None], info)]
    done = reported = 0
    while done < num_steps:
        length = min(steps_per_call, num_steps - done)
        if callback is not None:
            length = min(length, callback_every - done % callback_every)
        state, info, steps = _advance(state, info, arrays, problem=problem, length=length)
        infos.append(steps)
        done += length
        if not isinstance(info.loss, jax.core.Tracer):
            # Steps dispatched ahead would each hold a history of their own.
            info.loss.block_until_ready()
        if callback is not None and (done % callback_every == 0 or done == num_steps):
            callback(done, state.image, _concatenate(infos[reported:]))
            reported = len(infos)
    return Result(state.image, _concatenate(infos))


def _steps_per_call(num_steps: int) -> int:
    """How many steps go into one compiled program."""
    if isinstance(jnp.zeros(()) + 0, jax.core.Tracer):
        return num_steps  # inside jit: all of them are part of the caller's program
    # XLA's CPU compiler gives convolutions inside loops a slow kernel (jax-ml/jax issue 12868),
    # a third of the speed here; accelerators gain from fewer launches.
    return 1 if jax.default_backend() == "cpu" else 10


class _Problem(NamedTuple):
    """The static half of an optimisation: which program is compiled."""

    spec: LossSpec
    solver: Solver

    def objective(self, arrays: tuple[Params, Targets, LossWeights]) -> solvers.Objective:
        params, targets, weights = arrays
        return lambda image: objective(image, params, targets, weights, spec=self.spec)


@functools.partial(jax.jit, static_argnames="problem")
def _start(
    image: Array, arrays: tuple[Params, Targets, LossWeights], *, problem: _Problem
) -> tuple[State, Info]:
    return problem.solver.init(problem.objective(arrays), image)


@functools.partial(jax.jit, static_argnames=("problem", "length"))
def _advance(
    state: State,
    info: Info,
    arrays: tuple[Params, Targets, LossWeights],
    *,
    problem: _Problem,
    length: int,
) -> tuple[State, Info, Info]:
    value = problem.objective(arrays)

    def step(carry: tuple[State, Info], _: None) -> tuple[tuple[State, Info], Info]:
        state, info = carry
        new_state, new_info = problem.solver.step(value, state)
        good = jnp.isfinite(new_info.loss) & info.finite
        # The solver's inner state may be spoilt from here on, but the image never moves again.
        image = jnp.where(good, new_state.image, state.image)
        loss, terms = jax.tree.map(
            lambda new, old: jnp.where(good, new, old),
            (new_info.loss, new_info.terms),
            (info.loss, info.terms),
        )
        new_info = Info(loss, terms, new_info.evaluations, good)
        return (new_state._replace(image=image), new_info), new_info

    if length == 1:
        (state, info), _ = step((state, info), None)
        return state, info, jax.tree.map(lambda leaf: leaf[None], info)
    (state, info), steps = jax.lax.scan(step, (state, info), length=length)
    return state, info, steps


_compiled_targets = jax.jit(compute_targets, static_argnames="spec")


def _concatenate(infos: list[Info]) -> Info:
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(infos)):
        joined: Info = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *infos)
        return joined
    # Not jnp: it would compile a program for every number of parts.
    host = jax.tree.map(lambda *leaves: np.concatenate(leaves), *infos)
    whole: Info = jax.device_put(host)
    return whole


def _check_pictures(params: Params, spec: LossSpec, **pictures: Array) -> None:
    """Raises before anything is traced, where errors would come with a page about tracebacks."""
    vgg.check_layers(spec.layers, vgg.network_widths(params))
    for name, picture in pictures.items():
        check_image(picture, name)
        layers = spec.layers if name == "content" else spec.style_layers
        vgg.check_size(picture.shape, layers, spec.padding)


def _height_and_width(image: Array) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
