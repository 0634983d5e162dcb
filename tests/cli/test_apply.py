"""`jaxstyle apply`, and the files of the networks that it paints with."""

import json
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.command_line import done, pixels, write_picture
from PIL import Image
from safetensors.numpy import load_file

from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.files import FastNetwork, Style, load_network, save_network
from jaxstyle.feedforward.layouts import LAYOUTS
from jaxstyle.feedforward.network import paint
from jaxstyle.image.io import load_image, read_settings, save_image
from jaxstyle.networks.save import write_tensors

pytestmark = pytest.mark.usefixtures("compile_faster")
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
    """Takes weights of the styles."""
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
    assert kept["options"] == {
        "fast-network": "net.safetensors", "method": "network", "polish": "0", "style": "night",
    }  # fmt: skip
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
    lines = done(apply(line, json=True)).out.splitlines()
    assert [json.loads(each) for each in lines] == [
        {"output": f"made/{name}.png", "made": False} for name in "abc"
    ]
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
        ({"strength": 200}, 2, "--strength: should be a number from 0 to 100"),
    ],
)
def test_what_cannot_be_is_one_line(apply, options, status, says):
    ran = apply(LINE, **options)
    assert (ran.status, ran.err.count("\n")) == (status, 1)
    assert says in ran.err
    assert not Path("out.png").exists()


def test_a_network_that_ships_paints_by_name(with_shipped):
    ran = done(with_shipped("apply content.png -o out.png --style the-scream"))
    assert ran.out.startswith("out.png: 48×32 pixels, painted in ")
    ran = with_shipped("apply content.png -o out.png --style dawn")
    assert ran.status == 2
    assert "no style is called 'dawn'; there are starry-night" in ran.err


@pytest.mark.slow
def test_pictures_of_odd_sizes_are_those_of_one_size(apply, tmp_path):
    """They share a program; the right picture is the one that `paint` makes of each alone."""
    network = load_network("net.safetensors")
    Path("photos").mkdir()
    sizes = {"a": (70, 91), "b": (80, 96), "c": (65, 83), "d": (20, 27)}
    for name, (height, width) in sizes.items():
        write_picture(f"photos/{name}.png", height, size=(width, height))
    done(apply("apply photos -o made --fast-network net.safetensors --bit-depth 16"))
    for name in sizes:
        image = load_image(f"photos/{name}.png")
        expected = paint(
            network.params, image, jnp.array([1.0, 0.0]), architecture=network.architecture
        )
        np.testing.assert_allclose(
            load_image(f"made/{name}.png"), np.clip(expected, 0, 1), atol=1e-4
        )


def test_polish_needs_a_painting_that_the_file_does_not_know(apply):
    ran = apply(LINE, polish=3)
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "this network does not know its paintings; name the painting with --painting" in ran.err


def test_what_is_there_is_made_again_when_anything_has_changed(apply):
    Path("photos").mkdir()
    for i, name in enumerate(["a.png", "b.png"]):
        write_picture(f"photos/{name}", i)
    line = "apply photos -o made --fast-network net.safetensors"
    done(apply(line))
    assert done(apply(line)).out == "made: 2 of 2 pictures are there already\n"
    assert done(apply(f"{line} --bit-depth 16")).out.count("painted") == 2
    assert done(apply(f"{line} --bit-depth 16")).out.count("painted") == 0
    write_picture("photos/a.png", 7)
    os.utime("photos/a.png", (1e9, 1e9))  # another photograph, older than the picture
    assert done(apply(f"{line} --bit-depth 16")).out.count("painted") == 1
    settings = read_settings("made/a.png")
    save_image("made/a.png", load_image("made/a.png"), settings=settings | {"step": 0})
    assert done(apply(f"{line} --bit-depth 16")).out.count("painted") == 1
    other = random_network()
    other.params["contract1"]["kernel"] *= 2
    save_network("net.safetensors", other, dtype="float32")
    assert done(apply(f"{line} --bit-depth 16")).out.count("painted") == 2


def test_a_users_own_picture_is_not_replaced(apply):
    Path("photos").mkdir()
    Image.fromarray(np.zeros((32, 48, 3), np.uint8)).save("photos/a.jpg")
    write_picture("photos/b.bmp", 2)
    write_picture("photos/a.png", 1)
    before = Path("photos/a.png").read_bytes()
    names = "photos/a.jpg photos/b.bmp"
    ran = apply(f"apply {names} -o photos --fast-network net.safetensors")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "would overwrite photos/a.png, which jaxstyle has not written" in ran.err
    assert Path("photos/a.png").read_bytes() == before


