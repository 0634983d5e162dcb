"""The measurement of compiling: its table has the programs, whose shares are a whole."""

import re

import pytest

from scripts.benchmarks import compiling


@pytest.mark.slow
def test_the_table_has_every_program(capsys):
    compiling.main(["--size", "48", "--rounds", "1"])
    rows = capsys.readouterr().out.splitlines()[2:]
    form = re.compile(r"\| (\w+) \| (\d+) % \| (\S+) \| (\S+) \|")
    cells = [form.fullmatch(row).groups() for row in rows]
    assert [name for name, *_ in cells] == ["features", "style", "step"]
    assert 98 <= sum(int(share) for _, share, _, _ in cells) <= 102
    assert all(0.1 < float(left) < 1 for _, _, left, _ in cells)
