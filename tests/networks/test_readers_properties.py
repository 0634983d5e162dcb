"""Readers of networks give back what was written, and refuse any other bytes in one line."""

import io
import pickle
import zipfile

import h5py
import ml_dtypes
import numpy as np
import pytest
import scipy.io
from helpers import network_files
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save_file

from jaxstyle._common.text import printable
from jaxstyle.errors import FileFormatError
from jaxstyle.networks.formats.caffemodel import read_caffemodel
from jaxstyle.networks.formats.containers import open_container
from jaxstyle.networks.formats.matfile import read_matfile
from jaxstyle.networks.formats.pickles import interpret
from jaxstyle.networks.formats.statedict import read_state_dict
from jaxstyle.networks.layouts import convert

# The same examples each time: a test that fails by chance tells nobody what to do.
examples = settings(max_examples=20, deadline=None, derandomize=True, database=None)
many = settings(examples, max_examples=80)

NAMES = st.text("abcdef._0123456789", min_size=1, max_size=12).filter(
    lambda name: name.strip(".") == name
)


def arrays(*kinds):
    shapes = hnp.array_shapes(max_dims=4, max_side=4)
    return st.sampled_from(kinds).flatmap(
        lambda kind: hnp.arrays(
            kind,
            shapes,
            elements=st.floats(-100, 100, width=16) if kind[0] == "f" else st.integers(0, 100),
        )
    )


def assert_read(stored, written):
    assert set(stored) == set(written)
    for name, array in written.items():
        assert stored[name].shape == array.shape
        got = stored[name].read()
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, array)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("readers")


@pytest.mark.parametrize("form", ["zip", "big-endian", "legacy", "tar"])
@given(state=st.dictionaries(NAMES, arrays("f4", "f2", "f8"), max_size=4))
@examples
@pytest.mark.slow
def test_state_dicts_come_back(form, folder, state):
    path = folder / "a.pth"
    if form in ("zip", "big-endian"):
        network_files.write_torch_zip(path, state, big_endian=form == "big-endian")
    else:
        getattr(network_files, f"write_torch_{form}")(path, state)
    assert_read(read_state_dict(path), state)


@given(
    state=st.dictionaries(NAMES, arrays("f4", "f2", "f8"), min_size=1, max_size=4),
    notes=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)
@examples
@pytest.mark.slow
def test_safetensors_come_back(folder, state, notes):
    path = folder / "a.safetensors"
    half = {f"{k}.half": v.astype(ml_dtypes.bfloat16) for k, v in state.items()}
    save_file(state | half, path, notes)
    kind, stored, metadata = open_container(path)
    assert_read(stored, state | half)
    assert (kind, metadata) == ("safetensors", notes)


@given(
    state=st.dictionaries(NAMES, arrays("f4", "f2", "f8"), max_size=4),
    options=st.sampled_from(
        [{}, {"compression": "gzip"}, {"compression": "gzip", "shuffle": True}, {"chunks": True}]
    ),
)
@examples
def test_hdf5_comes_back(folder, state, options):
    path = folder / "a.h5"
    with h5py.File(path, "w") as file:
        for name, array in state.items():
            file.create_dataset(f"group/{name}", data=array, **options)
    kind, stored, _ = open_container(path)
    assert_read(stored, {f"group/{name}": array for name, array in state.items()})
    assert kind == "HDF5"


@given(
    state=st.dictionaries(
        st.text("abcdef", min_size=1, max_size=12),
        st.one_of(arrays("f4", "f8", "i2", "u1"), st.text("abc é", max_size=9)),
        max_size=4,
    ),
    packed=st.booleans(),
)
@examples
def test_matlab_variables_come_back(folder, state, packed):
    path = folder / "a.mat"
    nested = {"deep": state | {"one": 1.0}}
    scipy.io.savemat(path, state | {"nested": nested}, do_compression=packed)
    got = read_matfile(path)
    expected = scipy.io.loadmat(path)
    for name, value in state.items():
        if isinstance(value, str):
            assert got[name] == value
        else:
            np.testing.assert_array_equal(got[name], expected[name])
    assert set(got["nested"][0]["deep"][0]) == {*state, "one"}


@given(array=arrays("f4"), form=st.sampled_from(["V1", "new", "double"]), name=NAMES)
@examples
def test_caffe_blobs_come_back(folder, array, form, name):
    path = folder / "a.caffemodel"
    blob = network_files._blob(array, form)
    layer, name_field, blobs_field = (2, 4, 6) if form == "V1" else (100, 1, 7)
    body = network_files._field(name_field, name.encode()) + network_files._field(blobs_field, blob)
    path.write_bytes(network_files._field(layer, body))
    shape = array.shape if form != "V1" else (1,) * (4 - array.ndim) + array.shape
    shape = shape[3:] if form == "V1" and shape[:3] == (1, 1, 1) else shape
    stored = read_caffemodel(path)
    assert list(stored) == [f"{name}.weight"]
    assert stored[f"{name}.weight"].shape == shape
    np.testing.assert_array_equal(stored[f"{name}.weight"].read(), array.reshape(shape))


MAGIC = {
    "h5": b"\x89HDF\r\n\x1a\n",
    "mat": b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM",
    "zip": b"PK\x03\x04",
    "pth": b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001)),
    "safetensors": b"\x10\0\0\0\0\0\0\0{",
    "caffemodel": b"\x0a\x01a\xa2\x06",
    "nothing": b"",
}


def assert_refused(path, reader):
    try:
        reader(path)
    except FileFormatError as error:
        message = str(error)
        assert message.startswith(f"{path}: ")
        assert printable(message) == message
        assert len(message) < 5000


@pytest.mark.parametrize("kind", MAGIC)
@given(data=st.binary(max_size=600))
@many
def test_any_bytes_are_read_or_refused_in_a_line(kind, folder, data):
    path = folder / f"any.{kind}"
    path.write_bytes(MAGIC[kind] + data)
    assert_refused(path, convert)


INSTRUCTIONS = st.one_of(
    st.sampled_from([b"(", b")", b"}", b"]", b"N", b"\x88", b"t", b"\x85", b"\x86", b"\x87", b"a"]),
    st.sampled_from([b"e", b"s", b"u", b"\x94", b"\x93", b"R", b"b", b"Q", b".", b"0", b"2"]),
    st.sampled_from([b"ctorch\nFloatStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n"]),
    st.sampled_from([network_files.ORDERED, b"ccollections\nOrderedDict\n", b"cos\nsystem\n"]),
    st.builds(lambda n: b"K" + bytes([n]), st.integers(0, 255)),
    st.builds(lambda n: b"q" + bytes([n]), st.integers(0, 3)),
    st.builds(lambda n: b"h" + bytes([n]), st.integers(0, 3)),
    st.builds(network_files._text, st.sampled_from(["storage", "cpu", "0", "state_dict"])),
)


@given(steps=st.lists(INSTRUCTIONS, max_size=40))
@settings(many, max_examples=150)
def test_any_pickle_is_read_or_refused_in_a_line(folder, steps):
    path = folder / "pickle.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x04" + b"".join(steps))
        archive.writestr("a/data/0", bytes(16))
    assert_refused(path, convert)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=VALUES, protocol=st.sampled_from([2, 4, 5]))
@examples
def test_plain_pickles_mean_what_they_mean_to_python(value, protocol):
    assert interpret(io.BytesIO(pickle.dumps(value, protocol))) == value


@given(text=st.text())
@examples
def test_printable_text_is_one_line_and_stays_as_it_is(text):
    shown = printable(text)
    assert printable(shown) == shown
    assert len(shown.splitlines()) <= 1
    shown.encode()
