"""Small changes that frames of a video have, and photographs not: light, noise, compression."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

_EXPOSURE = 0.03  # deviation of its logarithm
_NOISE = 0.02  # the most, as a deviation
_HALF = 0.5  # of the frames get each change
_COARSEST = 2.0  # times the standard's tables, which is its quality 25

# Tables K.1 and K.2 of the standard: how coarsely each wave of a block is kept, 0 to 255.
_LUMA = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
]).reshape(8, 8)  # fmt: skip
_CHROMA = np.full((8, 8), 99)
_CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
_TABLES = np.stack([_LUMA, _CHROMA, _CHROMA], axis=-1) / 255
_TO_YCC = np.array([
    [0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]
])  # fmt: skip


def disturb(key: Array, frame: Array) -> Array:
    """Changes a frame a little, as cameras and codecs do; half of the frames get each change.

    Args:
      key: decides the changes.
      frame: `[H, W, 3]` in [0, 1].

    Returns:
      `[H, W, 3]` in [0, 1].

    Example:
      >>> disturb(jax.random.key(0), jnp.full((9, 13, 3), 0.5)).shape
      (9, 13, 3)
    """
    which, exposure, amount, noise, coarseness = jax.random.split(key, 5)
    exposed, noisy, compressed = jax.random.bernoulli(which, _HALF, (3,))
    gain = jnp.where(exposed, jnp.exp(_EXPOSURE * jax.random.normal(exposure)), 1.0)
    grain = jnp.where(noisy, _NOISE * jax.random.uniform(amount), 0.0)
    frame = jnp.clip(gain * frame + grain * jax.random.normal(noise, frame.shape), 0, 1)
    scale = jax.random.uniform(coarseness, minval=0.2, maxval=_COARSEST)
    return jnp.where(compressed, compress(frame, scale), frame)


def compress(frame: Array, coarseness: float | Array = 1.0) -> Array:
    """Makes of a frame what JPEG keeps of it, all colours at full size.

    Args:
      frame: `[H, W, 3]` in [0, 1].
      coarseness: a factor of the standard's tables; 1 is quality 50.

    Returns:
      `[H, W, 3]` in [0, 1].

    Reference: ITU-T T.81, annexes A.3.3 and K.1.
    """
    height, width, _ = frame.shape
    padded = jnp.pad(frame, ((0, -height % 8), (0, -width % 8), (0, 0)), mode="edge")
    colors = jnp.matmul(padded - 0.5, _TO_YCC.T.astype(np.float32), precision="highest")
    rows, columns = padded.shape[0] // 8, padded.shape[1] // 8
    blocks = colors.reshape(rows, 8, columns, 8, 3)
    basis = _cosines()
    waves = jnp.einsum("ui,rickd,vk->rucvd", basis, blocks, basis, precision="highest")
    steps = (coarseness * _TABLES.astype(np.float32))[None, :, None]
    kept = steps * jnp.round(waves / steps)
    blocks = jnp.einsum("ui,rucvd,vk->rickd", basis, kept, basis, precision="highest")
    back = jnp.linalg.inv(_TO_YCC).T.astype(np.float32)
    rgb = jnp.matmul(blocks.reshape(padded.shape), back, precision="highest") + 0.5
    return jnp.clip(rgb, 0, 1)[:height, :width]


def _cosines() -> NDArray[np.float32]:
    """Returns the orthonormal cosine transform of eight values."""
    u, i = np.mgrid[:8, :8]
    waves = np.cos((2 * i + 1) * u * np.pi / 16) / 2
    waves[0] /= 2**0.5
    basis: NDArray[np.float32] = waves.astype(np.float32)
    return basis
