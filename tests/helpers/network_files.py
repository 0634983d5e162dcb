"""Writes one set of parameters in every layout that VGG is passed around in, without PyTorch.

Each writer undoes the folding: it takes canonical parameters and stores the kernels that the
layout's own readers would expect. The writers share no code with the package's readers.
"""

import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import jax
import numpy as np
import scipy.io
from safetensors.numpy import save_file

LAYERS = [f"conv{b}_{i}" for b, n in zip(range(1, 6), (2, 2, 4, 4, 4), strict=True) for i in range(1, n + 1)]  # fmt: skip  # noqa: E501
VGG16_LAYERS = [layer for layer in LAYERS if layer not in ("conv3_4", "conv4_4", "conv5_4")]
# Where torchvision has them in `features`, by their number.
PLACES = {
    16: (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
    13: (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
}
CAFFE_MEAN = np.array((123.68, 116.779, 103.939))
TORCH_MEAN, TORCH_STD = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))


def random_params(
    seed: int = 0, mean: np.ndarray = CAFFE_MEAN / 255, layers: Sequence[str] = LAYERS
) -> dict[str, Any]:
    """A narrow network; all widths differ, so that no axis can be mistaken."""
    rng = np.random.default_rng(seed)
    params: dict[str, Any] = {"mean": mean.astype(np.float32)}
    before = 3
    for width, layer in enumerate(layers, start=4):
        kernel = rng.normal(size=(3, 3, before, width)).astype(np.float32)
        params[layer] = {"kernel": kernel, "bias": rng.normal(size=width).astype(np.float32)}
        before = width
    return params


def unfolded(params: dict[str, Any], convention: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kernels (h, w, in, out) and biases for a network that takes the convention's input."""
    arrays = {
        layer: (values["kernel"], values["bias"])
        for layer, values in params.items()
        if layer != "mean"
    }
    kernel, bias = arrays["conv1_1"]
    if convention == "caffe":
        kernel = kernel[:, :, ::-1] / 255
    elif convention == "rgb":
        kernel = kernel / 255
    else:
        kernel = kernel * TORCH_STD[:, None]
    arrays["conv1_1"] = (kernel.astype(np.float32), bias)
    return arrays


def torch_state(params: dict[str, Any], style: str, convention: str) -> dict[str, np.ndarray]:
    """A state dict: style "features" with fully connected layers, or "conv" without."""
    state = {}
    places = PLACES[len(params) - 1]
    for place, (layer, (kernel, bias)) in zip(
        places, unfolded(params, convention).items(), strict=True
    ):
        key = f"features.{place}" if style == "features" else layer
        state[f"{key}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        state[f"{key}.bias"] = bias
    if style == "features":
        state["classifier.0.weight"] = np.ones((5, 19), np.float32)
        state["classifier.0.bias"] = np.ones(5, np.float32)
    return state


def write_keras(path: Path, params: dict[str, Any], form: str = "old") -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if form == "model" else file
        for layer, (kernel, bias) in unfolded(params, "caffe").items():
            name = f"block{layer[4]}_conv{layer[6]}"
            if form == "old":
                keys = f"{name}/{name}_W_1:0", f"{name}/{name}_b_1:0"
            else:
                keys = f"{name}/{name}/kernel:0", f"{name}/{name}/bias:0"
            group[keys[0]], group[keys[1]] = kernel, bias
        group["fc1/fc1/kernel:0"] = np.ones((19, 5), np.float32)
        group["predictions/predictions/bias:0"] = np.ones(5, np.float32)
        group.create_group("block1_pool")


def write_matconvnet(path: Path, params: dict[str, Any], form: str = "new") -> None:
    cells = np.empty((1, len(params) + 1), object)
    for place, (layer, (kernel, bias)) in enumerate(unfolded(params, "rgb").items()):
        cells[0, place] = {"name": layer, "type": "conv", "stride": np.ones((1, 2)), "pad": 1.0}
        if form == "old":
            cells[0, place] |= {"filters": kernel, "biases": bias[None]}
        else:
            pair = np.empty((1, 2), object)
            pair[0, 0], pair[0, 1] = kernel, bias[:, None]
            cells[0, place]["weights"] = pair
    pair = np.empty((1, 2), object)
    pair[0, 0], pair[0, 1] = np.ones((7, 7, 19, 5), np.float32), np.ones((1, 5), np.float32)
    cells[0, -2] = {"name": "fc6", "type": "conv", "weights": pair}
    cells[0, -1] = {"name": "prob", "type": "softmax"}
    mean = np.asarray(params["mean"], np.float64) * 255
    if form == "old":
        # An image whose channels have that mean, and are not constant.
        ramp = np.linspace(-9, 9, 16).reshape(4, 4, 1)
        contents = {"layers": cells, "normalization": {"averageImage": mean + ramp}}
    else:
        average = {"averageImage": mean.reshape(1, 1, 3)}
        contents = {"layers": cells, "meta": {"normalization": average, "classes": "x"}}
    scipy.io.savemat(path, contents, do_compression=form == "new")


# ---- PyTorch's formats, byte by byte -----------------------------------------------------------
_STORAGES = {"float32": "Float", "float16": "Half", "float64": "Double", "int64": "Long",
             "bfloat16": "BFloat16"}  # fmt: skip


def _text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_number, values)) + b"t"


