"""Judges the networks that make pictures by the one that all are measured against, VGG-19.

    python scripts/judge_networks.py --data DATA -o SHEETS

Every network stylises 3 photographs with 7 paintings, from the photograph; the pictures as saved
are judged by VGG-19 with its published weights and max pooling: at each style layer, the style
loss that is left as a fraction of the photograph's own, and the content loss. One line of JSON for
each picture, then a table. SHEETS gets the pictures, those of a pair side by side, and the lines;
a rerun makes only what is missing there.
"""

import argparse
import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from benchmark import PAINTINGS, PAIRS, PHOTOGRAPHS

import jaxstyle
from jaxstyle import images, vgg
from jaxstyle.objective import LossSpec, LossWeights
from jaxstyle.presets import get_preset
from jaxstyle.weights import load_network

SPEC = LossSpec(padding="zero")
EVEN = LossWeights(content=1.0, style=1.0, out_of_range=0.0)


class Sheets:
    """The pictures and lines of a folder that are made once; without a folder, of this run."""

    def __init__(self, folder: Path | None):
        self._folder = folder
        self._known: dict[str, dict[str, Any]] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            lines = folder / "cases.jsonl"
            for line in lines.read_text().splitlines() if lines.exists() else ():
                case = json.loads(line)
                self._known[case["key"]] = case

    def find(self, key: str) -> tuple[jax.Array, dict[str, Any]] | None:
        """The picture and the line of a key, if they were kept."""
        if self._folder is None or key not in self._known:
            return None
        path = self._folder / f"{key}.png"
        return (jaxstyle.load_image(path), self._known[key]) if path.exists() else None

    def keep(self, case: dict[str, Any], image: jax.Array) -> None:
        """Prints the line of a picture, and writes both into the folder."""
        print(json.dumps(case), flush=True)
        if self._folder is not None:
            jaxstyle.save_image(self._folder / f"{case['key']}.png", image)
            with (self._folder / "cases.jsonl").open("a") as file:
                file.write(json.dumps(case) + "\n")

    def row(self, name: str, row: list[jax.Array]) -> None:
        """Keeps pictures side by side."""
        if self._folder:
            jaxstyle.save_image(self._folder / f"{name}.png", images.side_by_side(row))


class Judge:
    """VGG-19's opinion of pictures of one photograph and one painting."""

    def __init__(self, params: vgg.Params, content: jax.Array, style: jax.Array):
        self._params = params
        self._targets = jaxstyle.compute_targets(params, content, style, SPEC)
        self._start = self._terms(content)

    def _terms(self, image: jax.Array) -> dict[str, float]:
        value, _ = jaxstyle.objective_and_gradient(
            image, self._params, self._targets, EVEN, spec=SPEC
        )
        return {name: float(term) for name, term in value.terms.items()}

    def __call__(self, image: jax.Array) -> tuple[list[float], float]:
        """The style loss left at each layer, as a fraction, and the content loss."""
        terms = self._terms(image)
        left = [terms[f"style/{k}"] / self._start[f"style/{k}"] for k in SPEC.style_layers]
        return left, terms["content/relu4_2"]


def make(name: str, params: vgg.Params, pair: tuple[Any, Any], arguments: Any) -> jax.Array:
    """A network's picture as it would be saved."""
    content, style = pair
    recipe = arguments.recipes.get(name, "default")
    result = jaxstyle.stylize(
        params, content, style, spec=get_preset(recipe).spec,
        weights=get_preset(recipe).weights(params, content.shape[:2]), num_steps=arguments.steps,
    )  # fmt: skip
    return images.quantize(result.image)


def fingerprint(params: vgg.Params, judge: vgg.Params, name: str, arguments: Any) -> str:
    """What a picture and its judgement depend on besides the pair."""
    recipe = arguments.recipes.get(name, "default")
    weights = get_preset(recipe).weights(params, (64, 64)).resolve(get_preset(recipe).spec)
    digest = hashlib.sha256(f"{recipe} {arguments.size} {arguments.steps}".encode())
    for leaf in jax.tree.leaves((params, weights, judge)):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()[:8]


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
            "left": float(np.exp(np.log(mean[name]).mean())),
            "to_first": float(np.exp(np.log(mean[name] / mean[first]).mean())),
            "worst_to_first": float((mean[name] / mean[first]).max()),
            "content_to_first": float(np.exp(np.log(content[name] / content[first]).mean())),
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
            widths = vgg.network_widths(networks[next(reversed(networks))])
            params = vgg.init_params(jax.random.key(0), widths)
            networks[name] = vgg.normalize_params(params, squares)
        else:
            networks[name] = load_network(name).params

    keys = {
        name: f"{Path(name).stem}-{fingerprint(params, judge, name, arguments)}"
        for name, params in networks.items()
    }
    cases, sheets = [], Sheets(arguments.output)
    pairs = list(itertools.product(PHOTOGRAPHS, PAINTINGS))
    if arguments.pairs is not None:
        pairs = PAIRS[: arguments.pairs]
    for content_name, style_name in pairs:
        pair = tuple(
            jaxstyle.load_image(arguments.data / folder / name, arguments.size)
            for folder, name in (("content", content_name), ("style", style_name))
        )
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
    main()
