"""Judges pictures that are made fast beside those of the optimiser.

    python -m scripts.benchmarks.fast_ways --data DATA -o ways.jsonl [--networks NET ...]

The judge is VGG-19 with the default recipe. It sees each picture as it is saved, with 8 bits. For
every pair and way there is a line of JSON: the judge's objective, how many of its own optimiser's
steps reach that objective ("worth"), the content term relative to that of the optimiser's last
step, what is left of the photograph's own style loss, the mean over layers, what is left of its
sliced Wasserstein distance to the painting at layers that nobody optimises, and the structural
similarity to the photograph. A network that ignores the photograph has a low objective too, so look
at the content. `--table` prints medians and extremes; `--pictures DIR` keeps the pictures, and what
the optimiser has made, so that another run with other networks goes on from there, and `--sheet`
lays them out. A network's pictures are also polished; a network may be of some styles, or of any
painting. `--decoders` adds pictures by features. `--enough` says after how many of the optimiser's
steps its style loss is nearly that of the last step, over the pairs of the file. `--time` says how
long each way takes beside ten steps of quick, for the first photograph and painting.
"""

import argparse
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxstyle
import jaxstyle.evaluate
from jaxstyle.feedforward.decoder_files import Decoder, load_decoder
from jaxstyle.feedforward.decoding import Transform, measure_levels, transfer
from jaxstyle.feedforward.files import FastNetwork
from jaxstyle.feedforward.files import load_network as load_fast
from jaxstyle.feedforward.network import paint
from jaxstyle.feedforward.prediction import know_paintings
from jaxstyle.image.matching import match_distribution
from jaxstyle.image.pixels import quantize
from jaxstyle.losses.objective import ObjectiveValue
from jaxstyle.networks.load import Network, load_network
from jaxstyle.optimization.presets import get_preset
from jaxstyle.pipeline.polish import measure_painting, polish
from scripts.benchmarks.alternating import alternate, waiting_for
from scripts.command_line import add_data_option, make_parser
from scripts.pairs import ALL_PHOTOGRAPHS, PAINTINGS, Case, read_cases

# The preset and its steps.
WAYS = {
    "quick, 5": ("quick", 5), "quick, 10": ("quick", 10), "quick, 20": ("quick", 20),
    "compact, 20": ("compact", 20), "compact, 50": ("compact", 50),
    "compact, 300": ("compact", 300),
}  # fmt: skip
ON_THE_WAY = (20, 25, 50, 100)  # steps of the judge's own optimiser
POLISH = (10, 20)
ENOUGH = (0.05, 0.2, 0.5)
SHOWN = (
    "photograph", "quick, 10", "paintbox", "paintbox, polish 10", "paintbox, polish 20",
    "VGG-19, 300",
)  # fmt: skip
_paint = jax.jit(paint, static_argnames="architecture")


class Judge:
    """Compares pictures of one pair with those of the optimiser.

    Args:
      network: VGG-19, normalised.
      content: the photograph.
      style: the painting.
      steps: of the optimiser that pictures are compared with.
      kept: the file that keeps what the optimiser has made.
    """

    def __init__(self, network: Network, content: Array, style: Array, steps: int, kept: Path):
        preset = get_preset("default")
        self._params, self._spec = network.params, preset.spec
        self._weights = preset.weights(network.params, content.shape[:2])
        self._targets = jaxstyle.compute_targets(network.params, content, style, preset.spec)
        if not kept.exists():
            made = jaxstyle.stylize(
                network.params, content, style, spec=preset.spec, weights=self._weights,
                solver=preset.solver(), num_steps=steps,
            )  # fmt: skip
            np.savez(kept, image=made.image, loss=made.info.loss, **made.info.terms)
        with np.load(kept) as found:
            self.image, self.losses = found["image"], found["loss"]
            self._ways = {name: found[name] for name in found.files if "/" in name}
        self._reference = jaxstyle.evaluate.compute_reference(network.params, content, style)
        self._photograph = self._value(content)
        self._optimiser = self._value(self.image)

    def __call__(self, image: Array) -> Case:
        """Returns what is to be said of a picture."""
        value = self._value(image)
        picture = quantize(jnp.clip(image, 0.0, 1.0))
        scores = jaxstyle.evaluate.score(self._params, picture, self._reference)
        return {
            **self._described(value.terms, float(value.total)),
            "sliced_left": float(np.mean(list(scores.sliced_left.values()))),
            "similarity": float(scores.similarity),
        }

    def on_the_way(self, step: int) -> Case:
        """Returns what is to be said of the optimiser's own picture after some steps."""
        terms = {name: values[step] for name, values in self._ways.items()}
        return self._described(terms, float(self.losses[step]))

    def _described(self, terms: Mapping[str, Any], objective: float) -> Case:
        before, after = _terms(self._photograph.terms, "style/"), _terms(terms, "style/")
        content, best = (
            sum(_terms(each, "content/").values()) for each in (terms, self._optimiser.terms)
        )
        return {
            "objective": objective,
            "worth": worth(self.losses, objective),
            "content": content / best,
            "style_left": float(np.mean([after[name] / before[name] for name in before])),
        }

    def _value(self, image: Array) -> ObjectiveValue:
        picture = quantize(jnp.clip(image, 0.0, 1.0))
        return _objective(picture, self._params, self._targets, self._weights, spec=self._spec)