def _storage_type(array: np.ndarray) -> bytes:
    return b"ctorch\n" + _STORAGES[str(array.dtype)].encode() + b"Storage\n"


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(np.prod(shape[axis + 1 :], dtype=int)) for axis in range(len(shape)))


ORDERED = b"ccollections\nOrderedDict\n)R"


def _tensor(key: str, array: np.ndarray, tail: bytes) -> bytes:
    storage = b"(" + _text("storage") + _storage_type(array) + _text(key) + _text("cpu")
    storage += _number(array.size) + tail + b"tQ"
    body = storage + _number(0) + _numbers(array.shape) + _numbers(_strides(array.shape))
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + body + b"\x89" + ORDERED + b"tR"


def _state_pickle(state: dict[str, np.ndarray], tail: bytes = b"") -> bytes:
    items = [_text(name) + _tensor(str(i), a, tail) for i, (name, a) in enumerate(state.items())]
    # state_dict() leaves version numbers in an attribute.
    attributes = b"}" + _text("_metadata") + ORDERED + b"s"
    return b"\x80\x02" + ORDERED + b"(" + b"".join(items) + b"u" + attributes + b"b."


def write_torch_zip(path: Path, state: dict[str, np.ndarray], big_endian: bool = False) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", _state_pickle(state))
        archive.writestr("archive/byteorder", "big" if big_endian else "little")
        for key, array in enumerate(state.values()):
            data = array.astype(array.dtype.newbyteorder(">")) if big_endian else array
            archive.writestr(f"archive/data/{key}", data.tobytes())
        archive.writestr("archive/version", "3\n")


