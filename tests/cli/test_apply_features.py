"""`jaxstyle apply --method adain | wct | transport | swap`: features made after a painting's."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.command_line import done, pixels, write_picture
from PIL import Image

from jaxstyle import samples
from jaxstyle.feedforward.decoder_files import Decoder, load_decoder, save_decoder
from jaxstyle.feedforward.decoding import (
    LEVELS,
    decode,
    encode,
    init_decoder,
    measure_levels,
    transfer,
)
from jaxstyle.image.io import load_image, read_settings
from jaxstyle.networks.catalogue import find_fast_network
from jaxstyle.networks.load import load_params
from jaxstyle.networks.save import write_tensors
from jaxstyle.pipeline.options import check_options
from jaxstyle.pipeline.recipe import make_recipe

pytestmark = pytest.mark.usefixtures("compile_faster")
LINE = "apply content.png -o out.png --painting style.png --decoder decoder.safetensors"


@pytest.fixture
def apply(with_shipped):
    params = init_decoder(jax.random.key(0), load_params("compact"))
    save_decoder("decoder.safetensors", Decoder(params), dtype="float32")
    write_picture("other.png", 5)
    return with_shipped


def painted(paintings, weights=None, **options):
    """What the function makes of `content.png`."""
    compact = load_params("compact")
    decoder = load_decoder("decoder.safetensors", compact)
    image = load_image("content.png")
    known = [
        measure_levels(
            compact,
            load_image(each, size=max(image.shape[:2])),
            options["levels"],
            options["transform"],
        )
        for each in paintings
    ]
    stacked = jax.tree.map(lambda *rows: jnp.stack(rows), *known)
    result = transfer(decoder.params, compact, image, stacked, weights, **options)
    return 255 * np.clip(np.asarray(result), 0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["adain", "wct", "swap"])
def test_the_command_does_what_the_function_does(apply, method):
    done(apply(LINE, method=method, levels="3=0.5,2"))
    expected = painted(["style.png"], levels=(3, 2), transform=method, strength=(0.5, 1))
    np.testing.assert_allclose(pixels("out.png"), expected, atol=1.01)
    settings = read_settings("out.png")
    assert set(settings["sources"]) == {"content", "painting", "network"}
    assert settings["options"]["levels"] == "3=0.5,2=1"


def test_a_picture_that_is_there_is_made_again_with_another_decoder(apply):
    line = f"{LINE.replace('content.png -o out.png', 'folder -o made')} --method adain --levels 2"
    Path("folder").mkdir()
    write_picture("folder/a.png", 3)
    done(apply(line))
    assert "1 of 1 pictures are there already" in done(apply(line)).out
    first = pixels("made/a.png")
    params = init_decoder(jax.random.key(9), load_params("compact"))
    save_decoder("decoder.safetensors", Decoder(params), dtype="float32")
    done(apply(line))
    assert np.abs(pixels("made/a.png") - first).max() > 5


@pytest.mark.slow
def test_paintings_are_mixed_have_regions_and_are_polished(apply):
    done(apply(LINE, method="transport", levels="2", mix="other.png=0.25"))
    weights = jnp.array([0.75, 0.25])
    options = {"levels": (2,), "transform": "transport"}
    expected = painted(["style.png", "other.png"], weights, **options)
    np.testing.assert_allclose(pixels("out.png"), expected, atol=1.01)
    plain = pixels("out.png")
    top = np.zeros((32, 48), np.uint8)
    top[:16] = 255
    Image.fromarray(top).save("top.png")
    done(apply(LINE, method="transport", levels="2", regions="top.png,style=other.png;rest"))
    weights = jnp.stack([top / 255, 1 - top / 255], -1)
    expected = painted(["other.png", "style.png"], weights, **options)
    np.testing.assert_allclose(pixels("out.png"), expected, atol=1.01)
    done(apply(LINE, method="transport", levels="2", mix="other.png=0.25", polish="2"))
    assert np.abs(pixels("out.png") - plain).max() > 5


@pytest.mark.slow
@pytest.mark.parametrize("size", [(5, 7), (70, 45), (90, 131)])
def test_any_size_is_kept(apply, size):
    write_picture("odd.png", 1, size=size[::-1])
    done(apply(LINE.replace("content", "odd"), method="wct"))
    assert pixels("out.png").shape == (*size, 3)


def test_memory_is_told_before(apply):
    plan = json.loads(done(apply(LINE, method="adain", levels="2", dry_run=True, json=True)).out)
    assert plan["bytes"] > 32 * 48 * 3 * 4
    assert not Path("out.png").exists()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--method adain", "--method adain needs --painting, the painting's file"),
        ("--method wct --painting style.png --decoder none.st", "none.st: no such file"),
        ("--method adain --painting style.png --decoder decoder.safetensors --style night",
         "--style is for networks; leave it out with --method adain"),
        ("--painting style.png --levels 3",
         "--levels is for --method adain, wct, transport and swap"),
        ("--style swirls --decoder decoder.safetensors", "--decoder is for --method adain, wct"),
        ("--method wct --painting style.png --decoder none", "--decoder none: no such file; use "
         "brush or a file"),
        ("--method wct --painting style.png --decoder decoder.safetensors --mix other.png=0.5 "
         "--regions style.png,style=other.png;rest", "--mix and --regions exclude each other"),
        ("--method adain --painting style.png --decoder decoder.safetensors --levels 5",
         "--levels: should be a whole number from 1 to 4, got 5"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(apply, line, says):
    ran = apply(f"apply content.png -o out.png {line}")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert says in ran.err


def test_the_frame_of_a_painting_is_cut_off(apply):
    framed = np.full((52, 68, 3), 255, np.uint8)
    framed[10:-10, 10:-10] = pixels("style.png")
    line = LINE.replace("style.png", "framed.png")
    Image.fromarray(framed).save("framed.png")
    whole, trimmed, unframed = (
        done(apply(each, method="adain", levels="1", no_trim=flag)) and pixels("out.png")
        for each, flag in ((line, True), (line, None), (LINE, None))
    )
    np.testing.assert_allclose(trimmed, unframed, atol=1)
    assert np.abs(whole.astype(int) - unframed).max() > 5


def test_a_plan_advises_no_options_that_there_are_not(apply, monkeypatch):
    monkeypatch.setattr("jaxstyle.cli.plan.free_memory", lambda device: 2**10)
    told = done(apply(LINE, method="adain", levels="2", dry_run=True)).out
    assert told.endswith("MiB that are free: make --size smaller\n")


def test_the_decoder_that_ships_gives_a_photograph_back(apply):
    given = check_options("apply", {"method": "wct", "painting": "style.png"})
    path = find_fast_network(make_recipe("apply", given).options["decoder"])
    assert path.name == "brush.safetensors"
    compact = load_params("compact")
    decoder = load_decoder(path, compact)
    image = load_image(samples.LAKE, size=64)
    maps = encode(compact, image, (2,))
    restored = decode(decoder.params, maps[LEVELS[2]], 2)
    assert float(jnp.mean(jnp.abs(restored - image))) < 0.05


def test_a_file_of_another_kind_is_no_decoder(apply):
    write_tensors("net.safetensors", {"kernel": np.zeros(3)}, {})
    kinds = {"style.png": "cannot be read as safetensors", "net.safetensors": "holds no decoder"}
    for file, says in kinds.items():
        ran = apply(LINE.replace("decoder.safetensors", file), method="wct")
        assert (ran.status, ran.err.count("\n")) == (1, 1)
        assert f"--decoder {file}: {says}" in ran.err
