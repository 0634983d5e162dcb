"""Fast 3×3 convolutions and 2×2 pools of one feature map.

Winograd's minimal filtering F(4×4, 3×3) makes 4×4 outputs from 6×6 inputs. It needs 36 products for
each pair of channels, where the sum over nine taps takes 144. Its transforms are a few additions,
and the products are one batched matrix product. On CPUs this is faster than XLA's convolution
wherever the map is wide and deep enough. If there are few channels, as in a network's first layer,
the matrix of all patches is small, and multiplying by it (im2col) is faster than both.

Everything is built from splits, stacks, pads and additions. JAX's own derivatives are therefore the
fast transposed algorithm: they share the transformed kernel, and work in every mode.
"""

import functools
import operator
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxstyle._common.arrays import is_traced, to_device
from jaxstyle._common.checks import check_choice

Convolution = Literal["auto", "direct", "im2col", "winograd"]
Padding = Literal["zero", "reflect", "replicate"]
Edges = tuple[bool, bool]

PAD_MODES = {"zero": "constant", "reflect": "reflect", "replicate": "edge"}
"""NumPy's names of the paddings."""
_Matrix = tuple[tuple[float, ...], ...]

# The Cook-Toom construction of Lavin and Gray (CVPR 2016, section 4.2), but with the interpolation
# points 0, ±√½, ±√2 and infinity. With their points 0, ±1, ±2 and infinity, the error is several
# times as large. On the choice of points, see Barabasz et al., "Error Analysis and Improving the
# Accuracy of Winograd Convolution", ACM TOMS 2020.
_R = 2**0.5
_INPUT: _Matrix = (
    (1, 0, -5 / 2, 0, 1, 0),
    (0, -_R, -2, _R / 2, 1, 0),
    (0, _R, -2, -_R / 2, 1, 0),
    (0, -_R / 2, -1 / 2, _R, 1, 0),
    (0, _R / 2, -1 / 2, -_R, 1, 0),
    (0, 1, 0, -5 / 2, 0, 1),
)
_KERNEL: _Matrix = (
    (1, 0, 0),
    (-2 / 3, -_R / 3, -1 / 3),
    (-2 / 3, _R / 3, -1 / 3),
    (1 / 6, _R / 6, 1 / 3),
    (1 / 6, -_R / 6, 1 / 3),
    (0, 0, 1),
)
_OUTPUT: _Matrix = (
    (1, 1, 1, 1, 1, 0),
    (0, _R / 2, -_R / 2, _R, -_R, 0),
    (0, 1 / 2, 1 / 2, 2, 2, 0),
    (0, _R / 4, -_R / 4, 2 * _R, -2 * _R, 1),
)


def conv3x3(
    x: Array,
    kernel: Array,
    bias: Array,
    *,
    padding: Padding = "zero",
    convolution: Convolution = "auto",
    transformed: Array | None = None,
    edges: Edges = (True, True),
) -> Array:
    """Convolves with a 3×3 kernel (a correlation, as in every network) and keeps the input's size.

    Args:
      x: `[h, w, c_in]`.
      kernel: `[3, 3, c_in, c_out]`.
      bias: `[c_out]`.
      padding: what surrounds `x`: "zero", "reflect" or "replicate".
      convolution: "direct" (XLA's own), "im2col" (a product with the matrix of all patches),
        "winograd", or "auto"; see `choose_convolution`.
      transformed: the result of `transform_kernel` for this kernel, if it is known already.
      edges: whether the first and the last row of `x` are edges of the map, where it is padded. If
        `x` is a band of a larger map, an end that is no edge is not padded, and its row has no
        output.

    Returns:
      `[h, w, c_out]`, with one row fewer for each end that is no edge. Winograd's result differs
      from the direct one by a few 1e-6 of its largest value.

    Raises:
      ValueError: if `padding` or `convolution` is unknown.

    Example:
      >>> conv3x3(jnp.ones((5, 6, 2)), jnp.ones((3, 3, 2, 4)), jnp.zeros(4)).shape
      (5, 6, 4)

    Reference: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
    """
    check_choice("padding", padding, get_args(Padding))
    check_choice("convolution", convolution, get_args(Convolution))
    dtype = jnp.result_type(x, kernel, bias)
    x, kernel, bias = (jnp.asarray(each, dtype) for each in (x, kernel, bias))
    if convolution == "auto":
        convolution = choose_convolution(x, kernel, prepared=transformed is not None)
    if convolution == "direct":
        return _direct(x, kernel, padding, edges) + bias[None, None]
    if convolution == "im2col":
        return _im2col(x, kernel, padding, edges) + bias[None, None]
    known = transform_kernel(kernel) if transformed is None else jnp.asarray(transformed, dtype)
    y: Array = _winograd(x, known, padding, edges) + bias[None, None]
    return y


