"""Patch voting: every patch of a picture becomes the nearest one of a painting, again and again.

The patches overlap, and each pixel is the mean of those that cover it. From coarse to fine, and
with some rounds at each size, the patches come to agree. Guides are further channels that are
compared, and not copied; what is used often gets dearer.

Reference: Granot, Feinstein, Shocher, Bagon and Irani, "Drop the GAN: In Defense of Patches Nearest
Neighbors as Single Image Generative Models", CVPR 2022, for the levels and the rounds. Jamriška et
al., "Stylizing Video by Example", SIGGRAPH 2019, for guides and uniform use.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.arrays import default_key, to_device
from jaxstyle._common.checks import check_amount, check_count, check_image, check_key, check_shape
from jaxstyle.image.matching import match_distribution
from jaxstyle.losses.neighbours import grid_shape
from jaxstyle.pieces.guides import Guide, join
from jaxstyle.pieces.pyramids import number_of_levels, pyramid
from jaxstyle.pieces.quilting import quilt_texture
from jaxstyle.pieces.rounds import enlarge, vote_once

PATCH = 7
"""The default side of a patch, in pixels."""
ROUNDS = 4
"""The default number of rounds at a size."""
EVENNESS = 0.02
"""The default of how much a patch's uses count against it."""
FIDELITY = 0.5
"""The default weight of a photograph, relative to what is painted already."""
_FAINT = 0.3  # of its own contrast has a start that chooses among what guides leave open
_SHARP = 8.0  # the power of the bell by which a pixel is the mean of patches, in the last round


def patch_texture(
    painting: Array,
    shape: tuple[int, int],
    *,
    patch: int = PATCH,
    rounds: int = ROUNDS,
    evenness: ArrayLike = EVENNESS,
    key: Array | None = None,
) -> Array:
    """Makes a texture like a painting by patch voting, from a quilt of its coarsest level.

    Args:
      painting: `[H', W', 3]` in [0, 1].
      shape: height and width of the texture.
      patch: the side of a patch, in pixels, odd; static.
      rounds: at each size; half as many at the last, and at least two. Static.
      evenness: how much uses count against a patch, relative to the difference of two patches that
        have nothing to do with each other; scalar.
      key: a `jax.random.key` for the quilt; `key(0)` by default.

    Returns:
      `[H, W, 3]`, within the range of the painting.

    Raises:
      ValueError: if a picture is smaller than a patch, or `patch` is not odd.

    Example:
      >>> import jax
      >>> painting = jax.random.uniform(jax.random.key(0), (16, 16, 3))
      >>> patch_texture(painting, (12, 20), patch=3).shape
      (12, 20, 3)
    """
    check_image(painting, "painting")
    height, width = check_shape(shape, "shape")
    check_patch(patch, painting=painting.shape, shape=(height, width))
    key = default_key() if key is None else check_key(key, "key")
    levels = number_of_levels(painting.shape, (height, width), least=2 * patch)
    nothing = _nothing((height, width))
    start = _quilt(painting, nothing, key, patch=patch, levels=levels)
    return vote_coarse_to_fine(
        painting, _nothing(painting.shape), nothing, start, patch=patch, rounds=rounds,
        evenness=evenness, levels=levels,
    )  # fmt: skip


def patch_transfer(
    content: Array,
    painting: Array,
    *,
    fidelity: ArrayLike = FIDELITY,
    patch: int = PATCH,
    rounds: int = ROUNDS,
    evenness: ArrayLike = EVENNESS,
) -> Array:
    """Makes a photograph of patches of a painting, by patch voting.

    The photograph in the painting's colours is the guide of the search, and its start. It counts
    twice as much at each coarser level: what goes where is settled there, and strokes later.

    Args:
      content: `[H, W, 3]` in [0, 1].
      painting: `[H', W', 3]` in [0, 1].
      fidelity: how much the photograph counts at the finest level, relative to what is painted
        already; scalar.
      patch: as for `patch_texture`.
      rounds: as for `patch_texture`.
      evenness: as for `patch_texture`.

    Returns:
      `[H, W, 3]`, within the range of the painting.

    Raises:
      ValueError: if a picture is smaller than a patch, or `patch` is not odd.

    Example:
      >>> import jax
      >>> content, painting = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))
      >>> patch_transfer(content, painting, patch=3).shape
      (16, 16, 3)
    """
    check_image(content, "content")
    check_image(painting, "painting")
    check_patch(patch, content=content.shape, painting=painting.shape)
    check_amount(fidelity, "fidelity")
    levels = number_of_levels(painting.shape, content.shape, least=2 * patch)
    guide, root = match_distribution(content, painting), jnp.sqrt(to_device(fidelity))
    return vote_coarse_to_fine(
        painting, root * painting, root * guide, pyramid(guide, levels)[0], patch=patch,
        rounds=rounds, evenness=evenness, levels=levels, falloff=0.5,
    )  # fmt: skip


