"""`jaxstyle apply`: paints photographs in one pass of a network."""

from pathlib import Path

from jaxstyle._common import files
from jaxstyle.cli.pictures import (
    Arguments,
    check_folder,
    folder_for_results,
    options_among,
    run_jobs,
)
from jaxstyle.cli.printing import say
from jaxstyle.errors import FileFormatError
from jaxstyle.image import io
from jaxstyle.pipeline.job import Job, make_job
from jaxstyle.pipeline.options import option_texts
from jaxstyle.pipeline.outputs import check_results_are_not_taken


def apply(arguments: Arguments) -> int:
    """`jaxstyle apply PHOTO [PHOTO ...] -o OUT`."""
    given, output = arguments["photographs"], Path(arguments["output"])
    options = options_among("apply", arguments)
    photographs = files.find_pictures(given)
    if photographs == [Path(given[0])] and not output.is_dir():
        return run_jobs([make_job("apply", photographs[0], None, output, options)], arguments)
    for path in photographs:
        if path in map(Path, given) and not path.exists():
            raise FileNotFoundError(f"{path}: no such file")
    names = [f"{path.stem}.png" for path in photographs]
    check_folder(output, names, "PHOTO.png")
    jobs = [
        make_job("apply", path, None, output / name, options)
        for path, name in zip(photographs, names, strict=True)
    ]
    check_results_are_not_taken(given, Path(), [job.output for job in jobs])
    missing = [job for job in jobs if not _is_made(job)]
    if len(missing) < len(jobs) and not {"json", "quiet"} & set(arguments):
        say(f"{output}: {len(jobs) - len(missing)} of {len(jobs)} pictures are there already")
    if not missing:
        return 0
    with folder_for_results(output):
        return run_jobs(missing, arguments)


def _is_made(job: Job) -> bool:
    """Tells whether a picture is there that was made like this, of files that have not changed."""
    try:
        settings = io.read_settings(job.output)
        made = job.output.stat().st_mtime
        fresh = all(path.stat().st_mtime <= made for path in job.files)
    except (OSError, FileFormatError):
        return False
    same = settings.get("options") == option_texts("apply", job.recipe.options)
    return fresh and same and settings.get("content") == str(job.content)
