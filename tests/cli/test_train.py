"""`jaxstyle train`: from paintings and photographs to a network's file."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers.command_line import done, pixels, rows, write_picture
from helpers.fast_networks import draw_network

from jaxstyle.feedforward.architecture import ARCHITECTURES, Architecture
from jaxstyle.feedforward.files import FastNetwork, Style, load_network, save_network
from jaxstyle.pipeline import polish
from jaxstyle.pipeline import train as training

LINE = "train style.png --photos photos -o net.safetensors"


pytestmark = pytest.mark.usefixtures("compile_faster")
TINY = Architecture(widths=(2, 3, 4), blocks=1, kernels=(3, 3))


def _gram_of_pixels(painting):
    return {"relu1_1": np.einsum("hwi,hwj->ij", painting, painting) / painting[..., 0].size}


@pytest.fixture
def train(cli, network, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "small", TINY)
    # By the compact network it takes seconds.
    monkeypatch.setattr(polish, "measure_painting", _gram_of_pixels)
    Path("photos").mkdir()
    for i in range(8):
        write_picture(f"photos/{i}.png", i)

    def run(line=LINE, **options):
        return cli(line, **{"network": network, "size": 32, "steps": 3, "quiet": True} | options)

    return run


@pytest.mark.parametrize(
    ("line", "options", "status", "says"),
    [
        ("train style.png --photos . -o net.safetensors", {}, 2, "--photos training needs at leas"),
        ("train style.png --photos none -o net.safetensors", {}, 2, "--photos training needs at l"),
        ("train style.png --photos photos -o net.pth", {}, 2, "net.pth: the file to write should"),
        ("train style.png -o net.safetensors", {}, 2, "--photos"),
        (LINE, {"minutes": 3}, 2, "--steps and --minutes contradict each other"),
        (LINE, {"new_styles_only": True}, 2, "--new-styles-only needs --from beside it"),
        (LINE, {"from": "style.png"}, 1, "--from style.png: cannot be read as safetensors"),
        (LINE, {"from": "style.png", "architecture": "large"}, 2,
         "--architecture and --from contradict each other"),
        (LINE, {"temporal_weight": 1}, 2, "--temporal-weight needs --for-video beside it"),
        (LINE, {"trace": "style.png"}, 2, "--trace style.png: would overwrite style.png"),
        (LINE, {"preview": "none/a.png"}, 2, "--preview none/a.png: cannot write in none"),
        ("train style.png photos/../style.png --photos photos -o net.safetensors", {}, 2,
         "two paintings would both be called the same"),
        ("train lost.png --photos photos -o net.safetensors", {}, 2, "lost.png: no such file"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_before_any_work(train, line, options, status, says):
    before = sorted(os.listdir())
    ran = train(line, **options)
    assert (ran.status, ran.err.count("\n")) == (status, 1), ran.err
    assert says in ran.err
    assert sorted(os.listdir()) == before


def parameters(path):
    return jax.tree.map(np.asarray, load_network(path).params)


@pytest.mark.slow
def test_a_training_leaves_a_network_a_trace_and_a_sheet(train, cli):
    done(train(trace="trace.csv", preview="sheet.png", steps=4))
    network = load_network("net.safetensors")
    assert network.styles == (Style("style"),)
    assert network.metadata["steps"] == "4"
    assert network.metadata["photographs"] == "8"
    assert network.thumbnails.shape == (1, 72, 96, 3)
    with open("trace.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert (header, len(rows)) == (["step", "loss", "content", "style"], 1)
    assert pixels("sheet.png").shape == (144, 192, 3)
    assert not Path("net.safetensors.checkpoint").exists()
    done(cli("apply content.png -o out.png --fast-network net.safetensors"))


@pytest.mark.slow
def test_one_that_is_stopped_goes_on_to_the_same_bits(train, monkeypatch):
    done(train(steps=4))
    os.rename("net.safetensors", "whole.safetensors")
    go_on = training.Trainer.run

    def stopped(self):
        for step, report in go_on(self):
            yield step, report
            if step == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(training.Trainer, "run", stopped)
    ran = train(steps=4)
    assert ran.status == 130
    assert "net.safetensors holds step 2 of 4, and the same command with --resume goes" in ran.err
    assert load_network("net.safetensors").metadata["steps"] == "2"
    monkeypatch.setattr(training.Trainer, "run", go_on)
    ran = train(steps=4, resume=True, seed=1)
    assert ran.status == 2
    assert "net.safetensors.checkpoint: begun otherwise (seed was 0)" in ran.err
    done(train(steps=4, resume=True))
    assert Path("net.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()
    Path("net.safetensors.checkpoint").write_bytes(b"damaged")
    ran = train(steps=4, resume=True)
    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "net.safetensors.checkpoint: not a checkpoint of this training" in ran.err


@pytest.mark.slow
def test_a_disk_that_is_full_on_the_way_is_a_warning(train, monkeypatch, caplog):
    whole = training.train

    def often(plan, watch):
        return whole(plan, watch, every=0.0)

    def full(path, network):
        if network.metadata["steps"] == "1":
            raise OSError(28, "No space left on device", str(path))
        return save_network(path, network)

    monkeypatch.setattr(training, "train", often)
    monkeypatch.setattr(training, "save_network", full)
    done(train(steps=2))
    (record,) = caplog.records
    assert "No space left on device" in record.getMessage()
    assert record.getMessage().endswith("; the training goes on")
    assert load_network("net.safetensors").metadata["steps"] == "2"


@pytest.mark.slow
def test_new_styles_leave_the_others_as_they_are(train):
    done(train(steps=1))
    write_picture("waves.png", 5)
    line = "train waves.png --photos photos -o both.safetensors"
    done(train(line, **{"from": "net.safetensors"}, new_styles_only=True, steps=2))
    before, after = parameters("net.safetensors"), parameters("both.safetensors")
    assert [each.name for each in load_network("both.safetensors").styles] == ["style", "waves"]
    for layer, parts in before.items():
        for part, value in parts.items():
            found = after[layer][part]
            each_style = part in ("scale", "shift", "mean", "covariance")
            np.testing.assert_array_equal(found[:1] if each_style else found, value)
    scales = after["residual1_1"]["scale"]
    assert not np.array_equal(scales[0], scales[1])
    line = "train style.png --photos photos -o third.safetensors"
    ran = train(line, **{"from": "net.safetensors"}, new_styles_only=True)
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "the network has a style called style already; rename the painting" in ran.err


@pytest.mark.slow
def test_what_is_compared_the_form_and_the_batch_can_be_chosen(train):
    chosen = {"content_layers": "relu2_1", "style_layers": "relu1_1=2,relu2_1",
              "statistic": "covariance", "tv_weight": 3, "batch": 2,
              "learning_rate": 3e-3}  # fmt: skip
    done(train(steps=2, **chosen))
    first = parameters("net.safetensors")
    done(train(steps=2, **chosen | {"style_layers": "relu1_1=2", "tv_weight": 0}))
    second = parameters("net.safetensors")
    assert not np.array_equal(first["contract1"]["kernel"], second["contract1"]["kernel"])
    done(train(steps=1, architecture="pastiche"))
    assert load_network("net.safetensors").architecture == ARCHITECTURES["pastiche"]
    done(train(steps=1, architecture="johnson"))
    assert "colors" not in parameters("net.safetensors")


@pytest.mark.slow
def test_a_network_for_video_begins_with_one_for_pictures_and_goes_on_as_one(train, cli):
    done(train(steps=1))
    plain = load_network("net.safetensors")
    line = "train style.png --photos photos -o video.safetensors"
    begin = {"from": "net.safetensors", "for_video": True, "steps": 2}
    done(train(line, **begin, trace="trace.csv", learning_rate=1e-9))
    network = load_network("video.safetensors")
    assert network.architecture.previous
    assert network.metadata["temporal_weight"] == "0.3"
    made = "trained by jaxstyle train"
    assert network.metadata["source"] == f"{made}, from a network {made}"
    with open("trace.csv", encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == ["step", "loss", "content", "style", "temporal"]
    # A painting that is called like a style of the network goes on from it: nothing is lost.
    kernel = np.asarray(network.params["contract1"]["kernel"])
    np.testing.assert_array_equal(kernel[:, :, :3], plain.params["contract1"]["kernel"])
    assert np.abs(kernel[:, :, 3:]).max() < 1e-6
    scales = (each.params["residual1_1"]["scale"] for each in (network, plain))
    np.testing.assert_allclose(*scales, atol=1e-6)
    done(cli("apply content.png -o out.png --fast-network video.safetensors"))

    write_picture("waves.png", 5)
    line = "train waves.png --photos photos -o both.safetensors"
    more = {"from": "video.safetensors", "new_styles_only": True, "steps": 2}
    ran = train(line, **more)
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "--from video.safetensors is a network for video, and forgets that" in ran.err
    done(train(line, **more, for_video=True, temporal_weight=2, learning_rate=0.1))
    both = parameters("both.safetensors")
    assert both["previous"]["gate"].shape == (2, 3)
    np.testing.assert_array_equal(both["previous"]["gate"][:1], network.params["previous"]["gate"])
    np.testing.assert_array_equal(both["contract1"]["kernel"], kernel)


DEVICES = """
import sys
import jax
from jaxstyle.cli import main
from jaxstyle.feedforward.architecture import ARCHITECTURES, Architecture
ARCHITECTURES["small"] = Architecture(widths=(2, 3, 4), blocks=1, kernels=(3, 3))
assert len(jax.local_devices()) == int(sys.argv[1])
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_the_pictures_of_a_step_are_spread_over_the_devices(train, network):
    """The right losses are those of a single device, after a step too."""
    losses = {}
    for count in (1, 4):
        flags = f"--xla_force_host_platform_device_count={count}"
        line = f"{LINE} --network {network} --size 32 --steps 3 --batch 4 --quiet"
        line += f" --trace {count}.csv"
        environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        run = [sys.executable, "-c", DEVICES, str(count), *line.split()]
        subprocess.run(run, env=environment, check=True)
        losses[count] = [row["loss"] for row in rows(f"{count}.csv")]
    assert losses[4] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.slow
