"""The memory of L-BFGS: jaxopt's recursion over the pairs, in any state that a descent leaves."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.descents import rosenbrock, run

import jaxstyle
from jaxstyle import samples, solvers
from jaxstyle.image.io import load_image
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.presets import get_preset
from jaxstyle.solvers.limited_memory import empty, inverse_hessian_product, remember

SHAPE = (3, 4, 3)
HISTORY = 4
CURVATURES = np.geomspace(0.1, 10, 36)
ROTATION = np.linalg.qr(np.random.default_rng(1).normal(size=(36, 36)))[0]
HESSIAN = ROTATION * CURVATURES @ ROTATION.T


@pytest.fixture
def jaxopt():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import jaxopt
    return jaxopt


def gradient_at(image):
    return jnp.asarray((HESSIAN @ np.ravel(image)).reshape(SHAPE), jnp.result_type(image))


def wander(steps, dtype, seed=0):
    """Yields a memory, the gradient that it knows and the list of pairs, oldest first.

    A step is "kept", "taken back", "forgotten", or "flat": its pair has no curvature.
    """
    rng = np.random.default_rng(seed)
    image = jnp.asarray(rng.normal(size=SHAPE), dtype)
    gradient, memory, pairs = gradient_at(image), empty(image, HISTORY), []
    for kind in steps:
        s = jnp.asarray(rng.normal(size=SHAPE), dtype)
        y = -s if kind == "flat" else gradient_at(image + s) - gradient
        after = gradient + y
        back = kind in ("taken back", "forgotten")
        memory = remember(
            memory, s, y, after,
            taken_back=jnp.asarray(back), forgotten=jnp.asarray(kind == "forgotten"),
        )  # fmt: skip
        if kind != "forgotten":
            pairs.append((jnp.zeros_like(s), jnp.zeros_like(y)) if kind == "flat" else (s, y))
        if not back:
            image, gradient = image + s, after
        yield memory, gradient, pairs[-HISTORY:]


def by_jaxopt(memory, gradient, pairs):
    """What jaxopt's recursion says; its ring begins with the oldest pair."""
    from jaxopt._src.lbfgs import inv_hessian_product

    s, y = (jnp.stack(each) for each in zip(*pairs, strict=True))
    products = jnp.sum(s * y, axis=(1, 2, 3))
    rho = jnp.where(products == 0, 0, 1 / products)
    return inv_hessian_product(gradient, s, y, rho, memory.gamma, 0)


WANDERINGS = {
    "few": ["kept"] * 3,
    "ring": ["kept"] * 11,
    "taken back": ["kept", "taken back", "kept", "kept", "taken back", "taken back", "kept"],
    "forgotten": ["forgotten", "kept", "kept", "forgotten", "kept", "kept", "forgotten", "kept"],
    "flat": ["flat", "kept", "flat", "kept", "kept", "flat", "flat", "kept", "kept"],
}


