"""Names the photographs and paintings that all measurements share."""

from typing import Any

PAIRS = [
    ("tubingen_praefcke.jpg", "starry-night.jpg"),
    ("coffee.png", "great-wave.jpg"),
    ("sklearn_china.jpg", "kandinsky_composition_vii.jpg"),
]
PHOTOGRAPHS = [content for content, _ in PAIRS]
PAINTINGS = [
    "starry-night.jpg", "great-wave.jpg", "the-scream.jpg", "water-lilies.jpg",
    "birth-venus.jpg", "wanderer-sea-fog.jpg", "kandinsky_composition_vii.jpg",
]  # fmt: skip
INITS = ("content", "white-noise")
# What is measured of one picture, or of one setting: a line of JSON.
Case = dict[str, Any]
