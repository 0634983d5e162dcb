"""The optimisation from start to result: transformations, starts, reports, compilations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from jaxstyle import LossSpec, LossWeights, solvers
from jaxstyle.image.matching import match_distribution
from jaxstyle.optimization import descent, transfer

pytestmark = pytest.mark.usefixtures("compile_faster")

SPEC = LossSpec(content_layers=("relu2_1",), style_layers=("relu1_1", "relu2_1"))
STEPS = 6


@pytest.fixture(scope="module")
def params():
    return jaxstyle.init_params(jax.random.key(0), (("conv1_1", 4), ("conv2_1", 6)))


@pytest.fixture(scope="module")
def pictures():
    content, style, other = jax.random.uniform(jax.random.key(1), (3, 16, 20, 3))
    return content, style, other


@pytest.fixture
def stylize(params):
    return functools.partial(jaxstyle.stylize, params, spec=SPEC, num_steps=STEPS)


def test_info_holds_the_start_and_every_step(stylize, pictures, params):
    content, style, _ = pictures
    result = stylize(content, style)
    assert result.image.shape == content.shape
    assert {leaf.shape for leaf in jax.tree.leaves(result.info)} == {(STEPS + 1,)}
    np.testing.assert_array_equal(result.info.evaluations, np.arange(1, STEPS + 2))
    targets = jaxstyle.compute_targets(params, content, style, SPEC)
    for image, loss in ((content, result.info.loss[0]), (result.image, result.info.loss[-1])):
        value = jaxstyle.objective(image, params, targets, spec=SPEC)
        np.testing.assert_allclose(value.total, loss, rtol=1e-4)
    np.testing.assert_allclose(sum(result.info.terms.values()), result.info.loss, rtol=1e-5)
    assert result.info.loss[-1] < 0.3 * result.info.loss[0]


def test_jit_equals_eager(stylize, pictures):
    content, style, _ = pictures
    eager = stylize(content, style)
    compiled = jax.jit(lambda c, s: stylize(c, s))(content, style)
    np.testing.assert_allclose(compiled.image, eager.image, atol=1e-4)
    np.testing.assert_allclose(compiled.info.loss, eager.info.loss, rtol=1e-3)


@pytest.mark.parametrize("compiled", [False, True])
def test_vmap_equals_a_loop_over_styles(stylize, pictures, compiled):
    content, *styles = pictures
    batched = jax.vmap(lambda style: stylize(content, style).image)
    images = (jax.jit(batched) if compiled else batched)(jnp.stack(styles))
    for image, style in zip(images, styles, strict=True):
        np.testing.assert_allclose(image, stylize(content, style).image, atol=1e-4)


@pytest.mark.slow
def test_vmap_over_weights_and_keys(stylize, pictures):
    content, style, _ = pictures
    keys, weights = jax.random.split(jax.random.key(2), 3), jnp.array([1.0, 10.0, 100.0])

    def lane(key, weight):
        return stylize(content, style, init="noise", key=key, weights=LossWeights(style=weight))

    losses = jax.vmap(lane)(keys, weights).info.loss
    for i in range(3):
        np.testing.assert_allclose(losses[i], lane(keys[i], weights[i]).info.loss, rtol=1e-3)


@pytest.mark.slow
def test_a_gradient_through_adam_equals_finite_differences(stylize, pictures):
    content, style, _ = pictures

    def final_loss(weight):
        solver = solvers.adam(0.01)
        weights = LossWeights(style=weight)
        result = stylize(content, style, solver=solver, weights=weights, num_steps=3)
        return jnp.mean(jnp.square(result.image - content)) * 1e4

    slope = (final_loss(50.5) - final_loss(49.5)) / 1.0
    np.testing.assert_allclose(jax.grad(final_loss)(50.0), slope, rtol=0.02)


@pytest.mark.slow
def test_a_gradient_through_lbfgs_is_that_of_the_compiled_descent(stylize, pictures):
    content, style, _ = pictures

    def final_loss(weight):
        result = stylize(content, style, weights=LossWeights(style=weight), num_steps=2)
        return jnp.mean(jnp.square(result.image - content)) * 1e4

    compiled = jax.jit(jax.grad(final_loss))(50.0)
    assert abs(compiled) > 1e-4
    np.testing.assert_allclose(jax.grad(final_loss)(50.0), compiled, rtol=1e-2)


LEAPING = solvers.adam(0.3)


def test_the_best_image_is_kept_wherever_the_solver_is(stylize, params, pictures):
    content, style, _ = pictures
    targets = jaxstyle.compute_targets(params, content, style, SPEC)
    seen = []

    def look(step, image, info):
        seen.append((image, info.loss[-1]))

    result = stylize(content, style, solver=LEAPING, callback=look, callback_every=1)
    for image, loss in [*seen, (result.image, result.info.loss[-1])]:
        value = jaxstyle.objective(image, params, targets, spec=SPEC)
        np.testing.assert_allclose(value.total, loss, rtol=1e-4)
    np.testing.assert_allclose(sum(result.info.terms.values()), result.info.loss, rtol=1e-5)
    falls = np.diff(result.info.loss)
    assert np.all(falls <= 0)
    assert np.any(falls == 0), "this rate is meant to be too high"


def test_a_descent_resumed_has_the_best_image_and_the_solver_s_own(params, pictures):
    content, style, _ = pictures
    targets = jaxstyle.compute_targets(params, content, style, SPEC)
    run = functools.partial(
        jaxstyle.descend, content, params, targets, spec=SPEC, solver=LEAPING, num_steps=6, every=2
    )
    *_, halfway, last = run()
    assert jnp.any(halfway.state.image != halfway.state.inner.image)
    [again] = run(resume=halfway)
    for ours, theirs in zip(
        jax.tree.leaves(again.state), jax.tree.leaves(last.state), strict=True
    ):  # fmt: skip
        np.testing.assert_array_equal(ours, theirs)


def test_reports_stay_as_they_are_while_the_descent_goes_on(params, pictures):
    """Steps write where the state before them lay, and what was reported lies elsewhere."""
    content, style, _ = pictures
    targets = jaxstyle.compute_targets(params, content, style, SPEC)
    descend = functools.partial(
        jaxstyle.descend, content, params, targets, spec=SPEC, num_steps=6, every=2
    )
    images, reports = [], []
    for report in descend():
        images.append(np.array(report.state.image))
        reports.append(report)
    for report, image in zip(reports, images, strict=True):
        np.testing.assert_array_equal(report.state.image, image)
    for _ in range(2):  # a report can be gone on from more than once
        *_, end = descend(resume=reports[0])
        np.testing.assert_array_equal(end.state.image, images[-1])


@pytest.mark.parametrize("solver", [solvers.lbfgs(), solvers.adam()])
def test_a_start_that_fits_already_stays(stylize, pictures, solver):
    """Its loss and gradient are rounding noise, which no solver may follow."""
    content, *_ = pictures
    result = stylize(content, content, solver=solver)
    assert float(result.info.loss[-1]) <= float(result.info.loss[0]) < 1e-6
    np.testing.assert_allclose(result.image, content, atol=1e-6)


def test_equal_keys_give_equal_pictures(stylize, pictures):
    content, style, _ = pictures
    first, again, other = (
        stylize(content, style, init="noise", key=jax.random.key(seed)).image for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert jnp.max(jnp.abs(first - other)) > 1e-3


def test_initial_images(params, pictures):
    content, style, _ = pictures
    start = functools.partial(
        transfer.initial_image, shape=(16, 20), params=params, content=content, style=style[:8]
    )
    np.testing.assert_array_equal(start("content"), content)
    np.testing.assert_array_equal(start(style), style)
    np.testing.assert_array_equal(start("style"), jaxstyle.resize(style[:8], (16, 20)))
    colored = match_distribution(content, style[:8])
    np.testing.assert_allclose(start("matched"), np.clip(colored, 0, 1), atol=1e-6)
    with pytest.raises(ValueError, match="init 'matched' needs a style image; there is none here"):
        start("matched", style=None)
    noisy = start("content", noise=0.1) - content
    assert float(jnp.std(noisy)) == pytest.approx(0.1, rel=0.1)
    white = transfer.initial_image("white-noise", (64, 64), params, noise=0.05)
    np.testing.assert_allclose(white.mean(axis=(0, 1)), params["mean"], atol=0.005)
    assert float(jnp.std(white)) == pytest.approx(0.05, rel=0.05)
    natural = transfer.initial_image("noise", (64, 64), params, noise=0.05)
    np.testing.assert_allclose(natural.mean(axis=(0, 1)), params["mean"], atol=0.05)
    assert float(jnp.std(natural)) == pytest.approx(0.05, rel=0.3)
    assert float(jnp.std(jnp.diff(natural, axis=0))) < 0.5 * float(jnp.std(natural))


def test_reconstruction_approaches_the_features(params, pictures):
    content, *_ = pictures
    result = jaxstyle.reconstruct_content(params, content, "conv1_1", num_steps=60)
    assert result.info.loss[-1] < 1e-3 * result.info.loss[0]
    assert set(result.info.terms) == {"content/conv1_1", "total_variation", "out_of_range"}


def test_a_texture_has_the_shape_asked_for_and_the_statistics_of_its_style(params, pictures):
    _, style, _ = pictures
    result = jaxstyle.synthesize_texture(
        params, style, ["relu1_1", "relu2_1"], shape=(24, 18), num_steps=60
    )
    assert result.image.shape == (24, 18, 3)
    assert result.info.loss[-1] < 1e-2 * result.info.loss[0]


def test_the_callback_gets_every_step_once(stylize, pictures):
    content, style, _ = pictures
    reports = []
    result = stylize(
        content, style, callback=lambda *report: reports.append(report), callback_every=4
    )
    assert [step for step, _, _ in reports] == [4, 6]
    np.testing.assert_array_equal(reports[-1][1], result.image)
    losses = np.concatenate([info.loss for _, _, info in reports])
    np.testing.assert_array_equal(losses, result.info.loss)


def test_a_callback_may_stop_the_run(stylize, pictures):
    content, style, _ = pictures
    seen = []

    def stop(step, image, info):
        seen.append(step)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stylize(content, style, callback=stop, callback_every=1)
    assert seen == [1]


@pytest.mark.parametrize("compiled", [False, True])
def test_a_lane_that_is_not_finite_keeps_its_last_good_image(stylize, pictures, compiled):
    """Plain descent with a huge step leaves the numbers' range; its neighbour goes on."""
    content, style, _ = pictures
    solver = solvers.from_optax(_descent(1e30))

    def lane(scale):
        weights = LossWeights(style=scale, content=scale, out_of_range=0.0)
        return stylize(content, style, solver=solver, weights=weights)

    lanes = jax.jit(jax.vmap(lane)) if compiled else jax.vmap(lane)
    result = lanes(jnp.array([1.0, 0.0]))
    finite = np.asarray(result.info.finite)
    assert finite[0, 0]
    assert not finite[0, -1]
    assert finite[1].all()
    assert np.isfinite(result.image).all()
    assert np.isfinite(result.info.loss).all()
    last_good = int(finite[0].sum()) - 1
    alone = stylize(
        content,
        style,
        solver=solver,
        weights=LossWeights(style=1.0, content=1.0, out_of_range=0.0),
        num_steps=max(last_good, 1),
    )
    np.testing.assert_allclose(result.image[0], alone.image, rtol=1e-3)


