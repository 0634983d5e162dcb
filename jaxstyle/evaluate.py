"""Scores stylised pictures beside two pictures on which no style transfer was done.

The judge is VGG-19 with its published weights, `load_params("vgg19")`. It measures its own losses
and, at layers that no recipe optimises, distances between distributions of features. The structural
similarity to the photograph is measured too, and whether places are to each other as they are in
the photograph, and which pieces of the painting are used.

A low style loss at the layers that a picture was optimised for says only that the optimiser worked.
Layers in between, and another statistic, tell better whether the style is there. Numbers mean
little without two baselines beside them: the content image, and the content image with the colours
of the style image.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common.arrays import default_key, numeral
from jaxstyle._common.checks import check_image, check_key, check_picture
from jaxstyle._common.sharding import on_any_mesh
from jaxstyle.image.color import luminance, match_color
from jaxstyle.image.pixels import quantize
from jaxstyle.image.similarity import check_large_enough, structural_similarity
from jaxstyle.losses import judged
from jaxstyle.losses.features import features
from jaxstyle.losses.objective import objective
from jaxstyle.losses.spec import LossSpec, LossWeights, check_spec
from jaxstyle.losses.statistics import Quantiles, get_statistic
from jaxstyle.losses.targets import Targets, compute_targets
from jaxstyle.networks import vgg
from jaxstyle.networks.spec import VGGSpec

SPEC = LossSpec(network=VGGSpec(padding="zero"))
"""What the judge compares: the paper's layers, with the padding that VGG was trained with."""
WITHHELD = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
"""Layers between those that the default recipe optimises."""
MATCHED = ("relu3_1", "relu4_1")
"""Layers at which places and pieces are compared; those that a network lacks are left out."""
BASELINES = ("content image", "colours matched")
"""Names of the pictures on which no style transfer was done; see `baselines`."""

_EVEN = LossWeights(content=1.0, style=1.0, out_of_range=0.0)
_LEAST_SIMILARITY = 0.01  # it may be negative, which says no more than none
_SLICED = get_statistic("sliced")


class Scores(NamedTuple):
    """What is measured of one picture: scalars, before any weighting.

    Attributes:
      content: `{layer: scalar}`, content losses.
      style: `{layer: scalar}`, style losses.
      sliced: `{layer: scalar}`, squared sliced Wasserstein distances to the style image.
      style_left: `style` divided by the content image's own losses. 1 means that nothing was done,
        0 that no difference is left.
      sliced_left: `sliced` divided in the same way.
      similarity: the `structural_similarity` of the luminance to that of the content image.
      self_similarity: `{layer: scalar}`, how far places are from being to each other as they are in
        the content image; see `jaxstyle.losses.judged`.
      structure: `{layer: scalar}`, the content feature structural distance (CFSD) at the first of
        these layers.
      distinct: `{layer: scalar}`, how many different pieces of the style image are the nearest to a
        place of the picture, as a share of all places.
      cosine: `{layer: scalar}`, the mean cosine of each place and its nearest piece.
    """

    content: dict[str, Array]
    style: dict[str, Array]
    sliced: dict[str, Array]
    style_left: dict[str, Array]
    sliced_left: dict[str, Array]
    similarity: Array
    self_similarity: dict[str, Array] = {}  # noqa: RUF012 (never changed)
    structure: dict[str, Array] = {}  # noqa: RUF012
    distinct: dict[str, Array] = {}  # noqa: RUF012
    cosine: dict[str, Array] = {}  # noqa: RUF012

    @property
    def overall(self) -> Array:
        r"""One number to rank pictures of one photograph and one painting by; less is better.

        .. math:: \exp\Bigl(\tfrac{1}{n} \sum_l \ln r_l\Bigr) \Big/ \max(\mathrm{SSIM}, 0.01)

        :math:`r_l` are the fractions that are left of the style, `style_left` and `sliced_left`. A
        geometric mean lets every layer count for its own ratio, however far the others have come.
        What the picture has lost of the photograph's structure makes the number larger. The content
        image itself has 1. How much structure is worth a style is a convention: between pictures
        that differ in both, look at both.
        """
        left = jnp.stack([*self.style_left.values(), *self.sliced_left.values()])
        return jnp.exp(jnp.mean(jnp.log(left))) / jnp.maximum(self.similarity, _LEAST_SIMILARITY)

    def __repr__(self) -> str:
        """Returns the scores that are numbers, and the means of the others."""
        parts = {
            "overall": self.overall,
            "style_left": _mean(self.style_left),
            "sliced_left": _mean(self.sliced_left),
            "similarity": self.similarity,
        }
        shown = ", ".join(f"{name} {numeral(value)}" for name, value in parts.items())
        return f"Scores({shown})"


