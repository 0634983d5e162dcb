"""The figures of the papers, by a network of a few filters and pictures of a few pixels."""

import contextlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.command_line import write_picture
from PIL import Image

import jaxstyle
from jaxstyle import LossSpec, VGGSpec
from jaxstyle.networks import load, vgg
from scripts.reproduction import figures_2016, figures_2017, reproduce_figures
from scripts.reproduction.figure_pictures import (
    NIGHT,
    PHOTOGRAPH,
    Cell,
    Check,
    Figure,
    PictureMaker,
    falls,
    rmse,
)

pytestmark = pytest.mark.usefixtures("compile_faster")
PARAMS = vgg.init_params(jax.random.key(0), (("conv1_1", 4), ("conv2_1", 4)))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with pictures of the names that the figures use."""
    folder = tmp_path_factory.mktemp("figures")
    names = {"content": (PHOTOGRAPH, "rocket.jpg"), "style": figures_2016.PAINTINGS}
    for kind, some in names.items():
        (folder / kind).mkdir()
        for seed, name in enumerate(some):
            write_picture(folder / kind / name, seed + 10 * (kind == "style"))
    return folder


@pytest.fixture
def run(data, tmp_path, monkeypatch):
    """Runs the script with layers and a network that compile in no time."""
    spec = LossSpec(
        ("relu2_1",), ("relu1_1", "relu2_1"), network=VGGSpec(pooling="average", padding="zero")
    )
    network = load.Network(PARAMS, "narrow", tmp_path, {})
    monkeypatch.setattr(PictureMaker, "spec", lambda self, content="": spec)
    monkeypatch.setattr(reproduce_figures, "load_network", lambda name, **options: network)
    line = [f"--data={data}", f"-o={tmp_path}", "--size=40", "--steps=3"]
    return lambda *more: reproduce_figures.main([*line, *more])


@pytest.fixture
def maker(data, tmp_path):
    return PictureMaker(PARAMS, data, tmp_path, size=40, steps=2, quick=True)


@pytest.mark.slow
def test_pages_and_their_text_are_made_and_pictures_only_once(run, tmp_path, capsys):
    line = ("--quick", "--figures", "color")
    run(*line)
    first = capsys.readouterr().out
    text = (tmp_path / "README.md").read_text()
    assert text in first
    pictures = {path: path.stat().st_mtime_ns for path in (tmp_path / "pictures").iterdir()}
    assert len(pictures) == first.count("made ") == 3
    with Image.open(tmp_path / "figure-color.jpg") as page:
        assert page.width > 3 * 256
    assert "(figure-color.jpg)" in text
    assert text.count("\n- holds: ") >= 2  # mean colours need more than these few steps
    assert "FAILS" not in text
    run(*line)
    assert capsys.readouterr().out == text + "\n"
    assert pictures == {path: path.stat().st_mtime_ns for path in (tmp_path / "pictures").iterdir()}


def claim(soon):
    rows = [("", [Cell(jnp.ones((8, 8, 3)), ["a"])])]
    return Figure("title", "look", rows, [Check("one is two", False, soon)])


@pytest.mark.parametrize(("soon", "quick"), [(True, True), (True, False), (False, False)])
def test_what_is_not_as_the_paper_says_fails_the_run(run, tmp_path, monkeypatch, soon, quick):
    monkeypatch.setitem(reproduce_figures.FIGURES, "4", lambda maker: claim(soon))
    with pytest.raises(SystemExit, match=r"(?s)not as the papers say:.*figure 4: one is two"):
        run("--figures", "4", *["--quick"] * quick)
    assert "- FAILS: one is two" in (tmp_path / "README.md").read_text()


def test_what_needs_more_steps_fails_no_quick_run(run, tmp_path, monkeypatch):
    monkeypatch.setitem(reproduce_figures.FIGURES, "4", lambda maker: claim(soon=False))
    run("--figures", "4", "--quick")
    text = (tmp_path / "README.md").read_text()
    assert "- does not hold yet, nor has to after so few steps: one is two" in text


def test_a_missing_picture_is_told_in_one_line(run, tmp_path):
    with pytest.raises(SystemExit, match=r"absent.*tubingen_praefcke\.jpg"):
        run("--figures", "4", f"--data={tmp_path}/absent")


@pytest.mark.slow
def test_a_picture_is_found_by_all_that_it_depends_on(maker):
    spec = LossSpec(("relu2_1",), ("relu1_1",))
    options = {"spec": spec, "weights": maker.weights(), "init": "noise", "num_steps": 1}
    style = maker.painting(NIGHT)
    variants = [
        ({}, options),
        ({"seed": 1}, options),
        ({}, options | {"weights": maker.weights(1e-1)}),
        ({}, options | {"num_steps": 2}),
        ({}, options | {"init": "content"}),
    ]
    found = [
        maker.make(jaxstyle.stylize, maker.photograph, style, **seed, **given)
        for seed, given in variants
    ]
    assert maker.made == len(variants)
    again = maker.make(jaxstyle.stylize, maker.photograph, style, **options)
    np.testing.assert_array_equal(again, found[0])
    assert maker.made == len(variants)
    maker.make(jaxstyle.stylize, style, maker.photograph, **options)
    assert maker.made == len(variants) + 1
    # The picture is the library's own, as a file holds it.
    result = jaxstyle.stylize(maker.params, maker.photograph, style, **options)
    np.testing.assert_allclose(found[0], jaxstyle.quantize(result.image), atol=1e-6)


def test_the_ratio_is_that_of_means(maker):
    """α/β of the losses with a fifth of β for each layer, whatever their common factor."""
    given = maker.weights(1e-2)
    assert given.content / (5 * given.style) == pytest.approx(1e-2)


def test_a_painting_is_cropped_not_stretched(maker, data):
    rows, columns = np.mgrid[:60, :30] / 30.0
    picture = np.stack([rows / 2, columns, 0 * rows], -1)
    jaxstyle.save_image(data / "style" / "ramp.png", picture.astype(np.float32))
    found = np.asarray(maker.painting("ramp.png"))
    assert found.shape == maker.photograph.shape
    middle = found[found.shape[0] // 2, found.shape[1] // 2]
    np.testing.assert_allclose(middle, [0.5, 0.5, 0], atol=0.05)
    # The whole width, and of the height so much that a pixel stays square.
    slope = (
        np.gradient(found[..., 1], axis=1).mean() * 30,
        np.gradient(found[..., 0], axis=0).mean(),
    )
    np.testing.assert_allclose(slope[0], 2 * 30 * slope[1], rtol=0.1)


def test_few_keeps_the_ends(maker):
    assert maker.few(range(1, 6), 3) == [1, 3, 5]
    assert maker.few([1, 2], 3) == [1, 2]
    maker.quick = False
    assert maker.few(range(1, 6), 3) == [1, 2, 3, 4, 5]


def test_the_sky_is_above_the_roofs():
    mask = np.asarray(figures_2017.sky_mask((96, 128)))
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert mask[:10, 10:60].min() > 0.99
    assert mask[60:].max() < 0.01
    assert (np.diff(mask, axis=0) <= 0).all()
    assert ((mask > 0.1) & (mask < 0.9)).any(axis=0).mean() > 0.5  # soft


def test_numbers_that_fall():
    assert falls([3, 2, 1])
    assert not falls([3, 2, 2])
    assert rmse(jnp.zeros((2, 2, 3)), jnp.full((2, 2, 3), 0.5)) == pytest.approx(0.5)


SLOW = dict.fromkeys(("space", "scale", "coarse"), pytest.mark.slow)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=SLOW.get(name, ()))
        for name in reproduce_figures.FIGURES
        if name not in ("1", "color")
    ],
)
def test_every_figure_can_be_made(run, tmp_path, name):
    with contextlib.suppress(SystemExit):  # a random network need not do as the papers say
        run("--figures", name)
    assert (tmp_path / f"figure-{name}.jpg").exists()
    assert not re.search(r"\bnan\b", (tmp_path / "README.md").read_text())


@pytest.mark.slow
def test_the_first_figure_needs_all_layers(data, network, tmp_path):
    params = load.load_params(network)
    maker = PictureMaker(params, data, tmp_path, size=48, steps=2, quick=True)
    figure = figures_2016.representations(maker)
    assert [len(cells) for _, cells in figure.rows] == [4, 4]
    assert figure.rows[0][1][-1].lines[0] == "relu5_2"
