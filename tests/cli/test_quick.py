"""The quick ways of the command: the recipe quick, previews, and polishing a network's picture."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import done, pixels, write_picture

from jaxstyle.cli import pictures
from jaxstyle.image.io import load_image
from jaxstyle.image.matching import match_distribution
from jaxstyle.pipeline.job import make_job

pytestmark = pytest.mark.usefixtures("compile_faster")


@pytest.mark.slow
def test_quick_is_the_recipe_quick_at_the_same_size(with_shipped):
    """On sides that are multiples of 32, where nothing is extended."""
    write_picture("content.png", 1, size=(96, 64))
    line = "--size 96 --bit-depth 16"
    done(with_shipped(f"apply content.png -o a.png --painting style.png --polish 3 {line}"))
    recipe = {"network": "compact", "size": None, "content_layers": None}
    stylize = f"stylize content.png style.png -o b.png --preset quick {line}"
    done(with_shipped(stylize, steps=3, **recipe))
    np.testing.assert_allclose(load_image("a.png"), load_image("b.png"), atol=2e-3)
    ran = done(
        with_shipped(f"apply content.png -o none.png --painting style.png --polish 0 {line}")
    )
    assert "painted in" in ran.out
    colored = match_distribution(load_image("content.png"), load_image("style.png", size=96))
    np.testing.assert_allclose(load_image("none.png"), np.clip(colored, 0, 1), atol=1e-4)


@pytest.mark.parametrize(
    ("options", "size", "style_size"),
    [
        ({"size": 100}, 100, None),
        ({"size": 512}, 192, None),
        ({"size": 512, "style-size": 256}, 192, 96),
        ({"size": 400, "style-scale": 2.0}, 192, 384),
    ],
)
def test_a_preview_is_small_and_has_the_same_strokes(options, size, style_size):
    job = make_job("stylize", Path("a.png"), Path("b.png"), Path("out.png"), options)
    preview = pictures._preview_of(job, Path("first.png"))
    found = preview.recipe.options
    assert (found["size"], found.get("style-size")) == (size, style_size)
    assert (found["painting"], preview.content, preview.output.name) == (
        "b.png", job.content, "first.png",
    )  # fmt: skip


@pytest.mark.slow
def test_stylize_writes_a_preview_first(with_shipped):
    """It is the picture that `apply` makes; what it would overwrite is refused before."""
    line = "stylize content.png style.png -o out.png --preview first.png"
    ran = done(with_shipped(line))
    first, second = ran.out.splitlines()
    assert first.startswith("first.png: 32×21 pixels, 10 steps")
    assert second.startswith("out.png: ")
    done(with_shipped("apply content.png -o apply.png --painting style.png --size 32"))
    np.testing.assert_array_equal(pixels("first.png"), pixels("apply.png"))
    for name, says in (("content.png", "would overwrite content.png"), ("a.txt", "a.txt: ")):
        ran = with_shipped(f"stylize content.png style.png -o out.png --preview {name}")
        assert (ran.status, ran.err.count("\n")) == (2, 1)
        assert "--preview" in ran.err
        assert says in ran.err
    Path("folder").mkdir()
    ran = with_shipped("stylize content.png style.png -o folder --preview first.png")
    assert "--preview is for a single picture" in ran.err


@pytest.mark.slow
def test_polish_lowers_the_loss_of_a_networks_picture(with_shipped):
    """By what the network's file knows of its paintings, or by a painting's own file."""
    write_picture("content.png", 1, size=(75, 50))
    line = "apply content.png -o out.png --polish 4 --json"
    summaries = [
        json.loads(done(with_shipped(f"{line} {more}")).out)
        for more in ("--style great-wave", "--blend great-wave=1,the-scream=1",
                     "--fast-network paintbox --painting style.png --style-size 64")
    ]  # fmt: skip
    assert [each["steps"] for each in summaries] == [4, 4, 4]
    assert pixels("out.png").shape[:2] == (50, 75)
    first = json.loads(done(with_shipped("apply content.png -o one.png --polish 1 --json")).out)
    assert summaries[0]["loss"] < first["loss"]
