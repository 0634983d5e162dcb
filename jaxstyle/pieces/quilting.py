"""Image quilting: blocks of a painting laid side by side, cut where they differ least.

Each block overlaps those above and to the left of it. It is drawn among the places of the painting
that fit them about best, and a seam of the least error through each overlap says which pixels are
whose. So every pixel is one of the painting's. `quilt_texture` makes a texture. `quilt_transfer`
also lets the blocks follow the light of a photograph, in passes of ever smaller blocks.

Reference: Efros and Freeman, "Image Quilting for Texture Synthesis and Transfer", SIGGRAPH 2001.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.arrays import default_key, to_device
from jaxstyle._common.checks import check_amount, check_count, check_image, check_key, check_shape
from jaxstyle.image.color import luminance, match_luminance
from jaxstyle.pieces.blocks import Quilt, Weights, check_blocks, lay

BLOCK = 40
"""The default side of a block of a texture, in pixels."""
FIRST_BLOCK = 24
"""The default side of a block of the first pass of a transfer: smaller ones follow a photograph."""
EVENNESS = 0.2
"""The default of how much a block's uses so far count against it."""
PASSES = 4
"""The default number of passes of a transfer."""
_SMALLEST = 5  # the side of a block of the last passes


def quilt_texture(
    painting: Array,
    shape: tuple[int, int],
    *,
    block: int = BLOCK,
    overlap: int | None = None,
    evenness: ArrayLike = EVENNESS,
    key: Array | None = None,
) -> Quilt:
    """Makes a texture like a painting, from blocks of it.

    Departure: a place that was used already counts as worse. Otherwise a painting with a flat part
    ends in it, because what is flat fits itself best. An `evenness` of 0 is the paper's way.

    Args:
      painting: `[H', W', 3]` in [0, 1].
      shape: height and width of the texture.
      block: the side of a block, in pixels, static. It should hold the largest form that repeats.
      overlap: how far neighbours overlap, in pixels, static; a sixth of a block by default.
      evenness: how much uses count, relative to the difference of two pixels of the painting that
        have nothing to do with each other; scalar.
      key: a `jax.random.key` that draws among the blocks that fit; `key(0)` by default.

    Returns:
      The texture, and where its blocks come from.

    Raises:
      ValueError: if the painting is smaller than a block, or an overlap is not smaller than one.

    Example:
      >>> painting = jax.random.uniform(jax.random.key(0), (24, 24, 3))
      >>> quilt_texture(painting, (20, 30), block=12).image.shape
      (20, 30, 3)

    Reference: Efros and Freeman, SIGGRAPH 2001, section 2.
    """
    check_image(painting, "painting")
    height, width = check_shape(shape, "shape")
    overlap = check_blocks(painting.shape[:2], block, overlap)
    key = default_key() if key is None else check_key(key, "key")
    nothing = to_device(np.zeros((height, width, 3)))
    check_amount(evenness, "evenness")
    weights = Weights(*(to_device(value) for value in (1.0, 0.0, 0.0, evenness)))
    return lay(painting, nothing, nothing, weights, key, block=block, overlap=overlap)


def quilt_transfer(
    content: Array,
    painting: Array,
    *,
    block: int = FIRST_BLOCK,
    passes: int = PASSES,
    fidelity: ArrayLike = 1.0,
    key: Array | None = None,
) -> Quilt:
    r"""Makes a photograph of blocks of a painting, in passes of ever smaller ones.

    The error of a block is

    .. math:: \alpha (e_{overlap} + e_{previous}) + (1 - \alpha) e_{light}, \quad
       \alpha_i = 0.1 + 0.8 \, \frac{i - 1}{N - 1}

    and so the first passes look at the photograph's light, and later ones more and more at what
    fits together. Light is luminance, that of the photograph with the mean and the variance of the
    painting's. Blocks of each pass are a third smaller than those before.

    Departure: luminance is compared with three times its square, so that it counts like three
    channels.

    Args:
      content: `[H, W, 3]` in [0, 1].
      painting: `[H', W', 3]` in [0, 1].
      block: the side of a block of the first pass, in pixels, static.
      passes: how many, static; 3 to 5 in the paper.
      fidelity: how much the light counts, relative to the paper's; scalar.
      key: a `jax.random.key` that draws among the blocks that fit; `key(0)` by default.

    Returns:
      The picture of the last pass, `[H, W, 3]`.

    Raises:
      ValueError: if the painting is smaller than a block.

    Example:
      >>> content, painting = jax.random.uniform(jax.random.key(0), (2, 24, 24, 3))
      >>> quilt_transfer(content, painting, block=12, passes=2).image.shape
      (24, 24, 3)

    Reference: Efros and Freeman, SIGGRAPH 2001, section 3.
    """
    check_image(content, "content")
    check_image(painting, "painting")
    check_amount(fidelity, "fidelity")
    check_blocks(painting.shape[:2], block, None)
    key = default_key() if key is None else check_key(key, "key")
    made = None
    for i, side in enumerate(sides(block, check_count(passes, "passes"))):
        made = transfer_pass(
            content, painting, None if made is None else made.image, key, number=i, side=side,
            passes=passes, fidelity=fidelity,
        )  # fmt: skip
    assert made is not None
    return made


def sides(block: int, passes: int) -> list[int]:
    """Returns the sides of the blocks of each pass.

    Example:
      >>> sides(36, 4)
      [36, 24, 16, 11]
    """
    return [max(min(_SMALLEST, block), round(block * (2 / 3) ** i)) for i in range(passes)]


def transfer_pass(
    content: Array,
    painting: Array,
    previous: Array | None,
    key: Array,
    *,
    number: int,
    side: int,
    passes: int,
    fidelity: ArrayLike = 1.0,
) -> Quilt:
    """Makes one pass of `quilt_transfer`.

    Args:
      content: `[H, W, 3]`.
      painting: `[H', W', 3]`.
      previous: the picture of the pass before, if there was one.
      key: of the transfer.
      number: of the pass, from 0.
      side: of its blocks.
      passes: how many there are.
      fidelity: as for `quilt_transfer`.
    """
    alpha, again = 0.1 + 0.8 * number / max(1, passes - 1), previous is not None
    weights = _weigh(*(to_device(value) for value in (alpha, fidelity, again)))
    if previous is None:
        previous = to_device(np.zeros(content.shape))
    light = _light(content, painting)
    overlap = check_blocks(painting.shape[:2], side, None)
    return lay(
        painting, previous, light, weights,
        jax.random.fold_in(key, to_device(number, jnp.uint32)), block=side, overlap=overlap,
    )  # fmt: skip


@jax.jit
def _weigh(alpha: Array, fidelity: Array, again: Array) -> Weights:
    """Returns what counts, of sum one but for the picture of the pass before."""
    lit = (1 - alpha) * fidelity
    fit, light = alpha / (alpha + lit), lit / (alpha + lit)
    return Weights(fit, light, again * fit, 0 * fit)


@jax.jit
def _light(content: Array, painting: Array) -> Array:
    """Returns the photograph's luminance `[H, W, 3]`, with mean and variance of the painting's."""
    greys = (
        jnp.broadcast_to(luminance(image)[..., None], image.shape) for image in (content, painting)
    )
    return match_luminance(*greys)
