"""Every public layout gives the same parameters; every damaged file one line of complaint."""

import struct
import zipfile

import h5py
import ml_dtypes
import numpy as np
import pytest
from helpers import network_files
from helpers.network_files import LAYERS, VGG16_LAYERS, WRITERS, params_for, torch_state, write
from helpers.shared import shared_file
from safetensors.numpy import save_file
from scipy.signal import correlate

from jaxstyle.errors import FileFormatError
from jaxstyle.networks import layouts as module
from jaxstyle.networks.layouts import (
    LAYOUTS,
    NETWORKS,
    check_params,
    convert,
    convert_any,
    widths,
)


def assert_same(params, expected, rtol=1e-6):
    assert list(params) == list(expected)
    np.testing.assert_allclose(params["mean"], expected["mean"], rtol=rtol)
    for layer in list(expected)[1:]:
        assert set(params[layer]) == {"kernel", "bias"}
        for part, values in params[layer].items():
            assert values.dtype == np.float32
            np.testing.assert_allclose(values, expected[layer][part], rtol=rtol)


def refused(path, layout="auto"):
    """The message with which a file is refused: one line that begins with the file's name."""
    with pytest.raises(FileFormatError) as caught:
        convert(path, layout)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message


@pytest.mark.parametrize("layers", [LAYERS, VGG16_LAYERS], ids=["vgg19", "vgg16"])
@pytest.mark.parametrize("name", WRITERS)
def test_reads_every_layout(name, layers, tmp_path, monkeypatch):
    params = params_for(name, layers)
    network = "vgg19" if layers is LAYERS else "vgg16"
    monkeypatch.setitem(NETWORKS, network, widths(params))
    file = name if network == "vgg19" else name.replace("vgg19-d01eb7cb", "vgg16-00b39a1b")
    path = write(name, tmp_path / file, params)
    got, metadata, layout = convert_any(path)
    assert_same(got, params)
    assert layout == WRITERS[name][0]
    assert metadata["normalized"] == "false"
    assert all(isinstance(value, str) for value in metadata.values())
    if layout == "jaxstyle":
        assert (metadata["layout"], metadata["network"]) == ("keras", "tiny")
    else:
        assert (metadata["source"], metadata["layout"]) == (file, layout)
        weights = "torchvision" if layout == "torchvision" else "oxford"
        assert (metadata["network"], metadata["weights"]) == (network, weights)
        assert len(metadata["source_sha256"]) == 64
    check_params(got, "params")


def test_every_layout_is_tested():
    assert {layout for layout, _ in WRITERS.values()} == set(LAYOUTS)


