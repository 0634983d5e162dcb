"""Arrays that lie on several devices: the lanes of a batch, or the rows of one large image.

The compiler lays out everything that is computed from such an array in the same way, so
`jaxstyle.stylize` and `jaxstyle.stylize_grid` need no extra code.
"""

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jax import Array
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, get_abstract_mesh

from jaxstyle._common.arrays import is_tracing
from jaxstyle._common.checks import check_image

P = ParamSpec("P")
R = TypeVar("R")


def over(axis: str, devices: Sequence[jax.Device]) -> NamedSharding:
    """Returns a sharding that spreads an array's leading axis over devices.

    Args:
      axis: a name for the axis, such as "lanes" or "rows".
      devices: the devices, in order.
    """
    mesh = Mesh(np.array(devices), (axis,))
    return NamedSharding(mesh, PartitionSpec(axis))  # type: ignore[no-untyped-call]


def batch_shardings(devices: Sequence[jax.Device]) -> tuple[NamedSharding, NamedSharding]:
    """Returns how to spread a batch over devices, and how to copy the rest to each of them.

    Args:
      devices: the devices, in order.
    """
    each = over("batch", devices)
    return each, NamedSharding(each.mesh, PartitionSpec())  # type: ignore[no-untyped-call]


def everywhere(devices: Sequence[jax.Device]) -> NamedSharding:
    """Returns a sharding that puts a copy of an array on every device."""
    return NamedSharding(Mesh(np.array(devices), ("copies",)), PartitionSpec())  # type: ignore[no-untyped-call]


def is_placed(tree: Any) -> bool:
    """Tells whether a user has said where to compute: by a default device, a mesh, or arrays."""
    default = jax.config.jax_default_device  # type: ignore[attr-defined]
    if default is not None or not get_abstract_mesh().empty:
        return True
    known = (leaf for leaf in jax.tree.leaves(tree) if not isinstance(leaf, jax.core.Tracer))
    return any(getattr(leaf, "committed", False) for leaf in known)


def beside(tree: Any, image: Array) -> Any:
    """Copies what all rows share to every device of an image whose rows are spread."""
    if not splits_rows(image):
        return tree
    return jax.device_put(tree, NamedSharding(image.sharding.mesh, PartitionSpec()))  # type: ignore[attr-defined, no-untyped-call]


def on_any_mesh(function: Callable[P, R]) -> Callable[P, R]:
    """Lets a function take arrays on meshes with explicit axes, such as `jax.make_mesh` makes.

    There every reshape of a spread axis would have to say how its result lies. The function runs
    with automatic axes on the same devices, where the compiler decides, and its results are given
    explicit axes again. No array moves. Inside `jit`, `jax.sharding.auto_axes` does the same.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        mesh = _explicit_mesh((args, kwargs))
        if mesh is None:
            return function(*args, **kwargs)
        automatic = Mesh(mesh.devices, mesh.axis_names)
        args, kwargs = _move((args, kwargs), automatic)
        within = not get_abstract_mesh().empty
        with jax.set_mesh(automatic) if within else contextlib.nullcontext():
            result = function(*args, **kwargs)
        moved: R = _move(result, mesh)
        return moved

    return run


def _explicit_mesh(tree: Any) -> Mesh | None:
    """Returns the mesh with explicit axes that arrays, or the context, lie on; None when traced."""
    leaves = jax.tree.leaves(tree)
    if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
        return None
    meshes = [mesh for leaf in leaves if (mesh := _mesh_of(leaf)) is not None]
    if AxisType.Explicit in get_abstract_mesh().axis_types and not is_tracing():
        meshes.append(jax.sharding.get_mesh())
    return next((mesh for mesh in meshes if AxisType.Explicit in mesh.axis_types), None)


def _move(tree: Any, mesh: Mesh) -> Any:
    """Puts every array that lies on a mesh of the same axes onto this one, with its axes."""

    def move(leaf: Any) -> Any:
        own = _mesh_of(leaf)
        if own is None or own.axis_names != mesh.axis_names:
            return leaf
        return jax.device_put(leaf, NamedSharding(mesh, leaf.sharding.spec))

    return jax.tree.map(move, tree)


def _mesh_of(leaf: Any) -> Mesh | None:
    sharding = getattr(leaf, "sharding", None)
    mesh = sharding.mesh if isinstance(sharding, NamedSharding) else None
    return mesh if isinstance(mesh, Mesh) else None


def shard_rows(image: Array, devices: Sequence[jax.Device] | None = None) -> Array:
    """Spreads the rows of an image over several devices, for pictures too large for one.

    Convolutions then exchange the rows at the seams, and Gram matrices are summed over the devices.
    If the content image of `jaxstyle.stylize` is spread like this, so is every array of its size.
    Inside a `jit` of your own on CPUs, use `LossSpec(network=VGGSpec(convolution="direct"))`: there
    "auto" is settled before it is known where the rows lie, and the tiles of a Winograd convolution
    would gather the rows.

    Args:
      image: `[H, W, 3]`.
      devices: all local devices by default. The largest number of them that divides H is used.

    Returns:
      The same image `[H, W, 3]`.

    Raises:
      ValueError: if the image has another shape.

    Example:
      >>> import jax.numpy as jnp
      >>> shard_rows(jnp.ones((64, 48, 3))).shape
      (64, 48, 3)
    """
    check_image(image, "image")
    devices = jax.local_devices() if devices is None else devices
    count = max(n for n in range(1, len(devices) + 1) if image.shape[0] % n == 0)
    placed: Array = jax.device_put(image, over("rows", devices[:count]))
    return placed


def splits_rows(image: Array) -> bool:
    """Tells whether an image `[H, W, 3]` is known to lie on several devices; never inside `jit`."""
    if isinstance(image, jax.core.Tracer) or image.ndim != 3:
        return False
    sharding = getattr(image, "sharding", None)
    return sharding is not None and not sharding.is_fully_replicated
