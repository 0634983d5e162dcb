"""Scores of pictures: against oracles in float64 NumPy, and what the script prints of them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.command_line import write_picture

from jaxstyle import LossSpec, VGGSpec, color, evaluate, statistics
from jaxstyle.evaluate import compute_reference, score, structural_similarity
from jaxstyle.image import io, pixels
from jaxstyle.losses import judged
from jaxstyle.networks import vgg
from jaxstyle.optimization.descent import Result
from scripts.pairs import PAIRS
from scripts.reproduction import judge_pictures as script

pytestmark = pytest.mark.usefixtures("compile_faster")
WIDTHS = (("conv1_1", 4), ("conv1_2", 4), ("conv2_1", 6))
PARAMS = vgg.init_params(jax.random.key(0), WIDTHS)
SPEC = LossSpec(("relu2_1",), ("relu1_1", "relu2_1"), network=VGGSpec(padding="zero"))
OPTIONS = {"spec": SPEC, "withheld": ("relu1_2",)}
CONTENT, STYLE, PICTURE = jax.random.uniform(jax.random.key(1), (3, 24, 32, 3))
REFERENCE = compute_reference(PARAMS, CONTENT, STYLE, **OPTIONS)


def oracle_of_similarity(x, y):
    """Equations 13 to 16 of Wang et al. 2004, window by window."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    rows, columns = np.mgrid[-5:6, -5:6]
    window = np.exp(-(rows**2 + columns**2) / (2 * 1.5**2))
    window /= window.sum()
    found = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
            covariance = (window * (a - mean_a) * (b - mean_b)).sum()
            found.append(
                (2 * mean_a * mean_b + 1e-4)
                * (2 * covariance + 9e-4)
                / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4))
            )
    return np.mean(found)


def smooth(key, shape=(20, 27)):
    return jax.image.resize(jax.random.uniform(key, (4, 5)), shape, "cubic")


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x + 0.1,
        lambda x: 1 - x,
        lambda x: jnp.roll(x, 1, axis=1),
        lambda x: jax.random.uniform(jax.random.key(3), x.shape),
        lambda x: 0.999 + 0 * x,  # constant: variances are nothing but rounding
    ],
)
def test_structural_similarity_is_that_of_the_paper(change):
    image = smooth(jax.random.key(2))
    other = change(image)
    expected = oracle_of_similarity(image, other)
    np.testing.assert_allclose(structural_similarity(image, other), expected, atol=2e-5)
    np.testing.assert_allclose(structural_similarity(other, image), expected, atol=2e-5)


def test_an_image_is_like_itself():
    image = smooth(jax.random.key(2))
    assert structural_similarity(image, image) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            ((20, 20), (20, 21)),
            r"should have the same shape \[H, W\], got \[20, 20\] and \[20, 21\]",
        ),
        (((20, 20, 3), (20, 20, 3)), r"the same shape \[H, W\]"),
        (((20, 10), (20, 10)), r"20×10 pixels is too small .* window is 11×11"),
    ],
)
def test_images_that_cannot_be_compared_are_refused(shapes, message):
    with pytest.raises(ValueError, match=message):
        structural_similarity(*map(jnp.ones, shapes))


def maps_of(image, layers):
    maps = vgg.features(PARAMS, image, layers, padding="zero")
    return {k: np.asarray(v, np.float64) for k, v in maps.items()}


def gram(maps):
    flat = maps.reshape(-1, maps.shape[-1])
    return flat.T @ flat / len(flat)