@pytest.mark.parametrize("name", ["old.h5", "v1.caffemodel", "vgg_conv.pth", "old.mat", "zip.pth"])
def test_converted_layer_computes_what_the_original_does(name, tmp_path):
    # An independent statement of each convention, at one interior pixel and at a padded corner.
    layout = WRITERS[name][0]
    got, _ = convert(write(name, tmp_path / name, params_for(name)))
    image = np.random.default_rng(1).uniform(size=(6, 6, 3))
    native = image * 255
    if layout in ("keras", "caffe", "gatys"):
        native = native[..., ::-1] - (103.939, 116.779, 123.68)
        kernel, _ = network_files.unfolded(params_for(name), "caffe")["conv1_1"]
    elif layout == "matconvnet":
        native = native - (123.68, 116.779, 103.939)
        kernel, _ = network_files.unfolded(params_for(name), "rgb")["conv1_1"]
    else:
        native = (image - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        kernel, _ = network_files.unfolded(params_for(name), "torchvision")["conv1_1"]

    def first_layer(values, kernel):
        padded = np.pad(values, ((1, 1), (1, 1), (0, 0)))
        return [correlate(padded, kernel[..., c], "valid") for c in range(kernel.shape[3])]

    ours = first_layer(image - got["mean"], got["conv1_1"]["kernel"])
    np.testing.assert_allclose(ours, first_layer(native, kernel), rtol=1e-3, atol=1e-3)


def test_one_function_in_two_conventions_converts_to_one_set(tmp_path):
    # The same mean in both, so that the two files hold one and the same function.
    params = network_files.random_params(mean=network_files.TORCH_MEAN)
    state = torch_state(params, "features", "torchvision")
    network_files.write_torch_zip(tmp_path / "tv.pth", state)
    from_torchvision, _ = convert(tmp_path / "tv.pth")
    network_files.write_matconvnet(tmp_path / "caffe.mat", params)
    from_matconvnet, _ = convert(tmp_path / "caffe.mat")
    assert_same(from_matconvnet, from_torchvision)
    # Caffe's mean differs from torchvision's; all else is the same.
    network_files.write_caffe(tmp_path / "a.caffemodel", params)
    from_caffe, _ = convert(tmp_path / "a.caffemodel")
    assert_same(from_caffe | {"mean": params["mean"]}, from_torchvision)


def test_layout_can_be_forced(tmp_path):
    params = network_files.random_params()
    path = tmp_path / "renamed.pth"
    network_files.write_torch_legacy(path, torch_state(params, "features", "caffe"))
    assert_same(convert(path, "neural-style-pt")[0], params)
    assert convert(path)[1]["layout"] == "torchvision"


@pytest.mark.parametrize(("start", "layers"), [("d01eb7cb", LAYERS), ("00b39a1b", VGG16_LAYERS)])
def test_the_published_file_is_known_by_its_checksum(start, layers, tmp_path, monkeypatch):
    params = network_files.random_params(layers=layers)
    path = tmp_path / "renamed.pth"
    network_files.write_torch_legacy(path, torch_state(params, "features", "caffe"))
    assert convert(path)[1]["layout"] == "torchvision"
    monkeypatch.setattr(module, "sha256", lambda path: start + "0" * 56)
    assert convert(path)[1]["layout"] == "neural-style-pt"


def test_a_pruned_vgg16_is_known_by_its_name(tmp_path):
    params = network_files.random_params(layers=VGG16_LAYERS)
    path = tmp_path / "channel_pruning.pth"
    network_files.write_torch_legacy(path, torch_state(params, "features", "caffe"))
    got, metadata = convert(path)
    assert_same(got, params)
    assert (metadata["network"], metadata["weights"]) == ("custom", "unknown")


def test_matconvnet_axes_can_be_flipped(tmp_path, monkeypatch):
    params = network_files.random_params()
    network_files.write_matconvnet(tmp_path / "a.mat", params)
    flipped = module._LAYOUTS["matconvnet"]._replace(axes="whio")
    monkeypatch.setitem(module._LAYOUTS, "matconvnet", flipped)
    got, _ = convert(tmp_path / "a.mat")
    expected = params["conv2_1"]["kernel"].transpose(1, 0, 2, 3)
    np.testing.assert_array_equal(got["conv2_1"]["kernel"], expected)


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
@pytest.mark.parametrize("form", ["zip", "big-endian", "legacy", "safetensors"])
def test_other_precisions(dtype, form, tmp_path):
    params = network_files.random_params()
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    state = {k: v.astype(kind) for k, v in torch_state(params, "conv", "caffe").items()}
    path = tmp_path / "file.pth"
    if form == "legacy":
        network_files.write_torch_legacy(path, state)
    elif form == "safetensors":
        save_file(state, path)
    elif form == "big-endian" and dtype == "bfloat16":
        pytest.skip("ml_dtypes cannot swap bytes, so the writer cannot either")
    else:
        network_files.write_torch_zip(path, state, big_endian=form == "big-endian")
    got, metadata = convert(path)
    assert metadata["layout"] == "gatys"
    np.testing.assert_array_equal(
        got["conv3_2"]["kernel"].transpose(3, 2, 0, 1), state["conv3_2.weight"].astype(np.float32)
    )


def test_wrapped_state_dict(tmp_path):
    state = torch_state(network_files.random_params(), "conv", "caffe")
    inner = network_files._state_pickle(state)[2:-1]
    body = b"\x80\x02}(" + network_files._text("epoch") + b"K\x05"
    body += network_files._text("state_dict") + inner + b"u."
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("x/data.pkl", body)
        for key, array in enumerate(state.values()):
            archive.writestr(f"x/data/{key}", array.tobytes())
    assert convert(tmp_path / "a.pth")[1]["layout"] == "gatys"


def test_says_all_that_is_wrong_at_once(tmp_path):
    state = torch_state(network_files.random_params(), "conv", "caffe")
    del state["conv1_2.bias"], state["conv5_4.weight"]
    state["conv5_5.weight"] = state["odd\nname"] = np.ones((1, 1, 3, 3), np.float32)
    state["conv2_1.weight"] = np.ones((6, 5, 5, 5), np.float32)
    state["conv3_1.bias"] = np.ones(99, np.float32)
    state["conv3_3.weight"] = np.ones((10, 4, 3, 3), np.float32)
    save_file(state, tmp_path / "a.safetensors")
    message = refused(tmp_path / "a.safetensors")
    assert message.endswith(
        "not VGG-19 or VGG-16 in the gatys layout; for VGG-19, "
        "missing: conv1_2.bias, conv5_4.weight; "
        "extra: conv5_5.weight, odd\\nname; "
        "misshapen: conv2_1.weight is 6x5x5x5 instead of anyx5x3x3, "
        "conv3_1.bias is 99 instead of 8, conv3_3.weight is 10x4x3x3 instead of anyx9x3x3"
    )


@pytest.mark.parametrize("style", ["conv", "features"])
@pytest.mark.parametrize(("title", "layers"), [("VGG-19", LAYERS), ("VGG-16", VGG16_LAYERS)])
def test_what_is_missing_is_told_of_the_nearer_network(title, layers, style, tmp_path):
    state = torch_state(network_files.random_params(layers=layers), style, "caffe")
    gone = [key for key in state if "classifier" not in key][-4:]  # the last two convolutions
    save_file({k: v for k, v in state.items() if k not in gone}, tmp_path / "cut.safetensors")
    message = refused(tmp_path / "cut.safetensors")
    assert "not VGG-19 or VGG-16 in the " in message
    assert message.endswith(f"; for {title}, missing: {', '.join(gone)}")


def test_alexnet_is_told_apart(tmp_path):
    shapes = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3)}
    alexnet = {f"features.{n}.weight": np.zeros(s, np.float32) for n, s in shapes.items()}
    network_files.write_torch_zip(tmp_path / "alexnet.pth", alexnet)
    message = refused(tmp_path / "alexnet.pth")
    assert "not VGG-19 or VGG-16 in the torchvision layout; for VGG-16, missing: " in message
    assert "missing: features.0.bias, features.2.weight" in message
    assert "extra: features.3.weight, features.6.weight, features.8.weight" in message
    assert "misshapen: features.0.weight is 64x3x11x11 instead of anyx3x3x3" in message


