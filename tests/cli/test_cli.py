"""The command line where all is well: in this process, on tiny pictures and networks."""

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import network_files
from helpers.command_line import (
    COMMANDS,
    RECONSTRUCT,
    STYLIZE,
    TEXTURE,
    done,
    pixels,
    rows,
    start,
    write_network,
    write_picture,
)
from PIL import Image

from jaxstyle import samples
from jaxstyle.image.io import load_picture, read_settings
from jaxstyle.networks import bands, catalogue, layouts, load
from jaxstyle.optimization.presets import PRESETS
from jaxstyle.solvers import SOLVERS

pytestmark = pytest.mark.usefixtures("compile_faster")
KINDS = {"o.png": "PNG", "o.jpg": "JPEG", "o.jpeg": "JPEG", "o.webp": "WEBP", "O.TIF": "TIFF"}
# A line search takes long to compile: every day for one command, with -m slow for all.
LINE_SEARCH = ("lbfgs-zoom", "optax-lbfgs")
RARE = {(c, s): s in LINE_SEARCH and c != "stylize" for c in COMMANDS for s in SOLVERS}
# Each preset compiles three programs: every day for three of them, with -m slow for all.
USUAL = ("default", "compact", "gatys2016")
MADE = [pytest.param(p, marks=() if p in USUAL else pytest.mark.slow) for p in PRESETS]
SOLVED = [pytest.param(*pair, marks=pytest.mark.slow if RARE[pair] else ()) for pair in RARE]


@pytest.mark.slow
def test_a_network_of_no_known_activations_is_normalised_over_the_pictures(cli, network, caplog):
    params, _ = load.read_params(network)
    load.save_params("plain.safetensors", params)
    ran = cli("stylize content.png style.png -o o.png --json", network="plain.safetensors")
    assert (ran.status, ran.err) == (0, "")
    assert json.loads(ran.out)["network"]["normalized_over"] == "2 images"
    (record,) = caplog.records
    says = "plain.safetensors: normalised over the pictures at hand (2); "
    assert record.getMessage().startswith(says)


@pytest.mark.slow
def test_vgg16_by_its_name(cli, monkeypatch, tmp_path):
    (tmp_path / "cache").mkdir()
    path = write_network(tmp_path / "cache/vgg16.safetensors", layers=network_files.VGG16_LAYERS)
    params, _ = load.read_params(path)
    monkeypatch.setitem(layouts.NETWORKS, "vgg16", layouts.widths(params))
    ran = done(cli(STYLIZE + " --json", network="vgg16"))
    assert json.loads(ran.out)["network"]["name"] == "vgg16"
    # In a sweep, a layer that the network lacks spoils its own jobs alone.
    Path("sweep.toml").write_text(
        'content = "content.png"\nstyle = "style.png"\n[options]\nnetwork = "vgg16"\n'
        'size = 32\nsteps = 2\nstyle-layers = ["relu3_4", "relu3_3"]\ncontent-layers = "relu2_1"',
        encoding="utf-8",
    )
    assert cli("sweep sweep.toml -o folder").status == 1
    jobs = map(json.loads, Path("folder/manifest.jsonl").read_text(encoding="utf-8").splitlines())
    assert sorted(str(job["error"])[:39] for job in jobs if "status" in job) == [
        "None",
        "network vgg16: unknown layer relu3_4; v",
    ]


@pytest.mark.slow
def test_default_recipe_on_the_whole_network(cli):
    style_layers = ",".join(PRESETS["default"].spec.style_layers)
    ran = done(cli(STYLIZE, style_layers=style_layers, size=48))
    expected = r"out.png: 48×32 pixels, 3 steps in \d+ s with net, style \d+ % there"
    assert re.fullmatch(expected, ran.out.removesuffix("\n"))
    assert pixels("out.png").shape == (32, 48, 3)
    assert sorted(os.listdir()) == ["content.png", "out.png", "style.png"]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "solver"), SOLVED)
