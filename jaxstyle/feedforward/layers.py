"""Convolutions of networks that paint, with reflected edges and twofold enlargement.

A map may be larger than the picture that it holds, so that one program paints pictures of many
sizes: then a `Size`, height and width of the map that count, says how much of it is the picture.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxstyle.networks.convolution import PAD_MODES, Padding, conv3x3, transform_kernel

Size = tuple[Array, Array]

# Products of input and output channels from where on Winograd's method makes a pass faster at any
# size, measured at 512 and 1024 px. Where maps are large, `choose_convolution` asks for more
# channels, because it counts the derivative too.
_WIDE = 2**10
BAND = 2**13
"""Positions of a band: at 512 px, 2**12 to 2**14 take the same time, and more take longer."""
# Positions up to which all that is worth its memory: the bands lie in it twice.
_MOST = 2**16


def inside_of(x: Array, size: Size) -> Array:
    """Returns which positions of a map belong to the picture, `[h, w, 1]`."""
    rows, columns = (jnp.arange(side) for side in x.shape[:2])
    return ((rows < size[0])[:, None] & (columns < size[1]))[..., None]


def continued(x: Array, skip: int, size: Size | None) -> Array:
    """Writes beside the picture what a padding of one would: its reflection, or its own edge.

    A picture that reaches the end of the map is padded by whoever convolves it.

    Args:
      x: the map.
      skip: 1 for the reflection, which leaves out the edge itself, or 0 for the edge.
      size: of the picture.
    """
    if size is None:
        return x
    for axis, valid in enumerate(size):
        source = lax.dynamic_slice_in_dim(x, valid - 1 - skip, 1, axis)
        place = jnp.minimum(valid, x.shape[axis] - 1)
        kept = lax.dynamic_slice_in_dim(x, place, 1, axis)
        strip = jnp.where(valid < x.shape[axis], source, kept)
        x = lax.dynamic_update_slice_in_dim(x, strip, place, axis)
    return x


def convolution(x: Array, kernel: Array, stride: int, padding: str, size: Size | None) -> Array:
    """Convolves a map `[h, w, c]` with a kernel of any odd side.

    Args:
      x: the map.
      kernel: `[k, k, c, c_out]`.
      stride: of the convolution.
      padding: "reflect", or "zero" as TensorFlow's "SAME" puts them.
      size: of the picture.
    """
    side = kernel.shape[0] // 2
    edges: Any = "SAME"
    if padding == "reflect":
        x, edges = _reflected(x, side, size), "VALID"
    found: Array = lax.conv_general_dilated(
        x[None], kernel, (stride, stride), edges, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )[0]
    return found


def convolution3x3(x: Array, kernel: Array, padding: Padding) -> Array:
    """Convolves a map `[h, w, c]` with a kernel `[3, 3, c, c_out]`, as is fastest in a pass.

    On a CPU, wide maps are convolved by Winograd's method in bands of rows. The transforms of a
    band stay in the cache, and those of the whole map never exist.
    """
    bias = jnp.zeros(kernel.shape[-1])
    h, w, _ = x.shape
    if not pays(x, kernel):
        return conv3x3(x, kernel, bias, padding=padding)
    convolve = functools.partial(
        conv3x3, kernel=kernel, bias=bias, padding=padding, convolution="winograd",
        transformed=transform_kernel(kernel),
    )  # fmt: skip
    bands = number_of_bands(x)
    if bands < 2:
        return convolve(x)
    rows = -(-h // bands)
    x = jnp.pad(x, ((1, 1), (0, 0), (0, 0)), mode=PAD_MODES[padding])
    x = jnp.pad(x, ((0, bands * rows - h), (0, 0), (0, 0)))
    # A band comes in two pieces, because the derivative of slices that overlap is slow.
    own = x[:-2].reshape(bands, rows, *x.shape[1:])
    below = jnp.concatenate([own[1:, :2], x[None, -2:]])

    def one(pieces: tuple[Array, Array]) -> Array:
        return convolve(jnp.concatenate(pieces), edges=(False, False))

    found: Array = lax.map(one, (own, below))
    return found.reshape(bands * rows, w, -1)[:h]


def pays(x: Array | jax.ShapeDtypeStruct, kernel: Array | jax.ShapeDtypeStruct) -> bool:
    """Tells whether Winograd's method in bands is fast for a map, and takes no great memory.

    Args:
      x: `[h, w, c]`, or its shape and type.
      kernel: `[3, 3, c, c_out]`, or its shape and type.
    """
    quick = jax.default_backend() == "cpu" and x.dtype == jnp.float32
    return quick and math.prod(kernel.shape[2:]) >= _WIDE and math.prod(x.shape[:2]) <= _MOST


def number_of_bands(x: Array | jax.ShapeDtypeStruct) -> int:
    """Returns in how many bands of rows a map `[h, w, c]` is convolved."""
    return max(1, round(math.prod(x.shape[:2]) / BAND))


def _reflected(x: Array, side: int, size: Size | None) -> Array:
    """Pads a map by its reflection. NumPy's rule reflects a map again that is too small for it."""
    x = jnp.pad(x, ((side, side), (side, side), (0, 0)), mode="reflect")
    for axis, valid in enumerate(size or ()):
        # The picture's last row has the number `valid + side - 1` now.
        strip = jnp.flip(lax.dynamic_slice_in_dim(x, valid - 1, side, axis), axis)
        x = lax.dynamic_update_slice_in_dim(x, strip, valid + side, axis)
    return x


