"""Batches: grids, lanes that never mix, what is compiled and evaluated, many devices."""

import functools
import itertools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from jaxstyle import LossSpec, LossWeights, solvers
from jaxstyle.optimization import batch, step
from jaxstyle.optimization.batch import BatchProgress, Lane, descend_lanes, split
from jaxstyle.optimization.grid import stylize_grid
from jaxstyle.solvers import Info

SPEC = LossSpec(content_layers=("relu2_1",), style_layers=("relu1_1", "relu2_1"))
WEIGHTS = [LossWeights(style=10.0), LossWeights(style={"relu1_1": 1.0, "relu2_1": 30.0})]
STEPS = 5


@pytest.fixture(scope="module")
def params():
    return jaxstyle.init_params(jax.random.key(0), (("conv1_1", 4), ("conv2_1", 6)))


@pytest.fixture(scope="module")
def contents():
    return jax.random.uniform(jax.random.key(1), (2, 16, 20, 3))


@pytest.fixture(scope="module")
def styles():
    return [
        jax.random.uniform(jax.random.key(2 + i), (12 + 4 * i, 30 - 6 * i, 3)) for i in range(3)
    ]


@pytest.fixture
def grid(params, contents, styles):
    return functools.partial(stylize_grid, params, contents, styles, spec=SPEC, num_steps=STEPS)


def alone(params, content, style, weights=WEIGHTS[0], **options):
    return jaxstyle.stylize(
        params, content, style, spec=SPEC, weights=weights, num_steps=STEPS, **options
    )


@pytest.mark.slow
def test_a_grid_of_width_one_is_the_single_runs_bit_for_bit(params, contents, styles, grid):
    keys = jax.random.split(jax.random.key(5), 2)
    made = grid(WEIGHTS, init="noise", key=keys, width=1)
    assert made.image.shape == (2, 3, 2, 16, 20, 3)
    assert made.info.loss.shape == (2, 3, 2, STEPS + 1)
    for c, s, k in itertools.product(range(2), range(3), range(2)):
        one = alone(params, contents[c], styles[s], WEIGHTS[k], init="noise", key=keys[k])
        np.testing.assert_array_equal(made.image[c, s, k], one.image)
        jax.tree.map(
            lambda leaf, wanted, at=(c, s, k): np.testing.assert_array_equal(leaf[at], wanted),
            made.info,
            one.info,
        )


@pytest.mark.slow
@pytest.mark.parametrize("width", [5, 12])
def test_wider_batches_differ_by_rounding(grid, width):
    narrow, wide = grid(WEIGHTS, width=1), grid(WEIGHTS, width=width)
    np.testing.assert_allclose(wide.image, narrow.image, atol=2e-5)
    np.testing.assert_allclose(wide.info.loss, narrow.info.loss, rtol=1e-4)
    np.testing.assert_array_equal(wide.info.evaluations, narrow.info.evaluations)


@pytest.mark.slow
def test_neighbours_do_not_matter_and_order_only_by_rounding(params, contents, styles):
    lanes = [
        Lane(
            contents[i % 2],
            jaxstyle.compute_targets(params, contents[i % 2], styles[i % 3], SPEC),
            WEIGHTS[0].resolve(SPEC),
        )
        for i in range(4)
    ]
    spoilt = lanes[2]._replace(image=jnp.full_like(lanes[2].image, jnp.nan))

    def images(lanes):
        *_, end = descend_lanes(params, lanes, width=4, spec=SPEC, num_steps=STEPS)
        return np.asarray(end.image)

    first = images(lanes)
    # Processors without AVX-512 add up a lane in an order that depends on its place.
    np.testing.assert_allclose(images(lanes[::-1])[::-1], first, atol=2e-5)
    np.testing.assert_array_equal(images(lanes[:3]), first[:3])
    np.testing.assert_array_equal(
        images([*lanes[:2], spoilt, lanes[3]])[[0, 1, 3]], first[[0, 1, 3]]
    )


def test_a_lane_that_is_not_finite_freezes_and_says_so(params, contents, styles, grid):
    huge = LossWeights(style=1e38)
    made = grid([WEIGHTS[0], huge], width=3)
    fine = grid(WEIGHTS[:1], width=3)
    assert np.asarray(made.info.finite)[:, :, 0].all()
    assert not np.asarray(made.info.finite)[:, :, 1, -1].any()
    assert np.isfinite(made.image).all()
    np.testing.assert_allclose(made.image[:, :, 0], fine.image[:, :, 0], atol=2e-5)