def test_each_solver(cli, command, solver):
    options = {"solver": solver, "init": "noise", "trace": "trace.csv"}
    summary = json.loads(done(cli(COMMANDS[command], **options, json=True)).out)
    assert rows()[-1]["loss"] < rows()[0]["loss"]
    assert summary["evaluations"] >= 4
    assert summary["evaluations"] == 4 or solver in LINE_SEARCH
    assert summary["options"]["solver"] == solver


@pytest.mark.parametrize("preset", MADE)
@pytest.mark.slow
def test_each_preset(cli, preset):
    recipe = PRESETS[preset]
    summary = json.loads(done(cli(STYLIZE, preset=preset, steps=1, json=True)).out)
    assert summary["options"]["preset"] == preset
    assert summary["options"]["init"] == recipe.init
    # One solver for the rest: how a recipe weighs fewer terms is all that is new.
    same = {"preset": preset, "solver": "adam", "pooling": "max", "tv": "squared", "steps": 1}
    for command in (TEXTURE, RECONSTRUCT):
        summary = json.loads(done(cli(command, **same, json=True)).out)
        assert summary["options"]["init"] == "noise"
        assert summary["loss"] > 0


def test_several_styles_into_a_folder(cli):
    write_picture("other.png", 3)
    ran = done(cli("stylize content.png style.png other.png -o made", json=True))
    outputs = [json.loads(line)["output"] for line in ran.out.splitlines()]
    assert outputs == ["made/content--style.png", "made/content--other.png"]
    made = ["contact_sheet.png", "content--other.png", "content--style.png"]
    assert sorted(os.listdir("made")) == made
    done(cli("stylize content.png other.png -o out.png"))
    assert (pixels("out.png") == pixels("made/content--other.png")).all()
    assert (pixels("out.png") != pixels("made/content--style.png")).any()
    Path("a.folder").mkdir()
    done(cli("stylize content.png style.png other.png -o a.folder"))
    assert sorted(os.listdir("a.folder")) == made


@pytest.mark.slow
def test_low_memory_makes_the_same_picture(cli, monkeypatch):
    monkeypatch.setitem(bands._KEPT, "low", 0)  # pictures this small would have no bands
    monkeypatch.setattr(bands, "_BAND", 0)
    shapes = []
    plan = bands.plan_stages
    monkeypatch.setattr(
        bands, "plan_stages", lambda *given: (shapes.append(given[1]), plan(*given))[1]
    )
    done(cli(STYLIZE, memory="plain", size=160))
    plain = pixels("out.png").astype(int)
    assert not shapes
    done(cli(STYLIZE, memory="low", size=160))
    assert shapes
    assert np.abs(pixels("out.png") - plain).max() <= 1


def test_starts(cli):
    plain = {"solver": "lbfgs", "preconditioning": 0}  # without the rounding of two transforms
    assert start(cli, init="content", **plain)["content/relu2_1"] == 0
    assert start(cli, init="content")["content/relu2_1"] < 1e-9
    assert start(cli, init="style")["style/relu1_1"] < 1e-9
    colored, plain_start = start(cli, init="matched"), start(cli, init="content")
    assert 0 < colored["style/relu1_1"] < plain_start["style/relu1_1"]
    assert min(start(cli, init="noise")[x] for x in ("content/relu2_1", "style/relu1_1")) > 0
    by_name, by_file = start(cli, init="style"), start(cli, init="style.png")
    assert by_name == pytest.approx(by_file, rel=1e-3, abs=1e-9)
    assert start(cli, TEXTURE, init="style")["style/relu1_1"] < 1e-9
    assert start(cli, RECONSTRUCT, init="content", **plain)["loss"] == 0


def test_a_run_in_which_no_step_is_better_says_so(cli):
    ran = done(cli(STYLIZE, solver="gradient-descent", learning_rate=10, steps=1))
    assert ran.out.endswith("no step lowered the loss, so this is the start\n")


