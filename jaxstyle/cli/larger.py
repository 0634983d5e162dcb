"""`jaxstyle larger`: a larger picture with the composition of a finished one."""

from pathlib import Path

from jaxstyle.cli.pictures import Arguments, run_jobs
from jaxstyle.pipeline.enlarging import make_larger
from jaxstyle.pipeline.option_rows import SNAPSHOT_EVERY


def larger(arguments: Arguments) -> int:
    """`jaxstyle larger PICTURE -o OUT`."""
    job = make_larger(arguments["picture"], Path(arguments["output"]), arguments)
    if "resume" in arguments:
        arguments.setdefault("snapshot-every", SNAPSHOT_EVERY)
    return run_jobs([job], arguments)
