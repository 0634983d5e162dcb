"""Solvers: evaluations counted, the traps of the fixed step, the protocol they share."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.descents import compiled_step, rosenbrock, run

from jaxstyle import solvers
from jaxstyle.solvers import limited_memory

SHAPE = (4, 4, 3)


def hilltop(image):
    """Concave around 0, with minima at ±1: near 0 every pair has s·y < 0."""
    value = jnp.sum(jnp.square(jnp.square(image) - 1.0))
    return value, {}


def wall(image):
    """A slope that hardly curves, then a wall, of which the slope says nothing."""
    value = jnp.sum(jnp.exp(30.0 * (image - 1.0)) - image + 0.01 * image**2)
    return value, {"value": value}


def cliff(image):
    """A slope that ends where the logarithm does; its minimum is at 2/3."""
    value = jnp.sum(-3.0 * image - jnp.log(1.0 - image))
    return value, {"value": value}


def start(seed=0):
    return 0.5 * jax.random.normal(jax.random.key(seed), SHAPE)


class Counter:
    """The objective above, counting how often a compiled program evaluates it."""

    def __init__(self):
        self.calls = 0

    def __call__(self, image):
        jax.debug.callback(self._count, image[0, 0, 0])
        return rosenbrock(image)

    def _count(self, _):
        self.calls += 1


@pytest.mark.parametrize("name", solvers.SOLVERS)
def test_every_solver_lowers_the_loss_and_reports_that_of_its_image(name):
    state, info, losses = run(solvers.make_solver(name), rosenbrock, start(), 40)
    assert losses[-1] < 0.5 * losses[0]
    np.testing.assert_allclose(info.loss, rosenbrock(state.image)[0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(info.terms["value"], info.loss)
    assert bool(info.finite)


@pytest.mark.parametrize("name", solvers.SOLVERS)
def test_evaluations_reported_are_those_that_happened(name):
    counter = Counter()
    _, info, _ = run(solvers.make_solver(name), counter, start(), 12)
    jax.effects_barrier()
    assert counter.calls >= 13
    assert int(info.evaluations) == counter.calls


@pytest.mark.parametrize("name", ["lbfgs", "adam", "gradient-descent"])
def test_a_step_costs_one_evaluation(name):
    counter = Counter()
    run(solvers.make_solver(name), counter, start(), 20)
    jax.effects_barrier()
    assert counter.calls == 21


def test_under_vmap_a_step_costs_one_evaluation_a_lane():
    counter, lanes, num_steps = Counter(), 5, 8
    solver = solvers.lbfgs()

    def minimize(image):
        state, _ = solver.init(counter, image)
        return jax.lax.scan(
            lambda state, _: (lambda new, info: (new, info.loss))(*solver.step(counter, state)),
            state,
            length=num_steps,
        )[1]

    images = jnp.stack([start(seed) for seed in range(lanes)])
    losses = jax.jit(jax.vmap(minimize))(images)
    jax.effects_barrier()
    assert counter.calls == lanes * (num_steps + 1)
    alone = jnp.stack([jax.jit(minimize)(image) for image in images])
    np.testing.assert_allclose(losses, alone, rtol=1e-3)


def test_the_fixed_step_crosses_regions_without_curvature():
    image = jnp.linspace(0.02, 0.05, 48).reshape(SHAPE)
    _, _, losses = run(solvers.lbfgs(history=5), hilltop, image, 80)
    assert losses[0] > 47.0
    assert losses[-1] < 1e-6


def test_without_the_guard_the_fixed_step_stays_on_the_hilltop(monkeypatch):
    monkeypatch.setattr(limited_memory, "has_curvature", lambda s, y: True)
    image = jnp.linspace(0.02, 0.05, 48).reshape(SHAPE)
    # Another history is another program: this one is compiled without the guard.
    _, _, losses = run(solvers.lbfgs(history=6), hilltop, image, 80)
    assert losses[-1] > 47.0


def test_a_pair_without_curvature_is_forgotten_and_gamma_kept():
    solver = solvers.lbfgs(history=3, preconditioning=0)
    before, _ = solver.init(hilltop, jnp.full(SHAPE, 0.02))
    after, _ = solver.step(hilltop, before)
    memory = after.inner.memory
    for part in (memory.s, memory.y, memory.inverse, memory.sy, memory.yy, memory.sg, memory.yg):
        assert not jnp.any(part)
    assert memory.gamma == before.inner.memory.gamma


def test_a_pair_with_curvature_is_kept():
    solver = solvers.lbfgs(history=3, preconditioning=0)
    before, _ = solver.init(rosenbrock, start())
    after, _ = solver.step(rosenbrock, before)
    np.testing.assert_array_equal(after.inner.memory.s[0], after.image - before.image)
    assert after.inner.memory.sy[0] > 0


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize(
    "factory",
    [solvers.lbfgs, lambda: solvers.lbfgs(preconditioning=0), solvers.gradient_descent],
)
def test_the_first_step_does_not_depend_on_the_size_of_the_loss(factory, scale):
    def scaled(image):
        value, terms = rosenbrock(image)
        return scale * value, terms

    solver = factory()
    before, _ = solver.init(scaled, start())
    after, _ = solver.step(scaled, before)
    moved = float(jnp.mean(jnp.abs(after.image - before.image)))
    # Preconditioning keeps the variance of white noise, and nearly that of this step.
    rel = 0.2 if factory is solvers.lbfgs else 1e-4
    assert moved == pytest.approx(0.005 if factory is solvers.gradient_descent else 1 / 255, rel)


def test_the_fixed_step_does_not_leap_on_a_steep_objective():
    """With a first step of 1/‖g‖₁ the first pair is rounding noise and the second step leaps."""

    def steep(image):
        value, terms = rosenbrock(image)
        return 1e9 * value, terms

    _, _, losses = run(solvers.lbfgs(), steep, start(), 10)
    assert losses.max() == losses[0]


@pytest.mark.parametrize(("objective", "minimum"), [(wall, -40.5), (cliff, -43.2666)])
def test_a_step_that_raises_the_loss_too_far_is_taken_back(objective, minimum):
    """On the wall the loss leaps, over the cliff it is no number; below zero it may be too."""
    solver, image = solvers.lbfgs(preconditioning=0), jnp.linspace(-0.6, 0.1, 48).reshape(SHAPE)
    state, info = solver.init(objective, image)
    step, losses, taken_back = compiled_step(solver, objective), [info.loss], 0
    for number in range(1, 41):
        before = state
        state, info = step(state)
        if state.inner.stepsize < before.inner.stepsize:
            taken_back += 1
            np.testing.assert_array_equal(state.image, before.image)
            assert info.loss == losses[-1]
        losses.append(info.loss)
        assert int(info.evaluations) == number + 1
        assert bool(info.finite)
    least = np.minimum.accumulate(losses)
    assert 1 <= taken_back <= 12
    assert np.all(losses[1:] <= least[:-1] + 0.5 * np.abs(least[:-1]))
    assert losses[-1] == pytest.approx(minimum, rel=0.15)


def test_a_solver_that_takes_every_step_goes_up_the_wall():
    image = jnp.linspace(-0.6, 0.1, 48).reshape(SHAPE)
    _, _, losses = run(solvers.lbfgs(preconditioning=0, max_rise=float("inf")), wall, image, 40)
    assert losses.max() == np.inf


def test_steps_that_lower_the_loss_are_the_same_with_the_guard_and_without():
    def bowl(image):
        return jnp.sum(jnp.linspace(1.0, 9.0, 48).reshape(SHAPE) * image**2), {}

    (guarded, _, _), (taking, _, _) = (
        run(solvers.lbfgs(max_rise=rise), bowl, start(), 12) for rise in (0.5, float("inf"))
    )
    np.testing.assert_array_equal(guarded.image, taking.image)


def test_a_lane_that_leaps_leaves_the_others_alone():
    solver = solvers.lbfgs(preconditioning=0)
    images = jnp.stack([jnp.linspace(-0.6, 0.1, 48).reshape(SHAPE), jnp.full(SHAPE, 0.88)])

    def losses(image):
        state, _ = solver.init(wall, image)
        return jax.lax.scan(lambda state, _: step(state), state, length=12)[1]

    def step(state):
        state, info = solver.step(wall, state)
        return state, (info.loss, info.evaluations)

    together, alone = jax.jit(jax.vmap(losses))(images), jax.jit(losses)
    for lane, image in enumerate(images):
        loss, evaluations = alone(image)
        np.testing.assert_allclose(together[0][lane], loss, rtol=1e-3)
        np.testing.assert_array_equal(together[1][lane], evaluations)


def test_a_gradient_that_is_no_number_is_said_to_be_so():
    def edge(image):
        return jnp.sum(jnp.sqrt(image)), {}  # its slope at zero is infinite

    state, info, _ = run(solvers.lbfgs(preconditioning=0), edge, jnp.zeros(SHAPE), 1)
    assert not bool(info.finite)
    np.testing.assert_array_equal(state.image, 0.0)


def test_a_start_at_a_stationary_point_stays_finite():
    for name in solvers.SOLVERS:
        state, info, _ = run(solvers.make_solver(name), rosenbrock, jnp.ones(SHAPE), 2)
        assert bool(info.finite), name
        np.testing.assert_allclose(state.image, 1.0, atol=1e-6)


@pytest.mark.parametrize(
    "transformation",
    [optax.adabelief(0.02), optax.sgd(0.001, momentum=0.9), optax.rmsprop(0.01)],
)
def test_any_optax_transformation_is_a_solver(transformation):
    solver = solvers.from_optax(transformation)
    assert solvers.from_optax(transformation) is solver
    _, info, losses = run(solver, rosenbrock, start(), 30)
    assert losses[-1] < losses[0]
    assert int(info.evaluations) == 31


def test_equal_settings_give_one_solver_however_they_are_spelled():
    assert solvers.lbfgs() is solvers.lbfgs()
    assert solvers.lbfgs(7) is solvers.lbfgs(history=7)
    assert solvers.adam(0.1) is solvers.make_solver("adam", learning_rate=0.1)
    assert solvers.adam(0.1) is not solvers.adam(0.2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: solvers.make_solver("newton"), "unknown solver 'newton'; valid: lbfgs, "),
        (lambda: solvers.make_solver("adam", history=3), "adam has no option 'history'"),
        (lambda: solvers.lbfgs(history=0), "history should be at least 1, got 0"),
        (lambda: solvers.lbfgs(first_step=float("nan")), "first_step should be greater than 0"),
        (lambda: solvers.lbfgs(preconditioning=-1), "preconditioning should be at least 0"),
        (lambda: solvers.lbfgs(max_rise=float("nan")), "max_rise should be at least 0, got nan"),
        (lambda: solvers.lbfgs_zoom(preconditioning=float("nan")), "preconditioning should be at"),
        (lambda: solvers.adam(learning_rate=-1.0), "learning_rate should be greater than 0"),
        (lambda: solvers.adam(b1=2.0), "b1 should be at least 0 and less than 1, got 2.0"),
        (lambda: solvers.adam(b2=float("nan")), "b2 should be at least 0 and less than 1, got nan"),
        (lambda: solvers.gradient_descent(momentum=-1.0), "momentum should be at least 0 and less"),
        (lambda: solvers.lbfgs(first_step=10**400), "first_step should be finite"),
    ],
)
def test_wrong_settings_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("solver", [solvers.lbfgs(preconditioning=0), solvers.lbfgs(5)])
@pytest.mark.parametrize("objective", [rosenbrock, lambda image: (jnp.nan * image.sum(), {})])
def test_a_start_by_a_step_is_the_start(solver, objective):
    value = jax.tree.map(jnp.zeros_like, objective(start()))
    at_rest, _ = solver.init(lambda _: value, start())
    moved, _ = solver.step(objective, at_rest)
    got, info = solver.begin(moved)
    wanted, wanted_info = solver.init(objective, start())
    for ours, theirs in zip(
        jax.tree.leaves_with_path((got, info)),
        jax.tree.leaves_with_path((wanted, wanted_info)),
        strict=True,
    ):
        # The two are compiled apart: gradients are those of two orders of summing.
        np.testing.assert_allclose(ours[1], theirs[1], 1e-6, 1e-5, err_msg=str(ours[0]))
        assert ours[1].aval == theirs[1].aval, ours[0]


def test_other_solvers_start_by_a_program_of_their_own():
    for solver in (solvers.lbfgs_zoom(), solvers.optax_lbfgs(), solvers.adam()):
        assert solver.begin is None


@pytest.mark.parametrize(
    "solver",
    [
        *(make() for make in solvers.SOLVERS.values()),
        solvers.lbfgs(history=7, preconditioning=0),
        solvers.precondition(solvers.adam(0.1), 0.5),
    ],
)
def test_a_solver_pickles_to_itself(solver):
    assert pickle.loads(pickle.dumps(solver)) is solver
    assert copy.deepcopy(solver) is solver
