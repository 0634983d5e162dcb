"""Makes the figures of the first paper; see reproduce_figures.py.

Gatys, Ecker and Bethge, "Image style transfer using convolutional neural networks", CVPR 2016.
"""

import dataclasses
import itertools
from pathlib import Path

import numpy as np

import jaxstyle
from jaxstyle import color
from jaxstyle.evaluate import losses_by_layer, structural_similarity
from jaxstyle.optimization.presets import get_preset
from scripts.reproduction.figure_pictures import (
    NIGHT,
    RATIO,
    RATIOS,
    Cell,
    Check,
    Figure,
    PictureMaker,
    falls,
    halve,
    numbers,
    rmse,
)

PAINTINGS = (
    "starry-night.jpg", "the-scream.jpg", "kandinsky_composition_vii.jpg", "great-wave.jpg",
    "water-lilies.jpg",
)  # fmt: skip


def representations(maker: PictureMaker) -> Figure:
    """Makes figure 1: what the layers keep."""
    photo, painting = maker.photograph, maker.painting(NIGHT)
    options = maker.options()
    kept, errors = [], []
    for layer in maker.few(["relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2"], 3):
        picture = maker.make(jaxstyle.reconstruct_content, photo, layer, **options)
        errors.append(rmse(halve(picture), halve(photo)))
        kept.append(Cell(picture, [layer, f"error {errors[-1]:.4f}, of pixels "
                                          f"{rmse(picture, photo):.4f}"]))  # fmt: skip

    spec = dataclasses.replace(maker.spec(), content_layers=())
    targets = jaxstyle.compute_targets(maker.params, None, painting, spec)
    textures, left = [], []
    counts = maker.few(range(1, len(spec.style_layers) + 1), 3)
    for count in counts:
        some = spec.style_layers[:count]
        picture = maker.make(jaxstyle.synthesize_texture, painting, some, **options)
        left.append(losses_by_layer(maker.params, picture, targets, spec=spec))
        textures.append(Cell(picture, [f"to {some[-1]}"]))
    new = [f"style/{spec.style_layers[count - 1]}" for count in counts[1:]]
    without = [float(left[i][name]) for i, name in enumerate(new)]
    within = [float(left[i + 1][name]) for i, name in enumerate(new)]
    return Figure(
        "Figure 1, 2016: what the layers keep of content and of style",
        "Low layers give the photograph back almost exactly; higher ones keep what is where, and "
        "lose the pixels. The more layers a style is taken from, the larger are its patterns. "
        "Errors are measured at half size, where the finest frequencies do not count.",
        [("the photograph, from one layer", [Cell(photo, ["photograph"]), *kept]),
         ("the painting, from growing sets of layers", [Cell(painting, ["painting"]), *textures])],
        [
            Check(f"the error from the lowest layer is below 0.01: {errors[0]:.3g}",
                  errors[0] < 0.01),
            Check(f"errors rise with the layers: {numbers(errors)}", falls(errors[::-1])),
            Check(f"the error at the highest layer is above that at the lowest: {errors[-1]:.3g} "
                  f"over {errors[0]:.3g}", errors[-1] > errors[0], soon=True),
            Check(f"each new layer's style loss is less with it ({numbers(within)}) than without "
                  f"({numbers(without)})",
                  all(a < b for a, b in zip(within, without, strict=True)), soon=True),
        ],
    )  # fmt: skip


def styles(maker: PictureMaker) -> Figure:
    """Makes figure 3: one photograph in several styles."""
    names = PAINTINGS[:2] if maker.quick else PAINTINGS
    photo = maker.photograph
    paintings = {Path(name).stem: maker.painting(name) for name in names}
    made, own = [], []
    for name, painting in paintings.items():
        picture = maker.make(jaxstyle.stylize, photo, painting, **maker.options())
        losses = {k: maker.measure(picture, p)[1] for k, p in paintings.items()}
        own.append(min(losses, key=lambda k: losses[k]) == name)
        made.append(Cell(picture, [f"style loss {losses[name]:.3g}"]))
    literal = get_preset("gatys2016").weights(maker.params, maker.shape, maker.spec())
    printed = maker.options(weights=literal)
    picture = maker.make(jaxstyle.stylize, photo, next(iter(paintings.values())), **printed)
    return Figure(
        "Figure 3, 2016: one photograph in several styles",
        "Every picture shows the houses on the Neckar, in the colours and strokes of its painting. "
        "The last one takes the paper's α/β = 1e-3 with the sums that it prints (preset "
        "gatys2016): nearly all weight is on the content.",
        [("paintings", [Cell(photo, ["photograph"]),
                        *(Cell(p, [name]) for name, p in paintings.items())]),
         ("pictures", [Cell(photo, [""]), *made, Cell(picture, ["as printed"])])],
        [Check(f"nearest in style to its own painting: {sum(own)} of {len(own)}", all(own), True)],
    )  # fmt: skip


