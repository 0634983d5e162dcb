"""`--init fast`: the picture of `apply --painting` is the start of an optimisation."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.command_line import done, rows, write_picture

import jaxstyle
from jaxstyle.image.io import load_image
from jaxstyle.pipeline.firsts import in_colors_of
from jaxstyle.pipeline.starts import begin_fast

pytestmark = pytest.mark.usefixtures("compile_faster")


@pytest.mark.slow
def test_the_start_is_the_picture_of_apply(with_shipped):
    apply = "apply content.png -o apply.png --painting style.png --size 32"
    done(with_shipped(f"{apply} --bit-depth 16 --quiet"))
    content, style = (load_image(f"{name}.png", size=32) for name in ("content", "style"))
    start = begin_fast(content, [style])
    np.testing.assert_allclose(start, load_image("apply.png"), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("init", "begin"),
    [
        ("fast", begin_fast),
        ("matched", lambda content, images, shares: in_colors_of(images, shares, content)),
    ],
)
def test_stylize_starts_there_and_mixes(with_shipped, init, begin):
    write_picture("other.png", 5)
    for options, paintings, shares in (
        ("", ["style"], [1.0]),
        ("--mix other.png=0.25", ["style", "other"], [0.75, 0.25]),
    ):
        line = f"stylize content.png style.png -o out.png --init {init} --trace trace.csv {options}"
        done(with_shipped(line))
        begun = rows()[0]["loss"]
        content = load_image("content.png", size=32)
        images = [load_image(f"{name}.png", size=32) for name in paintings]
        jaxstyle.save_image("start.png", begin(content, images, shares), bit_depth=16)
        done(with_shipped(line.replace(init, "start.png")))
        assert begun == pytest.approx(rows()[0]["loss"], rel=1e-3)
        done(with_shipped(line.replace(init, "content")))
        assert begun != pytest.approx(rows()[0]["loss"], rel=0.1)


def test_it_is_for_pictures_with_a_photograph_and_a_painting(with_shipped):
    ran = with_shipped("texture style.png -o out.png --init fast")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "--init fast: no such file; use noise, white-noise, style or a picture" in ran.err


@pytest.mark.slow
def test_one_colour_stays_finite():
    grey = jnp.full((32, 32, 3), 0.5)
    assert bool(jnp.isfinite(begin_fast(grey, [grey])).all())
