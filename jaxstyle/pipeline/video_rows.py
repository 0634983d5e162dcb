"""The options of `jaxstyle video`: those of pictures that make sense for films, and its own."""

import dataclasses
import functools
from collections.abc import Iterable

from jaxstyle.networks.catalogue import BRUSH, DECODER_FILES, FAST_FILES, FILM
from jaxstyle.pipeline.kinds import (
    NOT_NEGATIVE,
    POSITIVE,
    Choice,
    Counts,
    FileName,
    Kind,
    Levels,
    whole,
)
from jaxstyle.pipeline.option import Option
from jaxstyle.video.carrying import LONG_TERM
from jaxstyle.video.painting import TEMPORAL_WEIGHT

COMMAND = "video"
METHODS = ("optimise", "fast", "wct", "adain", "transport")
"""How frames are painted: by optimisation, by a fast network, or by features of any painting."""
# What has no meaning for a film, or another one.
_LEFT_OUT = {
    "init-noise", "scales", "scale-steps", "steps", "settings-from", "output", "preview",
    "save-every", "trace", "animate", "animate-size", "animate-every", "quality", "bit-depth",
    "resume", "snapshot-every", "width", "split-rows", "dry-run", "init", "size",
}  # fmt: skip


def with_video(rows: Iterable[Option]) -> tuple[Option, ...]:
    """Returns the table of options with those of films.

    Args:
      rows: the table without them.
    """
    shared = [
        dataclasses.replace(row, commands=(*row.commands, COMMAND))
        if "stylize" in row.commands and row.name not in _LEFT_OUT
        else row
        for row in rows
    ]
    return (*shared, *_own_rows())


def _own_rows() -> tuple[Option, ...]:
    row = functools.partial(Option, commands=(COMMAND,))
    run = functools.partial(Option, commands=(COMMAND,), shapes=False)
    frames = ", ".join(map(str, LONG_TERM))
    return (
        row("size", whole(16, 2**14), "set the longer side in pixels", "picture", metavar="N",
            default="512, for fast methods the film's"),
        row("start", NOT_NEGATIVE, "begin at this second of the film", "picture", metavar="SECONDS",
            default="0"),
        row("end", POSITIVE, "end at this second of the film", "picture", metavar="SECONDS",
            default="its end"),
        row("fps", POSITIVE, "show so many frames a second", "picture", metavar="N",
            default="the film's, a folder's 25"),
        row("init", Choice(("content", "matched", "noise", "fast")), "start the first frame of a "
            "shot from this", "picture", metavar="START", default="the recipe's"),
        row("temporal-weight", NOT_NEGATIVE, "hold frames so much to those before; 0 only starts "
            "from them", "picture", metavar="X", default=f"{TEMPORAL_WEIGHT:g}"),
        row("long-term", Counts(rising=True), "compare with frames so far back, 1 first", "picture",
            metavar="N,…", default=frames),
        row("passes", whole(1, 100), "go over the film so often, forwards and backwards in turns",
            "picture", metavar="N", default="1"),
        row("flow", FileName(), "take motion from this folder of .flo or .npz files, or from one "
            ".npz, in place of OpenCV", "picture", metavar="FILES"),
        row("style", Kind(), "paint in this style of the network", "style", metavar="NAME",
            default="its first"),
        row("method", Choice(METHODS), "paint by optimisation, by a fast network, or by features "
            "and a decoder", "method", metavar="HOW", default="optimise"),
        row("steps", whole(1), "make so many steps for each frame after the first of a shot",
            "method", metavar="N", default="a fifth of the first's"),
        row("first-steps", whole(1), "make so many steps for the first frame of a shot", "method",
            metavar="N", default="the recipe's"),
        row("fast-network", FileName(names=tuple(FAST_FILES)), "paint with this network: "
            f"{', '.join(FAST_FILES)}, which the package ships, or a file", "method",
            metavar="NAME", default=FILM),
        row("decoder", FileName(names=tuple(DECODER_FILES)), "make pixels of features by this "
            f"decoder: {', '.join(DECODER_FILES)}, which the package ships, or a file", "method",
            metavar="NAME", default=BRUSH),
        row("levels", Levels(), "give these levels of features the painting's statistics, coarse "
            "to fine, each with a strength from 0 to 1", "method", metavar="N=X,…",
            default="4,3,2"),
        run("output", FileName(), "write the film here: .mp4, .mov, .mkv, .gif, .webp or a folder; "
            "a rerun goes on", "output", metavar="OUT"),
        run("preview", whole(1), "write the film so far every N frames, to OUT.preview", "output",
            metavar="N"),
        run("dry-run", Choice(("formula", "exact"), bare="formula"), "print how many frames there "
            "are, the memory, and the time that three frames tell", "output", metavar="HOW"),
    )  # fmt: skip
