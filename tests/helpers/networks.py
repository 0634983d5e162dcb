"""Small random networks, and what float64 NumPy makes of them."""

import jax
import jax.numpy as jnp
import numpy as np


def random_params(widths, seed=0):
    """Parameters with biases and a mean, so that nothing is hidden by a zero."""
    rng, c_in = np.random.default_rng(seed), 3
    params = {"mean": np.float32([0.4, 0.5, 0.6])}
    for name, c in widths:
        kernel = rng.normal(0.05, np.sqrt(2 / (9 * c_in)), (3, 3, c_in, c))
        params[name] = {"kernel": np.float32(kernel), "bias": np.float32(rng.normal(0, 0.2, c))}
        c_in = c
    return jax.tree.map(jnp.asarray, params)


def numpy_features(params, image, pooling="max", padding="zero"):
    """Every feature map of a network, in float64, tap by tap."""
    mode = {"zero": "constant", "reflect": "reflect", "replicate": "edge"}[padding]
    params = jax.tree.map(np.float64, params)
    names = sorted(name for name in params if name != "mean")
    maps, x = {}, np.float64(image) - params["mean"]
    for name, following in zip(names, [*names[1:], "the end"], strict=True):
        h, w, _ = x.shape
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode=mode)
        x = params[name]["bias"] + sum(
            padded[i : i + h, j : j + w] @ params[name]["kernel"][i, j]
            for i in range(3)
            for j in range(3)
        )
        maps[name] = x
        maps[f"relu{name[4:]}"] = x = np.where(x > 0, x, 0.0)
        if name[4] != following[4]:
            h, w = h // 2, w // 2
            corners = [x[i : 2 * h : 2, j : 2 * w : 2] for i in range(2) for j in range(2)]
            x = np.max(corners, 0) if pooling == "max" else np.mean(corners, 0)
            maps[f"pool{name[4]}"] = x
    return maps
