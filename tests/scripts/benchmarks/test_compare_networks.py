"""Fast networks beside PyTorch: both sides paint the same picture, which `sides` checks itself."""

import numpy as np
import pytest

from jaxstyle.feedforward.architecture import Architecture
from scripts.benchmarks import alternating, compare_features, compare_networks

FORM = Architecture(widths=(4, 6, 8), blocks=1, output="sigmoid")


def test_one_pass_is_the_same_in_pytorch():
    pytest.importorskip("torch")
    runs = compare_networks.sides(FORM, 32, compiled=False)
    assert list(runs) == ["jaxstyle", "pytorch"]
    assert runs["pytorch"]().shape == (1, 3, 24, 32)


@pytest.mark.parametrize("level", [2, 4])
def test_adain_is_the_same_in_pytorch(level):
    pytest.importorskip("torch")
    runs = compare_features.sides(64, level, compiled=False)
    picture = np.asarray(runs["jaxstyle"]())
    assert picture.shape == (48, 64, 3)
    assert picture.std() > 0.01  # a constant would prove nothing


def test_the_table_says_how_many_times_as_fast(capsys, monkeypatch):
    times = {"jaxstyle": [2.0, 1.0, 4.0], "pytorch": [3.0, 5.0, 3.0]}
    monkeypatch.setattr(alternating, "alternate", lambda runs, rounds: dict(times))
    alternating.print_ratios(lambda size: {}, [64], 3)
    assert capsys.readouterr().out.splitlines()[2] == "| 64 × 48 | pytorch | 1.50 |"
