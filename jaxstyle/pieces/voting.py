"""Patch voting: every patch of a picture becomes the nearest one of a painting, again and again.

The patches overlap, and each pixel is the mean of those that cover it. From coarse to fine, and
with some rounds at each size, the patches come to agree. Guides are further channels that are
compared, and not copied; what is used often gets dearer.

Reference: Granot, Feinstein, Shocher, Bagon and Irani, "Drop the GAN: In Defense of Patches Nearest
Neighbors as Single Image Generative Models", CVPR 2022, for the levels and the rounds. Jamriška et
al., "Stylizing Video by Example", SIGGRAPH 2019, for guides and uniform use.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.arrays import default_key, to_device
from jaxstyle._common.checks import check_amount, check_count, check_image, check_key, check_shape
from jaxstyle._common.kept import always, kept
from jaxstyle.image.matching import match_distribution
from jaxstyle.losses.neighbours import describe, gather, grid_shape, nearest, vote
from jaxstyle.pieces.correlation import box_sums
from jaxstyle.pieces.directions import directions, project
from jaxstyle.pieces.guides import Guide, join
from jaxstyle.pieces.pyramids import gaussian, number_of_levels, pyramid
from jaxstyle.pieces.quilting import quilt_texture
from jaxstyle.pieces.rows import over_rows

PATCH = 7
"""The default side of a patch, in pixels."""
ROUNDS = 4
"""The default number of rounds at a size."""
EVENNESS = 0.02
"""The default of how much a patch's uses count against it."""
FIDELITY = 0.5
"""The default weight of a photograph, relative to what is painted already."""
_STRIDE = 2  # pixels from one patch of the picture to the next; those of the painting are all there
_DIRECTIONS = 24
_FAINT = 0.3  # of its own contrast has a start that chooses among what guides leave open
_SHARP = 8.0  # the power of the bell by which a pixel is the mean of patches, in the last round
_ROWS = 8  # of patches that are searched for at once


class _Search(NamedTuple):
    """What all patches of a size share.

    Attributes:
      keys: `[m, e]`, the painting's patches along `basis`.
      basis: `[d, e]`, the directions of the search.
      bias: `[m]`, how dear each patch is by its uses.
      picture: `[h, w, c]`, the picture so far and what guides it.
    """

    keys: Array
    basis: Array
    bias: Array
    picture: Array


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


