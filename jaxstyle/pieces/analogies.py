"""Image analogies: what was done to one picture is done to another.

`A` is to `A'` as `B` is to the picture that is made. `A'` may be a painting of `A`, a drawing of
it, a filter's result, or a photograph whose label map is `A`. The picture is copied pixel by pixel
from `A'`, from coarse to fine; see `jaxstyle.pieces.pixels`.

References: Hertzmann, Jacobs, Oliver, Curless and Salesin, "Image Analogies", SIGGRAPH 2001.
Ashikhmin, "Synthesizing Natural Textures", I3D 2001.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.arrays import default_key, to_device
from jaxstyle._common.checks import (
    check_amount,
    check_choice,
    check_count,
    check_image,
    check_key,
    check_shape,
)
from jaxstyle.image.color import luminance, with_luminance_of
from jaxstyle.image.matching import match_distribution
from jaxstyle.pieces.guides import Guide, check_same_size, join
from jaxstyle.pieces.pixels import Copied, Level, copy_pixels
from jaxstyle.pieces.pyramids import number_of_levels, pyramid, smoothed

Whose = Literal["painting", "photo"]
"""Whose colours an analogy has."""

COHERENCE = 2.0
"""The default of how much places are favoured that go on from their neighbours."""
CANDIDATES = 2
"""The default number of places that look alike, for each pixel."""
_DIRECTIONS = 24
_TINY = 1e-4  # a standard deviation of luminance below which a picture is flat


class Analogy(NamedTuple):
    """A picture copied from another.

    Attributes:
      image: `[H, W, 3]`.
      places: `[H, W, 2]` int32, the row and the column of `A'` that each pixel is from.
    """

    image: Array
    places: Array


def analogy(
    unfiltered: Array,
    filtered: Array,
    target: Array,
    *,
    coherence: ArrayLike = COHERENCE,
    candidates: int = CANDIDATES,
    colors: Whose = "painting",
    guides: Sequence[Guide] = (),
    levels: int | None = None,
    key: Array | None = None,
) -> Analogy:
    r"""Does to a picture what was done to another: `A : A' = B : B'`.

    A pixel is copied from the best place that goes on from a neighbour's, if

    .. math:: d_{coherent} \le d_{alike} \, (1 + 2^{l - L} \kappa)

    with squared distances, at level l of L; and otherwise from the place that looks most alike.

    Departures: what looks alike is searched for by what is known before a level begins, exactly, in
    the 24 directions in which `A` differs most; the pixels that are there already decide among few
    candidates. The distance has no guess of pixels that are not there.

    Args:
      unfiltered: A, `[H', W', 3]` in [0, 1].
      filtered: A', of the same size.
      target: B, `[H, W, 3]`.
      coherence: κ. More of it keeps larger pieces of A' whole: 0.5 to 5 for drawings and paintings.
      candidates: places that look alike, for each pixel, static; 0 for none, which is Ashikhmin's
        method, many times faster.
      colors: "painting" copies the colours of A' and compares those of A and B, as label maps need;
        "photo" copies luminance alone, remapped to that of B, and keeps the colours of B. Static.
      guides: further pairs of pictures.
      levels: of the pyramids, static; as many as the smaller picture has by default.
      key: a `jax.random.key` that draws where nothing goes on; `key(0)` by default.

    Returns:
      B', and where it was copied from.

    Raises:
      ValueError: if sizes do not fit.

    Example:
      >>> a, b = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))
      >>> bool((analogy(a, 1 - a, a).image == 1 - a).all())
      True

    References: Hertzmann et al., SIGGRAPH 2001, section 3. Ashikhmin, I3D 2001, section 3.
    """
    for name, image in (("unfiltered", unfiltered), ("filtered", filtered), ("target", target)):
        check_image(image, name)
    check_same_size(unfiltered, "unfiltered", filtered, "filtered")
    check_choice("colors", colors, ("painting", "photo"))
    check_amount(coherence, "coherence")
    check_count(candidates, "candidates", 0)
    key = default_key() if key is None else check_key(key, "key")
    source_guide, values, target_guide = unfiltered, filtered, target
    if colors == "photo":
        source_guide, values, target_guide = _in_light_of(unfiltered, filtered, target)
    source_guide, target_guide = join(guides, source_guide, target_guide)
    made = copy_coarse_to_fine(
        source_guide, values, target_guide, to_device(coherence), key, candidates=candidates,
        levels=levels,
    )  # fmt: skip
    if colors == "painting":
        return Analogy(made.values, made.places)
    return Analogy(_lit(target, made.values), made.places)


def analogy_transfer(
    content: Array,
    painting: Array,
    *,
    coherence: ArrayLike = COHERENCE,
    candidates: int = CANDIDATES,
    key: Array | None = None,
) -> Analogy:
    """Paints a photograph in strokes of a painting.

    The painting without its strokes is to the painting as the photograph, in the painting's
    colours, is to the picture.

    Args:
      content: `[H, W, 3]` in [0, 1].
      painting: `[H', W', 3]` in [0, 1].
      coherence: as for `analogy`: more of it keeps larger pieces of the painting whole.
      candidates: as for `analogy`.
      key: as for `analogy`.

    Returns:
      The picture, and where it was copied from.

    Raises:
      ValueError: if one of them is not `[H, W, 3]`.

    Example:
      >>> content, painting = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))
      >>> analogy_transfer(content, painting).image.shape
      (16, 16, 3)

    Reference: Hertzmann et al., SIGGRAPH 2001, section 4, artistic filters.
    """
    check_image(content, "content")
    check_image(painting, "painting")
    matched = match_distribution(content, painting)
    return analogy(
        smoothed(painting), painting, matched, coherence=coherence, candidates=candidates, key=key
    )


def grow_texture(
    painting: Array, shape: tuple[int, int], *, levels: int = 1, key: Array | None = None
) -> Analogy:
    """Makes a texture whose pixels each go on from a neighbour's, in one pass.

    Args:
      painting: `[H', W', 3]` in [0, 1].
      shape: height and width of the texture.
      levels: of a pyramid, static; 1 as in the paper.
      key: a `jax.random.key` that draws the places where nothing goes on; `key(0)` by default.

    Returns:
      The texture, and where it was copied from.

    Raises:
      ValueError: if `painting` is not `[H, W, 3]`.

    Example:
      >>> painting = jax.random.uniform(jax.random.key(0), (16, 16, 3))
      >>> grow_texture(painting, (12, 20)).image.shape
      (12, 20, 3)

    Reference: Ashikhmin, "Synthesizing Natural Textures", I3D 2001, section 3.
    """
    check_image(painting, "painting")
    height, width = check_shape(shape, "shape")
    key = default_key() if key is None else check_key(key, "key")
    shapes = (*painting.shape[:2], 0), (height, width, 0)
    nothing = [to_device(np.zeros(each)) for each in shapes]
    made = copy_coarse_to_fine(
        nothing[0], painting, nothing[1], to_device(0.0), key, candidates=0, levels=levels
    )
    return Analogy(made.values, made.places)


def copy_coarse_to_fine(
    source: Array,
    values: Array,
    target: Array,
    coherence: Array,
    key: Array,
    *,
    candidates: int,
    levels: int | None,
) -> Copied:
    """Copies pixels at every level, each of which looks at the one before.

    Args:
      source: `[H', W', g]`, what guides.
      values: `[H', W', C]`, what is copied.
      target: `[H, W, g]`.
      coherence: κ at the finest level.
      key: draws.
      candidates: for each pixel.
      levels: how many; None for as many as there are.
    """
    if levels is None:
        levels = number_of_levels(source.shape, target.shape)
    pyramids = [pyramid(each, levels) for each in (source, values, target)]
    made = None
    for number, (guide, copied, wanted) in enumerate(zip(*pyramids, strict=True)):
        coarse = coarse_target = None
        if made is not None:
            before = number - 1
            coarse = jnp.concatenate([pyramids[0][before], pyramids[1][before]], axis=-1)
            coarse_target = jnp.concatenate([pyramids[2][before], made.values], axis=-1)
        made = copy_pixels(
            Level(guide, coarse), copied, Level(wanted, coarse_target),
            coherence * to_device(2.0 ** (number + 1 - levels)),
            jax.random.fold_in(key, to_device(number, jnp.uint32)),
            candidates=candidates, most=_DIRECTIONS,
        )  # fmt: skip
    assert made is not None
    return made


@jax.jit
def _lit(image: Array, light: Array) -> Array:
    """Returns an image with a luminance `[H, W, 1]`."""
    return with_luminance_of(image, jnp.broadcast_to(light, image.shape))


@jax.jit
def _in_light_of(unfiltered: Array, filtered: Array, target: Array) -> tuple[Array, Array, Array]:
    r"""Returns luminances `[H, W, 1]`, those of A and A' remapped to that of B.

    .. math:: Y \leftarrow \frac{\sigma_B}{\sigma_A} (Y - \mu_A) + \mu_B
    """
    a, b = luminance(unfiltered), luminance(target)
    scale = jnp.std(b) / jnp.maximum(jnp.std(a), _TINY)
    remapped = [
        scale * (luminance(each) - jnp.mean(a)) + jnp.mean(b) for each in (unfiltered, filtered)
    ]
    return remapped[0][..., None], remapped[1][..., None], b[..., None]
