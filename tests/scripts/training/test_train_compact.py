"""The training of the compact network, on a network and pictures of a few pixels."""

import argparse
import csv
import itertools
import json

import jax
import numpy as np
import pytest
from PIL import Image

from jaxstyle import LossSpec
from jaxstyle._common.reading import sha256
from jaxstyle.cli.networks import central_square
from jaxstyle.networks import load, rescaling, vgg
from scripts.training import distillation, narrowing, train_compact, training_pictures

pytestmark = pytest.mark.usefixtures("compile_faster")

TEXT = "4,4 4,4 4,4,4,4 4,4,4,4 4,4,4,4"
WIDTHS = train_compact.parse_widths(TEXT)
OPTIONS = argparse.Namespace(
    seed=0,
    steps=4,
    batch=2,
    side=32,
    learning_rate=1e-2,
    whiten=4,
    refresh=2,
    pool=6,
    every=2,
    gram=3.0,
)


@pytest.fixture(scope="module")
def sources():
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (260, 280, 3), np.uint8) for _ in range(4)]
    return training_pictures.Sources(pictures[:3], pictures[3:], [], "checksum")


@pytest.fixture(scope="module")
def teacher():
    wider = tuple((name, 6) for name, _ in WIDTHS)
    return vgg.init_params(jax.random.key(0), wider)


@pytest.fixture(scope="module")
def found(teacher, sources):
    rng = np.random.default_rng(0)
    return narrowing.fit(
        teacher, WIDTHS, training_pictures.crops(rng, sources, 8, 32), rng, rows=50
    )


@pytest.fixture
def data(tmp_path):
    """A folder of photographs, and of paintings one of which is held out."""
    rng = np.random.default_rng(0)
    names = [f"photos/{i}.jpg" for i in range(3)]
    for name in (*names, "style/painting.png", "style/the-scream.jpg"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 52, 3), np.uint8)).save(path)
    return tmp_path / "data"


@pytest.fixture
def command(teacher, data, tmp_path, monkeypatch):
    """The whole command, from a teacher of a few filters."""
    load.save_params(tmp_path / "teacher.safetensors", teacher, {"normalized": "true"})
    ones = {name: np.ones(6, np.float32) for name, _ in WIDTHS}
    monkeypatch.setattr(load, "published_activation_means", lambda: ones)

    def run(**changes):
        options = {
            "data": data, "network": tmp_path / "teacher.safetensors", "work": tmp_path / "work",
            "output": tmp_path / "narrow.safetensors", "widths": TEXT, "fit-images": 8,
            "fit-side": 32, "steps": 0,
        } | changes  # fmt: skip
        train_compact.main([f"--{name}={value}" for name, value in options.items()])
        return load.load_network(options["output"])

    return run


@pytest.mark.slow
def test_the_file_says_what_it_was_made_of(command, tmp_path):
    network = command()
    assert vgg.network_widths(network.params) == WIDTHS
    notes = network.metadata
    assert (notes["network"], notes["normalized"]) == ("compact", "true")
    names = [f"photos/{i}.jpg" for i in range(3)]
    assert json.loads(notes["data"]) == [*names, "style/painting.png"]
    assert "the-scream.jpg" in notes["held_out"]
    settings = json.loads(notes["settings"])
    assert (settings["seed"], settings["widths"], settings["steps"]) == (0, TEXT, 0)
    assert notes["teacher_sha256"] == sha256(tmp_path / "teacher.safetensors")
    assert f"jax {jax.__version__}, " in notes["versions"]
    # Again from what is kept, bit for bit, and without fitting again.
    before = (tmp_path / "narrow.safetensors").read_bytes()
    kept = (tmp_path / "work" / "fit.npz").stat().st_mtime_ns
    command()
    assert (tmp_path / "narrow.safetensors").read_bytes() == before
    assert (tmp_path / "work" / "fit.npz").stat().st_mtime_ns == kept