_objective = jax.jit(jaxstyle.objective, static_argnames="spec")


def worth(losses: np.ndarray, objective: float) -> float:
    """Returns how many steps reach an objective, between steps by its logarithm.

    It is infinite if all the steps do not, and 0 if none is needed.

    Example:
      >>> worth(np.array([100.0, 10.0, 1.0]), 10**0.5)
      1.5
    """
    reached = np.flatnonzero(losses <= objective)
    if not len(reached):
        return float("inf")
    after = int(reached[0])
    if after == 0:
        return 0.0
    low, high = np.log(losses[after]), np.log(losses[after - 1])
    return float(after - (np.log(objective) - low) / (high - low))


def _terms(terms: Mapping[str, Any], start: str) -> dict[str, float]:
    return {name: float(term) for name, term in terms.items() if name.startswith(start)}


def pictures(
    content: Array,
    style: Array,
    painting: str,
    compact: Network,
    networks: Mapping[str, FastNetwork],
    decoders: Mapping[str, Decoder],
) -> Iterator[tuple[str, Callable[[], Array]]]:
    """Yields the name of each way, and what makes its picture."""
    yield "photograph", lambda: content
    yield "colours matched", lambda: match_distribution(content, style)
    for way, (name, steps) in WAYS.items():
        preset = get_preset(name)
        options: Any = preset.options(compact.params, content.shape[:2]) | {"num_steps": steps}
        yield way, lambda o=options: jaxstyle.stylize(compact.params, content, style, **o).image
    yield from _passes(content, style, painting, compact, networks)
    for transform in get_args(Transform):
        levels = (3,) if transform == "swap" else (4, 3, 2)
        measured = measure_levels(compact.params, style, levels, transform)
        known = jax.tree.map(lambda leaf: leaf[None], measured)
        for name, decoder in decoders.items():
            move = functools.partial(transfer, levels=levels, transform=transform)
            once = functools.partial(move, decoder.params, compact.params, content, known)
            yield f"{name}, {transform}", once


def _passes(
    content: Array,
    style: Array,
    painting: str,
    compact: Network,
    networks: Mapping[str, FastNetwork],
) -> Iterator[tuple[str, Callable[[], Array]]]:
    """Yields a pass of each network that knows the painting, and what a polish makes of it."""
    called = painting.replace("_", "-")
    for name, network in networks.items():
        if network.takes_paintings:
            params = know_paintings(network.params, compact.params, [style])
            target, weights = measure_painting(style), np.ones(1, np.float32)
        elif called in [each.name for each in network.styles]:
            params, weights = network.params, network.weigh({called: 1.0})
            target = {k: np.tensordot(weights, v, 1) for k, v in network.statistics.items()}
        else:
            continue
        once = functools.partial(
            _paint, params, content, jnp.asarray(weights), architecture=network.architecture
        )
        yield name, once

        def polished(once: Callable[[], Array], target: dict[str, Any], steps: int) -> Array:
            *_, (image, _) = polish(jnp.clip(once(), 0, 1), content, target, steps)
            return image

        for steps in POLISH:
            yield f"{name}, polish {steps}", functools.partial(polished, once, target, steps)


