"""The change of variables under a solver."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.descents import rosenbrock, run

from jaxstyle import solvers
from jaxstyle.image.spectrum import cosine_power_law, scale_cosines

_slow = pytest.mark.slow
SHAPES = [(5, 6), (1, 9), *(pytest.param(shape, marks=_slow) for shape in [(4, 7), (8, 3), (1, 1)])]


def noise(shape, seed=0):
    return jax.random.normal(jax.random.key(seed), (*shape, 3))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_way_back_is_the_way_back(shape):
    scale = cosine_power_law(shape, 0.35)
    assert scale.shape == shape
    there = scale_cosines(noise(shape), scale)
    back = scale_cosines(there, 1 / scale)
    np.testing.assert_allclose(back, noise(shape), atol=1e-5)


def test_each_frequency_is_scaled_by_its_power():
    """Against a wave written down, and its size: 3 periods over 24 pixels, then 6 of them."""
    scale = cosine_power_law((24, 24), 0.5)
    sizes = []
    for periods in (3, 6):
        wave = jnp.cos(2 * jnp.pi * periods * (jnp.arange(24) + 0.5) / 24)[:, None, None]
        wave = jnp.broadcast_to(wave, (24, 24, 1))
        scaled = scale_cosines(wave, scale)
        sizes.append(float(scaled[0, 0, 0] / wave[0, 0, 0]))
        np.testing.assert_allclose(scaled, sizes[-1] * wave, atol=1e-5)
    assert sizes[0] / sizes[1] == pytest.approx(2**0.5, rel=1e-5)


def test_opposite_edges_are_no_neighbours():
    """In a periodic picture, a change at one edge would reach the other as it does the next row."""
    impulse = jnp.zeros((33, 33, 1)).at[0, 16].set(1.0)
    seen = jnp.abs(scale_cosines(impulse, cosine_power_law((33, 33), 0.5)))[:, 16, 0]
    assert float(seen[32]) < 0.02 * float(seen[1])


@pytest.mark.slow
def test_white_noise_keeps_its_variance():
    image = noise((64, 96))
    scaled = scale_cosines(image, cosine_power_law((64, 96), 0.35))
    assert float(scaled.std()) == pytest.approx(float(image.std()), rel=0.05)


@pytest.mark.slow
def test_it_is_the_solver_on_the_objective_of_another_variable():
    image, scale = 0.3 * noise((4, 6)), cosine_power_law((4, 6), 0.35)

    def of_z(z):
        return rosenbrock(scale_cosines(z, scale))

    plain = solvers.lbfgs(5, preconditioning=0)
    z = scale_cosines(image, 1 / scale)
    state, _, expected = run(plain, of_z, z, 6)
    got, _, losses = run(solvers.precondition(plain, 0.35), rosenbrock, image, 6)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    there = scale_cosines(state.image, scale)
    np.testing.assert_allclose(got.image, there, atol=1e-4)


@pytest.mark.slow
def test_lanes_equal_runs_alone():
    solver = solvers.lbfgs(5)
    images = 0.3 * jnp.stack([noise((5, 4), seed) for seed in range(3)])

    def losses(image):
        state, first = solver.init(rosenbrock_rows, image)
        _, second = solver.step(rosenbrock_rows, state)
        return first.loss, second.loss

    def rosenbrock_rows(image):
        return rosenbrock(image[:4])

    together = jax.jit(jax.vmap(losses))(images)
    alone = [jax.jit(losses)(image) for image in images]
    np.testing.assert_allclose(together, np.transpose(alone), rtol=1e-4)


def test_no_power_is_no_change_and_equal_ones_are_one_solver():
    plain = solvers.adam()
    assert solvers.precondition(plain, 0) is plain
    assert solvers.precondition(plain, 0.5) is solvers.precondition(plain, 0.5)
    assert solvers.lbfgs(preconditioning=0.35) is solvers.lbfgs()


@pytest.mark.slow
def test_a_learning_rate_reaches_the_solver_inside():
    solver = solvers.precondition(solvers.adam(), 0.35)
    state, _ = solver.init(rosenbrock, noise((4, 4)))
    still = solvers.set_learning_rate(state, jnp.float32(0.0))
    moved, _ = solver.step(rosenbrock, still)
    np.testing.assert_array_equal(moved.image, state.image)
