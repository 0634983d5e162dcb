"""The options of `jaxstyle serve`, which import no JAX: it starts the processes that do."""

import functools

from jaxstyle.pipeline.kinds import Choice, FileName, Flag, Kind, whole
from jaxstyle.pipeline.option import Option

_SERVE = ("serve",)
_run = functools.partial(Option, shapes=False)

SERVE_ROWS = (
    _run("host", Kind(), "listen at this address; others can then come in, so a password or "
        "public is needed", "machine", _SERVE, "ADDRESS", "127.0.0.1, this machine alone"),
    _run("port", whole(0, 65535), "listen at this port; 0 takes any", "machine", _SERVE, "N",
        "8000"),
    _run("password", Kind(), "let in who knows this password", "machine", _SERVE, "WORD"),
    _run("public", Flag(), "let everybody in, without a password", "machine", _SERVE),
    _run("https", Flag(), "answer only what a proxy in front got by HTTPS", "machine", _SERVE),
    _run("hosts", Kind(), "answer only under these names", "machine", _SERVE, "NAME,…",
        "this machine's"),
    _run("data", FileName(), "keep pictures, and the database, in this folder", "machine", _SERVE,
        "DIR", "one of the user's own"),
    _run("workers", whole(1, 64), "paint with so many processes, one for each device", "machine",
        _SERVE, "N", "1"),
    _run("web-processes", whole(1, 64), "answer with so many processes", "machine", _SERVE, "N",
        "1"),
    _run("only", Choice(("web", "worker")), "start one kind of processes, beside others "
        "elsewhere", "machine", _SERVE, "KIND"),
    _run("debug", Flag(), "show a traceback with an error", "machine", _SERVE),
)  # fmt: skip
"""In the order of the help text."""
