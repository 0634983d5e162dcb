"""The optimisation of a frame that goes on from the pictures before, and of a whole film.

What paints the next frame is a `Painter`: a function of the frame, and of what is known of its
picture from those before. The optimisation here is one, a network that takes the earlier picture
may be another.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxstyle._common.checks import check_amount, check_count, check_picture
from jaxstyle.losses.spec import LossSpec
from jaxstyle.losses.targets import Carried, Targets, content_targets, measure_style
from jaxstyle.networks.vgg import Params
from jaxstyle.optimization.compact import as_it_suits
from jaxstyle.optimization.descent import optimize
from jaxstyle.optimization.transfer import (
    StylizeOptions,
    check_pictures,
    start_image,
    whole_targets,
)
from jaxstyle.video.carrying import LONG_TERM, Carrier, Carry, check_long_term
from jaxstyle.video.filling import fill
from jaxstyle.video.flow import Flow, Pixels, Still, dis_flow, function_flow

TEMPORAL_WEIGHT = 2.0
"""How much the temporal loss counts, relative to the size of the objective."""
FIRST_STEPS, STEPS = 300, 60
"""Steps of the first frame of a shot, and of the others, which begin where those end."""
_CONTROLS = ("keep", "protect", "calm")  # of `stylize`, which part its targets
_NEAR, _NEAR_SHARE = 4, 0.02  # how far new pixels reach, in pixels and of the longer side
_BLEND = 0.5  # of a neighbour into the start of a further pass


class Painter(Protocol):
    """What paints the frames of a film."""

    def __call__(self, still: Still, carry: Carry | None, begin: Pixels | None = None) -> Pixels:
        """Returns the picture of a frame.

        Args:
          still: the photograph.
          carry: what is known of the picture from those before; None for the first of a shot.
          begin: `[H, W, 3]`, the picture of an earlier pass, to go on from.

        Returns:
          `[H, W, 3]`.
        """


def go_on(
    start: Array, targets: Targets, carry: Carry | None, weight: ArrayLike, photograph: ArrayLike
) -> tuple[Array, Targets]:
    """Returns start and targets of a frame that goes on from the pictures before.

    The start is the earlier picture where it is seen. A narrow place that is new takes strokes of
    places that look alike, and a wide one stays as it was. The targets ask for a picture like the
    earlier one where that is sure, and not beside what has just come into view. First frames have
    such targets too, of no weight, so that all frames share one compiled program.

    Args:
      start: `[H, W, 3]`, where the frame would start alone.
      targets: of the frame alone.
      carry: what is known from before; None for nothing.
      weight: of the temporal loss, relative to the size of the objective.
      photograph: `[H, W, 3]`, the frame.

    Example:
      >>> seen = jnp.ones((20, 40)).at[:, 18:20].set(0.0)
      >>> known = Carry(jnp.ones((20, 40, 3)), mask=seen, seen=seen)
      >>> still = jnp.zeros((20, 40, 3))
      >>> start, targets = go_on(still, Targets({}, {}), known, 5.0, still)
      >>> start[10, 18:20, 0].tolist(), targets.carried.weight[10].tolist()[::9]
      ([1.0, 1.0], [5.0, 5.0, 0.0, 5.0, 5.0])
    """
    if carry is None:
        return start, targets._replace(
            carried=Carried(jnp.zeros_like(start), jnp.zeros(start.shape[:2]))
        )
    begun = carry.image
    if not bool(jnp.all(carry.seen)):
        around, narrow = _around(start, carry)
        filled = fill(begun, carry.seen, jnp.asarray(photograph), around)
        # A wide place is painted like a picture of its own; patches would show there.
        begun = jnp.where(narrow, filled, around)
    held = _held(carry, jnp.asarray(weight, jnp.float32))
    return begun, targets._replace(carried=Carried(carry.image, held))


@jax.jit
def _around(start: Array, carry: Carry) -> tuple[Array, Array]:
    """Returns a start in which lines that nobody saw have the colours around them.

    Returns:
      The start; and `[H, W, 1]`, 0 for what is wider than about 2 % of the longer side, and for
      specks, and 1 for the lines between, and for what was seen.
    """
    seen = carry.seen[..., None]
    sums = _sums(jnp.concatenate([seen * carry.image, seen], axis=-1))
    near = sums[..., 3:]
    share = jnp.minimum(2 * near / _window(carry.seen.shape) ** 2, 1.0)
    around = share * sums[..., :3] / jnp.maximum(near, 1.0) + (1 - share) * start
    side = _window(carry.seen.shape) // 2 + 1
    window, steps = (side, side, 1), (1, 1, 1)
    inner = jax.lax.reduce_window(1 - seen, 1.0, jax.lax.min, window, steps, "SAME")
    wide = jax.lax.reduce_window(inner, 0.0, jax.lax.max, window, steps, "SAME")
    length = _sums(1 - seen)  # a line through the window has as many pixels as its side
    line = (wide < 1) & (length >= _window(carry.seen.shape))
    return jnp.where(seen > 0, carry.image, around), line | (seen > 0)


@jax.jit
def _held(carry: Carry, weight: Array) -> Array:
    return weight * carry.mask * _settled(carry.seen)


def _settled(seen: Array) -> Array:
    """Returns how far the picture is finished around each pixel, `[H, W]` from 0 to 1.

    What came into view in the last frames lies beside what does now. Held to its first strokes,
    which had few steps and little room, it would never become a part of the picture.
    """
    new = _sums(1 - seen[..., None])[..., 0]
    # A line through the window counts as all of it, a single pixel as little.
    return 1 - jnp.minimum(new / _window(seen.shape), 1.0)


def _sums(values: Array) -> Array:
    """Returns the sums `[H, W, C]` of values over a window around each pixel."""
    side = _window(values.shape)
    pad = side // 2
    padded = jnp.pad(values, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    window = (side, side, 1)
    total: Array = jax.lax.reduce_window(padded, 0.0, jax.lax.add, window, (1, 1, 1), "VALID")
    return total


def _window(shape: Sequence[int]) -> int:
    """Returns the side of the window in which new pixels matter."""
    return 2 * max(_NEAR, round(_NEAR_SHARE * max(shape[:2]))) + 1


@jax.jit
def blend(picture: Array, carry: Carry) -> Array:
    """Returns the start of a frame in a further pass: half its neighbour, where that is sure.

    Args:
      picture: `[H, W, 3]`, that of the pass before.
      carry: what the neighbour tells.

    Reference: Ruder, Dosovitskiy and Brox, GCPR 2016, eq. 10.
    """
    share = _BLEND * carry.mask[..., None]
    return (1 - share) * picture + share * carry.image


def stylize_video(
    params: Params,
    frames: Iterable[Array],
    style: Array,
    *,
    flow: Flow | Callable[[Pixels, Pixels], ArrayLike] | None = None,
    temporal_weight: float = TEMPORAL_WEIGHT,
    long_term: Sequence[int] = LONG_TERM,
    passes: int = 1,
    first_steps: int = FIRST_STEPS,
    **options: Unpack[StylizeOptions],
) -> Iterator[Array]:
    """Paints a film in the style of a painting, without flicker.

    Each frame starts from the picture before, moved along the flow, and is held to it where the
    flow can be trusted. What was not seen before starts from the photograph in the painting's
    colours, and narrow strips from strokes of places that look alike, a departure from the paper.
    A cut begins anew.

    Args:
      params: the network's parameters.
      frames: each `[H, W, 3]` in [0, 1], all of one size; any iterable, read as it is needed.
      style: `[H', W', 3]` in [0, 1].
      flow: `(first, second) -> [H, W, 2]`, a function of two pictures; OpenCV's by default, which
        the extra `video` brings. `jaxstyle.video.flow` has others.
      temporal_weight: of the temporal loss, relative to the size of the objective; 0 only starts
        from the picture before.
      long_term: how many frames back pictures are compared, rising from 1; (1,) is the short-term
        loss alone.
      passes: how often the film is gone over, forwards and backwards in turns. More than one needs
        memory for all frames.
      first_steps: steps of the first frame of a shot.
      **options: those of `jaxstyle.stylize`; `num_steps` are those of the later frames, 60 by
        default.

    Yields:
      The picture `[H, W, 3]` of each frame, clipped to [0, 1].

    Raises:
      ValueError: if an argument does not fit, or a frame is of another size.
      UsageError: if OpenCV is needed and not installed.

    Example:
      >>> from jaxstyle.networks import vgg
      >>> params = vgg.init_params(jax.random.key(0), (("conv1_1", 4),))
      >>> spec = LossSpec(content_layers=("relu1_1",), style_layers=("relu1_1",))
      >>> style, *film = jax.random.uniform(jax.random.key(1), (3, 8, 8, 3))
      >>> at_rest = lambda first, second: np.zeros((8, 8, 2))
      >>> pictures = stylize_video(params, film, style, spec=spec, flow=at_rest, first_steps=3,
      ...                          num_steps=2)
      >>> [picture.shape for picture in pictures]
      [(8, 8, 3), (8, 8, 3)]

    Reference: Ruder, Dosovitskiy and Brox, GCPR 2016.
    """
    check_amount(temporal_weight, "temporal_weight")
    check_count(passes, "passes")
    check_count(first_steps, "first_steps")
    check_long_term(long_term)
    source = flow if isinstance(flow, Flow) else function_flow(flow) if flow else dis_flow()
    painter = _Optimiser(params, style, temporal_weight, first_steps, options)
    return _paint(frames, painter, Carrier(source, long_term), source, passes)


def _paint(
    frames: Iterable[Array], painter: Painter, carrier: Carrier, flow: Flow, passes: int
) -> Iterator[Array]:
    stills: list[Still] = []
    pictures: list[Pixels] = []
    shots: list[int] = []
    for still in as_stills(frames):
        carry = carrier.carry(still)
        picture = painter(still, carry)
        carrier.add(still, picture)
        if passes == 1:
            yield jnp.asarray(picture)
            continue
        stills.append(still)
        pictures.append(picture)
        shots.append(carrier.shot)
    for number in range(2, passes + 1):
        for shot in shots_of(shots):
            order = pass_order(shot, number)
            through = (stills[each - 1] for each in order)
            for still, picture in go_over(through, lambda n: pictures[n - 1], painter, flow):
                pictures[still.number - 1] = picture
    yield from map(jnp.asarray, pictures)


def as_stills(frames: Iterable[Array]) -> Iterator[Still]:
    """Yields frames with their numbers.

    Raises:
      ValueError: if one is no picture, or of another size than the first.
    """
    shape: tuple[int, ...] | None = None
    for number, frame in enumerate(frames, 1):
        check_picture(frame, f"frame {number}")
        shape = frame.shape if shape is None else shape
        if frame.shape != shape:
            raise ValueError(
                f"frame {number} should be of {shape[0]}×{shape[1]} pixels like the first, "
                f"got {frame.shape[0]}×{frame.shape[1]}"
            )
        yield Still(number, np.asarray(frame, np.float32))


def shots_of(starts: Sequence[int]) -> list[range]:
    """Returns the numbers of the frames of each shot.

    Args:
      starts: for each frame the number of the first frame of its shot.

    Example:
      >>> shots_of([1, 1, 3, 3, 3])
      [range(1, 3), range(3, 6)]
    """
    firsts = sorted(set(starts))
    ends = [*firsts[1:], len(starts) + 1]
    return [range(first, end) for first, end in zip(firsts, ends, strict=True)]


def pass_order(shot: range, number: int) -> range:
    """Returns the frames of a shot in the order of a pass: the second one goes backwards.

    Example:
      >>> list(pass_order(range(1, 4), 2)), list(pass_order(range(1, 4), 3))
      ([3, 2, 1], [1, 2, 3])
    """
    return shot[::-1] if number % 2 == 0 else shot


def go_over(
    stills: Iterable[Still],
    picture_of: Callable[[int], Pixels],
    painter: Painter,
    flow: Flow,
    carrier: Carrier | None = None,
) -> Iterator[tuple[Still, Pixels]]:
    """Goes over a shot once more, and yields each frame with its new picture.

    Args:
      stills: the frames in the order of the pass.
      picture_of: returns the picture of a frame from the pass before.
      painter: paints.
      flow: where points move to.
      carrier: what remembers the neighbour, as when a pass goes on after a stop.

    Reference: Ruder, Dosovitskiy and Brox, GCPR 2016, section 4.4.
    """
    carrier = Carrier(flow, (1,)) if carrier is None else carrier
    for still in stills:
        carry, own = carrier.carry(still), picture_of(still.number)
        begin = own if carry is None else np.asarray(blend(own, carry))
        picture = painter(still, carry, begin)
        carrier.add(still, picture)
        yield still, picture


class _Optimiser:
    """Paints frames by optimisation."""

    def __init__(
        self,
        params: Params,
        style: Array,
        weight: float,
        first_steps: int,
        options: StylizeOptions,
    ):
        check_picture(style, "style")
        self._params, self._style, self._weight = params, style, weight
        own: dict[str, Any] = {**options}
        self._spec = own.pop("spec", LossSpec())
        self._init, self._noise = own.pop("init", "content"), own.pop("noise", None)
        self._key = own.pop("key", None)
        self._controls = {name: own.pop(name) for name in _CONTROLS if name in own}
        self._steps, self._first_steps = own.pop("num_steps", STEPS), first_steps
        self._options = as_it_suits(params, own)
        self._measured: dict[str, Any] | None = None

    def __call__(self, still: Still, carry: Carry | None, begin: Pixels | None = None) -> Pixels:
        """Returns the picture of a frame; see `Painter`."""
        content = jnp.asarray(still.image)
        check_pictures(self._params, self._spec, content=content, style=self._style)
        alone = begin is None and carry is None
        init: Any = self._init if alone else "matched" if begin is None else jnp.asarray(begin)
        start = start_image(
            init, self._params, content, self._style, key=self._key,
            noise=self._noise if alone else None,
        )  # fmt: skip
        targets = self._targets(content)
        begun, targets = go_on(start, targets, carry, self._weight, content)
        result = optimize(
            begun if begin is None else start, self._params, targets, spec=self._spec,
            num_steps=self._first_steps if alone else self._steps, **self._options,
        )  # fmt: skip
        return np.asarray(result.image).clip(0, 1)

    def _targets(self, content: Array) -> Targets:
        """Returns the targets of a frame; the painting is measured once, if no frame matters."""
        params, spec = self._params, self._spec
        if self._controls:
            return whole_targets(params, content, self._style, spec, **self._controls)
        if self._measured is None:
            self._measured = measure_style(params, self._style, spec=spec)
        return content_targets(params, content, spec)._replace(style=self._measured)
