"""What is said when something cannot be answered: one line, never a traceback."""

import functools
import logging
from collections.abc import Callable
from typing import Any

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from jaxstyle.web.refusals import Refusal

_logger = logging.getLogger(__name__)
View = Callable[..., HttpResponseBase]


def answering(*methods: str) -> Callable[[View], View]:
    """Lets a view answer some methods, and turns its refusals into lines of JSON."""

    def decorated(view: View) -> View:
        @functools.wraps(view)
        def answered(request: HttpRequest, **names: str) -> HttpResponseBase:
            if request.method not in methods:
                response = said(405, f"use {' or '.join(methods)} here")
                response.headers["Allow"] = ", ".join(methods)
                return response
            try:
                return view(request, **names)
            except Refusal as refusal:
                return said(refusal.status, refusal.message)
            except OperationalError as error:
                _logger.warning("warning: %s", error)
                return said(503, "the database is busy; try again in a moment")

        return answered

    return decorated


def said(status: int, message: str) -> HttpResponse:
    """Returns a line as JSON."""
    response = JsonResponse({"error": message}, status=status)
    # Django would log what is meant for the visitor alone.
    response._has_been_logged = True
    return response


def bad(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answers what Django itself refuses."""
    return said(400, "the request is damaged, or for another host")


def csrf(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answers what did not come from the page, nor with its token."""
    return said(
        403, "send the token of GET /api/session in the header X-CSRFToken, with its cookie"
    )


def missing(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """Answers every other address."""
    return said(404, "there is nothing of that name here")


def broken(request: HttpRequest) -> HttpResponse:
    """Answers when a mistake of the program's comes to light; the log has the traceback."""
    return said(500, "something went wrong here; the server's log has more")
