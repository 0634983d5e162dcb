"""The interface in JSON: uploads, jobs, sweeps. The page uses nothing else."""

import itertools
import json
import shutil
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.middleware.csrf import get_token

from jaxstyle.web import checking, models, openapi, queue, room
from jaxstyle.web.edition import edition
from jaxstyle.web.refusals import Refusal
from jaxstyle.web.views.errors import answering
from jaxstyle.web.visitors import job_of, upload_of, visitor_of

_MOST_JSON = 2**18
_GALLERY = 200
_CHUNK = 2**16
_HEAD = 64
# How pictures begin, of all kinds that the worker's reader knows. It is the reader that decides.
_BEGINNINGS = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"II*\0", b"MM\0*", b"GIF8", b"BM",
    *(b"P%d" % number for number in range(1, 7)),
)  # fmt: skip


@answering("GET")
def session(request: HttpRequest) -> HttpResponseBase:
    """Returns the token for requests that change something, and the limits."""
    visitor_of(request)
    limits = settings.LIMITS
    return JsonResponse({
        "token": get_token(request),
        "limits": {
            "max_upload_mb": limits.max_upload_mb,
            "max_size": limits.max_size,
            "max_steps": limits.max_steps,
            "max_queue_each": limits.max_queue_each,
            "max_sweep": limits.max_sweep,
            "expire_days": limits.expire_days,
        },
    })  # fmt: skip


@answering("GET")
def catalogue(request: HttpRequest) -> HttpResponseBase:
    """Returns the options of each command, and the styles that come with the package."""
    return JsonResponse(_catalogue())


@answering("GET")
def description(request: HttpRequest) -> HttpResponseBase:
    """Returns the OpenAPI file of this interface."""
    return JsonResponse(openapi.describe(_catalogue(), settings.LIMITS))


@answering("POST")
def uploads(request: Any) -> HttpResponseBase:
    """Takes a picture: the body is the file itself."""
    visitor, limits = visitor_of(request), settings.LIMITS
    most = int(limits.max_upload_mb * 1e6)
    if int(request.headers.get("Content-Length") or 0) > most:
        raise _too_large()
    room.check(visitor)
    upload = models.Upload(visitor=visitor)
    size = 0
    try:
        with upload.file.open("xb") as file:
            while chunk := request.read(_CHUNK):
                if not size and not _begins_like_a_picture(chunk[:_HEAD]):
                    raise Refusal(
                        415, "this is no JPEG, PNG, WebP, TIFF, GIF, BMP, AVIF or HEIC picture"
                    )
                size += len(chunk)
                if size > most:
                    raise _too_large()
                file.write(chunk)
        if not size:
            raise Refusal(400, "the file is empty; send the picture as the body")
        upload.bytes = size
        room.take_for_upload(upload)
    except BaseException:
        upload.file.unlink(missing_ok=True)
        raise
    return JsonResponse(upload.facts(), status=201)


@answering("GET", "DELETE")
def upload(request: HttpRequest, name: str) -> HttpResponseBase:
    """Returns what is known of an upload, or removes it."""
    found = upload_of(request, name)
    if request.method == "DELETE":
        found.delete()
        found.file.unlink(missing_ok=True)
        found.preview.unlink(missing_ok=True)
        return HttpResponse(status=204)
    return JsonResponse(found.facts())


@answering("GET", "POST")
def jobs(request: HttpRequest) -> HttpResponseBase:
    """Lists the visitor's pictures, the newest first, some at a time, or takes a job."""
    visitor = visitor_of(request)
    if request.method == "GET":
        newest = visitor.jobs.order_by("-created", "-pk")
        if "before" in request.GET:
            last = job_of(request, request.GET["before"])
            earlier = Q(created=last.created, pk__lt=last.pk) | Q(created__lt=last.created)
            newest = newest.filter(earlier)
        found = [job.facts() for job in newest[: _GALLERY + 1]]
        return JsonResponse({"jobs": found[:_GALLERY], "more": len(found) > _GALLERY})
    known = _commands()
    checked = checking.check_request(_read_json(request), known, settings.LIMITS)
    _check_names(visitor, checked, known)
    job = _new_job(visitor, checked)
    room.take_for_jobs(visitor, [job])
    return JsonResponse(job.facts(), status=201)


@answering("GET", "DELETE")
def job(request: HttpRequest, name: str) -> HttpResponseBase:
    """Returns the state of a job, or removes it with its picture."""
    found = job_of(request, name)
    if request.method == "DELETE":
        folder = found.folder
        found.delete()
        shutil.rmtree(folder, ignore_errors=True)
        return HttpResponse(status=204)
    return JsonResponse(found.facts())


