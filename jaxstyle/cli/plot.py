"""`jaxstyle plot`: the curves of a trace."""

from pathlib import Path
from typing import Any

from jaxstyle.cli.printing import say
from jaxstyle.pipeline.outputs import Output, check_outputs
from jaxstyle.pipeline.traces import check_curves_path, draw_curves, read_trace


def plot(arguments: dict[str, Any]) -> int:
    """`jaxstyle plot TRACE.csv -o OUT.png`."""
    trace, output = Path(arguments["trace"]), Path(arguments["output"])
    check_curves_path(output)
    check_outputs([Output("output", output)], [trace])
    columns = read_trace(trace)
    draw_curves(columns, trace.stem, output)
    say(f"{output}: {len(columns['step'])} steps of {trace}")
    return 0
