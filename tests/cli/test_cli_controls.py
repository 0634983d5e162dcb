"""The command line's controls: mixtures, regions, what is kept, scales, statistics."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import STYLIZE, done, pixels, rows, start, write_picture
from PIL import Image

from jaxstyle.cli import main
from jaxstyle.cli.parser import build_parser
from jaxstyle.image.io import load_image, read_settings
from jaxstyle.losses.guides import spot
from jaxstyle.optimization.presets import get_preset
from jaxstyle.optimization.strength import find_strength
from jaxstyle.pipeline.job import Batch, group, make_job
from jaxstyle.pipeline.options import check_options
from jaxstyle.pipeline.run import run_batch
from jaxstyle.pipeline.studio import Studio

pytestmark = pytest.mark.usefixtures("compile_faster")


@pytest.fixture(autouse=True)
def _pictures(cli):
    """Another painting, and masks for the left and the right half."""
    write_picture("paint.png", 4)
    left = np.zeros((32, 48), np.uint8)
    left[:, :24] = 255
    Image.fromarray(left).save("left.png")
    Image.fromarray(255 - left).save("right.png")
    Image.fromarray(np.zeros_like(left)).save("black.png")


def style_loss(cli, line=STYLIZE, **options):
    return start(cli, line, **options)["style/relu1_1"]


def test_a_mixture_lies_between_its_paintings(cli):
    own, other = style_loss(cli), style_loss(cli, STYLIZE.replace("style.png", "paint.png"))
    losses = [style_loss(cli, mix=f"paint.png={share}") for share in (0, 0.5, 1)]
    np.testing.assert_allclose(losses, [own, (own + other) / 2, other], rtol=1e-4)
    assert style_loss(cli, mix="paint.png=1", mix_by="targets") == pytest.approx(other, rel=1e-5)


def test_paintings_are_mixed_by_an_option_each(capsys):
    line = ["stylize", "a.jpg", "b.jpg", "-o", "c.jpg", "--mix", "d;e.jpg=0.3", "--mix=f.jpg"]
    mix = vars(build_parser().parse_args(line))["mix"]
    assert dict(mix) == pytest.approx({None: 0.35, "d;e.jpg": 0.3, "f.jpg": 0.35})
    assert main([*line, "--mix", "g.jpg=0.8"]) == 2
    says = "--mix: should have shares that sum to at most 1, got 1.1; see jaxstyle stylize --help"
    assert capsys.readouterr().err == f"jaxstyle: error: {says}\n"
    applied = ["apply", "a.jpg", "-o", "c.jpg", "--painting", "b.jpg", *line[5:]]
    assert vars(build_parser().parse_args(applied))["mix"] == mix


@pytest.mark.slow
def test_fine_scales_come_from_another_painting(cli):
    layers = {"style_layers": "relu1_1,relu3_1", "content_layers": "relu2_1"}
    own = start(cli, **layers)
    other = start(cli, STYLIZE.replace("style.png", "paint.png"), **layers)
    mixed = start(cli, fine_style="paint.png", **layers)
    assert mixed["style/relu1_1"] == pytest.approx(other["style/relu1_1"], rel=1e-5)
    assert mixed["style/relu3_1"] == pytest.approx(own["style/relu3_1"], rel=1e-5)


def test_regions_take_their_own_paintings(cli):
    by_halves = style_loss(cli, regions="left.png,style=paint.png;rest")
    # What is left is the same as its mask.
    named = style_loss(cli, regions="left.png,style=paint.png;right.png")
    assert named == pytest.approx(by_halves, rel=1e-5)
    one = style_loss(cli, regions="left.png;right.png,weight=3,style-mask=left.png", guides="all")
    assert one != pytest.approx(by_halves, rel=1e-2)


def test_points_are_regions_around_them(cli):
    for name, place in (("here.png", (0.2, 0.6)), ("there.png", (0.8, 0.5))):
        mask = np.round(255 * np.asarray(spot((32, 48), place))).astype(np.uint8)
        Image.fromarray(mask).save(name)
    by_mask = style_loss(cli, regions="here.png,style-mask=there.png;rest")
    assert style_loss(cli, point="0.2,0.6=0.8,0.5") == pytest.approx(by_mask, rel=1e-2)
    assert style_loss(cli) != pytest.approx(by_mask, rel=3e-2)
    assert read_settings("out.png")["options"].get("point") is None
    several = style_loss(cli, point="0.2,0.6=0.8,0.5;1,0=0,1", keep="left.png")
    assert several != pytest.approx(by_mask, rel=3e-2)
    assert read_settings("out.png")["options"]["point"] == "0.2,0.6=0.8,0.5;1,0=0,1"


@pytest.mark.parametrize("line", ["--point -0.1,0.5=0.2,0.3", "--point=-0.1,0.5=0.2,0.3"])
def test_a_point_outside_the_photograph_is_refused_for_what_it_is(cli, line):
    ran = cli(f"{STYLIZE} {line}")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "from 0 to 1; got '-0.1,0.5=0.2,0.3'" in ran.err


def test_what_is_kept_is_the_photograph(cli):
    done(cli(STYLIZE, keep="left.png", init="noise"))
    difference = np.abs(255 * load_image("content.png", size=32) - pixels("out.png"))
    assert difference[:, :12].max() <= 1
    assert difference[:, 20:].mean() > 1  # rounding alone would be a quarter


def test_only_is_the_inverse_of_keep(cli):
    assert style_loss(cli, only="right.png") == style_loss(cli, keep="left.png")


def test_a_style_sees_only_what_is_free(cli):
    own = style_loss(cli, keep="left.png")
    photograph = pixels("content.png").copy()
    photograph[:, :16] = 255 - photograph[:, :16]  # as far as the layer sees from what is free
    Image.fromarray(photograph).save("content.png")
    assert style_loss(cli, keep="left.png") == pytest.approx(own, rel=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"regions": "left.png,style=paint.png;rest"}, {"mix": "paint.png=0.5"},
        {"mix": "paint.png=0.5", "mix_by": "targets"}, {"fine_style": "paint.png"},
        {"calm": 0.5, "protect": "left.png"},
    ],
)  # fmt: skip
def test_what_is_kept_stays_beside_other_controls(cli, options):
    done(cli(STYLIZE, keep="right.png", init="noise", **options))
    difference = np.abs(255 * load_image("content.png", size=32) - pixels("out.png"))
    assert difference[:, 20:].max() <= 1
    assert difference[:, :12].mean() > 1


@pytest.mark.slow
def test_protection_adds_content_at_finer_layers(cli):
    trace = start(cli, protect="left.png", init="noise", content_layers="relu3_1",
                  style_layers="relu1_1")  # fmt: skip
    assert trace["content/relu2_1"] > 0


def test_faces_need_their_extra(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    ran = cli(STYLIZE, protect="faces")
    assert (ran.status, ran.out) == (2, "")
    assert (
        ran.err == "jaxstyle: error: --protect faces needs OpenCV; pip install 'jaxstyle[faces]'\n"
    )


def test_smooth_multiplies_the_smoothing_of_the_recipe(cli):
    options = {"init": "noise", "preset": "compact"}
    plain, double, none = (start(cli, smooth=each, **options) for each in (1, 2, 0))
    assert double["total_variation"] == pytest.approx(2 * plain["total_variation"], rel=1e-5)
    assert (plain["total_variation"] > 0, none["total_variation"]) == (True, 0)
    assert start(cli, tv_weight=40, **options) == plain
    assert start(cli, smooth=3, init="noise") == start(cli, tv_weight=4000, init="noise")
    ran = cli(STYLIZE, smooth=2, preset="gatys-notebook")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "smoothing of the recipe, and gatys-notebook has none; use --tv-weight" in ran.err


def test_strength_weakens_the_style_or_fades_the_start(cli):
    options = {"init": "style", "preset": "compact"}
    plain = start(cli, **options)
    for strength in (5, 30):
        multiple, fade = find_strength(get_preset("compact").strengths, strength)
        assert fade == 0
        terms = start(cli, strength=strength, **options)
        for name, value in plain.items():
            factor = multiple if name.startswith(("style/", "total_variation")) else 1
            if name not in ("loss", "evaluations"):
                assert terms[name] == pytest.approx(factor * value, rel=1e-5)
    assert start(cli, strength=100, preset="compact") == start(cli, init="noise", preset="compact")
    picture = {"init": "paint.png", "preset": "compact"}
    assert start(cli, strength=100, **picture) == start(cli, **picture)
    # A multiple of 10**-3.05 of the style, and 16000 √m (1 - √m)² of smoothing.
    for smooth, weight in ((None, 449.567), (3, 3 * 449.567), (0, 0)):
        given = {} if smooth is None else {"smooth": smooth}
        smoothed = start(cli, init="noise", strength=30, **given)
        expected = start(cli, init="noise", strength=30, tv_weight=weight)
        assert smoothed == pytest.approx(expected, rel=1e-4)
    # Before the network is looked for, which may be a download.
    ran = cli(STYLIZE, strength=50, preset="gatys2016", network="missing.npz")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "measured for the recipes default, compact and not for gatys2016; use --style" in ran.err


def test_without_strength_the_photograph_stays(cli):
    ran = done(cli(STYLIZE, strength=0, preset="compact"))
    assert ran.out.endswith("; strength 0 is the photograph\n")
    photograph = load_image("content.png", 32)
    assert np.abs(np.asarray(load_image("out.png")) - photograph).max() <= 0.5 / 255 + 1e-6


def test_strokes_scale_the_painting(cli):
    assert style_loss(cli, strokes=0.5) == style_loss(cli, style_scale=0.5)


def test_a_frame_is_cut_off_and_said(cli):
    picture = np.full((52, 68, 3), 255, np.uint8)
    picture[10:-10, 10:-10] = pixels("style.png")
    own = style_loss(cli)
    Image.fromarray(picture).save("style.png")
    ran = done(cli(STYLIZE))
    assert "; without the frame of style.png, which --no-trim keeps" in ran.out
    assert style_loss(cli) == pytest.approx(own, rel=1e-5)
    ran = done(cli(STYLIZE + " --json", no_trim=True))
    assert "trimmed" not in json.loads(ran.out)
    assert style_loss(cli, no_trim=True) != pytest.approx(own, rel=1e-2)


def test_a_size_of_the_painting_relative_to_the_photograph(cli):
    assert style_loss(cli, style_scale=0.5) == pytest.approx(style_loss(cli, style_size=16))


@pytest.mark.parametrize("statistic", ["covariance", "moments", "histogram"])
def test_statistics(cli, statistic):
    ran = done(cli(STYLIZE + " --json", statistic=statistic))
    summary = json.loads(ran.out)
    assert summary["options"]["statistic"] == statistic
    assert summary["terms"]["style/relu1_1"] > 0


def test_one_scale_equals_the_plain_run(cli):
    done(cli(STYLIZE))
    done(cli(STYLIZE.replace("out", "scaled"), size=None, scales="32"))
    assert (pixels("out.png") == pixels("scaled.png")).all()


@pytest.mark.slow
def test_scales_from_coarse_to_fine(cli):
    ran = done(
        cli(STYLIZE + " --json", size=None, steps=None, scales="16,24,32", scale_steps="3,2,1",
            trace="trace.csv", save_every=4)
    )  # fmt: skip
    summary = json.loads(ran.out)
    assert (summary["steps"], summary["width"], summary["height"]) == (6, 32, 21)
    assert [row["step"] for row in rows()] == list(range(7))
    assert pixels("out-000004.png").shape == pixels("out.png").shape == (21, 32, 3)
    # Each size begins with the enlarged picture before, so the settings make it again.
    done(
        cli(STYLIZE.replace("out.png", "again.png"), settings_from="out.png", size=None, steps=None)
    )
    assert (pixels("again.png") == pixels("out.png")).all()
    assert "steps" not in read_settings("out.png")["options"]


@pytest.mark.slow
def test_scales_of_textures_and_reconstructions_and_with_controls(cli):
    done(cli("texture style.png -o t.png", size=None, scales="16,32", output_size="40x24"))
    assert pixels("t.png").shape == (24, 40, 3)
    done(cli("reconstruct content.png -o r.png", size=None, scales="16,32"))
    assert pixels("r.png").shape == (21, 32, 3)
    done(cli(STYLIZE, size=None, scales="24,32", regions="left.png,style=paint.png;rest",
             keep="right.png", init="noise"))  # fmt: skip


@pytest.mark.usefixtures("cli")
def test_who_diverges_at_one_scale_has_no_part_in_the_next(network):
    options = {
        "network": str(network), "scales": "16,32", "scale-steps": "3,3",
        "content-layers": "relu2_1", "style-layers": "relu1_1", "solver": "gradient-descent",
    }  # fmt: skip
    files = Path("content.png"), Path("style.png"), Path("out.png")
    jobs = [
        make_job("stylize", *files, check_options("stylize", options | {"learning-rate": rate}))
        for rate in (1e30, 1e-6)
    ]
    studio = Studio(jobs)
    ((program, members),) = group(studio.shape, jobs).items()
    tracks = [each.track for each in run_batch(studio, Batch(program, members, 2), lambda _: [])]
    assert [track.finite for track in tracks] == [False, True]
    assert [track.step for track in tracks] == [3, 6]


@pytest.mark.slow
def test_controls_ride_in_grids_and_sweeps(cli, network):
    done(cli("stylize content.png style.png paint.png -o grid", mix="paint.png=0.5", width=2))
    done(cli(STYLIZE, mix="paint.png=0.5"))
    alone, lane = pixels("out.png").astype(int), pixels("grid/content--style.png")
    assert np.abs(alone - lane).max() <= 1
    Path("folder").mkdir()
    Path("folder/sweep.toml").write_text(
        'content = "../content.png"\nstyle = "../style.png"\n[options]\n'
        f'network = "{network}"\nsize = 32\nsteps = 2\ncontent-layers = "relu2_1"\n'
        'style-layers = "relu1_1"\nmix = ["../paint.png=0", "../paint.png=0.5"]\n'
        'keep = "../left.png"\n',
        encoding="utf-8",
    )
    done(cli("sweep folder/sweep.toml -o swept"))
    jobs = [
        json.loads(line)
        for line in Path("swept/manifest.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert len(jobs) == 2
    assert len({job["loss"] for job in jobs}) == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"mix": "paint.png=2"},
            r"--mix: should be like wave.jpg=0.5, .*, got 'paint.png=2'; see ",
        ),
        ({"mix": "paint.png=0.7;style.png=0.7"}, "--mix: should have shares that sum to at most 1"),
        ({"mix": "lost.png=0.5"}, "lost.png"),
        ({"mix": "paint.png=0.5", "fine_style": "paint.png"}, "--mix and --fine-style exclude"),
        ({"mix_by": "targets"}, "--mix-by needs --mix beside it"),
        ({"mix": "paint.png=0.5", "mix_by": "targets", "statistic": "wasserstein"}, "use losses"),
        ({"guides": "inside"}, "--guides needs --regions beside it"),
        ({"regions": "left.png,colour=red"}, "--regions: takes style=FILE, style-mask=FILE and"),
        ({"regions": "rest"}, "--regions: names only the rest"),
        ({"regions": "rest;rest"}, "--regions: names the rest twice"),
        ({"regions": "left.png,weight=0"}, "weight greater than 0, got 0"),
        ({"regions": "black.png;rest"}, "region black.png is empty at relu1_1; its mask is black"),
        ({"regions": "lost.png;rest"}, "lost.png"),
        ({"keep": "lost.png"}, "lost.png"),
        ({"point": "0.2,0.3=0.5"}, "--point: should be like 0.5,0.3=0.8,0.2: across and down in"),
        ({"point": "0.2,0.3=0.5,0.6", "mix": "paint.png"}, "--mix and --point exclude each other"),
        ({"colors": "matched", "regions": "left.png;rest"}, "--colors matched moves all colours"),
        ({"keep": "left.png", "only": "left.png"}, "--keep and --only exclude each other"),
        ({"only": "black.png"}, "--only black.png: the mask is black everywhere, so nothing is"),
        ({"calm": 2}, "--calm: should be a number from 0 to 1"),
        ({"strokes": 5}, "--strokes: should be a number from 0.5 to 4"),
        ({"scales": "32,16", "size": None}, "--scales: should be numbers that rise, got 32, 16"),
        ({"scales": "16,32", "size": 48}, "--size 48 and --scales that end at 32 contradict"),
        ({"scale_steps": "3"}, "--scale-steps needs --scales beside it"),
        ({"scales": "16,32", "size": None, "steps": None, "scale_steps": "3"}, "2 scales need as"),
        ({"scales": "16,32", "size": None, "scale_steps": "3,2"}, "--steps and --scale-steps excl"),
        ({"style_size": 16, "style_scale": 2}, "--style-size and --style-scale exclude"),
        ({"statistic": "mean"}, "--statistic: should be one of gram, covariance"),
    ],
)
def test_wrong_controls_are_one_line(cli, options, says):
    ran = cli(STYLIZE, **options)
    assert ran.status in (1, 2)
    assert ran.err.count("\n") == 1
    assert re.search(says, ran.err)
    assert not Path("out.png").exists()
