"""What the command line refuses: one line that names the culprit, and no file touched."""

import os
import struct
import zlib
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
    write_network,
)
from PIL import Image
from safetensors.numpy import load_file, save_file

from jaxstyle.cli import main
from jaxstyle.image.io import save_image
from jaxstyle.optimization.presets import PRESETS
from jaxstyle.pipeline import traces
from jaxstyle.solvers import SOLVERS

pytestmark = pytest.mark.usefixtures("compile_faster")

LAYER_NAMES = ("unknown layer", "conv1_1", "relu5_4", "pool5")
INF_AND_SUCH = ("-1", "nan", "inf", "-inf", "1e999", "much")


def bad_picture(kind: str) -> Path:
    path = Path(f"{kind}.png")
    if kind == "directory":
        path.mkdir()
    elif kind == "truncated":
        path.write_bytes(Path("content.png").read_bytes()[:2000])
    elif kind == "bomb":
        header = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + Path("content.png").read_bytes()[33:])
    elif kind != "missing":
        path.write_bytes(b"" if kind == "empty" else b"This is a text, not a picture.\n")
    return path


@pytest.mark.parametrize(
    ("kind", "status", "says"),
    [
        ("missing", 2, "no such file"),
        ("directory", 2, "is a folder"),
        ("empty", 1, "empty"),
        ("text", 1, "not an image"),
        ("truncated", 1, "damaged or incomplete"),
        ("bomb", 1, "3,600.0 million pixels"),
    ],
)
def test_files_that_are_no_pictures(refused, kind, status, says):
    name = str(bad_picture(kind))
    for line in (
        f"stylize {name} style.png -o out.png",
        f"stylize content.png {name} -o out.png",
        f"stylize {name} style.png {name} -o folder",
        f"texture {name} -o out.png",
        f"reconstruct {name} -o out.png",
        f"{STYLIZE} --settings-from {name}",
        f"{STYLIZE} --init {name}",
    ):
        refused(line, name, says, status=status)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1)])
def test_tiny_and_thin_pictures(refused, size):
    Image.new("RGB", size).save("tiny.png")
    for line in (
        "stylize tiny.png style.png -o out.png",
        "stylize content.png tiny.png -o out.png",
        "texture tiny.png -o out.png",
        "reconstruct tiny.png -o out.png",
    ):
        options = {} if "reconstruct" in line else {"style_layers": "relu3_1"}
        refused(line, "tiny.png", "too small for relu", "needs at least", "larger", **options)


def test_sizes_too_small_for_the_layers(refused):
    deep = {"content_layers": "relu1_1", "style_layers": "relu5_1", "padding": "zero"}
    refused(STYLIZE, "content.png", "relu5_1", "16×16", "larger --size", size=15, **deep)
    refused(STYLIZE, "style.png", "relu5_1", "larger --style-size", style_size=15, **deep)
    del deep["content_layers"]
    refused(TEXTURE, "--output-size 40x15", "relu5_1", output_size="40x15", **deep)
    refused(RECONSTRUCT, "content.png", "pool5", "32×32", layer="pool5", padding="zero")
    refused(RECONSTRUCT, "content.png", "conv5_1", "32×32", layer="conv5_1", padding="reflect")


def test_a_trace_overwrites_no_picture(refused):
    Path("old.png").write_bytes(b"finished")
    says = "old.png: the file of a trace should end in .csv"
    refused(STYLIZE, "--trace", says, trace="old.png")
    assert Path("old.png").read_bytes() == b"finished"


