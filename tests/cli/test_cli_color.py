"""`--color`: whose colours a stylised picture has, alone, in grids and in sweeps."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import COMMANDS, STYLIZE, done, pixels, start, write_picture
from PIL import Image

from jaxstyle import color, sweep
from jaxstyle.image.io import load_image, load_picture, read_settings
from jaxstyle.pipeline import sources
from jaxstyle.pipeline.choices import COLORS, MATCHED, PLAIN_COLORS
from jaxstyle.pipeline.job import make_job

pytestmark = pytest.mark.usefixtures("compile_faster")

CHROMA = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def seen(how, size=32):
    """The painting as the optimisation sees it."""
    job = make_job(
        "stylize", Path("content.png"), Path("style.png"), Path(), {"size": size, "color": how}
    )
    return np.asarray(sources.Sources().see(sources.seen_style(Path("style.png"), job)))


def test_each_is_another_picture_and_says_which(cli):
    red, green, blue = np.moveaxis(pixels("style.png").astype(float), -1, 0)
    mixed = np.stack([red, (red + green) / 2, (green + 3 * blue) / 4], -1)  # channels correlate
    Image.fromarray(mixed.astype(np.uint8)).save("style.png")
    made = {}
    for how in COLORS:
        done(cli(STYLIZE, color=how, init="noise"))
        made[how] = pixels("out.png")
        assert read_settings("out.png")["options"]["color"] == how
    done(cli(STYLIZE, init="noise"))
    assert (pixels("out.png") == made["style"]).all()
    assert len({picture.tobytes() for picture in made.values()}) == len(COLORS)


def test_luminance_keeps_the_photographs_chroma(cli):
    content = load_picture("content.png", size=32).image
    done(cli(STYLIZE, color="luminance", init="noise", animate="frames", animate_every=3))
    saved = pixels("out.png") / 255
    moved = np.abs((saved - content) @ CHROMA.T)
    assert (moved <= 0.5 / 255 * np.abs(CHROMA).sum(1) + 1e-6).all()
    assert np.abs((saved - content) @ [0.299, 0.587, 0.114]).mean() > 0.05
    assert (pixels("frames/0001.png") == pixels("out.png")).all()
    first = pixels("frames/0000.png") / 255
    assert np.abs((first - content) @ CHROMA.T).max() < 1.5 / 255


def test_matched_moves_the_photographs_chroma_to_the_paintings_colours(cli):
    """With a mixture to the mean of all, and not where the photograph is kept."""
    content, size = load_picture("content.png", size=32).image, {"size": 32}
    write_picture("other.png", 7)
    paintings = [load_picture(name, **size).image for name in ("style.png", "other.png")]
    done(cli(STYLIZE.replace("out.png", "plain.png"), init="noise", mix="other.png=0.25"))
    Image.fromarray(np.repeat([[255] * 24 + [0] * 24], 32, 0).astype(np.uint8)).save("left.png")
    done(cli(STYLIZE, colors=MATCHED, init="noise", mix="other.png=0.25"))
    plain = load_image("plain.png")
    each = [color.with_matched_chroma(plain, content, painting) for painting in paintings]
    np.testing.assert_allclose(
        pixels("out.png"), 255 * np.asarray(0.75 * each[0] + 0.25 * each[1]), atol=2.5
    )
    done(cli(STYLIZE, colors=MATCHED, init="noise", keep="left.png"))
    kept = pixels("out.png")[:, :12]
    np.testing.assert_allclose(kept, 255 * content[:, : kept.shape[1]], atol=1)


@pytest.mark.usefixtures("cli")
def test_what_the_optimisation_sees():
    """Nothing but luminance, or the painting in the photograph's colours."""
    content = load_picture("content.png", size=32).image.reshape(-1, 3)
    for how in COLORS:
        image = seen(how).reshape(-1, 3)
        assert 0 <= image.min() <= image.max() <= 1
        if how == "luminance":
            assert np.ptp(image, axis=1).max() == 0
            luminance = content @ [0.299, 0.587, 0.114]
            assert image.mean() == pytest.approx(luminance.mean(), abs=5e-3)
        elif how not in ("style", MATCHED):
            np.testing.assert_allclose(image.mean(0), content.mean(0), atol=0.02)


