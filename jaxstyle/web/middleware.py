"""What every answer has, and what every request needs: the policy of contents, and the password."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.utils.crypto import constant_time_compare, salted_hmac

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_PERMISSIONS = "camera=(self), microphone=(), geolocation=(), payment=(), usb=()"
_OPEN = ("/login", "/static/", "/robots.txt")  # without the password
_KNOWN = "known"

Answer = Callable[[HttpRequest], HttpResponseBase]


def alive(answer: Answer) -> Answer:
    """Answers whoever asks on this machine whether it runs, under any name and without HTTPS."""

    def answered(request: HttpRequest) -> HttpResponseBase:
        if request.path == "/healthy" and request.method in ("GET", "HEAD"):
            return HttpResponse("ok\n", content_type="text/plain")
        return answer(request)

    return answered


def policy(answer: Answer) -> Answer:
    """Adds the headers that keep a browser from doing what the page never does."""

    def answered(request: HttpRequest) -> HttpResponseBase:
        response = answer(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", _PERMISSIONS)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return answered


def gate(answer: Answer) -> Answer:
    """Lets nobody pass who has not given the password, if there is one."""

    def answered(request: Any) -> HttpResponseBase:
        inside = not request.path.startswith(_OPEN)
        if settings.PASSWORD and inside and not knows_password(request):
            if request.path.startswith("/api/"):
                message = "this page has a password; give it at /login first"
                return JsonResponse({"error": message}, status=401)
            return redirect("/login")
        return answer(request)

    return answered


def knows_password(request: Any) -> bool:
    """Tells whether a session has given the password, and that has not changed since."""
    return constant_time_compare(request.session.get(_KNOWN, ""), _proof())


def admit(request: Any) -> None:
    """Notes in a session that it has given the password."""
    request.session.cycle_key()
    request.session[_KNOWN] = _proof()


def _proof() -> str:
    return salted_hmac("jaxstyle.web.password", settings.PASSWORD).hexdigest()