@pytest.mark.slow
def test_checkpoints_of_other_pictures_or_settings_are_refused(command, data, tmp_path, capsys):
    def refused(**changes):
        with pytest.raises(SystemExit, match="2"):
            command(**changes)
        return capsys.readouterr().err.splitlines()[-1]

    # Nothing is kept of what could not begin.
    assert "no network is called 'nosuch'" in refused(network="nosuch")
    assert "a word for each block" in refused(widths="4,4")
    (tmp_path / "empty").mkdir()
    assert "no such file or directory" in refused(data=tmp_path / "empty").lower()
    assert "--pool should be at least 3, got 2" in refused(pool=2)
    assert "--fit-images should be at least 8, got 7" in refused(**{"fit-images": 7})
    assert "--steps should be at least 0, got -2" in refused(steps=-2)
    assert "--gram should be a number from 0 on, got nan" in refused(gram="nan")
    assert not (tmp_path / "work").exists()
    assert "conv1_1 should have 1 to 6 filters, got 7" in refused(widths=f"7{TEXT[1:]}")
    assert not any((tmp_path / "work").iterdir())
    command(work=tmp_path / "third")
    assert "begun otherwise (seed was 0)" in refused(work=tmp_path / "third", seed=1)
    Image.new("RGB", (40, 40)).save(data / "photos" / "0.jpg")
    assert "begun otherwise (data_sha256 was " in refused(work=tmp_path / "third")


SMALL = {
    name: getattr(OPTIONS, name)
    for name in ("steps", "batch", "side", "whiten", "refresh", "pool", "every", "gram")
}


@pytest.mark.slow
def test_the_whole_training_in_small(command, tmp_path):
    trained = command(**SMALL)
    fitted = command(work=tmp_path / "fit alone")
    assert (trained.params["conv1_1"]["kernel"] != fitted.params["conv1_1"]["kernel"]).any()


@pytest.mark.slow
def test_a_training_goes_on_from_a_network_of_another(command, tmp_path, capsys):
    first, path = command(), tmp_path / "narrow.safetensors"
    begin = {"begin": path, "output": tmp_path / "next.safetensors", "work": tmp_path / "next"}
    same = command(**begin)
    assert same.metadata["channels"] == first.metadata["channels"]
    assert json.loads(same.metadata["settings"])["begin"] == sha256(path)
    np.testing.assert_allclose(
        same.params["conv1_1"]["kernel"], first.params["conv1_1"]["kernel"], rtol=2e-3
    )
    further = command(**begin | SMALL | {"work": tmp_path / "further"})
    assert (further.params["conv1_1"]["kernel"] != same.params["conv1_1"]["kernel"]).any()
    for wrong in ({"widths": f"3{TEXT[1:]}"}, {"begin": tmp_path / "teacher.safetensors"}):
        with pytest.raises(SystemExit, match="2"):
            command(**begin | {"work": tmp_path / "other"} | wrong)
        assert "not a network of this script with the widths" in capsys.readouterr().err


def test_widths_are_read_block_by_block():
    widths = train_compact.parse_widths("2,3 4,5 6,7,8,9 10,11,12,13 14,15,16,17")
    assert widths == tuple((name, 2 + i) for i, (name, _) in enumerate(vgg.VGG19_WIDTHS))
    for wrong in ("", "2,3 4", "2,3 4,x 6,7,8,9 10,11,12,13 14,15,16,17"):
        with pytest.raises(ValueError, match=r"a word for each block .* got '"):
            train_compact.parse_widths(wrong)


def test_crops_are_pictures_that_the_seed_decides(sources):
    first, again, other = (
        training_pictures.crops(np.random.default_rng(seed), sources, 12, 300) for seed in (1, 1, 2)
    )
    assert first.shape == (12, 300, 300, 3)
    assert first.dtype == np.float32
    assert 0 <= first.min() < first.max() <= 1
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.slow
def test_pictures_under_optimisation_are_of_every_stage(teacher, found, sources):
    training = distillation.Distillation(teacher, found, sources, OPTIONS)
    first, again = (training.under_optimisation(np.random.default_rng(1)) for _ in range(2))
    assert first.shape == (OPTIONS.pool, 32, 32, 3)
    assert 0 <= first.min() < first.max() <= 1
    np.testing.assert_array_equal(first, again)
    # Of one descent, the later picture is the further away.
    start, middle, end = first[:3]
    assert 0 < np.abs(start - middle).mean() < np.abs(start - end).mean()