def ratios(maker: PictureMaker) -> Figure:
    """Makes figure 4: content against style."""
    photo, painting = maker.photograph, maker.painting(NIGHT)
    cells, found = [], []
    for ratio in maker.few(RATIOS, 2):
        picture = maker.make(jaxstyle.stylize, photo, painting, **maker.options(ratio))
        found.append(maker.measure(picture, painting))
        content, style = found[-1]
        cells.append(Cell(picture, [f"content : style = {ratio:g}", f"content {content:.3g}, "
                                    f"style {style:.3g}"]))  # fmt: skip
    content_losses, style_losses = ([pair[i] for pair in found] for i in (0, 1))
    return Figure(
        "Figure 4, 2016: the ratio of content to style",
        "From left to right the painting's texture gives way to the photograph. The decades are of "
        "means, where the paper has 1e-4 to 1e-1.",
        [("from little content to much", cells)],
        [
            Check(
                f"content loss falls as α/β rises: {numbers(content_losses)}",
                falls(content_losses),
                True,
            ),
            Check(
                f"style loss rises as α/β rises: {numbers(style_losses)}", falls(style_losses[::-1])
            ),
        ],
    )


def content_layers(maker: PictureMaker) -> Figure:
    """Makes figure 5: content from a low and from a high layer."""
    photo, painting = maker.photograph, maker.painting(NIGHT)
    cells, found = [], []
    for layer in ("relu2_2", "relu4_2"):
        options = maker.options(spec=maker.spec(layer))
        picture = maker.make(jaxstyle.stylize, photo, painting, **options)
        error, style = rmse(halve(picture), halve(photo)), maker.measure(picture, painting)[1]
        found.append(error)
        cells.append(Cell(picture, [f"content at {layer}",
                                    f"error {error:.3f}, style {style:.3g}"]))  # fmt: skip
    return Figure(
        "Figure 5, 2016: content from a low and from a high layer",
        "From the low layer the painting is laid over the photograph; from the high layer shapes "
        "bend to the painting's strokes.",
        [("", [Cell(photo, ["photograph"]), *cells])],
        [Check(f"the high layer keeps less of the pixels: errors {numbers(found)}",
               falls(found[::-1]))],
    )  # fmt: skip


def starts(maker: PictureMaker) -> Figure:
    """Makes figure 6: the same objective from different starts."""
    photo, painting = maker.photograph, maker.painting(NIGHT)
    made = {
        init: maker.make(jaxstyle.stylize, photo, painting, **maker.options(init=init))
        for init in ("content", "style")
    }
    seeds = [
        maker.make(jaxstyle.stylize, photo, painting, seed=seed, **maker.options())
        for seed in range(2 if maker.quick else 4)
    ]
    values = []
    for picture in seeds:
        content, style = maker.measure(picture, painting)
        values.append(content * RATIO + style / 5)
    spread = (max(values) - min(values)) / float(np.mean(values))
    apart = min(rmse(a, b) for a, b in itertools.combinations(seeds, 2))
    checks = [
        Check(f"seeds give different pictures: pixels differ by {apart:.3g} or more", apart > 0.02,
              True),
        Check(f"and close losses: {numbers(values)}, a spread of {spread:.1%}", spread < 0.25),
    ]  # fmt: skip
    for name, start in (("content", photo), ("style", painting)):
        near, far = rmse(made[name], start), min(rmse(picture, start) for picture in seeds)
        text = (
            f"the {name} start stays nearer to the {name} image: {near:.3g}, from noise {far:.3g}"
        )
        checks.append(Check(text, near < far, soon=True))
    return Figure(
        "Figure 6, 2016: starts",
        "All show the same scene in the same style. From the photograph and from the painting the "
        "way is decided; every noise gives another picture.",
        [("from the photograph, and from the painting",
          [Cell(picture, [f"from {name}"]) for name, picture in made.items()]),
         ("from noise", [Cell(picture, [f"seed {i}", f"loss {values[i]:.3g}"])
                         for i, picture in enumerate(seeds)])],
        checks,
    )  # fmt: skip


def photographs(maker: PictureMaker) -> Figure:
    """Makes figure 7: the style of a photograph."""
    photo = maker.photograph
    light = maker.painting("rocket.jpg", "content")
    picture = maker.make(jaxstyle.stylize, photo, light, **maker.options(10 * RATIO))
    left, own = (maker.measure(x, light)[1] for x in (picture, photo))
    alike = structural_similarity(color.luminance(picture), color.luminance(photo))
    return Figure(
        "Figure 7, 2016: a photograph in the style of a photograph",
        "The houses stand where they stood, in the colours and the light of the other photograph. "
        "The deep content layer leaves dots in the flat sky, as in figure 1.",
        [("", [Cell(photo, ["content"]), Cell(light, ["style"]),
               Cell(picture, [f"SSIM with content {float(alike):.2f}"])])],
        [Check(f"style loss less than half of the content image's own: {left:.3g} of {own:.3g}",
               left < own / 2)],
    )  # fmt: skip