@pytest.mark.parametrize("options", [{}, {"keep": "left.png"}, {"color": "match-pca"}])
def test_a_grey_painting_makes_a_grey_picture(cli, options):
    drawing = np.repeat(pixels("style.png")[..., :1], 3, axis=2)
    Image.fromarray(drawing).save("style.png")
    Image.fromarray(np.repeat([[255] * 24 + [0] * 24], 32, 0).astype(np.uint8)).save("left.png")
    if "color" in options:  # then the photograph gives the colours
        Image.fromarray(np.repeat(pixels("content.png")[..., :1], 3, axis=2)).save("content.png")
    done(cli(STYLIZE, init="noise", **options))
    made = pixels("out.png").astype(int)
    free = made[:, 18:] if "keep" in options else made
    assert np.ptp(free, axis=2).max() == 0
    if "keep" in options:
        kept = 255 * load_picture("content.png", size=32).image[:, :12]
        assert np.abs(made[:, :12] - kept).max() <= 1


def test_the_photographs_colours_stay_beside_a_drawing(cli):
    Image.fromarray(pixels("style.png")[..., 0]).save("style.png")
    done(cli(STYLIZE, color="histogram"))
    assert np.ptp(pixels("out.png").astype(int), axis=2).mean() > 20


@pytest.mark.parametrize(("plain", "how"), PLAIN_COLORS.items())
def test_plain_words_mean_what_they_stand_for(cli, plain, how):
    losses = [start(cli, **each) for each in ({"colors": plain}, {"color": how})]
    assert losses[0] == losses[1]


def test_the_start_has_no_chroma_either(cli):
    plain = {"solver": "lbfgs", "preconditioning": 0}  # without the rounding of two transforms
    assert start(cli, color="luminance", init="content", **plain)["content/relu2_1"] == 0
    for how in COLORS:
        assert start(cli, color=how, init="style")["style/relu1_1"] < 1e-9


@pytest.mark.parametrize("how", ["luminance", "match-symmetric"])
def test_in_a_grid_each_painting_follows_its_photograph(cli, how):
    write_picture("other.png", 3)
    options = {"color": how, "init": "noise", "solver": "adam"}
    done(cli("stylize content.png style.png --content other.png -o made", **options))
    for name in ("content", "other"):
        done(cli(f"stylize {name}.png style.png -o alone.png", **options))
        assert (pixels(f"made/{name}--style.png") == pixels("alone.png")).all()


@pytest.mark.slow
def test_in_a_sweep(cli, network):
    options = {"size": 32, "steps": 2, "network": str(network), "solver": "adam"}
    options |= {"content-layers": "relu2_1", "style-layers": "relu1_1"}
    hows = ["style", "luminance", "histogram"]
    spec = {"content": "content.png", "style": "style.png", "options": options | {"color": hows}}
    assert sweep.run_sweep(spec, "swept", width=3, quiet=True).done == 3
    lines = Path("swept/manifest.jsonl").read_text(encoding="utf-8").splitlines()
    made = {entry["options"]["color"]: entry["file"] for entry in map(json.loads, lines)}
    assert list(made) == hows
    for how, file in made.items():
        done(cli(STYLIZE, color=how, steps=2, solver="adam"))
        difference = pixels("out.png").astype(int) - pixels(f"swept/{file}")
        assert np.abs(difference).max() <= 1


def test_settings_bring_the_colours_back(cli):
    done(cli(STYLIZE, color="luminance"))
    Path("out.png").rename("first.png")
    replay = {"settings_from": "first.png", "size": None, "steps": None}
    done(cli(STYLIZE, **replay))
    assert Path("out.png").read_bytes() == Path("first.png").read_bytes()


def test_colours_that_are_refused(cli):
    for command in ("texture", "reconstruct"):
        ran = cli(f"{COMMANDS[command]} --color luminance")
        assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert "--color" in ran.err
    ran = cli(f"{STYLIZE} --color nosuch")
    assert ran.status == 2
    assert all(how in ran.err for how in (*COLORS, "nosuch"))
