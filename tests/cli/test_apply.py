"""`jaxstyle apply`, and the files of the networks that it paints with."""

import json
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.command_line import done, pixels, write_picture
from safetensors.numpy import load_file

from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.files import FastNetwork, Style, load_network, save_network
from jaxstyle.feedforward.layouts import LAYOUTS
from jaxstyle.feedforward.network import paint
from jaxstyle.image.io import load_image, read_settings
from jaxstyle.networks.save import write_tensors

FORM = Architecture(widths=(2, 2, 2), blocks=0, kernels=(3, 3), output="sigmoid")
LINE = "apply content.png -o out.png --fast-network net.safetensors"


def random_network():
    """Two styles that differ in scales and shifts."""
    rng = np.random.default_rng(0)
    widths = {"contract1": (3, 2), "contract2": (2, 2), "contract3": (2, 2),
              "expand1": (2, 2), "expand2": (2, 2), "output": (2, 3)}  # fmt: skip
    params = {
        name: {
            "kernel": rng.normal(0, 0.4, (3, 3, *width)),
            "scale": rng.uniform(0.5, 1.5, (2, width[1])),
            "shift": rng.normal(0, 0.5, (2, width[1])),
        }
        for name, width in widths.items()
    }
    params["output"] = {"kernel": params["output"]["kernel"], "bias": np.zeros(3)}
    return FastNetwork(params, FORM, (Style("waves"), Style("night")), metadata={"licence": "CC0"})


@pytest.fixture
def apply(cli):
    save_network("net.safetensors", random_network(), dtype="float32")
    return cli


def painted(*weights):
    network = load_network("net.safetensors")
    image = load_image("content.png")
    result = paint(network.params, image, jnp.asarray(weights), architecture=network.architecture)
    return np.round(255 * np.clip(np.asarray(result), 0, 1))


def test_a_style_a_blend_and_the_strength(apply):
    assert "48×32 pixels, painted in" in done(apply(LINE)).out
    np.testing.assert_allclose(pixels("out.png"), painted(1.0, 0.0), atol=1)
    done(apply(LINE, style="night"))
    np.testing.assert_allclose(pixels("out.png"), painted(0.0, 1.0), atol=1)
    done(apply(LINE, blend="night=3,waves=1"))
    np.testing.assert_allclose(pixels("out.png"), painted(0.25, 0.75), atol=1)
    done(apply(LINE, strength=0))
    np.testing.assert_array_equal(pixels("out.png"), pixels("content.png"))


def test_the_photographs_colours_can_be_kept(apply):
    done(apply(LINE, color="luminance"))
    done(apply(f"{LINE} --bit-depth 16 --size 24"))
    assert pixels("out.png").shape[:2] == (16, 24)


def test_what_is_said_for_programs_and_kept_in_the_picture(apply):
    summary = json.loads(done(apply(LINE, style="night", json=True)).out)
    assert (summary["width"], summary["height"], summary["command"]) == (48, 32, "apply")
    assert "loss" not in summary
    kept = read_settings("out.png")
    assert kept["options"] == {"fast-network": "net.safetensors", "style": "night"}
    assert kept["network"]["licence"] == "CC0"
    plan = json.loads(done(apply(LINE, dry_run=True, json=True)).out)
    assert plan["bytes"] > 32 * 48 * 3 * 4


def test_a_folder_goes_on_where_it_ended(apply):
    Path("photos").mkdir()
    for i, name in enumerate(["a.png", "b.png", "c.png"]):
        write_picture(f"photos/{name}", i)
    Path("photos/broken.png").write_bytes(b"no picture")
    line = "apply photos -o made --fast-network net.safetensors"
    ran = apply(line)
    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "photos/broken.png: " in ran.err
    assert sorted(os.listdir("made")) == ["a.png", "b.png", "c.png"]
    os.unlink("photos/broken.png")
    # A good header: the damage is found when it is its turn, and stops no other.
    data = Path("photos/a.png").read_bytes()
    Path("photos/broken.png").write_bytes(data[: len(data) // 2])
    os.unlink("made/a.png")
    ran = apply(line)
    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "photos/broken.png: damaged or incomplete" in ran.err
    assert Path("made/a.png").exists()
    os.unlink("photos/broken.png")
    first = Path("made/a.png").stat().st_mtime_ns
    os.unlink("made/b.png")
    ran = done(apply(line))
    assert ran.out.startswith("made: 2 of 3 pictures are there already\nmade/b.png: ")
    assert Path("made/a.png").stat().st_mtime_ns == first
    write_picture("photos/c.png", 9)
    os.utime("photos/c.png", (4e9, 4e9))
    assert done(apply(line)).out.count("painted") == 1
    assert done(apply(line, style="night")).out.count("painted") == 3


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        ({"style": "dawn"}, 2, "--style: no style is called 'dawn'; there are waves, night"),
        ({"blend": "dawn=1"}, 2, "--blend: no style is called 'dawn'; there are waves, night"),
        ({"blend": "waves"}, 2, "--blend: should be like waves=0.3,night=0.7"),
        ({"style": "night", "blend": "waves=1"}, 2, "--style and --blend contradict each other"),
        ({"fast_network": "content.png"}, 1, "--fast-network content.png: cannot be read"),
        ({"fast_network": "none.safetensors"}, 2, "--fast-network none.safetensors: no such file"),
        ({"strength": 2}, 2, "--strength: should be a number from 0 to 1"),
    ],
)
def test_what_cannot_be_is_one_line(apply, options, status, says):
    ran = apply(LINE, **options)
    assert (ran.status, ran.err.count("\n")) == (status, 1)
    assert says in ran.err
    assert not Path("out.png").exists()


def test_without_a_network_it_says_what_is_missing(cli):
    ran = cli("apply content.png -o out.png")
    assert ran.status == 2
    assert "--fast-network" in ran.err


def test_published_networks_are_converted_and_verified(cli):
    layout, rng = LAYOUTS["lengstrom"], np.random.default_rng(0)
    kernels = {
        "contract1": (9, 9, 3, 32), "contract2": (3, 3, 32, 64), "contract3": (3, 3, 64, 128),
        "expand1": (3, 3, 64, 128), "expand2": (3, 3, 32, 64), "output": (9, 9, 32, 3),
    }  # fmt: skip
    arrays = {}
    for layer, parts in layout.variables.items():
        shape = kernels.get(layer, (3, 3, 128, 128))
        width = shape[2] if layer.startswith("expand") else shape[3]
        arrays[parts["kernel"]] = rng.normal(size=shape).astype(np.float32)
        arrays[parts["scale"]] = arrays[parts["shift"]] = np.ones(width, np.float32)
    write_tensors("published.safetensors", arrays, {})
    ran = done(cli("weights convert published.safetensors -o a.safetensors --style-names candy"))
    assert ran.out == (
        "a.safetensors: paints in one pass, 1 style, from lengstrom's fast-style-transfer, also "
        "ml5's\n"
    )
    assert load_network("a.safetensors").styles == (Style("candy"),)
    assert load_file("a.safetensors")["expand1.kernel"].shape == (3, 3, 128, 64)
    assert "paints in one pass" in done(cli("weights verify a.safetensors")).out
    ran = cli("weights convert published.safetensors -o a.safetensors --style-names a,b")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "--style-names should be 1 names, one for each style, got 2" in ran.err
