"""Finding, loading, saving and verifying networks; no test reaches beyond this machine."""

import hashlib
import json
import logging
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network_files
from helpers.network_files import LAYERS, VGG16_LAYERS
from safetensors.numpy import load_file, save_file

from jaxstyle.errors import DownloadError, FileFormatError
from jaxstyle.networks import catalogue, download, layouts, load, recognition
from jaxstyle.networks.load import (
    find_params,
    load_network,
    load_params,
    network_status,
    read_params,
    save_params,
    verify,
)
from jaxstyle.networks.rescaling import activation_means
from jaxstyle.networks.vgg import features

pytestmark = pytest.mark.usefixtures("compile_faster")

KERAS = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"


@pytest.fixture
def params():
    return network_files.random_params()


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch, caplog):
    """Folders of the test's own for the three places, and narrow networks that count as VGG-19."""
    caplog.set_level(logging.WARNING, "jaxstyle")  # the command line, in this process, lowers it
    folders = {name: tmp_path / name for name in ("environment", "shipped", "cache")}
    for folder in folders.values():
        folder.mkdir()
    monkeypatch.setenv("JAXSTYLE_PARAMS", str(folders["environment"]))
    for module in (catalogue, load):
        monkeypatch.setattr(module, "shipped", lambda: folders["shipped"])
        monkeypatch.setattr(module, "cache", lambda: folders["cache"])
    for network, layers in (("vgg19", LAYERS), ("vgg16", VGG16_LAYERS)):
        narrow = {layer: 4 + i for i, layer in enumerate(layers)}
        monkeypatch.setitem(layouts.NETWORKS, network, narrow)

    def offline(name, **_):
        raise DownloadError(f"{name} could not be downloaded: the test is offline")

    monkeypatch.setattr(download, "fetch", offline)
    return types.SimpleNamespace(**folders)


@pytest.fixture
def means(places):
    """Mean activations such as the package ships, and the stand-in that applies them."""
    values = {layer: np.full(4 + i, 2.0 + i, np.float32) for i, layer in enumerate(LAYERS)}
    save_file(values, places.shipped / "vgg19_activation_means.safetensors")
    return values


@pytest.fixture
def vgg16():
    return network_files.random_params(layers=VGG16_LAYERS)


def assert_same(got, expected):
    assert set(got) == set(expected)
    for got_leaf, leaf in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got_leaf, leaf, rtol=1e-6)


def test_saved_parameters_come_back(params, tmp_path):
    path = tmp_path / "mine.safetensors"
    save_params(path, jax.tree.map(jnp.asarray, params), {"network": "mine", "weights": "oxford"})
    got, metadata = read_params(path)
    assert_same(got, params)
    assert metadata["network"] == "mine"
    assert (metadata["format"], metadata["version"]) == ("jaxstyle-params", "1")
    assert {"mean", "conv1_1.kernel", "conv5_4.bias"} < set(load_file(path))


def test_half_precision_halves_the_file(params, tmp_path):
    single, half = tmp_path / "single.safetensors", tmp_path / "half.safetensors"
    save_params(single, params)
    save_params(half, params, dtype=np.float16)
    assert {a.dtype.name for k, a in load_file(half).items() if "kernel" in k} == {"float16"}
    assert half.stat().st_size < 0.6 * single.stat().st_size
    got, _ = read_params(half)
    for got_leaf, leaf in zip(jax.tree.leaves(got), jax.tree.leaves(params), strict=True):
        assert got_leaf.dtype == np.float32
        np.testing.assert_allclose(got_leaf, leaf, rtol=5e-4, atol=1e-7)
    large = {
        **params,
        "conv2_1": {**params["conv2_1"], "kernel": params["conv2_1"]["kernel"] * 1e6},
    }
    with pytest.raises(FileFormatError, match=r"conv2_1.kernel: its values do not fit float16"):
        save_params(half, large, dtype=np.float16)


