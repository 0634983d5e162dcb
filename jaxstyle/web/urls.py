"""The addresses. Names in them have one form, so no other can reach a file."""

from django.urls import path, re_path, register_converter

from jaxstyle.web.checking import NAME
from jaxstyle.web.views import api, errors, events, page, pictures, static


class _Name:
    """The name of an upload, a job or a sweep."""

    regex = NAME.pattern

    def to_python(self, value: str) -> str:
        """Returns it as it is."""
        return value

    def to_url(self, value: str) -> str:
        """Returns it as it is."""
        return value


register_converter(_Name, "name")

urlpatterns = [
    path("", page.index),
    path("login", page.login),
    path("robots.txt", page.robots),
    path("static/<str:name>", static.of_page),
    path("api/openapi.json", api.description),
    path("api/session", api.session),
    path("api/catalogue", api.catalogue),
    path("api/uploads", api.uploads),
    path("api/uploads/<name:name>", api.upload),
    path("api/uploads/<name:name>/preview.jpg", pictures.of_upload),
    path("api/jobs", api.jobs),
    path("api/jobs/<name:name>", api.job),
    path("api/jobs/<name:name>/stop", api.stop),
    path("api/jobs/<name:name>/events", events.of_job),
    path("api/jobs/<name:name>/<str:file>", pictures.of_job),
    path("api/sweeps", api.sweeps),
    path("api/sweeps/<name:name>", api.sweep),
    re_path(r"^api/styles/(?P<name>[a-z0-9-]{1,80})\.png$", pictures.of_style),
]
handler400 = errors.bad
handler403 = errors.csrf
handler404 = errors.missing
handler500 = errors.broken
