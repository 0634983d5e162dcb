"""jaxstyle against PyTorch: the same network, images and weights on both sides."""

import numpy as np
import pytest
from helpers.shared import shared_file

import jaxstyle
from jaxstyle import LossSpec, LossWeights, VGGSpec, solvers
from jaxstyle.networks import vgg
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.presets import get_preset
from jaxstyle.optimization.transfer import initial_image
from jaxstyle.solvers import limited_memory

torch = pytest.importorskip("torch", reason="PyTorch is the oracle here: pip install '.[parity]'")

# It needs PyTorch.
from scripts.benchmarks.torch_oracle import Oracle, from_torch, to_torch  # noqa: E402

# On pictures this small, its threads only wait for each other.
torch.set_num_threads(1)

CONVOLUTIONS = [name for name, _ in vgg.VGG19_WIDTHS]
# Odd sizes make every pool round down at another place.
PHOTOGRAPHS = {
    "tubingen_praefcke.jpg": (97, 131),
    "coffee.png": (64, 64),
    "rocket.jpg": (75, 50),
}
SHAPE = (48, 64)


@pytest.fixture(scope="module")
def params():
    return load_network(str(shared_file("weights/vgg19_keras_layout.h5"))).params


@pytest.fixture(scope="module")
def normalized():
    return load_network(str(shared_file("weights/vgg19_keras_layout.h5")), normalized=True).params


def photograph(name, shape):
    return jaxstyle.load_image(shared_file(f"data/content/{name}"), shape=shape)


def painting(name, shape):
    return jaxstyle.load_image(shared_file(f"data/style/{name}"), shape=shape)


def relative_error(ours, theirs):
    return np.linalg.norm(np.asarray(ours) - theirs) / np.linalg.norm(theirs)


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_all_sixteen_convolutions_agree(params, name, pooling):
    image = photograph(name, PHOTOGRAPHS[name])
    oracle = Oracle(
        params, LossSpec(network=VGGSpec(pooling=pooling, padding="zero")), LossWeights()
    )
    theirs = oracle.features(to_torch(np.asarray(image)), CONVOLUTIONS)
    ours = jaxstyle.features(params, image, CONVOLUTIONS, pooling=pooling)
    assert len(ours) == 16
    for layer in CONVOLUTIONS:
        assert relative_error(ours[layer], from_torch(theirs[layer])) <= 1e-4, layer


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_vgg16_read_from_torchvisions_layout_agrees_with_torch_modules(pooling, tmp_path):
    torch.manual_seed(0)
    pool = torch.nn.MaxPool2d if pooling == "max" else torch.nn.AvgPool2d
    modules, names, c_in = [], [], 3
    for block, depth in enumerate([2, 2, 3, 3, 3], 1):
        for i in range(1, depth + 1):
            modules += [torch.nn.Conv2d(c_in, 4 * block, 3, padding=1), torch.nn.ReLU()]
            names += [f"conv{block}_{i}", f"relu{block}_{i}"]
            c_in = 4 * block
        modules.append(pool(2))
        names.append(f"pool{block}")
    network = torch.nn.Sequential(*modules)
    state = {f"features.{key}": value for key, value in network.state_dict().items()}
    torch.save(state, tmp_path / "vgg16.pth")
    image = np.random.default_rng(0).uniform(size=(37, 49, 3)).astype(np.float32)
    scaled = (image - np.float32((0.485, 0.456, 0.406))) / np.float32((0.229, 0.224, 0.225))
    ours = jaxstyle.features(
        load_network(tmp_path / "vgg16.pth").params, image, names, pooling=pooling
    )
    x = to_torch(scaled)
    with torch.no_grad():
        for name, module in zip(names, network, strict=True):
            x = module(x)
            assert relative_error(ours[name], from_torch(x)) <= 1e-5, name


@pytest.mark.parametrize(
    ("preset", "name"),
    [*(("default", name) for name in PHOTOGRAPHS), ("gatys-notebook", "rocket.jpg"),
     ("pystiche", "rocket.jpg")],
)  # fmt: skip
def test_objective_and_image_gradient_agree(params, normalized, name, preset):
    recipe = get_preset(preset)
    network = normalized if recipe.normalized else params
    content = photograph(name, PHOTOGRAPHS[name])
    style = painting("starry-night.jpg", (80, 101))
    weights = recipe.weights(network, content.shape[:2])
    image = initial_image("content", content.shape[:2], network, content=content, noise=0.1)
    # In float64: rounding flips a few of max pooling's and ReLU's choices, in either library's
    # float32, and each flip moves a patch of the gradient elsewhere.
    oracle = Oracle(network, recipe.spec, weights, torch.float64)
    oracle.set_targets(np.asarray(content), np.asarray(style))
    loss, gradient = oracle.objective_and_gradient(np.asarray(image))
    targets = jaxstyle.compute_targets(network, content, style, recipe.spec)
    value, ours = jaxstyle.objective_and_gradient(
        image, network, targets, weights, spec=recipe.spec
    )
    assert float(value.total) == pytest.approx(loss, rel=1e-4)
    assert relative_error(ours, gradient) <= 1e-3


@pytest.mark.parametrize("init", ["content", "white-noise"])
def test_as_many_evaluations_reach_pytorch_s_loss(normalized, init):
    """At 64 px here; `scripts.benchmarks.benchmark lbfgs` does it at 256 px, for three pairs."""
    recipe = get_preset("default")
    content = photograph("tubingen_praefcke.jpg", SHAPE)
    style = painting("starry-night.jpg", SHAPE)
    start = initial_image(init, SHAPE, normalized, content=content)
    weights = recipe.weights(normalized, SHAPE)
    oracle = Oracle(normalized, recipe.spec, weights)
    oracle.set_targets(np.asarray(content), np.asarray(style))
    theirs = oracle.minimize(np.asarray(start), 60)
    targets = jaxstyle.compute_targets(normalized, content, style, recipe.spec)
    info = jaxstyle.optimize(
        start, normalized, targets, spec=recipe.spec, weights=weights, num_steps=59
    ).info
    assert int(info.evaluations[-1]) == len(theirs) == 60
    assert float(info.loss[-1]) <= theirs[-1]


@pytest.mark.slow
def test_without_the_guard_noise_is_never_left(params, monkeypatch):
    """What pairs without curvature do on the original weights, from noise."""
    content = photograph("tubingen_praefcke.jpg", SHAPE)
    style = painting("starry-night.jpg", SHAPE)
    recipe = get_preset("gatys-notebook")

    def fall(history):
        info = jaxstyle.stylize(
            params,
            content,
            style,
            spec=recipe.spec,
            weights=recipe.weights(params, SHAPE),
            init="white-noise",
            noise=20 / 255,
            num_steps=30,
            solver=solvers.lbfgs(history, max_rise=float("inf")),
        ).info
        return float(info.loss[0] / info.loss[-1])

    assert fall(29) > 20
    monkeypatch.setattr(limited_memory, "has_curvature", lambda s, y: True)
    # Another history is another program: this one is compiled without the guard.
    assert fall(28) < 2