def test_noise_in_the_start(cli):
    little, much = (start(cli, init_noise=x)["content/relu2_1"] for x in (0.01, 0.1))
    assert 0 < little < much / 9
    assert start(cli, init="noise", init_noise=0)["out_of_range"] == 0
    assert start(cli, init="noise", init_noise=1)["out_of_range"] > 0


def test_seeds(cli):
    made = {}
    for name, seed in (("7", 7), ("7 again", 7), ("8", 8), ("0", 0), ("none", None)):
        done(cli(STYLIZE, init="noise", seed=seed))
        made[name] = pixels("out.png").tobytes()
    assert made["7"] == made["7 again"]
    assert made["0"] == made["none"]
    assert len(set(made.values())) == 3


def test_weights_are_factors_of_the_recipes(cli):
    names = ("content/relu2_1", "style/relu1_1", "style/relu2_1")
    layers = {"content_layers": "relu2_1", "style_layers": "relu1_1,relu2_1", "init": "noise"}
    base = start(cli, **layers)

    def factors(**options):
        new = start(cli, **layers | options)
        return [new[name] / base[name] for name in names]

    assert factors(content_weight=3) == pytest.approx([3, 1, 1])
    assert factors(style_weight=0.5) == pytest.approx([1, 0.5, 0.5])
    assert factors(style_layers="relu1_1=2,relu2_1=0.25") == pytest.approx([1, 2, 0.25])
    both = {"style_layers": "relu1_1=2,relu2_1", "style_weight": 10, "content_layers": "relu2_1=4"}
    assert factors(**both) == pytest.approx([4, 20, 10])
    assert factors(content_weight=0, style_weight=0) == [0, 0, 0]


def test_smoothness_and_range(cli):
    base = start(cli, init="noise")
    assert base["total_variation"] == 0
    one, two = (start(cli, init="noise", tv_weight=w)["total_variation"] for w in (1, 2))
    assert 0 < one == pytest.approx(two / 2)
    assert start(cli, init="noise", tv_weight=1, tv="l1")["total_variation"] > 2 * one
    wild = {"init": "noise", "init_noise": 1}
    assert start(cli, **wild)["out_of_range"] > 0
    assert start(cli, **wild, range_weight=0)["out_of_range"] == 0


@pytest.mark.parametrize("option", ["pooling", "padding"])
def test_the_network_can_be_changed(cli, option):
    values = {"pooling": ("max", "average"), "padding": ("zero", "reflect")}[option]
    one, two = (start(cli, init="noise", **{option: value}) for value in values)
    assert one["content/relu2_1"] != two["content/relu2_1"]


def test_sizes(cli):
    done(cli(TEXTURE, output_size="40x24"))
    assert pixels("out.png").shape == (24, 40, 3)
    same, small = (start(cli, style_size=size)["style/relu1_1"] for size in (32, 16))
    assert same != small
    assert pixels("out.png").shape == (21, 32, 3)


def test_trace(cli):
    ran = done(cli(STYLIZE, trace="trace.csv", tv_weight=1, init_noise=0.5, json=True))
    trace, summary = rows(), json.loads(ran.out)
    terms = ["content/relu2_1", "out_of_range", "style/relu1_1", "total_variation"]
    assert list(trace[0]) == ["step", "evaluations", "loss", *terms]
    assert [row["step"] for row in trace] == [0, 1, 2, 3]
    assert [row["evaluations"] for row in trace] == [1, 2, 3, 4]
    for row in trace:
        assert sum(row[term] for term in terms) == pytest.approx(row["loss"])
        assert all(row[term] > 0 for term in terms[1:])
    assert summary["terms"] == {term: trace[-1][term] for term in terms}
    assert summary["loss"] == trace[-1]["loss"]


