"""The cases of `tests/faults`, each with real command lines; most take seconds."""

import io
import subprocess
from pathlib import Path

import faults  # noqa: F401, its modules add the cases
import pytest
from faults.frame import CASES, Case, SkippedError, outcome, print_table

ROOT = Path(__file__).parents[1]


@pytest.mark.exhaustive
@pytest.mark.parametrize("each", CASES, ids=lambda each: each.attempt.__name__)
def test_nothing_is_lost(each):
    found = outcome(each, ROOT)
    if found.startswith("skipped: "):
        pytest.skip(found)
    assert found == "ok"


def test_the_table_says_what_became_of_each_case():
    def lose(_):
        raise AssertionError("the picture")

    def hang(_):
        raise subprocess.TimeoutExpired("jaxstyle", 1)

    def skip(_):
        raise SkippedError("no root")

    attempts = {"fine": lambda _: None, "lose": lose, "hang": hang, "skip": skip}
    cases = [Case("Kind", name, attempt) for name, attempt in attempts.items()]
    file = io.StringIO()
    assert not print_table({"now": ROOT}, cases, 1, file)
    rows = [line for line in file.getvalue().splitlines() if line.startswith("|")]
    assert rows[2:] == [
        "| fine | ok |",
        "| lose | lost: the picture |",
        "| hang | hangs |",
        "| skip | skipped: no root |",
    ]
    assert print_table({"before": ROOT, "now": ROOT}, cases[:1], 1, file)


def test_every_case_has_a_name_of_its_own():
    assert len({each.name for each in CASES}) == len(CASES) > 30