def enlarged(x: Array, kernel: Array, padding: str, size: Size | None) -> Array:
    """Enlarges a map twofold by nearest neighbours and convolves it, without enlarging it.

    An output pixel sees only 2×2 pixels of the map before it was enlarged, so the taps of the 3×3
    kernel that fall on the same pixel are added beforehand. The enlarged map's reflection is the
    repetition of the map's own edge.
    """
    h, w, _ = x.shape
    x = continued(x, 0, size)
    corners = [(row, column) for row in (0, 1) for column in (0, 1)]
    small = [_folded(_folded(kernel, 0, row), 1, column) for row, column in corners]
    # Each corner's 2×2 kernel as a part of a 3×3 one, so that a single convolution makes all four.
    whole = jnp.concatenate(
        [
            jnp.pad(part, ((row, 1 - row), (column, 1 - column), (0, 0), (0, 0)))
            for part, (row, column) in zip(small, corners, strict=True)
        ],
        axis=-1,
    )
    if pays(x, whole):
        parts = convolution3x3(x, whole, "replicate" if padding == "reflect" else "zero")
        parts = parts.reshape(h, w, 2, 2, -1)
    else:
        mode = "edge" if padding == "reflect" else "constant"
        padded = jnp.pad(x, ((1, 1), (1, 1), (0, 0)), mode=mode)
        four = [
            _valid(padded[row : row + h + 1, column : column + w + 1], part)
            for part, (row, column) in zip(small, corners, strict=True)
        ]
        parts = jnp.stack(four, axis=2).reshape(h, w, 2, 2, -1)
    return parts.transpose(0, 2, 1, 3, 4).reshape(2 * h, 2 * w, -1)


def _folded(kernel: Array, axis: int, place: int) -> Array:
    """Adds the two taps of an axis that fall on one pixel: the last two, or the first two."""
    first, middle, last = jnp.split(kernel, 3, axis)
    parts = (first, middle + last) if place == 0 else (first + middle, last)
    return jnp.concatenate(parts, axis)


def _valid(x: Array, kernel: Array) -> Array:
    found: Array = lax.conv_general_dilated(
        x[None], kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )[0]
    return found


def transposed(x: Array, kernel: Array) -> Array:
    """Enlarges a map twofold by a transposed convolution, as TensorFlow's "SAME" aligns it."""
    found: Array = lax.conv_transpose(
        x[None], kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )[0]
    return found
