"""Measures how calm films are, frame by frame and with what holds frames together.

    python -m scripts.benchmarks.temporal -o temporal.jsonl [--clips DIR] [--pictures DIR] [--table]

Films are drawn, with their true motion, and taken from the clips of a folder, with OpenCV's. For
every film and way there is a line of JSON: the temporal error, which is the mean squared difference
from an earlier picture, moved, over the pixels that are seen in both, 1 and 5 frames apart; the
share of the photographs' style loss that is left, of which less is nearer to the painting, and the
content term, both by the default recipe; frames a second, and the share of the time for flow. What
is in the file already is not measured again. `--pictures` keeps strips of frames and time slices:
one row of pixels over time, in which flicker is noise. Calm that is bought with style does not
count, so look at both. `--table` prints the lines of a file. The figures of the documentation:

    python -m scripts.benchmarks.temporal --figures docs --size 192 --frames 20
"""

import argparse
import dataclasses
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxstyle
from jaxstyle import samples
from jaxstyle.feedforward.files import load_network as load_fast
from jaxstyle.feedforward.files import weigh_styles
from jaxstyle.losses.spec import LossWeights
from jaxstyle.networks.catalogue import PAINTBOX, find_fast_network
from jaxstyle.networks.load import Network, load_network
from jaxstyle.optimization.presets import get_preset
from jaxstyle.optimization.transfer import stylize
from jaxstyle.video.carrying import Carrier
from jaxstyle.video.fast import paint_next
from jaxstyle.video.flow import Flow, Pixels, Still, dis_flow
from jaxstyle.video.painting import stylize_video
from jaxstyle.video.reading import Span, open_clip, read_frames
from jaxstyle.video.warping import consistency_mask, warp
from scripts.benchmarks.scenes import make_scenes
from scripts.command_line import make_parser

_GAP = ((0, 0), (0, 4), (0, 0))
APART = (1, 5)  # frames between the pictures that are compared
STYLE = "starry-night"  # of the fast network, whose painting is the optimiser's too
_paint = jax.jit(paint_next, static_argnames="architecture")
Row = dict[str, Any]


class Film(NamedTuple):
    """A film to measure with.

    Attributes:
      name: how it is called.
      frames: the photographs.
      flow: the motion.
      mask: returns where a frame can be compared with another, by their numbers.
      true: whether motion and mask are exact.
    """

    name: str
    frames: list[Still]
    flow: Flow
    mask: Callable[[int, int], Pixels]
    true: bool


@dataclasses.dataclass
class Watch:
    """A source of flow that counts its time."""

    flow: Flow
    seconds: float = 0.0

    def __call__(self, first: Still, second: Still) -> Pixels:
        """Returns the flow."""
        since = time.monotonic()
        found = self.flow(first, second)
        self.seconds += time.monotonic() - since
        return found


def drawn_films(count: int, shape: tuple[int, int]) -> Iterator[Film]:
    """Yields the films that are drawn."""
    for name, scene in make_scenes(count, shape).items():
        frames = [scene.frame(number) for number in range(1, count + 1)]
        yield Film(name, frames, scene.flow, scene.visible, True)


def clip_films(folder: Path, count: int, size: int) -> Iterator[Film]:
    """Yields parts of clips, from their third second on."""
    flow = dis_flow()
    for path in sorted(folder.glob("*.mp4")):
        span = Span(start=Fraction(3), size=size)
        found = itertools.islice(read_frames(open_clip(path), span), count)
        frames = [
            Still(number, np.asarray(frame.image / 255, np.float32))
            for number, frame in enumerate(found, 1)
        ]

        def mask(first: int, second: int, frames: list[Still] = frames) -> Pixels:
            here, there = frames[first - 1], frames[second - 1]
            flows = jnp.asarray(flow(there, here)), jnp.asarray(flow(here, there))
            return np.asarray(consistency_mask(*flows))

        yield Film(path.stem, frames, flow, mask, False)


