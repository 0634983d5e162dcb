"""Pictures: what the worker has written, and nothing that anybody has uploaded as it is."""

from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from jaxstyle.web import models
from jaxstyle.web.refusals import Refusal
from jaxstyle.web.views.errors import answering
from jaxstyle.web.visitors import job_of, upload_of

# A browser that is made to open one as a page finds nothing that it may do.
_POLICY = "default-src 'none'; sandbox"
_TYPES = {".png": "image/png", ".jpg": "image/jpeg"}
# What may be asked for of a job: the file's name, and how it is called when it is saved.
FILES = {
    "picture.png": "jaxstyle.png",
    "picture-16.png": "jaxstyle-16-bits.png",
    "picture.jpg": "jaxstyle.jpg",
    "frame.jpg": "frame.jpg",
    "before.jpg": "before.jpg",
}


@answering("GET", "HEAD")
def of_job(request: HttpRequest, name: str, file: str) -> HttpResponseBase:
    """Returns a picture of a job; with `?save` for a browser to save."""
    job = job_of(request, name)
    if file not in FILES:
        raise Refusal(404, f"use one of {', '.join(FILES)}")
    return _sent(request, job.folder / file, FILES[file])


@answering("GET", "HEAD")
def of_upload(request: HttpRequest, name: str) -> HttpResponseBase:
    """Returns a copy of an upload, by the worker."""
    return _sent(request, upload_of(request, name).preview, "upload.jpg")


@answering("GET", "HEAD")
def of_style(request: HttpRequest, name: str) -> HttpResponseBase:
    """Returns the picture of a style that comes with the package."""
    return _sent(request, models.styles() / f"{name}.png", f"{name}.png", public=True)


def _sent(request: Any, path: Path, called: str, *, public: bool = False) -> HttpResponseBase:
    try:
        response = HttpResponse(path.read_bytes(), content_type=_TYPES[path.suffix])
    except FileNotFoundError:
        raise Refusal(404, "that picture is not there, or not yet") from None
    if "save" in request.GET:
        response.headers["Content-Disposition"] = f'attachment; filename="{called}"'
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Cache-Control"] = "max-age=3600" if public else "private, no-cache"
    return response
