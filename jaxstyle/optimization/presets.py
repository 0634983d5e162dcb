"""Named recipes: this project's own, the paper's, and those of well-known systems.

All recipes have the same form and differ in their numbers. Losses are means, and the Gram matrix is
divided by the number of positions only. With this,
`c · content + Σ s_l · style_l + t · total_variation` equals each system's own objective; the
comments give that system's formula. Some weights depend on a layer's number of filters N or
positions M, so a preset computes them from the network and the picture.
"""

from collections.abc import Mapping

from jaxstyle import solvers
from jaxstyle.losses.content import get_content_loss
from jaxstyle.losses.spec import LossSpec, LossWeights
from jaxstyle.networks.spec import VGGSpec
from jaxstyle.optimization import compact
from jaxstyle.optimization.preset import Preset, Sizes

__all__ = ["PRESETS", "Preset", "Sizes", "get_preset"]

_STYLE_LAYERS = LossSpec().style_layers
_MATCHED_LAYERS = (
    "relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3", "relu4_3",
    "relu5_1",
)  # fmt: skip


def _by_filters(factor: float, sizes: Sizes) -> dict[str, float]:
    """Returns `factor / N²` for each style layer.

    A system that divides its Gram matrices by N divides their losses by N².
    """
    return {layer: factor / sizes.filters[layer] ** 2 for layer in sizes.spec.style_layers}


def _differences(sizes: Sizes) -> float:
    """Counts the neighbouring pairs in one direction, as the mean over both directions.

    A mean over pairs times this number is their sum: exactly if the picture is square, and within
    0.04 % for 4:3 at 512 px.
    """
    height, width = sizes.shape
    return 3 * (height * width - (height + width) / 2)


def _neural_style(sizes: Sizes) -> LossWeights:
    # 5 mean(F − P)² + 100 Σ mean(G/N − A/N)², and the gradient of 1e-3/2 Σ (x − x')² in 0–255.
    # Departures: that system scales pictures by 256, not 255. It leaves the last row and column out
    # of the total variation, and the total variation out of the loss that it reports.
    return LossWeights(
        content=5.0,
        style=_by_filters(100.0, sizes),
        total_variation=0.5e-3 * 255**2 * _differences(sizes),
        out_of_range=0.0,
    )


def _gordic(sizes: Sizes) -> LossWeights:
    # 1e5 mean(F − P)² + 3e4/5 Σ sum(G/N − A/N)² + Σ|x − x'| in 0–255.
    return LossWeights(1e5, 3e4 / 5, total_variation=255.0 * _differences(sizes), out_of_range=0.0)


def _gatys2016(sizes: Sizes) -> LossWeights:
    # α/2 sum(F − P)² + β Σ 1/5 · sum(GM − AM)² / (4N²M²), with α/β = 1e-3.
    alpha, beta = 1.0, 1e3
    return LossWeights(
        content={
            layer: alpha * sizes.filters[layer] * sizes.positions[layer] / 2
            for layer in sizes.spec.content_layers
        },
        style=beta / 20,
        out_of_range=0.0,
    )


def _strotss(sizes: Sizes) -> LossWeights:
    # α content + REMD + moments + palette/16, with α = 16 at 64 px and half of it at twice the
    # size. The paper divides the whole by α + 2, and the palette by α.
    layers = max(1, len(sizes.spec.style_layers))
    alpha = 16.0 * 64 / max(sizes.shape)
    factor = get_content_loss(sizes.spec.content_loss).factor
    content = alpha / (factor * max(1, len(sizes.spec.content_layers)))
    # The total variation, which the paper lacks, keeps the compact network from fine noise.
    return LossWeights(content, 1.0 / layers, total_variation=0.02)


