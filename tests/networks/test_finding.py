"""Where networks are found, and by what they are known."""

import numpy as np
import pytest
from helpers import network_files
from helpers.network_files import assert_same

from jaxstyle.errors import FileFormatError
from jaxstyle.networks import catalogue, layouts, recognition
from jaxstyle.networks.load import (
    find_params,
    load_network,
    load_params,
    network_status,
    save_params,
)

pytestmark = pytest.mark.usefixtures("compile_faster", "places")

KERAS = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"


def test_places_are_searched_in_order(params, places, monkeypatch, tmp_path):
    assert find_params("vgg19") is None
    network_files.write_keras(places.cache / KERAS, params)
    assert find_params("vgg19") == places.cache / KERAS
    save_params(places.cache / "vgg19.safetensors", params)
    assert find_params("vgg19") == places.cache / "vgg19.safetensors"
    network_files.write_matconvnet(places.shipped / "imagenet-vgg-verydeep-19.mat", params)
    assert find_params("vgg19").parent == places.shipped
    network_files.write_keras(places.environment / KERAS, params)
    assert find_params("vgg19") == places.environment / KERAS
    assert_same(load_params("vgg19"), params)
    # A single file stands for "vgg19", whatever its name, and for nothing else.
    network_files.write_keras(tmp_path / "single", params)
    monkeypatch.setenv("JAXSTYLE_PARAMS", str(tmp_path / "single"))
    assert find_params("vgg19") == find_params("vgg19-normalized") == tmp_path / "single"
    assert find_params("compact") is None
    monkeypatch.setenv("JAXSTYLE_PARAMS", "")
    assert find_params("vgg19").parent == places.shipped


def test_a_network_is_found_under_any_name_by_what_it_holds(params, places, vgg16, monkeypatch):
    oxford = {"network": "vgg19", "weights": "oxford"}
    save_params(places.cache / "z.safetensors", params, oxford)
    assert find_params("vgg19") == find_params("vgg19-normalized") == places.cache / "z.safetensors"
    assert load_network("vgg19", download=False).path == places.cache / "z.safetensors"
    network_files.write_keras(places.cache / "b.h5", params)
    network_files.write_caffe(places.cache / "a.caffemodel", params)
    assert find_params("vgg19") == places.cache / "a.caffemodel"  # the first by name
    save_params(places.environment / "unit.safetensors", params, oxford | {"normalized": "true"})
    assert find_params("vgg19") == places.cache / "a.caffemodel"
    assert find_params("vgg19-normalized") == places.environment / "unit.safetensors"
    network_files.write_keras(places.environment / "mine.h5", params)
    assert find_params("vgg19") == places.environment / "mine.h5"
    save_params(places.cache / "vgg19.safetensors", params)  # a known name counts first
    assert find_params("vgg19") == places.cache / "vgg19.safetensors"
    save_params(
        places.cache / "other.safetensors", vgg16, {"network": "vgg16", "weights": "oxford"}
    )
    assert find_params("vgg16") == places.cache / "other.safetensors"
    assert find_params("vgg16-torchvision") is find_params("vgg19-torchvision") is None
    # A single file stands for VGG-19 alone.
    monkeypatch.setenv("JAXSTYLE_PARAMS", str(places.environment / "mine.h5"))
    assert find_params("vgg16") == places.cache / "other.safetensors"


def test_what_its_header_does_not_prove_is_no_network(params, places):
    save_params(places.cache / "a.safetensors", params, {"network": "mine", "weights": "unknown"})
    # Torchvision's names are those of networks trained in Caffe too.
    network_files.write("zip.pth", places.cache / "b.pth", params)
    network_files.write_matconvnet(places.cache / "c.h5", params)
    (places.cache / "d.safetensors").write_text("no network", encoding="utf-8")
    (places.cache / "e.h5").mkdir()
    (places.cache / "f.h5").symlink_to("nowhere.h5")
    network_files.write_keras(places.cache / "g.txt", params)
    wider = network_files.random_params(seed=1)
    wider["conv5_4"] = {"kernel": np.zeros((3, 3, 18, 7)), "bias": np.zeros(7)}
    save_params(places.cache / "h.safetensors", wider, {"network": "vgg19", "weights": "oxford"})
    assert find_params("vgg19") is None
    assert recognition.recognise(places.cache / "h.safetensors") is None


