"""The measurement of fast ways: what a picture is worth, and the table."""

import numpy as np
import pytest

from scripts.benchmarks import fast_ways


@pytest.mark.parametrize(
    ("objective", "steps"),
    [(200.0, 0.0), (100.0, 0.0), (10.0, 1.0), (10**0.5, 1.5), (1.0, 2.0), (0.5, np.inf)],
)
def test_worth_lies_between_steps_by_its_logarithm(objective, steps):
    losses = np.array([100.0, 10.0, 1.0])
    assert fast_ways.worth(losses, objective) == pytest.approx(steps)


def test_the_table_has_medians_and_extremes(capsys):
    lines = [
        {"way": "quick, 10", "worth": worth, "content": 1.0, "style_left": 0.5}
        for worth in (3.0, 1.0, 2.0)
    ]
    fast_ways.print_table(lines)
    row = (
        "| quick, 10 | 3 | 2.0 (1.0 to 3.0) | 1.00 (1.00 to 1.00) | 0.500 (0.500 to 0.500) |  |  |"
    )
    assert row in capsys.readouterr().out