def test_losses_are_unweighted_means():
    scores = score(PARAMS, PICTURE, REFERENCE, spec=SPEC)
    of = {
        name: maps_of(image, SPEC.layers)
        for name, image in (("content", CONTENT), ("style", STYLE), ("picture", PICTURE))
    }
    content = np.square(of["picture"]["relu2_1"] - of["content"]["relu2_1"]).mean()
    assert list(scores.content) == ["relu2_1"]
    np.testing.assert_allclose(scores.content["relu2_1"], content, rtol=1e-4)
    assert set(scores.style) == set(SPEC.style_layers)
    for layer in SPEC.style_layers:
        loss, own = (
            np.square(gram(of[name][layer]) - gram(of["style"][layer])).mean()
            for name in ("picture", "content")
        )
        np.testing.assert_allclose(scores.style[layer], loss, rtol=1e-3)
        np.testing.assert_allclose(scores.style_left[layer], loss / own, rtol=2e-3)
    expected = oracle_of_similarity(color.luminance(PICTURE), color.luminance(CONTENT))
    np.testing.assert_allclose(scores.similarity, expected, atol=2e-5)


def test_sliced_distances_are_those_of_sorted_projections():
    scores = score(PARAMS, PICTURE, REFERENCE, spec=SPEC)
    directions = np.asarray(REFERENCE.sliced["relu1_2"].directions, np.float64)
    assert list(scores.sliced) == ["relu1_2"]
    found = {}
    for name, image in (("picture", PICTURE), ("content", CONTENT), ("style", STYLE)):
        flat = maps_of(image, ["relu1_2"])["relu1_2"].reshape(-1, 4)
        found[name] = np.sort(flat @ directions, axis=0)
    # As many positions in both: the k-th smallest goes to the k-th smallest.
    distances = {
        name: np.square(found[name] - found["style"]).mean(axis=0).mean() for name in found
    }
    np.testing.assert_allclose(scores.sliced["relu1_2"], distances["picture"], rtol=0.02)
    left = distances["picture"] / distances["content"]
    np.testing.assert_allclose(scores.sliced_left["relu1_2"], left, rtol=0.02)
    assert statistics.NUM_QUANTILES >= 24 * 32  # or the oracle would not be of one resolution


def test_the_content_image_and_the_style_image_are_the_ends_of_the_scales():
    ends = {name: score(PARAMS, x, REFERENCE, spec=SPEC) for name, x in
            (("content", CONTENT), ("style", STYLE))}  # fmt: skip
    assert ends["content"].content["relu2_1"] < 1e-10
    assert ends["content"].similarity == pytest.approx(1, abs=1e-6)
    for left, nothing in (
        (ends["content"].style_left, ends["style"].style_left),
        (ends["content"].sliced_left, ends["style"].sliced_left),
    ):
        assert all(float(x) == pytest.approx(1, rel=1e-5) for x in left.values())
        assert all(float(x) < 1e-3 for x in nothing.values())


def test_one_number_ranks_pictures():
    fractions = {"a": jnp.float32(0.01), "b": jnp.float32(0.09)}
    scores = evaluate.Scores({}, {}, {}, fractions, {"c": jnp.float32(0.03)}, jnp.float32(0.5))
    assert scores.overall == pytest.approx(0.03 / 0.5)  # the cube root of 0.01 · 0.09 · 0.03
    assert scores._replace(similarity=jnp.float32(-0.2)).overall == pytest.approx(3.0)
    only = scores._replace(sliced_left={})
    assert only.overall == pytest.approx(0.03 / 0.5)
    assert repr(scores) == "Scores(overall 0.06, style_left 0.05, sliced_left 0.03, similarity 0.5)"
    assert repr(only) == "Scores(overall 0.06, style_left 0.05, sliced_left nan, similarity 0.5)"
    photograph = score(PARAMS, CONTENT, REFERENCE, spec=SPEC)
    assert photograph.overall == pytest.approx(1, abs=1e-4)
    rank = jax.jit(lambda picture: score(PARAMS, picture, REFERENCE, spec=SPEC).overall)
    assert rank(PICTURE) == pytest.approx(score(PARAMS, PICTURE, REFERENCE, spec=SPEC).overall)


def test_many_pictures_in_one_program_score_as_one_by_one():
    pictures = jnp.stack([CONTENT, PICTURE])
    together = jax.vmap(lambda x: score(PARAMS, x, REFERENCE, spec=SPEC))(pictures)
    for i, picture in enumerate(pictures):
        alone = score(PARAMS, picture, REFERENCE, spec=SPEC)
        one = jax.tree.map(lambda x, i=i: x[i], together)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7), one, alone
        )


