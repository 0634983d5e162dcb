"""The rows of the table of options that pictures made of pieces have of their own."""

import functools
from typing import get_args

from jaxstyle.pieces.analogies import COHERENCE, Whose
from jaxstyle.pipeline.choices import AnalogyMethod, TextureMethod
from jaxstyle.pipeline.guide_options import Guides
from jaxstyle.pipeline.kinds import NOT_NEGATIVE, Choice, FileName, whole
from jaxstyle.pipeline.option import Option

ANALOGY = "analogy"
"""The command that does to one picture what was done to another."""


def make_piece_rows() -> tuple[Option, ...]:
    """The rows, in the order of the help texts."""
    own = functools.partial(Option, commands=(ANALOGY,))
    seed = whole(0, 2**32 - 1)
    return (
        own("size", whole(1), "set the longer side in pixels", "picture", metavar="N",
            default="512"),
        own("unfiltered", FileName(), "take this picture for what A2 was made of", "picture",
            metavar="A"),
        Option("fidelity", NOT_NEGATIVE, "let the photograph count so many times as much, where "
               "the picture is made of pieces", "picture", ("apply",), "X", "1"),
        Option("seed", seed, "draw with this seed among pieces that fit", "picture",
               ("apply", ANALOGY), "N", "0"),
        own("style-size", whole(1), "set the longer side of A and A2, in pixels, which sets the "
            "size of the strokes", "style", metavar="N", default="that of the picture"),
        own("colors", Choice(get_args(Whose)), "copy the painting's colours, or its light alone",
            "colour", metavar="WHOSE", default="painting"),
        own("guides", Guides(), "let further pairs of pictures say what belongs together: one "
            "beside A2, and its target beside B; may be given several times", "regions",
            metavar="FILE,target=FILE[,weight=X]"),
        Option("method", Choice(get_args(TextureMethod)), "match statistics of a network; lay "
               "blocks of the painting side by side; or let its patches vote", "method",
               ("texture",), "HOW", "statistics"),
        own("method", Choice(get_args(AnalogyMethod)), "copy pixels that look alike and go on from "
            "each other; those that go on alone; or let patches vote", "method", metavar="HOW",
            default="analogies"),
        Option("coherence", NOT_NEGATIVE, "favour pixels that go on from each other", "method",
               ("apply", ANALOGY), "X", f"{COHERENCE:g}, for analogies"),
        *(
            Option("block", whole(2, 2**12), f"set the side of {what}, in pixels", "method",
                   (command,), "N", default)
            for command, what, default in (
                ("texture", "blocks or patches", "40 for quilting, 7 for neighbours"),
                ("apply", "blocks of the first pass, or of patches",
                 "24 for quilting, 7 for neighbours"),
                (ANALOGY, "patches", "7"),
            )
        ),
        Option("evenness", NOT_NEGATIVE, "make pieces dearer by their uses so far", "method",
               ("texture", ANALOGY), "X", "the method's"),
    )  # fmt: skip