@pytest.mark.parametrize("name", WANDERINGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_product_is_that_of_the_recursion_over_the_pairs(jaxopt, name, dtype):
    with jax.enable_x64(dtype == np.float64):
        for memory, gradient, pairs in wander(WANDERINGS[name], dtype):
            found = inverse_hessian_product(memory, gradient)
            assert found.dtype == dtype
            if not pairs:
                np.testing.assert_array_equal(found, memory.gamma * gradient)
                continue
            expected = by_jaxopt(memory, gradient, pairs)
            error = jnp.linalg.norm(jnp.ravel(found - expected)) / jnp.linalg.norm(expected.ravel())
            assert error < (1e-12 if dtype == np.float64 else 1e-4)


def test_the_newest_pair_is_fitted():
    """The secant equation H y = s."""
    with jax.enable_x64():
        *_, (memory, _, pairs) = wander(["kept"] * 6, np.float64)
        s, y = pairs[-1]
        known = memory._replace(sg=jnp.tensordot(memory.s, y, 3), yg=jnp.tensordot(memory.y, y, 3))
        np.testing.assert_allclose(inverse_hessian_product(known, y), s, rtol=1e-9)


def test_scale_of_the_plain_part_is_that_of_the_newest_pair_with_curvature():
    *_, (memory, _, pairs) = wander(["kept", "kept", "flat"], np.float32)
    s, y = pairs[-2]
    assert memory.gamma == pytest.approx(float(jnp.vdot(s, y) / jnp.vdot(y, y)), rel=1e-5)


@pytest.mark.parametrize("history", [3, 30])
def test_a_descent_is_jaxopts_where_no_step_is_taken_back(jaxopt, history):
    start = 0.5 * jax.random.normal(jax.random.key(0), (4, 4, 3))

    def valley(image):
        value, terms = rosenbrock(0.3 * image)
        return value + jnp.sum(image**2), terms

    solver = solvers.lbfgs(history, preconditioning=0, max_rise=float("inf"))
    theirs = jaxopt.LBFGS(valley, has_aux=True, history_size=history, stepsize=lambda _: 1.0,
                          implicit_diff=False)  # fmt: skip
    image, state = start, theirs.init_state(start)
    gamma = (1 / 255) / jnp.mean(jnp.abs(state.grad))
    state, expected = state._replace(gamma=gamma), [state.value]
    update = jax.jit(theirs.update)
    for _ in range(12):
        image, state = update(image, state)
        expected.append(state.value)
    _, _, losses = run(solver, valley, start, 12)
    assert losses[-1] < 0.9 * losses[0]
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


def test_lanes_have_memories_of_their_own():
    kinds = ["kept", "kept", "taken back", "kept", "forgotten", "kept"]
    alone = [list(wander(kinds, np.float32, seed)) for seed in (1, 2)]
    stacked = [jax.tree.map(lambda *x: jnp.stack(x), *(run[-1][:2] for run in alone))]
    [(memory, gradient)] = stacked
    together = jax.vmap(inverse_hessian_product)(memory, gradient)
    for lane, ran in enumerate(alone):
        expected = inverse_hessian_product(*ran[-1][:2])
        np.testing.assert_allclose(together[lane], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("history", [30, 100])
def test_directions_of_a_descent_are_those_of_the_recursion_in_float64(history):
    """On pictures, by the compact network, whose pairs are nearly of one direction at times."""
    params, recipe = load_network("compact").params, get_preset("compact")
    content, style = (load_image(path, 96) for path in (samples.LAKE, samples.SWIRLS))
    targets = jaxstyle.compute_targets(params, content, style, recipe.spec)
    solver = solvers.lbfgs(history, preconditioning=0.5)
    weights = recipe.weights(params, content.shape[:2])
    descent = jaxstyle.descend(
        content, params, targets, spec=recipe.spec, weights=weights, solver=solver,
        num_steps=120, every=20,
    )  # fmt: skip
    for progress in descent:
        inner = progress.state.inner.inner.state.inner
        memory, gradient = inner.memory, np.float64(inner.gradient)
        ages = (int(memory.seen) + np.arange(history)) % history  # the oldest first
        pairs = [(np.float64(memory.s[i]), np.float64(memory.y[i])) for i in ages]
        pairs = [(s, y, 1 / np.vdot(s, y)) for s, y in pairs if np.any(s)]
        assert len(pairs) > min(progress.step, history) / 2  # early ones had no curvature
        alphas, expected = [], gradient
        for s, y, rho in reversed(pairs):
            alphas.append(rho * np.vdot(s, expected))
            expected = expected - alphas[-1] * y
        expected = float(memory.gamma) * expected
        for (s, y, rho), alpha in zip(pairs, reversed(alphas), strict=True):
            expected = expected + (alpha - rho * np.vdot(y, expected)) * s
        found = inverse_hessian_product(memory, inner.gradient)
        assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)