def test_no_value_is_read_to_recognise_a_network(params, places, monkeypatch):
    save_params(places.cache / "a.safetensors", params, {"network": "vgg19", "weights": "oxford"})
    size = (places.cache / "a.safetensors").stat().st_size
    network_files.write_keras(places.cache / "b.h5", params)
    monkeypatch.setattr(np, "asarray", None)
    assert recognition.recognise(places.cache / "a.safetensors") == ("vgg19", "oxford", False)
    assert recognition.recognise(places.cache / "b.h5") == ("vgg19", "oxford", False)
    assert size > 10**4


def test_environment_that_points_nowhere_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXSTYLE_PARAMS", str(tmp_path / "absent"))
    for function in (network_status, lambda: find_params("compact"), load_network):
        with pytest.raises(FileNotFoundError, match=r"JAXSTYLE_PARAMS=.*absent: no such file"):
            function()


def test_unknown_names_list_the_valid_ones(tmp_path):
    names = "vgg19, vgg19-normalized, vgg19-torchvision, vgg16, vgg16-torchvision, compact"
    words = f"use {names} or the path of a file"
    with pytest.raises(ValueError, match=f"no network is called 'vgg13'; {words}"):
        load_network("vgg13")
    with pytest.raises(ValueError, match=words):
        find_params("vgg13")
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_network("vgg13.h5")
    with pytest.raises(IsADirectoryError, match="this is a folder"):
        load_network(tmp_path)


def test_compact_is_shipped_or_missing(params, places):
    with pytest.raises(FileNotFoundError, match="missing from this installation"):
        load_network("compact")
    save_params(places.shipped / "compact.safetensors", params, {"network": "compact"})
    assert load_network("compact").metadata["network"] == "compact"


@pytest.mark.parametrize(
    ("name", "title"),
    [("vgg19", "VGG-19"), ("vgg16", "VGG-16"), ("vgg16-torchvision", "VGG-16")],
)
def test_named_networks_must_have_their_layers_and_widths(
    name, title, params, vgg16, places, monkeypatch
):
    own, other = (params, vgg16) if name == "vgg19" else (vgg16, params)
    path = places.cache / f"{name}.safetensors"
    save_params(path, own)
    assert_same(load_network(name).params, own)

    def refused():
        words = rf"its layers and widths are not those of {title}, .* '{name}'; .* give its path"
        with pytest.raises(FileFormatError, match=words):
            load_network(name)
        load_network(path)

    save_params(path, other)
    refused()
    save_params(path, own)
    monkeypatch.setitem(layouts.NETWORKS, name.partition("-")[0], dict.fromkeys(list(own)[1:], 64))
    refused()


def test_status_names_files_and_sources(params, places):
    save_params(places.cache / "vgg19.safetensors", params)
    status = {line.name: line for line in network_status()}
    assert list(status) == [
        *catalogue.FILES, *catalogue.FAST_FILES, *catalogue.DECODER_FILES,
    ]  # fmt: skip
    assert status["paintbox"].path is None
    assert status["vgg19"].path == places.cache / "vgg19.safetensors"
    assert status["vgg19"].path == status["vgg19-normalized"].path
    assert status["vgg19-torchvision"].path is None
    assert status["vgg19-torchvision"].sources[0].startswith("https://huggingface.co/timm/")
    assert status["vgg19"].sources == status["vgg19-normalized"].sources
    assert (
        status["vgg16"]
        .sources[0]
        .endswith("vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5")
    )
    assert len(status["vgg16-torchvision"].sources) == 2
    assert status["compact"].sources == ()
    assert all(line.description for line in status.values())