def write_torch_legacy(path: Path, state: dict[str, np.ndarray]) -> None:
    with path.open("wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001):
            pickle.dump(value, file, 2)
        sizes = {"short": 2, "int": 4, "long": 4}
        info = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
        pickle.dump(info, file, 2)
        file.write(_state_pickle(state, tail=b"N"))
        pickle.dump([str(key) for key in range(len(state))], file, 2)
        for array in state.values():
            file.write(struct.pack("<q", array.size) + array.tobytes())


def write_torch_tar(path: Path, state: dict[str, np.ndarray], index: bytes = b"") -> None:
    storages = pickle.dumps(len(state), 2)
    tensors = pickle.dumps(len(state), 2)
    items = b""
    for key, (name, array) in enumerate(state.items()):
        storages += b"\x80\x02" + _number(key) + _text("cpu") + _storage_type(array) + b"\x87."
        storages += struct.pack("<q", array.size) + array.tobytes()
        kind = _storage_type(array).replace(b"Storage", b"Tensor")
        tensors += b"\x80\x02" + _number(1000 + key) + _number(key) + kind + b"\x87."
        layout = (*array.shape, *_strides(array.shape), 0)
        tensors += struct.pack(f"<i4x{len(layout)}q", array.ndim, *layout)
        items += _text(name) + _text(str(1000 + key)) + b"Q"
    members = {
        "sys_info": pickle.dumps({"protocol_version": 1000, "little_endian": True}, 2),
        "pickle": index or b"\x80\x02" + ORDERED + b"(" + items + b"u.",
        "tensors": tensors,
        "storages": storages + pickle.dumps([], 2),
    }
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


# ---- Caffe --------------------------------------------------------------------------------------
def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _blob(array: np.ndarray, form: str) -> bytes:
    if form == "V1":
        shape = (1,) * (4 - array.ndim) + array.shape
        sizes = b"".join(_field(number, size) for number, size in enumerate(shape, start=1))
        return sizes + _field(5, array.astype("<f4").tobytes())
    dims = _field(1, b"".join(map(_varint, array.shape)))
    if form == "double":
        return _field(7, dims) + _field(8, array.astype("<f8").tobytes())
    dims = b"".join(_field(1, size) for size in array.shape)
    values = b"".join(_varint(5 << 3 | 5) + value.tobytes() for value in array.ravel())
    return values + _field(7, dims)


def write_caffe(path: Path, params: dict[str, Any], form: str = "V1") -> None:
    """Form "V1" is the old message, "new" and "double" the new one, "new" with unpacked floats."""
    layer_field, name_field, type_field, blobs_field = (2, 4, 5, 6) if form == "V1" else (100, 1, 2, 7)  # fmt: skip  # noqa: E501
    arrays = unfolded(params, "caffe") | {"fc6": (np.ones((1, 1, 19, 5)), np.ones(5))}
    out = _field(1, b"VGG_ILSVRC_19_layers") + _field(layer_field, _field(name_field, b"relu1_1"))
    for layer, (kernel, bias) in arrays.items():
        body = _field(name_field, layer.encode())
        body += _field(type_field, 4 if form == "V1" else b"Convolution")
        for array in (kernel.transpose(3, 2, 0, 1), bias):
            body += _field(blobs_field, _blob(np.asarray(array, np.float32), form))
        out += _field(layer_field, body)
    path.write_bytes(out)


def write_canonical(path: Path, params: dict[str, Any]) -> None:
    arrays = {"mean": params["mean"]}
    for layer in list(params)[1:]:
        arrays |= {f"{layer}.{part}": params[layer][part] for part in ("kernel", "bias")}
    notes = {"format": "jaxstyle-params", "version": "1", "layout": "keras", "network": "tiny"}
    save_file(arrays, path, notes)


def _torchvision(write: Any) -> Any:
    return lambda path, params: write(path, torch_state(params, "features", "torchvision"))


def _gatys(write: Any) -> Any:
    return lambda path, params: write(path, torch_state(params, "conv", "caffe"))


# File name -> (layout, writer); the file name must not matter except for the published one.
WRITERS: dict[str, tuple[str, Any]] = {
    "old.h5": ("keras", write_keras),
    "new.h5": ("keras", lambda path, params: write_keras(path, params, "new")),
    "model.h5": ("keras", lambda path, params: write_keras(path, params, "model")),
    "old.mat": ("matconvnet", lambda path, params: write_matconvnet(path, params, "old")),
    "new.mat": ("matconvnet", write_matconvnet),
    "zip.pth": ("torchvision", _torchvision(write_torch_zip)),
    "legacy.pth": ("torchvision", _torchvision(write_torch_legacy)),
    "tar.pth": ("torchvision", _torchvision(write_torch_tar)),
    "torchvision.safetensors": (
        "torchvision",
        _torchvision(lambda path, state: save_file(state, path)),
    ),
    "vgg_conv.pth": ("gatys", _gatys(write_torch_legacy)),
    "gatys_zip.pth": ("gatys", _gatys(write_torch_zip)),
    "vgg19-d01eb7cb.pth": (
        "neural-style-pt",
        lambda path, params: write_torch_legacy(path, torch_state(params, "features", "caffe")),
    ),
    "v1.caffemodel": ("caffe", write_caffe),
    "new.caffemodel": ("caffe", lambda path, params: write_caffe(path, params, "new")),
    "double.caffemodel": ("caffe", lambda path, params: write_caffe(path, params, "double")),
    "ours.safetensors": ("jaxstyle", write_canonical),
}


def write(name: str, path: Path, params: dict[str, Any]) -> Path:
    WRITERS[name][1](path, params)
    return path


def params_for(name: str, layers: Sequence[str] = LAYERS) -> dict[str, Any]:
    """Random parameters with the mean that the layout implies."""
    torchvision = WRITERS[name][0] == "torchvision"
    return random_params(mean=TORCH_MEAN if torchvision else CAFFE_MEAN / 255, layers=layers)


def assert_same(got: Any, expected: Any) -> None:
    """Fails unless two trees of parameters have the same parts and, but for rounding, values."""
    assert set(got) == set(expected)
    for got_leaf, leaf in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got_leaf, leaf, rtol=1e-6)
