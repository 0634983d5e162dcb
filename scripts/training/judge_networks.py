"""Judges by VGG-19 the pictures that other networks make.

    python -m scripts.training.judge_networks --data DATA -o SHEETS --sheet networks.jpg

Every network stylises 3 photographs with 7 paintings, from the photograph. VGG-19 with its
published weights and max pooling judges the pictures as they are saved. It measures the content
loss, and at each style layer the style loss as a fraction of the photograph's own.

One line of JSON is printed for each picture, and a summary at the end. SHEETS gets the pictures,
those of each pair side by side, and the lines. Another run makes only the pictures that are missing
there. The sheet shows each painting once, with the photographs in turn.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

import jaxstyle
from jaxstyle import evaluate
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.image import contact_sheet, pixels
from jaxstyle.networks import rescaling, vgg
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.presets import Preset, get_preset
from jaxstyle.optimization.sizes import scaled_shape
from scripts.command_line import add_data_option, make_parser
from scripts.pairs import PAINTINGS, PHOTOGRAPHS, Case
from scripts.reproduction.sheets import Sheets, digest, geometric_mean, pairs, recipe_digest

_COLUMN = 192


class Judge:
    """Judges pictures of one photograph and one painting by VGG-19."""

    def __init__(self, params: vgg.Params, content: jax.Array, style: jax.Array):
        self._params = params
        self._reference = evaluate.compute_reference(params, content, style, withheld=())

    def __call__(self, image: jax.Array) -> tuple[list[float], float]:
        """Returns the style loss left at each layer, as a fraction, and the content loss."""
        scores = evaluate.score(self._params, image, self._reference)
        left = [float(scores.style_left[k]) for k in evaluate.SPEC.style_layers]
        return left, float(scores.content["relu4_2"])


class Candidate(NamedTuple):
    """Holds what makes the pictures that are judged.

    Attributes:
      name: the name in its lines and above its column.
      key: a digest of what its pictures depend on besides the pair, for a file's name.
      make: makes a picture `[H, W, 3]` from a photograph and a painting.
    """

    name: str
    key: str
    make: Callable[[jax.Array, jax.Array], jax.Array]


def network_candidate(
    name: str, params: vgg.Params, preset: Preset, steps: int, size: int, **changes: Any
) -> Candidate:
    """Returns a candidate of a network and a recipe.

    Args:
      name: the candidate's name.
      params: the network.
      preset: its recipe.
      steps: the number of steps, in place of the recipe's.
      size: the pictures' longer side.
      changes: options of `jaxstyle.stylize` that change the recipe.
    """

    def options(shape: tuple[int, int]) -> dict[str, Any]:
        return preset.options(params, shape) | {"num_steps": steps} | changes

    def make(content: jax.Array, style: jax.Array) -> jax.Array:
        shape = (content.shape[0], content.shape[1])
        return jaxstyle.stylize(params, content, style, **options(shape)).image

    some = options((64, 64))
    some["weights"] = some["weights"].resolve(some["spec"])
    return Candidate(name, recipe_digest(f"{preset.name} {size}", some, params), make)


def random_network(shape: vgg.Params, squares: list[jax.Array]) -> vgg.Params:
    """Returns a random network of another's shape, rescaled by `rescale_by_layer`.

    Rescaled filter by filter, those that are nearly dead would outweigh all others by many powers
    of ten.
    """
    return rescale_by_layer(vgg.init_params(jax.random.key(0), vgg.network_widths(shape)), squares)


def rescale_by_layer(params: vgg.Params, squares: list[jax.Array]) -> vgg.Params:
    """Returns the network with a mean activation of one in each layer, over some pictures."""
    means = rescaling.activation_means(params, squares)
    return rescaling.rescale_params(
        params, {name: jnp.full_like(mean, mean.mean()) for name, mean in means.items()}
    )


def judge_candidates(
    candidates: Sequence[Candidate],
    judge: vgg.Params,
    taken: Iterable[tuple[str, str, tuple[jax.Array, jax.Array]]],
    sheets: Sheets,
) -> Iterator[list[tuple[Case, jax.Array]]]:
    """Makes and judges the pictures that are not kept yet, pair by pair.

    Args:
      candidates: what makes them.
      judge: VGG-19's published parameters.
      taken: the pairs, from `sheets.pairs`.
      sheets: keeps the pictures and the lines.

    Yields:
      Each candidate's line, and its picture as it is saved, for one pair.
    """
    judged_by = digest("", judge)
    for content_name, style_name, pair in taken:
        judged, found = Judge(judge, *pair), []
        stem = f"{Path(content_name).stem}--{Path(style_name).stem}"
        for candidate in candidates:
            key = f"{stem}--{Path(candidate.name).stem}-{candidate.key}-{judged_by}"
            kept = sheets.find(key)
            if kept is None:
                image = pixels.quantize(candidate.make(*pair))
                left, content_loss = judged(image)
                case = {
                    "key": key,
                    "content": content_name,
                    "style": style_name,
                    "left": [round(x, 4) for x in left],
                    "mean": float(np.mean(left)),
                    "content_loss": content_loss,
                }
                sheets.keep(case, image)
            else:
                image, case = kept
            found.append((case | {"network": candidate.name}, image))
        sheets.row(stem, [*pair, *(image for _, image in found)])
        yield found


def summary(cases: list[Case], names: list[str]) -> dict[str, Any]:
    """Returns geometric means over the pairs, and the ratios to the first network."""
    mean = {n: np.array([c["mean"] for c in cases if c["network"] == n]) for n in names}
    content = {n: np.array([c["content_loss"] for c in cases if c["network"] == n]) for n in names}
    layers = {
        n: np.mean([c["left"] for c in cases if c["network"] == n], axis=0).round(4).tolist()
        for n in names
    }
    first = names[0]
    return {
        name: {
            "left_by_layer": layers[name],
            "left": geometric_mean(mean[name]),
            "to_first": geometric_mean(mean[name] / mean[first]),
            "worst_to_first": float((mean[name] / mean[first]).max()),
            "content_to_first": geometric_mean(content[name] / content[first]),
            "worst_content_to_first": float((content[name] / content[first]).max()),
        }
        for name in names
    }


def draw_sheet(path: Path, names: list[str], rows: list[tuple[list[jax.Array], list[str]]]) -> None:
    """Draws a page with the two images of each pair and every network's picture.

    Args:
      path: the file.
      names: the names of the networks.
      rows: the images of each pair, and what is written under them.
    """
    cells = []
    for pictures, lines in rows:
        row = []
        for picture, line in zip(pictures, lines, strict=True):
            shape = scaled_shape((picture.shape[0], picture.shape[1]), _COLUMN)
            small = np.asarray(pixels.quantize(pixels.resize(picture, shape)) * 255)
            row.append(contact_sheet.Cell(Image.fromarray(small.round().astype(np.uint8)), [line]))
        cells.append(row)
    heads = ["photograph", "painting", *names]
    contact_sheet.save_page(path, contact_sheet.draw_page(heads, [""] * len(cells), cells, _COLUMN))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.training.judge_networks", __doc__)
    add = parser.add_argument
    add_data_option(parser)
    add("--judge", default="vgg19", help="VGG-19, or a file of it; it is also the first network")
    add("--networks", nargs="*", default=["compact", "random"], metavar="NETWORK",
        help="names or files; random is a random network of the shape of the one before it "
             "(default: compact random)")  # fmt: skip
    add("--recipe", nargs="*", default=[], metavar="NETWORK=PRESET",
        help="recipes (default: compact for compact, default for the others)")  # fmt: skip
    add("--size", type=int, default=256, help="longer side in pixels")
    add("--steps", type=int, default=200, help="steps for each picture")
    add("--pairs", type=int, metavar="N",
        help="only the first N of the benchmarks' pairs (default: all 3 × 7 pairs)")  # fmt: skip
    add("-o", "--output", type=Path, metavar="SHEETS",
        help="folder for the pictures and their lines of JSON")  # fmt: skip
    add("--sheet", type=Path, help="file for a page of seven pairs, or of those of --pairs")
    options = parser.parse_args(arguments)
    try:
        run(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))


def make_candidates(options: argparse.Namespace) -> list[Candidate]:
    """Returns VGG-19 and then the networks asked for, each with its recipe."""
    recipes = dict(pair.split("=", 1) for pair in options.recipe if "=" in pair)
    wrong = recipes.keys() - {"vgg19", *options.networks}
    if wrong or len(recipes) < len(options.recipe):
        raise ValueError(
            f"--recipe should be NETWORK=PRESET of one of vgg19, {', '.join(options.networks)}, "
            f"got {' '.join(options.recipe)}"
        )
    recipes = {"compact": "compact"} | recipes
    networks = {"vgg19": load_network(options.judge, normalized=True).params}
    for name in options.networks:
        if name == "random":  # in the shape of the network before it
            squares = [
                jaxstyle.load_image(options.data / "content" / name, 256) for name in PHOTOGRAPHS
            ]
            networks[name] = random_network(networks[next(reversed(networks))], squares)
        else:
            networks[name] = load_network(name).params
    return [
        network_candidate(
            name, params, get_preset(recipes.get(name, "default")), options.steps, options.size
        )
        for name, params in networks.items()
    ]


def run(options: argparse.Namespace) -> None:
    """Makes the pictures, judges them, prints the scores and draws the sheet."""
    candidates = make_candidates(options)
    names = [candidate.name for candidate in candidates]
    judge = load_network(options.judge, normalized=False).params
    taken = list(pairs(options.data, options.size, options.pairs))
    cases: list[Case] = []
    rows: dict[str, tuple[list[jax.Array], list[str]]] = {}
    judged = judge_candidates(candidates, judge, taken, Sheets(options.output))
    for (content_name, style_name, pair), found in zip(taken, judged, strict=True):
        cases += [case for case, _ in found]
        own = PHOTOGRAPHS.index(content_name) == PAINTINGS.index(style_name) % len(PHOTOGRAPHS)
        if own or options.pairs is not None:
            left = [f"{case['mean']:.3f}" for case, _ in found]
            shown = [*pair, *(image for _, image in found)]
            rows[style_name] = (shown, ["", "style left:", *left])
    if options.sheet:
        draw_sheet(options.sheet, names, [rows[k] for k in PAINTINGS if k in rows])
    print(json.dumps(summary(cases, names), indent=2))


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