def test_equal_parameters_give_equal_files(params, tmp_path):
    notes = {letter: letter for letter in "zyxwvuts"}
    for name in ("a", "b", "c"):
        save_params(tmp_path / name, params, notes)
    files = {(tmp_path / name).read_bytes() for name in ("a", "b", "c")}
    assert len(files) == 1
    assert int.from_bytes(files.pop()[:8], "little") % 8 == 0


def test_saving_leaves_the_old_file_or_the_new(params, tmp_path, monkeypatch):
    path = tmp_path / "mine.safetensors"
    save_params(path, params)
    before = path.read_bytes()
    broken = {**params, "mean": np.array([np.nan, 0, 0])}
    with pytest.raises(FileFormatError, match="not all values are finite in mean"):
        save_params(path, broken)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            save_params(path, params | {"mean": np.ones(3)})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.glob("*mine*")] == ["mine.safetensors"]
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(FileNotFoundError, match="create it, or choose another folder"):
        save_params(tmp_path / "absent" / "mine.safetensors", params)


def test_loads_a_path_in_any_layout(params, tmp_path):
    network_files.write_keras(tmp_path / "vgg.h5", params)
    network = load_network(tmp_path / "vgg.h5")
    assert_same(network.params, params)
    leaves = jax.tree.leaves(network.params)
    assert all(isinstance(leaf, jax.Array) and leaf.dtype == jnp.float32 for leaf in leaves)
    assert (network.name, network.path) == ("vgg", tmp_path / "vgg.h5")
    assert network.metadata["weights"] == "oxford"
    assert_same(load_params(str(tmp_path / "vgg.h5")), params)


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


def test_nothing_found_without_download(params, places, caplog):
    with pytest.raises(FileNotFoundError, match="jaxstyle weights fetch vgg19, or put its file"):
        load_network(download=False)
    save_params(places.cache / "vgg19-torchvision.safetensors", params)
    assert load_network(download=False).name == "vgg19-torchvision"
    assert len(caplog.records) == 1


@pytest.mark.slow
def test_torchvision_takes_the_place_of_what_cannot_be_downloaded(
    params, places, caplog, monkeypatch
):
    with pytest.raises(DownloadError, match=r"vgg19 could not .*; vgg19-torchvision could not"):
        load_network("vgg19")
    assert not caplog.records
    save_params(places.cache / "vgg19-torchvision.safetensors", params)
    with caplog.at_level(logging.WARNING, "jaxstyle"):
        network = load_network("vgg19")
    assert network.name == "vgg19-torchvision"
    assert "the test is offline" in network.metadata["fallback_reason"]
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("jaxstyle", "WARNING")
    assert "torchvision's retrained VGG-19" in record.getMessage()
    assert "because vgg19 could not be downloaded: the test is offline" in record.getMessage()
    images = [jax.random.uniform(jax.random.key(0), (32, 40, 3))]
    network = load_network("vgg19", normalized=True, images=images)
    assert (network.name, network.metadata["normalized_over"]) == ("vgg19-torchvision", "1 images")
    for mean in activation_means(network.params, images).values():
        np.testing.assert_allclose(mean[mean > 0], 1, rtol=1e-3)
    # Without images, only Oxford's weights can be normalised.
    with pytest.raises(DownloadError):
        load_network("vgg19", normalized=True)
    with pytest.raises(DownloadError):
        load_network("vgg19-normalized")


