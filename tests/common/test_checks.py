"""Arguments of the wrong kind: one line that names the argument, what came, what would be right."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.networks import random_params

import jaxstyle
from jaxstyle import LossSpec, LossWeights, OwnLoss, VGGSpec, solvers

SPEC = LossSpec(["relu1_1"], ["relu1_1"])
PARAMS = random_params((("conv1_1", 4),))
PICTURE = jnp.full((8, 8, 3), 0.5)
SCHEDULE = optax.linear_schedule(0.1, 0.01, 10)


def stylize(content=PICTURE, style=PICTURE, **options):
    return jaxstyle.stylize(PARAMS, content, style, **{"spec": SPEC, "num_steps": 1} | options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"weights": {"content": 1.0}}, TypeError, "weights should be a LossWeights, got a dict"),
        ({"weights": 3.0}, TypeError, "weights should be a LossWeights, got 3.0"),
        ({"weights": LossWeights(content="much")}, TypeError, "content weight should be a number"),
        ({"spec": {"style_layers": ["relu1_1"]}}, TypeError, "spec should be a LossSpec, got a d"),
        ({"spec": VGGSpec()}, TypeError, "spec should be a LossSpec, got a VGGSpec"),
        ({"solver": "adma"}, ValueError, "unknown solver 'adma'; valid: lbfgs"),
        ({"solver": solvers.adam}, TypeError, "solver .* got the function adam; call it"),
        ({"solver": 0.02}, TypeError, "solver should be a Solver, a name or an optax"),
        ({"key": 0}, TypeError, "key should be a key, got 0; write key=jax.random.key\\(0\\)"),
        ({"key": jnp.float32(1)}, TypeError, "key should be a key, got an array of float32"),
        ({"learning_rate": -1.0}, ValueError, "learning_rate should be greater than 0"),
        ({"learning_rate": float("nan")}, ValueError, "learning_rate .* got nan"),
        ({"learning_rate": SCHEDULE}, TypeError, "learning_rate .*schedule use solver=optax.adam"),
        ({"noise": -0.1}, ValueError, "noise should be at least 0, got -0.1"),
        ({"learning_rate": jnp.ones(2), "solver": "adam"}, ValueError, "a scalar, got shape .2."),
        ({"learning_rate": True, "solver": "adam"}, TypeError, "learning_rate .* got True"),
        ({"key": np.zeros(3, np.uint32)}, TypeError, "key should be a key, got an array of uint32"),
        ({"key": jax.random.split(jax.random.key(0))}, ValueError, "key should be one key"),
        ({"init": PICTURE * 255}, ValueError, "init .* up to 127.5; divide by 255"),
        ({"solver": solvers.Solver}, TypeError, "got the class Solver; write solver="),
        ({"num_steps": "300"}, TypeError, "num_steps should be a whole number, got '300'"),
        ({"num_steps": 2.5}, TypeError, "num_steps should be a whole number, got 2.5"),
        ({"num_steps": 0}, ValueError, "num_steps should be at least 1, got 0"),
        ({"callback": 3}, TypeError, "callback should be a function .* got 3"),
        ({"content": PICTURE * 255}, ValueError, "content .* up to 127.5; divide by 255"),
        ({"style": np.full((8, 8, 3), 255.0)}, ValueError, "style .* up to 255; divide by 255"),
        ({"style": PICTURE.at[0, 0].set(jnp.nan)}, ValueError, "style .* that are not finite"),
        ({"content": "photo.jpg"}, TypeError, "content should be an array .* got 'photo.jpg'"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_named(options, error, message):
    with pytest.raises(error, match=message) as caught:
        stylize(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: solvers.adam(SCHEDULE),
            r"learning_rate .*from_optax\(optax.adam\(schedule\)\)",
        ),
        (lambda: solvers.adam("0.1"), "learning_rate should be a number, got '0.1'"),
        (lambda: solvers.lbfgs(None), "history should be a number, got None"),
        (lambda: solvers.lbfgs(1.5), "history should be a whole number, got 1.5"),
        (lambda: solvers.lbfgs_zoom(max_linesearch=1.5), "max_linesearch should be a whole number"),
        (lambda: jaxstyle.features("compact", PICTURE, ["relu1_1"]), "params .* got 'compact'"),
        (lambda: jaxstyle.features(None, PICTURE, ["relu1_1"]), "params should be .* got None"),
        (lambda: jaxstyle.load_image(5), "not int"),
        (lambda: solvers.from_optax("adam"), "transformation should be a GradientTransformation"),
        (lambda: LossSpec(own_losses=[abs]), "each of own_losses should be a OwnLoss"),
        (lambda: LossSpec(own_losses=OwnLoss("x", abs)), "write own_losses=\\[loss\\]"),
        (lambda: jaxstyle.init_params(0), "key should be a key, got 0"),
        (lambda: jaxstyle.resize(PICTURE, 8), "shape should be a height and a width, got 8"),
        (lambda: jaxstyle.resize(PICTURE, (8, 8, 3)), "shape should be a height and a width"),
    ],
)
def test_what_makes_the_parts_says_so_at_once(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize("rate", [0.0, -0.1, float("nan"), float("inf")])
def test_a_learning_rate_that_cannot_be_right(rate):
    for make in (solvers.adam, solvers.gradient_descent):
        with pytest.raises(ValueError, match=r"learning_rate should be (greater than 0|finite)"):
            make(rate)


def test_a_traced_learning_rate_has_its_place_in_the_run():
    with pytest.raises(TypeError, match=r"got a traced array.*stylize\(..., learning_rate=rate\)"):
        jax.jit(lambda rate: stylize(solver=solvers.adam(rate)).image)(0.1)


def test_a_callback_inside_jit_is_refused():
    with pytest.raises(ValueError, match="callback cannot be called inside jit"):
        jax.jit(lambda c: stylize(c, callback=print).image)(PICTURE)
    with pytest.raises(ValueError, match="callback cannot be called inside jit"):
        jax.jit(lambda: stylize(callback=print).image)()


def test_an_own_loss_that_reads_a_target_it_does_not_measure():
    own = OwnLoss("tone", lambda features, target: jnp.mean(features["image"]) - target)
    with pytest.raises(TypeError, match="own loss tone reads its target, which is None"):
        stylize(spec=LossSpec([], [], own_losses=[own]))


def test_an_own_loss_that_is_no_scalar():
    own = OwnLoss("tone", lambda features, _: features["image"])
    with pytest.raises(ValueError, match="own loss tone should return a scalar"):
        stylize(spec=LossSpec([], [], own_losses=[own]))


def test_numbers_of_any_kind_make_the_same_solver():
    assert solvers.adam(np.float64(0.25)) is solvers.adam(jnp.float32(0.25)) is solvers.adam(0.25)


def test_a_name_and_a_transformation_are_solvers():
    assert solvers.as_solver("lbfgs") is solvers.as_solver(None) is solvers.lbfgs()
    transformation = optax.sgd(0.1)
    assert solvers.as_solver(transformation) is solvers.from_optax(transformation)
