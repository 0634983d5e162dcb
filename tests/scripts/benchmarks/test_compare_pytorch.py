"""The script that compares costs with PyTorch's: what it prints, and what it makes of numbers."""

import argparse
import importlib.util
import json
import math
from typing import NamedTuple

import numpy as np
import pytest
from helpers.command_line import write_network
from helpers.network_files import VGG16_LAYERS
from PIL import Image

from scripts.benchmarks import compare_pytorch, comparison_report
from scripts.benchmarks.comparison_sides import OURS, Comparison, Descent

pytestmark = pytest.mark.usefixtures("compile_faster")


class Printed(NamedTuple):
    cases: list[dict]
    tables: str


@pytest.fixture
def data(tmp_path):
    """A folder with a pair of pictures, and a narrow random network."""
    for kind, name in zip(("content", "style"), compare_pytorch.PAIRS[0], strict=True):
        (tmp_path / kind).mkdir()
        noise = np.random.default_rng(len(name)).integers(0, 256, (32, 48, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / kind / name)
    return tmp_path, write_network(tmp_path / "net.safetensors", layers=VGG16_LAYERS)


@pytest.fixture
def compare(data, capsys):
    """Runs the script on the pair, 32 pixels large."""
    pytest.importorskip("torch", reason="PyTorch is compared with: pip install '.[parity]'")
    folder, network = data

    def compare(*parts: str, size: int = 32) -> Printed:
        places = ["--data", str(folder), "--network", str(network)]
        compare_pytorch.main(["--quick", "--sizes", str(size), *places, "--parts", *parts])
        captured = capsys.readouterr()
        return Printed([json.loads(line) for line in captured.out.splitlines()], captured.err)

    return compare


def check_evaluations(cases):
    cases = [case for case in cases if case["part"] == "evaluation"]
    losses = {case["program"]: case["loss"] for case in cases}
    assert list(losses) == [*OURS, "pytorch eager"]
    np.testing.assert_allclose(list(losses.values()), losses["pytorch eager"], rtol=1e-4)
    for case in cases:
        seconds = case["seconds"]
        assert 0 < seconds["least"] <= seconds["median"] <= seconds["most"]
    assert cases[-1]["pytorch_to_this"] == {"median": 1, "least": 1, "most": 1}


@pytest.mark.slow
def test_both_sides_evaluate_the_same_objective(compare):
    printed = compare("evaluation")
    check_evaluations(printed.cases)
    assert all({"jax", "torch", "cpus", "device", "size"} <= set(case) for case in printed.cases)
    assert "\n| size | program | loss |" in printed.tables
    assert "\n| 32 | pytorch eager | " in printed.tables


@pytest.mark.exhaustive
def test_every_part(compare):
    printed = compare(*compare_pytorch.PARTS, size=64)
    check_evaluations(printed.cases)
    found = {
        part: [c for c in printed.cases if c["part"] == part] for part in compare_pytorch.PARTS
    }
    assert [case["init"] for case in found["convergence"]] == 2 * ["content"] + 2 * ["white-noise"]
    for case in found["convergence"]:
        assert case["jaxstyle_evaluations"]["median"] <= 2 * 10
        assert case["pytorch_to_jaxstyle"]["median"] > 0
    kinds = [case["evaluations"] for case in found["memory"]]
    programs = len(OURS) + 1
    assert kinds == programs * ["first"] + programs * ["later"]
    assert all(case["peak_mib"] > 0 for case in found["memory"][:programs])
    assert all(case["warm_seconds"]["median"] > 0 for case in found["start"])
    assert all(0 < case["share"] < 1 for case in found["flops"])
    assert [case["width"] for case in found["batch"]] == [1, 2]


@pytest.mark.slow
def test_a_descent_that_begins_at_half_the_size(data):
    folder, network = data
    options = argparse.Namespace(
        data=folder, network=str(network), coarse=3, torch_compile=False, tf32=False
    )
    descent = Comparison(options).descend_coarse_first(64, 0, "content", 4)
    assert descent.image.shape == (64, 64, 3)
    assert descent.losses[:3] == 3 * [math.inf]
    assert descent.losses[-1] < descent.losses[3] < math.inf
    assert (np.diff(descent.seconds) >= 0).all()
    assert len(descent.losses) == len(descent.seconds) == 3 + 4


def test_a_loss_is_reached_at_the_first_evaluation_as_low():
    descent = Descent([5.0, 3.0, 4.0, 2.0], [0.1, 0.2, 0.3, 0.4])
    assert descent.reach(3.5) == (2, 0.2)
    assert descent.reach(2.0) == (4, 0.4)
    assert descent.reach(1.0) is None
    assert [descent.least(n) for n in (1, 3, 9)] == [5, 3, 2]


def test_a_ratio_is_of_medians_and_its_spread_of_pairs():
    assert compare_pytorch.ratio([2.0, 6.0, 4.0], [1.0, 2.0, 4.0]) == {
        "median": 2, "least": 1, "most": 3
    }  # fmt: skip


CASES = [
    {"part": "evaluation", "size": size, "program": "a", "seconds": comparison_report.spread(each)}
    for size, each in ((32, [0.5, 0.25, 1]), (64, [1234.5]))
] + [{"part": "start", "size": 32, "compile_seconds": None}]


def test_tables():
    assert (
        comparison_report.tables(CASES, {"jax": "1.0", "cpus": 2})
        == """\
jax 1.0, cpus 2

### evaluation

| size | program | seconds |
| --- | --- | --- |
| 32 | a | 0.5 (0.25–1) |
| 64 | a | 1234 |

### start

| size | compile seconds |
| --- | --- |
| 32 | – |
"""
    )


def test_curves(tmp_path):
    pytest.importorskip("matplotlib")
    spread = comparison_report.spread([1.0, 2.0])
    reached = {"jaxstyle_seconds": spread, "pytorch_seconds": spread}
    key = {"part": "convergence", "size": 32, "content": "a.jpg", "init": "white-noise"}
    cases = [
        *CASES,
        {**key, "pytorch_evaluations": 5, **reached},
        {**key, "pytorch_evaluations": 9},  # never reached
        {"part": "batch", "size": 32, "width": 1, "seconds_a_picture": spread},
    ]
    comparison_report.plot(cases, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        assert image.width > image.height


@pytest.mark.parametrize(("module", "extra"), [("torch", "parity"), ("matplotlib", "plot")])
def test_a_missing_library_is_one_line(module, extra, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else 1)
    with pytest.raises(SystemExit, match="2"):
        compare_pytorch.main(["--quick", "--plot", "plot.png"])
    assert capsys.readouterr().err.endswith(
        f"error: this needs {module}: pip install '.[{extra}]'\n"
    )
