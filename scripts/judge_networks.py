"""Judges the networks that make pictures by the one that all are measured against, VGG-19.

    python scripts/judge_networks.py --data DATA -o SHEETS

Every network stylises 3 photographs with 7 paintings, from the photograph; the pictures as saved
are judged by VGG-19 with its published weights and max pooling: at each style layer, the style
loss that is left as a fraction of the photograph's own, and the content loss. One line of JSON for
each picture, then a table. SHEETS gets the pictures, those of a pair side by side, and the lines;
a rerun makes only what is missing there.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from benchmark import PHOTOGRAPHS
from sheets import Sheets, digest, geometric_mean, pairs

import jaxstyle
from jaxstyle import evaluate, images, vgg
from jaxstyle.pages import restart_with_huge_pages
from jaxstyle.presets import get_preset
from jaxstyle.weights import load_network


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
    print(json.dumps(summary(cases, list(networks)), indent=2))


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
