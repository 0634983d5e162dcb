"""The words that some options choose among."""

from collections.abc import Sequence
from typing import Literal, get_args

COLORS = (
    "style",
    "luminance",
    "match-cholesky",
    "match-pca",
    "match-symmetric",
    "histogram",
    "matched",
)
"""Whose colours a stylised picture has: the painting's, or in some way the photograph's."""
MATCHED = "matched"
"""Of these, the photograph's chroma, moved to the painting's colours at the end."""
PLAIN_COLORS = {
    "painting": "style",
    "photo": "luminance",
    "photo-recoloured": "match-symmetric",
    "matched": MATCHED,
}
"""Plain words for the most useful of them."""

STARTS = {
    "stylize": ("content", "matched", "fast", "rearranged", "noise", "white-noise", "style"),
    "texture": ("noise", "white-noise", "style"),
    "reconstruct": ("content", "noise", "white-noise"),
}
"""What each command may start from, besides a picture's file."""

STATISTICS = "statistics"
"""The method of a texture that is optimised."""
TextureMethod = Literal["statistics", "quilting", "neighbours"]
AnalogyMethod = Literal["analogies", "ashikhmin", "neighbours"]
PIECES = ("quilting", "neighbours", *get_args(AnalogyMethod)[:2])
"""The methods that put pictures together from pieces."""


def check_layers(names: Sequence[str]) -> None:
    """Raises `ValueError` unless all are layers of VGG; the message lists them."""
    from jaxstyle.networks import vgg  # which imports JAX, and most options name no layers

    vgg.check_layers(names)
