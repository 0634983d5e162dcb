"""`jaxstyle texture --method …`, `apply --method …` and `analogy`: pictures made of pieces."""

import json
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from helpers.command_line import done, pixels, write_picture
from PIL import Image

from jaxstyle.image.io import load_image, read_settings
from jaxstyle.pieces import rows
from jaxstyle.pieces.analogies import analogy, analogy_transfer
from jaxstyle.pieces.quilting import quilt_texture, quilt_transfer
from jaxstyle.pieces.voting import patch_texture

pytestmark = pytest.mark.usefixtures("compile_faster")
TEXTURE = "texture style.png -o out.png --method"
APPLY = "apply content.png -o out.png --painting style.png --method"
ANALOGY = "analogy before.png after.png content.png -o out.png"
PLAIN = {"network": None, "steps": None, "style_layers": None, "settings_from": None}


@pytest.fixture
def texture(cli):
    """Runs a texture of pieces, without what the other tests of textures give."""
    return lambda line, **options: cli(f"{TEXTURE} {line}", **{**PLAIN, "size": 24, **options})


@pytest.fixture
def pair(cli):
    """Runs an analogy of a pair of pictures."""
    write_picture("before.png", 5, size=(32, 24))
    write_picture("after.png", 6, size=(32, 24))
    return lambda line="", **options: cli(f"{ANALOGY} {line}", **{"size": 24, **options})


def same(path, image):
    np.testing.assert_allclose(pixels(path), 255 * np.asarray(image), atol=0.51)


def test_the_commands_do_what_the_functions_do(texture, cli):
    style = load_image("style.png", size=24)
    done(texture("quilting --block 6 --seed 3"))
    same("out.png", quilt_texture(style, (16, 24), block=6, key=jax.random.key(3)).image)
    content = load_image("content.png", size=24)
    done(cli(f"{APPLY} quilting --block 6 --fidelity 2 --size 24 --bit-depth 16"))
    made = quilt_transfer(content, style, block=6, fidelity=2.0).image
    np.testing.assert_allclose(load_image("out.png"), made, atol=1e-5)


@pytest.mark.slow
def test_patches_vote(texture, cli):
    done(texture("neighbours --block 5 --output-size 30x20"))
    same("out.png", patch_texture(load_image("style.png", size=24), (20, 30), patch=5))
    done(cli(f"{APPLY} neighbours --size 24 --strength 50 --block 3"))
    assert pixels("out.png").shape == (16, 24, 3)


def test_a_photograph_is_painted_in_strokes_of_a_painting(cli):
    done(cli(f"{APPLY} analogies --size 24 --coherence 0.5"))
    content, style = (load_image(f"{name}.png", size=24) for name in ("content", "style"))
    same("out.png", analogy_transfer(content, style, coherence=0.5).image)


def test_an_analogy_is_made_and_says_how(pair):
    line = "--coherence 0.5 --colors photo"
    assert "without a network" in done(pair(line)).out
    a, b = (load_image(f"{name}.png", size=24) for name in ("before", "after"))
    content = load_image("content.png", size=24)
    same("out.png", analogy(a, b, content, coherence=0.5, colors="photo").image)
    settings = read_settings("out.png")
    assert "network" not in settings
    assert settings["options"]["unfiltered"] == "before.png"
    assert set(settings["sources"]) == {"content", "painting", "other 1"}


def test_show_prints_the_line_that_makes_it_again(pair, cli):
    done(pair("--method ashikhmin --guides before.png,target=content.png,weight=0.5", seed=2))
    first = pixels("out.png")
    *_, line = done(cli("show out.png")).out.splitlines()
    assert line == (
        "jaxstyle analogy before.png after.png content.png -o out.png --guides "
        "before.png,target=content.png,weight=0.5 --method ashikhmin --seed 2 --size 24"
    )
    Path("out.png").unlink()
    done(cli(line.removeprefix("jaxstyle ")))
    np.testing.assert_array_equal(pixels("out.png"), first)


