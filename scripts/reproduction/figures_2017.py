"""Makes figures of the second paper; see reproduce_figures.py.

Gatys, Ecker, Bethge, Hertzmann and Shechtman, "Controlling perceptual factors in neural style
transfer", CVPR 2017.
"""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxstyle
from jaxstyle import color
from jaxstyle.evaluate import losses_by_layer
from jaxstyle.image import pixels
from jaxstyle.losses import guidance
from jaxstyle.losses.mixing import blend_styles, mix_styles
from jaxstyle.optimization import multiscale
from scripts.reproduction.figure_pictures import (
    NIGHT,
    Cell,
    Check,
    Figure,
    PictureMaker,
    halve,
    rmse,
    total,
)

# Where the sky ends in the photograph of Tübingen, as fractions of its width and height.
SKYLINE = (
    (0, 0.48), (0.2, 0.46), (0.3, 0.44), (0.45, 0.41), (0.57, 0.42), (0.62, 0.36), (0.635, 0.28),
    (0.655, 0.17), (0.675, 0.28), (0.7, 0.31), (0.8, 0.3), (0.9, 0.27), (0.95, 0.24), (1, 0.24),
)  # fmt: skip


def colors(maker: PictureMaker) -> Figure:
    """Makes the figure of section 5: the photograph's colours."""
    photo, painting = maker.photograph, maker.painting(NIGHT)
    options = maker.options(init="content")
    plain = maker.make(jaxstyle.stylize, photo, painting, **options)

    grey = color.greyscale(photo)
    grey_style = color.match_luminance(color.greyscale(painting), grey)
    transferred = maker.make(jaxstyle.stylize, grey, grey_style, **options)
    luminance_only = pixels.quantize(color.with_luminance_of(photo, transferred))
    off = float(jnp.max(jnp.abs(chroma(luminance_only) - chroma(photo))))

    matched = color.match_color(painting, photo)
    picture = maker.make(jaxstyle.stylize, photo, matched, **options)
    mean = rmse(matched.mean((0, 1)), photo.mean((0, 1)))
    got, wanted = (np.cov(np.asarray(x).reshape(-1, 3).T) for x in (matched, photo))
    shape = float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))
    distances = [rmse(x.mean((0, 1)), photo.mean((0, 1))) for x in (plain, picture)]
    return Figure(
        "Colour control, 2017",
        "Strokes of the painting in the photograph's colours: with luminance only, each pixel has "
        "the photograph's own chroma; with colours matched, strokes have colours of their own.",
        [("", [Cell(photo, ["photograph"]), Cell(painting, ["painting"]),
               Cell(plain, ["without control"])]),
         ("", [Cell(luminance_only, ["luminance only"]), Cell(matched, ["painting, matched"]),
               Cell(picture, ["colours matched"])])],
        [
            Check(f"luminance only keeps chroma to the rounding of 8 bits: off by {255 * off:.2g} "
                  "of 255", off < 1.01 / 255, True),
            Check(f"the matched painting has the photograph's mean colour (off by {mean:.1g}) and "
                  f"covariance (off by {shape:.1%})", mean < 1e-4 and shape < 0.01, True),
            Check("with colours matched the mean colour is nearer to the photograph's "
                  f"({distances[1]:.3g}) than without ({distances[0]:.3g})",
                  distances[1] < distances[0]),
        ],
    )  # fmt: skip


def chroma(image: jax.Array) -> jax.Array:
    """Returns the part of the colours that is not luminance."""
    return image - color.luminance(image)[..., None]


def region_style(maker: PictureMaker, picture: jax.Array, region: guidance.Region) -> float:
    """Returns the style loss of one region of a picture."""
    spec = maker.spec()
    targets = guidance.guided_targets(maker.params, maker.photograph, [region], spec)
    return total(losses_by_layer(maker.params, picture, targets, spec=spec), "style")


def sky_mask(shape: tuple[int, int]) -> jax.Array:
    """Returns the sky over Tübingen, `[H, W]`; its edge is a fiftieth of the height wide."""
    x, y = np.array(SKYLINE).T
    edge = np.interp((np.arange(shape[1]) + 0.5) / shape[1], x, y)
    below = (np.arange(shape[0]) + 0.5)[:, None] / shape[0] - edge
    return jnp.asarray(1 / (1 + np.exp(200 * below)), jnp.float32)