def test_unknown_names(refused):
    refused(RECONSTRUCT, "--layer", "relu9_9", *LAYER_NAMES, layer="relu9_9")
    for option in ("--content-layers", "--style-layers"):
        for value in ("relu6_1", "relu1_1,relu6_1=2"):
            refused(f"{STYLIZE} {option} {value}", option, "relu6_1", *LAYER_NAMES)
    refused(f"{STYLIZE} --style-layers=relu1_1=-1", "--style-layers", "at least 0")
    refused(f"{STYLIZE} --style-layers relu1_1,relu1_1=2", "--style-layers", "relu1_1 twice")
    refused(STYLIZE, "--preset", "nosuch", *PRESETS, preset="nosuch")
    refused(STYLIZE, "--solver", "nosuch", *SOLVERS, solver="nosuch")
    refused(STYLIZE, "nosuch", "vgg19", "vgg19-torchvision", "compact", network="nosuch")
    refused(STYLIZE, "--pooling", "max", "average", pooling="nosuch")
    refused(STYLIZE, "--padding", "zero", "reflect", "replicate", padding="nosuch")
    refused(STYLIZE, "--tv", "squared", "l1", tv="nosuch")
    for command, names in (
        (STYLIZE, "content, matched, fast, rearranged, noise, white-noise, style or"),
        (TEXTURE, "noise, white-noise, style or"),
        (RECONSTRUCT, "content, noise, white-noise or"),
    ):
        refused(command, "--init nosuch", names, init="nosuch")
    refused(TEXTURE, "--init content", "use noise, white-noise, style or a picture", init="content")


@pytest.mark.parametrize(
    "option",
    ["content-weight", "style-weight", "tv-weight", "range-weight", "init-noise", "learning-rate"],
)
def test_numbers_out_of_range(refused, option):
    for value in (*INF_AND_SUCH, *(["0"] if option == "learning-rate" else [])):
        expected = "should be a number"
        refused(f"{STYLIZE} --{option}={value}", f"--{option}", expected, f"got {value}")
    if option == "init-noise":  # a standard deviation, of pixels from 0 to 1
        refused(f"{STYLIZE} --init-noise 5", "should be a number from 0 to 1, got 5")


@pytest.mark.parametrize(
    "option", ["steps", "size", "style-size", "save-every", "history", "quality", "seed"]
)
def test_whole_numbers_out_of_range(refused, option):
    high = {"quality": "101", "seed": "4294967296"}.get(option, "10" * 10)
    for value in ("-1", "1.5", "nan", "many", high, *(["0"] if option != "seed" else [])):
        expected = "should be a whole number from"
        refused(STYLIZE, f"--{option}", expected, f"got {value}", **{option: value})
    for value in ("0x9", "9", "9x", "-1x9"):
        refused(TEXTURE, "--output-size", "640x480", f"got {value}", output_size=value)


def test_bits_that_a_format_does_not_hold(refused):
    for command in COMMANDS.values():
        refused(f"{command} -o new.jpg", "new.jpg: JPEG holds 8 bits", ".png or .tif", bit_depth=16)
    refused(STYLIZE, "--bit-depth", "8, 16", bit_depth=12)