@pytest.mark.slow
def test_guides_decide_where_patches_go(cli):
    sides = np.zeros((24, 24, 3), np.uint8)
    sides[:, 12:] = 255
    Image.fromarray(sides).save("before.png")
    Image.fromarray(sides[:, ::-1]).save("content.png")
    Image.fromarray((sides // 2) + 60).save("after.png")
    done(cli(f"{ANALOGY} --method neighbours --block 5", size=24))
    assert pixels("out.png")[:, :8].mean() > pixels("out.png")[:, -8:].mean() + 80


def test_json_names_no_network(texture):
    facts = json.loads(done(texture("quilting --block 6", json=True)).out)
    assert facts["steps"] == 1
    assert "network" not in facts
    assert "loss" not in facts
    plan = json.loads(done(texture("quilting --block 6", json=True, dry_run=True)).out)
    assert plan["network"] == ""
    assert plan["bytes"] > 16 * 24 * 3 * 4


def test_an_interrupt_is_one_line_and_leaves_no_picture(texture, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(rows, "interrupts", SimpleNamespace(check=interrupt))
    ran = texture("quilting --block 6")
    assert (ran.status, ran.out) == (130, "")
    assert ran.err.strip().endswith("interrupted before the first step; out.png was not written")
    assert len(ran.err.splitlines()) == 1
    assert not Path("out.png").exists()


def test_a_folder_is_painted_and_what_is_there_is_kept(cli):
    Path("folder").mkdir()
    for seed in (3, 4):
        write_picture(f"folder/{seed}.png", seed)
    line = "apply folder -o made --painting style.png --method quilting --block 6 --size 24"
    done(cli(line))
    assert "2 of 2 pictures are there already" in done(cli(line)).out
    assert "made of pieces" in cli("larger made/3.png -o big.png --times 2").err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"{TEXTURE} quilting --style-weight 3",
         "--style-weight is for --method statistics; leave it out with --method quilting"),
        (f"{TEXTURE} quilting --trace t.csv", "--trace is for --method statistics; leave it out"),
        (f"{TEXTURE} neighbours --block 6", "--block 6: patches need an odd side, as 7"),
        (f"{TEXTURE} neighbours --block 9 --output-size 20x8",
         "--block 9: the texture has 20×8 pixels here; give at most 7, or a larger --output-size"),
        (f"{TEXTURE} quilting --block 40 --size 32",
         "--block 40: style.png has 32×21 pixels here; give at most 21, or a larger --size"),
        ("texture style.png -o out.png --block 6", "--block is for --method quilting and neighb"),
        (f"{TEXTURE} knitting", "--method: should be one of statistics, quilting, neighbours"),
        ("apply content.png -o out.png --method quilting", "--method quilting needs --painting"),
        (f"{APPLY} quilting --coherence 2", "--coherence is for --method analogies; leave it out"),
        (f"{APPLY} quick --block 6", "--block is for --method quilting and neighbours; leave it"),
        (f"{APPLY} quilting --mix style.png", "--mix is for --method quick, adain, wct, transp"),
        (f"{APPLY} quilting --levels 3", "--levels is for --method adain, wct, transport and swap"),
        (f"{APPLY} quilting --block 40 --size 48", "--block 40: style.png has 48×32 pixels here"),
        (f"{ANALOGY} --method neighbours --coherence 1",
         "--coherence is for --method analogies; leave it out with --method neighbours"),
        (f"{ANALOGY} --block 5", "--block is for --method neighbours; leave it out with --method"),
        (f"{ANALOGY} --guides before.png", "--guides: should be like a.png,target=b.png"),
        (f"{ANALOGY} --guides style.png,target=content.png",
         "--guides style.png: has 48×32 pixels, and after.png has 32×24; give two pictures of"),
        ("analogy style.png after.png content.png -o out.png",
         "style.png: has 48×32 pixels, and after.png has 32×24; give two pictures of"),
        ("analogy none.png after.png content.png -o out.png", "none.png: no such file"),
        ("analogy before.png after.png -o out.png", "the following arguments are required: B"),
        ("analogy before.png after.png content.png -o after.png", "would overwrite after.png"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_one_line(pair, cli, line, says):
    extra = PLAIN if line.startswith("texture") else {}
    if "--size" in line:
        extra = {**extra, "size": None}
    ran = cli(line, **extra)
    assert ran.status == 2, ran
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not Path("out.png").exists()
