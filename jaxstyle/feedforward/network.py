"""The network that paints in one pass, as a Flax module and a pure function.

Parameters are a plain dict with one entry per layer: `contract1` to `contract3`, `residual1_1`,
`residual1_2` and so on, `expand1`, `expand2` and `output`. A layer has a `kernel`
`[k, k, c_in, c_out]`. A layer that is normalised has a `scale` and a `shift` for each of its N
styles, `[N, c_out]`; that is conditional instance normalisation (Dumoulin et al., ICLR 2017). A
last layer that is not normalised has a `bias`. A network that works in the paintings' colours has
`colors`, with their `mean` `[N, 3]` and `covariance` `[N, 3, 3]`.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

from jaxstyle._common.checks import check_image
from jaxstyle.feedforward.architecture import SMALL, Architecture
from jaxstyle.feedforward.palette import move_colors
from jaxstyle.networks.convolution import conv3x3

Params = Mapping[str, Any]

_LAST = 0.01
_OVER_NETWORKS_GRAY = 150 / 255


class TransformNet(nn.Module):
    """Turns an image into a painting in one pass.

    Attributes:
      architecture: static settings.
      styles: how many styles the network has.
    """

    architecture: Architecture = SMALL
    styles: int = 1

    @nn.compact
    def __call__(self, image: Array, style: Array) -> Array:
        """Maps an image `[H, W, 3]` and style weights `[N]` or `[H, W, N]` to `[H, W, 3]`."""
        form = self.architecture
        matched = image
        if form.output == "residual":
            colors = {
                "mean": self.param("mean", nn.initializers.constant(0.5), (self.styles, 3)),
                "covariance": self.param("covariance", _gray_covariance, (self.styles, 3, 3)),
            }
            matched = move_colors(image, lax.stop_gradient(colors), style)
        # Middle grey is the middle of what the first layer sees, as its padding's is.
        x = matched - 0.5 if form.output == "residual" else matched
        first, last = form.kernels
        sizes = zip(form.widths, (first, 3, 3), (1, 2, 2), strict=True)
        for i, (width, side, stride) in enumerate(sizes, 1):
            x = nn.relu(self._layer(f"contract{i}", x, style, width, side, stride=stride))
        for i in range(1, form.blocks + 1):
            y = nn.relu(self._layer(f"residual{i}_1", x, style, form.widths[2]))
            x = x + self._layer(f"residual{i}_2", y, style, form.widths[2])
        for i, width in enumerate(form.expanded, 1):
            x = nn.relu(self._layer(f"expand{i}", x, style, width, enlarge=True))
        x = self._layer("output", x, style, 3, last)[: image.shape[0], : image.shape[1]]
        if form.output == "residual":
            return matched + jnp.tanh(x)
        if form.output == "sigmoid":
            return nn.sigmoid(x)
        return 0.5 + _OVER_NETWORKS_GRAY * jnp.tanh(x) if form.output == "tanh" else x

    def _layer(
        self,
        name: str,
        x: Array,
        style: Array,
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
            normalized=form.normalize_output or not last,
            small=last and form.output == "residual", name=name,
        )(x, style)  # fmt: skip


class _Layer(nn.Module):
    """A convolution with its normalisation."""

    architecture: Architecture
    styles: int
    width: int
    side: int
    stride: int
    enlarge: bool
    normalized: bool
    small: bool

    @nn.compact
    def __call__(self, x: Array, style: Array) -> Array:
        shape = (self.side, self.side, x.shape[-1], self.width)
        initial = nn.initializers.variance_scaling(
            2.0 * (_LAST**2 if self.small else 1.0), "fan_in", "truncated_normal"
        )
        kernel = self.param("kernel", initial, shape)
        x = self._convolve(x, kernel)
        if not self.normalized:
            return x + self.param("bias", nn.initializers.zeros, (self.width,))
        scale = self.param("scale", nn.initializers.ones, (self.styles, self.width))
        shift = self.param("shift", nn.initializers.zeros, (self.styles, self.width))
        mean, variance = jnp.mean(x, (0, 1)), jnp.var(x, (0, 1))
        inverse = lax.rsqrt(variance + self.architecture.epsilon)
        weights = _at_size(style, x.shape)
        # One multiplication and one addition per value, whatever the styles are.
        factor = inverse * jnp.matmul(weights, scale, precision="highest")
        offset = jnp.matmul(weights, shift, precision="highest") - mean * factor
        return x * factor + offset

    def _convolve(self, x: Array, kernel: Array) -> Array:
        form = self.architecture
        if self.enlarge:
            if form.upsampling == "transposed":
                return _transposed(x, kernel)
            return _enlarged(x, kernel, form.padding)
        if self.side == 3 and self.stride == 1:
            return conv3x3(x, kernel, jnp.zeros(self.width), padding=form.padding)
        return _convolution(x, kernel, self.stride, form.padding)


def paint(
    params: Params, image: Array, style: Array, *, architecture: Architecture = SMALL
) -> Array:
    """Paints an image in one pass.

    Args:
      params: the network's parameters; see the module's docstring.
      image: `[H, W, 3]`, RGB in [0, 1], of any size.
      style: how much each of the network's N styles counts: `[N]`, or `[H, W, N]` for each pixel
        by itself. The weights usually sum to one.
      architecture: of the network; static.

    Returns:
      `[H, W, 3]`; in [0, 1] only within what the network has learned, so clip it before it is
      saved.

    Raises:
      ValueError: if the image or the style does not fit.

    Example:
      >>> tiny = Architecture(widths=(2, 2, 2), blocks=1)
      >>> params = init_network(jax.random.key(0), tiny, styles=2)
      >>> painted = jax.jit(paint, static_argnames="architecture")
      >>> painted(params, jnp.ones((21, 30, 3)), jnp.array([0.3, 0.7]), architecture=tiny).shape
      (21, 30, 3)

    References: Johnson et al., ECCV 2016; Dumoulin et al., ICLR 2017, eq. 5.
    """
    check_image(image, "image")
    styles = count_styles(params)
    if style.shape[-1:] != (styles,) or style.ndim not in (1, 3):
        raise ValueError(
            f"style should be [{styles}] or [H, W, {styles}], one weight for each of the "
            f"network's styles, got {list(style.shape)}"
        )
    result = TransformNet(architecture, styles).apply({"params": _parted(params)}, image, style)
    assert isinstance(result, Array)
    return result


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
    net = TransformNet(architecture, styles)
    # As one program: hundreds of small ones would have to be compiled otherwise.
    found = jax.jit(net.init)(key, jnp.zeros((16, 16, 3)), jnp.ones(styles) / styles)
    return joined(found["params"])


def count_styles(params: Params) -> int:
    """Returns how many styles a network has.

    Args:
      params: its parameters.
    """
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


def _gray_covariance(key: Array, shape: tuple[int, ...]) -> Array:
    return jnp.broadcast_to(0.05 * jnp.eye(3), shape)


def _at_size(style: Array, shape: tuple[int, ...]) -> Array:
    """Returns the weights of the styles for a map of another size."""
    if style.ndim == 1:
        return style
    resized: Array = jax.image.resize(style, (*shape[:2], style.shape[-1]), "linear")
    return resized


def _convolution(x: Array, kernel: Array, stride: int, padding: str) -> Array:
    side = kernel.shape[0] // 2
    edges: Any = "SAME"
    if padding == "reflect":
        x, edges = _reflected(x, side), "VALID"
    found: Array = lax.conv_general_dilated(
        x[None], kernel, (stride, stride), edges, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )[0]
    return found


def _reflected(x: Array, side: int) -> Array:
    """Pads a map by its reflection. NumPy's rule reflects a map again that is too small for it."""
    return jnp.pad(x, ((side, side), (side, side), (0, 0)), mode="reflect")