class _Voted(NamedTuple):
    """A picture after a round.

    Attributes:
      image: `[H, W, 3]`.
      places: `[rows, columns, 2]` int32, the place of each patch in the painting.
      offset: `[2]` int32, where the first patch lies.
      uses: `[h, w]`, how often each patch of the painting, or one close to it, was used, relative
        to even use.
    """

    image: Array
    places: Array
    offset: Array
    uses: Array


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
            image, uses = _enlarge(voted, copied, shape=wanted.shape[:2], patch=patch)
        root = to_device(falloff ** ((number + 1 - levels) / 2))
        guide, wanted = root * guide, root * wanted
        if number == 0 and by_guides:
            faint = to_device(_FAINT)
            image = _round(
                copied, faint * copied, faint * image, guide, wanted, uses, even, to_device(1.0), 0,
                patch=patch, instead=image,
            ).image  # fmt: skip
        finest = number + 1 == levels
        count = max(2, rounds // 2) if finest else rounds
        for i in range(count):
            sharp = to_device(_SHARP if finest and i + 1 == count else 1.0)
            voted = _round(copied, copied, image, guide, wanted, uses, even, sharp, i, patch=patch)
            image, uses = voted.image, voted.uses
    return image


def _round(
    values: Array,
    compared: Array,
    image: Array,
    source: Array,
    target: Array,
    uses: Array,
    evenness: Array,
    sharp: Array,
    number: int,
    *,
    patch: int,
    instead: Array | None = None,
) -> _Voted:
    """Replaces every patch by the nearest one, and lets them vote.

    Every second pixel begins a patch. If no patch then ends with the last row or column, these stay
    as they are; in every second round it is the first ones that do.

    Args:
      values: `[h, w, 3]`, what is copied.
      compared: what of it is compared with the picture so far.
      image: the picture so far.
      source: the guides of what is copied.
      target: those of the picture.
      uses: of the round before.
      evenness: how much they count.
      sharp: how much more the middle of a patch counts than its edge; 1 for a bell.
      number: of the round, from 0.
      patch: the side of a patch.
      instead: what the patches are voted into; the picture so far by default.
    """
    rows, columns = grid_shape(target.shape[:2], patch, _STRIDE)
    turns = (number, (number + 1) // 2)  # of rows and of columns: all four corners have theirs
    left = [(s - patch) % _STRIDE * (i % 2) for s, i in zip(target.shape, turns, strict=False)]
    offset = to_device(np.array(left), jnp.int32)
    search = _begin(compared, image, source, target, uses, evenness, offset, patch=patch)
    _, index = over_rows(
        _search_rows, search, to_device(0.0), -(-rows // _ROWS), patch=patch, columns=columns
    )
    canvas = image if instead is None else instead
    voted: _Voted = _finish(values, canvas, index, offset, sharp, patch=patch)
    return voted


@functools.partial(kept, static_argnames="patch", hurry=always)
def _begin(
    compared: Array,
    image: Array,
    source: Array,
    target: Array,
    uses: Array,
    evenness: Array,
    offset: Array,
    *,
    patch: int,
) -> _Search:
    keys = describe([compared, source], patch=patch)
    basis = directions(keys, _DIRECTIONS)
    unlike = 2 * jnp.sum(jnp.var(keys, axis=0))
    picture = jnp.concatenate([image, target], -1)
    grid = grid_shape(picture.shape[:2], patch, _STRIDE)
    corner, covered = (offset[0], offset[1], 0), _covered(grid, patch)
    picture = jax.lax.dynamic_slice(picture, corner, (*covered, picture.shape[2]))
    # Whole bands of rows, of which the last are not looked at.
    picture = jnp.pad(picture, ((0, -grid[0] % _ROWS * _STRIDE), (0, 0), (0, 0)))
    return _Search(project(keys, basis), basis, evenness * unlike * uses.ravel(), picture)


@functools.partial(kept, static_argnames=("patch", "columns"))
def _search_rows(
    search: _Search, carry: Array, band: Array, *, patch: int, columns: int
) -> tuple[Array, Array]:
    """Returns the places of some rows of patches among the keys, `[_ROWS, columns]`."""
    height = (_ROWS - 1) * _STRIDE + patch
    part = jax.lax.dynamic_slice_in_dim(search.picture, band * (_ROWS * _STRIDE), height)
    rows = describe([part], patch=patch, stride=_STRIDE)
    found = nearest(project(rows, search.basis), search.keys, bias=search.bias)
    return carry, found.index.reshape(_ROWS, -1)[:, :columns]


def _covered(grid: tuple[int, int], patch: int) -> tuple[int, int]:
    """Returns height and width of what a grid of patches covers."""
    return (grid[0] - 1) * _STRIDE + patch, (grid[1] - 1) * _STRIDE + patch


@functools.partial(kept, static_argnames="patch", hurry=always)
def _finish(
    values: Array, image: Array, index: Array, offset: Array, sharp: Array, *, patch: int
) -> _Voted:
    shape = grid_shape(image.shape[:2], patch, _STRIDE)
    index = index.reshape(-1, shape[1])[: shape[0]]
    patches = gather(describe([values], patch=patch), index.ravel())
    # What lies in the middle of a patch fits best, and a plain mean would blur.
    bell = jnp.broadcast_to(
        (gaussian(patch) / gaussian(patch).max()) ** sharp, (index.size, patch**2)
    )
    voted = vote(patches, _covered(shape, patch), patch=patch, stride=_STRIDE, weights=bell)
    image = jax.lax.dynamic_update_slice(image, voted, (offset[0], offset[1], 0))
    grid = grid_shape(values.shape[:2], patch)
    places = jnp.stack([index // grid[1], index % grid[1]], axis=-1)
    counts = jnp.zeros(grid).at[places[..., 0], places[..., 1]].add(1.0)
    near = box_sums(jnp.pad(counts, patch // 2), patch, patch) / patch**2
    return _Voted(image, places, offset, near * (grid[0] * grid[1] / index.size))


@functools.partial(kept, static_argnames=("shape", "patch"), hurry=always)
def _enlarge(
    voted: _Voted, values: Array, *, shape: tuple[int, int], patch: int
) -> tuple[Array, Array]:
    """Returns picture and uses twice as large: the pixels that the patches have there.

    Args:
      voted: at the coarser level.
      values: at the finer level, what is copied.
      shape: height and width there.
      patch: the side of a patch.
    """
    at = []
    for axis in (0, 1):
        fine = jnp.arange(shape[axis])
        coarse = fine // 2 - voted.offset[axis]
        middle = (coarse - patch // 2 + _STRIDE // 2) // _STRIDE
        nearby = jnp.clip(middle, 0, voted.places.shape[axis] - 1)
        at.append((nearby, coarse - nearby * _STRIDE, fine % 2))
    (rows, down, odd_rows), (columns, across, odd_columns) = at
    places = voted.places[rows[:, None], columns]
    y = 2 * (places[..., 0] + down[:, None]) + odd_rows[:, None]
    x = 2 * (places[..., 1] + across) + odd_columns
    image = values[jnp.clip(y, 0, values.shape[0] - 1), jnp.clip(x, 0, values.shape[1] - 1)]
    return image, jax.image.resize(voted.uses, grid_shape(values.shape[:2], patch), "linear")