def test_usage(refused):
    refused("", "COMMAND")
    refused("paint a b", "paint", "stylize", "texture", "reconstruct", "weights")
    refused("stylize content.png", "STYLE", "-o/--output")
    for line, prog in ((STYLIZE, "jaxstyle stylize"), ("weights list", "jaxstyle weights list")):
        refused(f"{line} --nosuch", "unknown argument --nosuch; see", f"see {prog} --help")
    refused("--nosuch weights list", "--nosuch", "see jaxstyle --help")
    refused(f"{TEXTURE} --content-weight 1", "--content-weight")
    refused(f"{STYLIZE} --layer relu1_1", "--layer")
    refused(f"{STYLIZE} --step 9", "--step")  # no abbreviations: a later option could claim them
    refused(STYLIZE, "--history", "--solver", history=5)
    refused(STYLIZE, "--learning-rate", "--solver lbfgs", solver="lbfgs", learning_rate=1)
    refused(STYLIZE, "--history", "--solver adam", solver="adam", history=5)
    refused(STYLIZE, "--preconditioning", "--solver adam", solver="adam", preconditioning=0)
    refused(STYLIZE, "--preconditioning", "-1", solver="lbfgs", preconditioning=-1)
    line = "stylize content.png style.png content.png"
    refused(f"{line} -o out.png", "out.png", "folder")
    refused(f"{line} -o new.png", "new.png", "folder")
    refused(f"{line} -o folder --trace trace.csv", "--trace")
    refused("stylize content.png style.png ./style.png -o folder", "content--style.png", "rename")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"{STYLIZE} --style-wieght 10",
         "unknown argument --style-wieght; did you mean --style-weight? see jaxstyle stylize"),
        ("stylize content.png style.png --ouptut=new.png",
         "unknown argument --ouptut; did you mean --output? see jaxstyle stylize --help"),
        (f"{STYLIZE} --step 9 --nosuch --colour=style",
         "unknown arguments --step --nosuch --colour; did you mean --steps, --color? see"),
        (f"{TEXTURE} --content-weight 9",  # another command's
         "unknown argument --content-weight; --content-weight is for train, stylize, video; see j"),
        ("--versoin", "unknown argument --versoin; did you mean --version? see jaxstyle --help"),
        ("styleize a b", "unknown command styleize; did you mean stylize? see jaxstyle --help"),
        ("paint a b", "unknown command paint; use demo, stylize, texture, reconstruct, apply, "),
        ("weights fecth", "unknown command weights fecth; did you mean fetch? see jaxstyle weig"),
        ("weights nosuch", "unknown command weights nosuch; use list, fetch, convert, verify; s"),
        ("show a b", "unknown argument b; see jaxstyle show --help"),
    ],
)  # fmt: skip
def test_what_is_unknown_suggests_the_nearest(refused, line, says):
    refused(line, f"jaxstyle: error: {says}")


def test_what_begins_like_an_option_may_be_a_file_or_a_value(cli):
    ran = cli("stylize -o new.png --init=--nosuch -- --content.png style.png")
    assert "--content.png: no such file" in ran.err
    assert main(["stylize", "--not an option", "style.png", "-o", "new.png"]) == 2


def test_the_british_spelling_is_taken_and_not_listed(cli):
    assert "see jaxstyle stylize --help" in cli("stylise content.png").err
    assert "stylise" not in cli("--help").out
    assert done(cli("stylise --help")) == done(cli("stylize --help"))


@pytest.mark.parametrize(
    "argv",
    [
        ["stylize", "", "style.png", "-o", "new.png"],  # which would be the folder at hand
        ["stylize", "content.png", "", "-o", "new.png"],
        ["stylize", "content.png", "style.png", "-o", ""],
        ["stylize", "content.png", "style.png", "-o", "folder", "--content", ""],
        *(
            ["stylize", "content.png", "style.png", "-o", "new.png", f"--{option}", ""]
            for option in ("keep", "init", "network", "fine-style", "mix", "regions", "trace")
        ),
        ["texture", "", "-o", "new.png"],
        ["reconstruct", "", "-o", "new.png"],
        ["sweep", "", "-o", "new"],
        ["weights", "verify", ""],
        ["weights", "convert", "content.png", "-o", "new.safetensors", "--normalize", ""],
    ],
)
def test_empty_names(cli, capsys, argv):
    before = sorted(os.listdir())
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert "should not be empty" in err
    assert err.count("\n") == 1
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("option", ["--output", "--trace"])
def test_outputs_that_cannot_be_written(refused, option):
    Path("directory.png").mkdir()
    os.mkfifo("pipe.png")
    names = {
        "absent/new.png": "create it, or choose another folder",
        "out.png/new.png": "choose another folder",
        "/proc/new.png": "choose another folder",
        "directory.png": "is a folder",
        "pipe.png": "not a file",
    }
    for name, remedy in names.items():
        for line in (STYLIZE, TEXTURE, RECONSTRUCT):
            if (line, option, name) != (STYLIZE, "--output", "directory.png"):  # goes into it
                said = f"--trace {name}: " if option == "--trace" else name
                refused(f"{line} {option} {name}", said, remedy)
    for folder in ("absent/folder", "out.png/folder", "/proc/folder"):
        refused(f"stylize content.png style.png content.png -o {folder}", folder)