def test_every_photograph_that_cannot_be_read_is_named_in_a_rerun_too(apply):
    Path("photos").mkdir()
    for i, name in enumerate(["a.png", "b.png"]):
        write_picture(f"photos/{name}", i)
    line = "apply photos -o made --fast-network net.safetensors"
    done(apply(line))
    Path("photos/c.png").write_bytes(b"no picture")
    data = Path("photos/a.png").read_bytes()
    Path("photos/d.png").write_bytes(data[: len(data) // 2])
    for _ in range(2):
        ran = apply(line)
        assert (ran.status, ran.err.count("\n")) == (1, 2)
        assert "photos/c.png" in ran.err
        assert "photos/d.png" in ran.err


def test_a_network_that_is_not_finite_is_refused(apply):
    network = random_network()
    network.params["contract1"]["kernel"][0] = np.nan
    save_network("net.safetensors", network)
    for line in (LINE, "weights verify net.safetensors"):
        ran = apply(line)
        assert (ran.status, ran.err.count("\n")) == (1, 1)
        assert "contract1.kernel has values that are not finite" in ran.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--method quick", "--method quick needs --painting, the painting's file"),
        ("--method quick --painting style.png --style night",
         "--style is for networks; leave it out with --method quick"),
        ("--painting style.png --style night", "give --polish N too, or --method quick"),
        ("--style-size 64", "--style-size needs --painting beside it"),
        ("--painting none.png", "none.png: no such file"),
        ("--polish -1", "--polish: should be a whole number from 0"),
    ],
)  # fmt: skip
def test_options_that_contradict_each_other_are_one_line(apply, options, says):
    ran = apply(f"apply content.png -o out.png {options}")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert says in ran.err


def test_a_picture_that_cannot_be_written_stops_no_other(apply):
    """They are written by another thread, beside what is painted."""
    Path("photos").mkdir()
    for i, name in enumerate(["a.png", "b.png", "c.png"]):
        write_picture(f"photos/{name}", i)
    Path("made/b.png").mkdir(parents=True)
    ran = apply("apply photos -o made --fast-network net.safetensors")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "made/b.png: is a folder" in ran.err


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
        "ml5's\nuse it with jaxstyle apply and --fast-network a.safetensors\n"
    )
    assert load_network("a.safetensors").styles == (Style("candy"),)
    assert load_file("a.safetensors")["expand1.kernel"].shape == (3, 3, 128, 64)
    assert "paints in one pass" in done(cli("weights verify a.safetensors")).out
    ran = cli("weights verify published.safetensors")
    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "jaxstyle weights convert published.safetensors -o OUT.safetensors" in ran.err
    ran = cli("weights convert a.safetensors -o b.safetensors")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "is jaxstyle's own already" in ran.err
    ran = cli("weights convert published.safetensors -o a.safetensors --style-names a,b")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "--style-names should be 1 names, one for each style, got 2" in ran.err


def test_regions_have_styles_of_their_own(apply):
    left = np.zeros((32, 48))
    left[:, :24] = 255
    Image.fromarray(left.astype(np.uint8)).save("left.png")
    done(apply(LINE, regions="left.png,style=night;rest,style=waves"))
    expected = np.where(left[..., None] > 0, painted(0.0, 1.0), painted(1.0, 0.0))
    np.testing.assert_allclose(pixels("out.png"), expected, atol=1)
    assert read_settings("out.png")["options"]["regions"] == (
        "left.png,style=night;rest,style=waves"
    )
    plan = json.loads(done(apply(LINE, regions="left.png,style=night;rest,style=waves",
                                 dry_run=True, json=True)).out)  # fmt: skip
    assert plan["bytes"] > 32 * 48 * 3 * 4


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"regions": "half.png,style=night"}, "--regions: should cover the picture, but 50 %"),
        ({"regions": "half.png,style=dawn;rest,style=night"}, "--regions: no style is called 'daw"),
        ({"regions": "half.png;rest,style=night"}, "--regions needs style=NAME of the network"),
        ({"regions": "none.png,style=night;rest,style=waves"}, "--regions none.png: no such file"),
        ({"regions": "half.png,style=night", "style": "night"}, "--style and --regions contradict"),
        ({"regions": "half.png,style=night", "polish": 2}, "--regions has no style for the whole"),
    ],
)
def test_regions_that_cannot_be_are_one_line(apply, options, says):
    half = np.zeros((32, 48), np.uint8)
    half[:16] = 255
    Image.fromarray(half).save("half.png")
    ran = apply(LINE, **options)
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert says in ran.err
    assert not Path("out.png").exists()