def patch_analogy(
    filtered: Array,
    guides: Sequence[Guide],
    *,
    patch: int = PATCH,
    rounds: int = ROUNDS,
    evenness: ArrayLike = EVENNESS,
    key: Array | None = None,
) -> Array:
    """Makes a picture of patches of another, where guides say what belongs together.

    It starts from a quilt of the coarsest level, which only chooses among what guides leave open:
    in the first round they count much more.

    Args:
      filtered: A', `[H', W', 3]` in [0, 1], what is copied.
      guides: pairs of pictures: of the first `source` is A and `target` is B.
      patch: as for `patch_texture`.
      rounds: as for `patch_texture`.
      evenness: as for `patch_texture`.
      key: as for `patch_texture`.

    Returns:
      B', `[H, W, 3]`, within the range of A'.

    Raises:
      ValueError: if there is no guide, or sizes do not fit.

    Example:
      >>> import jax
      >>> a, b = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))
      >>> patch_analogy(1 - a, [Guide(a, b)], patch=3).shape
      (16, 16, 3)
    """
    check_image(filtered, "filtered")
    if not guides:
        raise ValueError("guides should hold a pair of pictures or more, got none")
    target = guides[0].target
    check_patch(patch, filtered=filtered.shape, target=target.shape)
    source, wanted = join(guides, _nothing(filtered.shape), _nothing(target.shape))
    levels = number_of_levels(filtered.shape, target.shape, least=2 * patch)
    key = default_key() if key is None else check_key(key, "key")
    start = _quilt(filtered, target, key, patch=patch, levels=levels)
    return vote_coarse_to_fine(
        filtered, source, wanted, start, patch=patch, rounds=rounds, evenness=evenness,
        levels=levels, by_guides=True,
    )  # fmt: skip


def _nothing(shape: Sequence[int]) -> Array:
    """Returns no channels of a height and width."""
    return to_device(np.zeros((*shape[:2], 0)))


def _quilt(painting: Array, like: Array, key: Array, *, patch: int, levels: int) -> Array:
    """Returns a quilt of the coarsest level of a painting, as large as that of a picture."""
    coarsest, small = pyramid(painting, levels)[0], pyramid(like, levels)[0].shape
    block = min(2 * patch, *coarsest.shape[:2])
    return quilt_texture(coarsest, (small[0], small[1]), block=block, key=key).image


def check_patch(patch: int, **shapes: Sequence[int]) -> None:
    """Raises `ValueError` unless patches are odd, and no larger than pictures of some shapes."""
    if check_count(patch, "patch") % 2 == 0:
        raise ValueError(f"patch should be an odd number, got {patch}")
    for name, shape in shapes.items():
        if min(shape[:2]) < patch:
            raise ValueError(
                f"{name} should have at least {patch}×{patch} pixels, as a patch has, got "
                f"{shape[0]}×{shape[1]}"
            )


def vote_coarse_to_fine(
    values: Array,
    source: Array,
    target: Array,
    start: Array,
    *,
    patch: int,
    rounds: int,
    evenness: ArrayLike,
    levels: int,
    falloff: float = 1.0,
    by_guides: bool = False,
) -> Array:
    """Makes a picture of patches at every level, from the one before.

    Args:
      values: `[H', W', 3]`, what is copied.
      source: `[H', W', g]`, its guides.
      target: `[H, W, g]`, those of the picture.
      start: the picture at the coarsest level.
      patch: the side of a patch.
      rounds: at each level, and half as many, or two, at the last.
      evenness: how much uses count.
      levels: how many.
      falloff: of the guides' weight from one level to the next finer one.
      by_guides: whether the start chooses only among what guides leave open.
    """
    check_amount(evenness, "evenness")
    check_count(rounds, "rounds")
    even = to_device(evenness)
    image, voted = start, None
    triples = zip(*(pyramid(each, levels) for each in (values, source, target)), strict=True)
    for number, (copied, guide, wanted) in enumerate(triples):
        uses = to_device(np.zeros(grid_shape(copied.shape[:2], patch)))
        if voted is not None:
            image, uses = enlarge(voted, copied, shape=wanted.shape[:2], patch=patch)
        root = to_device(falloff ** ((number + 1 - levels) / 2))
        guide, wanted = root * guide, root * wanted
        if number == 0 and by_guides:
            faint = to_device(_FAINT)
            image = vote_once(
                copied, faint * copied, faint * image, guide, wanted, uses, even, to_device(1.0), 0,
                patch=patch, instead=image,
            ).image  # fmt: skip
        finest = number + 1 == levels
        count = max(2, rounds // 2) if finest else rounds
        for i in range(count):
            sharp = to_device(_SHARP if finest and i + 1 == count else 1.0)
            voted = vote_once(
                copied, copied, image, guide, wanted, uses, even, sharp, i, patch=patch
            )
            image, uses = voted.image, voted.uses
    return image