class Reference(NamedTuple):
    """What the pictures of one photograph and one painting are compared with; a pytree of arrays.

    Attributes:
      luminance: `[H, W]`, the luminance of the content image.
      targets: the targets of the layers that are compared.
      sliced: `{layer: Quantiles}`, distributions of the style image's features.
      style: `{layer: scalar}`, the content image's own style losses.
      distances: `{layer: scalar}`, the content image's own sliced distances.
      photograph: `{layer: Photograph}`, how the content image's places are to each other.
      pieces: `{layer: [m, c]}`, pieces of the style image.
    """

    luminance: Array
    targets: Targets
    sliced: dict[str, Quantiles]
    style: dict[str, Array]
    distances: dict[str, Array]
    photograph: dict[str, judged.Photograph]
    pieces: dict[str, Array]


@on_any_mesh
def evaluate(
    params: Any,
    pictures: Mapping[str, Array],
    content: Array,
    style: Array,
    *,
    spec: LossSpec = SPEC,
    withheld: Sequence[str] = WITHHELD,
) -> dict[str, Scores]:
    """Scores pictures that were made from one photograph and one painting, and both baselines.

    Args:
      params: the judge's parameters.
      pictures: `{name: [H, W, 3]}` in [0, 1].
      content: `[H, W, 3]` in [0, 1].
      style: `[H', W', 3]` in [0, 1].
      spec: what is compared, and how the judge pools and pads.
      withheld: layers whose distributions are compared.

    Returns:
      A dictionary from name to `Scores`. The baselines "content image" and "colours matched" come
      first, then the pictures.

    Raises:
      ValueError: if a picture is not as large as the content image, or for the reasons that
        `compute_reference` names.

    Example:
      >>> from jaxstyle.networks import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4), ("conv2_1", 4)))
      >>> spec = LossSpec(content_layers=("relu2_1",), style_layers=("relu1_1",))
      >>> content, style = jax.random.uniform(jax.random.key(1), (2, 16, 16, 3))
      >>> found = evaluate(params, {"mean": (content + style) / 2}, content, style,
      ...                  spec=spec, withheld=["relu2_1"])
      >>> list(found)
      ['content image', 'colours matched', 'mean']
      >>> float(found["mean"].similarity) < float(found["content image"].similarity)
      True
      >>> round(float(found["content image"].overall), 3)
      1.0
    """
    reference = compute_reference(params, content, style, spec=spec, withheld=withheld)
    everything = baselines(content, style) | dict(pictures)
    return {
        name: score(params, picture, reference, spec=spec) for name, picture in everything.items()
    }


def baselines(content: Array, style: Array) -> dict[str, Array]:
    """Makes the two pictures without any style transfer, as they would be saved.

    A style transfer's scores are compared with theirs.

    Args:
      content: `[H, W, 3]` in [0, 1].
      style: `[H', W', 3]` in [0, 1].

    Returns:
      A dictionary from name to image `[H, W, 3]`. It has the content image, and the content image
      with the mean and covariance of the style image's colours.
    """
    return dict(zip(BASELINES, (content, quantize(match_color(content, style))), strict=True))


@on_any_mesh
def compute_reference(
    params: Any,
    content: Array,
    style: Array,
    *,
    spec: LossSpec = SPEC,
    withheld: Sequence[str] = WITHHELD,
    key: Array | None = None,
) -> Reference:
    """Measures a photograph and a painting once for many pictures.

    Args:
      params: the judge's parameters.
      content: `[H, W, 3]` in [0, 1].
      style: `[H', W', 3]` in [0, 1].
      spec: what is compared, and how the judge pools and pads.
      withheld: layers whose distributions are compared.
      key: a `jax.random.key` for the directions of the sliced distances; `key(0)` by default.

    Returns:
      The `Reference` that `score` takes.

    Raises:
      ValueError: if an image does not fit, or the network lacks a layer.

    Example:
      >>> from jaxstyle.networks import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=("relu1_1",))
      >>> content, style = jax.random.uniform(jax.random.key(1), (2, 16, 16, 3))
      >>> reference = compute_reference(params, content, style, spec=spec, withheld=())
      >>> score(params, content, reference, spec=spec).style_left["relu1_1"].item()
      1.0
    """
    check_spec(spec)
    check_picture(content, "content")
    check_large_enough(content.shape)
    targets = compute_targets(params, content, style, spec)
    key = default_key() if key is None else check_key(key, "key")
    sliced = _measure_sliced(params, style, key, spec=spec, layers=tuple(withheld))
    losses, distances = _measure(params, content, targets, sliced, spec=spec)
    own = {layer: losses[f"style/{layer}"] for layer in spec.style_layers}
    matched = _measure_matched(params, content, style, spec=spec, layers=_matched(params, spec))
    return Reference(luminance(content), targets, sliced, own, distances, *matched)


