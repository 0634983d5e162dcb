"""Networks and the places where they are found, for the tests of networks."""

import logging
import types

import numpy as np
import pytest
from helpers import network_files
from helpers.network_files import LAYERS, VGG16_LAYERS
from safetensors.numpy import save_file

from jaxstyle.errors import DownloadError
from jaxstyle.networks import catalogue, download, layouts, load


@pytest.fixture
def params():
    return network_files.random_params()


@pytest.fixture
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
