"""The script that judges how steadily networks paint, with a judge of a few filters."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.command_line import write_picture
from helpers.fast_networks import TINY, draw_network

from jaxstyle.feedforward.files import Style, save_network
from jaxstyle.networks import vgg
from jaxstyle.networks.load import Network
from scripts.training import judge_video_networks as script

pytestmark = pytest.mark.usefixtures("compile_faster")
WIDTHS = tuple((name, 4) for name, _ in vgg.VGG19_WIDTHS)


def test_pictures_that_move_along_with_the_flow_have_no_temporal_error():
    rng = np.random.default_rng(0)
    wide = jnp.asarray(rng.uniform(size=(12, 40, 3)), jnp.float32)
    pictures = jnp.stack([wide[:, i : i + 16] for i in range(8)])  # all moves to the left
    flows = jnp.broadcast_to(jnp.array([1.0, 0.0]), (7, 12, 16, 2))
    masks = jnp.ones((7, 12, 16)).at[:, :, -1].set(0)
    for apart in (1, 5):
        assert float(script.temporal(pictures, flows, masks, apart)) == pytest.approx(0, abs=1e-9)
    shaking = pictures + 0.1 * (jnp.arange(8) % 2)[:, None, None, None]
    for apart in (1, 5):
        error = float(script.temporal(shaking, flows, masks, apart))
        assert error == pytest.approx(0.01, rel=1e-3)


def test_the_summary_is_relative_to_the_first_network():
    def case(network, way, sequence, value):
        measures = dict.fromkeys(script.MEASURES, value)
        return {"network": network, "way": way, "sequence": sequence, **measures}

    cases = [
        case("a", "alone", "drawn-0", 1.0), case("a", "alone", "drawn-1", 4.0),
        case("b", "going on", "drawn-0", 0.5), case("b", "going on", "drawn-1", 2.0),
        case("a", "alone", "clip", 3.0), case("b", "going on", "clip", 1.0),
    ]  # fmt: skip
    found = {(c["sequences"], c["network"]): c["temporal"] for c in script.summary(cases)}
    assert found == {
        ("drawn", "a"): 1.0, ("drawn", "b"): 0.5,
        ("clips", "a"): 1.0, ("clips", "b"): pytest.approx(1 / 3, abs=1e-4),
    }  # fmt: skip


@pytest.mark.slow
def test_it_judges_networks_and_draws_strips(tmp_path, monkeypatch, capsys):
    pytest.importorskip("cv2")
    for kind in ("content", "style"):
        (tmp_path / kind).mkdir()
        for seed, name in enumerate(("a.png", "b.png")):
            write_picture(tmp_path / kind / name, seed)
    for name, form in (("plain", TINY), ("video", dataclasses.replace(TINY, previous=True))):
        network = draw_network(form)._replace(styles=(Style("a"), Style("b")))
        save_network(tmp_path / f"{name}.safetensors", network)
    judge = Network(vgg.init_params(jax.random.key(0), WIDTHS), "judge", None, {})
    monkeypatch.setattr(script, "load_judge", lambda name, **_: judge)
    files = [str(tmp_path / f"{name}.safetensors") for name in ("plain", "video")]
    options = ["--size", "32", "--frames", "6", "--sequences", "1", "--styles", "a", "--no-clips"]
    strips = ["--strips", str(tmp_path / "strips")]
    script.main([*files, "--data", str(tmp_path), *options, *strips])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ways = [("plain", "alone"), ("video", "alone"), ("video", "going on")]
    assert [(each["network"], each["way"]) for each in lines] == 2 * ways
    assert all(np.isfinite([each[name] for name in script.MEASURES]).all() for each in lines)
    assert (tmp_path / "strips" / "a-drawn-0.png").is_file()