class Judge:
    """Measures pictures of a film.

    Args:
      network: the loss network.
      painting: `[H, W, 3]`.
      film: the film.
    """

    def __init__(self, network: Network, painting: jax.Array, film: Film):
        preset = get_preset("compact" if network.name == "compact" else "default")
        self._film, self._params, self._spec = film, network.params, preset.spec
        self._weights: LossWeights = preset.weights(network.params, painting.shape[:2])
        self._targets = [
            jaxstyle.compute_targets(network.params, jnp.asarray(still.image), painting, self._spec)
            for still in film.frames
        ]
        pairs = [
            (apart, number) for apart in APART for number in range(1 + apart, len(film.frames) + 1)
        ]
        self._known = {
            (apart, number): (
                film.flow(film.frames[number - 1], film.frames[number - 1 - apart]),
                film.mask(number, number - apart),
            )
            for apart, number in pairs
        }

    def __call__(self, pictures: Sequence[Any]) -> Row:
        """Returns what is to be said of a film's pictures."""
        row: Row = {}
        for apart in APART:
            errors = [
                self._error(pictures[number - 1], pictures[number - 1 - apart], *known)
                for (each, number), known in self._known.items()
                if each == apart
            ]
            row[f"error_{apart}"] = float(np.mean(errors))
        left, content = [], []
        for still, picture, targets in zip(self._film.frames, pictures, self._targets, strict=True):
            start = self._terms(still.image, targets)
            now = self._terms(picture, targets)
            left.append(now["style"] / start["style"])
            content.append(now["content"])
        row["style_left"], row["content"] = float(np.mean(left)), float(np.mean(content))
        return row

    @staticmethod
    def _error(now: Any, before: Any, flow: Pixels, mask: Pixels) -> float:
        moved = np.asarray(warp(jnp.asarray(before), jnp.asarray(flow)))
        return float((np.square(now - moved).mean(-1) * mask).sum() / max(mask.sum(), 1))

    def _terms(self, image: Any, targets: Any) -> dict[str, float]:
        value, _ = jaxstyle.objective_and_gradient(
            jnp.asarray(image), self._params, targets, self._weights, spec=self._spec
        )
        return {
            part: sum(float(v) for name, v in value.terms.items() if name.startswith(f"{part}/"))
            for part in ("style", "content")
        }


def ways(
    network: Network, painting: jax.Array, first: int, later: int, video: str | None = None
) -> dict[str, Callable[[Film, Watch], Iterator[Any]]]:
    """Returns the ways to paint a film, by name; `video` is a network that was trained for it."""
    params = network.params

    def alone(init: str) -> Callable[[Film, Watch], Iterator[Any]]:
        def run(film: Film, watch: Watch) -> Iterator[Any]:
            for still in film.frames:
                content: Any = jnp.asarray(still.image)
                found = stylize(params, content, painting, init=init, num_steps=first)  # type: ignore[arg-type]
                yield found.image.clip(0, 1)

        return run

    def held(**options: Any) -> Callable[[Film, Watch], Iterator[Any]]:
        def run(film: Film, watch: Watch) -> Iterator[Any]:
            return stylize_video(
                params, (jnp.asarray(still.image) for still in film.frames), painting,
                flow=Flow(watch), first_steps=first, num_steps=later, **options,
            )  # fmt: skip

        return run

    def fast(name: str) -> Callable[[Film, Watch], Iterator[Any]]:
        def run(film: Film, watch: Watch) -> Iterator[Any]:
            own = load_fast(find_fast_network(name))
            weights = jnp.asarray(weigh_styles(own.styles, {STYLE: 1.0}))
            carrier = Carrier(Flow(watch), (1,)) if own.architecture.previous else None
            for still in film.frames:
                carry = carrier.carry(still) if carrier else None
                known = () if carry is None else (carry.image, carry.mask)
                frame = jnp.asarray(still.image)
                picture = _paint(own.params, frame, weights, *known, architecture=own.architecture)
                if carrier:
                    carrier.add(still, np.asarray(picture))
                yield picture

        return run

    made = {
        "frame by frame, from the photograph": alone("content"),
        "frame by frame, from one noise": alone("noise"),
        "start alone": held(temporal_weight=0.0, long_term=(1,)),
        "short term": held(long_term=(1,)),
        "long term": held(long_term=(1, 3, 6)),
        "long term, 3 passes": held(long_term=(1, 3, 6), passes=3),
        "fast, frame by frame": fast(PAINTBOX),
    }
    return made if video is None else made | {"fast, for video": fast(video)}


def measure(film: Film, judge: Judge, way: Callable[[Film, Watch], Iterator[Any]]) -> Any:
    """Returns the row of a way, and its pictures."""
    watch = Watch(film.flow)
    list(way(film._replace(frames=film.frames[:2]), watch))  # compiles
    watch.seconds, since = 0.0, time.monotonic()
    pictures = [np.asarray(each) for each in way(film, watch)]
    seconds = time.monotonic() - since
    row = judge(pictures)
    row["frames_per_second"] = len(pictures) / seconds
    row["flow_share"] = watch.seconds / seconds
    return row, pictures


def time_slice(pictures: Sequence[Any], share: float = 0.5) -> Any:
    """Returns one row of pixels over time, each moment several pixels high."""
    row = [picture[int(share * picture.shape[0])] for picture in pictures]
    return np.repeat(np.stack(row), 4, axis=0)


def draw_figures(
    folder: Path, network: Network, painting: jax.Array, arguments: argparse.Namespace
) -> None:
    """Writes two figures of a drawn film: five frames of it, and a row of pixels over time.

    Each has a row, or a column, of the film, of what is painted frame by frame, and of what is held
    together.
    """
    film = next(drawn_films(arguments.frames, _shape(arguments.size)))
    known = ways(network, painting, arguments.first_steps, arguments.steps)
    shown = [[still.image for still in film.frames]]
    for name in ("frame by frame, from the photograph", "long term"):
        shown.append([np.asarray(picture) for picture in known[name](film, Watch(film.flow))])
    # Frames at even distances, but the first.
    chosen = range(arguments.frames // 5 - 1, arguments.frames, arguments.frames // 5)
    strip = np.concatenate([np.concatenate([row[i] for i in chosen], axis=1) for row in shown])
    cut = np.concatenate([np.pad(time_slice(row), _GAP) for row in shown], axis=1)
    folder.mkdir(exist_ok=True, parents=True)
    for name, image in (("video-frames", strip), ("video-slices", cut[:, :-4])):
        large = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1) if "slices" in name else image
        jaxstyle.save_image(folder / f"{name}.jpg", jnp.asarray(large.clip(0, 1), jnp.float32))