def test_snapshots(cli):
    done(cli(STYLIZE, save_every=2, steps=5))
    pictures = {"out-000002.png": 2, "out-000004.png": 4, "out.png": 5}
    assert set(os.listdir()) == {"content.png", "style.png", *pictures}
    assert {name: read_settings(name)["step"] for name in pictures} == pictures
    done(cli("stylize content.png style.png -o two.png", steps=2))
    assert (pixels("two.png") == pixels("out-000002.png")).all()


@pytest.mark.parametrize("command", COMMANDS)
def test_settings_make_the_same_picture_again(cli, command):
    layers = {"content_layers": "relu2_1=1e-3", "style_layers": "relu1_1"}
    special = {
        "stylize": {**layers, "init_noise": 1 / 3},
        "texture": {"output_size": "24x40", "style_weight": 1e-5, "style_size": 20},
        "reconstruct": {"layer": "conv1_2", "padding": "reflect"},
    }[command]
    common = {"seed": 9, "tv_weight": 0.1, "solver": "adam", "learning_rate": 0.1}
    done(cli(COMMANDS[command], **common, **special))
    os.rename("out.png", "first.png")
    replay = {"settings_from": "first.png", "size": None, "steps": None}
    done(cli(COMMANDS[command], **replay))
    assert Path("out.png").read_bytes() == Path("first.png").read_bytes()
    done(cli(COMMANDS[command], **replay | {"seed": 10, "steps": 2}))
    kept = read_settings("out.png")["options"]
    assert [kept[name] for name in ("seed", "steps", "size")] == ["10", "2", "32"]


def test_summary_for_programs(cli, network):
    summary = json.loads(done(cli(STYLIZE, json=True)).out)
    assert (summary["width"], summary["height"], summary["steps"]) == (32, 21, 3)
    assert (summary["command"], summary["output"]) == ("stylize", "out.png")
    assert (summary["content"], summary["style"]) == ("content.png", "style.png")
    assert (summary["finite"], summary["seconds"] > 0) == (True, True)
    names = summary["network"]["name"], summary["options"]["network"]
    assert names == ("net", str(network))
    assert set(summary["versions"]) == {"jax", "jaxopt"}
    assert done(cli(STYLIZE, quiet=True)).out == ""


def test_the_summary_says_how_far_the_picture_is(cli):
    shown = r"out.png: 32×21 pixels, 3 steps in \d+ s with net, style \d+(\.\d)? % there\n"
    assert re.fullmatch(shown, done(cli(STYLIZE)).out)
    assert done(cli(RECONSTRUCT)).out.endswith(" % there, from noise\n")


@pytest.mark.parametrize("name", KINDS)
def test_formats_and_transparency(cli, name):
    write_picture("clear.png", 4, "RGBA")
    expected = np.rint(255 * load_picture("clear.png", size=32).alpha)
    for command in ("stylize clear.png style.png", "reconstruct clear.png"):
        done(cli(f"{command} -o {name}", quality=100))
        with Image.open(name) as image:
            assert (image.format, image.size) == (KINDS[name], (32, 21))
            if KINDS[name] != "JPEG":
                assert (np.asarray(image.getchannel("A")) == expected).all()
        assert read_settings(name)["step"] == 3
    done(cli("texture clear.png -o texture.png"))
    assert pixels("texture.png").shape == (21, 32, 3)


def test_quality(cli):
    lengths, written = [], []
    for quality in (10, 95, None):
        done(cli("stylize content.png style.png -o out.jpg", quality=quality))
        lengths.append(os.path.getsize("out.jpg"))
        written.append(pixels("out.jpg"))
    assert lengths[0] < lengths[1]
    assert np.array_equal(written[1], written[2])


@pytest.mark.parametrize("command", COMMANDS)
def test_sixteen_bits(cli, command):
    done(cli(COMMANDS[command]))
    coarse = 255 * load_picture("out.png").image
    for name in ("fine.png", "fine.tif"):
        done(cli(COMMANDS[command].replace("out.png", name), bit_depth=16))
        fine = 255 * load_picture(name).image
        assert np.abs(fine - coarse).max() < 0.51
        assert np.abs(fine - np.rint(fine)).mean() > 0.1
        assert read_settings(name)["step"] == 3


