"""The scripts that judge networks, with a judge of a few filters and pictures of a few pixels."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.command_line import write_picture

from jaxstyle.image import io
from jaxstyle.networks import rescaling, vgg
from jaxstyle.networks.load import Network
from jaxstyle.optimization.presets import get_preset
from scripts.pairs import PAINTINGS, PAIRS, PHOTOGRAPHS
from scripts.reproduction import same_look
from scripts.training import compare_representations, judge_networks

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("compile_faster")]
WIDTHS = tuple((name, 4) for name, _ in vgg.VGG19_WIDTHS)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for kind, names in (("content", PHOTOGRAPHS), ("style", PAINTINGS)):
        (folder / kind).mkdir()
        for seed, name in enumerate(names):
            write_picture(folder / kind / name, seed + 10 * (kind == "style"))
    return folder


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    """In place of files: "vgg19", and narrower ones of other kernels."""
    seeds = {"vgg19": 0, "compact": 1, "other.safetensors": 2}

    def load(name, **_):
        if name not in seeds:
            raise ValueError(f"no network is called {name!r}")
        params = vgg.init_params(jax.random.key(seeds[name]), WIDTHS)
        return Network(params, name, name, {})

    for script in (judge_networks, compare_representations, same_look):
        monkeypatch.setattr(script, "load_network", load)


def lines(text):
    """The lines of JSON, and the summary after them."""
    cases, _, summary = text.partition("\n{\n")
    return [json.loads(line) for line in cases.splitlines() if line], json.loads("{" + summary)


def test_ratios_are_geometric_means_over_the_pairs():
    cases = [
        {"network": name, "mean": mean, "content_loss": content, "left": [mean, 0.5]}
        for name, mean, content in (
            ("vgg19", 0.1, 4.0), ("vgg19", 0.4, 1.0), ("own", 0.2, 4.0), ("own", 3.2, 9.0))
    ]  # fmt: skip
    first, own = judge_networks.summary(cases, ["vgg19", "own"]).values()
    assert (first["to_first"], first["worst_to_first"], first["content_to_first"]) == (1, 1, 1)
    assert own["left"] == pytest.approx(0.8)  # the root of 0.2 · 3.2
    assert own["to_first"] == pytest.approx(4)  # of 2 and 8
    assert own["worst_to_first"] == pytest.approx(8)
    assert own["content_to_first"] == pytest.approx(3)  # of 1 and 9
    assert own["worst_content_to_first"] == pytest.approx(9)
    assert own["left_by_layer"] == pytest.approx([1.7, 0.5])


def test_a_photograph_is_judged_to_have_all_its_style_loss_left(data):
    judge = vgg.init_params(jax.random.key(0), WIDTHS)
    photograph, painting = (
        io.load_image(data / kind / name)
        for kind, name in zip(("content", "style"), PAIRS[0], strict=True)
    )
    judged = judge_networks.Judge(judge, photograph, painting)
    left, content = judged(photograph)
    assert left == pytest.approx([1, 1, 1, 1, 1])
    assert content == 0
    left, content = judged(painting)
    assert left == pytest.approx([0, 0, 0, 0, 0])
    assert content > 0


def test_a_picture_s_key_changes_with_all_that_it_depends_on():
    params, others = (vgg.init_params(jax.random.key(seed), WIDTHS) for seed in (0, 1))
    default, compact = get_preset("default"), get_preset("compact")

    def key(params=params, preset=default, steps=2, size=48, **changes):
        return judge_networks.network_candidate("x", params, preset, steps, size, **changes).key

    keys = [key(), key(others), key(preset=compact), key(steps=3), key(size=64), key(init="noise"),
            key(spec=compare_representations.BLOCKS)]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]


@pytest.mark.exhaustive
def test_networks_are_judged_once_and_drawn(data, tmp_path, capsys):
    command = [
        f"--data={data}", "--size=48", "--steps=2", "--pairs=2", f"--output={tmp_path / 'kept'}",
        f"--sheet={tmp_path / 'sheet.png'}",
    ]  # fmt: skip
    judge_networks.main(command)
    cases, summary = lines(capsys.readouterr().out)
    assert list(summary) == ["vgg19", "compact", "random"]
    assert [(case["content"], case["style"]) for case in cases] == [
        pair for pair in PAIRS[:2] for _ in range(3)
    ]
    assert all(0 < case["mean"] < 1 for case in cases[::3])  # the judge's own
    for case in cases:
        assert io.load_image(tmp_path / "kept" / f"{case['key']}.png").shape == (32, 48, 3)
        assert case["mean"] == pytest.approx(np.mean(case["left"]), abs=1e-3)
    width = io.load_image(tmp_path / "sheet.png").shape[1]
    assert width > 5 * 192  # both images and three networks' pictures
    # What is kept is not made again; a network that is new is.
    judge_networks.main([*command, "--networks", "compact", "other.safetensors"])
    cases, again = lines(capsys.readouterr().out)
    assert {case["key"].split("--")[2].split("-")[0] for case in cases} == {"other"}
    assert len(cases) == 2
    assert (again["vgg19"], again["compact"]) == (summary["vgg19"], summary["compact"])


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        (judge_networks, ["--recipe", "compact"], "--recipe should be NETWORK=PRESET"),
        (judge_networks, ["--recipe", "compcat=compact"], "got compcat=compact"),
        (judge_networks, ["--networks", "nosuch"], "no network is called 'nosuch'"),
        (judge_networks, ["--data", "absent"], "absent"),
        (compare_representations, ["--candidates", "nosuch"], "should be among compact, blocks"),
        (same_look, ["--network", "nosuch"], "no network is called 'nosuch'"),
        (same_look, ["--large", "16", "--small", "32"], "--large should be more than --small"),
    ],
)
def test_bad_options_are_one_line(script, options, message, data, capsys):
    with pytest.raises(SystemExit, match="2"):
        script.main([f"--data={data}", *options])
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_random_network_is_rescaled_by_the_layer():
    squares = [jax.random.uniform(jax.random.key(3), (32, 32, 3))]
    shape = vgg.init_params(jax.random.key(0), WIDTHS)
    params = judge_networks.random_network(shape, squares)
    means = rescaling.activation_means(params, squares)
    assert len(means) == len(WIDTHS)
    for mean in means.values():
        np.testing.assert_allclose(mean.mean(), 1, rtol=1e-3)
        assert mean.std() > 0


def test_of_random_kernels_those_are_chosen_that_keep_most_of_their_input():
    x = jax.random.normal(jax.random.key(0), (8, 8, 6))
    mixed = x @ jax.random.normal(jax.random.key(1), (6, 6))
    half = compare_representations.unexplained([x], [mixed[..., :3]])
    assert compare_representations.unexplained([x], [mixed]) < 0.01 < 0.3 < half < 0.7


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(32, 48), (33, 40)])
def test_filters_that_nobody_trained_see_texture_but_not_where(shape):
    """A Gram matrix of theirs stays when a picture is turned around its edges."""
    image = jax.random.uniform(jax.random.key(2), (*shape, 3))
    maps = compare_representations.rectified_wavelets(shape)
    (found,), (moved,) = maps(image), maps(jnp.roll(image, (5, 9), (0, 1)))
    assert found.shape == (*shape, 5 * 4 * 4 * 3 + 4)
    np.testing.assert_allclose(jnp.roll(found, (5, 9), (0, 1)), moved, atol=1e-5)
    levels = compare_representations.shallow_filters(jax.random.key(0), count=8, side=5)(image)
    assert [level.shape for level in levels] == [
        (shape[0] // 2**i, shape[1] // 2**i, 8 + 3) for i in range(5)
    ]


@pytest.mark.slow
def test_filters_that_nobody_trained_make_pictures(data, tmp_path, capsys):
    compare_representations.main(
        [f"--data={data}", "--size=48", "--steps=20", "--pairs=1", "--candidates", "wavelets",
         f"--output={tmp_path}"]
    )  # fmt: skip
    cases, summary = lines(capsys.readouterr().out)
    assert list(summary) == ["vgg19", "wavelets"]
    assert cases[1]["mean"] < 0.9  # nearer to the painting than the photograph was


@pytest.mark.slow
def test_looks_are_compared_at_the_small_size(data, tmp_path, capsys):
    same_look.main(
        [
            f"--data={data}",
            "--small=48",
            "--large=96",
            "--steps=30",
            f"--output={tmp_path / 'o.png'}",
        ]
    )
    small, at_once, rising = map(json.loads, capsys.readouterr().out.splitlines())
    assert small["picture"] == "48 px"
    assert at_once["picture"] == "96 px at once"
    assert rising["picture"] == "48, 68, 96 px"
    assert small["similarity"] == 1
    assert at_once["similarity"] < 1
    assert io.load_image(tmp_path / "o.png").shape[1] > 3 * 300
