"""Estimates the memory of a descent by a formula, in place of the compiler, which takes minutes.

What the program takes and returns is counted exactly, from the shapes of the network's maps and of
what the solver carries. What it holds meanwhile is counted from what XLA's CPU compiler was seen to
keep at the peak, which is where the derivative begins:

- the output of each convolution; if a largest value is pooled from it, a second time, because the
  derivative asks which value that was;
- at each layer of a loss, what the loss adds to the derivative there, which is as large as the map;
- some images of the solver.

Blocks in bands have no whole maps. Of the first blocks, the first band and the last one, which are
programs of their own, are held at once. The bands between them are a loop, for which the compiler
holds what goes in and what comes out, in pieces with their halos, and zeros for their derivatives.
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxstyle import solvers
from jaxstyle._common.checks import check_shape
from jaxstyle.losses.content import get_content_loss
from jaxstyle.losses.emphasis import Emphasis
from jaxstyle.losses.features import prepare_params
from jaxstyle.losses.spec import LossSpec
from jaxstyle.losses.targets import Kept, Mixture, Targets, measure_layer
from jaxstyle.networks import vgg
from jaxstyle.networks.bands import Stage, map_shape, plan_stages
from jaxstyle.networks.spec import VGGSpec
from jaxstyle.networks.vgg import Params, Widths
from jaxstyle.optimization.memory import MemoryPlan, plan_memory
from jaxstyle.solvers import Solver, SolverLike

_FLOAT = 4  # bytes of a float32
# These constants are from the buffers that jaxlib 0.10 lists for VGG-19 and the compact network at
# 256 to 2048 px: the images at the peak besides what is carried, how far the buffers as they lie in
# memory exceed their sum, and how often a loop's input is held: the image, or another map.
_IMAGES = 8.5
_GAPS = 1.08
_LOOPED_IMAGE, _LOOPED_MAP = 1, 3
_HELD_BANDS = 2  # the first and the last


def estimate_memory(
    params: Params,
    shape: Sequence[int],
    *,
    spec: LossSpec = LossSpec(),
    solver: SolverLike | None = None,
    targets: Targets | None = None,
) -> MemoryPlan:
    """Returns about the bytes that `jaxstyle.plan_memory` finds, and compiles nothing.

    The formula is that of VGG networks on CPUs. For accelerators, and for a network of the user's
    own, the compiler is asked.

    Args:
      params: the network's parameters.
      shape: height and width of the pictures.
      spec: what is compared.
      solver: from `jaxstyle.solvers`; `jaxstyle.solvers.lbfgs()` by default.
      targets: from `target_forms`, if there are several styles or masks.

    Returns:
      A `MemoryPlan`.

    Example:
      >>> params = jax.eval_shape(vgg.init_params, jax.random.key(0))  # the shapes will do
      >>> small, large = (estimate_memory(params, (side, side)).total() for side in (256, 512))
      >>> small < large
      True
    """
    size = check_shape(shape, "shape")
    if jax.default_backend() != "cpu" or not isinstance(spec.network, VGGSpec):
        return plan_memory(params, size, spec=spec, solver=solver, targets=targets)
    if targets is None:
        targets = target_forms(params, size, spec)
    carried = _carried(solvers.as_solver(solver), size)
    held = 2 * carried + _bytes(targets) + _GAPS * _at_the_peak(params, size, spec, targets)
    return MemoryPlan(_parameters(params, size, spec), round(held))


def target_forms(
    params: Params,
    shape: tuple[int, int],
    spec: LossSpec,
    *,
    styles: int = 0,
    guided: bool = False,
    kept: bool = False,
    protected: bool = False,
) -> Targets:
    """Returns the shapes and types of targets, from the shapes of the maps alone.

    Args:
      params: the network's parameters.
      shape: height and width of the picture.
      spec: what is compared.
      styles: how many styles share the picture; 0 for a single one without a weight.
      guided: whether each of them has a mass.
      kept: whether a part of the picture is left untouched.
      protected: whether a part of it is to stay recognisable.

    Example:
      >>> params = jax.eval_shape(vgg.init_params, jax.random.key(0))
      >>> target_forms(params, (64, 64), LossSpec(), styles=2).style["relu1_1"].shape
      (2, 64, 64)
    """
    widths = vgg.network_widths(params)

    def map_of(layer: str) -> Any:
        return _form(*map_shape(widths, shape, layer))

    def measured(layer: str) -> Any:
        measure = functools.partial(measure_layer, spec=spec, number=0)
        found = jax.eval_shape(
            lambda maps, image: measure(maps, image, None, jax.random.key(0)),
            map_of(layer), _form(*shape, 3),
        )  # fmt: skip
        return jax.tree.map(lambda leaf: _form(*([styles] if styles else []), *leaf.shape), found)

    emphasis = Emphasis(protect=_form(*shape) if protected else None)
    kept_of = get_content_loss(spec.content_loss).measure
    compared = {layer: map_of(layer) for layer in emphasis.spec(spec, params).content_layers}
    masses = {layer: _form(styles, *map_of(layer).shape[:2]) for layer in spec.style_layers}
    weights = {layer: _form(styles) for layer in spec.style_layers}
    return Targets(
        content={layer: jax.eval_shape(kept_of, form) for layer, form in compared.items()},
        style={layer: measured(layer) for layer in spec.style_layers},
        mixture=Mixture(weights, masses if guided else None) if styles else None,
        kept=Kept(_form(*shape), _form(*shape, 3)) if kept else None,
        content_weights={k: _form(*x.shape[:2]) for k, x in compared.items()} if protected else {},
    )


def _form(*shape: int) -> Any:
    return jax.ShapeDtypeStruct(shape, jnp.float32)  # type: ignore[no-untyped-call]


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _carried(solver: Solver, shape: tuple[int, int]) -> int:
    """Returns the bytes of the best image and of the solver's state."""
    image = _form(*shape, 3)
    state = jax.eval_shape(lambda x: solver.init(lambda _: (jnp.float32(0), {}), x)[0], image)
    return _bytes(image) + _bytes(state)


