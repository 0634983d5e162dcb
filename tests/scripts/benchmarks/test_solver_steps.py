"""What the measurement of L-BFGS's steps draws and counts."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

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
    def case(style, worst, reached, steps=100):
        guarded = {"worst": 1.1, "taken_back": 2, "evaluations": {"100": reached}}
        return {"network": "compact", "size": 96, "steps": steps, "content": "c.png",
                "style": style, "guarded": guarded, "taking": {"worst": worst}}  # fmt: skip

    short = case("a.jpg", 99, 10, steps=10)
    solver_steps.print_table(
        [case("check", math.inf, None), case("dither", 2, 0),
         case("noise", 1234567, 80), case("a.jpg", 3, 90), short,
         case("b.jpg", 2, 103), case("c.jpg", 1.2, 100)]
    )  # fmt: skip
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| compact, 96 | paintings without a leap | 1 | 1.2 | the same steps | 2 | 100 |  |",
        "| compact, 96 | paintings with a leap | 2 | 3 | 1.1 | 4 | 90 to 103 |  |",
        "| compact, 96 | dither | 1 | 2 | 1.1 | 2 | 0 |  |",
        "| compact, 96 | noise | 1 | 1.23e6 | 1.1 | 2 | 80 |  |",
        "| compact, 96 | check | 1 | inf | 1.1 | 2 | over 120 |  |",
    ]


@pytest.mark.slow
def test_a_pair_is_run_once_and_its_line_says_how_the_steps_went(tmp_path):
    for kind, name in (("content", "c.png"), ("style", "s.png")):
        (tmp_path / kind).mkdir()
        pixels = np.random.default_rng(len(kind)).integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / kind / name)
    output = tmp_path / "steps.jsonl"
    words = "--networks compact --sizes 64 --steps 3 --photographs c.png --styles s.png noise"
    line = [*words.split(), "--data", str(tmp_path), "-o", str(output)]
    solver_steps.main(line)
    lines = output.read_text()
    cases = [json.loads(line) for line in lines.splitlines()]
    assert [case["style"] for case in cases] == ["s.png", "noise"]
    for case in cases:
        assert 0 < case["guarded"]["worst"] <= solver_steps.LIMIT
        assert case["guarded"]["evaluations"] == {}
    solver_steps.main(line)
    assert output.read_text() == lines


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--networks nosuch", "no network is called 'nosuch'"),
        ("--networks compact --data none", "no such file"),
        ("--networks compact --styles none.png", "none.png: no such file"),
        ("--steps 0", "--steps should be at least 1"),
        ("--sizes 96 0", "--sizes should be at least 1"),
        ("-o none/steps.jsonl", "none/steps.jsonl"),
        ("-o notes.txt", "notes.txt: not measurements, which are lines of JSON"),
    ],
)
def test_wrong_input_is_one_line(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("to do")
    (tmp_path / "content").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "content" / "tubingen_praefcke.jpg")
    with pytest.raises(SystemExit, match="2"):
        solver_steps.main(["-o", "steps.jsonl", "--data", str(tmp_path), *words.split()])
    assert said in capsys.readouterr().err.splitlines()[-1]