@functools.cache
def _descent(learning_rate):
    import optax

    return optax.sgd(learning_rate)


@pytest.fixture(scope="module")
def compilations():
    """Counts what XLA compiles."""
    count = [0]

    def listen(event, duration, **_):
        count[0] += event == "/jax/core/compile/backend_compile_duration"

    jax.monitoring.register_event_duration_secs_listener(listen)
    return count


def test_nothing_is_compiled_anew_for_new_values(params, pictures, compilations):
    content, style, other = pictures
    run = functools.partial(descent.optimize, params=params, spec=SPEC, num_steps=3)
    targets = [jaxstyle.compute_targets(params, content, s, spec=SPEC) for s in (style, other)]
    weights = [LossWeights(1.0, jnp.array([1.0, 2.0])), LossWeights(jnp.float32(3.0), 4.0)]
    weights += [LossWeights(1, {"relu2_1": 1, "relu1_1": np.float64(2.0)}, 0.5, jnp.array(1.0))]
    half = {name: jax.tree.map(lambda leaf: 0.5 * leaf, leaf) for name, leaf in params.items()}
    for weight in weights:  # their own small conversions are compiled here
        weight.resolve(SPEC)
    run(content, targets=targets[0], weights=weights[0], solver=solvers.lbfgs(5))
    before = compilations[0]
    assert before > 0
    for weight in weights:
        run(style, targets=targets[1], weights=weight, solver=solvers.lbfgs(history=5))
    run(content, params=half, targets=targets[0], weights=weights[0], solver=solvers.lbfgs(5))
    assert compilations[0] == before
    run(content, targets=targets[0], solver=solvers.lbfgs(6))
    assert compilations[0] > before