def test_vgg16_is_found_replaced_and_normalized_over_the_images(
    vgg16, places, means, caplog, monkeypatch
):
    caplog.set_level(logging.INFO, "jaxstyle")
    with pytest.raises(DownloadError, match=r"vgg16 could not .*; vgg16-torchvision could not"):
        load_network("vgg16")
    save_params(places.cache / "vgg16-torchvision.safetensors", vgg16, {"weights": "torchvision"})
    caplog.clear()
    assert load_network("vgg16").name == "vgg16-torchvision"
    began, replaced = (record.getMessage() for record in caplog.records)
    assert began == "vgg16 is not on this machine: downloading it"  # a blocked address takes long
    assert "torchvision's retrained VGG-16" in replaced
    caplog.clear()
    network_files.write_caffe(places.cache / "VGG_ILSVRC_16_layers.caffemodel", vgg16)
    plain = load_network("vgg16")
    assert_same(plain.params, vgg16)
    assert (plain.metadata["network"], plain.metadata["weights"]) == ("vgg16", "oxford")
    assert not caplog.records
    # The means that the package ships are those of VGG-19.
    with pytest.raises(
        ValueError, match=r"only Oxford's VGG-19 .* with jaxstyle weights convert, and use"
    ):
        load_network("vgg16", normalized=True)
    images, asked = [jnp.ones((32, 40, 3))], []
    stand_in = network_files.random_params(seed=1, layers=VGG16_LAYERS)
    monkeypatch.setattr(load, "normalize_params", lambda *a: asked.append(a) or stand_in)
    network = load_network("vgg16", normalized=True, images=images)
    assert_same(network.params, stand_in)
    ((got, over),) = asked
    assert_same(got, vgg16)
    assert over is images
    assert network.metadata["normalized"] == "true"
    assert network.metadata["normalized_over"] == "1 images"
    (record,) = caplog.records
    assert "normalised over the pictures at hand (1); " in record.getMessage()


@pytest.mark.parametrize("download", [True, False])
def test_the_fallback_takes_the_place_of_what_is_not_to_be_had(params, places, caplog, download):
    reason = "could not be downloaded: the test is offline" if download else "downloads are off"
    ask = {"fallback": "compact", "download": download}
    # No compact network either: what was asked for is what is missing.
    with pytest.raises((DownloadError, FileNotFoundError), match=reason):
        load_network("vgg19", **ask)
    save_params(places.shipped / "compact.safetensors", params, {"normalized": "true"})
    for normalized in (None, True):
        caplog.clear()
        network = load_network("vgg19", normalized=normalized, **ask)
        assert network.name == "compact"
        assert reason in network.metadata["fallback_reason"]
        (record,) = caplog.records
        assert (record.name, record.levelname) == ("jaxstyle", "WARNING")
        message = record.getMessage()
        assert "using the compact network" in message
        assert "jaxstyle weights fetch vgg19 " in message
        assert reason in message
    caplog.clear()
    save_params(places.cache / "vgg19.safetensors", params)
    assert load_network("vgg19", **ask).name == "vgg19"
    assert not caplog.records


def test_the_fallback_does_not_hide_a_mistake(params, places, monkeypatch):
    save_params(places.shipped / "compact.safetensors", params)
    with pytest.raises(ValueError, match="no network is called 'vgg91'"):
        load_network("vgg91", fallback="compact")
    with pytest.raises(FileNotFoundError, match=r"absent.h5: no such file"):
        load_network("absent.h5", fallback="compact")
    monkeypatch.setenv("JAXSTYLE_PARAMS", "/absent")
    with pytest.raises(FileNotFoundError, match="JAXSTYLE_PARAMS=/absent"):
        load_network("vgg19", fallback="compact")


def test_who_has_a_fallback_waits_less_for_a_blocked_address(params, places, monkeypatch):
    retries = []

    def fetch(name, **options):
        retries.append(options["retries"])
        raise DownloadError("blocked")

    monkeypatch.setattr(download, "fetch", fetch)
    save_params(places.shipped / "compact.safetensors", params)
    load_network("vgg19", fallback="compact")
    with pytest.raises(DownloadError):
        load_network("vgg19")
    # Only who has none waits for the other network too, which is seven times as large.
    assert retries == [1, 3, 3]


