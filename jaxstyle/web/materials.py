"""What a picture is made from: uploads in the folder of its job, under names of our choosing.

Nothing that a visitor sends becomes a path. A job's folder has links to the uploads that it names,
called after their part in the picture, so that a picture's settings read well.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from jaxstyle.errors import UsageError
from jaxstyle.pipeline import options
from jaxstyle.pipeline.file_options import REST, RegionOption, Regions
from jaxstyle.pipeline.job import Job, make_job
from jaxstyle.web import models
from jaxstyle.web.checking import NAME
from jaxstyle.web.examples import example_of

PICTURE = "picture.png"
_START = "start.png"


def pipeline_job(job: models.Job) -> Job:
    """Returns the pipeline's job, whose files are in the folder of the page's.

    Raises:
      UsageError: if the options do not fit.
    """
    request, command = job.request, job.command
    named = {
        name: _file_of(job, value, f"option-{name}")
        for name, value in request["options"].items()
        if NAME.fullmatch(str(value))
    }
    chosen = {**request["options"], **named}
    if "mix" in request:
        chosen["mix"] = {
            _like(job, part, f"painting-{i}"): part["share"]
            for i, part in enumerate(request["mix"], 2)
        }
    regions: list[RegionOption] = []
    if "regions" in request:
        regions = [_region(job, i, part) for i, part in enumerate(request["regions"], 1)]
        chosen["regions"] = Regions().text(tuple(regions))
    if "after" in request:
        chosen["init"] = str(_start(job, request["after"]))
    content = style = None
    if "photograph" in request:
        content = Path(_file_of(job, request["photograph"], "photograph"))
    if "painting" in request:
        style = Path(_file_of(job, request["painting"], "painting"))
    elif command == "stylize":  # each region has one of its own
        style = Path(str(regions[0].style))
    if command == "apply" and style is not None:
        chosen["painting"], style = str(style), None
    checked = options.check_options(command, chosen)
    return make_job(command, content, style, job.folder / PICTURE, checked)


def _region(job: models.Job, number: int, part: Mapping[str, str]) -> RegionOption:
    mask, named = part["mask"], "painting" in part or "style" in part
    if mask != REST:
        mask = _file_of(job, mask, f"mask-{number}")
    if job.command == "apply" and "style" in part:  # of the network that paints
        return RegionOption(mask, part["style"])
    return RegionOption(mask, _like(job, part, f"region-{number}") if named else None)


def _like(job: models.Job, part: Mapping[str, str], called: str) -> str:
    """Returns the file of a part's painting, or of the picture that stands for its style."""
    if "painting" in part:
        return _file_of(job, part["painting"], called)
    path = job.folder / f"style-{part['style']}.png"
    if not path.exists():
        _link(example_of(part["style"]), path)
    return str(path)


def _file_of(job: models.Job, name: str, called: str) -> str:
    found = sorted(job.folder.glob(f"{called}.*"))
    return str(found[0]) if found else str(job.folder / _take(job, name, called))


def _take(job: models.Job, name: str, called: str) -> str:
    """Puts an upload into a job's folder under another name, which it returns.

    Raises:
      UsageError: if it is gone, or no picture.
    """
    upload = models.Upload.objects.filter(pk=name, visitor_id=job.visitor_id).first()
    if upload is None:
        raise UsageError(f"{called}: was removed; upload it again")
    if upload.state == models.Upload.REFUSED:
        raise UsageError(f"{called}: {upload.message}")
    file = f"{called}.{upload.extension or 'img'}"
    _link(upload.file, job.folder / file)
    return file


def _start(job: models.Job, name: str) -> Path:
    """Returns the picture that a job goes on from, in the job's own folder."""
    path = job.folder / _START
    if not path.exists():
        before = models.Job.objects.filter(pk=name, visitor_id=job.visitor_id).first()
        if before is None or not (before.folder / PICTURE).exists():
            raise UsageError("after: that picture is gone, or not done yet; leave it out")
        _link(before.folder / PICTURE, path)
    return path


def _link(source: Path, target: Path) -> None:
    if target.exists():
        return
    try:
        os.link(source, target)
    except FileExistsError:  # another worker was quicker
        pass
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
