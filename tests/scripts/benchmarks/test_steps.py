"""The measurement of steps: a line for each length of memory and each recipe, beside the first."""

import re

import pytest

from scripts.benchmarks import steps


@pytest.mark.slow
def test_the_table_has_every_recipe_and_memory(capsys):
    steps.main(["--size", "48", "--history", "2", "60", "--presets", "strotss", "--rounds", "2"])
    rows = capsys.readouterr().out.splitlines()[2:]
    form = re.compile(r"\| ([\w-]+) \| (\d+) \| (\S+) \| (\S+) \| (\S+) \|")
    cells = [form.fullmatch(row).groups() for row in rows]
    assert [row[:2] for row in cells] == [("compact", "2"), ("compact", "60"), ("strotss", "2")]
    assert cells[0][3:] == ("1.00", "1.00")
    few, many, pieces = (float(row[-1]) for row in cells)
    assert few < many
    assert few < pieces
    assert all(float(ratio) > 0 for row in cells for ratio in row[2:])
