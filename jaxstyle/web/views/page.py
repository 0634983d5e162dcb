"""The page itself, the door, and what a browser or a proxy asks for beside them."""

import time
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import ensure_csrf_cookie

from jaxstyle.web.middleware import admit, knows_password
from jaxstyle.web.views.errors import answering

_PAUSE = 1.0  # after a wrong password; guessing takes for ever


@ensure_csrf_cookie
@answering("GET", "HEAD")
def index(request: HttpRequest) -> HttpResponseBase:
    """The page."""
    return render(request, "jaxstyle/page.html")


@ensure_csrf_cookie
@answering("GET", "HEAD", "POST")
def login(request: Any) -> HttpResponseBase:
    """Asks for the password."""
    if not settings.PASSWORD or knows_password(request):
        return redirect("/")
    wrong = False
    if request.method == "POST":
        given = request.POST.get("password", "")
        if constant_time_compare(given, settings.PASSWORD):
            admit(request)
            return redirect("/")
        wrong = True
        time.sleep(_PAUSE)
    return render(request, "jaxstyle/login.html", {"wrong": wrong}, status=403 if wrong else 200)


@answering("GET", "HEAD")
def robots(request: HttpRequest) -> HttpResponseBase:
    """Asks search engines to stay away."""
    return HttpResponse("User-agent: *\nDisallow: /\n", content_type="text/plain")
