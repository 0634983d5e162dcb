"""Networks that paint in one pass, small and drawn, so that nothing in them is zero or one."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.files import FastNetwork, Style
from jaxstyle.feedforward.network import init_network

TINY = Architecture(widths=(3, 4, 5), blocks=1, kernels=(5, 3))


def draw_network(form=TINY, styles=2):
    """A network with all values drawn by NumPy, which compiles nothing."""
    rng = np.random.default_rng(0)
    draws = {
        "kernel": lambda shape: rng.normal(0, np.prod(shape[:3]) ** -0.5, shape),
        "scale": lambda shape: rng.uniform(0.5, 1.5, shape),
        "mean": lambda shape: rng.uniform(0.3, 0.7, shape),
        "covariance": lambda shape: _covariances(rng.normal(0, 0.3, shape)),
    }

    def draw(path, leaf):
        values = draws.get(path[-1].key, lambda shape: rng.normal(0, 0.3, shape))(leaf.shape)
        return jnp.asarray(values, jnp.float32)

    shapes = jax.eval_shape(lambda: init_network(jax.random.key(0), form, styles=styles))
    params = jax.tree_util.tree_map_with_path(draw, shapes)
    names = tuple(Style(f"style {i}") for i in range(styles))
    return FastNetwork(params, form, names, metadata={"licence": "CC0"})


def _covariances(factors):
    return factors @ factors.transpose(0, 2, 1) + 1e-4 * np.eye(3)
