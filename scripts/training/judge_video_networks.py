"""Judges how steadily networks paint moving pictures, and how much of the style is there.

    python -m scripts.training.judge_video_networks paintbox video.safetensors --data DATA

Each network paints sequences in each style: frame by frame, and if it can, going on from the frame
before along the flow that OpenCV estimates. Some sequences are drawn from photographs that no
network was trained on, disturbed a little, and their true flow judges; the others are the clips of
DATA/video, judged along the estimated flow. For each network, way, style and sequence a line of
JSON says

- `temporal`: the mean squared difference of a frame and the one before, carried along the flow,
  over the pixels that were seen, and `temporal_5` the same over five frames;
- `style_left`: the style loss by the judge, as a fraction of the photograph's own;
- `content`: the content loss.

The last lines are geometric means, divided by those of the first network, frame by frame.
`--strips` draws frames side by side, and time slices: a row of pixels over time.
"""

import argparse
import functools
import importlib
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxstyle
from jaxstyle import evaluate
from jaxstyle._common.files import find_pictures
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.feedforward.files import FastNetwork, load_network
from jaxstyle.feedforward.network import paint
from jaxstyle.image.pixels import quantize
from jaxstyle.networks.catalogue import find_fast_network
from jaxstyle.networks.load import load_network as load_judge
from jaxstyle.video.disturbing import disturb
from jaxstyle.video.fast import paint_frames
from jaxstyle.video.flow import Still, dis_flow
from jaxstyle.video.motion import MARGIN, chain, move_photograph
from jaxstyle.video.warping import consistency_mask, temporal_loss, warp
from scripts.command_line import add_data_option, make_parser
from scripts.pairs import Case
from scripts.training.train_network import load_paintings

MEASURES = ("temporal", "temporal_5", "style_left", "content")
_APART = 5  # frames, for the second measure
_SHOWN = 6  # frames of a strip
_paint = jax.jit(paint, static_argnames="architecture")
_paint_frames = jax.jit(paint_frames, static_argnames="architecture")
_move = jax.jit(move_photograph, static_argnames=("side", "count"))


class Clip(NamedTuple):
    """A sequence to paint.

    Attributes:
      name: in lines and files.
      frames: `[T, H, W, 3]`.
      flows: `[T - 1, H, W, 2]`, estimated, from each frame to the one before.
      masks: `[T - 1, H, W]`, where that is consistent.
      true_flows: what judges.
      true_masks: likewise.
    """

    name: str
    frames: Array
    flows: Array
    masks: Array
    true_flows: Array
    true_masks: Array


def estimate(frames: Array) -> tuple[Array, Array]:
    """Returns estimated flow from each frame to the one before, and where it is consistent."""
    source = dis_flow()
    stills = [Still(i, np.asarray(frame)) for i, frame in enumerate(frames)]
    pairs = list(itertools.pairwise(stills))
    back = jnp.stack([jnp.asarray(source(late, early)) for early, late in pairs])
    forth = jnp.stack([jnp.asarray(source(early, late)) for early, late in pairs])
    return back, consistency_mask(forth, back)


def draw_sequences(data: Path, side: int, count: int, number: int) -> Iterator[Clip]:
    """Draws sequences of the photographs of DATA/content."""
    wide = round(MARGIN * side)
    squares = []
    for path in find_pictures([data / "content"]):
        image = jaxstyle.load_image(path)
        scale = wide / min(image.shape[:2])
        shape = (max(wide, round(image.shape[0] * scale)), max(wide, round(image.shape[1] * scale)))
        image = jaxstyle.resize(image, shape)
        top, left = (shape[0] - wide) // 2, (shape[1] - wide) // 2
        squares.append(image[top : top + wide, left : left + wide])
    for i in range(number):
        key = jax.random.fold_in(jax.random.key(2026), i)
        pair = squares[i % len(squares)], squares[(i + 1) % len(squares)]
        motion = _move(key, *pair, side=side, count=count)
        keys = jax.random.split(jax.random.fold_in(key, 1), count)
        frames = quantize(jax.vmap(disturb)(keys, motion.frames))
        yield Clip(f"drawn-{i}", frames, *estimate(frames), motion.flows, motion.masks)


def read_clips(data: Path, side: int, count: int) -> Iterator[Clip]:
    """Reads the beginnings of the clips of DATA/video, their longer side about `side`."""
    av = importlib.import_module("av")
    for path in sorted((data / "video").glob("*.mp4")):
        frames = []
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                image = jnp.asarray(frame.to_ndarray(format="rgb24"), jnp.float32) / 255
                scale = side / max(image.shape[:2])
                height, width = (round(edge * scale) for edge in image.shape[:2])
                frames.append(jaxstyle.resize(image, (height, width)))
                if len(frames) == count:
                    break
        stacked = quantize(jnp.stack(frames))
        found = estimate(stacked)
        yield Clip(path.stem, stacked, *found, *found)


@functools.partial(jax.jit, static_argnames="apart")
def temporal(pictures: Array, flows: Array, masks: Array, apart: int) -> Array:
    """Returns the mean squared difference of pictures that are some frames apart."""
    windows = jnp.arange(len(flows) - apart + 1)[:, None] + jnp.arange(apart)
    flow, mask = jax.lax.map(lambda each: chain(*each), (flows[windows], masks[windows]))
    carried = warp(pictures[:-apart], flow)
    return jnp.mean(temporal_loss(pictures[apart:], carried, mask)) / jnp.mean(mask)


