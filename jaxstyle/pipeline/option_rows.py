"""The rows of the table of options; `jaxstyle.pipeline.options` reads them."""

import functools
from typing import get_args

from jaxstyle import solvers
from jaxstyle.feedforward.architecture import ARCHITECTURES
from jaxstyle.losses.content import ContentName
from jaxstyle.losses.guides import GuideMode
from jaxstyle.losses.spec import TotalVariation
from jaxstyle.losses.statistics import StatisticName
from jaxstyle.networks.catalogue import BRUSH, DECODER_FILES, FAST_FILES, FILES, PAINTBOX
from jaxstyle.networks.convolution import Convolution, Padding
from jaxstyle.networks.layouts import LAYOUTS
from jaxstyle.networks.spec import Memory, Precision
from jaxstyle.networks.vgg import Pooling
from jaxstyle.optimization.multiscale import ENLARGING_STEPS
from jaxstyle.optimization.presets import PRESETS
from jaxstyle.pipeline.choices import COLORS, PLAIN_COLORS, STARTS
from jaxstyle.pipeline.file_options import FACES, Mix, Paintings, Regions, StyleRegions
from jaxstyle.pipeline.first import Way
from jaxstyle.pipeline.kinds import (
    NOT_NEGATIVE,
    POSITIVE,
    Choice,
    Counts,
    FileName,
    Flag,
    Kind,
    Layer,
    Layers,
    Levels,
    Names,
    Number,
    Shard,
    Shares,
    WidthAndHeight,
    whole,
)
from jaxstyle.pipeline.option import Option
from jaxstyle.pipeline.piece_rows import ANALOGY, make_piece_rows
from jaxstyle.pipeline.point_options import Points
from jaxstyle.pipeline.serve_rows import SERVE_ROWS

PICTURES = ("stylize", "texture", "reconstruct")
"""The commands that make one picture from each of their inputs."""
_MADE = ("demo", *PICTURES)
_LISTED = (*_MADE, "apply", ANALOGY, "larger", "train", "sweep")
_WEIGHTS = ("weights list", "weights fetch", "weights convert", "weights verify")
SNAPSHOT_EVERY = 10
"""Steps between the snapshots of a larger picture, whose steps are long."""


