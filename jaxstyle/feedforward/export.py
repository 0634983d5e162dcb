"""Networks that paint in one pass as ONNX models, for phones, browsers and other runtimes.

The model takes a photograph `image` `[1, 3, height, width]` of any size, RGB in [0, 1], and the
weights `style` `[N]` of the network's styles. It gives `picture`, of the photograph's size, clipped
to [0, 1]. Its metadata name the styles.

A network for video takes two more inputs, both zero for a first frame: `previous`, the painted
frame before, carried onto this one, of the photograph's shape, and `mask`
`[1, 1, height, width]`, where that can be trusted.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jaxstyle._common.files import write_bytes
from jaxstyle.errors import UsageError
from jaxstyle.feedforward.files import FastNetwork
from jaxstyle.feedforward.network import OVER_NETWORKS_GRAY
from jaxstyle.feedforward.previous import MIDDLE, MOST, QUICK

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, _IR = 18, 9  # of 2022: what older runtimes on phones and in browsers know
# Enough doublings of the smallest eigenvalue, which is 1e-10 of the largest at the least.
_ROOT_STEPS = 40
_EPS = 1e-5  # as in `jaxstyle.image.color.mean_and_covariance`


def export_onnx(path: str | Path, network: FastNetwork) -> None:
    """Writes a network as an ONNX model; the file appears whole or not at all.

    Args:
      path: the file to write.
      network: from `jaxstyle.feedforward.files.load_network`.

    Raises:
      UsageError: if the package `onnx` is not installed.
      OSError: if the file cannot be written.
    """
    write_bytes(path, make_onnx(network).SerializeToString())


def make_onnx(network: FastNetwork) -> "ModelProto":
    """Returns a network as an ONNX model.

    Args:
      network: from `jaxstyle.feedforward.files.load_network`.

    Raises:
      UsageError: if the package `onnx` is not installed.
    """
    try:
        from onnx import TensorProto, checker, helper
    except ImportError:
        raise UsageError(
            "the package onnx is not installed; install it with pip install 'jaxstyle[onnx]'"
        ) from None
    form, count = network.architecture, len(network.styles)
    graph = _Graph(network)
    x = matched = graph.moved_colors() if form.output == "residual" else "image"
    if form.output == "residual":
        x = graph.add("Sub", x, graph.constant(np.float32(0.5)))
    if form.previous:
        known = graph.add("Sub", "previous", graph.constant(np.float32(MIDDLE)))
        x = graph.add("Concat", x, graph.add("Mul", known, "mask"), "mask", axis=1)
    first, last = form.kernels
    for i, (side, stride) in enumerate(zip((first, 3, 3), (1, 2, 2), strict=True), 1):
        x = graph.add("Relu", graph.layer(f"contract{i}", x, side, stride))
    for i in range(1, form.blocks + 1):
        y = graph.add("Relu", graph.layer(f"residual{i}_1", x))
        x = graph.add("Add", x, graph.layer(f"residual{i}_2", y))
    for i in (1, 2):
        x = graph.add("Relu", graph.layer(f"expand{i}", x, enlarge=True))
    x = graph.layer("output", x, last)
    # Sides that are no multiple of four came back larger.
    size = graph.add("Slice", graph.add("Shape", "image"), *map(graph.integers, ([2], [4], [0])))
    x = graph.add("Slice", x, graph.integers([0, 0]), size, graph.integers([2, 3]))
    if form.output == "residual":
        x = graph.add("Add", matched, graph.add("Tanh", x))
    elif form.output == "sigmoid":
        x = graph.add("Sigmoid", x)
    elif form.output == "tanh":
        reach, middle = map(graph.constant, np.array([OVER_NETWORKS_GRAY, 0.5], np.float32))
        x = graph.add("Add", graph.add("Mul", graph.add("Tanh", x), reach), middle)
    if form.previous:
        x = graph.lay_over_previous(x)
    graph.add("Clip", x, *map(graph.constant, np.array([0, 1], np.float32)), result="picture")

    shape: list[str | int | None] = [1, 3, "height", "width"]
    inputs: dict[str, list[str | int | None]] = {"image": shape, "style": [count]}
    if form.previous:
        inputs |= {"previous": shape, "mask": [1, 1, *shape[2:]]}
    made = helper.make_graph(
        graph.nodes,
        "paint",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, sides)
            for name, sides in inputs.items()
        ],
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        graph.constants,
    )
    model = helper.make_model(
        made, producer_name="jaxstyle", ir_version=_IR,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )  # fmt: skip
    notes = {key: value for key, value in network.metadata.items() if key == "licence"}
    notes["styles"] = json.dumps([style.name for style in network.styles])
    helper.set_model_props(model, notes)
    checker.check_model(model)
    return model


class _Graph:
    """The nodes and constants of a model that grows.

    Attributes:
      nodes: in the order in which they are computed.
      constants: tensors that nodes refer to.
    """

    def __init__(self, network: FastNetwork):
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._network = network

    def add(self, kind: str, *inputs: str, result: str = "", **attributes: Any) -> str:
        """Adds a node, and returns the name of its result."""
        from onnx import helper

        result = result or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [result], **attributes))
        return result

    def constant(self, value: Any) -> str:
        """Adds a constant, and returns its name."""
        from onnx import numpy_helper

        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def integers(self, values: Sequence[int]) -> str:
        """Adds a constant of integers, such as axes."""
        return self.constant(np.asarray(values, np.int64))

    def layer(
        self, name: str, x: str, side: int = 3, stride: int = 1, *, enlarge: bool = False
    ) -> str:
        """Adds a convolution with its normalisation or its bias."""
        parts = {part: np.asarray(value) for part, value in self._network.params[name].items()}
        y = self._convolution(x, parts["kernel"], side, stride, enlarge)
        if "bias" in parts:
            return self.add("Add", y, self.constant(parts["bias"][:, None, None]))
        scale, shift = (
            self.add("MatMul", "style", self.constant(parts[part])) for part in ("scale", "shift")
        )
        epsilon = self._network.architecture.epsilon
        return self.add("InstanceNormalization", y, scale, shift, epsilon=epsilon)

    def _convolution(
        self, x: str, kernel: NDArray[Any], side: int, stride: int, enlarge: bool
    ) -> str:
        form = self._network.architecture
        if enlarge and form.upsampling == "transposed":
            # JAX correlates the widened map with the kernel; ONNX adds up copies of the kernel.
            turned = kernel[::-1, ::-1].transpose(2, 3, 0, 1)
            return self.add(
                "ConvTranspose", x, self.constant(turned), strides=[2, 2], pads=[0, 0, 1, 1]
            )
        if enlarge:
            factors = self.constant(np.array([1, 1, 2, 2], np.float32))
            x = self.add(
                "Resize", x, "", factors, mode="nearest", nearest_mode="floor",
                coordinate_transformation_mode="asymmetric",
            )  # fmt: skip
        weights = self.constant(kernel.transpose(3, 2, 0, 1))
        strides = [stride, stride]
        if form.padding == "zero":
            return self.add("Conv", x, weights, strides=strides, auto_pad="SAME_UPPER")
        edge = side // 2
        around = self.integers([0, 0, edge, edge, 0, 0, edge, edge])
        x = self.add("Pad", x, around, mode="reflect")
        return self.add("Conv", x, weights, strides=strides)

    def lay_over_previous(self, painted: str) -> str:
        """Adds what `jaxstyle.feedforward.previous.Gate` computes."""
        gate = QUICK * np.asarray(self._network.params["previous"]["gate"])
        share = self.add("Tanh", self.add("MatMul", "style", self.constant(gate)))
        share = self.add("Mul", share, self.constant(np.float32(MOST)))
        share = self.add("Reshape", share, self.integers([1, 3, 1, 1]))
        change = self.add("Mul", self.add("Sub", "previous", painted), "mask")
        return self.add("Add", painted, self.add("Mul", share, change))

    def moved_colors(self) -> str:
        """Adds the map of the photograph's colours to the paintings'; see `palette.move_colors`.

        It is computed with 64 bits: a grey photograph's covariance is nearly singular.
        """
        colors = self._network.params["colors"]
        means, covariances = (np.asarray(colors[k], np.float64) for k in ("mean", "covariance"))
        wide = self.add("Cast", "image", to=_double())
        # `[3, 1]` for a vector, `[3, 3]` for a matrix.
        flat = self.add("Reshape", wide, self.integers([3, -1]))
        mean = self.add("ReduceMean", flat, self.integers([1]))
        centred = self.add("Sub", flat, mean)
        product = self.add("MatMul", centred, self.add("Transpose", centred, perm=[1, 0]))
        count = self.add("Slice", self.add("Shape", flat), *map(self.integers, ([1], [2], [0])))
        covariance = self.add("Div", product, self.add("Cast", count, to=_double()))
        covariance = self.add("Add", covariance, self.constant(_EPS * np.eye(3)))
        root, inverse = self._roots(covariance)
        shares = self.add("Cast", "style", to=_double())
        shares = self.add("Reshape", shares, self.integers([-1, 1, 1]))
        # One matrix and one constant per style, `[N, 3, 3]` and `[N, 3, 1]`.
        inner, _ = self._roots(self._product(root, self.constant(covariances), root))
        matrices = self._product(inverse, inner, inverse)
        constants = self.add("Sub", self.constant(means[..., None]), self._product(matrices, mean))
        matrix, constant = (
            self.add("ReduceSum", self.add("Mul", each, shares), self.integers([0]), keepdims=0)
            for each in (matrices, constants)
        )
        mapped = self.add("Add", self._product(matrix, flat), constant)
        narrow = self.add("Cast", mapped, to=_float())
        return self.add("Reshape", narrow, self.add("Shape", "image"))

    def _product(self, *matrices: str) -> str:
        product, *others = matrices
        for each in others:
            product = self.add("MatMul", product, each)
        return product

    def _roots(self, matrix: str) -> tuple[str, str]:
        """Adds the square roots of positive definite matrices, and their inverses.

        The coupled iteration of Denman and Beavers in Newton and Schulz's form needs products
        alone; see Higham, "Functions of Matrices", 2008, eq. 6.35.
        """
        size = self.add("ReduceL2", matrix, self.integers([-2, -1]))
        three = self.constant(3 * np.eye(3))
        half = self.constant(np.float64(0.5))
        root, inverse = self.add("Div", matrix, size), self.constant(np.eye(3))
        for _ in range(_ROOT_STEPS):
            factor = self.add("Sub", three, self._product(inverse, root))
            factor = self.add("Mul", factor, half)
            root, inverse = self._product(root, factor), self._product(factor, inverse)
        scale = self.add("Sqrt", size)
        return self.add("Mul", root, scale), self.add("Div", inverse, scale)


def _double() -> int:
    from onnx import TensorProto

    return int(TensorProto.DOUBLE)


def _float() -> int:
    from onnx import TensorProto

    return int(TensorProto.FLOAT)