def measure(
    options: argparse.Namespace, done: Callable[[Case], None], had: set[tuple[str, str, str]]
) -> None:
    """Measures what is not there yet, and hands each line out."""
    judge_network = load_network(options.judge, normalized=True)
    compact = load_network("compact")
    networks, decoders = _read(options)
    options.pictures.mkdir(parents=True, exist_ok=True)
    for photograph in options.photographs:
        for painting in options.paintings:
            content, style = _load(options, photograph, painting)
            kept = _descent(options.pictures, photograph, painting)
            judge = Judge(judge_network, content, style, options.steps, kept)
            names = {"content_file": photograph, "style_file": painting}
            for step in ON_THE_WAY:
                if (photograph, painting, way := f"VGG-19, {step}") not in had:
                    done({**names, "way": way, **judge.on_the_way(step)})
            made = functools.partial(jnp.asarray, judge.image)
            ways = pictures(content, style, Path(painting).stem, compact, networks, decoders)
            for way, make in [*ways, (f"VGG-19, {options.steps}", made)]:
                if (photograph, painting, way) in had or not way.startswith(tuple(options.ways)):
                    continue
                image = make()
                done({**names, "way": way, **judge(image)})
                picture = np.clip(np.asarray(image), 0, 1)
                jaxstyle.save_image(options.pictures / f"{kept.stem}--{way}.png", picture)


def _load(options: argparse.Namespace, photograph: str, painting: str) -> list[Array]:
    paths = options.data / "content" / photograph, options.data / "style" / painting
    return [jaxstyle.load_image(path, size=options.size) for path in paths]


def _descent(folder: Path, photograph: str, painting: str) -> Path:
    """Returns the file in which a folder keeps the optimiser's descent of a pair."""
    return folder / f"{Path(photograph).stem}--{Path(painting).stem}.npz"


def _read(options: argparse.Namespace) -> tuple[dict[str, FastNetwork], dict[str, Decoder]]:
    compact = load_network("compact")
    networks = {path.stem: load_fast(path) for path in options.networks}
    return networks, {path.stem: load_decoder(path, compact.params) for path in options.decoders}


_COLUMNS = {
    "worth": ".1f", "content": ".2f", "style_left": ".3f", "sliced_left": ".3f",
    "similarity": ".2f",
}  # fmt: skip


def draw_sheet(path: Path, folder: Path, pairs: Sequence[str], shown: Sequence[str]) -> None:
    """Writes a sheet of pictures that were kept: a row per pair, a column per way.

    Args:
      path: the file to write.
      folder: of the pictures.
      pairs: such as "coffee--great-wave", all of one width.
      shown: the ways.
    """
    rows = [
        np.concatenate(
            [jaxstyle.load_image(folder / f"{pair}--{way}.png") for way in shown], axis=1
        )
        for pair in pairs
    ]
    jaxstyle.save_image(path, np.concatenate(rows))


def print_times(options: argparse.Namespace) -> None:
    """Prints what each way takes in time, once its programs are compiled, beside `quick, 10`."""
    content, style = _load(options, options.photographs[0], options.paintings[0])
    networks, decoders = _read(options)
    compact = load_network("compact")
    painting = Path(options.paintings[0]).stem
    ways = dict(pictures(content, style, painting, compact, networks, decoders))
    chosen = {way: make for way, make in ways.items() if way.startswith(tuple(options.ways))}
    turns = {"quick, 10": ways["quick, 10"], **chosen}
    seconds = alternate({way: waiting_for(make) for way, make in turns.items()}, rounds=3)
    print("| way | time |\n| --- | --- |")
    base = np.median(seconds["quick, 10"])
    for way in chosen:
        print(f"| {way} | {np.median(seconds[way]) / base:.2f} |")


def enough_steps(style: np.ndarray, objective: np.ndarray, more: float) -> int:
    """Returns after how many steps what is left of the style loss is nearly that of the last one.

    Args:
      style: of each step, what is left of the photograph's style loss; that of the start first.
      objective: of each step. A descent keeps the picture with the least.
      more: how much more may be left, as a fraction.

    Example:
      >>> enough_steps(np.array([1, 0.5, 0.21, 0.2]), np.array([9, 5, 2.2, 2]), 0.1)
      2
    """
    kept = style[[np.argmin(objective[: step + 1]) for step in range(len(objective))]]
    return int(np.flatnonzero(kept <= (1 + more) * kept[-1])[0])


