"""Pictures that are made once: what the scripts that make and judge many of them share."""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from pairs import PAINTINGS, PAIRS, PHOTOGRAPHS

import jaxstyle
from jaxstyle.image import pixels


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
            jaxstyle.save_image(self._folder / f"{name}.png", pixels.side_by_side(row))


def digest(text: str, *trees: Any) -> str:
    """Eight letters that change with the text and with any number in the trees."""
    found = hashlib.sha256(text.encode())
    for leaf in jax.tree.leaves(trees):
        found.update(np.asarray(leaf).tobytes())
    return found.hexdigest()[:8]


def recipe_digest(text: str, options: Mapping[str, Any], *trees: Any) -> str:
    """`digest` of what `jaxstyle.stylize` is called with.

    The solver is the exception: its own text would hold addresses, so the text should name the
    preset. Who changes a preset's solver, or the code, should use a new folder.

    Args:
      text: what else the picture depends on.
      options: keyword arguments of `jaxstyle.stylize`; the weights resolved.
      trees: the network, and other arrays.
    """
    named = {name: option for name, option in options.items() if name not in ("solver", "weights")}
    return digest(f"{text} {named}", options["weights"], *trees)


def pairs(
    data: Path, size: int, first: int | None = None
) -> Iterator[tuple[str, str, tuple[jax.Array, jax.Array]]]:
    """Photographs and paintings: `(content's name, style's name, (content, style))`.

    Args:
      data: a folder with subfolders content and style.
      size: longer side of both in pixels.
      first: only so many of the benchmark's own pairs, in place of 3 photographs × 7 paintings.
    """
    names = itertools.product(PHOTOGRAPHS, PAINTINGS) if first is None else PAIRS[:first]
    for content, style in names:
        yield (
            content,
            style,
            (
                jaxstyle.load_image(data / "content" / content, size),
                jaxstyle.load_image(data / "style" / style, size),
            ),
        )


def geometric_mean(values: Any) -> float:
    """Zero where any of the values is."""
    values = np.asarray(values)
    return float(np.exp(np.log(values).mean())) if values.all() else 0.0
