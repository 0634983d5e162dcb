"""The main paths under the modes in which JAX forbids what it usually allows."""

import os
import subprocess
import sys
from contextlib import nullcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import random_params

import jaxstyle
from jaxstyle import LossSpec, LossWeights, color, evaluate, solvers
from jaxstyle.image import pixels

SPEC = LossSpec(["relu2_1"], ["relu1_1"])
QUICK: jaxstyle.StylizeOptions = {"spec": SPEC, "num_steps": 2}


def objective(params, content, style):
    targets = jaxstyle.compute_targets(params, content, style, SPEC)
    return jaxstyle.objective_and_gradient(content, params, targets, spec=SPEC)


def texture(params, content, style):
    return jaxstyle.synthesize_texture(params, style, shape=content.shape[:2], **QUICK)


def with_adam(params, content, style):
    return jaxstyle.stylize(params, content, style, solver="adam", learning_rate=0.1, **QUICK)


def grid(params, content, style):
    key = jax.device_put(np.uint32([0, 7]))  # as jax.random.PRNGKey(7) makes it
    weights = [LossWeights(), LossWeights(style=2.0)]
    return jaxstyle.stylize_grid(
        params, [content], [style], weights, spec=SPEC, noise=0.1, key=key, num_steps=1
    )


def coarse_to_fine(params, content, style):
    scales = jaxstyle.make_scales([4, 8], 1)
    return jaxstyle.stylize_coarse_to_fine(params, content, style, scales, spec=SPEC)


def wasserstein(params, content, style):
    spec = LossSpec([], ["relu1_1"], "wasserstein")
    targets = jaxstyle.compute_targets(params, None, style, spec)
    return jaxstyle.objective_and_gradient(content, params, targets, spec=spec)


def scores(params, content, style):
    return evaluate.evaluate(params, {}, content, style, spec=SPEC, withheld=["relu2_1"])


def colors(params, content, style):
    methods = ("cholesky", "pca", "symmetric")
    return [
        *(color.match_color(style, content, method) for method in methods),
        color.match_histogram(style, content),
        color.match_luminance(style, content),
        color.with_luminance_of(content, style),
        color.greyscale(content),
        pixels.quantize(content),
    ]


PATHS = {
    "features": lambda params, content, style: jaxstyle.features(params, content, ["relu2_1"]),
    "objective": objective,
    "wasserstein": wasserstein,
    "stylize": lambda *pictures: jaxstyle.stylize(*pictures, **QUICK),
    "adam": with_adam,
    "texture": texture,
    "reconstruct": lambda params, content, _: jaxstyle.reconstruct_content(
        params, content, "relu1_1", num_steps=1
    ),
    "grid": grid,
    "coarse to fine": coarse_to_fine,
    "evaluate": scores,
    "color": colors,
}
QUICKEST = ("features", "stylize", "color")
# Nothing has to be compiled to see whether types and ranks are mixed.
STRICT = {
    "rank": lambda: jax.numpy_rank_promotion("raise"),
    "dtype": lambda: jax.numpy_dtype_promotion("strict"),
}


def pictures(shape=(12, 12, 3)):
    rng = np.random.default_rng(0)
    params = random_params((("conv1_1", 4), ("conv2_1", 4)))
    return params, *(jnp.asarray(rng.uniform(size=shape), jnp.float32) for _ in range(2))


@pytest.mark.parametrize("mode", STRICT)
@pytest.mark.parametrize("path", PATHS)
def test_a_path_mixes_no_types_and_no_ranks(path, mode):
    if path == "evaluate":
        pytest.skip("reads its numbers; the other modes run it")
    with STRICT[mode]():
        jax.eval_shape(PATHS[path], *pictures())


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=() if p in QUICKEST else pytest.mark.slow) for p in PATHS],
)
@pytest.mark.usefixtures("compile_faster")
def test_a_path_transfers_nothing_by_itself(path):
    inputs = pictures()
    with jax.transfer_guard("disallow"):
        result = PATHS[path](*inputs)
    assert jax.tree.leaves(result)


def on_two_devices(mode):
    """Runs paths with the second of two devices chosen in some way; prints where results lie."""
    first, second = jax.devices()
    params, content, style = pictures()
    mesh = jax.make_mesh((2,), ("x",))
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    context, paths, expected = nullcontext(), ["stylize", "coarse to fine", "grid"], {second}
    if mode == "default device":
        context = jax.default_device(second)
        params, content, style = jax.device_get((params, content, style))
    elif mode == "parameters":
        params = jax.device_put(params, second)
    elif mode == "style":
        style, paths = jax.device_put(style, second), ["stylize", "coarse to fine"]
    elif mode == "nothing":
        paths, expected = ["stylize", "texture", "coarse to fine", "reconstruct"], {first}
    else:
        paths, expected = ["features", "stylize", "color", "evaluate"], {first, second}
        content = jax.device_put(content, rows)
        context = jax.set_mesh(mesh) if mode == "context" else context
    with context:
        for path in paths:
            result = PATHS[path](params, content, style)
            image = getattr(result, "image", jax.tree.leaves(result)[-1])
            assert image.devices() <= expected, (path, image.sharding)
            # What nobody has put somewhere may still go anywhere.
            if mode in ("default device", "nothing"):
                arrays = [leaf for leaf in jax.tree.leaves(result) if isinstance(leaf, jax.Array)]
                assert not any(leaf.committed for leaf in arrays), path


@pytest.mark.slow
@pytest.mark.parametrize(
    "mode", ["nothing", "default device", "parameters", "style", "mesh", "context"]
)
def test_a_path_runs_where_its_arrays_are(mode):
    environment = {
        **os.environ,
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2",
    }
    code = (
        "import jax, test_jax_rules as rules; "
        "jax.config.update('jax_disable_most_optimizations', True); "
        f"rules.on_two_devices({mode!r})"
    )
    command = [sys.executable, "-c", code]
    folder = os.path.dirname(__file__)
    path = os.pathsep.join([os.path.dirname(folder), folder])
    done = subprocess.run(
        command, env=environment | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_wasserstein_has_derivatives_in_both_directions():
    x, y = jax.random.normal(jax.random.key(0), (2, 3, 3, 4))
    statistic = jaxstyle.statistics.get_statistic("wasserstein")
    target = statistic.measure(y, None, jax.random.key(0))

    def loss(x):
        return statistic.loss(x, None, target)

    @jax.jit
    def slopes(x, y):
        step = (loss(x + 1e-2 * y) - loss(x - 1e-2 * y)) / 2e-2
        return jax.jvp(loss, (x,), (y,))[1], jnp.vdot(jax.grad(loss)(x), y), step

    slope, backward, step = slopes(x, y)
    np.testing.assert_allclose(slope, backward, rtol=1e-4)
    np.testing.assert_allclose(slope, step, rtol=1e-2)


def test_keys_of_both_kinds_draw_the_same_grid():
    inputs = pictures((4, 4, 3))
    spec = LossSpec([], ["relu1_1"])
    images = [
        jaxstyle.stylize_grid(
            inputs[0], [inputs[1]], [inputs[2]], spec=spec, noise=0.1, num_steps=1, width=1,
            key=jax.random.split(key), solver=solvers.adam(),
        ).image
        for key in (jax.random.key(3), jax.random.PRNGKey(3))
    ]  # fmt: skip
    assert images[0].shape[2] == 2
    np.testing.assert_array_equal(*images)
