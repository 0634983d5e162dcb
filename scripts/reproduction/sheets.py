"""Keeps pictures and their scores, so that each is made and judged only once."""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxstyle
from jaxstyle.image import pixels
from scripts.pairs import PAINTINGS, PAIRS, PHOTOGRAPHS


class Sheets:
    """Keeps pictures and their lines of JSON in a folder; without a folder, nothing is kept."""

    def __init__(self, folder: Path | None):
        self._folder = folder
        self._known: dict[str, dict[str, Any]] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            lines = folder / "cases.jsonl"
            for line in lines.read_text(encoding="utf-8").splitlines() if lines.exists() else ():
                case = json.loads(line)
                self._known[case["key"]] = case

    def find(self, key: str) -> tuple[jax.Array, dict[str, Any]] | None:
        """Returns the picture and the line of a key, if they were kept."""
        if self._folder is None or key not in self._known:
            return None
        path = self._folder / f"{key}.png"
        return (jaxstyle.load_image(path), self._known[key]) if path.exists() else None

    def keep(self, case: dict[str, Any], image: jax.Array) -> None:
        """Prints the line of a picture and writes both into the folder."""
        print(json.dumps(case), flush=True)
        if self._folder is not None:
            jaxstyle.save_image(self._folder / f"{case['key']}.png", image)
            with (self._folder / "cases.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(case) + "\n")

    def row(self, name: str, row: list[jax.Array]) -> None:
        """Writes pictures side by side into the folder."""
        if self._folder:
            jaxstyle.save_image(self._folder / f"{name}.png", pixels.side_by_side(row))


def digest(text: str, *trees: Any) -> str:
    """Returns eight hexadecimal digits that depend on the text and on all numbers in the trees."""
    found = hashlib.sha256(text.encode())
    for leaf in jax.tree.leaves(trees):
        found.update(np.asarray(leaf).tobytes())
    return found.hexdigest()[:8]


def recipe_digest(text: str, options: Mapping[str, Any], *trees: Any) -> str:
    """Returns the `digest` of what `jaxstyle.stylize` is called with.

    The solver does not count, because its text would hold addresses; so the text should name the
    preset. After a change of a preset's solver, or of the code, a new folder is needed.

    Args:
      text: what else the picture depends on.
      options: the keyword arguments of `jaxstyle.stylize`, with resolved weights.
      trees: the network, and other arrays.
    """
    named = {name: option for name, option in options.items() if name not in ("solver", "weights")}
    return digest(f"{text} {named}", options["weights"], *trees)


def pairs(
    data: Path,
    size: int,
    first: int | None = None,
    photographs: Sequence[str] = PHOTOGRAPHS,
    paintings: Sequence[str] = PAINTINGS,
) -> Iterator[tuple[str, str, tuple[jax.Array, jax.Array]]]:
    """Reads photographs and paintings.

    Args:
      data: a folder with the subfolders content and style.
      size: the longer side of both in pixels.
      first: how many of the benchmarks' pairs to take; None takes all photographs with all
        paintings.
      photographs: files in content, by default 3.
      paintings: files in style, by default 7.

    Yields:
      `(content's name, style's name, (content, style))`.
    """
    names = itertools.product(photographs, paintings) if first is None else PAIRS[:first]
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
    """Returns the geometric mean, which is zero if any of the values is."""
    values = np.asarray(values)
    return float(np.exp(np.log(values).mean())) if values.all() else 0.0