@pytest.mark.exhaustive
def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    teacher, found, sources, tmp_path, monkeypatch
):
    def train(work, steps=None):
        work.mkdir(exist_ok=True)
        training = distillation.Distillation(teacher, found, sources, OPTIONS)
        if steps:
            batches = training.batches
            monkeypatch.setattr(training, "batches", lambda: itertools.islice(batches(), steps))
        training.run(work)
        return training

    whole = train(tmp_path / "whole")
    train(tmp_path / "parts", steps=3)  # the third step is lost
    rest = train(tmp_path / "parts")
    assert int(rest.state.step) == int(whole.state.step) == 4
    jax.tree.map(np.testing.assert_array_equal, rest.state.params, whole.state.params)
    with (tmp_path / "parts" / "curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4"]
    assert {"train/features/relu4_2", "check/gram/relu5_1"} < set(rows[0])
    # Nothing is left to do.
    assert int(train(tmp_path / "whole").state.step) == 4


def test_rows_of_steps_that_are_done_anew_are_dropped(tmp_path):
    curve = tmp_path / "curve.csv"
    distillation._cut(curve, 5)
    assert not curve.exists()
    for step in (2, 4, 6):
        distillation._append(curve, {"step": step, "error": 0.5 / step})
    before = curve.read_text()
    distillation._cut(curve, 6)
    assert curve.read_text() == before
    distillation._cut(curve, 5)
    assert curve.read_text() == "".join(before.splitlines(keepends=True)[:3])


def compared(name: str) -> bool:
    """Whether a layer, or a column of the curve, is of a layer that the objective compares."""
    return name.rpartition("/")[2] in LossSpec().layers


@pytest.mark.slow
def test_training_lowers_the_error(teacher, found, sources, tmp_path):
    options = argparse.Namespace(
        **vars(OPTIONS) | {"steps": 150, "refresh": 150, "every": 50, "learning_rate": 3e-4}
    )
    training = distillation.Distillation(teacher, found, sources, options)
    training.run(tmp_path)
    with (tmp_path / "curve.csv").open(newline="") as file:
        errors = [
            sum(float(v) for k, v in row.items() if k.startswith("check") and compared(k))
            for row in csv.DictReader(file)
        ]
    images = training_pictures.crops(np.random.default_rng([0, 2**31]), sources, 16, 32)
    before = [training._test(found.params, teacher, image) for image in images]
    assert errors[-1] < np.mean(
        [
            sum(float(e) for m in maps.values() for k, e in m.items() if compared(k))
            for maps in before
        ]
    )


@pytest.mark.slow
def test_the_finished_network_has_unit_mean_activations(found, data):
    photo = data / "photos" / "0.jpg"
    params = train_compact.finish(found.params, [photo])
    for mean in rescaling.activation_means(params, [central_square(photo)]).values():
        np.testing.assert_allclose(mean[mean > 0], 1, rtol=0.01)


def test_the_manifest_gets_one_entry_for_a_name_and_for_a_file(tmp_path):
    before = [
        {"name": name, "file": f"{file}.safetensors"}
        for name, file in (("other", "other"), ("compact", "narrow"), ("narrow", "compact"))
    ]
    (tmp_path / "manifest.json").write_text(json.dumps({"files": before}))
    (tmp_path / "compact.safetensors").write_bytes(b"abc")
    train_compact.add_to_manifest(tmp_path / "compact.safetensors", "compact")
    other, entry = json.loads((tmp_path / "manifest.json").read_text())["files"]
    assert (other, entry["name"]) == (before[0], "compact")
    assert entry["sha256"].startswith("ba7816bf")
    assert {"file", "source", "licence"} < set(entry)


def test_a_folder_goes_on_only_with_its_own_settings(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    train_compact.check_settings(work, {"steps": 3, "seed": 0})
    train_compact.keep_settings(work, {"steps": 3, "seed": 0})
    train_compact.check_settings(work, {"steps": 3, "seed": 0})
    with pytest.raises(ValueError, match=r"begun otherwise \(steps was 3\); use another --work"):
        train_compact.check_settings(work, {"steps": 4, "seed": 0})
