"""`jaxstyle apply --painting`: networks that paint like any painting, mixtures and regions."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.command_line import done, pixels, write_picture
from PIL import Image

from jaxstyle.feedforward.architecture import Architecture
from jaxstyle.feedforward.files import FastNetwork, load_network, save_network
from jaxstyle.feedforward.network import init_network, paint
from jaxstyle.feedforward.prediction import init_predictor, know_paintings
from jaxstyle.image.io import load_image, read_settings
from jaxstyle.image.matching import match_distribution
from jaxstyle.networks.load import load_params
from jaxstyle.pipeline.train import read_paintings

pytestmark = pytest.mark.usefixtures("compile_faster")
FORM = Architecture(widths=(2, 2, 2), blocks=0, kernels=(3, 3))
LINE = "apply content.png -o out.png --painting style.png --fast-network any.safetensors"
DIMENSIONS = 2 * (16 + 48 + 96 + 192 + 384)  # mean and deviation of the compact network's maps


@pytest.fixture
def apply(with_shipped):
    styles = init_network(jax.random.key(0), FORM)
    params = init_predictor(jax.random.key(1), styles, jnp.zeros((1, DIMENSIONS)), width=3)
    params["standard"]["deviation"] = jnp.ones(DIMENSIONS)
    predictor = params["predictor"]
    predictor["decode"] = jax.random.normal(jax.random.key(2), predictor["decode"].shape)
    params["output"]["kernel"] *= 30
    save_network("any.safetensors", FastNetwork(params, FORM, ()), dtype="float32")
    write_picture("other.png", 5)
    return with_shipped


def painted(paintings, weights):
    network, compact = load_network("any.safetensors"), load_params("compact")
    images = [load_image(each, size=256) for each in paintings]
    known = know_paintings(network.params, compact, images)
    image = load_image("content.png")
    result = paint(known, image, jnp.asarray(weights), architecture=FORM)
    return np.round(255 * np.clip(np.asarray(result), 0, 1))


@pytest.mark.slow
def test_a_painting_is_a_style(apply):
    assert "painted in" in done(apply(LINE)).out
    found = pixels("out.png")
    np.testing.assert_allclose(found, painted(["style.png"], [1.0]), atol=1)
    done(apply(LINE.replace("style.png", "other.png")))
    assert np.abs(pixels("out.png") - found).max() > 5
    assert set(read_settings("out.png")["sources"]) == {"content", "painting", "network"}


@pytest.mark.slow
def test_paintings_are_mixed_and_have_regions(apply):
    done(apply(LINE, mix="other.png=0.25"))
    expected = painted(["style.png", "other.png"], [0.75, 0.25])
    np.testing.assert_allclose(pixels("out.png"), expected, atol=1)
    assert set(read_settings("out.png")["sources"]) == {
        "content", "painting", "painting 2", "network",
    }  # fmt: skip
    top = np.zeros((32, 48), np.uint8)
    top[:16] = 255
    Image.fromarray(top).save("top.png")
    done(apply(LINE, regions="top.png,style=other.png;rest"))
    one, other = (painted([name], [1.0]) for name in ("other.png", "style.png"))
    expected = np.where(top[..., None] > 0, one, other)
    np.testing.assert_allclose(pixels("out.png"), expected, atol=1)


def test_memory_is_told_before(apply):
    plan = json.loads(done(apply(LINE, dry_run=True, json=True, mix="other.png=0.5")).out)
    assert plan["bytes"] > 32 * 48 * 3 * 4
    assert not Path("out.png").exists()


def test_quick_pictures_are_mixed_too(apply):
    done(apply("apply content.png -o out.png --painting style.png --polish 0 --size 48",
               mix="other.png=0.25"))  # fmt: skip
    image = load_image("content.png")
    expected = sum(
        share * np.clip(match_distribution(image, load_image(name)), 0, 1)
        for name, share in (("style.png", 0.75), ("other.png", 0.25))
    )
    np.testing.assert_allclose(pixels("out.png"), 255 * expected, atol=1)


def test_several_paintings_are_a_mixture(apply):
    line = "apply content.png -o out.png --polish 0 --size 48"
    done(apply(f"{line} --painting style.png", mix="other.png=0.25"))
    expected, settings = pixels("out.png"), read_settings("out.png")
    several = (
        "--painting style.png=0.75 --painting other.png=0.25",
        "--painting style.png --painting other.png=0.25",
        "--painting style.png=0.75 --painting other.png",
    )
    for each in several:
        done(apply(f"{line} {each}"))
        np.testing.assert_array_equal(pixels("out.png"), expected)
        assert read_settings("out.png")["options"] == settings["options"]
        assert read_settings("out.png")["given"] == settings["given"]


def test_every_photograph_is_painted_like_every_painting(apply):
    for folder in ("photos", "paintings"):
        Path(folder).mkdir()
        for i, name in enumerate("ab"):
            write_picture(f"{folder}/{name}.png", i + 10 * len(folder))
    line = "apply photos -o made --painting {} --polish 0 --size 48"
    names = ["a--a.png", "a--b.png", "b--a.png", "b--b.png"]
    for given in ("paintings", "paintings/*.png"):
        done(apply(line.format(given)))
        assert sorted(path.name for path in Path("made").iterdir()) == names
    assert "4 of 4 pictures are there already" in done(apply(line.format("paintings"))).out
    found = pixels("made/a--b.png")
    done(apply("apply photos/a.png -o one.png --painting paintings/b.png --polish 0 --size 48"))
    np.testing.assert_array_equal(found, pixels("one.png"))
    Path("paintings/c.png").write_bytes(b"no picture")
    ran = apply(line.format("paintings"))
    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "--painting paintings/c.png: not an image" in ran.err
    ran = apply(line.format("paintings").replace("made", "out.png"))
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "out.png: OUT should be a folder here, which gets a PHOTO--PAINTING.png" in ran.err
    ran = apply(line.format("paintings").replace("-o made", "-o paintings"))
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "paintings: would take in a--a.png and other results of this run" in ran.err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--painting style.png --painting other.png=2", "--painting: should be like wave.jpg=0.5"),
        ("--painting style.png=0.5 --painting other.png=0.4",
         "--painting: should have shares that sum to 1, got 0.9"),
        ("--painting style.png=1 --painting other.png", "--painting: leaves no share for 'other.p"),
        ("--painting style.png --painting other.png --mix other.png",
         "--painting names several paintings already"),
        ("--painting style.png --painting none.png", "--mix none.png: no such file"),
        ("--painting style.png --regions style.png,style=other.png;rest --method quick",
         "--regions is for networks and for --method adain, wct, transport and swap; leave it out "
         "with --method quick"),
        ("--painting style.png --painting other.png --method quilting",
         "--mix is for --method quick, adain, wct, transport and swap; leave it out with "
         "--method quil"),
        ("--fast-network any.safetensors", "any paints like any painting; give --painting FILE"),
        ("--fast-network any.safetensors --painting style.png --style night --polish 2",
         "--style is for networks with styles of their own"),
        ("--fast-network any.safetensors --painting none.png", "--painting none.png: no such file"),
        ("--fast-network any.safetensors --painting style.png --mix none.png=0.5",
         "--mix none.png: no such file"),
        ("--mix other.png=0.5", "--mix needs --painting beside it"),
        ("--fast-network paintbox --painting style.png",
         "--fast-network paintbox paints in styles of its own, and --painting tells it only"),
        ("--method network --painting style.png", "--painting needs --fast-network FILE for that"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(apply, line, says):
    ran = apply(f"apply content.png -o out.png {line}")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert says in ran.err


def test_other_commands_say_what_they_need(apply):
    Path("photos").mkdir()
    for i in range(8):
        write_picture(f"photos/{i}.png", i)
    for line, says in (
        ("export any.safetensors -o net.onnx", "any.safetensors: paints like any painting, so it"),
        ("train style.png --photos photos -o n.safetensors --steps 1 --from any.safetensors",
         "--from any.safetensors: paints like any painting; it has no styles to add to"),
    ):  # fmt: skip
        ran = apply(line)
        assert (ran.status, ran.err.count("\n")) == (2, 1)
        assert says in ran.err
    assert "in order" in done(apply("weights verify any.safetensors")).out


def test_the_frame_of_a_painting_is_cut_off_and_said(apply):
    framed = np.full((52, 68, 3), 255, np.uint8)
    framed[10:-10, 10:-10] = pixels("style.png")
    line = "apply content.png -o out.png --painting style.png --polish 0 --size 48"
    done(apply(line))
    own = pixels("out.png")
    Image.fromarray(framed).save("style.png")
    ran = done(apply(line))
    assert "; without the frame of style.png, which --no-trim keeps" in ran.out
    np.testing.assert_allclose(pixels("out.png"), own, atol=1)
    assert "frame" not in done(apply(line, no_trim=True)).out
    assert np.abs(pixels("out.png") - own).max() > 5
    trimmed, whole = (read_paintings([Path("style.png")], trim=each) for each in (True, False))
    assert (trimmed[0].shape, whole[0].shape) == ((171, 256, 3), (196, 256, 3))