def space(maker: PictureMaker) -> Figure:
    """Makes the figure of section 4: a style for each region."""
    photo, night = maker.photograph, maker.painting(NIGHT)
    ground_style = maker.painting("kandinsky_composition_vii.jpg")
    sky = sky_mask(maker.shape)
    spec, params = maker.spec(), maker.params
    options: dict[str, Any] = {"spec": spec, "weights": maker.weights()}
    options["num_steps"] = maker.steps
    regions = [
        guidance.Region(sky, night, name="sky"),
        guidance.Region(1 - sky, ground_style, name="ground"),
    ]
    targets = guidance.guided_targets(params, photo, regions, spec)
    guided = maker.make(jaxstyle.optimize, photo, targets, **options)
    both = [jaxstyle.compute_targets(params, photo, x, spec) for x in (night, ground_style)]
    style, mixture = mix_styles([each.style for each in both], [0.5, 0.5])
    mixed = both[0]._replace(style=style, mixture=mixture)
    unguided = maker.make(jaxstyle.optimize, photo, mixed, **options)

    checks = []
    for region, other in zip(regions, regions[::-1], strict=True):
        own, foreign = (
            region_style(maker, guided, region._replace(style=each.style))
            for each in (region, other)
        )
        text = f"the {region.name} is nearer to its own style ({own:.3g}) than to the other's"
        checks.append(Check(f"{text} ({foreign:.3g})", own < foreign, soon=True))
    grey = jnp.broadcast_to(sky[..., None], photo.shape)
    return Figure(
        "Spatial control, 2017",
        "With guides the sky is painted by van Gogh and all below by Kandinsky; without them both "
        "styles are everywhere.",
        [("", [Cell(photo, ["photograph"]), Cell(grey, ["guide of the sky"])]),
         ("", [Cell(night, ["style of the sky"]), Cell(ground_style, ["style of the ground"])]),
         ("", [Cell(guided, ["guided"]), Cell(unguided, ["both styles, without guides"])])],
        checks,
    )  # fmt: skip


def scales(maker: PictureMaker) -> Figure:
    """Makes the figure of section 6: fine statistics of one painting, coarse ones of another."""
    photo, first = maker.photograph, maker.painting(NIGHT)
    second = maker.painting("great-wave.jpg")
    spec, params = maker.spec(), maker.params
    fine = [layer for layer in spec.style_layers if layer < "relu3"]
    paintings = {"starry-night": first, "great-wave": second}
    targets = {
        name: jaxstyle.compute_targets(params, photo, painting, spec)
        for name, painting in paintings.items()
    }
    cells, checks = [], []
    for a, b in itertools.permutations(paintings):
        weights = {k: (1.0, 0.0) if k in fine else (0.0, 1.0) for k in spec.style_layers}
        blended = blend_styles([targets[a].style, targets[b].style], weights)
        picture = maker.make(
            jaxstyle.optimize, photo, targets[a]._replace(style=blended), spec=spec,
            weights=maker.weights(), num_steps=maker.steps,
        )  # fmt: skip
        cells.append(Cell(picture, [f"fine: {a}", f"coarse: {b}"]))
        losses = {k: losses_by_layer(params, picture, targets[k], spec=spec) for k in paintings}
        for what, own, other in (("fine", a, b), ("coarse", b, a)):
            layers = [k for k in spec.style_layers if (k in fine) == (what == "fine")]
            near, far = (sum(float(losses[k][f"style/{x}"]) for x in layers) for k in (own, other))
            text = f"{what} statistics nearer to {own} ({near:.3g}) than to {other} ({far:.3g})"
            checks.append(Check(text, near < far, soon=what == "fine"))
    return Figure(
        "Scale control, 2017",
        "Small strokes and colours come from the one painting, large forms from the other.",
        [("", [Cell(painting, [name]) for name, painting in paintings.items()]), ("", cells)],
        checks,
    )


def coarse_to_fine(maker: PictureMaker) -> Figure:
    """Makes the figure of section 6.1: a small picture first."""
    photo, painting = maker.photograph, maker.painting(NIGHT)
    half = max(maker.steps // 2, 1)
    direct = maker.make(jaxstyle.stylize, photo, painting, **maker.options(num_steps=2 * half))
    options = maker.options()
    del options["num_steps"]
    stages = multiscale.make_scales([maker.size // 2, maker.size], [half, half])
    staged = maker.make(
        multiscale.stylize_coarse_to_fine, photo, painting, scales=stages, **options
    )
    small = [halve(x) for x in (direct, staged, painting, photo)]
    found = [maker.measure(picture, *small[2:])[1] for picture in small[:2]]
    return Figure(
        "Coarse to fine, 2017",
        "With as many steps in all, of which half are four times cheaper, the picture that began "
        "small is as near to the style; at 256 px there is little between the two.",
        [("from noise", [Cell(direct, ["one size", f"style at half size {found[0]:.3g}"]),
                         Cell(staged, ["two sizes", f"style at half size {found[1]:.3g}"])])],
        [Check("seen at half its size, the one that began there is nearer to the style: "
               f"{found[1]:.3g} against {found[0]:.3g}", found[1] < found[0])],
    )  # fmt: skip
