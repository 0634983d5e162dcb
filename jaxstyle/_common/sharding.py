"""Arrays that lie on several devices: the lanes of a batch, or the rows of one large image.

The compiler lays out everything that is computed from such an array in the same way, so
`jaxstyle.stylize` and `jaxstyle.stylize_grid` need no extra code.
"""

from collections.abc import Sequence

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxstyle._common.checks import check_image


def over(axis: str, devices: Sequence[jax.Device]) -> NamedSharding:
    """Returns a sharding that spreads an array's leading axis over devices.

    Args:
      axis: a name for the axis, such as "lanes" or "rows".
      devices: the devices, in order.
    """
    mesh = Mesh(np.array(devices), (axis,))
    return NamedSharding(mesh, PartitionSpec(axis))  # type: ignore[no-untyped-call]


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