def _shape(size: int) -> tuple[int, int]:
    """Returns height and width of a drawn film."""
    return 2 * size // 3, size


def print_table(rows: Sequence[Row]) -> None:
    """Prints rows as a table, with error and speed relative to frame by frame."""
    for film, group in itertools.groupby(rows, lambda row: row["film"]):
        some = list(group)
        base = next(row for row in some if row["way"].startswith("frame by frame, from the"))
        print(f"\n{film}: {some[0]['frames']} frames of {some[0]['shape']}, {some[0]['network']}")
        print("| way | error, 1 apart | 5 apart | style loss left | content | speed | flow |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for row in some:
            near, far = (row[f"error_{apart}"] / base[f"error_{apart}"] for apart in APART)
            speed = row["frames_per_second"] / base["frames_per_second"]
            print(
                f"| {row['way']} | {near:.3f} | {far:.3f} | {row['style_left']:.4f} | "
                f"{row['content']:.3g} | {speed:.3g} | {100 * row['flow_share']:.0f} % |"
            )


def main() -> None:
    """Measures, or prints what was measured."""
    parser = make_parser("scripts.benchmarks.temporal", __doc__)
    parser.add_argument("-o", "--output", type=Path, help="file of JSON lines")
    parser.add_argument("--table", action="store_true", help="print a file that is there")
    parser.add_argument("--clips", type=Path, help="folder of .mp4 files")
    parser.add_argument("--painting", type=Path, default=samples.SWIRLS, help="the painting")
    parser.add_argument("--network", default="compact", help="the loss network")
    parser.add_argument("--video-network", help="a fast network that was trained for video")
    parser.add_argument("--frames", type=int, default=12, help="frames of each film")
    parser.add_argument("--size", type=int, default=96, help="the longer side, in pixels")
    parser.add_argument("--first-steps", type=int, default=100, help="steps of a first frame")
    parser.add_argument("--steps", type=int, default=20, help="steps of the others")
    parser.add_argument("--only", nargs="+", help="films to measure, by name")
    parser.add_argument("--ways", nargs="+", help="ways to measure, by how their names begin")
    parser.add_argument("--pictures", type=Path, help="folder for strips and time slices")
    parser.add_argument("--figures", type=Path, help="folder for the figures of the docs, alone")
    arguments = parser.parse_args()
    if arguments.output is None and not arguments.figures:
        parser.error("give -o FILE, or --figures DIR")
    if arguments.table:
        lines = arguments.output.read_text(encoding="utf-8").splitlines()
        print_table([json.loads(line) for line in lines])
        return
    run(arguments)


def run(arguments: argparse.Namespace) -> None:
    network = load_network(arguments.network)
    painting = jaxstyle.load_image(arguments.painting, size=arguments.size)
    if arguments.figures:
        draw_figures(arguments.figures, network, painting, arguments)
        return
    known = set()
    if arguments.output.exists():
        rows = map(json.loads, arguments.output.read_text(encoding="utf-8").splitlines())
        known = {(row["film"], row["way"]) for row in rows}
    films = list(drawn_films(arguments.frames, _shape(arguments.size)))
    if arguments.clips:
        films += clip_films(arguments.clips, arguments.frames, arguments.size)
    for film in films:
        if arguments.only and film.name not in arguments.only:
            continue
        judge, strips, slices = Judge(network, painting, film), [], []
        steps = arguments.first_steps, arguments.steps
        for name, way in ways(network, painting, *steps, arguments.video_network).items():
            if (film.name, name) in known or not name.startswith(tuple(arguments.ways or [""])):
                continue
            row, pictures = measure(film, judge, way)
            strips.append(np.concatenate(pictures[2:7], axis=1))
            slices.append(time_slice(pictures))
            facts = {
                "film": film.name, "way": name, "network": network.name, "true_flow": film.true,
                "frames": len(pictures), "shape": "×".join(map(str, pictures[0].shape[1::-1])),
            }  # fmt: skip
            with arguments.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(facts | row) + "\n")
        if arguments.pictures and strips:
            arguments.pictures.mkdir(exist_ok=True, parents=True)
            for kind, parts in (("strips", strips), ("slices", slices)):
                whole = jnp.asarray(np.concatenate(parts).clip(0, 1))
                jaxstyle.save_image(arguments.pictures / f"{film.name}-{kind}.png", whole)


if __name__ == "__main__":
    main()