def _enlarged(x: Array, kernel: Array, padding: str) -> Array:
    """Enlarges a map twofold by nearest neighbours and convolves it, as four small convolutions.

    An output pixel sees only 2×2 pixels of the map before it was enlarged, so the taps of the 3×3
    kernel that fall on the same pixel are added beforehand. The enlarged map's reflection is the
    repetition of the map's own edge.
    """
    h, w, _ = x.shape
    mode = "edge" if padding == "reflect" else "constant"
    padded = jnp.pad(x, ((1, 1), (1, 1), (0, 0)), mode=mode)

    def fold(kernel: Array, axis: int, place: int) -> Array:
        first, middle, last = jnp.split(kernel, 3, axis)
        parts = (first, middle + last) if place == 0 else (first + middle, last)
        return jnp.concatenate(parts, axis)

    def corner(row: int, column: int) -> Array:
        window = padded[row : row + h + 1, column : column + w + 1]
        return _valid(window, fold(fold(kernel, 0, row), 1, column))

    rows = [jnp.stack([corner(row, 0), corner(row, 1)], axis=2) for row in (0, 1)]
    return jnp.stack(rows, axis=1).reshape(2 * h, 2 * w, kernel.shape[-1])


def _valid(x: Array, kernel: Array) -> Array:
    found: Array = lax.conv_general_dilated(
        x[None], kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )[0]
    return found


def _transposed(x: Array, kernel: Array) -> Array:
    """Enlarges a map twofold by a transposed convolution, as TensorFlow's "SAME" aligns it."""
    found: Array = lax.conv_transpose(
        x[None], kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )[0]
    return found