def test_a_long_list_of_strangers_is_cut(tmp_path):
    state = {f"encoder.{n}": np.zeros(1, np.float32) for n in range(500)}
    save_file(state, tmp_path / "other.safetensors")
    assert "468 more" in refused(tmp_path / "other.safetensors")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_must_be_finite(value, tmp_path):
    params = network_files.random_params()
    params["conv4_2"]["kernel"][0, 0, 0, 0] = value
    params["conv1_1"]["bias"][1] = value
    network_files.write_keras(tmp_path / "a.h5", params)
    message = refused(tmp_path / "a.h5")
    assert message.endswith("not all values are finite in conv1_1.bias, conv4_2.kernel")


def test_values_must_fit_float32_and_be_floats(tmp_path):
    state = torch_state(network_files.random_params(), "conv", "caffe")
    save_file(state | {"conv1_1.bias": np.full(4, 1e300)}, tmp_path / "a.safetensors")
    assert "finite in conv1_1.bias" in refused(tmp_path / "a.safetensors")
    huge = {"conv1_1.weight": np.full((4, 3, 3, 3), 3e38, np.float32)}
    save_file(state | huge, tmp_path / "b.safetensors")
    assert "finite in conv1_1.kernel" in refused(tmp_path / "b.safetensors")
    save_file(state | {"conv1_1.bias": np.zeros(4, np.int32)}, tmp_path / "c.safetensors")
    assert "conv1_1.bias holds values of type int32" in refused(tmp_path / "c.safetensors")


@pytest.mark.parametrize("name", WRITERS)
def test_truncated_files_are_refused(name, tmp_path):
    path = write(name, tmp_path / name, params_for(name))
    data = path.read_bytes().rstrip(b"\0")  # tar ends with padding that nobody misses
    cuts = [0, 1, 3, 7, 100, 200, 519, 600, 1000, 5000]
    cuts += [int(len(data) * share) for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.99)]
    for cut in {cut for cut in cuts if cut < len(data)}:
        path.write_bytes(data[:cut])
        refused(path)