def choose_convolution(
    x: Array | jax.ShapeDtypeStruct,
    kernel: Array | jax.ShapeDtypeStruct,
    *,
    prepared: bool = False,
    in_loop: bool = False,
) -> Convolution:
    """Settles "auto": "winograd" or "im2col" on a CPU where they are faster, otherwise "direct".

    Winograd's transform of the input costs more than it saves if there are few channels, above all
    in a map too large for the cache. The transform of the kernel costs more than it saves if there
    are few positions. The matrix of patches has nine times as many channels as the input, which
    pays only for an image.

    Args:
      x: `[h, w, c_in]`, or its shape and type.
      kernel: `[3, 3, c_in, c_out]`, or its shape and type.
      prepared: whether the kernel's transform is known already.
      in_loop: whether the convolution is in the body of a loop. There XLA's CPU compiler runs the
        derivative of a direct convolution at a tenth of the speed (jax-ml/jax issue 12868).

    Returns:
      A form that `conv3x3` takes, never "auto".

    Example:
      >>> choose_convolution(jnp.ones((64, 64, 3)), jnp.ones((3, 3, 3, 64)))
      'im2col'
    """
    if jax.default_backend() != "cpu" or x.dtype != jnp.float32:
        return "direct"
    (h, w, _), (c_in, c_out) = x.shape, kernel.shape[2:]
    if c_in <= 3:
        return "im2col"
    # Measured in whole evaluations: for VGG-19's conv1_2 (64 to 64 channels), the direct
    # convolution is faster at 512 px, but not at 256 px.
    few = 16 * 16 if h * w <= 256 * 256 else 64 * 64
    enough = min(c_in, c_out) >= 16 and c_in * c_out > few
    worth = enough and (prepared or h * w >= 32 * 32)
    return "winograd" if worth or in_loop else "direct"


