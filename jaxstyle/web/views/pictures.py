"""Pictures: what the worker has written, and nothing that anybody has uploaded as it is.

What a picture was made from goes out in an archive, which a browser saves and never shows.
"""

import contextlib
import tempfile
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

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
SOURCES = "made-from.zip"
# How the files of a job's folder begin from which its picture is made.
_MADE_FROM = ("photograph.", "painting", "mask-", "region-", "style-", "option-", "start.")
_IN_MEMORY, _PIECE = 2**22, 2**16


@answering("GET", "HEAD")
def of_job(request: HttpRequest, name: str, file: str) -> HttpResponseBase:
    """Returns a picture of a job; with `?save` for a browser to save."""
    job = job_of(request, name)
    if file == SOURCES:
        return _archive(job)
    if file not in FILES:
        raise Refusal(404, f"use one of {', '.join((*FILES, SOURCES))}")
    return _sent(request, job.folder / file, FILES[file])


@answering("GET", "HEAD")
def of_upload(request: HttpRequest, name: str) -> HttpResponseBase:
    """Returns a copy of an upload, by the worker."""
    return _sent(request, upload_of(request, name).preview, "upload.jpg")


@answering("GET", "HEAD")
def of_style(request: HttpRequest, name: str) -> HttpResponseBase:
    """Returns the picture of a style that comes with the package."""
    return _sent(request, models.styles() / f"{name}.png", f"{name}.png", public=True)


def _archive(job: models.Job) -> HttpResponseBase:
    """Answers with what a picture was made from, under the names that its command line has."""
    paths = [path for path in sorted(job.folder.glob("*")) if path.name.startswith(_MADE_FROM)]
    if not paths:
        raise Refusal(404, "what it is made from is not there, or not yet")
    texts = {"command.txt": job.made.get("line"), "make.py": job.made.get("python")}
    response = StreamingHttpResponse(_packed(paths, texts), content_type="application/zip")
    response.headers["Content-Disposition"] = 'attachment; filename="jaxstyle.zip"'
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Cache-Control"] = "private, no-cache"
    return response


async def _packed(paths: list[Path], texts: dict[str, str | None]) -> AsyncIterator[bytes]:
    """Yields an archive piece by piece."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        await sync_to_async(_pack, thread_sensitive=False)(file, paths, texts)
        while piece := await sync_to_async(file.read, thread_sensitive=False)(_PIECE):
            yield piece


def _pack(file: IO[bytes], paths: list[Path], texts: dict[str, str | None]) -> None:
    with zipfile.ZipFile(file, "w") as archive:  # pictures are packed already
        for path in paths:
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                archive.write(path, path.name)
        for name, text in texts.items():
            if text is not None:
                archive.writestr(name, text)
    file.seek(0)


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
