"""The measurement of fast ways: what a picture is worth, and the table."""

import json

import numpy as np
import pytest
from helpers.command_line import write_picture

from jaxstyle.image.io import load_image
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


def test_times_are_beside_ten_quick_steps(tmp_path, monkeypatch, capsys):
    def pictures(*_):
        yield "quick, 10", lambda: "slow"
        yield "colours matched", lambda: "fast"

    def alternate(runs, rounds):
        return {way: [{"slow": 4.0, "fast": 1.0}[run()]] * rounds for way, run in runs.items()}

    monkeypatch.setattr(fast_ways, "pictures", pictures)
    monkeypatch.setattr(fast_ways, "alternate", alternate)
    monkeypatch.setattr(fast_ways, "waiting_for", lambda make: make)
    for folder in ("content", "style"):
        (tmp_path / folder).mkdir()
        write_picture(tmp_path / folder / "a.png", 1)
    line = ["-o", "none.jsonl", f"--data={tmp_path}", "--time", "--photographs=a.png"]
    fast_ways.main([*line, "--paintings", "a.png"])
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| quick, 10 | 1.00 |", "| colours matched | 0.25 |",
    ]  # fmt: skip


def test_enough_steps_leave_nearly_what_the_last_one_leaves(tmp_path, capsys):
    objective = np.array([9.0, 5.0, 2.0, 3.0, 1.0])  # the step that rises is not kept
    left = np.array([[1.0, 0.4, 0.14, 0.1, 0.1], [4.0, 1.6, 0.56, 9.0, 0.4]])
    terms = dict(zip(("style/relu1_1", "style/relu2_1"), left, strict=True))
    np.savez(tmp_path / "a--b.npz", loss=objective, image=np.zeros(3), **terms)
    np.savez(tmp_path / "a--other.npz", loss=objective[:1], image=np.zeros(3))  # not of the file
    lines = [{"content_file": "a.jpg", "style_file": "b.png", "way": way} for way in ("x", "y")]
    (tmp_path / "ways.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    output = str(tmp_path / "ways.jsonl")
    fast_ways.main(["-o", output, f"--pictures={tmp_path}", "--enough"])
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| 5 % | 1 | 4 (4 to 4) |", "| 20 % | 1 | 4 (4 to 4) |", "| 50 % | 1 | 2 (2 to 2) |",
    ]  # fmt: skip


def test_a_sheet_has_a_row_per_pair_and_a_column_per_way(tmp_path):
    for i, pair in enumerate(("a--b", "c--b")):
        for k, way in enumerate(fast_ways.SHOWN):
            write_picture(tmp_path / f"{pair}--{way}.png", 10 * i + k, size=(8, 6))
    line = ["--data=.", "-o", "none.jsonl", f"--pictures={tmp_path}", "--pairs", "a--b", "c--b"]
    fast_ways.main([*line, "--sheet", str(tmp_path / "sheet.png")])
    sheet = load_image(tmp_path / "sheet.png")
    assert sheet.shape == (12, 8 * len(fast_ways.SHOWN), 3)
    corner = load_image(tmp_path / "c--b--quick, 10.png")
    np.testing.assert_array_equal(sheet[6:, 8:16], corner)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--enough"], "ways.jsonl: no measurements yet"),
        (["--table"], "ways.jsonl: no measurements yet"),
        (["--sheet", "sheet.png"], "--sheet needs --pairs"),
        (["--sheet", "sheet.png", "--pairs", "a--b"], "a--b--photograph.png: no such file"),
        (["--judge", "nosuch"], "no network is called 'nosuch'"),
    ],
)
def test_wrong_input_is_one_line(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        fast_ways.main(["-o", "ways.jsonl", *words])
    assert said in capsys.readouterr().err.splitlines()[-1]