def _direct(x: Array, kernel: Array, padding: Padding, edges: Edges) -> Array:
    around = ((int(edges[0]), int(edges[1])), (1, 1))
    if padding != "zero":
        x = jnp.pad(x, (*around, (0, 0)), mode=PAD_MODES[padding])
    y = lax.conv_general_dilated(
        x[None],
        kernel,
        window_strides=(1, 1),
        padding=around if padding == "zero" else "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return y[0]


def _im2col(x: Array, kernel: Array, padding: Padding, edges: Edges) -> Array:
    around = ((int(edges[0]), int(edges[1])), (1, 1), (0, 0))
    x = jnp.pad(x, around, mode=PAD_MODES[padding])
    h, w = x.shape[0] - 2, x.shape[1] - 2
    # Slices, because `lax.conv_general_dilated_patches` is itself a convolution.
    taps = [x[i : i + h, j : j + w] for i in range(3) for j in range(3)]
    return jnp.concatenate(taps, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def transform_kernel(kernel: Array) -> Array:
    """Computes Winograd's transform of a kernel: `[3, 3, c_in, c_out]` to `[36, c_in, c_out]`.

    Example:
      >>> transform_kernel(jnp.ones((3, 3, 2, 4))).shape
      (36, 2, 4)
    """
    if is_traced(kernel):
        rows = _combine(_KERNEL, _unstack(kernel, 0), 0)
        return _combine(_KERNEL, _unstack(rows, 1), 1).reshape(36, *kernel.shape[2:])
    # One product per kernel takes less time than compiling a program for each of their shapes.
    wide = np.promote_types(kernel.dtype, np.float32)
    both = np.kron(_KERNEL, _KERNEL).astype(wide)
    transformed = both @ jax.device_get(kernel).astype(wide).reshape(9, -1)
    return to_device(transformed.reshape(36, *kernel.shape[2:]), kernel.dtype)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _winograd(x: Array, transformed: Array, padding: Padding, edges: Edges) -> Array:
    around = ((int(edges[0]), int(edges[1])), (1, 1), (0, 0))
    x = jnp.pad(x, around, mode=PAD_MODES[padding])
    h, w, c_in = x.shape[0] - 2, x.shape[1] - 2, x.shape[2]
    c_out = transformed.shape[-1]
    m, n = -(-h // 4), -(-w // 4)
    # Pads one more tile down and across, because the last tile reads two rows and columns of it.
    x = jnp.pad(x, ((0, 4 * m + 2 - h), (0, 4 * n + 2 - w), (0, 0)))
    x = _separate(x).reshape(m + 1, 4, n + 1, 4, c_in)
    x = _combine(_INPUT, _six_of_tiles(x, 0), 0)  # [6, m, n + 1, 4, c_in]
    x = _combine(_INPUT, _six_of_tiles(x, 2), 1)  # [6, 6, m, n, c_in]
    x = x.reshape(36, m * n, c_in)
    y = jnp.einsum("pnc,pcd->pnd", x, transformed).reshape(6, 6, m, n, c_out)
    y = _combine(_OUTPUT, _unstack(y, 1), 3)  # [6, m, n, 4, c_out]
    y = _combine(_OUTPUT, _unstack(y, 0), 1)  # [m, 4, n, 4, c_out]
    return y.reshape(4 * m, 4 * n, c_out)[:h, :w]


def _six_of_tiles(x: Array, axis: int) -> list[Array]:
    """Slices rows 0 to 5 from the start of each tile but the last: `[n + 1, 4]` to six of `[n]`."""
    n = x.shape[axis] - 1
    four = _unstack(x, axis + 1)
    following = [lax.slice_in_dim(each, 1, n + 1, axis=axis) for each in four[:2]]
    return [lax.slice_in_dim(each, 0, n, axis=axis) for each in four] + following


def _combine(matrix: _Matrix, parts: list[Array], axis: int) -> Array:
    """Multiplies a small constant matrix by a vector of arrays, without the zeros, and stacks."""

    def times(a: float, part: Array) -> Array:
        return part if a == 1 else -part if a == -1 else a * part

    rows = [[times(a, p) for a, p in zip(row, parts, strict=True) if a] for row in matrix]
    return _separate(jnp.stack([functools.reduce(operator.add, row) for row in rows], axis))


def _separate(x: Array) -> Array:
    # Without this, XLA fuses the steps into one program of hundreds of terms, which takes minutes
    # to compile.
    y: Array = lax.optimization_barrier(x)  # type: ignore[no-untyped-call]
    return y


def _unstack(x: Array, axis: int) -> list[Array]:
    # A split, unlike indexing, has one concatenation as its transpose.
    parts = lax.split(x, (1,) * x.shape[axis], axis=axis)
    return [lax.squeeze(part, (axis,)) for part in parts]


@jax.custom_jvp
def max_pool(x: Array) -> Array:
    """Takes the largest of every 2×2 positions: `[h, w, c]` to `[h // 2, w // 2, c]`.

    Odd sizes round down, as in PyTorch; Caffe rounded up. Of several equal values, the first in row
    order receives the gradient. On CPUs, XLA's own derivative of a pool is many times slower.

    Example:
      >>> max_pool(jnp.arange(12.0).reshape(3, 4, 1)).ravel().tolist()
      [5.0, 7.0]
    """
    a, b, c, d = _corners(x)
    return jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d))


@max_pool.defjvp
def _max_pool_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    highest = max_pool(*primals)
    a, b, c, _ = (each == highest for each in _corners(*primals))
    da, db, dc, dd = _corners(*tangents)
    return highest, jnp.where(a, da, jnp.where(b, db, jnp.where(c, dc, dd)))


def average_pool(x: Array) -> Array:
    """Averages every 2×2 positions: `[h, w, c]` to `[h // 2, w // 2, c]`, rounded down.

    Example:
      >>> average_pool(jnp.arange(12.0).reshape(3, 4, 1)).ravel().tolist()
      [2.5, 4.5]
    """
    a, b, c, d = _corners(x)
    return (a + b + c + d) / 4


def _corners(x: Array) -> list[Array]:
    h, w, c = x.shape[0] // 2, x.shape[1] // 2, x.shape[2]
    x = x[: 2 * h, : 2 * w].reshape(h, 2, w, 2, c)
    return [corner for row in _unstack(x, 1) for corner in _unstack(row, 2)]
