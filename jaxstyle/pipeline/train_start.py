"""What a training begins with: a network that is drawn, or one that is there."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxstyle.errors import UsageError
from jaxstyle.feedforward.architecture import ARCHITECTURES, Architecture
from jaxstyle.feedforward.files import FastNetwork, Style
from jaxstyle.feedforward.network import init_network
from jaxstyle.feedforward.palette import measure_colors
from jaxstyle.feedforward.previous import widen
from jaxstyle.pipeline.polish import measure_paintings

_EACH_STYLE = ("scale", "shift", "gate")  # parts that have a row for each style


class Start(NamedTuple):
    """What a training begins with.

    Attributes:
      architecture: of the network.
      params: its parameters.
      styles: its styles.
      mask: what may change; None for everything.
      statistics: of the paintings, for a polish.
    """

    architecture: Architecture
    params: dict[str, Any]
    styles: tuple[Style, ...]
    mask: Any
    statistics: Mapping[str, Any]


def begin(
    names: Sequence[str],
    images: Sequence[Array],
    origin: FastNetwork | None,
    *,
    only_new: bool,
    for_video: bool,
    architecture: str,
    seed: int,
) -> Start:
    """Returns what a training begins with.

    Args:
      names: of the paintings.
      images: the paintings.
      origin: the network to go on from, or None.
      only_new: whether the paintings are added to its styles.
      for_video: whether the network takes the previous picture. One that does not yet is widened,
        which changes nothing at first.
      architecture: the name of that of a network that is drawn.
      seed: for drawing it.

    Raises:
      UsageError: if a style of that name is there already.
    """
    measured = [measure_colors(image) for image in images]
    colors = jax.tree.map(lambda *leaves: jnp.stack(leaves), *measured)
    statistics = _all_statistics(images, origin if only_new else None)
    if origin is None:
        form = dataclasses.replace(ARCHITECTURES[architecture], previous=for_video)
        drawn = init_network(jax.random.key(seed), form, styles=len(images))
        if form.output == "residual":
            drawn |= {"colors": colors}
        return Start(form, drawn, tuple(Style(name) for name in names), None, statistics)
    before, form = origin.params, origin.architecture
    if for_video:
        before, form = widen(before, form)
    known = {style.name: row for row, style in enumerate(origin.styles)}
    kept = origin.styles if only_new else ()
    double = known.keys() & set(names)
    if only_new and double:
        raise UsageError(
            f"the network has a style called {min(double)} already; rename the painting's file"
        )
    params: dict[str, Any] = {}
    mask: dict[str, Any] = {}
    for layer, parts in before.items():
        if layer == "colors":
            params[layer] = jax.tree.map(
                lambda old, added: jnp.concatenate([old[: len(kept)], added]), parts, colors
            )
            continue
        params[layer], mask[layer] = {}, {}
        for part, value in parts.items():
            if part in _EACH_STYLE:
                value = jnp.concatenate([value[: len(kept)], _new_rows(value, names, known)])
            params[layer][part] = value
            learns = jnp.ones_like(value)
            if only_new and part in _EACH_STYLE:
                learns = learns.at[: len(kept)].set(0)
            elif only_new:
                learns = jnp.zeros_like(value)
            mask[layer][part] = learns
    new = [origin.styles[known[name]] if name in known else Style(name) for name in names]
    return Start(form, params, (*kept, *new), mask if only_new else None, statistics)


def _new_rows(value: Array, names: Sequence[str], known: Mapping[str, int]) -> Array:
    """Returns the rows of paintings: of the style of that name, or between all those there are."""
    mean = value.mean(0)
    return jnp.stack([value[known[name]] if name in known else mean for name in names])


def _all_statistics(images: Sequence[Array], kept: FastNetwork | None) -> Mapping[str, Any]:
    """Returns the statistics of a network's paintings, none where the first ones' are unknown."""
    new = measure_paintings(images)
    if kept is None:
        return new
    if kept.statistics.keys() != new.keys():
        return {}
    return {layer: np.concatenate([kept.statistics[layer], new[layer]]) for layer in new}
