"""Matches that use many keys, and none of them too often."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle.losses.neighbours.search import Matches, Metric, nearest


def nearest_by_use(
    rows: Array,
    keys: Array,
    metric: Metric = "cosine",
    *,
    penalty: float | Array = 0.05,
    shares: Array | None = None,
) -> Matches:
    r"""Finds the nearest key of each row, where keys that are wanted often are dearer.

    .. math:: \arg\min_j \; d(x_i, k_j) + b \, u_j / \bar u

    Here :math:`u_j` is how often a key is the nearest one without the last part.

    Args:
      rows: `[n, d]`.
      keys: `[m, d]`.
      metric: as for `jaxstyle.losses.neighbours.nearest`.
      penalty: b, the distance that a key gains where it is used as often as all are on average.
      shares: `[n]` that sum to one, how much each row counts; None for all alike.

    Returns:
      `Matches`, `[n]`.

    Example:
      >>> rows, keys = jnp.array([[0.0], [0.1], [0.2]]), jnp.array([[0.1], [0.3]])
      >>> nearest_by_use(rows, keys, "euclidean", penalty=0.01).index.tolist()
      [0, 0, 1]

    Reference: Zhou et al., "Neural texture synthesis with guided correspondence", CVPR 2023, eq. 4.
    """
    first = nearest(rows, keys, metric)
    counts = jnp.full(rows.shape[0], 1 / rows.shape[0]) if shares is None else shares
    uses = jnp.zeros(keys.shape[0]).at[first.index].add(counts) * keys.shape[0]
    return nearest(rows, keys, metric, bias=jax.lax.stop_gradient(penalty * uses))
