"""`jaxstyle texture` and `jaxstyle analogy`, which also make pictures from pieces of others."""

from pathlib import Path

from jaxstyle.cli.pictures import Arguments, options_among, run_jobs
from jaxstyle.errors import OptionError
from jaxstyle.pipeline.choices import STATISTICS
from jaxstyle.pipeline.job import make_job

# What is only for the steps of an optimisation.
_OF_STEPS = (
    "save-every", "trace", "animate", "animate-size", "animate-every", "split-rows",
)  # fmt: skip


def texture(arguments: Arguments) -> int:
    """`jaxstyle texture STYLE -o OUT`."""
    style, output = Path(arguments["style"]), Path(arguments["output"])
    options = options_among("texture", arguments)
    if options.get("method", STATISTICS) != STATISTICS:
        for name in _OF_STEPS:
            if name in arguments:
                raise OptionError("{} is for {} statistics; leave it out", name, "method")
    return run_jobs([make_job("texture", None, style, output, options)], arguments)


def analogy(arguments: Arguments) -> int:
    """`jaxstyle analogy A A2 B -o B2`."""
    content, style = Path(arguments["content"]), Path(arguments["style"])
    output, options = Path(arguments["output"]), options_among("analogy", arguments)
    return run_jobs([make_job("analogy", content, style, output, options)], arguments)
