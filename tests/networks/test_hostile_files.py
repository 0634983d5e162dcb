"""Files made to do harm: each is refused within seconds, by one line that begins with its name."""

import os
import struct
import zlib

import h5py
import numpy as np
import pytest
from helpers import network_files
from helpers.hostile import refused, zipped
from helpers.network_files import _field
from safetensors.numpy import save

from jaxstyle.errors import FileFormatError
from jaxstyle.networks import collect, load
from jaxstyle.networks.formats import matfile
from jaxstyle.networks.layouts import check_params, convert
from jaxstyle.networks.load import load_network

KERNEL, BIAS = "block1_conv1/block1_conv1_W_1:0", "block1_conv1/block1_conv1_b_1:0"


# ---- HDF5: storage elsewhere ---------------------------------------------------------------------
@pytest.fixture
def keras(tmp_path):
    """A network, and how to put something else in place of one of its arrays."""
    path = tmp_path / "vgg19.h5"
    network_files.write_keras(path, network_files.random_params())
    return path


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(np.arange(4, dtype=np.float32).tobytes())
    return path


def test_values_in_another_file_are_not_read(keras, secret):
    with h5py.File(keras, "r+") as file:
        del file[BIAS]
        file.create_dataset(BIAS, (4,), "f4", external=[(str(secret), 0, 16)])
    refused(keras, f"{BIAS} keeps its values in other files; a network has its own")


def test_values_that_are_views_of_another_file_are_not_read(keras, secret):
    with h5py.File(f"{secret}.h5", "w") as file:
        file["data"] = np.arange(4, dtype=np.float32)
    with h5py.File(keras, "r+") as file:
        del file[BIAS]
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource(f"{secret}.h5", "data", (4,))
        file.create_virtual_dataset(BIAS, layout)
    refused(keras, f"{BIAS} keeps its values in other files; a network has its own")


@pytest.mark.parametrize("place", [BIAS, "block1_conv1", "elsewhere", "fc1/anything"])
@pytest.mark.parametrize("kind", ["soft", "external", "dangling"])
def test_links_are_not_followed(kind, place, keras, secret):
    with h5py.File(f"{secret}.h5", "w") as file:
        file["data"] = np.arange(4, dtype=np.float32)
    links = {
        "soft": h5py.SoftLink("/block1_conv2/block1_conv2_b_1:0"),
        "external": h5py.ExternalLink(f"{secret}.h5", "data"),
        "dangling": h5py.SoftLink("/nowhere"),
    }
    with h5py.File(keras, "r+") as file:
        if place in file:
            del file[place]
        file[place] = links[kind]
    refused(keras, f"{place} is a link to another place; a network has none")


def test_a_pipe_inside_is_not_waited_for(keras, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with h5py.File(keras, "r+") as file:
        del file[KERNEL]
        shape = (3, 3, 3, 4)
        file.create_dataset(KERNEL, shape, "f4", external=[(str(tmp_path / "pipe"), 0, 432)])
    refused(keras, "keeps its values in other files")


def test_groups_in_a_circle_end(keras):
    with h5py.File(keras, "r+") as file:
        file["block1_conv1/again"] = file["/"]
        file["same"] = file[BIAS]
    params, _ = convert(keras)
    check_params(params, "params")


def test_pieces_that_unpack_to_more_than_their_share(keras):
    with h5py.File(keras, "r+") as file:
        del file[BIAS]
        data = file.create_dataset(BIAS, (4,), "f4", chunks=(4,), compression="gzip")
        data.id.write_direct_chunk((0,), zlib.compress(bytes(50_000_000)))
    refused(keras, f"cannot be read as a network: {BIAS} has a piece of 48")
    with h5py.File(keras, "r+") as file:
        file[BIAS].id.write_direct_chunk((0,), zlib.compress(bytes(500_000)))
    refused(keras, f"cannot be read as a network: {BIAS} unpacks to more than 16 bytes a piece")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"chunks": (2**26,), "maxshape": (None,)}, "is stored in 1 pieces of 268,435,456 bytes"),
        ({"chunks": (1,)}, "has a shape but not all of its values"),
        ({}, "has a shape but no values"),
        ({"compression": "lzf"}, "is packed in an unusual way; unpack it with h5repack -f NONE"),
        ({"dtype": "S1000000000"}, "holds values of type |S1000000000, not floats"),
        ({"dtype": h5py.string_dtype()}, "holds values of type |O, not floats"),
    ],
)
def test_data_sets_that_promise_more_than_they_hold(options, words, keras):
    with h5py.File(keras, "r+") as file:
        del file[BIAS]
        data = file.create_dataset(BIAS, (4,), **({"dtype": "f4"} | options))
        if "chunks" in options and len(data.chunks) and data.chunks[0] > 4:
            data.id.write_direct_chunk((0,), bytes(16))
    refused(keras, words)


