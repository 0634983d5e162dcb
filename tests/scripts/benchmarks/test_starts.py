"""The measurement of starts: how a course is compared, and the table."""

import json
import math

import numpy as np
import pytest
from helpers.command_line import write_picture

from scripts.benchmarks import starts
from scripts.benchmarks.starts import Course

FIRST = Course(np.array([9.0, 4.0, 1.0]), np.array([1, 2, 3]), 2.0)


def test_a_course_that_never_comes_so_low_needs_infinitely_many():
    slow = Course(np.array([9.0, 8.0, 4.0]), np.array([1, 2, 3]), 3.0)
    assert starts.compare(slow, FIRST, (1, 2, 300)) == {
        "loss": 4.0, "content": 1.5, "evaluations_1": 1.5, "evaluations_2": math.inf,
    }  # fmt: skip


def test_a_start_that_never_comes_so_low_leaves_a_median(capsys):
    line = {"network": "compact", "size": 64, "start": "matched", "loss": 1.0, "content": 1.0}
    starts.print_table([{**line, "evaluations_10": each} for each in (0.5, 0.75, math.inf)])
    assert "| 0.75 (0.50 to inf) |" in capsys.readouterr().out.splitlines()[-1]


def test_one_to_one_needs_as_many_of_both(tmp_path, capsys):
    with pytest.raises(SystemExit):
        starts.main(["-o", str(tmp_path / "s"), "--one-to-one", "--photographs", "a", "b"])
    assert "as many --paintings as --photographs" in capsys.readouterr().err


@pytest.mark.slow
def test_lines_are_added_and_their_table_has_geometric_means(tmp_path, capsys):
    for folder in ("content", "style"):
        (tmp_path / folder).mkdir()
        write_picture(tmp_path / folder / "a.png", len(folder), size=(64, 48))
    line = [f"--data={tmp_path}", "-o", str(tmp_path / "s.jsonl"), "--photographs", "a.png",
            "--paintings", "a.png", "--steps", "12", "--size", "64"]  # fmt: skip
    starts.main(line)
    starts.main(line)  # there is nothing left to do
    found = list(map(json.loads, (tmp_path / "s.jsonl").read_text().splitlines()))
    assert [line["start"] for line in found] == ["matched", "fast"]
    assert {(line["network"], line["size"]) for line in found} == {("compact", 64)}
    assert all(line["evaluations_10"] > 0 for line in found)
    starts.main([*line, "--table"])
    assert "| compact | 64 | matched | 1 |" in capsys.readouterr().out