def test_progress_bar_can_be_silenced(cli, monkeypatch):
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda _: True, raising=False)
    assert re.search(r"3/3, style \d+(\.\d)? %", cli(STYLIZE).err)
    assert done(cli(STYLIZE, quiet=True)).err == ""


@pytest.fixture
def shipped_compact(cli, network):
    """A small network that says it is the compact one, where the package ships that."""
    catalogue.shipped().mkdir()
    path = catalogue.shipped() / "compact.safetensors"
    params, metadata = load.read_params(network)
    load.save_params(path, params, metadata | {"network": "compact"})
    return path


def test_auto_falls_back_on_the_compact_network_and_says_so(cli, network, shipped_compact, caplog):
    ran = done(cli(STYLIZE + " --json", network=None, no_download=True))
    assert json.loads(ran.out)["network"]["name"] == "compact"
    (record,) = caplog.records
    assert record.getMessage().startswith("using the compact network; for the full one, run ")
    assert "\n" not in record.getMessage()
    # With the recipe that suits it, unless another was asked for.
    first = pixels("out.png")
    done(cli(STYLIZE, network="compact", preset="compact"))
    np.testing.assert_array_equal(pixels("out.png"), first)
    # It is known by what the file says, not by what it is called.
    Path("copy.safetensors").write_bytes(shipped_compact.read_bytes())
    done(cli(STYLIZE, network="copy.safetensors"))
    np.testing.assert_array_equal(pixels("out.png"), first)
    Path("compact.safetensors").write_bytes(network.read_bytes())
    done(cli(STYLIZE, network="./compact.safetensors"))
    assert (pixels("out.png") != first).any()
    done(cli(STYLIZE, network="./compact.safetensors", preset="compact"))
    np.testing.assert_array_equal(pixels("out.png"), first)
    done(cli(STYLIZE, network="compact", preset="compact", solver="lbfgs", preconditioning=0))
    assert (pixels("out.png") != first).any()


@pytest.mark.usefixtures("with_shipped")
@pytest.mark.slow
def test_demo_makes_a_picture_and_a_side_by_side(cli):
    ran = done(cli("demo", size=64, steps=2))
    assert "jaxstyle-demo.png: 64×48 pixels, 2 steps" in ran.out
    assert "jaxstyle-demo-side-by-side.png" in ran.out
    assert "jaxstyle stylize photo.jpg painting.jpg -o out.png" in ran.out
    assert pixels("jaxstyle-demo.png").shape == (48, 64, 3)
    beside = pixels("jaxstyle-demo-side-by-side.png")
    assert beside.shape == (48, 4 * 64 + 3 * 8, 3)
    np.testing.assert_array_equal(beside[:, -64:], pixels("jaxstyle-demo.png"))
    fast = pixels("jaxstyle-demo-fast.png")
    assert fast.shape == (48, 64, 3)
    assert np.abs(fast - pixels("jaxstyle-demo.png").astype(float)).mean() < 64
    for name, column in (("lake", 0), ("swirls", 72)):
        sample = load_picture(getattr(samples, name.upper()), size=64).image
        shown = beside[:, column : column + 64] / 255
        assert np.abs(shown - sample).mean() < 0.02
    before = set(os.listdir())
    done(cli("demo --quiet", size=64, steps=2, output="mine.jpg"))
    assert set(os.listdir()) - before == {"mine.jpg", "mine-fast.jpg", "mine-side-by-side.jpg"}
    fast, slow = done(cli("demo --json", size=64, steps=2)).out.splitlines()
    assert (json.loads(fast)["command"], json.loads(slow)["steps"]) == ("apply", 2)


def test_demo_refuses_what_it_cannot_write_before_it_starts(cli):
    ran = cli("demo", output="absent/demo.png")
    assert (ran.status, ran.out) == (2, "")
    assert "absent/demo.png: cannot write in absent" in ran.err
