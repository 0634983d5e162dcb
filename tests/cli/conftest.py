"""What the tests of commands share."""

from pathlib import Path

import pytest


@pytest.fixture
def refused(cli):
    """Runs a command that must fail, and checks all that every failure has in common."""
    for name in ("out.png", "trace.csv", "net.safetensors"):
        Path(name).write_text(f"an older {name}", encoding="utf-8")

    def files():
        return {p: p.is_file() and p.read_bytes() for p in Path().rglob("*")}

    def run(line, *needles, status=2, **options):
        before = files()
        ran = cli(line, **options)
        assert (ran.status, ran.out) == (status, ""), ran.err
        assert ran.err.startswith("jaxstyle: error: ")
        assert ran.err.endswith("\n")
        assert ran.err.count("\n") == 1
        assert "unexpected" not in ran.err
        for needle in needles:
            assert needle in ran.err
        assert files() == before

    return run
