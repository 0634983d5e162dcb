"""How networks for video are trained."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.fast_networks import TINY, draw_network
from helpers.films import texture
from helpers.networks import random_params

from jaxstyle.feedforward.photographs import Photographs
from jaxstyle.feedforward.previous import widen
from jaxstyle.feedforward.trainer import Trainer, make_schedule, read_checkpoint
from jaxstyle.feedforward.training import make_teacher
from jaxstyle.image.io import save_image
from jaxstyle.losses.spec import LossSpec, LossWeights
from jaxstyle.video import training
from jaxstyle.video.training import MovingPhotographs, temporal_error

pytestmark = pytest.mark.usefixtures("compile_faster")
VIDEO = dataclasses.replace(TINY, previous=True)
SPEC = LossSpec(["relu1_2"], ["relu1_1"])
RNG = np.random.default_rng(0)
PAINTINGS = [jnp.asarray(RNG.uniform(size=(13, 18, 3)), jnp.float32) for _ in range(2)]


def make(stage):
    judge = random_params((("conv1_1", 4), ("conv1_2", 4)))
    return make_teacher(judge, PAINTINGS, stage.side, spec=SPEC, weights=LossWeights())


@pytest.fixture
def trainer(tmp_path):
    """Makes trainers of the same network on the same photographs."""
    paths = [tmp_path / f"{i}.png" for i in range(8)]
    for i, path in enumerate(paths):
        save_image(path, texture(i, (40, 48)))
    photographs = Photographs(paths)

    def made(steps=4, weight=0.5, batch=1, rate=3e-3):
        schedule = make_schedule(steps, [("judge", 16, 1.0)], rate=rate, smallest=32, batch=batch)
        lesson = MovingPhotographs(weight)
        params, _ = widen(draw_network().params, TINY)
        return Trainer(params, VIDEO, photographs, make, schedule, lesson=lesson)

    return made


@pytest.mark.slow
def test_a_training_that_is_interrupted_ends_with_the_same_bits_by_one_program(trainer, tmp_path):
    whole, first, rest = trainer(), trainer(), trainer()
    before = training._batch_gradient._cache_size()
    reports = [report for _, report in whole.run()]
    assert reports[0]._fields == ("loss", "content", "style", "temporal")
    assert all(np.isfinite(np.asarray(report)).all() for report in reports)
    for step, _ in first.run():
        if step == 2:
            break
    first.save(tmp_path / "checkpoint", {})
    rest.go_on(read_checkpoint(tmp_path / "checkpoint"))
    assert [step for step, _ in rest.run()] == [3, 4]
    jax.tree.map(np.testing.assert_array_equal, rest.state, whole.state)
    assert training._batch_gradient._cache_size() == before + 1


@pytest.mark.slow
def test_the_temporal_loss_makes_frames_go_on_from_each_other(trainer):
    """Without it, the gates have no reason to open and the pictures to agree."""
    last = {}
    for weight in (0.0, 2.0):
        taught = trainer(steps=60, weight=weight, rate=1e-2)
        reports = [report for _, report in taught.run()]
        last[weight] = np.mean([float(report.temporal) for report in reports[-20:]])
    assert last[2.0] < 0.5 * last[0.0]


@pytest.mark.slow
def test_a_batch_is_the_mean_of_its_sequences(trainer):
    taught = trainer(batch=2)
    stage = taught.schedule.stages[0]
    teacher = make(stage)
    examples, styles = taught._batch(0, stage, teacher)
    whole = teacher.params, teacher.weights, teacher.styles, teacher.first
    lesson = MovingPhotographs(0.5)

    def gradient(part):
        return lesson.gradient(
            taught.state.params, jax.tree.map(lambda leaf: leaf[part], examples), styles[part],
            whole, architecture=VIDEO, spec=SPEC,
        )  # fmt: skip

    both = gradient(slice(0, 2))
    one, other = (gradient(slice(i, i + 1)) for i in (0, 1))
    mean = jax.tree.map(lambda a, b: (a + b) / 2, one, other)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-4), both, mean)


def test_the_temporal_error_is_that_of_pixels_that_were_seen():
    early = jnp.asarray(RNG.uniform(size=(6, 8, 3)), jnp.float32)
    flow = jnp.broadcast_to(jnp.array([1.0, 0.0]), (6, 8, 2))
    mask = jnp.ones((6, 8)).at[..., -1].set(0)
    late = jnp.concatenate([early[:, 1:], jnp.full((6, 1, 3), 7.0)], axis=1)
    assert float(temporal_error(early, late, flow, mask)) == pytest.approx(0, abs=1e-10)
    error = temporal_error(early, late + 0.1, flow, mask)
    assert float(error) == pytest.approx(0.01, rel=1e-3)
    assert float(temporal_error(early, late, flow, 0 * mask)) == 0
