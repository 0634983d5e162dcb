"""Loading, saving, normalising and verifying networks."""

import hashlib
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network_files
from helpers.network_files import LAYERS, assert_same
from safetensors.numpy import load_file, save_file

from jaxstyle.errors import FileFormatError
from jaxstyle.networks import catalogue, load
from jaxstyle.networks.load import (
    load_network,
    load_params,
    read_params,
    save_params,
    verify,
)
from jaxstyle.networks.vgg import features

pytestmark = pytest.mark.usefixtures("compile_faster", "places")

KERAS = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"


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