@pytest.mark.parametrize("name", ["new", "new.gif", "new.bmp", "new.png.txt", "new."])
def test_unknown_extensions(refused, name):
    for command in COMMANDS.values():
        refused(f"{command} -o {name}", name, ".png, .jpg, .jpeg, .webp, .tif, .tiff")


def test_network_files_that_do_not_fit(refused, network):
    good, arrays = network.read_bytes(), load_file(network)
    Path("truncated.safetensors").write_bytes(good[: len(good) // 2])
    Path("empty.safetensors").write_bytes(b"")
    Path("text.safetensors").write_text("This is no network.", encoding="utf-8")
    gone = ("conv1_2.bias", "conv4_3.kernel", "conv5_4.bias")
    save_file({k: v for k, v in arrays.items() if k not in gone}, "incomplete.safetensors")
    save_file({"fc.weight": np.ones((2, 2), np.float32)}, "another.safetensors")
    save_file(arrays | {"conv3_1.bias": np.full(8, np.nan, np.float32)}, "nan.safetensors")
    for name, *says in (
        ("truncated.safetensors", "truncated"),
        ("empty.safetensors", "empty"),
        ("text.safetensors",),
        ("content.png",),
        ("incomplete.safetensors", "missing", *gone),
        ("another.safetensors", "missing", "features.0.weight", "features.34.bias"),
        ("nan.safetensors", "conv3_1.bias"),
    ):
        refused(STYLIZE, name, *says, status=1, network=name)
        refused(f"weights verify {name}", name, *says, status=1)
        refused(f"weights convert {name} -o net.safetensors", name, *says, status=1)
    for name in ("absent.safetensors", "./folder"):
        refused(STYLIZE, name.removeprefix("./"), network=name)
        refused(f"weights verify {name}", name.removeprefix("./"))
    Path("folder").mkdir()
    refused(STYLIZE, "folder: this is a folder", network="./folder")


def test_layers_that_the_network_lacks(refused):
    path = write_network(Path("vgg16.safetensors"), layers=network_files.VGG16_LAYERS)
    says = [f"--network {path}: unknown layer relu4_4; valid layers: conv1_1, ", "conv5_3, relu5_3"]
    refused(RECONSTRUCT, *says, network=path, layer="relu4_4")
    refused(STYLIZE, *says, network=path, style_layers="relu4_4", content_layers="relu1_1")
    preset = {"preset": "d2l", "style_layers": "relu1_1", "content_layers": None}
    refused(STYLIZE, *says, network=path, **preset)


def test_networks_that_are_not_there(refused, monkeypatch):
    refused(STYLIZE, "vgg19", "jaxstyle weights fetch vgg19", network=None, no_download=True)
    monkeypatch.setenv("JAXSTYLE_PARAMS", "nowhere")
    for line in (STYLIZE, "weights list"):
        refused(line, "JAXSTYLE_PARAMS=nowhere", "unset it", network=None)


def test_words_in_a_name_are_no_lack_of_memory(refused):
    refused("stylize content.png 'out-of-memory.png' -o out.png".replace("'", ""), "no such file")
    refused("stylize RESOURCE_EXHAUSTED.png style.png -o out.png", "no such file")


def test_missing_masks_are_found_before_a_network_is_wanted(refused):
    for options in ({"keep": "lost.png"}, {"regions": "lost.png;rest"}):
        says = f"--{next(iter(options))} lost.png: no such file"
        refused(STYLIZE, says, network=None, no_download=True, **options)
        refused(STYLIZE, says, dry_run=True, **options)


def test_what_is_wrong_with_a_file_names_the_option_that_named_it(refused):
    Path("text.png").write_text("This is a text, not a picture.", encoding="utf-8")
    Image.new("RGB", (1, 1)).save("tiny.png")
    for option, value in (
        ("keep", "{}"),
        ("regions", "{};rest"),
        ("regions", "rest;style.png,style={}"),
        ("regions", "rest;style.png,style-mask={}"),
        ("mix", "{}=0.5"),
        ("fine_style", "{}"),
        ("init", "{}"),
    ):
        name = option.replace("_", "-")
        given = {option: value.format("text.png")}
        refused(STYLIZE, f"--{name} text.png: not an image", status=1, **given)
        given = {option: value.format("lost.png")}
        refused(STYLIZE, f"error: --{name} lost.png: no such file", **given)
        if value in ("{}=0.5", "rest;style.png,style={}"):
            given = {option: value.format("tiny.png")}
            refused(STYLIZE, f"--{name} tiny.png: an image of 1×1 pixels is too small", **given)
    refused(STYLIZE, "error: style.png: ", "use a larger --style-size", style_size=1)
    refused(STYLIZE, "error: style.png: ", "use a larger --style-scale", style_scale=0.01)
    refused(STYLIZE, "error: content.png: ", "use a larger --size", size=1, style_size=32)


@pytest.mark.parametrize("option", ["output", "trace", "animate", "keep", "init", "network", "mix"])
def test_a_name_that_is_too_long_is_one_line(refused, option):
    for name in ("n" * 300 + ".png", f"{'n' * 300}/a.png"):
        value = {"mix": f"{name}=0.5", "animate": f"{name}.gif"}.get(option, name)
        refused(STYLIZE, name, **{option: value})


def test_a_name_that_becomes_too_long_is_found_at_once(refused):
    name = "n" * 250 + ".png"
    os.link("content.png", name)
    refused(f"stylize {name} style.png content.png -o folder", "--style.png: this name is too long")
    name += "x" * 50
    for line in (f"stylize {name} style.png -o out.png", f"sweep {name} -o folder"):
        refused(line, name)


def test_settings_that_cannot_be_used(refused, cli):
    refused(STYLIZE, "content.png", "no jaxstyle settings", status=1, settings_from="content.png")
    done(cli("texture style.png -o texture.png"))
    refused(STYLIZE, "texture.png", "jaxstyle texture", settings_from="texture.png")
    done(cli(STYLIZE.replace("out.png", "first.png")))
    line = "stylize content.png style.png -o new.png"  # which names no network
    says = "first.png: its settings name a file; to allow that, type --network "
    refused(line, says, settings_from="first.png", network=None)
    for options, says in (
        (["a list"], "options"),
        (None, "options"),
        ({"preset": "of-the-future"}, "of-the-future"),
        ({"invented-later": "1"}, "invented-later"),
        ({"steps": "-5"}, "steps"),
        # A picture from elsewhere must not say which files to write.
        ({"trace": "stolen.csv"}, "trace"),
        ({"trace=stolen.csv;": ""}, "trace=stolen.csv;"),
        ({"output": "stolen.png"}, "output"),
        ({"settings-from": "content.png"}, "settings-from"),
    ):
        settings = {"command": "stylize", "options": options}
        save_image("odd.png", np.zeros((32, 48, 3)), settings=settings)
        refused(STYLIZE, "odd.png", says, status=1, settings_from="odd.png")


def test_traces_that_cannot_be_drawn(refused, monkeypatch):
    refused("plot trace.csv -o curves.gif", "curves.gif: curves are written as .png, .svg, .pdf")
    monkeypatch.setattr(traces, "can_draw", lambda: False)
    refused("plot trace.csv -o curves.png", "needs matplotlib; pip install 'jaxstyle[plot]'")
    monkeypatch.setattr(traces, "can_draw", lambda: True)
    refused("plot trace.csv -o curves.png", "trace.csv: no loss terms of every step", status=1)
    refused("plot lost.csv -o curves.png", "lost.csv: no such file")
    os.link("content.png", "curves.png")
    refused("plot content.png -o curves.png", "--output curves.png: would overwrite content.png")
