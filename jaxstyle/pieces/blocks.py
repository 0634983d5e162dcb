"""Blocks of a painting laid in raster order, each where it fits those that are there.

See `jaxstyle.pieces.quilting` for what is made of them.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common.checks import check_count
from jaxstyle._common.kept import always, kept
from jaxstyle.image.color import luminance
from jaxstyle.pieces.correlation import box_sums, correlate, spectra
from jaxstyle.pieces.rows import over_rows
from jaxstyle.pieces.seams import cut

_OVERLAP = 6  # a block's side is so many times its overlap
_SLACK = 0.1  # of the least error: what is worse by less is as good
# A squared difference of colours that nobody sees: without it nothing is as good as an exact match.
_UNSEEN = 3 * (0.5 / 255) ** 2


class Quilt(NamedTuple):
    """A picture made of blocks.

    Attributes:
      image: `[H, W, 3]`, each pixel of which is one of the painting's.
      places: `[rows, columns, 2]` int32, the row and the column of each block in the painting.
      seams: `[rows, columns]`, the mean squared difference of colours along the seams of each
        block to those above and to the left of it; zero where no seam shows.
    """

    image: Array
    places: Array
    seams: Array


def check_blocks(shape: tuple[int, ...], block: int, overlap: int | None) -> int:
    """Returns the overlap of blocks; raises unless blocks of a side fit into a painting.

    Args:
      shape: height and width of the painting.
      block: the side.
      overlap: as it is given; None for a sixth of the side.

    Raises:
      ValueError: if they do not.
    """
    check_count(block, "block", 2)
    if block > min(shape[:2]):
        raise ValueError(
            f"block should be at most {min(shape[:2])}, the painting's shorter side, got {block}"
        )
    overlap = max(1, round(block / _OVERLAP)) if overlap is None else overlap
    if check_count(overlap, "overlap") >= block:
        raise ValueError(f"overlap should be less than block, {block}, got {overlap}")
    return overlap


class Weights(NamedTuple):
    """What counts in the error of a block.

    Attributes:
      overlap: with the blocks that are there.
      light: of the photograph.
      previous: the picture of the pass before.
      uses: of the place so far.
    """

    overlap: Array
    light: Array
    previous: Array
    uses: Array


class _Constants(NamedTuple):
    """What all rows of blocks share.

    Attributes:
      painting: `[h, w, 3]`.
      mean: `[3]`, of the painting.
      spectra: of its planes: colours and luminance, each less its mean.
      overlaps: `[4, …]`, the sums of squares of colours over the overlaps of a block, without and
        with those to the left, and above.
      whole: `[2, …]`, those over whole blocks, of colours and of luminance.
      unlike: the mean squared difference of two pixels.
      previous: the picture of the pass before, less the mean, as large as the canvas.
      light: the photograph's, less the mean of the painting's, as large as the canvas.
      weights: what counts.
      key: draws.
    """

    painting: Array
    mean: Array
    spectra: Array
    overlaps: Array
    whole: Array
    unlike: Array
    previous: Array
    light: Array
    weights: Weights
    key: Array


class _Laid(NamedTuple):
    """What is laid so far.

    Attributes:
      canvas: as large as whole blocks.
      uses: of each place of the painting: the parts of the blocks that it shares with those laid.
      blocks: how many.
    """

    canvas: Array
    uses: Array
    blocks: Array


def lay(
    painting: Array,
    previous: Array,
    light: Array,
    weights: Weights,
    key: Array,
    *,
    block: int,
    overlap: int,
) -> Quilt:
    """Lays blocks of a painting over a picture, from its upper left to its lower right corner.

    Args:
      painting: `[H', W', 3]`.
      previous: the picture of the pass before, `[H, W, 3]`.
      light: a photograph's luminance in each channel, `[H, W, 3]`.
      weights: what counts.
      key: draws among the blocks that fit.
      block: the side of a block.
      overlap: of neighbours.
    """
    height, width = previous.shape[:2]
    rows, columns = (number_of_blocks(side, block, overlap) for side in (height, width))
    constants, nothing = _prepare(
        painting, previous, light, weights, key, block=block, overlap=overlap
    )
    laid, (places, seams) = over_rows(
        _lay_row, constants, nothing, rows, block=block, overlap=overlap, columns=columns
    )
    return Quilt(_cropped(laid.canvas, shape=(height, width)), places, seams)


@functools.partial(jax.jit, static_argnames="shape")
def _cropped(image: Array, *, shape: tuple[int, int]) -> Array:
    return image[: shape[0], : shape[1]]


def number_of_blocks(side: int, block: int, overlap: int) -> int:
    """Returns how many blocks cover a side of a picture."""
    return max(1, math.ceil((side - overlap) / (block - overlap)))


@functools.partial(kept, static_argnames=("block", "overlap"), hurry=always)
def _prepare(
    painting: Array,
    previous: Array,
    light: Array,
    weights: Weights,
    key: Array,
    *,
    block: int,
    overlap: int,
) -> tuple[_Constants, _Laid]:
    """Returns what rows share, and what the first of them takes over."""
    mean, bright = jnp.mean(painting, axis=(0, 1)), jnp.mean(luminance(painting))
    colors, shade = painting - mean, luminance(painting) - bright
    squares = jnp.sum(colors**2, axis=-1)
    valid = painting.shape[0] - block + 1, painting.shape[1] - block + 1

    def sums(rows: int, columns: int) -> Array:
        return box_sums(squares, rows, columns)[: valid[0], : valid[1]]

    left, above, corner = sums(block, overlap), sums(overlap, block), sums(overlap, overlap)
    overlaps = jnp.stack([jnp.zeros(valid), left, above, left + above - corner])
    whole = jnp.stack([box_sums(squares, block, block), 3 * box_sums(shade**2, block, block)])
    sides = [
        number_of_blocks(side, block, overlap) * (block - overlap) + overlap
        for side in previous.shape[:2]
    ]
    beyond = [(0, max(0, side - had)) for side, had in zip(sides, previous.shape, strict=False)]
    larger = functools.partial(jnp.pad, pad_width=(*beyond, (0, 0)), mode="edge")
    constants = _Constants(
        painting, mean, spectra(jnp.concatenate([colors, shade[..., None]], axis=-1)),
        overlaps, whole, 2 * jnp.mean(squares), larger(previous) - mean,
        larger(light[..., :1]) - bright, weights, key,
    )  # fmt: skip
    return constants, _Laid(jnp.zeros_like(constants.previous), jnp.zeros(valid), jnp.zeros(()))


@functools.partial(kept, static_argnames=("block", "overlap", "columns"))
def _lay_row(
    constants: _Constants, laid: _Laid, row: Array, *, block: int, overlap: int, columns: int
) -> tuple[_Laid, tuple[Array, Array]]:
    """Lays a row of blocks; returns what is laid, and the places and the seams of the blocks."""
    place = functools.partial(_lay_block, constants, row, block=block, overlap=overlap)
    return jax.lax.scan(place, laid, jnp.arange(columns))


def _lay_block(
    constants: _Constants, row: Array, laid: _Laid, column: Array, *, block: int, overlap: int
) -> tuple[_Laid, tuple[Array, Array]]:
    corner = row * (block - overlap), column * (block - overlap), 0
    old = jax.lax.dynamic_slice(laid.canvas, corner, (block, block, 3))
    errors = _errors(constants, old, corner, row > 0, column > 0, overlap=overlap)
    errors += constants.weights.uses * _overuse(constants, laid, block) * block * overlap
    key = jax.random.fold_in(jax.random.fold_in(constants.key, row), column)
    slack = _UNSEEN * block * overlap * constants.weights.overlap
    place = _draw(key, errors, (1 + _SLACK) * jnp.min(errors) + slack)
    new = jax.lax.dynamic_slice(constants.painting, (*place, 0), (block, block, 3))
    kept, seam = _older(jnp.sum((new - old) ** 2, axis=-1), row > 0, column > 0, overlap)
    both = jnp.where(kept[..., None], old, new)
    laid = _Laid(
        jax.lax.dynamic_update_slice(laid.canvas, both, corner),
        laid.uses + _shared(laid.uses.shape, place, block),
        laid.blocks + 1,
    )
    return laid, (jnp.stack(place), seam)


def _overuse(constants: _Constants, laid: _Laid, block: int) -> Array:
    """Returns what the uses of each place come to, in squared differences of a pixel."""
    height, width, _ = constants.painting.shape
    expected = laid.blocks * (block**2 / (height * width))
    return constants.unlike * laid.uses / (1 + expected)


def _shared(shape: tuple[int, ...], place: tuple[Array, Array], block: int) -> Array:
    """Returns how much of the block of each place belongs to that of one place too, 0 to 1."""
    rows, columns = (
        jnp.maximum(0.0, 1 - jnp.abs(jnp.arange(size) - at) / block)
        for size, at in zip(shape, place, strict=True)
    )
    return rows[:, None] * columns


def _errors(
    constants: _Constants,
    old: Array,
    corner: tuple[Array, Array, int],
    above: Array,
    left: Array,
    *,
    overlap: int,
) -> Array:
    """Returns the error of every place of the painting, `[h - block + 1, w - block + 1]`."""
    (fit, light, before, _), block = constants.weights, old.shape[0]
    previous = jax.lax.dynamic_slice(constants.previous, corner, (block, block, 3))
    wanted = jax.lax.dynamic_slice(constants.light, corner, (block, block, 1))
    near = jnp.arange(block) < overlap
    mask = ((above & near[:, None]) | (left & near[None, :]))[..., None]
    laid = jnp.where(mask, old - constants.mean, 0.0)
    template = jnp.concatenate([fit * laid + before * previous, 3 * light * wanted], axis=-1)
    shape = constants.painting.shape[0], constants.painting.shape[1]
    crossed = correlate(template, constants.spectra, shape)
    squares = fit * constants.overlaps[2 * above.astype(int) + left]
    squares += jnp.tensordot(jnp.stack([before, light]), constants.whole, 1)
    own = fit * jnp.sum(laid**2) + before * jnp.sum(previous**2) + 3 * light * jnp.sum(wanted**2)
    return jnp.maximum(squares - 2 * crossed + own, 0.0)


def _draw(key: Array, errors: Array, most: Array) -> tuple[Array, Array]:
    """Returns row and column of a place, drawn among those with errors of at most so much."""
    fits = jnp.cumsum((errors <= most).ravel(), dtype=jnp.int32)
    drawn = jax.random.randint(key, (), 0, fits[-1])
    place = jnp.searchsorted(fits, drawn, side="right").astype(jnp.int32)
    return place // errors.shape[1], place % errors.shape[1]


def _older(errors: Array, above: Array, left: Array, overlap: int) -> tuple[Array, Array]:
    """Returns which pixels of a block stay as they are, `[block, block]`, and the seams' mean.

    Args:
      errors: what each pixel costs that a seam crosses.
      above: whether there is a block above it.
      left: whether there is one to the left.
      overlap: with each of them.
    """
    side = jnp.arange(len(errors))
    upright, level = cut(errors[:, :overlap]), cut(errors[:overlap].T)
    kept = left & (side[None, :] < upright.path[:, None])
    kept |= above & (side[:, None] < level.path[None, :])
    crossed = jnp.where(left, upright.cost, 0.0) + jnp.where(above, level.cost, 0.0)
    return kept, crossed / (len(errors) * jnp.maximum(1, left.astype(int) + above))
