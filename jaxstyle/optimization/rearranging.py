"""Paints a photograph by rearranging a painting, from coarse to fine: the first stage of NNST.

At each size, what the photograph has at a place is matched once with the painting, and a few steps
bring the picture to what the painting has there; see `jaxstyle.losses.rearranging`. Each size
begins with the picture of the one before, which counts for a part of what is matched. The second
stage, the recipe `nnst`, begins here and matches anew in every step.
"""

import dataclasses
import math
from typing import Any

from jax import Array

from jaxstyle._common.checks import check_picture
from jaxstyle._common.sharding import on_any_mesh
from jaxstyle.image import pixels
from jaxstyle.losses.rearranging import REARRANGED, rearranged_targets
from jaxstyle.losses.spec import LossSpec, check_spec
from jaxstyle.networks.bands import map_shape
from jaxstyle.networks.spec import VGGSpec
from jaxstyle.networks.vgg import Params, check_layers, network_widths
from jaxstyle.optimization.compact import as_it_suits
from jaxstyle.optimization.descent import optimize
from jaxstyle.optimization.sizes import doubling_sizes, scaled_shape

_SMALLEST = 64  # longer side of the first picture
_THINNEST = 16  # the least that a shorter side of a smaller picture may have
_FEWEST = 100  # positions of a layer's map; with less it tells no places apart


@on_any_mesh
def rearrange(
    params: Params,
    content: Array,
    style: Array,
    *,
    spec: LossSpec = REARRANGED,
    num_steps: int = 50,
    turned: bool = True,
    use_penalty: float = 0.05,
) -> Array:
    """Paints a photograph with the pieces of a painting that are most like what it shows.

    Layers whose maps have less than 100 positions are left out at the small sizes.

    Args:
      params: the network's parameters.
      content: `[H, W, 3]` in [0, 1], the photograph.
      style: `[H', W', 3]` in [0, 1], the painting.
      spec: its content layers are matched and compared; it should have no style layers.
      num_steps: at each size; static. Sizes double from a longer side of at least 64 pixels.
      turned: whether the painting turned by 90, 180 and 270 degrees has pieces too; static.
      use_penalty: what it costs that a piece is used often; see
        `jaxstyle.losses.rearranging.rearranged_targets`.

    Returns:
      `[H, W, 3]`, where `init="rearranged"` of `jaxstyle.stylize` starts.

    Raises:
      ValueError: if a picture is too small, or `spec` does not fit.

    Example:
      >>> import jax
      >>> from jaxstyle.networks import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=())
      >>> content, style = jax.random.uniform(jax.random.key(1), (2, 16, 24, 3))
      >>> rearrange(params, content, style, spec=spec, num_steps=2).shape
      (16, 24, 3)

    Reference: Kolkin et al., "Neural neighbor style transfer", 2022, section 3.
    """
    check_spec(spec)
    pictures = {"content": content, "style": style}
    for name, picture in pictures.items():
        check_picture(picture, name)
    image = None
    for small in _from_coarse_to_fine(content, style):
        shape = small["content"].shape[:2]
        begun = small["content"] if image is None else pixels.resize(image, shape)
        fitting = _layers(params, spec, small)
        targets = rearranged_targets(
            params, **small, spec=fitting, use_penalty=use_penalty, current=begun, turned=turned
        )
        options: Any = as_it_suits(params, {"num_steps": num_steps})
        image = optimize(begun, params, targets, spec=fitting, **options).image
    assert image is not None
    return image


def _from_coarse_to_fine(content: Array, style: Array) -> list[dict[str, Array]]:
    """Returns photograph and painting at each size; the painting keeps its relative size."""
    longer = max(content.shape[:2])
    found = []
    for size in doubling_sizes(longer, _SMALLEST):
        small = {}
        for name, picture in (("content", content), ("style", style)):
            height, width = picture.shape[:2]
            side = max(1, round(size / longer * max(height, width)))
            small[name] = pixels.resize(picture, scaled_shape((height, width), side))
        if size == longer or min(min(each.shape[:2]) for each in small.values()) >= _THINNEST:
            found.append(small)
    return found


def _layers(params: Params, spec: LossSpec, pictures: dict[str, Array]) -> LossSpec:
    """Returns the spec without the layers that have too few positions; the first one stays."""
    if not isinstance(spec.network, VGGSpec):
        return spec
    widths = network_widths(params)
    check_layers(spec.content_layers, widths)
    first, *others = spec.content_layers or ("",)
    fitting = [
        layer
        for layer in others
        if all(
            math.prod(map_shape(widths, each.shape, layer)[:2]) >= _FEWEST
            for each in pictures.values()
        )
    ]
    return dataclasses.replace(spec, content_layers=(first, *fitting)) if first else spec
