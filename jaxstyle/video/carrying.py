"""What is known of the next frame from those before: pictures carried along the motion."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxstyle._common.checks import check_count
from jaxstyle.video.flow import Flow, Pixels, Still
from jaxstyle.video.warping import consistency_mask, visible_mask, warp

LONG_TERM = (1, 10, 20, 40)
"""How many frames back pictures are compared by default, as in the paper."""
# How much of a frame the one before explains, of 1. On two clips and with drawn frames it was at
# least 0.5 within a shot, and at most 0.18 across a cut.
_EXPLAINED = 0.3
_STEP = 1 / 255  # of a file: less is no contrast


class Carry(NamedTuple):
    """What is known of a frame's picture before it is painted.

    Attributes:
      image: `[H, W, 3]`, the newest earlier picture that shows each pixel, moved to where it is
        now. Of no meaning where nothing was seen.
      mask: `[H, W]`, 1 where the picture should be like that, else 0.
      seen: `[H, W]`, 1 where an earlier picture shows the pixel at all; it covers the mask, and the
        boundaries of motions beside.
    """

    image: Array
    mask: Array
    seen: Array


class Past(NamedTuple):
    """A frame that was painted.

    Attributes:
      still: the photograph.
      picture: `[H, W, 3]`, what was made of it.
    """

    still: Still
    picture: Pixels


class Carrier:
    """Remembers the last pictures of a shot, and carries them onto the next frame.

    The weights of older frames are cut by those of newer ones, so each pixel is compared with the
    newest picture that knows it, and one picture with one mask says all.

    Args:
      flow: where points move to; see `jaxstyle.video.flow`.
      long_term: how many frames back pictures are compared, rising.
      past: pictures of the shot so far, as when a film goes on after a stop.
      shot: the number of the first frame of that shot.

    Attributes:
      shot: the number of the first frame of the shot; 0 before the first frame.

    Example:
      >>> import numpy as np
      >>> from jaxstyle.video.flow import function_flow
      >>> at_rest = function_flow(lambda first, second: np.zeros((8, 8, 2)))
      >>> carrier = Carrier(at_rest)
      >>> frames = [Still(number, np.zeros((8, 8, 3), np.float32)) for number in (1, 2)]
      >>> carrier.carry(frames[0]) is None
      True
      >>> carrier.add(frames[0], np.ones((8, 8, 3), np.float32))
      >>> float(carrier.carry(frames[1]).image.min())
      1.0

    Reference: Ruder, Dosovitskiy and Brox, GCPR 2016, sections 4.2 and 4.3, eq. 8 and 9.
    """

    def __init__(
        self,
        flow: Flow,
        long_term: Sequence[int] = LONG_TERM,
        past: Iterable[Past] = (),
        shot: int = 0,
    ):
        self._flow, self._long_term = flow, check_long_term(long_term)
        self._past = deque(past, maxlen=max(self._long_term))
        self.shot = shot

    def carry(self, still: Still) -> Carry | None:
        """Returns what is known of a frame, or None for the first one of a shot.

        Args:
          still: the frame after the last one that was added, or in a pass backwards the one before.
        """
        found: Carry | None = None
        for back in self._long_term:
            if back > len(self._past) or (found is not None and bool(jnp.all(found.mask))):
                break
            earlier = self._past[-back]
            new, explained = self._carry_from(earlier, still)
            if found is None and explained < _EXPLAINED:
                self._past.clear()
                break
            found = new if found is None else _complete(found, new)
        if found is None:
            self.shot = still.number
        return found

    def add(self, still: Still, picture: Pixels) -> None:
        """Remembers a frame and the picture that was made of it."""
        self._past.append(Past(still, picture))

    def _carry_from(self, earlier: Past, still: Still) -> tuple[Carry, float]:
        """Returns what one earlier picture tells, and how much of the frame its own explains."""
        forward = self._flow(earlier.still, still)
        backward = self._flow(still, earlier.still)
        carried, explained = _carry(
            earlier.picture, earlier.still.image, still.image, forward, backward
        )
        return carried, float(explained)


def check_long_term(frames: Sequence[int]) -> tuple[int, ...]:
    """Returns how many frames back pictures are compared; raises unless they rise from 1.

    Raises:
      ValueError: if they do not.
      TypeError: if they are not whole numbers.
    """
    counts = tuple(check_count(each, "each of long_term") for each in frames)
    if not counts or counts[0] != 1 or list(counts) != sorted(set(counts)):
        raise ValueError(f"long_term should rise from 1, such as 1, 10, 20, got {list(counts)}")
    return counts


@jax.jit
def _carry(
    picture: Array, before: Array, now: Array, forward: Array, backward: Array
) -> tuple[Carry, Array]:
    picture, before, now = (jnp.asarray(each, jnp.float32) for each in (picture, before, now))
    mask = consistency_mask(forward, backward)
    seen = visible_mask(forward, backward)
    explained = jnp.mean(seen) * (1 - _unexplained(warp(before, backward), now))
    moved = jnp.clip(warp(picture, backward, sharp=True), 0.0, 1.0)
    return Carry(moved, mask, seen), explained


def _unexplained(moved: Array, now: Array) -> Array:
    """Returns the share of a frame's contrast that the frame before, moved, leaves open."""
    difference = now - moved
    # The light may change from frame to frame.
    difference = difference - jnp.median(difference, axis=(0, 1), keepdims=True)
    contrast = jnp.sum(jnp.var(now, axis=(0, 1)) + jnp.var(moved, axis=(0, 1)))
    rest = jnp.sum(jnp.mean(jnp.square(difference), axis=(0, 1)))
    return jnp.minimum(rest / (contrast + _STEP**2), 1.0)


@jax.jit
def _complete(newer: Carry, older: Carry) -> Carry:
    """Returns what a newer picture tells, and elsewhere an older one."""
    # Where the newer one is seen at a boundary of motions, a sure older one is worth more.
    sure, open_ = newer.mask, 1 - newer.mask
    take = open_ * jnp.maximum(older.mask, (1 - newer.seen) * older.seen)
    image = jnp.where(take[..., None] > 0, older.image, newer.image)
    return Carry(image, sure + open_ * older.mask, jnp.maximum(newer.seen, older.seen))