def make_rows() -> tuple[Option, ...]:
    """The table, in the order of the help texts."""
    every, styled, stylize, apply = PICTURES, ("stylize", "texture"), ("stylize",), ("apply",)
    made, train, larger = (*PICTURES, "apply", ANALOGY, "larger"), ("train",), ("larger",)
    run = functools.partial(Option, shapes=False)
    again = functools.partial(run, commands=larger)
    optimised, count, size = (*PICTURES, "larger"), whole(1), whole(1)
    return (
        # picture
        Option("size", size, "set the longer side in pixels", "picture", every, "N", "512"),
        run("size", size, "set the longer side in pixels", "picture", ("demo",), "N", "320"),
        Option("size", size, "set the longer side in pixels", "picture", apply, "N",
               "the photograph's, for quick 512"),
        run("size", size, "set the longer side in pixels", "picture", larger, "N"),
        run("times", Number(least=1, most=64, above=True), "make the picture so many times as "
            "large", "picture", larger, "X"),
        run("content", FileName(), "take this photograph, where it is not found", "picture", larger,
            "FILE"),
        run("style", FileName(), "take this painting, where it is not found", "style", larger,
            "FILE"),
        run("size", whole(32, 2**12), "train on squares of this side, in pixels", "picture", train,
            "N", "192"),
        run("content-weight", NOT_NEGATIVE, "multiply the photograph's weight", "picture", train,
            "X", "1"),
        run("seed", whole(0, 2**32 - 1), "draw all that is random with this seed", "picture", train,
            "N", "0"),
        run("content-layers", Layers(), "compare the photograph at these layers, each with a "
            "weight", "picture", train, "L=X,…", "the recipe's"),
        run("style-layers", Layers(), "compare the paintings at these layers, each with a weight",
            "style", train, "L=X,…", "the recipe's"),
        run("style-weight", NOT_NEGATIVE, "multiply the paintings' weight", "style", train, "X",
            "1"),
        run("statistic", Choice(get_args(StatisticName)), "compare this statistic of a style",
            "style", train, "NAME", "gram"),
        run("tv", Choice(get_args(TotalVariation)), "smooth with this kind of total variation",
            "picture", train, "KIND", "the recipe's"),
        run("tv-weight", NOT_NEGATIVE, "set the weight of the total variation, which smooths",
            "picture", train, "X", "the recipe's"),
        Option("strength", Number(most=100), "lay so many per cent of the painting over the "
               "photograph", "picture", apply, "X", "100"),
        Option("strength", Number(most=100), "paint so strongly, from 0, the photograph, to 100, "
               "nearly all painting", "picture", stylize, "X", "the recipe's"),
        Option("output-size", WidthAndHeight(), "set the size of the texture", "picture",
               ("texture",), "WxH", "the painting's"),
        Option("layer", Layer(), "match this layer", "picture", ("reconstruct",), "LAYER",
               "relu4_2"),
        Option("content-weight", NOT_NEGATIVE, "multiply the photograph's weight in the recipe",
               "picture", stylize, "X", "1"),
        Option("content-loss", Choice(get_args(ContentName)), "hold the photograph's features, or "
               "how its places are alike, which leaves strokes free", "picture", stylize, "NAME",
               "features"),
        Option("content-layers", Layers(), "compare the photograph at these layers, each with a "
               "weight", "picture", stylize, "L=X,…", "the recipe's"),
        *(
            Option("init", FileName(names=names), f"start from {', '.join(names)}, or a picture",
                   "picture", (command,), "START",
                   "the recipe's" if command == "stylize" else "noise")
            for command, names in STARTS.items()
        ),
        Option("init", FileName(), "polish this picture in place of one that is painted at once",
               "picture", apply, "FILE"),
        Option("init-noise", Number(most=1), "add noise of this standard deviation to the start, 0 "
               "to 1", "picture", every, "X", "the start's own"),
        Option("seed", whole(0, 2**32 - 1), "draw the noise with this seed", "picture", every,
               "N", "0"),
        Option("scales", Counts(rising=True, names=("auto",)), "work from coarse to fine, at these "
               "sizes or at automatic ones", "picture", every, "N,…|auto", "one size"),
        Option("scale-steps", Counts(), "make so many steps at each of the scales", "picture",
               every, "N,…", "half after the first"),
        Option("smooth", Number(most=10), "smooth so many times as much as the recipe, 0 to 10",
               "picture", every, "X", "1"),
        Option("range-weight", NOT_NEGATIVE, "set the weight that keeps pixels in range; 0 clips "
               "them at the end", "picture", every, "X", "the recipe's"),
        # style
        Option("style", Kind(), "paint in this style of the network", "style", apply, "NAME",
               "its first"),
        Option("painting", Paintings(role="style"), "paint like this painting, or polish after it; "
               "given several times, each with =X, it is a mixture", "style", apply, "FILE"),
        Option("mix", Mix(), "give another painting a share of the style, or an equal part; may be "
               "given several times", "style", apply, "FILE=X"),
        Option("blend", Shares(), "blend styles of the network", "style", apply, "NAME=X,…"),
        Option("style-weight", NOT_NEGATIVE, "multiply the painting's weight in the recipe",
               "style", styled, "X", "1"),
        Option("no-trim", Flag(), "keep the even frame of a scan, which is cut off a painting "
               "otherwise", "style", (*styled, "apply")),
        run("no-trim", Flag(), "keep the even frames of scans, which are cut off paintings "
            "otherwise", "style", train),
        Option("strokes", Number(least=0.5, most=4), "make the brush strokes so many times as "
               "large, 0.5 to 4", "style", stylize, "X", "1"),
        Option("style-layers", Layers(), "compare the painting at these layers, each with a weight",
               "style", styled, "L=X,…", "the recipe's"),
        Option("statistic", Choice(get_args(StatisticName)), "compare this statistic of a style",
               "style", styled, "NAME", "gram"),
        Option("places", NOT_NEGATIVE, "match pieces of the painting too, which count so many "
               "times as much as the style", "style", styled, "X", "0"),
        Option("mix", Mix(), "give another painting a share of the style, or an equal part; may be "
               "given several times", "style", stylize, "FILE=X"),
        again("mix", Mix(), "name the other paintings again, where they are not found", "style",
              metavar="FILE=X"),
        Option("mix-by", Choice(("losses", "targets")), "mix by summing losses or by averaging "
               "targets", "style", stylize, "HOW", "losses"),
        Option("fine-style", FileName(role="style"), "take fine scales, blocks 1 and 2, from this "
               "painting", "style", stylize, "FILE"),
        again("fine-style", FileName(role="style"), "name the painting of the fine scales again, "
              "where it is not found", "style", metavar="FILE"),
        # colour
        Option("colors", Choice(tuple(PLAIN_COLORS)), "choose whose colours the picture has: the "
               "painting's, the photograph's, those of the painting recoloured after the "
               "photograph, or the photograph's moved to the painting's", "colour", stylize,
               "WHOSE", "painting"),
        Option("colors", Choice(("painting", "photo")), "choose whose colours the picture has",
               "colour", apply, "WHOSE", "painting"),
        # regions
        Option("regions", Regions(), "give regions their own painting; rest is what is left; after "
               "a mask may follow ,style=FILE ,style-mask=FILE ,weight=X", "regions", stylize,
               "MASK;…"),
        Option("regions", StyleRegions(), "paint regions in styles of the network, or like other "
               "paintings; rest is what is left", "regions", apply, "MASK,style=NAME;…"),
        Option("point", Points(), "give this place of the photograph that place of the painting, "
               "across and down from 0 to 1; may be given several times", "regions", stylize,
               "X,Y=X,Y"),
        Option("guides", Choice(get_args(GuideMode)), "carry masks to deep layers in this way",
               "regions", stylize, "HOW", "simple"),
        Option("keep", FileName(role="mask"), "leave untouched what is white in this mask",
               "regions", stylize, "MASK"),
        Option("only", FileName(role="mask"), "paint only what is white in this mask", "regions",
               stylize, "MASK", "everything"),
        Option("protect", FileName(role="mask", names=(FACES,)), "keep recognisable what is "
               "white in this mask, or faces", "regions", stylize, "MASK|faces"),
        Option("calm", Number(most=1), "keep flat areas calm, 0 to 1: they take the painting's "
               "simplest areas", "regions", stylize, "X", "0"),
        again("regions", Regions(), "name the regions again, where their files are not found",
              "regions", metavar="MASK;…"),
        *(
            again(name, FileName(role="mask"), f"name the mask of {name} again, where it is not "
                  "found", "regions", metavar="MASK")
            for name in ("keep", "only", "protect")
        ),
        # method
        Option("preset", Choice(tuple(PRESETS)), "follow this recipe; other options change it",
               "method", every, "NAME", "default, or compact with that network"),
        Option("network", FileName(names=("auto", *FILES)), f"use auto, {', '.join(FILES)}, or a "
               "file", "method", every, "NAME", "auto"),
        again("network", FileName(names=("auto", *FILES)), "name the network again, where it is "
              "not found", "method", metavar="NAME"),
        again("fast-network", FileName(names=tuple(FAST_FILES)), "name the network that paints at "
              "once again, where it is not found", "method", metavar="NAME"),
        again("steps", count, "make so many steps at each size", "method", metavar="N",
              default=f"{ENLARGING_STEPS}"),
        run("network", FileName(), "use this network, by name or file", "method", ("demo",),
            "NAME", "compact"),
        run("photos", FileName(), "train on the photographs of this folder", "method", train,
            "DIR"),
        run("minutes", POSITIVE, "make as many steps as fit into so many minutes", "method", train,
            "N", "30"),
        run("steps", count, "make so many steps", "method", train, "N", "by the minutes"),
        run("architecture", Choice(tuple(ARCHITECTURES)), "draw a network of this form", "method",
            train, "NAME", "small"),
        run("batch", count, "paint so many photographs per step", "method", train, "N",
            "one per device"),
        run("learning-rate", POSITIVE, "set the highest step of Adam", "method", train, "X",
            "0.001"),
        run("pooling", Choice(get_args(Pooling)), "choose how the loss network pools", "method",
            train, "HOW", "the recipe's"),
        run("padding", Choice(get_args(Padding)), "choose how the loss network pads pictures",
            "method", train, "HOW", "the recipe's"),
        run("from", FileName(names=tuple(FAST_FILES)), "begin with this network: "
            f"{', '.join(FAST_FILES)} or a file", "method", train, "NET"),
        run("new-styles-only", Flag(), "add the paintings to its styles, and leave the others as "
            "they are", "method", train),
        run("for-video", Flag(), "let the network take the picture of the frame before too, and "
            "learn to go on from it", "method", train),
        run("temporal-weight", NOT_NEGATIVE, "set how much it counts that frames go on from each "
            "other", "method", train, "X", "0.3"),
        run("network", FileName(names=("auto", *FILES)), f"let this loss network judge: auto, "
            f"{', '.join(FILES)}, or a file", "method", train, "NAME", "auto"),
        Option("fast-network", FileName(names=tuple(FAST_FILES)), "paint with this network: "
               f"{', '.join(FAST_FILES)}, which the package ships, or a file", "method", apply,
               "NAME", PAINTBOX),
        Option("method", Choice(get_args(Way)), "paint with a network; quick: in the painting's "
               "colours, and polished; by features and a decoder; or of the painting's pieces",
               "method", apply, "HOW", "quick with a painting"),
        Option("decoder", FileName(names=tuple(DECODER_FILES)), "make pixels of features by this "
               f"decoder: {', '.join(DECODER_FILES)}, which the package ships, or a file", "method",
               apply, "NAME", BRUSH),
        Option("levels", Levels(), "give these levels of features the painting's statistics, "
               "or its patches, coarse to fine, each with a strength from 0 to 1", "method", apply,
               "N=X,…", "4,3,2, for swap 3"),
        Option("polish", whole(0), "make so many steps of optimisation afterwards", "method", apply,
               "N", "0, for quick 10"),
        Option("steps", count, "make so many steps", "method", every, "N", "the recipe's"),
        run("steps", count, "make so many steps", "method", ("demo",), "N", "80"),
        Option("solver", Choice(tuple(solvers.SOLVERS)), "minimise by this method", "method", every,
               "NAME", "the recipe's"),
        again("solver", Choice(tuple(solvers.SOLVERS)), "minimise by this method", "method",
              metavar="NAME", default="the picture's"),
        Option("history", count, "let L-BFGS remember so many steps", "method", every, "N"),
        again("history", count, "let L-BFGS remember so many steps", "method", metavar="N"),
        Option("preconditioning", NOT_NEGATIVE, "let L-BFGS favour low frequencies; 0 moves plain "
               "pixels", "method", every, "P", f"{solvers.PRECONDITIONING}"),
        Option("learning-rate", POSITIVE, "set the step of adam and gradient-descent", "method",
               every, "X"),
        Option("pooling", Choice(get_args(Pooling)), "choose how the network pools", "method",
               every, "HOW", "the recipe's"),
        Option("padding", Choice(get_args(Padding)), "choose how the network pads pictures",
               "method", every, "HOW", "the recipe's"),
        run("settings-from", FileName(), "take the options stored in a picture that jaxstyle "
            "wrote", "method", PICTURES, "FILE"),
        *make_piece_rows(),
        # expert: the measures behind plain options, in their own units
        Option("style-size", size, "set the painting's longer side, in pixels, which sets the size "
               "of the strokes", "expert", (*styled, "apply"), "N", "that of the picture"),
        Option("style-scale", Number(most=100, above=True), "scale the painting, and the strokes "
               "with it, as a multiple, as strokes does", "expert", stylize, "X", "1"),
        Option("tv", Choice(get_args(TotalVariation)), "smooth with this kind of total variation",
               "expert", every, "KIND", "the recipe's"),
        Option("tv-weight", NOT_NEGATIVE, "set the weight of the total variation, which smooths, "
               "in the units of the loss", "expert", every, "X", "the recipe's"),
        Option("color", Choice(COLORS), "choose whose colours the picture has, by the name of the "
               "method", "expert", stylize, "HOW", "style"),
        Option("color", Choice(COLORS[:2]), "choose whose colours the picture has, by the name of "
               "the method", "expert", apply, "HOW", "style"),
        # output
        run("output", FileName(), "write the picture here", "output", made, "OUT"),
        run("output", FileName(), "write the picture here", "output", ("demo",), "OUT",
            "jaxstyle-demo.png"),
        run("output", FileName(), "write the network here, a .safetensors file", "output", train,
            "NET"),
        run("preview", FileName(), "write a sheet of what the network makes, again and again",
            "output", train, "FILE"),
        run("trace", FileName(), "write the loss on the way", "output", train, "FILE.csv"),
        run("resume", Flag(), "go on from NET.checkpoint, which a training that was stopped leaves",
            "output", train),
        run("output", FileName(), "write into this folder; a rerun goes on", "output", ("sweep",),
            "DIR"),
        run("preview", FileName(), "write a quick picture of at most 192 pixels here first, and go "
            "on", "output", stylize, "FILE"),
        run("save-every", count, "write the picture every N steps too", "output", optimised, "N"),
        run("trace", FileName(), "write the loss terms of every step", "output", optimised,
            "FILE.csv"),
        run("animate", FileName(), "write a film of the optimisation: .gif, .webp, .mp4 or a "
            "folder", "output", optimised, "FILE"),
        run("animate-size", size, "set the longer side of the film", "output", optimised, "N",
            "320"),
        run("animate-every", count, "put every N-th step into the film", "output", optimised, "N",
            "about 50 pictures"),
        run("quality", whole(1, 100), "set the quality of JPEG and WebP", "output", made, "N",
            "95"),
        run("bit-depth", Choice(("8", "16")), "write so many bits per channel; 16 for PNG and TIFF",
            "output", made, "N", "8"),
        run("resume", Flag(), "keep OUT.snapshot, and go on from it after a kill", "output",
            (*stylize, "larger")),
        run("snapshot-every", count, "keep a snapshot every N steps", "output", stylize, "N",
            "50"),
        run("snapshot-every", count, "keep a snapshot every N steps", "output", larger, "N",
            f"{SNAPSHOT_EVERY}"),
        run("retry-failed", Flag(), "run failed jobs again", "output", ("sweep",)),
        run("dry-run", Choice(("formula", "exact"), bare="formula"), "print what would be done and "
            "the memory it takes, by a formula or exactly, which compiles", "output",
            (*made, "sweep"), "HOW"),
        run("json", Flag(), "print a machine-readable summary", "output",
            (*_LISTED, "export", "weights list", "weights verify")),
        run("json", Flag(), "print the settings as JSON", "output", ("show",)),
        run("quiet", Flag(), "print no progress and no summary", "output", _LISTED),
        run("output", FileName(), "write this .safetensors file", "output", ("weights convert",),
            "OUT"),
        run("output", FileName(), "write this .onnx file", "output", ("export",), "OUT"),
        run("output", FileName(), "draw into this .png, .svg or .pdf file", "output", ("plot",),
            "OUT"),
        run("style-names", Names(), "name the styles of a network that paints in one pass",
            "output", ("weights convert",), "NAME,…", "style1 and so on"),
        run("layout", Choice(("auto", *LAYOUTS)), "read the file in this layout", "output",
            ("weights convert",), "NAME", "auto"),
        # machine
        Option("convolution", Choice(get_args(Convolution)), "compute convolutions in this way",
               "machine", every, "HOW", "auto, the fastest"),
        Option("memory", Choice(get_args(Memory)), "low computes large pictures in bands of rows",
               "machine", every, "HOW", "auto"),
        Option("precision", Choice(get_args(Precision)), "compute the network in this precision",
               "machine", every, "TYPE", "float32"),
        *(
            again(name, Choice(choices), text, "machine", metavar=metavar, default="the picture's")
            for name, choices, text, metavar in (
                ("convolution", get_args(Convolution), "compute convolutions in this way", "HOW"),
                ("memory", get_args(Memory), "low computes large pictures in bands of rows", "HOW"),
                ("precision", get_args(Precision), "compute the network in this precision", "TYPE"),
            )
        ),
        run("width", count, "make so many pictures at once", "machine", ("stylize", "sweep"), "N",
            "as memory admits"),
        run("split-rows", Flag(), "spread each picture over all devices by its rows", "machine",
            optimised),
        run("no-download", Flag(), "never download a network", "machine",
            (*optimised, "train", "sweep")),
        run("shard", Shard(), "make only part I of N, I from 0", "machine", ("sweep",), "I/N"),
        run("distributed", Flag(), "make the part of this process among those that JAX knows: "
            "Slurm, Kubernetes, TPU pods", "machine", ("sweep",)),
        run("coordinator", Kind(), "name the coordinator where JAX does not detect it", "machine",
            ("sweep",), "HOST:PORT"),
        run("processes", count, "set the number of distributed processes", "machine", ("sweep",),
            "N"),
        run("process-id", whole(0), "set the number of this process, from 0", "machine",
            ("sweep",), "I"),
        *SERVE_ROWS,
        run("timeout", POSITIVE, "give up after so many seconds without an answer", "machine",
            ("weights fetch",), "SECONDS", "30"),
        run("debug", Flag(), "show a traceback with an error", "machine",
            (*_LISTED, "export", "show", "plot", *_WEIGHTS)),
    )  # fmt: skip
