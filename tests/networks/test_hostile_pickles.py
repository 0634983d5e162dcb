"""Pickles made to do harm: each is refused within seconds, by one line."""

import pickle
import struct
import tracemalloc

import numpy as np
import pytest
from helpers import network_files
from helpers.hostile import refused, zipped
from helpers.network_files import _text


def nested(levels=200):
    """Tuples of a few hundred bytes that take 2**levels steps to hash or to print."""
    twice = (b"h" + bytes([level]) + b"h" + bytes([level]) for level in range(levels))
    return b")\x94" + b"".join(pair + b"\x86\x94" for pair in twice)


TUPLES = nested()
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"(" + _text("storage") + b"ctorch\nFloatStorage\n"


@pytest.mark.parametrize(
    "body",
    [
        b"}" + TUPLES + b"K\x01s.",
        b"}(" + TUPLES + b"K\x01u.",
        b"ccollections\nOrderedDict\n](" + TUPLES + b"K\x01\x86e\x85R.",
        TUPLES + b")R.",
        TUPLES + b"\x85R.",
        _text("os") + TUPLES + b"\x93.",
        TUPLES + _text("system") + b"\x93.",
        TENSOR + b"(" + TUPLES + b"K\x00))tR.",
        TENSOR + STORAGE + _text("0") + _text("cpu") + TUPLES + b"tQ.",
        TENSOR + b"(" + _text("storage") + TUPLES + _text("0") + _text("cpu") + b"K\x01tQ.",
        TENSOR + STORAGE + TUPLES + _text("cpu") + b"K\x01tQ.",
        TENSOR + b"(" + TUPLES + TUPLES + b"K\x01))tR.",
        TUPLES + b".",
    ],
)
@pytest.mark.parametrize("form", ["zip", "legacy", "tar"])
def test_nested_tuples_are_neither_hashed_nor_printed(form, body, tmp_path):
    path, body = tmp_path / "a.pth", b"\x80\x04" + body
    if form == "zip":
        zipped(path, body)
    elif form == "tar":
        network_files.write_torch_tar(path, {}, body)
    else:
        parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {})]
        path.write_bytes(b"".join(parts) + body)
    refused(path, "a PyTorch state dict")


PAIRS = b"](" + b"".join(b"M" + struct.pack("<H", i) + b"K\x01\x86" for i in range(20_000)) + b"e"
ORDERED = b"ccollections\nOrderedDict\n"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        # A long list is named again and again: dictionaries of it, and calls with it.
        (
            ORDERED + b"q\x00" + PAIRS + b"\x85q\x01(" + b"h\x00h\x01R" * 12_000 + b"t.",
            "more than 100,",
        ),
        (TENSOR + b"(" + b"K\x00" * 50_000 + b"tR.", "arguments that it does not take"),
        (ORDERED + PAIRS + b"R.", "arguments that it does not take"),
        (b"(" + b"K\x00" * 50_000 + b"tQ.", "describes a storage"),
    ],
    ids=["dictionaries", "arguments", "a list of arguments", "a storage"],
)
def test_what_a_pickle_repeats_is_counted(body, words, tmp_path):
    tracemalloc.start()
    refused(zipped(tmp_path / "a.pth", b"\x80\x02" + body), words)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


def test_legacy_storages_under_odd_keys(tmp_path):
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {}, {})]
    odd = b"\x80\x04](" + TUPLES + b"e."
    (tmp_path / "a.pth").write_bytes(b"".join(parts) + odd)
    refused(tmp_path / "a.pth", "a tuple where a name should be")


@pytest.mark.parametrize(
    ("body", "member", "words"),
    [
        (network_files._state_pickle({}), bytes(2**26), "not VGG-19 or VGG-16"),
        (b"\x80\x02" + bytes(2**26), b"", "a PyTorch state dict"),
        (b"\x80\x02" + b"N0" * 2**21 + b".", b"", "it uses the pickle instruction POP"),
        (b"\x80\x02" + b"N" * 2**17 + b".", b"", "its pickle takes more than 100,000 instr"),
        (b"\x80\x04\x8d" + struct.pack("<Q", 2**26) + bytes(2**26), b"", "more than 1.0 MB"),
    ],
    ids=["byteorder", "index", "odd steps", "steps", "text"],
)
def test_members_of_a_zip_are_unpacked_as_far_as_a_network_needs(body, member, words, tmp_path):
    path = zipped(tmp_path / "a.pth", body, ("byteorder", member))
    tracemalloc.start()
    refused(path, words)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e7


def test_a_storage_that_unpacks_is_refused(tmp_path):
    body = network_files._state_pickle({"conv1_1.bias": np.ones(2**20, np.float32)})
    path = zipped(tmp_path / "a.pth", body, ("data/0", np.ones(2**20, np.float32).tobytes()))
    refused(path, "storage 0 is packed, not 4194304 bytes")


def test_an_archive_with_a_list_of_megabytes(tmp_path):
    members = ((f"{i:01000}", b"") for i in range(4000))
    refused(zipped(tmp_path / "a.pth", b"}.", *members), "it asks for more than 3.1 MB at once")


def test_a_tar_that_leads_back_to_itself(tmp_path):
    network_files.write_torch_tar(tmp_path / "a.pth", {})
    data = bytearray((tmp_path / "a.pth").read_bytes())
    data[124:136] = b"\xff" * 10 + b"\xfc\x00"  # minus 1024, in base 256
    (tmp_path / "a.pth").write_bytes(data)
    refused(tmp_path / "a.pth", "a PyTorch state dict")


def test_a_tar_with_a_million_tensors(tmp_path):
    network_files.write_torch_tar(tmp_path / "a.pth", {})
    data = (tmp_path / "a.pth").read_bytes()
    wrong = data.replace(pickle.dumps(0, 2), b"\x80\x02J\xff\xff\xff\x7f."[:5] + b".", 1)
    (tmp_path / "a.pth").write_bytes(wrong)
    refused(tmp_path / "a.pth", "a PyTorch state dict")
