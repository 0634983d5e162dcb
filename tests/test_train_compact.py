"""The training of the compact network, on a network and pictures of a few pixels."""

import argparse
import csv
import itertools
import json

import jax
import narrowing
import numpy as np
import pytest
import train_compact
import training_pictures

from jaxstyle import LossSpec, vgg

pytestmark = pytest.mark.usefixtures("compile_faster")

WIDTHS = train_compact.parse_widths("4,4 4,4 4,4,4,4 4,4,4,4 4")
OPTIONS = argparse.Namespace(
    seed=0, steps=4, batch=2, side=32, learning_rate=1e-2, whiten=4, refresh=2, pool=6, every=2
)


@pytest.fixture(scope="module")
def sources():
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (260, 280, 3), np.uint8) for _ in range(4)]
    return training_pictures.Sources(pictures[:3], pictures[3:], "checksum")


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


def test_widths_are_read_block_by_block():
    assert train_compact.parse_widths("2,3 4") == (("conv1_1", 2), ("conv1_2", 3), ("conv2_1", 4))
    names = [name for name, _ in train_compact.parse_widths(train_compact.WIDTHS)]
    assert names == [name for name, _ in vgg.VGG19_WIDTHS]


def test_crops_are_pictures_that_the_seed_decides(sources):
    first, again, other = (
        training_pictures.crops(np.random.default_rng(seed), sources, 12, 300) for seed in (1, 1, 2)
    )
    assert first.shape == (12, 300, 300, 3)
    assert first.dtype == np.float32
    assert 0 <= first.min() < first.max() <= 1
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_pictures_under_optimisation_are_of_every_stage(teacher, found, sources):
    training = train_compact.Distillation(teacher, found, sources, OPTIONS)
    first, again = (training.under_optimisation(np.random.default_rng(1)) for _ in range(2))
    assert first.shape == (OPTIONS.pool, 32, 32, 3)
    assert 0 <= first.min() < first.max() <= 1
    np.testing.assert_array_equal(first, again)
    # Of one descent, the later picture is the further away.
    start, middle, end = first[:3]
    assert 0 < np.abs(start - middle).mean() < np.abs(start - end).mean()


@pytest.mark.slow
def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    teacher, found, sources, tmp_path, monkeypatch
):
    def train(work, steps=None):
        work.mkdir(exist_ok=True)
        training = train_compact.Distillation(teacher, found, sources, OPTIONS)
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


def compared(name: str) -> bool:
    """Whether a layer, or a column of the curve, is of a layer that the objective compares."""
    return name.rpartition("/")[2] in LossSpec().layers


@pytest.mark.slow
def test_training_lowers_the_error(teacher, found, sources, tmp_path):
    options = argparse.Namespace(
        **vars(OPTIONS) | {"steps": 150, "refresh": 150, "every": 50, "learning_rate": 3e-4}
    )
    training = train_compact.Distillation(teacher, found, sources, options)
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


def test_the_finished_network_has_unit_mean_activations(found, sources):
    params = train_compact.finish(found.params, sources)
    square = sources.photos[0][2:258, 12:268] / np.float32(255)
    for mean in vgg.activation_means(params, [square]).values():
        np.testing.assert_allclose(mean[mean > 0], 1, rtol=0.01)


def test_the_manifest_gets_one_entry(tmp_path):
    (tmp_path / "manifest.json").write_text('{"files": [{"name": "other"}, {"name": "compact"}]}')
    (tmp_path / "compact.safetensors").write_bytes(b"abc")
    train_compact.add_to_manifest(tmp_path / "compact.safetensors")
    other, entry = json.loads((tmp_path / "manifest.json").read_text())["files"]
    assert (other["name"], entry["name"]) == ("other", "compact")
    assert entry["sha256"].startswith("ba7816bf")
    assert {"file", "source", "licence"} < set(entry)


def test_a_folder_goes_on_only_with_its_own_settings(tmp_path):
    work = tmp_path / "work"
    train_compact.keep_settings(work, {"steps": 3, "seed": 0})
    train_compact.keep_settings(work, {"steps": 3, "seed": 0})
    with pytest.raises(ValueError, match=r"begun otherwise \(steps was 3\); use another --work"):
        train_compact.keep_settings(work, {"steps": 4, "seed": 0})
