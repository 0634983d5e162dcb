"""Names the photographs and paintings that all measurements share."""

import json
from pathlib import Path
from typing import Any

PAIRS = [
    ("tubingen_praefcke.jpg", "starry-night.jpg"),
    ("coffee.png", "great-wave.jpg"),
    ("sklearn_china.jpg", "kandinsky_composition_vii.jpg"),
]
PHOTOGRAPHS = [content for content, _ in PAIRS]
ALL_PHOTOGRAPHS = [*PHOTOGRAPHS, "sklearn_flower.jpg", "astronaut.png", "rocket.jpg"]
PAINTINGS = [
    "starry-night.jpg", "great-wave.jpg", "the-scream.jpg", "water-lilies.jpg",
    "birth-venus.jpg", "wanderer-sea-fog.jpg", "kandinsky_composition_vii.jpg",
]  # fmt: skip
INITS = ("content", "white-noise")
# What is measured of one picture, or of one setting: a line of JSON.
Case = dict[str, Any]


def read_cases(path: Path) -> list[Case]:
    """Returns the lines of a file of measurements; none if there is no file.

    Raises:
      ValueError: if it holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]
    except ValueError:
        raise ValueError(f"{path}: not measurements, which are lines of JSON") from None