def test_downloads_what_is_missing(params, places, monkeypatch):
    asked = []

    def fetch(name, *, progress, **_):
        asked.append((name, progress))
        save_params(places.cache / f"{name}.safetensors", params, {"weights": "oxford"})
        return places.cache / f"{name}.safetensors"

    monkeypatch.setattr(download, "fetch", fetch)
    assert_same(load_params("vgg19", progress=True), params)
    assert_same(load_params("vgg19"), params)
    assert asked == [("vgg19", True)]


@pytest.fixture
def fetched(params, places, monkeypatch):
    """The folders into which a network was downloaded."""
    folders = []

    def fetch(name, *, directory, **_):
        folders.append(directory)
        if not directory.is_dir():
            raise DownloadError(f"{name}: {directory}") from NotADirectoryError(
                20, "Not a directory"
            )
        save_params(directory / f"{name}.safetensors", params, {"weights": "oxford"})
        return directory / f"{name}.safetensors"

    monkeypatch.setattr(download, "fetch", fetch)
    monkeypatch.setattr(download, "cache", lambda: places.cache)
    return folders


@pytest.mark.parametrize("data", [b"", b"half a network"])
def test_a_damaged_file_in_the_cache_is_downloaded_again(params, places, fetched, data, caplog):
    path = places.cache / "vgg19.safetensors"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=f"{path}: "):
        load_params("vgg19", download=False)
    assert_same(load_params("vgg19"), params)
    assert_same(load_params("vgg19"), params)
    assert fetched == [places.cache]
    (warning,) = caplog.messages
    assert warning.startswith(f"{path}: ")
    assert warning.endswith("; downloading it again")


def test_a_damaged_file_elsewhere_is_an_error(places, fetched):
    (places.environment / "vgg19.safetensors").write_bytes(b"half a network")
    with pytest.raises(FileFormatError, match="environment"):
        load_params("vgg19")
    assert fetched == []


@pytest.mark.parametrize("cache", [None, "file"])
def test_without_a_cache_a_network_is_downloaded_for_this_process(
    params, places, fetched, cache, monkeypatch, caplog
):
    folder = None
    if cache is not None:
        folder = places.cache / cache
        folder.touch()
    for module in (catalogue, load, download):
        monkeypatch.setattr(module, "cache", lambda: folder)
    download._folder_of_this_process.cache_clear()
    for _ in range(2):
        assert_same(load_params("vgg19"), params)
    assert len([where for where in fetched if where != folder]) == 1
    assert "cannot be kept" in caplog.messages[0]
    assert "XDG_CACHE_HOME" in caplog.messages[0]
    with pytest.raises(FileNotFoundError, match="JAXSTYLE_PARAMS" if cache is None else "file"):
        load_params("vgg16", download=False)


def test_oxford_weights_are_normalized_by_the_shipped_means(params, places, means, monkeypatch):
    network_files.write_keras(places.cache / KERAS, params)
    by_name = load_network("vgg19-normalized")
    by_option = load_network("vgg19", normalized=True)
    by_path = load_network(places.cache / KERAS, normalized=True)
    for network in (by_name, by_option, by_path):
        assert network.metadata["normalized"] == "true"
        assert network.metadata["weights"] == "oxford"
        assert_same(network.params, by_name.params)
    got = by_name.params
    np.testing.assert_allclose(got["conv1_1"]["bias"], params["conv1_1"]["bias"] / 2, rtol=1e-6)
    expected = params["conv1_2"]["kernel"] * 2 / 3
    np.testing.assert_allclose(got["conv1_2"]["kernel"], expected, rtol=1e-6)
    assert load_network("vgg19").metadata["normalized"] == "false"


def test_normalization_that_cannot_be_had(params, places, tmp_path):
    network_files.write_keras(tmp_path / "a.h5", params)
    with pytest.raises(FileNotFoundError, match=r"activation_means.*missing from this install"):
        load_network(tmp_path / "a.h5", normalized=True)
    state = network_files.torch_state(params, "features", "torchvision")
    network_files.write_torch_zip(tmp_path / "tv.pth", state)
    with pytest.raises(ValueError, match=r"tv\.pth: only Oxford's VGG-19 .* weights convert"):
        load_network(tmp_path / "tv.pth", normalized=True)