@answering("POST")
def stop(request: HttpRequest, name: str) -> HttpResponseBase:
    """Asks for no more steps; the picture so far is kept."""
    found = job_of(request, name)
    queue.stop(found)
    found.refresh_from_db()
    return JsonResponse(found.facts())


@answering("POST")
def sweeps(request: HttpRequest) -> HttpResponseBase:
    """Takes a sweep: a request whose `axes` give some options several values each."""
    visitor, known, limits = visitor_of(request), _commands(), settings.LIMITS
    data = _read_json(request)
    axes = data.pop("axes", None) if isinstance(data, dict) else None
    if not isinstance(axes, dict) or not axes:
        raise Refusal(400, "axes: should be an object of options, each with a list of values")
    count = 1
    for values in axes.values():
        if not isinstance(values, list) or not values:
            raise Refusal(400, "axes: should have a list of values for each option")
        count *= len(values)
        if count > limits.max_sweep:
            raise Refusal(400, f"axes: should come to at most {limits.max_sweep} pictures here")
    options = data.get("options", {})
    if not isinstance(options, dict):
        raise Refusal(400, "options: should be an object")
    points = []
    for values in itertools.product(*axes.values()):
        point = {**data, "options": {**options, **dict(zip(axes, values, strict=True))}}
        points.append(checking.check_request(point, known, limits))
    for point in points:
        _check_names(visitor, point, known)
    sweep = models.new_name()
    made = [_new_job(visitor, point, sweep) for point in points]
    room.take_for_jobs(visitor, made)
    return JsonResponse({"id": sweep, "jobs": [each.facts() for each in made]}, status=201)


@answering("GET", "DELETE")
def sweep(request: HttpRequest, name: str) -> HttpResponseBase:
    """Returns the pictures of a sweep, or removes them."""
    members = list(visitor_of(request).jobs.filter(sweep=name).order_by("created"))
    if not members:
        raise Refusal(404, "there is nothing of that name here")
    if request.method == "DELETE":
        for member in members:
            member.delete()
            shutil.rmtree(member.folder, ignore_errors=True)
        return HttpResponse(status=204)
    return JsonResponse({"id": name, "jobs": [each.facts() for each in members]})


def _new_job(visitor: models.Visitor, request: dict[str, Any], sweep: str = "") -> models.Job:
    return models.Job(
        visitor=visitor,
        command=request["command"],
        request=request,
        quick=checking.is_quick(request) and not sweep,
        sweep=sweep,
    )


def _check_names(visitor: models.Visitor, request: dict[str, Any], known: dict[str, Any]) -> None:
    """Raises `Refusal` unless what a request names is the visitor's own."""
    names = checking.names_in(request, known[request["command"]]["options"])
    found = dict(visitor.uploads.filter(pk__in=names).values_list("pk", "state"))
    for name in names:
        if name not in found:
            raise Refusal(404, f"there is no upload {name} here; upload the picture first")
        if found[name] == models.Upload.REFUSED:
            raise Refusal(400, f"the upload {name} is no picture that can be used")
    styles = [style["name"] for style in _catalogue()["styles"]]
    for name in checking.styles_in(request):
        if name not in styles:
            raise Refusal(400, f"style: should be one of {', '.join(styles)}, got {name[:40]}")
    if "after" in request and not visitor.jobs.filter(pk=request["after"]).exists():
        raise Refusal(404, f"there is no picture {request['after']} here to go on from")


def _catalogue() -> dict[str, Any]:
    found = models.Catalogue.objects.first()
    if found is None or found.facts.get("edition") != edition():  # of the start before
        raise Refusal(503, "the painter is still starting; try again in a moment")
    facts: dict[str, Any] = found.facts
    return facts


def _commands() -> dict[str, Any]:
    commands: dict[str, Any] = _catalogue()["commands"]
    return commands


def _read_json(request: Any) -> Any:
    """Returns the body of a request.

    Raises:
      Refusal: if it is too long, or no JSON.
    """
    if request.content_type != "application/json":
        raise Refusal(415, "send JSON, with Content-Type: application/json")
    if int(request.headers.get("Content-Length") or 0) > _MOST_JSON:
        raise Refusal(413, f"the request should have at most {_MOST_JSON} bytes")
    body = request.read(_MOST_JSON + 1)
    if len(body) > _MOST_JSON:
        raise Refusal(413, f"the request should have at most {_MOST_JSON} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is no JSON, or nested too deeply") from None


def _begins_like_a_picture(head: bytes) -> bool:
    return head.startswith(_BEGINNINGS) or head[4:8] == b"ftyp"


def _too_large() -> Refusal:
    return Refusal(413, f"a picture should have at most {settings.LIMITS.max_upload_mb:g} MB here")