def test_baselines_come_first_and_are_what_could_be_saved():
    found = evaluate.evaluate(PARAMS, {"mine": PICTURE}, CONTENT, STYLE, **OPTIONS)
    assert list(found) == ["content image", "colours matched", "mine"]
    alone = score(PARAMS, PICTURE, REFERENCE, spec=SPEC)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found["mine"], alone)
    baselines = evaluate.baselines(CONTENT, STYLE)
    np.testing.assert_array_equal(baselines["content image"], CONTENT)
    matched = baselines["colours matched"]
    np.testing.assert_allclose(matched, pixels.quantize(matched), atol=1e-7)
    np.testing.assert_allclose(matched.mean((0, 1)), STYLE.mean((0, 1)), atol=0.01)


def test_losses_by_layer_are_those_of_the_scores():
    losses = evaluate.losses_by_layer(PARAMS, PICTURE, REFERENCE.targets, spec=SPEC)
    scores = score(PARAMS, PICTURE, REFERENCE, spec=SPEC)
    assert set(losses) == {"content/relu2_1", "style/relu1_1", "style/relu2_1"}
    for layer in SPEC.style_layers:
        np.testing.assert_allclose(losses[f"style/{layer}"], scores.style[layer], rtol=1e-5)


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(ValueError, match="has 20×32 pixels, but the content image has 24×32"):
        score(PARAMS, PICTURE[:20], REFERENCE, spec=SPEC)
    with pytest.raises(ValueError, match="8×32 pixels is too small"):
        compute_reference(PARAMS, CONTENT[:8], STYLE, **OPTIONS)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a photograph of 32×48, a painting, pictures, and the benchmark's own pairs."""
    folder = tmp_path_factory.mktemp("evaluate")
    for name, seed in (("photo", 1), ("painting", 2), ("picture", 3), ("other", 4)):
        write_picture(folder / f"{name}.png", seed)
    for kind, side in (("content", 0), ("style", 1)):
        (folder / kind).mkdir()
        for i, pair in enumerate(PAIRS):
            write_picture(folder / kind / pair[side], 10 * side + i)
    return folder


@pytest.fixture(autouse=True)
def network_of_the_script(network, monkeypatch):
    # A narrow random network has no published mean activations to be normalised by, or freed of.
    load = script.load_network
    monkeypatch.setattr(script, "load_network", lambda name, normalized: load(network))


def judge(place, *line):
    script.main([*line, f"--content={place}/photo.png", f"--style={place}/painting.png"])


@pytest.mark.slow
def test_the_script_prints_a_line_for_each_picture_below_the_baselines(place, capsys):
    pictures = [str(place / "picture.png"), str(place / "other.png")]
    judge(place, *pictures)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0][2:] for line in lines[2:]] == [*evaluate.BASELINES, *pictures]
    judge(place, *pictures, "--json")
    cases = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert cases[0]["style_left"]["relu5_1"] == pytest.approx(1)
    assert set(cases[2]["sliced"]) == set(evaluate.WITHHELD)
    # The same as from Python.
    params = script.load_network("vgg19", normalized=False).params
    content, style, picture = (
        io.load_image(place / f"{name}.png") for name in ("photo", "painting", "picture")
    )
    found = evaluate.evaluate(params, {"mine": picture}, content, style)["mine"]
    assert cases[2]["similarity"] == pytest.approx(float(found.similarity), rel=1e-4)


def test_the_script_refuses_in_one_line(place, tmp_path):
    io.save_image(tmp_path / "square.png", jnp.ones((32, 32, 3)))
    with pytest.raises(SystemExit, match=r"photo\.png: of 32×48 .* with 32×32 is no scaled copy"):
        judge(place, str(tmp_path / "square.png"))
    with pytest.raises(SystemExit, match=r"square\.png: of 32×32 pixels, but .*picture\.png of 3"):
        judge(place, str(place / "picture.png"), str(tmp_path / "square.png"))
    with pytest.raises(SystemExit, match=r"absent\.png"):
        judge(place, str(place / "absent.png"))


