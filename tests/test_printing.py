"""What users print reads well: a line without arrays."""

import jax
import jax.numpy as jnp
import pytest

from jaxstyle import LossSpec, LossWeights, Result, VGGSpec
from jaxstyle.optimization.descent import Progress
from jaxstyle.presets import PRESETS
from jaxstyle.solvers import Info, State

LAYERS = {"content_layers": ("relu1_1",), "style_layers": ("relu1_1", "relu2_1")}


def info(finite=True):
    loss = jnp.array([1234.5, 80.0, 7.25])
    return Info(loss, {}, jnp.arange(3), jnp.array([True, True, finite]))


def test_specs_and_weights_are_code_that_makes_them():
    for made in (
        LossSpec(**LAYERS),
        LossSpec(**LAYERS, statistic="moments", network=VGGSpec(pooling="average")),
        LossWeights(style=3.0, own={"darkness": 2.0}),
        VGGSpec(),
    ):
        assert eval(repr(made)) == made
    layers = "content_layers=('relu1_1',), style_layers=('relu1_1', 'relu2_1')"
    assert repr(LossSpec(**LAYERS)) == f"LossSpec({layers})"
    assert str(LossSpec(**LAYERS).with_vgg(padding="zero")) == (
        f"LossSpec({layers}, network=VGGSpec(padding='zero'))"
    )
    assert repr(LossWeights()) == "LossWeights()"


def test_different_specs_print_differently():
    specs = {LossSpec(**LAYERS), LossSpec(), *(preset.spec for preset in PRESETS.values())}
    assert len({repr(spec) for spec in specs}) == len(specs)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_presets_are_a_line(preset):
    line = str(preset)
    assert line.startswith(f"<preset {preset.name}: {preset.description}; ")
    assert line.endswith(", normalised>" if preset.normalized else f"for {preset.network}>")
    assert "\n" not in line


def test_results_are_a_line():
    image = jnp.zeros((4, 6, 3))
    assert repr(Result(image, info())) == (
        "Result(image [4, 6, 3], 2 steps, loss 1.23e+03 to 7.25)"
    )
    assert repr(Result(image, info(finite=False))).endswith(
        "loss 1.23e+03 to 7.25, which ceased to be finite)"
    )
    assert repr(Progress(2, State(image, ()), info())) == (
        "Progress(step 2, image [4, 6, 3], 2 steps, loss 1.23e+03 to 7.25)"
    )


def test_results_are_printed_in_batches_and_under_transformations(capsys):
    result = Result(jnp.zeros((4, 6, 3)), info())
    batch = jax.tree.map(lambda leaf: leaf[None], result)
    assert repr(batch) == "Result(image [1, 4, 6, 3], loss [1, 3])"
    jax.eval_shape(lambda traced: print(traced), result)
    shapes = jax.eval_shape(lambda traced: traced, result)
    assert repr(shapes) == capsys.readouterr().out.strip() == "Result(image [4, 6, 3], loss [3])"
    with jax.transfer_guard("disallow"):
        assert "7.25" in repr(result)