def _parameters(params: Params, shape: tuple[int, int], spec: LossSpec) -> int:
    """Returns the bytes of the parameters that the program uses, as they are prepared for it."""
    prepared = jax.eval_shape(lambda params: prepare_params(params, shape, spec), params)
    names = vgg.layer_names(vgg.network_widths(params))
    deepest = max((names.index(layer) for layer in spec.layers), default=-1)
    used = [prepared[name] for name in names[: deepest + 1] if name.startswith("conv")]
    return sum(_bytes((each.get("transformed", each["kernel"]), each["bias"])) for each in used)


def _at_the_peak(params: Params, shape: tuple[int, int], spec: LossSpec, targets: Targets) -> float:
    """Returns the bytes that are held while a step is made, besides what it takes and returns."""
    assert isinstance(spec.network, VGGSpec)
    widths, read = vgg.network_widths(params), _read(spec, targets)
    chosen = spec.network.choose_bands(params, shape, spec.layers)
    size_of = functools.partial(_map_bytes, widths, shape, spec)
    image = _bytes(_form(*shape, 3))
    held, before = _IMAGES * image, None
    for stage in _stages(widths, shape, spec, chosen):
        share = 1.0 if stage.bands == 1 else _HELD_BANDS * stage.rows / stage.shape[0]
        if stage.bands == 1 or before is None:
            held += share * _held_of(stage, size_of, read, pooled=spec.network.pooling == "max")
        if stage.bands > _HELD_BANDS:
            into = _LOOPED_IMAGE * image if before is None else _LOOPED_MAP * size_of(before)
            out = size_of(stage.layers[-1])
            compared = sum(size_of(layer) for layer in targets.content if layer in stage.layers)
            looped = 1 - _HELD_BANDS / stage.bands
            held += looped * (into * (1 + 2 * stage.halo / stage.rows) + out + compared)
        before = stage.layers[-1]
    return held


def _held_of(
    stage: Stage, size_of: Callable[[str], int], read: Mapping[str, int], *, pooled: bool
) -> int:
    """Returns the bytes of the maps of a stage that wait for the derivative."""
    held = 0
    for layer, following in zip(stage.layers, (*stage.layers[2:], "", ""), strict=True):
        copies = layer.startswith("conv") + (pooled and following.startswith("pool"))
        held += (copies + read.get(layer, 0)) * size_of(layer)
    return held


def _map_bytes(widths: Widths, shape: tuple[int, int], spec: LossSpec, layer: str) -> int:
    assert isinstance(spec.network, VGGSpec)
    number = 2 if spec.network.precision == "bfloat16" else _FLOAT
    return number * math.prod(map_shape(widths, shape, layer))


def _stages(widths: Widths, shape: tuple[int, int], spec: LossSpec, chosen: Any) -> Iterator[Stage]:
    if not spec.layers:
        return
    if chosen is not None:
        yield from plan_stages(widths, shape, spec.layers, chosen)
        return
    names = vgg.layer_names(widths)
    deepest = max(map(names.index, spec.layers))
    yield Stage(names[: deepest + 1], shape, shape[0])


def _read(spec: LossSpec, targets: Targets) -> dict[str, int]:
    """Returns how many copies of a layer's map the losses make there."""
    mixture = targets.mixture
    per_style = 1 if mixture is None or mixture.masses is None else 2  # weighted by its mass
    read = {
        layer: per_style * (1 if mixture is None else mixture.weights[layer].shape[0])
        for layer in spec.style_layers
    }
    for layer in targets.content:
        read[layer] = read.get(layer, 0) + 1
    return read
