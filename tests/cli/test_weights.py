"""`jaxstyle weights`, whose commands have more ways to go wrong than right."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from helpers import network_files
from helpers.command_line import (
    STYLIZE,
    done,
    write_network,
)
from safetensors.numpy import load_file

from jaxstyle.networks import catalogue, download, layouts

pytestmark = pytest.mark.usefixtures("compile_faster")


def test_weights_list(cli, tmp_path):
    out = done(cli("weights list")).out
    names = (*catalogue.FILES, *catalogue.FAST_FILES, *catalogue.DECODER_FILES)
    for name in names:
        assert f"{name}: " in out
    assert "jaxstyle weights fetch vgg19 takes it from\n    https://" in out
    (tmp_path / "cache").mkdir()
    path = write_network(tmp_path / "cache" / "compact.safetensors")
    assert f"here: {path}" in done(cli("weights list")).out
    listed = [json.loads(line) for line in done(cli("weights list --json")).out.splitlines()]
    assert {entry["name"]: entry["path"] for entry in listed} == {
        name: str(path) if name == "compact" else None for name in names
    }


def test_weights_convert_and_verify(cli, refused):
    network_files.write_keras(Path("keras.h5"), network_files.random_params())
    ran = done(cli("weights convert keras.h5 -o plain.safetensors"))
    assert ran.out == (
        "plain.safetensors: custom, layout keras\nuse it with --network plain.safetensors\n"
    )
    network_files.write_canonical(Path("expected.safetensors"), network_files.random_params())
    expected = load_file("expected.safetensors")
    for key, value in load_file("plain.safetensors").items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-5, atol=1e-7)
    Path("photos").mkdir()
    line = "weights convert plain.safetensors -o unit.safetensors --normalize"
    refused(f"{line} photos", "photos: is a folder without pictures")
    refused(f"{line} trace.csv", "trace.csv", "not an image", status=1)
    os.link("content.png", "photos/content.png")
    done(cli(f"{line} photos style.png"))
    refused(
        "weights convert unit.safetensors -o net.safetensors --normalize style.png",
        "unit.safetensors: is normalised already; leave --normalize out",
    )
    report = json.loads(done(cli("weights verify unit.safetensors --json")).out)
    assert (report["normalized"], report["network"], report["layout"]) == (
        True,
        "custom",
        "jaxstyle",
    )
    out = done(cli("weights verify keras.h5")).out
    assert out.startswith("keras.h5: in order\n")
    assert "layout: keras\n" in out
    convert = "weights convert keras.h5 -o"
    refused(f"{convert} net.h5", "net.h5", ".safetensors")
    refused(f"{convert} absent/net.safetensors", "absent", "choose another folder")
    refused(f"{convert} net.safetensors --layout caffe", "keras.h5", "caffe", status=1)
    known = {layout for layout, _ in network_files.WRITERS.values()}
    refused(f"{convert} net.safetensors --layout nosuch", "--layout", *known)
    refused("weights", "ACTION")


def test_weights_convert_says_what_to_do_next(cli, tmp_path, monkeypatch):
    monkeypatch.setitem(
        layouts.NETWORKS, "vgg19", {layer: 4 + i for i, layer in enumerate(network_files.LAYERS)}
    )
    network_files.write_keras(Path("keras.h5"), network_files.random_params())
    cache = tmp_path / "cache"

    def said(output):
        return done(cli(f"weights convert keras.h5 -o {output}")).out.splitlines()[1]

    assert said("my.safetensors") == (
        f"use it with --network my.safetensors; or put it into {cache}, or set "
        f"JAXSTYLE_PARAMS={Path('my.safetensors').absolute()}, and --network auto finds it"
    )
    cache.mkdir()
    there = cache / "mine.safetensors"
    assert said(there) == "--network auto finds it there"
    assert said("b.safetensors") == f"use it with --network b.safetensors; auto takes {there}"
    monkeypatch.setenv("JAXSTYLE_PARAMS", "nowhere")
    assert said("c.safetensors").startswith("use it with --network c.safetensors; or put it into")


def test_weights_fetch_from_nowhere(refused, monkeypatch, tmp_path):
    url = "http://127.0.0.1:9/vgg19.h5"
    monkeypatch.setitem(catalogue.SOURCES, "vgg19", (catalogue.Source(url, "md5:0"),))
    monkeypatch.setattr(download, "_BACKOFF", 0)
    monkeypatch.setattr(download, "cache", lambda: tmp_path / "cache")
    monkeypatch.setenv("NO_PROXY", "*")
    refused("weights fetch vgg19", "vgg19 could not be downloaded", url, "refused", status=1)
    assert os.listdir(tmp_path / "cache") == []
    refused("weights fetch vgg13", "vgg13", "vgg19, vgg19-torchvision, vgg16, vgg16-torchvision")
    refused("weights fetch vgg19 --timeout 0", "--timeout")
    monkeypatch.setitem(catalogue.SOURCES, "vgg19-torchvision", ())
    refused(STYLIZE, "vgg19", url, status=1, network="vgg19")
