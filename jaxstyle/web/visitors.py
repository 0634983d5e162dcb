"""Who asks: a browser's session, known by a name in a signed cookie."""

import datetime
from typing import Any

from django.utils import timezone

from jaxstyle.web.models import Job, Upload, Visitor
from jaxstyle.web.refusals import not_found

_VISITOR = "visitor"
_SEEN = datetime.timedelta(hours=1)


def visitor_of(request: Any) -> Visitor:
    """Returns the visitor of a request, a new one if there is none."""
    name = request.session.get(_VISITOR)
    visitor = None if name is None else Visitor.objects.filter(pk=name).first()
    if visitor is None:
        visitor = Visitor.objects.create()
        request.session[_VISITOR] = visitor.pk
    elif timezone.now() - visitor.seen > _SEEN:
        visitor.seen = timezone.now()
        visitor.save(update_fields=["seen"])
    return visitor


def job_of(request: Any, name: str) -> Job:
    """Returns a job of the visitor's own.

    Raises:
      Refusal: if there is none of that name; another visitor's is none either.
    """
    job = Job.objects.filter(pk=name, visitor_id=request.session.get(_VISITOR)).first()
    if job is None:
        raise not_found()
    return job


def upload_of(request: Any, name: str) -> Upload:
    """Returns an upload of the visitor's own.

    Raises:
      Refusal: if there is none of that name; another visitor's is none either.
    """
    upload = Upload.objects.filter(pk=name, visitor_id=request.session.get(_VISITOR)).first()
    if upload is None:
        raise not_found()
    return upload