def test_the_number_of_steps_does_not_matter_to_the_compiler(params, pictures, compilations):
    content, style, _ = pictures
    targets = jaxstyle.compute_targets(params, content, style, spec=SPEC)
    run = functools.partial(descent.optimize, content, params, targets, spec=SPEC)
    run(num_steps=3)
    before = compilations[0]
    run(num_steps=5)
    assert compilations[0] == before


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, c: jaxstyle.stylize(p, c, c, spec=SPEC, num_steps=0), "num_steps should be at"),
        (lambda p, c: jaxstyle.stylize(p, c[None], c, spec=SPEC), r"content should have shape"),
        (lambda p, c: jaxstyle.stylize(p, c, c, spec=SPEC, init="black"), "unknown init 'black'"),
        (lambda p, c: jaxstyle.stylize(p, c, c, spec=SPEC, init=c[:9]), "init should be of 16×20"),
        (
            lambda p, c: jaxstyle.synthesize_texture(p, c, ["relu1_1"], init="content"),
            "needs a content image",
        ),
        (lambda p, c: jaxstyle.reconstruct_content(p, c, "relu9_9"), "unknown layer relu9_9"),
        (
            lambda p, c: jaxstyle.stylize(p, c, c),
            "unknown layer relu4_2, relu3_1, relu4_1, relu5_1; valid",
        ),
        (
            lambda p, c: jaxstyle.stylize(p, c, c, spec=SPEC, weights=LossWeights(style=-1.0)),
            "the style weight should be at least 0",
        ),
    ],
)
def test_wrong_arguments_are_refused(params, pictures, call, message):
    with pytest.raises(ValueError, match=message):
        call(params, pictures[0])