@pytest.mark.slow
def test_learning_rates_and_noise_are_settings_too(params, contents, styles, grid):
    made = grid(solver=solvers.adam(), learning_rate=[0.01, 0.1], noise=[0.0, 0.2], width=2)
    for k, (rate, noise) in enumerate([(0.01, 0.0), (0.1, 0.2)]):
        solver = solvers.adam(rate)
        one = alone(params, contents[1], styles[2], LossWeights(), solver=solver, noise=noise)
        np.testing.assert_allclose(made.image[1, 2, k], one.image, atol=2e-5)


@pytest.mark.slow
def test_a_grid_inside_jit(grid, params, contents, styles):
    made = jax.jit(lambda c: stylize_grid(params, c, styles[:2], spec=SPEC, num_steps=2))(contents)
    wanted = stylize_grid(params, contents, styles[:2], spec=SPEC, num_steps=2)
    np.testing.assert_allclose(made.image, wanted.image, atol=1e-5)


@pytest.mark.parametrize("traced", ["params", "contents", "styles", "weights", "nothing"])
def test_inside_jit_all_lanes_run_at_once(monkeypatch, params, contents, styles, traced):
    widths, descend = [], batch.descend_lanes

    def record(*arguments, width, **options):
        widths.append(width)
        return descend(*arguments, width=width, **options)

    monkeypatch.setattr(batch, "descend_lanes", record)
    given = {"params": params, "contents": contents, "styles": styles, "weights": WEIGHTS}

    def make(changes):
        return stylize_grid(**given | changes, spec=SPEC, num_steps=1)

    jax.eval_shape(make, {name: given[name] for name in given if name == traced})
    assert widths == [12]


def fake_descent(monkeypatch):
    """Lanes that end where they start, so that nothing is compiled."""

    def descend(params, lanes, *, num_steps, **_):
        image = jnp.stack([lane.image for lane in lanes])
        zeros = jnp.zeros((num_steps + 1, len(lanes)))
        info = Info(zeros, {}, zeros.astype(int), zeros == 0)
        yield BatchProgress(num_steps, image, info, None)

    monkeypatch.setattr(batch, "descend_lanes", descend)


def test_every_picture_has_what_belongs_to_it_by_name(monkeypatch, params, contents, styles):
    fake_descent(monkeypatch)
    keys = jax.random.split(jax.random.key(0), 2)
    named = dict(zip(("lake", "hill"), contents, strict=True))
    made = stylize_grid(
        params, named, styles[:2], WEIGHTS, spec=SPEC, key=keys, learning_rate=0.1, num_steps=1
    )
    assert (made.contents, made.styles) == (("lake", "hill"), ("0", "1"))
    cells = list(made.cells())
    names = [(cell.content, cell.style) for cell in cells]
    assert names == [(c, s) for c in ("lake", "hill") for s in "01" for _ in range(2)]
    for i, cell in enumerate(cells):
        np.testing.assert_array_equal(cell.image, named[cell.content])
        assert cell.info.loss.shape == (2,)
        assert set(cell.settings) == {"weights", "key", "learning_rate"}
        assert cell.settings["weights"] is WEIGHTS[i % 2]
        assert (cell.settings["key"] == keys[i % 2]).all()
        assert cell.settings["learning_rate"] == pytest.approx(0.1)
    shown = "Grid(contents lake, hill; styles 0, 1; 2 settings; image [2, 2, 2, 16, 20, 3])"
    assert repr(made) == shown
    assert repr(cells[0]).startswith("Cell(lake in 0, weights LossWeights(style=10.0), key ")
    leaves, tree = jax.tree.flatten(made)  # as it comes out of jit
    assert repr(jax.tree.unflatten(tree, leaves)) == shown


def test_settings_form_a_product(monkeypatch, params, contents, styles):
    fake_descent(monkeypatch)
    made = stylize_grid(
        params, contents[:1], styles[:1], WEIGHTS, spec=SPEC, noise=[0.0, 0.1, 0.2],
        combine="grid", num_steps=1,
    )  # fmt: skip
    found = [(each["weights"], float(each["noise"])) for each in made.settings]
    assert found == [(w, pytest.approx(n)) for w in WEIGHTS for n in (0.0, 0.1, 0.2)]
    assert made.image.shape == (1, 1, 6, 16, 20, 3)