@pytest.mark.slow
def test_a_distilled_network_gets_the_scales_of_its_teacher_back(params, places, means):
    channels = {layer: [0, 2] + [1] * (4 + i - 2) for i, layer in enumerate(LAYERS)}
    notes = {"normalized": "true", "channels": json.dumps(channels)}
    for i, layer in enumerate(LAYERS):
        means[layer][:3] = (i + 1, 0, 7)  # a filter that is never active keeps its scale
    save_file(means, places.shipped / "vgg19_activation_means.safetensors")
    path = places.shipped / "compact.safetensors"
    save_params(path, params, notes)
    assert_same(load_network("compact").params, params)
    network = load_network("compact", normalized=False)
    assert network.metadata["normalized"] == "false"
    image = jax.random.uniform(jax.random.key(0), (32, 32, 3))
    layers = [f"relu{layer[4:]}" for layer in LAYERS]
    normalized, plain = (features(p, image, layers) for p in (params, network.params))
    for i, layer in enumerate(layers):
        scales = np.array([i + 1, 7] + [1] * (4 + i - 2))
        expected = normalized[layer] * scales
        np.testing.assert_allclose(plain[layer], expected, atol=1e-5 * float(expected.max()))


def test_normalized_files_stay_as_they_are(params, places):
    path = places.environment / "vgg19-normalized.safetensors"
    save_params(path, params, {"normalized": "true"})
    for network in (load_network("vgg19-normalized"), load_network(path, normalized=True)):
        assert_same(network.params, params)
        assert network.metadata["normalized"] == "true"
    with pytest.raises(ValueError, match="normalised, which cannot be undone"):
        load_network(path, normalized=False)


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


def test_verify_describes_a_file(params, tmp_path):
    path = tmp_path / "a.h5"
    network_files.write_keras(path, params)
    report = verify(path)
    assert report == load.Verification(
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        layout="keras",
        network="vgg19",
        weights="oxford",
        normalized=False,
        known_as=None,
    )
    got, metadata = read_params(path)
    save_params(tmp_path / "b.safetensors", got, metadata | {"normalized": "true"})
    report = verify(tmp_path / "b.safetensors")
    assert (report.layout, report.weights, report.normalized) == ("jaxstyle", "oxford", True)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FileFormatError, match="cannot be read as HDF5"):
        verify(path)


def test_verify_knows_published_and_shipped_files(params, places, tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    network_files.write_keras(path, params)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    source = catalogue.Source(f"https://example.org/{KERAS}", f"md5:{md5}")
    monkeypatch.setitem(catalogue.SOURCES, "vgg19", (source,))
    assert verify(path).known_as == KERAS
    compact = places.shipped / "compact.safetensors"
    save_params(compact, params, {"network": "compact"})
    digest = hashlib.sha256(compact.read_bytes()).hexdigest()
    entry = {"name": "compact", "file": compact.name, "sha256": digest}
    (places.shipped / "manifest.json").write_text(json.dumps({"files": [entry]}))
    assert verify(compact).known_as == "compact"
    save_params(compact, params, {"network": "tampered with"})
    with pytest.raises(FileFormatError, match="not the file that the package shipped"):
        verify(compact)


def test_the_package_ships_what_its_manifest_lists(monkeypatch):
    monkeypatch.undo()
    folder = catalogue.shipped()
    for entry in json.loads((folder / "manifest.json").read_text())["files"]:
        assert {"name", "file", "sha256", "source", "licence"} <= set(entry)
        digest = hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest()
        assert digest == entry["sha256"]


def test_importing_is_cheap():
    # The readers of single formats and the download machinery wait until they are needed.
    heavy = ["h5py", "scipy.io", "safetensors", "pooch", "requests", "tqdm", "PIL"]
    code = "import sys, jaxstyle.networks.load, jaxstyle.networks.download; "
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
