"""`jaxstyle sweep`: many settings, from a description to a folder."""

from pathlib import Path
from typing import Any

import jax

from jaxstyle._common import files, interrupts
from jaxstyle.cli.plan import is_exact, print_plan
from jaxstyle.cli.printing import complain, say, say_json
from jaxstyle.errors import OptionError
from jaxstyle.pipeline.file_options import exclusive
from jaxstyle.sweep import manifest, read_spec, run_sweep
from jaxstyle.sweep.run import plan_sweep

_DISTRIBUTED = {
    "coordinator": "coordinator_address",
    "processes": "num_processes",
    "process-id": "process_id",
}


def sweep(arguments: dict[str, Any]) -> int:
    """`jaxstyle sweep SPEC.toml -o DIR`."""
    output = Path(arguments["output"])
    spec = read_spec(Path(arguments["spec"]))
    if output.exists() and not output.is_dir():
        raise NotADirectoryError(f"{output}: is a file; name a folder for the sweep")
    options: dict[str, Any] = {
        "retry_failed": "retry-failed" in arguments,
        "shard": _shard(arguments),
        "width": arguments.get("width"),
        "download": "no-download" not in arguments,
    }
    if "dry-run" in arguments:
        facts, errors = plan_sweep(spec, output, **options, exact=is_exact(arguments))
        status = print_plan(facts, "json" in arguments)
        if errors:
            complain(f"error: {len(errors)} cannot run, the first: {errors[0]}")
        return max(status, 1 if errors else 0)
    files.check_folder(output, "manifest.jsonl")
    result = run_sweep(spec, output, **options, quiet="quiet" in arguments)
    if "json" in arguments:
        say_json({"output": str(output), **result._asdict()})
    elif "quiet" not in arguments:
        missing = f", {result.missing} to do" if result.missing else ""
        look = f"; look at {output / 'contact_sheet.png'}" if result.done else ""
        say(
            f"{output}: {result.done} done, {result.failed} failed{missing}; {result.made} in this "
            f"run{look}"
        )
    if result.failed:
        entries = manifest.read(output / "manifest.jsonl").values()
        reasons = {str(entry["error"]) for entry in entries if entry["status"] == "failed"}
        others = f" and {len(reasons) - 1} other reasons" if len(reasons) > 1 else ""
        complain(
            f"error: {output}: {result.failed} failed ({min(reasons)}{others}), see "
            f"{output / 'summary.csv'}; --retry-failed runs them again"
        )
    return 1 if result.failed else 0


def _shard(arguments: dict[str, Any]) -> tuple[int, int]:
    """Which part of the sweep is this process's."""
    given = {name: arguments[name] for name in _DISTRIBUTED if name in arguments}
    if "distributed" not in arguments:
        if given:
            raise OptionError("{} needs {}", next(iter(given)), "distributed")
        index, count = arguments.get("shard", (0, 1))
        return index, count
    if "shard" in arguments:
        raise exclusive("shard", "distributed")
    with interrupts.handlers_kept():
        try:
            jax.distributed.initialize(**{_DISTRIBUTED[name]: given[name] for name in given})
        except ValueError as error:
            raise OptionError(
                "{}: {error}; give {}, {} and {}",
                "distributed", "coordinator", "processes", "process-id", error=error,
            ) from None  # fmt: skip
        shard = jax.process_index(), jax.process_count()
        # All that was wanted is who we are. Left running, the service would end every process when
        # one is lost.
        jax.distributed.shutdown()  # type: ignore[no-untyped-call]
    return shard