def print_enough(lines: Sequence[Case], folder: Path) -> None:
    """Prints medians and extremes over the descents of the pairs, which a folder keeps."""
    descents = []
    for photograph, painting in {(line["content_file"], line["style_file"]) for line in lines}:
        with np.load(_descent(folder, photograph, painting)) as found:
            terms = np.array([found[name] for name in found.files if name.startswith("style/")])
            descents.append(((terms / terms[:, :1]).mean(0), found["loss"]))
    print("| more style left than at the end | pairs | steps |\n| --- | --- | --- |")
    for more in ENOUGH:
        steps = [enough_steps(*each, more) for each in descents]
        span = f"{np.median(steps):.0f} ({min(steps)} to {max(steps)})"
        print(f"| {100 * more:.0f} % | {len(steps)} | {span} |")


def print_table(lines: Sequence[Case]) -> None:
    """Prints medians, and the extremes in brackets, of each way."""
    print("| way | pairs | worth, steps | content | style left | sliced left | similarity |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for way in dict.fromkeys(line["way"] for line in lines):
        some = [line for line in lines if line["way"] == way]
        cells = []
        for name, form in _COLUMNS.items():
            values = [line[name] for line in some if name in line]
            if not values:  # the optimiser's pictures on the way are not kept
                cells.append("")
                continue
            low, middle, high = min(values), float(np.median(values)), max(values)
            cells.append(f"{middle:{form}} ({low:{form}} to {high:{form}})")
        print(f"| {way} | {len(some)} | {' | '.join(cells)} |")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.benchmarks.fast_ways", __doc__)
    add = parser.add_argument
    add_data_option(parser)
    add("-o", "--output", type=Path, required=True, help="file of JSON lines to add to")
    add("--table", action="store_true", help="print the table of the file and run nothing")
    add("--sheet", type=Path, help="write pictures that were kept to this file and run nothing")
    add("--time", action="store_true", help="say what each way takes in time")
    add("--enough", action="store_true", help="say how many steps are enough and run nothing")
    add("--pairs", nargs="+", default=[], help="pairs on the sheet, such as coffee--great-wave")
    add("--shown", nargs="+", default=SHOWN, metavar="WAY", help="the ways on the sheet")
    add("--judge", default="vgg19", help="Oxford's VGG-19, or a file of it")
    add("--networks", nargs="*", type=Path, default=[], help="files of fast networks")
    add("--decoders", nargs="*", type=Path, default=[], help="files of decoders")
    add("--ways", nargs="+", default=[""], help="how the names of those to measure begin")
    add("--photographs", nargs="+", default=ALL_PHOTOGRAPHS, help="files in content")
    add("--paintings", nargs="+", default=PAINTINGS, help="files in style")
    add("--size", type=int, default=256, help="longer side in pixels")
    add("--steps", type=int, default=300, help="steps of the optimiser to compare with")
    add("--pictures", type=Path, default=Path("fast_ways"), help="folder for the pictures")
    options = parser.parse_args(arguments)
    if options.sheet is not None and not options.pairs:
        parser.error("--sheet needs --pairs, such as coffee--great-wave")
    try:
        run(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))


def run(options: argparse.Namespace) -> None:
    """Draws, prints or measures."""
    if options.sheet is not None:
        draw_sheet(options.sheet, options.pictures, options.pairs, options.shown)
        return
    if options.time:
        print_times(options)
        return
    lines = read_cases(options.output)
    if options.table or options.enough:
        if not lines:
            raise ValueError(f"{options.output}: no measurements yet")
        if options.table:
            print_table(lines)
        else:
            print_enough(lines, options.pictures)
        return
    had = {(line["content_file"], line["style_file"], line["way"]) for line in lines}
    with options.output.open("a", encoding="utf-8") as file:

        def done(line: Case) -> None:
            print(json.dumps(line), file=file, flush=True)

        measure(options, done, had)


if __name__ == "__main__":
    main()
