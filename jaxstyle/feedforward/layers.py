"""Convolutions of networks that paint, with reflected edges and twofold enlargement.

A map may be larger than the picture that it holds, so that one program paints pictures of many
sizes: then a `Size`, height and width of the map that count, says how much of it is the picture.
"""

from typing import Any

import jax.numpy as jnp
from jax import Array, lax

Size = tuple[Array, Array]


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


def _reflected(x: Array, side: int, size: Size | None) -> Array:
    """Pads a map by its reflection. NumPy's rule reflects a map again that is too small for it."""
    x = jnp.pad(x, ((side, side), (side, side), (0, 0)), mode="reflect")
    for axis, valid in enumerate(size or ()):
        # The picture's last row has the number `valid + side - 1` now.
        strip = jnp.flip(lax.dynamic_slice_in_dim(x, valid - 1, side, axis), axis)
        x = lax.dynamic_update_slice_in_dim(x, strip, valid + side, axis)
    return x


def enlarged(x: Array, kernel: Array, padding: str, size: Size | None) -> Array:
    """Enlarges a map twofold by nearest neighbours and convolves it, as four small convolutions.

    An output pixel sees only 2×2 pixels of the map before it was enlarged, so the taps of the 3×3
    kernel that fall on the same pixel are added beforehand. The enlarged map's reflection is the
    repetition of the map's own edge.
    """
    h, w, _ = x.shape
    mode = "edge" if padding == "reflect" else "constant"
    padded = jnp.pad(continued(x, 0, size), ((1, 1), (1, 1), (0, 0)), mode=mode)

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


def transposed(x: Array, kernel: Array) -> Array:
    """Enlarges a map twofold by a transposed convolution, as TensorFlow's "SAME" aligns it."""
    found: Array = lax.conv_transpose(
        x[None], kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )[0]
    return found
