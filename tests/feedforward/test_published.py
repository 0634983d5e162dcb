"""Published networks, against an independent forward pass in PyTorch."""

import jax
import numpy as np
import pytest
from helpers.shared import shared_file
from safetensors.numpy import load_file, save_file

from jaxstyle.errors import FileFormatError
from jaxstyle.feedforward.layouts import LAYOUTS, read_published
from jaxstyle.feedforward.network import count_styles, paint
from jaxstyle.image.io import load_image

TOLERANCE = 1e-3 / 255
_paint = jax.jit(paint, static_argnames="architecture")


def painted(path, image, style):
    layout, params = read_published(path)
    weights = np.eye(count_styles(params), dtype=np.float32)[style]
    result = _paint(params, image, weights, architecture=layout.architecture)
    return np.asarray(result)


@pytest.fixture(scope="module")
def image():
    return load_image(shared_file("data/content/coffee.png"), shape=(64, 96))


def to_torch(torch, array):
    return torch.from_numpy(np.array(array, np.float64))


def test_magentas_network_paints_as_its_authors_describe_it(image):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle: pip install '.[parity]'")
    F, path = torch.nn.functional, shared_file("weights/feedforward/magenta_stylize26.safetensors")
    weights, style = load_file(path), 7
    x = to_torch(torch, image).permute(2, 0, 1)[None]

    def layer(x, place, stride=1, up=False, act=F.relu):
        kernel = to_torch(torch, weights[f"transformer/{place}/weights"]).permute(3, 2, 0, 1)
        if up:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        side = kernel.shape[-1] // 2
        x = F.conv2d(F.pad(x, (side,) * 4, mode="reflect"), kernel, stride=stride)
        norm = [to_torch(torch, weights[f"transformer/{place}/InstanceNorm/{name}"][style])
                for name in ("gamma", "beta")]  # fmt: skip
        return act(F.instance_norm(x, weight=norm[0], bias=norm[1], eps=1e-5))

    for i in (1, 2, 3):
        x = layer(x, f"contract/conv{i}", stride=1 if i == 1 else 2)
    for i in range(1, 7):
        y = layer(x, f"residual/residual{i}/conv1")
        x = x + layer(y, f"residual/residual{i}/conv2", act=lambda x: x)
    for i in (1, 2):
        x = layer(x, f"expand/conv{i}/conv", up=True)
    x = layer(x, "expand/conv3/conv", act=torch.sigmoid)
    expected = x[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(painted(path, image, style), expected, atol=TOLERANCE)


def test_ml5s_network_paints_as_its_authors_describe_it(image):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle: pip install '.[parity]'")
    F, path = torch.nn.functional, shared_file("weights/feedforward/ml5_mathura.safetensors")
    stored = load_file(path)
    values = iter(stored[f"Variable_{i}" if i else "Variable"] for i in range(len(stored)))
    x = 255 * to_torch(torch, image).permute(2, 0, 1)[None]

    def same(x, side, stride):
        """TensorFlow's SAME: the odd zero goes behind."""
        pads = []
        for length in (x.shape[3], x.shape[2]):
            total = max((-(-length // stride) - 1) * stride + side - length, 0)
            pads += [total // 2, total - total // 2]
        return F.pad(x, pads)

    def layer(x, stride=1, up=False, act=F.relu):
        kernel, shift, scale = (to_torch(torch, next(values)) for _ in range(3))
        if up:  # [h, w, out, in], the gradient of a strided convolution
            h, w = x.shape[2:]
            x = F.conv_transpose2d(x, kernel.permute(3, 2, 0, 1), stride=2)
            x = x[..., : 2 * h, : 2 * w]
        else:
            kernel = kernel.permute(3, 2, 0, 1)
            x = F.conv2d(same(x, kernel.shape[-1], stride), kernel, stride=stride)
        return act(F.instance_norm(x, weight=scale, bias=shift, eps=1e-3))

    x = layer(layer(layer(x), stride=2), stride=2)
    for _ in range(5):
        x = x + layer(layer(x), act=lambda x: x)
    x = layer(layer(x, up=True), up=True)
    x = layer(x, act=lambda x: torch.tanh(x) * 150 + 127.5) / 255
    expected = x[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(painted(path, image, 0), expected, atol=TOLERANCE)


def test_pytorchs_example_paints_the_same(image, tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle: pip install '.[parity]'")
    nn = torch.nn

    class Convolution(nn.Module):
        def __init__(self, before, after, side, stride=1, enlarge=False):
            super().__init__()
            self.enlarge, self.pad = enlarge, nn.ReflectionPad2d(side // 2)
            self.conv2d = nn.Conv2d(before, after, side, stride)

        def forward(self, x):
            if self.enlarge:
                x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
            return self.conv2d(self.pad(x))

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = Convolution(128, 128, 3), Convolution(128, 128, 3)
            self.in1, self.in2 = (nn.InstanceNorm2d(128, affine=True) for _ in range(2))

        def forward(self, x):
            return x + self.in2(self.conv2(torch.relu(self.in1(self.conv1(x)))))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            for i, width in enumerate((32, 64, 128, 64, 32), 1):
                setattr(self, f"in{i}", nn.InstanceNorm2d(width, affine=True))
            self.conv1, self.conv2 = Convolution(3, 32, 9), Convolution(32, 64, 3, 2)
            self.conv3 = Convolution(64, 128, 3, 2)
            for i in range(1, 6):
                setattr(self, f"res{i}", Residual())
            self.deconv1 = Convolution(128, 64, 3, enlarge=True)
            self.deconv2 = Convolution(64, 32, 3, enlarge=True)
            self.deconv3 = Convolution(32, 3, 9)

        def forward(self, x):
            for i in (1, 2, 3):
                x = torch.relu(getattr(self, f"in{i}")(getattr(self, f"conv{i}")(x)))
            for i in range(1, 6):
                x = getattr(self, f"res{i}")(x)
            for i in (1, 2):
                x = torch.relu(getattr(self, f"in{i + 3}")(getattr(self, f"deconv{i}")(x)))
            return self.deconv3(x)

    torch.manual_seed(0)
    network = Network()
    for name, value in network.named_parameters():
        if name.split(".")[-2].startswith("in"):  # they begin as ones and zeros
            nn.init.uniform_(value, 0.5, 1.5)
    torch.save(network.state_dict(), tmp_path / "net.pth")
    network = network.double()
    with torch.no_grad():
        x = 255 * to_torch(torch, image).permute(2, 0, 1)[None]
        expected = network(x)[0].permute(1, 2, 0).numpy() / 255
    found = painted(tmp_path / "net.pth", image, 0)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.slow
def test_odd_sizes_are_kept(image):
    path = shared_file("weights/feedforward/magenta_stylize26.safetensors")
    for shape in ((37, 50), (5, 9)):
        found = painted(path, image[: shape[0], : shape[1]], 3)
        assert found.shape == (*shape, 3)
        assert np.isfinite(found).all()


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a": np.zeros(3, np.float32)}, path)
    with pytest.raises(FileFormatError, match="in no layout that is known; give one of: Magenta"):
        read_published(path)
    names = {name for parts in LAYOUTS["lengstrom"].variables.values() for name in parts.values()}
    save_file({name: np.zeros(3, np.float32) for name in names}, path)
    with pytest.raises(FileFormatError, match=r"Variable has the shape \[3\], which is that of no"):
        read_published(path)
    save_file({name: np.zeros(3, np.float32) for name in names - {"Variable_5"}}, path)
    with pytest.raises(FileFormatError, match="has no Variable_5, which lengstrom's"):
        read_published(path)