@pytest.mark.parametrize(
    "options", [{"shuffle": True}, {"fletcher32": True}, {"chunks": (1, 3, 3, 2)}]
)
def test_packed_arrays_of_honest_files_are_read(options, keras):
    expected, _ = convert(keras)
    with h5py.File(keras, "r+") as file:
        kernel = file[KERNEL][()]
        del file[KERNEL]
        file.create_dataset(KERNEL, data=kernel, compression="gzip", **options)
    got, _ = convert(keras)
    np.testing.assert_array_equal(got["conv1_1"]["kernel"], expected["conv1_1"]["kernel"])


# ---- MATLAB --------------------------------------------------------------------------------------
HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind, shape, *parts, name=b"layers"):
    flags = element(6, struct.pack("<II", kind, 0))
    sizes = element(5, np.array(shape, "<i4").tobytes())
    return element(14, flags + sizes + element(1, name) + b"".join(parts))


def compressed(data):
    packed = zlib.compress(data, 9)
    return struct.pack("<II", 15, len(packed)) + packed


EMPTY = element(14, b"")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (compressed(struct.pack("<II", 14, 2**32 - 8)), "it unpacks to more than 10 MB"),
        (compressed(element(14, bytes(2**22))) * 3, "a MATLAB file"),
        (compressed(matrix(3, (1,), bytes(2**22))) * 3, "it unpacks to more than 10 MB"),
        (compressed(struct.pack("<II", 14, 8) + bytes(2**22)), "a MATLAB file"),
        (matrix(1, (1, 2**20), EMPTY * 300_000), "more than 200,000 elements"),
        (compressed(matrix(1, (1, 2**20), EMPTY * 300_000)), "more than 200,000 elements"),
        (matrix(6, [2**31 - 1] * 50_000, element(9, bytes(8))), "an array of shape ["),
        (matrix(6, [2**31 - 1] * 32, element(9, bytes(8))), "an array of shape ["),
        (matrix(4, (1, 2**21), element(16, b"a" * 2**21)), "a text of 2,097,152 bytes"),
        (matrix(6, (1,), element(9, bytes(8)), name=b"a" * 2**21), "a text of 2,097,152 bytes"),
        (matrix(2, (1,), element(5, b"\1\0\0\0"), element(1, b"a" * 2**20)), "field names of 1"),
    ],
    ids=range(11),
)
def test_matlab_bombs(body, words, tmp_path, monkeypatch):
    monkeypatch.setattr(matfile, "_MAX_UNPACKED", 10_000_000)
    (tmp_path / "a.mat").write_bytes(HEADER + body)
    refused(tmp_path / "a.mat", words)


def test_cells_in_cells_in_cells(tmp_path):
    data = b""
    for _ in range(3000):
        data = matrix(1, (1, 1), data)
    (tmp_path / "a.mat").write_bytes(HEADER + data)
    refused(tmp_path / "a.mat", "a MATLAB file")


def test_a_layer_whose_name_is_no_text(tmp_path):
    names = element(5, struct.pack("<i", 8)) + element(1, b"name\0\0\0\0filters\0biases\0\0")
    arrays = [matrix(7, (1, 1), element(7, bytes(4))) for _ in range(3)]
    layer = matrix(2, (1, 1), names, *arrays)
    (tmp_path / "a.mat").write_bytes(HEADER + matrix(1, (1, 1), layer))
    refused(tmp_path / "a.mat", "a layer without a name")


# ---- Caffe, safetensors --------------------------------------------------------------------------
def caffe(*blob, name=b"conv1_1"):
    return _field(1, b"net") + _field(100, _field(1, name) + _field(7, b"".join(blob)))


VALUE = _field(5, bytes(4))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (caffe(VALUE) + bytes(2**22), "it has more than 1,000,000 fields"),
        (caffe(_field(7, _field(1, b"\xff" * 9 + b"\1")) * 2**10), "a blob of shape [1844"),
        (caffe(_field(7, _field(1, b"\x7f" * 2**20))), "a blob of shape [127, 127"),
        (caffe(_field(7, (b"\x08" + b"\xff" * 9 + b"\x01") * 10**5)), "a blob of shape ["),
        (caffe(VALUE, name=b"a" * 10**6), "a name of 1,000,000 bytes"),
        (caffe(_field(1, 2**60), _field(2, 2**60)), "a blob of shape [11529"),
    ],
    ids=range(6),
)
def test_caffe_bombs(data, words, tmp_path):
    (tmp_path / "a.caffemodel").write_bytes(data)
    refused(tmp_path / "a.caffemodel", words)


