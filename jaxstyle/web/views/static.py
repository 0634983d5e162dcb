"""What the page is made of: a few files of the package, read once and known by their names."""

import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response

from jaxstyle.web.refusals import not_found
from jaxstyle.web.views.errors import answering

_FOLDER = Path(__file__).parents[1] / "static"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}


class _File(NamedTuple):
    """A file of the page.

    Attributes:
      contents: all of it.
      kind: its media type.
      tag: changes with its contents.
    """

    contents: bytes
    kind: str
    tag: str


@functools.cache
def _files() -> dict[str, _File]:
    """Returns the files by name; no other name reaches the disk."""
    found = {}
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _TYPES:
            contents = path.read_bytes()
            tag = f'"{hashlib.sha256(contents).hexdigest()[:20]}"'
            found[path.name] = _File(contents, _TYPES[path.suffix], tag)
    return found


@answering("GET", "HEAD")
def of_page(request: HttpRequest, name: str) -> HttpResponseBase:
    """Returns a file of the page, or that the browser's copy is the newest."""
    file = _files().get(name)
    if file is None:
        raise not_found()
    response = get_conditional_response(request, etag=file.tag)
    if response is None:
        response = HttpResponse(file.contents, content_type=f"{file.kind}; charset=utf-8")
    response.headers["ETag"] = file.tag
    response.headers["Cache-Control"] = "no-cache"  # asked for again, and seldom sent again
    return response