_ALL = (
    Preset(
        name="default",
        description="this project's own: normalised network, from content, pixels kept in range",
        spec=LossSpec(),
        weigh=lambda sizes: LossWeights(),
        normalized=True,
        solver=solvers.lbfgs,
        num_steps=300,
        smoothing=2000.0,
        strengths=(-4.25, -3.6, -3.05, -2.65, -2.3, -1.9, -1.25, 0.25, 0.65, 1.0),
    ),
    Preset(
        name="compact",
        description="the default recipe with total variation, for the compact network",
        spec=LossSpec(),
        weigh=lambda sizes: compact.WEIGHTS,
        network="compact",
        normalized=True,
        solver=compact.recipe_solver,
        num_steps=300,
        strengths=(-4.45, -3.75, -3.35, -2.9, -2.5, -2.15, -1.5, -0.35, 0.65, 1.0),
    ),
    Preset(
        name="quick",
        description="a first picture in ten steps, from the photograph in the painting's colours",
        spec=LossSpec(),
        weigh=lambda sizes: compact.WEIGHTS,
        network="compact",
        normalized=True,
        init="matched",
        # More would let whole areas change colour in the first steps, and leaves blotches.
        solver=lambda: solvers.lbfgs(preconditioning=0.15),
        num_steps=10,
    ),
    Preset(
        name="layout",
        description="covariances, and how the photograph's places are alike",
        spec=LossSpec(
            content_layers=("relu3_1", "relu4_1"),
            statistic="covariance",
            content_loss="self-similarity",
        ),
        weigh=lambda sizes: LossWeights(6.0, total_variation=40.0),
        normalized=True,
        # For it and the following, one that suits the compact network too.
        solver=compact.recipe_solver,
        num_steps=300,
    ),
    Preset(
        name="strotss",
        description="STROTSS: pieces matched in all layers, and how the photograph's places are "
        "alike",
        # Departures: its network is VGG-16, whose relu5_3 is read in place of relu5_1; it minimises
        # by RMSprop over a Laplacian pyramid, and takes covariances of all layers together.
        spec=LossSpec(
            content_layers=("relu3_1", "relu4_1"),
            style_layers=_MATCHED_LAYERS,
            statistic="strotss",
            content_loss="self-similarity",
        ),
        weigh=_strotss,
        normalized=True,
        init="matched",
        solver=compact.recipe_solver,
        num_steps=200,
        smallest=64,
    ),
    Preset(
        name="nnst",
        description="NNST: pieces rearranged after the photograph, then matched anew each step",
        # Departures: its network is VGG-16, its second stage has no content loss and takes pieces
        # of the turned painting too, and it ends with a step for colours; see `--colors matched`.
        spec=LossSpec(
            content_layers=("relu4_1",),
            style_layers=(*_MATCHED_LAYERS[:7], "relu4_1"),
            statistic="nearest",
            content_loss="self-similarity",
        ),
        weigh=lambda sizes: compact.WEIGHTS,
        normalized=True,
        init="rearranged",
        solver=compact.recipe_solver,
        num_steps=200,
    ),
    Preset(
        name="mrf",
        description="Li and Wand: patches of 3×3 features, matched anew each step",
        # 1e-4 (E(relu3_1) + E(relu4_1)) + 20 content + 1e-3 TV, sums over a network of 0-255.
        # Departures: it pools differently, and begins at a quarter of the size. Here it begins with
        # the painting's colours: in others, patches find none that they come nearer to.
        spec=LossSpec(style_layers=("relu3_1", "relu4_1"), statistic="patches"),
        weigh=lambda sizes: compact.WEIGHTS,
        normalized=True,
        init="matched",
        solver=compact.recipe_solver,
        num_steps=300,
    ),
    Preset(
        name="contextual",
        description="Mechrez et al.: each piece of the painting nearest to some place",
        spec=LossSpec(style_layers=("relu2_1", "relu3_1", "relu4_1"), statistic="contextual"),
        weigh=lambda sizes: compact.WEIGHTS,
        normalized=True,
        init="matched",
        solver=compact.recipe_solver,
        num_steps=300,
    ),
    Preset(
        name="gatys2016",
        description="the paper: average pooling, normalised network, white noise, α/β = 1e-3",
        spec=LossSpec(network=VGGSpec(pooling="average", padding="zero")),
        weigh=_gatys2016,
        normalized=True,
        init="white-noise",
    ),
    Preset(
        name="gatys-notebook",
        description="the authors' PyTorch notebook: original weights, max pooling, from content",
        spec=LossSpec(network=VGGSpec(padding="zero")),
        # mean(F − P)² + Σ 1e3/N² mean(G − A)²
        weigh=lambda sizes: LossWeights(1.0, _by_filters(1e3, sizes), out_of_range=0.0),
    ),
    Preset(
        name="gatys-normalised",
        description="the authors' NeuralImageSynthesis: normalised network, from content",
        spec=LossSpec(network=VGGSpec(padding="zero")),
        # 1e6 mean(F − P)² + 1e9/5 Σ mean(G − A)²
        weigh=lambda sizes: LossWeights(1e6, 2e8, out_of_range=0.0),
        normalized=True,
    ),
    Preset(
        name="neural-style",
        description="jcjohnson/neural-style: from faint noise, squared total variation",
        spec=LossSpec(network=VGGSpec(padding="zero")),
        weigh=_neural_style,
        init="white-noise",
        noise=0.001 / 255,
        num_steps=1000,
    ),
    Preset(
        name="anishathalye",
        description="anishathalye/neural-style: Adam, from noise, squared total variation",
        spec=LossSpec(network=VGGSpec(padding="zero")),
        # 5 mean(F − P)² + 500 Σ 1/5 mean(G/N − A/N)² + 100 (mean dy² + mean dx²) in 0–255
        weigh=lambda sizes: LossWeights(
            5.0,
            _by_filters(100.0, sizes),
            total_variation=100.0 * 255**2,
            out_of_range=0.0,
        ),
        init="white-noise",
        noise=0.256 / 255,
        solver=lambda: solvers.adam(10 / 255),
        num_steps=1000,
    ),
    Preset(
        name="d2l",
        description="Dive into Deep Learning: torchvision's network, Adam, from content",
        # mean(F − P)² + 1e4 Σ mean(G/N − A/N)². Its ReLUs work in place, so all its layers but the
        # last are in fact read after the ReLU. Departure: no total variation, because that system
        # takes it of the picture divided by its channels' standard deviations.
        spec=LossSpec(
            network=VGGSpec(padding="zero"),
            content_layers=("relu4_4",),
            style_layers=(*_STYLE_LAYERS[:-1], "conv5_1"),
        ),
        weigh=lambda sizes: LossWeights(
            1.0,
            _by_filters(1e4, sizes),
            out_of_range=0.0,
        ),
        network="vgg19-torchvision",
        # That system's rate is 0.3, on pixels divided by about 0.225.
        solver=lambda: solvers.adam(0.3 * 0.225),
    ),
    Preset(
        name="gordic",
        description="gordicaleksa: torchvision's network fed 0-255, L1 total variation",
        spec=LossSpec(network=VGGSpec(padding="zero"), total_variation="l1"),
        weigh=_gordic,
        network="vgg19-torchvision",
        unscaled_input=True,
        solver=lambda: solvers.lbfgs_zoom(preconditioning=0),
        num_steps=1000,
    ),
    Preset(
        name="pystiche",
        description="pystiche's first example: original weights, from content",
        spec=LossSpec(network=VGGSpec(padding="zero")),
        # mean(F − P)² + 1e3 · 1/5 Σ mean(G − A)²
        weigh=lambda sizes: LossWeights(1.0, 200.0, out_of_range=0.0),
    ),
    Preset(
        name="tensorflow-tutorial",
        description="a common TensorFlow tutorial: average pooling, Adam, from faint noise",
        spec=LossSpec(network=VGGSpec(pooling="average", padding="zero")),
        # 5 mean(F − P)² + 0.2 Σ mean(G/N − A/N)²
        weigh=lambda sizes: LossWeights(5.0, _by_filters(0.2, sizes), out_of_range=0.0),
        init="white-noise",
        noise=0.1 / 255,
        solver=lambda: solvers.adam(0.2 / 255),
        num_steps=1000,
    ),
)

PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in _ALL}
"""Every preset by name."""


def get_preset(name: str) -> Preset:
    """Returns a preset by name.

    Args:
      name: a key of `PRESETS`.

    Returns:
      The `Preset`.

    Raises:
      ValueError: if the name is unknown; the message lists the valid ones.

    Example:
      >>> get_preset("gatys2016").spec.network.pooling
      'average'
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; valid: {', '.join(PRESETS)}")
    return PRESETS[name]
