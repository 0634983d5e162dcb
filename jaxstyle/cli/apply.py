"""`jaxstyle apply`: paints photographs in one pass of a network."""

from pathlib import Path

from jaxstyle._common import files
from jaxstyle.cli.pictures import (
    Arguments,
    check_folder,
    encoding_of,
    folder_for_results,
    options_among,
    run_jobs,
)
from jaxstyle.cli.printing import say, say_json
from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.image import io
from jaxstyle.pipeline.job import Job, make_job
from jaxstyle.pipeline.metadata import names_alone, read_settings
from jaxstyle.pipeline.options import parse_options
from jaxstyle.pipeline.outputs import check_results_are_not_taken
from jaxstyle.pipeline.painting_options import with_mixture


def apply(arguments: Arguments) -> int:
    """`jaxstyle apply PHOTO [PHOTO ...] -o OUT`."""
    given, output = arguments["photographs"], Path(arguments["output"])
    options = with_mixture(options_among("apply", arguments))
    named = [options["painting"]] if "painting" in options else []
    photographs, paintings = files.find_pictures(given), files.find_pictures(named)
    grid = paintings != [Path(name) for name in named]
    if not grid and photographs == [Path(given[0])] and not output.is_dir():
        return run_jobs([make_job("apply", photographs[0], None, output, options)], arguments)
    asked = {Path(name) for name in (*given, *named)}
    for path in (*photographs, *paintings):
        if path in asked and not path.exists():
            raise FileNotFoundError(f"{path}: no such file")
    pairs = [
        (path, options | {"painting": str(painting)}, f"{path.stem}--{painting.stem}.png")
        for path in photographs for painting in paintings
    ] if grid else [(path, options, f"{path.stem}.png") for path in photographs]  # fmt: skip
    form = "PHOTO--PAINTING.png" if grid else "PHOTO.png"
    check_folder(output, [name for *_, name in pairs], f"{form} for each picture")
    jobs = [make_job("apply", path, None, output / name, own) for path, own, name in pairs]
    check_results_are_not_taken([*given, *named], Path(), [job.output for job in jobs])
    encoding = encoding_of(arguments)
    missing = [job for job in jobs if not _is_made(job, encoding)]
    for job in missing:
        if job.output.is_file() and not _is_ours(job.output):
            raise UsageError(
                f"would overwrite {job.output}, which jaxstyle has not written; use another folder"
            )
    if "json" in arguments:
        for job in jobs:
            if job not in missing:
                say_json({"output": str(job.output), "made": False})
    elif len(missing) < len(jobs) and "quiet" not in arguments:
        say(f"{output}: {len(jobs) - len(missing)} of {len(jobs)} pictures are there already")
    if not missing:
        return 0
    with folder_for_results(output):
        return run_jobs(missing, arguments, several=len(jobs) > 1)


def _is_ours(path: Path) -> bool:
    """Tells whether a picture has the settings that jaxstyle writes."""
    try:
        return bool(io.read_settings(path))
    except (OSError, FileFormatError):
        return False


def _is_made(job: Job, encoding: dict[str, int]) -> bool:
    """Tells whether a picture is there to its last step, made like this and of the same files."""
    try:
        settings = read_settings(str(job.output))
        texts = {name: str(value) for name, value in settings["options"].items()}
        kept = names_alone("apply", parse_options("apply", texts))
        sources = job.recipe.method.settings(job)  # tell by digests which files they are
    except (OSError, FileFormatError, UsageError):
        return False
    wanted = {
        "step": job.recipe.num_steps,
        "encoding": encoding or None,
        **sources,
    }
    same = kept == names_alone("apply", job.recipe.options)
    return same and all(settings.get(name) == value for name, value in wanted.items())
