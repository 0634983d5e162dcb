"""The network that paints in one pass, as a Flax module and a pure function.

Parameters are a plain dict with one entry per layer: `contract1` to `contract3`, `residual1_1`,
`residual1_2` and so on, `expand1`, `expand2` and `output`. A layer has a `kernel`
`[k, k, c_in, c_out]`. A layer that is normalised has a `scale` and a `shift` for each of its N
styles, `[N, c_out]`; that is conditional instance normalisation (Dumoulin et al., ICLR 2017). A
last layer that is not normalised has a `bias`. A network that works in the paintings' colours has
`colors`, with their `mean` `[N, 3]` and `covariance` `[N, 3, 3]`. One that takes the picture of the
frame before has an entry `previous`.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax
from jax.typing import ArrayLike

from jaxstyle._common.checks import check_image
from jaxstyle.feedforward.architecture import SMALL, Architecture
from jaxstyle.feedforward.layers import (
    Size,
    continued,
    convolution,
    convolution3x3,
    enlarged,
    inside_of,
    transposed,
)
from jaxstyle.feedforward.palette import move_colors
from jaxstyle.feedforward.previous import (
    Gate,
    Previous,
    beside,
    check_previous,
    nothing_before,
)

Params = Mapping[str, Any]

_LAST = 0.01
_CUT = 0.87962566
_ROUNDING = 1e-10  # of a map's mean square: its variance where it has one value, and some more
OVER_NETWORKS_GRAY = 150 / 255


_zeros = nn.initializers.zeros  # what `init_network` draws is of one draw


class TransformNet(nn.Module):
    """Turns an image into a painting in one pass; `init_network` draws its parameters.

    Attributes:
      architecture: static settings.
      styles: how many styles the network has.
    """

    architecture: Architecture = SMALL
    styles: int = 1

    @nn.compact
    def __call__(
        self,
        image: Array,
        style: Array,
        size: Size | None = None,
        previous: Previous | None = None,
    ) -> Array:
        """Maps an image `[H, W, 3]` and style weights `[N]` or `[H, W, N]` to `[H, W, 3]`.

        The picture is the part of the image of a `size` at its upper left, or all of it. With an
        architecture that takes the previous picture, none of it is known by default.
        """
        form = self.architecture
        matched = image
        if form.output == "residual":
            colors = {
                "mean": self.param("mean", _zeros, (self.styles, 3)),
                "covariance": self.param("covariance", _zeros, (self.styles, 3, 3)),
            }
            inside = None if size is None else inside_of(image, size)
            matched = move_colors(image, lax.stop_gradient(colors), style, inside)
        # Middle grey is the middle of what the first layer sees, as its padding's is.
        x = matched - 0.5 if form.output == "residual" else matched
        if form.previous:
            if previous is None:
                previous = nothing_before((image.shape[0], image.shape[1]))
            x = beside(x, previous)
        first, last = form.kernels
        sizes = zip(form.widths, (first, 3, 3), (1, 2, 2), strict=True)
        for i, (width, side, stride) in enumerate(sizes, 1):
            x = nn.relu(self._layer(f"contract{i}", x, style, size, width, side, stride=stride))
            size = _shrunk(size, stride)
        for i in range(1, form.blocks + 1):
            y = nn.relu(self._layer(f"residual{i}_1", x, style, size, form.widths[2]))
            x = x + self._layer(f"residual{i}_2", y, style, size, form.widths[2])
        for i, width in enumerate(form.expanded, 1):
            x = nn.relu(self._layer(f"expand{i}", x, style, size, width, enlarge=True))
            size = _enlarged_size(size)
        x = self._layer("output", x, style, size, 3, last)[: image.shape[0], : image.shape[1]]
        if form.output == "residual":
            x = matched + jnp.tanh(x)
        elif form.output == "sigmoid":
            x = nn.sigmoid(x)
        elif form.output == "tanh":
            x = 0.5 + OVER_NETWORKS_GRAY * jnp.tanh(x)
        return x if previous is None else Gate(self.styles, name="previous")(x, style, previous)

    def _layer(
        self,
        name: str,
        x: Array,
        style: Array,
        size: Size | None,
        width: int,
        side: int = 3,
        *,
        stride: int = 1,
        enlarge: bool = False,
    ) -> Array:
        form = self.architecture
        last = name == "output"
        return _Layer(
            form, self.styles, width, side, stride, enlarge,
            normalized=form.normalize_output or not last, name=name,
        )(x, style, size)  # fmt: skip


class _Layer(nn.Module):
    """A convolution with its normalisation."""

    architecture: Architecture
    styles: int
    width: int
    side: int
    stride: int
    enlarge: bool
    normalized: bool

    @nn.compact
    def __call__(self, x: Array, style: Array, size: Size | None) -> Array:
        shape = (self.side, self.side, x.shape[-1], self.width)
        kernel = self.param("kernel", _zeros, shape)
        x = self._convolve(x, kernel, size)
        if not self.normalized:
            return x + self.param("bias", _zeros, (self.width,))
        scale = self.param("scale", _zeros, (self.styles, self.width))
        shift = self.param("shift", _zeros, (self.styles, self.width))
        new = _enlarged_size(size) if self.enlarge else _shrunk(size, self.stride)
        mean, variance = _moments(x, new)
        inverse = lax.rsqrt(variance + self.architecture.epsilon)
        # What is left of a map of one value is rounding. Three layers would make a pattern of it.
        inverse = jnp.where(variance > _ROUNDING * (variance + mean**2), inverse, 0)
        weights = _at_size(style, x.shape)
        # One multiplication and one addition per value, whatever the styles are.
        factor = inverse * jnp.matmul(weights, scale, precision="highest")
        offset = jnp.matmul(weights, shift, precision="highest") - mean * factor
        return x * factor + offset

    def _convolve(self, x: Array, kernel: Array, size: Size | None) -> Array:
        form = self.architecture
        if self.enlarge:
            if form.upsampling == "transposed":
                return transposed(x, kernel)
            return enlarged(x, kernel, form.padding, size)
        if self.side == 3 and self.stride == 1:
            x = continued(x, 1, size)
            return convolution3x3(x, kernel, form.padding)
        return convolution(x, kernel, self.stride, form.padding, size)


def paint(
    params: Params,
    image: Array,
    style: Array,
    *,
    architecture: Architecture = SMALL,
    size: ArrayLike | None = None,
    previous: Previous | None = None,
) -> Array:
    """Paints an image in one pass.

    Args:
      params: the network's parameters; see the module's docstring.
      image: `[H, W, 3]`, RGB in [0, 1], of any size.
      style: how much each of the network's N styles counts: `[N]`, or `[H, W, N]` for each pixel
        by itself. The weights usually sum to one. With a map, layers are still normalised by what
        is in the whole picture, so a small part has other colours than in its style alone; to blend
        pictures of one style each avoids that.
      architecture: of the network; static.
      size: height and width of the picture, which lies at the upper left of `image`, whose sides
        are multiples of four; None for the whole. Both are at least 5. It is not static, so that
        one program paints pictures of many sizes. What lies beside the picture does not matter, and
        what is returned there means nothing. See `takes_size` for the networks that can do this.
      previous: what is known from the frame before, of the size of `image`, for an architecture
        that takes it; None for a first frame or a single picture.

    Returns:
      `[H, W, 3]`; in [0, 1] only within what the network has learned, so clip it before it is
      saved.

    Raises:
      ValueError: if the image, the style, the size or the previous picture does not fit.

    Example:
      >>> tiny = Architecture(widths=(2, 2, 2), blocks=1)
      >>> params = init_network(jax.random.key(0), tiny, styles=2)
      >>> painted = jax.jit(paint, static_argnames="architecture")
      >>> painted(params, jnp.ones((21, 30, 3)), jnp.array([0.3, 0.7]), architecture=tiny).shape
      (21, 30, 3)

    References: Johnson et al., ECCV 2016; Dumoulin et al., ICLR 2017, eq. 5; for the previous
    picture Ruder, Dosovitskiy and Brox, IJCV 2018.
    """
    check_image(image, "image")
    if previous is not None:
        if not architecture.previous:
            raise ValueError("previous should be None: this network paints each picture by itself")
        previous = check_previous(previous, image)
    styles = count_styles(params)
    if style.shape[-1:] != (styles,) or style.ndim not in (1, 3):
        raise ValueError(
            f"style should be [{styles}] or [H, W, {styles}], one weight for each of the "
            f"network's styles, got {list(style.shape)}"
        )
    parts: Size | None = None
    if size is not None:
        if style.ndim == 3 or not takes_size(architecture):
            raise ValueError("size should be None for this architecture, and for maps of styles")
        if image.shape[0] % 4 or image.shape[1] % 4:
            raise ValueError(
                f"image should have sides that are multiples of 4 beside size, got "
                f"{image.shape[0]}×{image.shape[1]}"
            )
        parts = jnp.asarray(size)[0], jnp.asarray(size)[1]
    result = TransformNet(architecture, styles).apply(
        {"params": _parted(params)}, image, style, parts, previous
    )
    assert isinstance(result, Array)
    return result


def takes_size(architecture: Architecture) -> bool:
    """Tells whether `paint` takes a `size`: networks that pad with zeros depend on the parity.

    Args:
      architecture: of the network.
    """
    return architecture.padding == "reflect" and architecture.upsampling == "nearest"


def init_network(key: Array, architecture: Architecture = SMALL, *, styles: int = 1) -> Any:
    """Draws the parameters of a network that has learned nothing yet.

    A network that adds to the photograph begins with the photograph in the painting's colours.

    Args:
      key: a `jax.random.key`.
      architecture: static settings.
      styles: how many styles it has.

    Returns:
      Parameters as `paint` takes them.
    """
    net, weights = TransformNet(architecture, styles), jnp.ones(styles) / styles
    found: Any = jax.eval_shape(net.init, key, jnp.zeros((16, 16, 3)), weights)["params"]
    shapes = joined(found)
    kernels = {name: parts["kernel"].shape for name, parts in shapes.items() if "kernel" in parts}
    # One draw for all of them: a program with one for each takes ten times as long to compile.
    ends = np.cumsum([np.prod(shape) for shape in kernels.values()])
    drawn = np.split(jax.random.truncated_normal(key, -2, 2, (int(ends[-1]),)), ends[:-1])
    values = dict(zip(kernels, drawn, strict=True))

    def fill(path: Any, leaf: Any) -> Array:
        layer, part = path[0].key, path[-1].key
        if part == "kernel":
            small = layer == "output" and architecture.output == "residual"
            deviation = (2 / np.prod(leaf.shape[:3])) ** 0.5 * (_LAST if small else 1)
            # A normal distribution cut off at two deviations has 0.88 of its deviation.
            return jnp.asarray(values[layer].reshape(leaf.shape) * (deviation / _CUT))
        if part == "covariance":
            return jnp.broadcast_to(0.05 * jnp.eye(3), leaf.shape)
        return jnp.full(leaf.shape, {"scale": 1.0, "mean": 0.5}.get(part, 0.0))

    return jax.tree_util.tree_map_with_path(fill, shapes)


def count_styles(params: Params) -> int:
    """Returns how many styles a network has.

    Args:
      params: its parameters.
    """
    if "predictor" in params:  # of any painting: those that it learns from
        return int(params["colors"]["mean"].shape[0])
    return int(params["contract1"]["scale"].shape[0])


def joined(learned: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters from what the module calls its own: the colours in an entry apart."""
    layers = {name: leaf for name, leaf in learned.items() if isinstance(leaf, Mapping)}
    colors = {name: leaf for name, leaf in learned.items() if name not in layers}
    return {**layers, "colors": colors} if colors else layers


def _parted(params: Params) -> dict[str, Any]:
    """Returns the parameters as the module wants them: the other way round from `joined`."""
    layers = {name: leaf for name, leaf in params.items() if name != "colors"}
    return {**layers, **params.get("colors", {})}


def _at_size(style: Array, shape: tuple[int, ...]) -> Array:
    """Returns the weights of the styles for a map of another size."""
    if style.ndim == 1:
        return style
    resized: Array = jax.image.resize(style, (*shape[:2], style.shape[-1]), "linear")
    return resized


def _shrunk(size: Size | None, stride: int) -> Size | None:
    """Returns the size of a picture's map after a convolution."""
    return None if size is None else (-(-size[0] // stride), -(-size[1] // stride))


def _enlarged_size(size: Size | None) -> Size | None:
    return None if size is None else (2 * size[0], 2 * size[1])


def _moments(x: Array, size: Size | None) -> tuple[Array, Array]:
    """Returns mean and variance of each channel over the picture."""
    if size is None:
        return jnp.mean(x, (0, 1)), jnp.var(x, (0, 1))
    inside = inside_of(x, size)
    return jnp.mean(x, (0, 1), where=inside), jnp.var(x, (0, 1), where=inside)
