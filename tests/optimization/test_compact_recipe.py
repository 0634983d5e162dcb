"""What is left out suits the compact network, which is known by its widths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from jaxstyle import LossSpec, LossWeights, solvers
from jaxstyle.networks import vgg
from jaxstyle.optimization import compact, multiscale, transfer
from jaxstyle.presets import PRESETS

SPEC = LossSpec(("relu1_1",), ("relu1_1",))
PICTURE = jnp.full((16, 16, 3), 0.5)


def network_of(widths):
    """Parameters whose values do not matter; to draw them takes long."""
    forms = jax.eval_shape(lambda key: vgg.init_params(key, widths), jax.random.key(0))
    return jax.tree.map(lambda form: jnp.asarray(np.zeros(form.shape, form.dtype)), forms)


@pytest.fixture(scope="module")
def params():
    return network_of(compact.WIDTHS)


def test_the_widths_are_those_of_the_network_that_is_shipped():
    assert vgg.network_widths(jaxstyle.load_params("compact")) == compact.WIDTHS


def test_the_recipe_is_the_preset(params):
    options = PRESETS["compact"].options(params, (16, 16))
    suited = compact.as_it_suits(params, {})
    assert suited == {name: options[name] for name in ("weights", "solver")}
    default = PRESETS["default"].options(params, (16, 16))
    for name in ("spec", "init", "noise", "num_steps"):  # the rest is the same
        assert options[name] == default[name]


def test_what_is_given_stays(params):
    weights, solver = LossWeights(style=3.0), solvers.adam()
    given = {"weights": weights, "solver": solver, "num_steps": 3}
    assert compact.as_it_suits(params, given) == given
    assert compact.as_it_suits(params, {"solver": None})["solver"] is compact.recipe_solver()


def test_no_other_network_is_taken_for_it(params):
    other = network_of(compact.WIDTHS[:-1])
    for each in (other, {}, None, [1], {"mean": 3}):
        assert not compact.is_compact(each)
        assert compact.as_it_suits(each, {}) == {}


def test_it_is_known_inside_jit(params):
    found = []
    jax.eval_shape(lambda traced: found.append(compact.is_compact(traced)), params)
    assert found == [True]


@pytest.mark.parametrize("name", ["stylize", "reconstruct_content", "synthesize_texture"])
def test_functions_leave_to_the_recipe_what_is_left_out(params, monkeypatch, name):
    seen = {}
    monkeypatch.setattr(transfer, "optimize", lambda *_, **options: seen.update(options))
    given = {
        "stylize": (PICTURE, PICTURE),
        "reconstruct_content": (PICTURE, "relu1_1"),
        "synthesize_texture": (PICTURE,),
    }[name]
    getattr(transfer, name)(params, *given, spec=SPEC)
    assert (seen["weights"], seen["solver"]) == (compact.WEIGHTS, compact.recipe_solver())


def test_grids_and_scales_too(params, monkeypatch):
    seen = {}

    def descend(*_, **options):
        seen.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxstyle.optimization.batch.descend_lanes", descend)
    with pytest.raises(KeyboardInterrupt):
        jaxstyle.stylize_grid(params, [PICTURE], [PICTURE], spec=SPEC, num_steps=1)
    assert seen.pop("solver") is compact.recipe_solver()
    monkeypatch.setattr(multiscale, "descend_scales", descend)
    with pytest.raises(KeyboardInterrupt):
        jaxstyle.stylize_coarse_to_fine(
            params, PICTURE, PICTURE, jaxstyle.make_scales([16], 1), spec=SPEC
        )
    assert seen["solver"] is compact.recipe_solver()
