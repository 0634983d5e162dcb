"""What the measurement of L-BFGS's steps draws and counts; it runs no descent."""

import jax.numpy as jnp
import numpy as np
import pytest

from scripts.benchmarks import solver_steps


@pytest.mark.parametrize("name", solver_steps.HARD)
def test_hard_styles_are_black_and_white_and_have_both(name):
    photograph = jnp.linspace(0, 1, 12 * 16 * 3).reshape(12, 16, 3)
    style = solver_steps.draw_style(name, photograph)
    assert (style.shape, style.dtype) == (photograph.shape, jnp.float32)
    np.testing.assert_array_equal(np.unique(style), [0, 1])
    assert 0.3 < float(style.mean()) < 0.7


def test_the_worst_step_is_measured_from_the_least_loss_before_it():
    assert solver_steps.worst_step(np.array([8.0, 2.0, 4.0, 6.0, 1.0])) == 3.0
    assert solver_steps.worst_step(np.array([8.0, 4.0, 2.0])) == 0.5


def test_when_a_loss_is_reached():
    losses = np.array([8.0, 4.0, 6.0, 2.0])
    assert [solver_steps.reached(losses, goal) for goal in (8, 4, 3, 1)] == [0, 1, 3, None]


def test_the_table_has_the_worst_of_each_kind_of_style(capsys):
    def case(style, worst, evaluations, steps=100):
        guarded = {"worst": 1.1, "taken_back": 2, "evaluations": {"100": evaluations}}
        return {"network": "compact", "size": 96, "steps": steps, "content": "c.png",
                "style": style, "guarded": guarded, "taking": {"worst": worst}}  # fmt: skip

    short = case("a.jpg", 99, 10, steps=10)
    solver_steps.print_table(
        [case("a.jpg", 1.2, 100), short, case("b.jpg", 3, 90), case("check", 9, 80)]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "| compact, 96 | paintings | 2 | 3 | 1.1 | 4 | 90 to 100 |  |"
    assert lines[3] == "| compact, 96 | check | 1 | 9 | 1.1 | 2 | 80 |  |"