@pytest.fixture(scope="module")
def compilations():
    """The names of the programs that XLA compiles."""
    names = []

    def listen(event, duration, **facts):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(facts.get("fun_name", "?"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    return names


@pytest.mark.slow
def test_64_lanes_compile_once_and_cost_64_evaluations_a_step(
    params, contents, styles, compilations
):
    weights = [LossWeights(style=1.5**k) for k in range(64)]
    keys = jax.random.split(jax.random.key(0), 64)
    run = functools.partial(stylize_grid, params, contents[:1], styles[:1], spec=SPEC, width=8)
    run = functools.partial(run, init="noise", num_steps=3)
    jax.clear_caches()
    del compilations[:]
    made = run(weights, key=keys)
    np.testing.assert_array_equal(made.info.evaluations[0, 0], np.tile([1, 2, 3, 4], (64, 1)))
    steps = [name for name in compilations if "advance" in name or "_start" in name]
    assert len(steps) == 1, compilations  # the start is evaluated by it too
    del compilations[:]
    run([LossWeights(style=3.0 * k) for k in range(64)], key=keys[::-1])
    assert not [name for name in compilations if "advance" in name or "_start" in name]


@pytest.mark.slow
def test_the_compiled_step_calls_the_network_once_whatever_the_width(params):
    def convolutions(lanes):
        program = step.compile_step(params, (16, 16), spec=SPEC, lanes=lanes)
        return program.as_text().count(" convolution(")

    assert convolutions(64) == convolutions(2) > 0


@pytest.mark.parametrize(
    ("count", "most", "devices", "width", "last"),
    [(10, 4, 1, 4, 2), (9, 4, 1, 3, 3), (1, 32, 1, 1, 1), (33, 32, 1, 17, 16), (9, 8, 8, 8, 1),
     (3, 8, 8, 8, 3), (5, 5, 4, 4, 1), (20, 16, 8, 16, 4), (5, 1, 8, 1, 1)],
)  # fmt: skip
def test_split(count, most, devices, width, last):
    found, parts = split(count, most, devices)
    assert found == width
    assert len(parts[-1]) == last
    assert [i for part in parts for i in part] == list(range(count))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contents": []}, "at least one content image"),
        ({"contents": [jnp.ones((16, 16, 3)), jnp.ones((16, 20, 3))]}, "one size, got"),
        ({"styles": [jnp.ones((16, 16))]}, "style should have shape"),
        ({"weights": WEIGHTS, "key": jax.random.split(jax.random.key(0), 3)}, "2 weights"),
        ({"weights": WEIGHTS, "noise": [0.0, 0.1, 0.2]}, 'combine="grid" makes their product'),
        ({"combine": "product"}, "unknown combine 'product'; valid: zip, grid"),
        ({"weights": []}, "0 weights"),
        ({"noise": jnp.ones((2, 2))}, r"noise should be a scalar or \[K\]"),
        ({"learning_rate": 0.1}, "no learning rate"),
        ({"width": 0}, "width of a batch should be at least 1"),
        ({"num_steps": 0}, "num_steps should be at least 1"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(params, contents, styles, change, message):
    arguments = {"contents": contents, "styles": styles, "spec": SPEC, "num_steps": 2} | change
    with pytest.raises(ValueError, match=message):
        stylize_grid(params, **arguments)
    with pytest.raises(ValueError, match="takes 1 to 2 lanes, got 0"):
        next(descend_lanes(params, [], width=2))


def test_a_cpu_runs_one_lane_at_a_time(params):
    assert batch.choose_width(params, (16, 16), spec=SPEC) == len(jax.local_devices())


DEVICES = """
import dataclasses, sys, jax, numpy as np, jaxstyle
from jaxstyle import LossSpec
from jaxstyle._common import sharding
from jaxstyle.optimization.batch import Lane
from jaxstyle.optimization.grid import stylize_grid
from jaxstyle.losses.features import settle
assert jax.device_count() == 8
params = jaxstyle.init_params(jax.random.key(0), (("conv1_1", 4), ("conv2_1", 6)))
spec = LossSpec(content_layers=("relu2_1",), style_layers=("relu1_1", "relu2_1"))
contents = jax.random.uniform(jax.random.key(1), (3, 32, 24, 3))
styles = list(jax.random.uniform(jax.random.key(2), (3, 16, 20, 3)))
options = {"spec": spec, "num_steps": 5}

# Lanes: 9 over 8 devices, a ragged last batch, against one device.
one = stylize_grid(params, contents, styles, devices=jax.local_devices()[:1], width=1, **options)
many = stylize_grid(params, contents, styles, **options)
np.testing.assert_allclose(many.image, one.image, atol=2e-5)
np.testing.assert_allclose(many.info.loss, one.info.loss, rtol=1e-4)
targets = jaxstyle.compute_targets(params, contents[0], styles[0], spec)
lane = Lane(contents[0], targets, jaxstyle.LossWeights().resolve(spec))
batch = jax.tree.map(lambda *leaves: jax.numpy.stack(leaves), *[lane] * 8)
batch = jax.device_put(batch, sharding.over("lanes", jax.local_devices()))
[progress] = jaxstyle.descend(
    batch.image, params, batch.targets, weights=batch.weights, every=5, **options
)
leaves = [leaf for leaf in jax.tree.leaves(progress.state) if leaf.ndim]
assert all(len(leaf.sharding.device_set) == 8 for leaf in leaves)
assert all(leaf.addressable_shards[0].data.shape[0] == 1 for leaf in leaves)

# Rows of one image.
single = jaxstyle.stylize(params, contents[0], styles[0], **options)
content = jaxstyle.shard_rows(contents[0])
assert content.addressable_shards[0].data.shape == (4, 24, 3)
for init in ("content", "noise"):
    single = jaxstyle.stylize(params, contents[0], styles[0], init=init, **options)
    spread = jaxstyle.stylize(params, content, styles[0], init=init, **options)
    assert spread.image.addressable_shards[0].data.shape == (4, 24, 3)
    np.testing.assert_allclose(spread.image, single.image, atol=2e-5)
    np.testing.assert_allclose(spread.info.loss, single.info.loss, rtol=1e-4)
state = next(jaxstyle.descend(content, params, targets, **options)).state
history = state.inner.inner.state.inner.memory.s
assert history.addressable_shards[0].data.shape == (30, 4, 24, 3), history.sharding
assert jaxstyle.shard_rows(contents[0][:30]).sharding.num_devices == 6

# Winograd's convolutions: right on rows too, but "auto" leaves them, for they would gather.
assert settle(spec, content).network.convolution == "direct"
assert settle(spec, contents[0]) == spec
winograd = spec.with_vgg(convolution="winograd")
wanted, slope = jaxstyle.objective_and_gradient(1 - content, params, targets, spec=spec)
value, gradient = jaxstyle.objective_and_gradient(1 - content, params, targets, spec=winograd)
np.testing.assert_allclose(value.total, wanted.total, rtol=1e-4)
np.testing.assert_allclose(gradient, slope, atol=1e-4 * np.abs(slope).max())
print("ok")
"""


@pytest.mark.slow
def test_eight_devices():
    environment = os.environ | {
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    run = subprocess.run(
        [sys.executable, "-c", DEVICES], env=environment, capture_output=True, text=True
    )
    assert run.stdout.strip() == "ok", run.stderr


@pytest.mark.slow
def test_a_grid_keeps_a_part_of_each_photograph(params, contents, styles):
    left = jnp.zeros((16, 20)).at[:, :10].set(1.0)
    masks = jnp.stack([left, left[:, ::-1]])
    made = stylize_grid(
        params, contents, styles[:2], spec=SPEC, num_steps=2, init="noise", keep=masks, calm=0.5
    ).image
    for mask, content, images in zip(masks, contents, made, strict=True):
        kept = mask.astype(bool)
        for image in images[:, 0]:
            np.testing.assert_array_equal(image[kept], content[kept])


def test_masks_of_a_grid_fit_its_photographs(params, contents, styles):
    with pytest.raises(ValueError, match=r"keep should be \[H, W\], or \[2, H, W\] with one for"):
        stylize_grid(params, contents, styles, spec=SPEC, keep=jnp.zeros((3, 16, 20)))
