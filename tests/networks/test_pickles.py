"""State dicts are read without running them, and as PyTorch itself reads them."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers import network_files
from helpers.network_files import torch_state

from jaxstyle.errors import FileFormatError
from jaxstyle.networks.formats.statedict import read_state_dict
from jaxstyle.networks.layouts import convert


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("form", ["zip", "legacy", "tar"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_hostile_pickles_are_refused_and_do_nothing(form, protocol, tmp_path):
    mark, path = tmp_path / "it-ran", tmp_path / "a.pth"
    bomb = pickle.dumps({"conv1_1.weight": Bomb(mark)}, protocol)
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", bomb)
    elif form == "legacy":
        parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {})]
        path.write_bytes(b"".join(parts) + bomb)
    else:
        network_files.write_torch_tar(path, {}, bomb)
    with pytest.raises(FileFormatError, match=r"it asks for posix\.system, which no"):
        read_state_dict(path)
    assert not mark.exists()
    pickle.loads(bomb)  # the file does what it threatens where it is trusted
    assert mark.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"cos\nsystem\n.",
        b"cbuiltins\neval\n.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(tR.",
        b"ctorch\nFloatStorage\n)R.",
        b"ccollections\nOrderedDict\n)\x81.",  # NEWOBJ
        b"(i__main__\nX\n.",  # INST
        b"]K\x01.",
        b"r\xff\xff\xff\xff.",  # LONG_BINPUT with a huge index on an empty stack
        b"Nr\xff\xff\xff\xff.",
        b"\x8e" + b"\xff" * 8,  # BINBYTES8 of 2**64 - 1 bytes
        b"\x8a\xff" + b"\x7f" * 255 + b".",
        b"N",
        b"",
    ],
)
def test_odd_pickles(body, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + body)
    with pytest.raises(FileFormatError):
        read_state_dict(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (4, 3, 3, 3), (27, 9, 3, 2)),
        (1, (4, 3, 3, 3), (27, 9, 3, 1)),
        (-1, (4, 3, 3, 3), (27, 9, 3, 1)),
        (0, (4, 3, 3, 3), (-27, 9, 3, 1)),
        (0, (2**30, 2**30, 3, 3), (0, 0, 3, 1)),
        (0, (4, 3, 3, 0), (27, 9, 3, 1)),
        (0, (4, 3, 3), (27, 9, 3, 1)),
    ],
)
def test_tensors_stay_inside_their_storage(offset, size, stride, tmp_path):
    state = torch_state(network_files.random_params(), "conv", "caffe")
    right = (
        network_files._number(0)
        + network_files._numbers((4, 3, 3, 3))
        + network_files._numbers((27, 9, 3, 1))
    )
    wrong = (
        network_files._number(offset)
        + network_files._numbers(size)
        + network_files._numbers(stride)
    )
    body = network_files._state_pickle(state)
    assert body.count(right) == 1
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("a/data.pkl", body.replace(right, wrong))
        for key, array in enumerate(state.values()):
            archive.writestr(f"a/data/{key}", array.tobytes())
    with pytest.raises(FileFormatError):
        convert(tmp_path / "a.pth")


def test_transposed_and_shared_tensors(tmp_path):
    # Two tensors that are views of one storage, one of them transposed.
    values = np.arange(6, dtype=np.float32)

    def tensor(offset, size, stride):
        storage = b"(" + network_files._text("storage") + b"ctorch\nFloatStorage\n"
        storage += network_files._text("0") + network_files._text("cpu") + b"K\x06tQ"
        place = (
            network_files._number(offset)
            + network_files._numbers(size)
            + network_files._numbers(stride)
        )
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + place + b"\x89NtR"

    items = network_files._text("a") + tensor(0, (3, 2), (1, 3))
    items += network_files._text("b") + tensor(2, (2,), (3,))
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}(" + items + b"u.")
        archive.writestr("a/data/0", values.tobytes())
    got = read_state_dict(tmp_path / "a.pth")
    np.testing.assert_array_equal(got["a"].read(), values.reshape(2, 3).T)
    np.testing.assert_array_equal(got["b"].read(), [2, 5])


# ---- PyTorch as the oracle, where it is installed ------------------------------------------------
@pytest.mark.parametrize("form", ["zip", "legacy", "bfloat16"])
def test_reads_what_torch_saves(form, tmp_path):
    torch = pytest.importorskip("torch")
    state = torch_state(network_files.random_params(), "conv", "caffe")
    tensors = {key: torch.from_numpy(value) for key, value in state.items()}
    tensors["conv1_1.weight"] = torch.nn.Parameter(tensors["conv1_1.weight"])
    # Saved as a transposed view, so with strides of its own.
    tensors["conv1_2.weight"] = tensors["conv1_2.weight"].permute(0, 1, 3, 2)
    if form == "bfloat16":
        tensors["conv2_1.weight"] = tensors["conv2_1.weight"].bfloat16()
    path = tmp_path / "a.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=form != "legacy")
    got = read_state_dict(path)
    assert list(got) == list(tensors)
    for key, tensor in tensors.items():
        expected = tensor.detach().float().numpy()
        np.testing.assert_array_equal(got[key].read().astype(np.float32), expected)


@pytest.mark.parametrize("form", ["zip", "legacy", "tar"])
def test_torch_reads_what_the_writers_write(form, tmp_path):
    torch = pytest.importorskip("torch")
    state = torch_state(network_files.random_params(), "features", "torchvision")
    path = tmp_path / "a.pth"
    getattr(network_files, f"write_torch_{form}")(path, state)
    # Our own file, so that it may be trusted; the tar format can be read in no other way.
    got = torch.load(path, weights_only=form != "tar")
    assert list(got) == list(state)
    for key, value in state.items():
        np.testing.assert_array_equal(got[key].numpy(), value)


def test_reads_torch_modules(tmp_path):
    torch = pytest.importorskip("torch")
    convolution = torch.nn.Conv2d(3, 4, 3)
    torch.save(convolution.state_dict(), tmp_path / "a.pth")
    assert read_state_dict(tmp_path / "a.pth")["weight"].shape == (4, 3, 3, 3)
    torch.save(convolution, tmp_path / "b.pth")
    with pytest.raises(FileFormatError, match="asks for torch"):
        read_state_dict(tmp_path / "b.pth")
