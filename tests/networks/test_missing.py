"""Networks that are not on this machine, or damaged; no test reaches beyond it."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network_files
from helpers.network_files import VGG16_LAYERS, assert_same

from jaxstyle.errors import DownloadError, FileFormatError
from jaxstyle.networks import catalogue, download, load
from jaxstyle.networks.load import (
    load_network,
    load_params,
    save_params,
)
from jaxstyle.networks.rescaling import activation_means

pytestmark = pytest.mark.usefixtures("compile_faster", "places")


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