@on_any_mesh
def score(params: Any, picture: Array, reference: Reference, *, spec: LossSpec = SPEC) -> Scores:
    """Scores one picture, in one compiled program.

    Args:
      params: the judge's parameters.
      picture: `[H, W, 3]` in [0, 1], as large as the content image.
      reference: from `compute_reference` with the same `params` and `spec`.
      spec: what is compared.

    Returns:
      `Scores`. A fraction is nan or infinite where the content image's own loss is zero.

    Raises:
      ValueError: if the picture is not as large as the content image.
    """
    check_spec(spec)
    check_picture(picture, "picture")
    if picture.shape[:2] != reference.luminance.shape:
        (height, width), (h, w) = picture.shape[:2], reference.luminance.shape
        raise ValueError(
            f"the picture has {height}×{width} pixels, but the content image has {h}×{w}; "
            "resize the content image"
        )
    scores: Scores = _score(params, picture, reference, spec=spec)
    return scores


def losses_by_layer(
    params: Any, image: Array, targets: Targets, *, spec: LossSpec = LossSpec()
) -> dict[str, Array]:
    """Computes the unweighted content and style losses of an image, in one compiled program.

    Args:
      params: the network's parameters.
      image: `[H, W, 3]`.
      targets: from `compute_targets` with the same `spec`.
      spec: what is compared.

    Returns:
      The losses by name, scalars under "content/LAYER" and "style/LAYER".

    Raises:
      ValueError: if the image or the targets do not fit `spec`.
    """
    check_image(image, "image")
    losses: dict[str, Array] = _measure(params, image, targets, {}, spec=spec)[0]
    return losses


def _mean(values: Mapping[str, Array]) -> Array:
    return jnp.mean(jnp.stack(list(values.values()))) if values else jnp.float32(jnp.nan)


@functools.partial(jax.jit, static_argnames="spec")
def _score(params: Any, picture: Array, reference: Reference, *, spec: LossSpec) -> Scores:
    losses, distances = _measure(params, picture, reference.targets, reference.sliced, spec=spec)
    style = {layer: losses[f"style/{layer}"] for layer in spec.style_layers}
    layers = tuple(reference.photograph)
    maps = features(params, picture, spec, layers) if layers else {}
    uses = {k: judged.use_of_pieces(maps[k], reference.pieces[k]) for k in layers}
    return Scores(
        content={layer: losses[f"content/{layer}"] for layer in spec.content_layers},
        style=style,
        sliced=distances,
        style_left=jax.tree.map(jnp.divide, style, reference.style),
        sliced_left=jax.tree.map(jnp.divide, distances, reference.distances),
        similarity=structural_similarity(luminance(picture), reference.luminance),
        self_similarity={
            k: judged.self_similarity_error(maps[k], reference.photograph[k]) for k in layers
        },
        structure={
            k: judged.structure_distance(maps[k], reference.photograph[k]) for k in layers[:1]
        },
        distinct={k: use.distinct for k, use in uses.items()},
        cosine={k: use.cosine for k, use in uses.items()},
    )


def _matched(params: Any, spec: LossSpec) -> tuple[str, ...]:
    if not isinstance(spec.network, VGGSpec):
        return ()
    known = vgg.layer_names(vgg.network_widths(params))
    return tuple(layer for layer in MATCHED if layer in known)


@functools.partial(jax.jit, static_argnames=("spec", "layers"))
def _measure_matched(
    params: Any, content: Array, style: Array, *, spec: LossSpec, layers: tuple[str, ...]
) -> tuple[dict[str, judged.Photograph], dict[str, Array]]:
    if not layers:
        return {}, {}
    of_content, of_style = (features(params, image, spec, layers) for image in (content, style))
    return (
        {layer: judged.measure_photograph(maps) for layer, maps in of_content.items()},
        {layer: judged.pieces_of(maps) for layer, maps in of_style.items()},
    )


@functools.partial(jax.jit, static_argnames="spec")
def _measure(
    params: Any, image: Array, targets: Targets, sliced: dict[str, Quantiles], *, spec: LossSpec
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Returns losses by layer, and sliced distances by layer."""
    terms = objective(image, params, targets, _EVEN, spec=spec).terms
    losses = {name: term for name, term in terms.items() if name.startswith(("content/", "style/"))}
    # The objective has computed some of these maps already; XLA finds and reuses them.
    maps = features(params, image, spec, tuple(sliced)) if sliced else {}
    distances = {layer: _SLICED.loss(maps[layer], None, target) for layer, target in sliced.items()}
    return losses, distances


@functools.partial(jax.jit, static_argnames=("spec", "layers"))
def _measure_sliced(
    params: Any, style: Array, key: Array, *, spec: LossSpec, layers: tuple[str, ...]
) -> dict[str, Quantiles]:
    maps = features(params, style, spec, layers) if layers else {}
    return {
        layer: _SLICED.measure(maps[layer], None, jax.random.fold_in(key, i))
        for i, layer in enumerate(layers)
    }