@pytest.mark.parametrize("line", [["a.png"], [], ["a.png", "--table"]])
def test_a_wrong_use_is_told(line, capsys):
    with pytest.raises(SystemExit) as stopped:
        script.main(line)
    assert stopped.value.code == 2
    assert "--content" in capsys.readouterr().err


@pytest.mark.slow
def test_the_table_is_made_once(place, tmp_path, capsys, monkeypatch):
    line = ["--table", f"--data={place}", "--pairs=1", "--size=48",
            "--steps=1", "--statistics", "gram", "moments", f"-o={tmp_path}"]  # fmt: skip
    compared = []

    def stylize(params, content, style, *, spec, weights, num_steps, **options):
        compared.append((spec.statistic, weights.style, num_steps))
        return Result(0.9 * content, None)

    monkeypatch.setattr(script.jaxstyle, "stylize", stylize)
    script.main(line)
    first = capsys.readouterr().out.splitlines()
    script.main(line)
    again = capsys.readouterr().out.splitlines()
    assert [json.loads(text)["picture"] for text in first[:4]] == [
        "content image", "colours matched", "default, gram", "default, moments",
    ]  # fmt: skip
    assert first[4:] == again
    assert compared == [("gram", None, 1), ("moments", None, 1)]  # nothing is made anew
    assert again[2].startswith("| content image | 0 | 1.0000 | 1.0000 | 1.000 |")
    assert len(list(tmp_path.glob("*.png"))) == 5
    with pytest.raises(SystemExit, match="preset neural-style has weights for Gram matrices alone"):
        script.main([*line, "--presets", "neural-style"])


def test_the_photograph_itself_has_its_own_layout():
    maps = jax.random.uniform(jax.random.key(3), (9, 8, 6))
    photograph = judged.measure_photograph(maps)
    assert float(judged.self_similarity_error(maps, photograph)) == 0
    assert float(judged.structure_distance(maps, photograph)) == pytest.approx(0, abs=1e-6)
    other = jax.random.uniform(jax.random.key(4), (9, 8, 6))
    assert float(judged.self_similarity_error(other, photograph)) > 0.1
    assert float(judged.structure_distance(other, photograph)) > 0.1


def test_the_structure_distance_equals_numpy():
    maps, other = (np.asarray(jax.random.uniform(jax.random.key(k), (3, 4, 5))) for k in (3, 4))

    def attention(maps):
        rows = maps.reshape(-1, 5).astype(np.float64)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        weights = np.exp(rows @ rows.T / 0.1)
        return weights / weights.sum(1, keepdims=True)

    a, b = attention(maps), attention(other)
    expected = (a * np.log(a / b)).sum(1).mean()
    found = judged.structure_distance(other, judged.measure_photograph(jnp.asarray(maps)))
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_a_repeated_piece_counts_once():
    painting = jax.random.normal(jax.random.key(3), (4, 4, 6))
    pieces = judged.pieces_of(painting)
    use = judged.use_of_pieces(jnp.broadcast_to(painting[:1, :1], (4, 4, 6)), pieces)
    assert float(use.distinct) == pytest.approx(1 / 16)
    assert float(use.cosine) == pytest.approx(1, abs=1e-5)


def test_layers_that_a_network_has_are_matched():
    widths = tuple((f"conv{block}_1", 4) for block in (1, 2, 3, 4))
    params = vgg.init_params(jax.random.key(0), widths)
    spec = LossSpec((), ("relu1_1",), network=VGGSpec(padding="zero"))
    scores = evaluate.evaluate(params, {}, CONTENT, STYLE, spec=spec, withheld=())
    of_content = scores["content image"]
    assert list(of_content.self_similarity) == ["relu3_1", "relu4_1"]
    assert list(of_content.structure) == ["relu3_1"]
    assert max(map(float, of_content.self_similarity.values())) < 1e-5
    assert all(0 < float(share) <= 1 for share in of_content.distinct.values())
    assert REFERENCE.photograph == {}
