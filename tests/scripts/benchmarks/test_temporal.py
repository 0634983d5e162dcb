"""The films that are drawn have the motion that they say, and films are measured as they are."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from jaxstyle import samples
from jaxstyle.networks.load import load_network
from jaxstyle.video.warping import warp
from scripts.benchmarks import temporal
from scripts.benchmarks.scenes import make_scenes

SCENES = make_scenes(8, (48, 64))


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize(("first", "second"), [(2, 1), (1, 2), (7, 2)])
def test_a_frame_that_is_moved_by_the_true_flow_is_the_other_where_both_see_it(name, first, second):
    scene = SCENES[name]
    here, there = scene.frame(first), scene.frame(second)
    moved = np.asarray(warp(jnp.asarray(there.image), jnp.asarray(scene.flow(here, there))))
    light = scene.light((first - 1) / 7) / scene.light((second - 1) / 7)
    mask = scene.visible(first, second)
    difference = np.abs(moved * light - here.image).mean(-1)
    # Of the edges, which are smooth, and of what was clipped, the flow knows nothing.
    assert np.median(difference[mask > 0]) < 0.01
    assert np.mean(difference[mask > 0]) < 0.03
    assert 0.6 < mask.mean() < 1
    still = np.abs(there.image * light - here.image).mean(-1)
    assert np.mean(difference[mask > 0]) < 0.5 * np.mean(still[mask > 0]) or abs(first - second) < 2


def test_what_is_hidden_is_not_seen():
    scene = SCENES["objects"]
    hidden = 1 - scene.visible(8, 1)
    moving = np.abs(scene.between(scene.frame(8), scene.frame(1))).sum(-1) > 0.1
    assert 0.01 < hidden.mean() < 0.4
    assert (hidden * (1 - moving)).sum() > 0  # the ground that a layer had covered


@pytest.fixture(scope="module")
def judge():
    scene = SCENES["objects"]
    frames = [scene.frame(number) for number in range(1, 9)]
    film = temporal.Film("objects", frames, scene.flow, scene.visible, True)
    painting = jaxstyle.load_image(samples.SWIRLS, size=48)
    return temporal.Judge(load_network("compact"), painting, film), film


@pytest.mark.slow
def test_noise_is_worse_than_the_photographs_and_these_keep_all_of_their_style_loss(judge):
    judged, film = judge
    photographs = [still.image for still in film.frames]
    row = judged(photographs)
    assert row["style_left"] == pytest.approx(1.0)
    assert row["content"] == pytest.approx(0.0, abs=1e-6)
    assert row["error_1"] < 2e-3
    rng = np.random.default_rng(0)
    noisy = [np.float32(p + rng.normal(0, 0.1, p.shape)) for p in photographs]
    assert judged(noisy)["error_1"] == pytest.approx(0.02, rel=0.3)  # twice the variance


def test_a_time_slice_is_a_row_over_time():
    pictures = [np.full((6, 5, 3), shade) for shade in (0.1, 0.5)]
    cut = temporal.time_slice(pictures)
    assert cut.shape == (8, 5, 3)
    assert cut[:, 0, 0].tolist() == [0.1] * 4 + [0.5] * 4


def test_the_table_is_relative_to_frame_by_frame(capsys):
    facts = {"film": "pan", "frames": 3, "shape": "4×4", "network": "compact", "flow_share": 0.25}
    speeds = iter((2.0, 3.0))
    rows = [
        facts
        | {"way": way, "error_1": error, "error_5": 2 * error, "style_left": 0.1, "content": 5}
        | {"frames_per_second": next(speeds)}
        for way, error in (("frame by frame, from the photograph", 0.4), ("short term", 0.1))
    ]
    temporal.print_table([json.loads(json.dumps(row)) for row in rows])
    out = capsys.readouterr().out
    assert "| short term | 0.250 | 0.250 | 0.1000 | 5 | 1.5 | 25 % |" in out