@pytest.mark.parametrize("name", WRITERS)
def test_damaged_files_never_raise_anything_else(name, tmp_path):
    # Wrong numbers in the index: sizes, offsets and counts from the first bytes on.
    path = write(name, tmp_path / name, params_for(name))
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        place = int(rng.integers(min(len(data), 3000)))
        place = len(data) - 1 - place if rng.integers(3) == 0 else place
        wrong = bytearray(data)
        wrong[place : place + 4] = rng.choice([b"\xff" * 4, b"\x00" * 4, b"\xff\xff\xff\x7f"])
        path.write_bytes(wrong[: len(data)])
        try:
            params, _ = convert(path)
        except FileFormatError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017
        else:  # the damage hit values, padding or an ignored layer
            check_params(params, "params")


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS pointer"),
        (b"\n<!DOCTYPE html><html><title>404</title>", "web page"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"MATLAB 7.3 MAT-file, Platform", "-v7"),
        (b"\x00" * 4000, "not a file that can hold a VGG network"),
        (b"hello", "not a file that can hold a VGG network"),
        (b"", "empty"),
        (b"PK\x03\x04" + b"\x00" * 99, "cannot be read as a PyTorch state dict"),
    ],
)
def test_other_kinds_of_file(start, words, tmp_path):
    path = tmp_path / "vgg19.pth"
    path.write_bytes(start)
    assert words in refused(path)


def test_wrong_use(tmp_path):
    with pytest.raises(FileNotFoundError):
        convert(tmp_path / "absent.h5")
    with pytest.raises(ValueError, match="layout should be auto or one of keras"):
        convert(tmp_path / "absent.h5", "kears")
    network_files.write_keras(tmp_path / "a.h5", network_files.random_params())
    assert "caffe layout needs a Caffe file" in refused(tmp_path / "a.h5", "caffe")
    np.savez(tmp_path / "a.npz", np.ones(3))
    assert "without data.pkl" in refused(tmp_path / "a.npz")


def test_newer_format_is_refused(tmp_path):
    save_file({"mean": np.ones(3, np.float32)}, tmp_path / "a", {"format": "jaxstyle-params", "version": "9"})  # fmt: skip  # noqa: E501
    assert "it has version 9 of the format, but this release reads version 1" in refused(
        tmp_path / "a"
    )


def test_hostile_sizes_allocate_nothing(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for layer in LAYERS:
            name = f"block{layer[4]}_conv{layer[6]}"
            # Declared, never written: takes no space in the file, a terabyte in memory.
            shape = (3, 3, 2**18, 2**18)
            file.create_dataset(f"{name}/{name}_W_1:0", shape, "f4", chunks=(3, 3, 64, 64))
            file.create_dataset(f"{name}/{name}_b_1:0", (2**18,), "f4", chunks=(64,))
    assert "block1_conv2/kernel is 3x3x262144x262144" in refused(tmp_path / "a.h5")
    header = struct.pack("<Q", 2**63) + b"{"
    (tmp_path / "a.safetensors").write_bytes(header)
    refused(tmp_path / "a.safetensors")


def test_check_params_names_everything():
    params = network_files.random_params()
    check_params(params, "mine")
    del params["conv1_2"]["bias"]
    params["mean"] = np.zeros(4)
    params["conv9_1"] = {"kernel": np.zeros(1)}
    with pytest.raises(FileFormatError) as caught:
        check_params(params, "mine")
    assert str(caught.value) == (
        "mine: not VGG-19 or VGG-16 in the jaxstyle layout; for VGG-19, missing: conv1_2.bias; "
        "extra: conv9_1.kernel; misshapen: mean is 4 instead of 3"
    )


def test_shared_weights():
    path = shared_file("weights/vgg19_keras_layout.h5")
    params, metadata = convert(path)
    assert widths(params) == NETWORKS["vgg19"]
    assert (metadata["network"], metadata["weights"]) == ("vgg19", "oxford")
    np.testing.assert_allclose(params["mean"] * 255, (123.68, 116.779, 103.939), rtol=1e-6)
    with h5py.File(path) as file:
        kernel = file["block1_conv1/block1_conv1_W_1:0"][()]
    np.testing.assert_allclose(params["conv1_1"]["kernel"][:, :, 0], kernel[:, :, 2] * 255)