def test_safetensors_bombs(tmp_path):
    path = tmp_path / "a.safetensors"
    many = {f"t{i}": np.zeros(0, np.float32) for i in range(30_000)}
    path.write_bytes(save(many))
    refused(path, "a header of 1,")
    path.write_bytes(struct.pack("<Q", 10**6) + b'{"a":' * 2 * 10**5)
    refused(path, "safetensors")
    dims = b",".join([b"0"] * 10**5)
    empty = b'{"dtype":"F32","shape":[%s],"data_offsets":[0,0]}'
    header = b'{"mean":%s,"conv1_1.kernel":%s}' % (empty % dims, empty % b"0")
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    refused(path, "mean is 0x0x0x0x0x0x0x0x... instead of 3")


# ---- any kind ------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["pipe", "pipe.pth", "/dev/zero"])
def test_pipes_and_devices(name, tmp_path):
    path = tmp_path / name
    if not path.exists():
        os.mkfifo(path)
    refused(path, f"{path}: is a pipe or device; give a file saved to disk")
    with pytest.raises(FileFormatError, match="is a pipe or device"):
        load_network(path)


@pytest.mark.parametrize("name", network_files.WRITERS)
def test_files_far_larger_than_a_network(name, tmp_path):
    path = network_files.write(name, tmp_path / name, network_files.params_for(name))
    with path.open("r+b") as file:
        file.truncate(2**40)
    refused(path, "has more than 2,147 MB, which no such file needs")


def test_layers_that_have_far_more_values_than_vgg(keras, monkeypatch):
    monkeypatch.setattr(collect, "_MAX_VALUES", 20_000)
    refused(
        keras, "its layers have 20,632 values; VGG-19's have 20 million, and this program reads"
    )


def test_control_characters_in_names_are_shown_as_escapes(tmp_path):
    odd = "\x1b]0;title\x07\u202e"
    state = network_files.torch_state(network_files.random_params(), "conv", "caffe")
    state = {**state, odd: np.ones(1, np.float32)}
    network_files.write_torch_zip(tmp_path / "a.pth", state)
    refused(tmp_path / "a.pth", r"extra: \x1b]0;title\x07\u202e")
    network_files.write_torch_legacy(tmp_path / "b.pth", state)
    refused(tmp_path / "b.pth", r"extra: \x1b]0;title\x07\u202e")
    (tmp_path / "c.safetensors").write_bytes(save(state))
    refused(tmp_path / "c.safetensors", r"extra: \x1b]0;title\x07\u202e")
    (tmp_path / "d.safetensors").write_bytes(
        save({"mean": np.ones(3, np.float32)}, {"format": "jaxstyle-params", "version": odd})
    )
    refused(tmp_path / "d.safetensors", r"it has version \x1b]0;title\x07\u202e of the format")
    zipped(tmp_path / "e.pth", b"c" + odd.encode()[:9] + b"\nsystem\n.")
    refused(tmp_path / "e.pth", r"it asks for \x1b]0;title.system, which no state dict")


@pytest.mark.parametrize(
    "channels",
    [
        "[" * 100_000,
        "[]",
        '{"conv9_9": [0]}',
        '{"conv1_1": [0]}',
        '{"conv1_1": [0, 1, 2, 99]}',
        '{"conv1_1": [0, 1, 2, -1]}',
        '{"conv1_1": [0, 1, 2, {}]}',
    ],
    ids=range(7),
)
def test_channels_that_are_not_the_teachers_are_refused(channels, tmp_path, monkeypatch):
    means = {layer: np.ones(50, np.float32) for layer in network_files.LAYERS}
    monkeypatch.setattr(load, "published_activation_means", lambda: means)
    path = tmp_path / "distilled.safetensors"
    notes = {"normalized": "true", "channels": channels}
    load.save_params(path, network_files.random_params(), notes)
    with pytest.raises(FileFormatError) as caught:
        load_network(path, normalized=False)
    assert str(caught.value).startswith(f"{path}: cannot be read as a distilled network: ")
    assert str(caught.value).isprintable()
