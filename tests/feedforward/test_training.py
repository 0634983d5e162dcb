"""How networks that paint in one pass are trained, and their files."""

import dataclasses
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.fast_networks import TINY, draw_network
from helpers.networks import random_params

from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.feedforward.files import FastNetwork, Style, load_network, save_network
from jaxstyle.feedforward.photographs import Photographs
from jaxstyle.feedforward.trainer import Stage, Trainer, make_schedule, read_checkpoint
from jaxstyle.feedforward.training import (
    begin,
    make_optimizer,
    make_teacher,
    split_measured,
    update,
)
from jaxstyle.image.io import save_image
from jaxstyle.losses.spec import LossSpec, LossWeights

pytestmark = pytest.mark.usefixtures("compile_faster")
IMAGE, OTHER = np.random.default_rng(0).uniform(size=(2, 13, 18, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def params():
    return draw_network().params


def test_a_file_holds_all_that_is_needed(params, tmp_path):
    thumbnails = np.zeros((2, 4, 4, 3), np.uint8)
    grams = np.random.default_rng(0).normal(size=(2, 5, 5))
    statistics = {"relu1_1": (grams + grams.transpose(0, 2, 1)).astype("float16")}
    styles = Style("waves", "Hokusai"), Style("night")
    network = FastNetwork(params, TINY, styles, thumbnails, statistics=statistics)
    save_network(tmp_path / "net.safetensors", network, dtype="float32")
    found = load_network(tmp_path / "net.safetensors")
    assert (found.architecture, found.styles) == (TINY, network.styles)
    jax.tree.map(np.testing.assert_array_equal, found.params, dict(params))
    jax.tree.map(np.testing.assert_array_equal, found.statistics, statistics)
    assert found.weigh({"night": 3, "waves": 1}).tolist() == [0.25, 0.75]
    with pytest.raises(ValueError, match="no style is called 'dawn'; there are waves, night"):
        found.weigh({"dawn": 1})


def test_a_file_of_another_kind_is_refused(tmp_path, params):
    (tmp_path / "a.safetensors").write_bytes(b"no network")
    with pytest.raises(FileFormatError, match="cannot be read as safetensors"):
        load_network(tmp_path / "a.safetensors")
    wider = dataclasses.replace(TINY, widths=(2, 3, 5))
    network = FastNetwork(params, wider, (Style("a"), Style("b")))
    save_network(tmp_path / "b.safetensors", network)
    with pytest.raises(FileFormatError, match=r"should be \[.*\], is \["):
        load_network(tmp_path / "b.safetensors")


def test_stages_take_their_shares_of_the_steps():
    schedule = make_schedule(100, [("compact", 128, 0.2), ("vgg19", 192, 0.8)], rate=1.0)
    assert schedule.stages == (Stage("compact", 128, 20), Stage("vgg19", 192, 80))
    assert schedule.stage_at(19).teacher == "compact"
    assert schedule.stage_at(20).teacher == "vgg19"


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "net.safetensors")
    with pytest.raises(FileFormatError, match="is a pipe or device"):
        load_network(tmp_path / "net.safetensors")


@pytest.fixture
def trainer(params, tmp_path):
    """Makes trainers of the same network on the same photographs."""
    paths = [tmp_path / f"{i}.png" for i in range(8)]
    for i, path in enumerate(paths):
        save_image(path, np.random.default_rng(i).uniform(size=(40, 48, 3)))
    photographs = Photographs(paths)
    judge = random_params((("conv1_1", 4), ("conv1_2", 4)))
    spec = LossSpec(["relu1_2"], ["relu1_1"])

    def teacher(stage):
        paintings = [jnp.asarray(IMAGE), jnp.asarray(OTHER)]
        return make_teacher(judge, paintings, stage.side, spec=spec, weights=LossWeights())

    schedule = make_schedule(6, [("judge", 16, 1.0)], rate=3e-3, smallest=32)
    return lambda: Trainer(params, TINY, photographs, teacher, schedule)


def test_a_training_that_is_interrupted_ends_with_the_same_bits(trainer, tmp_path):
    whole, first, rest = trainer(), trainer(), trainer()
    reports = [report for _, report in whole.run()]
    assert all(np.isfinite(np.asarray(report)).all() for report in reports)
    for step, _ in first.run():
        if step == 3:
            break
    first.save(tmp_path / "checkpoint", {"steps": 6})
    checkpoint = read_checkpoint(tmp_path / "checkpoint")
    checkpoint.check({"steps": 6})
    rest.go_on(checkpoint)
    assert [step for step, _ in rest.run()] == [4, 5, 6]
    jax.tree.map(np.testing.assert_array_equal, rest.state, whole.state)
    with pytest.raises(UsageError, match=r"begun otherwise \(steps was 6\)"):
        checkpoint.check({"steps": 7})
    smaller = jax.tree.map(lambda leaf: np.atleast_1d(leaf)[..., :1], checkpoint.state)
    with pytest.raises(FileFormatError, match="its arrays have other shapes"):
        rest.go_on(checkpoint._replace(state=smaller))
    for data in (b"no checkpoint", b"", (tmp_path / "checkpoint").read_bytes()[:-9]):
        (tmp_path / "checkpoint").write_bytes(data)
        with pytest.raises(FileFormatError, match="not a checkpoint of this training"):
            read_checkpoint(tmp_path / "checkpoint")


def test_a_gradient_that_is_not_finite_changes_nothing(params):
    optimizer = make_optimizer(1e-3, 10)
    state = begin(params, optimizer)
    learned, _ = split_measured(params)
    before = jax.device_get(state.params)
    spoilt = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), learned)
    state = update(state, spoilt, np.float32(0.5), optimizer=optimizer)
    assert int(state.step) == 1
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state.params), before)
    jax.tree.map(np.testing.assert_allclose, jax.device_get(state.average), before)


def test_too_few_photographs_are_refused():
    with pytest.raises(UsageError, match="at least 8 photographs, and better some hundreds; got 0"):
        Photographs([])
