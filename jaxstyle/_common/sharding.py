"""Arrays over several devices: lanes of a batch, or rows of one large image.

What is computed with such an array is laid out in the same way by the compiler: `jaxstyle.stylize`
and `jaxstyle.stylize_grid` need no other code.
"""

from collections.abc import Sequence

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxstyle._common.checks import check_image


def over(axis: str, devices: Sequence[jax.Device]) -> NamedSharding:
    """The sharding of an array's leading axis over devices.

    Args:
      axis: its name, such as "lanes" or "rows".
      devices: in their order.
    """
    mesh = Mesh(np.array(devices), (axis,))
    return NamedSharding(mesh, PartitionSpec(axis))  # type: ignore[no-untyped-call]


def shard_rows(image: Array, devices: Sequence[jax.Device] | None = None) -> Array:
    """An image whose rows lie on several devices, for pictures too large for one.

    Convolutions then exchange the rows at the seams, and Gram matrices are summed over the
    devices. `jaxstyle.stylize` of such a content image keeps all that is of its size so. Inside a
    `jit` of your own on CPUs, ask for `LossSpec(convolution="direct")`: the tiles of Winograd's
    would gather the rows, and what "auto" means is decided before it is known where they lie.

    Args:
      image: `[H, W, 3]`.
      devices: all local ones by default. The largest number of them that divides H is used.

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
    """Whether an image `[H, W, 3]` is known to lie on several devices; inside `jit` it is not."""
    if isinstance(image, jax.core.Tracer) or image.ndim != 3:
        return False
    sharding = getattr(image, "sharding", None)
    return sharding is not None and not sharding.is_fully_replicated