@pytest.mark.slow
def test_what_is_kept_is_an_argument_and_vmaps(stylize, pictures):
    content, style, _ = pictures
    left = jnp.zeros((16, 20)).at[:, :10].set(1.0)
    masks = jnp.stack([left, left[:, ::-1]])
    made = jax.vmap(lambda keep: stylize(content, style, keep=keep, init="noise").image)(masks)
    for mask, image in zip(masks, made, strict=True):
        kept = mask.astype(bool)
        np.testing.assert_array_equal(image[kept], content[kept])
        assert float(jnp.abs(image - content)[~kept].mean()) > 0.02


@pytest.mark.slow
def test_keep_protect_and_calm_from_coarse_to_fine(params, pictures):
    content, style, _ = pictures
    left = jnp.zeros((16, 20)).at[:, :10].set(1.0)
    result = jaxstyle.stylize_coarse_to_fine(
        params, content, style, jaxstyle.make_scales([16, 20], 3), spec=SPEC, init="noise",
        keep=left, protect=1 - left, calm=0.5,
    )  # fmt: skip
    np.testing.assert_array_equal(result.image[:, :10], content[:, :10])
    assert "content/relu2_1" in result.info.terms
    with pytest.raises(ValueError, match=r"protect should have shape \[16, 20\]"):
        jaxstyle.stylize_coarse_to_fine(
            params, content, style, jaxstyle.make_scales([16], 3), protect=left[:8]
        )
