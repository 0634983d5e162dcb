"""Judges the networks that make pictures by the one that all are measured against, VGG-19.

    python scripts/judge_networks.py --data DATA -o SHEETS --sheet networks.jpg

Every network stylises 3 photographs with 7 paintings, from the photograph; the pictures as saved
are judged by VGG-19 with its published weights and max pooling: at each style layer, the style
loss that is left as a fraction of the photograph's own, and the content loss. One line of JSON for
each picture, then a table. SHEETS gets the pictures, those of a pair side by side, and the lines;
a rerun makes only what is missing there. The sheet has each painting once, the photographs in turn.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from pairs import PAINTINGS, PHOTOGRAPHS
from PIL import Image
from sheets import Sheets, digest, geometric_mean, pairs

import jaxstyle
from jaxstyle import contact_sheet, evaluate, images, multiscale, vgg
from jaxstyle.pages import restart_with_huge_pages
from jaxstyle.presets import get_preset
from jaxstyle.weights import load_network

_COLUMN = 192


class Judge:
    """VGG-19's opinion of pictures of one photograph and one painting."""

    def __init__(self, params: vgg.Params, content: jax.Array, style: jax.Array):
        self._params = params
        self._reference = evaluate.compute_reference(params, content, style, withheld=())

    def __call__(self, image: jax.Array) -> tuple[list[float], float]:
        """The style loss left at each layer, as a fraction, and the content loss."""
        scores = evaluate.score(self._params, image, self._reference)
        left = [float(scores.style_left[k]) for k in evaluate.SPEC.style_layers]
        return left, float(scores.content["relu4_2"])


def make(name: str, params: vgg.Params, pair: tuple[Any, Any], arguments: Any) -> jax.Array:
    """A network's picture as it would be saved."""
    content, style = pair
    preset = get_preset(arguments.recipes.get(name, "default"))
    options = preset.options(params, content.shape[:2]) | {"num_steps": arguments.steps}
    result = jaxstyle.stylize(params, content, style, **options)
    return images.quantize(result.image)


def random_network(shape: vgg.Params, squares: list[jax.Array]) -> vgg.Params:
    """A random network of another's shape whose layers, not filters, have a mean activation of one.

    By the filter, those that are nearly dead would outweigh all others by many powers of ten.
    """
    params = vgg.init_params(jax.random.key(0), vgg.network_widths(shape))
    means = vgg.activation_means(params, squares)
    return vgg.rescale_params(
        params, {name: jnp.full_like(mean, mean.mean()) for name, mean in means.items()}
    )


def fingerprint(params: vgg.Params, judge: vgg.Params, name: str, arguments: Any) -> str:
    """What a picture and its judgement depend on besides the pair."""
    recipe = arguments.recipes.get(name, "default")
    weights = get_preset(recipe).weights(params, (64, 64)).resolve(get_preset(recipe).spec)
    return digest(f"{recipe} {arguments.size} {arguments.steps}", params, weights, judge)


def summary(cases: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """Geometric means over the pairs, and the ratios to the first network."""
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
    """A labelled page: the two images, and every network's picture with what is left of the style.

    Args:
      path: the file.
      names: of the networks.
      rows: of each pair the images, and what is written under them.
    """
    cells = []
    for pictures, lines in rows:
        row = []
        for picture, line in zip(pictures, lines, strict=True):
            shape = multiscale.scaled_shape((picture.shape[0], picture.shape[1]), _COLUMN)
            small = np.asarray(images.quantize(images.resize(picture, shape)) * 255)
            row.append(contact_sheet.Cell(Image.fromarray(small.round().astype(np.uint8)), [line]))
        cells.append(row)
    heads = ["photograph", "painting", *names]
    contact_sheet.draw_page(heads, [""] * len(cells), cells, _COLUMN).save(path, quality=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, default=Path("../shared/data"))
    add("--judge", default="vgg19", help="VGG-19, or a file of it; also the first network")
    add("--networks", nargs="*", default=["compact", "random"], help="names, files, or random")
    add("--recipe", nargs="*", default=["compact=compact"], help="NETWORK=PRESET, else default")
    add("--size", type=int, default=256, help="longer side in pixels")
    add("--steps", type=int, default=200)
    add("--pairs", type=int, help="only the first so many of the benchmark's own pairs")
    add("-o", "--output", type=Path, help="folder for the pictures and lines")
    add("--sheet", type=Path, help="a page of the pictures of seven pairs")
    arguments = parser.parse_args()
    arguments.recipes = dict(pair.split("=") for pair in arguments.recipe)

    judge = load_network(arguments.judge, normalized=False).params
    networks = {"vgg19": load_network(arguments.judge, normalized=True).params}
    squares = [jaxstyle.load_image(arguments.data / "content" / name, 256) for name in PHOTOGRAPHS]
    for name in arguments.networks:
        if name == "random":  # the shape of the network before it
            networks[name] = random_network(networks[next(reversed(networks))], squares)
        else:
            networks[name] = load_network(name).params

    keys = {
        name: f"{Path(name).stem}-{fingerprint(params, judge, name, arguments)}"
        for name, params in networks.items()
    }
    cases, sheets = [], Sheets(arguments.output)
    rows: dict[str, tuple[list[jax.Array], list[str]]] = {}
    for content_name, style_name, pair in pairs(arguments.data, arguments.size, arguments.pairs):
        judged, row = Judge(judge, *pair), list(pair)
        stem = f"{Path(content_name).stem}--{Path(style_name).stem}"
        for name, params in networks.items():
            key = f"{stem}--{keys[name]}"
            found = sheets.find(key)
            if found is None:
                image = make(name, params, pair, arguments)
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
                image, case = found
            cases.append(case | {"network": name})
            row.append(image)
        sheets.row(stem, row)
        if PHOTOGRAPHS.index(content_name) == PAINTINGS.index(style_name) % len(PHOTOGRAPHS):
            left = [f"{case['mean']:.3f}" for case in cases[-len(networks) :]]
            rows[style_name] = (row, ["", "style left:", *left])
    if arguments.sheet:
        draw_sheet(arguments.sheet, list(networks), [rows[k] for k in PAINTINGS if k in rows])
    print(json.dumps(summary(cases, list(networks)), indent=2))


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