def test_a_training_that_learns_nothing_fails_and_writes_nothing(train):
    for nothing in (
        {"content_weight": 0, "style_weight": 0, "tv_weight": 0},
        {"content_weight": 1e38},
    ):
        ran = train(steps=3, **nothing)
        assert (ran.status, ran.err.count("\n")) == (2, 1)
        assert "the loss has not been finite for 3 steps" in ran.err
        assert not Path("net.safetensors").exists()


@pytest.mark.slow
def test_a_finished_or_stopped_training_is_not_forgotten(train):
    done(train(steps=1))
    ran = train(steps=1, resume=True)
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "net.safetensors is there without net.safetensors.checkpoint" in ran.err
    Path("net.safetensors.checkpoint").touch()
    ran = train(steps=1)
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "net.safetensors.checkpoint is there, from a training that was stopped" in ran.err


@pytest.mark.slow
def test_as_many_steps_as_fit_into_the_minutes(train):
    done(train(steps=None, minutes=1e-3))
    assert load_network("net.safetensors").metadata["steps"] == "100"


def test_a_network_for_pictures_cannot_become_one_for_video_by_new_styles_alone(train):
    save_network("plain.safetensors", draw_network())
    ran = train(**{"from": "plain.safetensors"}, for_video=True, new_styles_only=True)
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert (
        "--for-video changes all of plain.safetensors, which paints each picture by itself; "
        "leave --new-styles-only out"
    ) in ran.err


def test_a_network_without_styles_is_refused(train):
    network = FastNetwork({}, TINY, ())
    save_network("empty.safetensors", network)
    ran = train(**{"from": "empty.safetensors"})
    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "--from empty.safetensors: its description is damaged (it has no styles)" in ran.err