def paint_ways(network: FastNetwork, style: Array, sequence: Clip) -> dict[str, Array]:
    """Returns a network's pictures frame by frame, and going on from the frame before."""
    form, params = network.architecture, network.params
    alone = [_paint(params, frame, style, architecture=form) for frame in sequence.frames]
    made = {"alone": jnp.clip(jnp.stack(alone), 0, 1)}
    if form.previous:
        made["going on"] = _paint_frames(params, *sequence[1:4], style, architecture=form)
    return {way: quantize(pictures) for way, pictures in made.items()}


def judge(
    params: Any, pictures: Array, sequence: Clip, painting: Array, every: int
) -> dict[str, float]:
    """Returns the measures of a painted sequence."""
    scores = []
    for picture, frame in zip(pictures[::every], sequence.frames[::every], strict=True):
        reference = evaluate.compute_reference(params, frame, painting, withheld=())
        scores.append(evaluate.score(params, picture, reference))
    true = sequence.true_flows, sequence.true_masks
    return {
        "temporal": float(temporal(pictures, *true, apart=1)),
        "temporal_5": float(temporal(pictures, *true, apart=_APART)),
        "style_left": float(np.mean([np.mean(list(s.style_left.values())) for s in scores])),
        "content": float(np.mean([np.mean(list(s.content.values())) for s in scores])),
    }


def summary(cases: Sequence[Case]) -> Iterator[Case]:
    """Yields for each network and way the geometric means, divided by those of the first."""
    ways = list(dict.fromkeys((case["network"], case["way"]) for case in cases))
    for kind in ("drawn", "clips"):
        means = {}
        for way in ways:
            own = [
                [np.log(case[name]) for name in MEASURES]
                for case in cases
                if (case["network"], case["way"]) == way
                and case["sequence"].startswith("drawn") == (kind == "drawn")
            ]
            means[way] = np.mean(own, axis=0) if own else None
        first = means[ways[0]]
        for (network, way), mean in means.items():
            if mean is not None and first is not None:
                ratios = np.exp(mean - first).round(4).tolist()
                yield {"sequences": kind, "network": network, "way": way,
                       **dict(zip(MEASURES, ratios, strict=True))}  # fmt: skip


def draw_strip(path: Path, rows: Sequence[Array]) -> None:
    """Writes frames side by side, a row for each way, and beside them the time slices."""
    drawn = []
    for frames in rows:
        chosen = np.linspace(0, len(frames) - 1, _SHOWN).round().astype(int)
        shown = np.concatenate([np.asarray(frames[i]) for i in chosen], axis=1)
        middle = np.asarray(frames[:, frames.shape[1] // 2])  # time down
        slices = np.repeat(middle, -(-shown.shape[0] // len(middle)), axis=0)[: shown.shape[0]]
        drawn.append(np.concatenate([shown, slices], axis=1))
    jaxstyle.save_image(path, np.concatenate(drawn))


def run(options: argparse.Namespace) -> Iterator[Case]:
    """Yields the lines."""
    networks = {Path(each).stem: load_network(find_fast_network(each)) for each in options.networks}
    params = load_judge(options.judge, normalized=False).params
    sequences = [
        *draw_sequences(options.data, options.size, options.frames, options.sequences),
        *(() if options.no_clips else read_clips(options.data, options.size, options.frames)),
    ]
    names = [name for name in options.styles.split(",") if name]
    paintings = load_paintings(options.data, names)
    cases = []
    for name, painting in zip(names, paintings, strict=True):
        for sequence in sequences:
            rows = [sequence.frames]
            for title, network in networks.items():
                weights = jnp.asarray(network.weigh({name.replace("_", "-"): 1.0}))
                for way, pictures in paint_ways(network, weights, sequence).items():
                    rows.append(pictures)
                    case = {"network": title, "way": way, "style": name, "sequence": sequence.name}
                    case |= judge(params, pictures, sequence, painting, options.every)
                    cases.append(case)
                    yield case
            if options.strips is not None:
                options.strips.mkdir(parents=True, exist_ok=True)
                draw_strip(options.strips / f"{name}-{sequence.name}.png", rows)
    yield from summary(cases)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.training.judge_video_networks", __doc__)
    add = parser.add_argument
    add("networks", nargs="+", metavar="NET", help="names or files; the first is compared with")
    add_data_option(parser, "content, style and video")
    add("--judge", default="vgg19", help="VGG-19, or a file of it")
    add("--styles", default="starry-night,great-wave,the-scream,kandinsky_composition_vii",
        help="names of paintings, with commas")  # fmt: skip
    add("--size", type=int, default=192, help="side of the drawn frames, longer side of the clips")
    add("--frames", type=int, default=16, help="of each sequence")
    add("--sequences", type=int, default=6, help="drawn ones")
    add("--every", type=int, default=3, help="judge the style of every so manyth frame")
    add("--no-clips", action="store_true", help="leave the clips out")
    add("--strips", type=Path, metavar="DIR", help="folder for pictures to look at")
    options = parser.parse_args(arguments)
    try:
        for case in run(options):
            print(json.dumps(case), flush=True)
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
